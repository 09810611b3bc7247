//! The owner: the process that drives the run, or recovers it after that one died. It may pass COMMIT on for a link that is gone,
//! and give the source back what the destination has dropped.

use super::chance::Chance;
use super::world::World;
use crate::destination::{Event as De, State as Ds};
use crate::source::{Action as Sa, Event as Se, State as Ss};

/// What the owner has been told, at some time, and has done. Of any number of owners at once, too: each step rests on one
/// fact alone, whoever was told it, so several can do nothing that one with all their facts cannot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The source recorded COMMIT: its helper says so, or is gone and its record says so.
    knows_commit: bool,
    /// The destination can never run this.
    knows_dropped: bool,
    pub relayed: bool,
}

impl World {
    /// Whether the destination can never run this: it said so, it is gone without a record of COMMIT, or DISCARD was placed
    /// where it would record it.
    pub fn destination_dropped(&self) -> bool {
        self.destination_barred && !self.destination_record
            || self.destination.map_or(!self.destination_record, |machine| machine.state() == Ds::Discarded)
    }

    /// A record alone proves nothing while the source lives: it may be about to void it.
    fn source_says_committed(&self) -> bool {
        match self.source {
            None => self.source_record,
            Some(machine) => self.noted && !matches!(machine.state(), Ss::RolledBack | Ss::NeedsPerson),
        }
    }

    pub(super) fn owner_acts(&mut self, chance: Chance) {
        match chance {
            Chance::OwnerAsksSource => self.owner.knows_commit |= self.source_says_committed(),
            Chance::OwnerAsksDestination => self.owner.knows_dropped |= self.destination_dropped(),
            // A helper answers `finish` once nothing else is under way.
            Chance::OwnerRelaysCommit if self.owner.knows_commit && self.destination_act.is_none() => {
                let may = self.destination.is_some_and(|machine| machine.state() == Ds::Waiting);
                self.owner.relayed |= may;
                self.tell_destination(De::CommitRelayed);
            }
            Chance::OwnerRollsBackSource => {
                self.tell_source(Se::RollbackAsked { peer_discarded: self.owner.knows_dropped });
            }
            _ => {}
        }
    }

    /// Everything still open ends, with the link gone and nothing else failing.
    pub fn settle(&mut self) {
        self.link = false;
        for _ in 0..64 {
            let before = self.clone();
            self.step(Chance::SourceActs);
            self.step(Chance::DestinationActs);
            self.step(Chance::ToDestination);
            self.step(Chance::ToSource);
            if matches!(self.source_act, Some(Sa::AwaitPrepared | Sa::Verify | Sa::AwaitRunning | Sa::AskDiscard)) {
                self.step(Chance::SourceFails);
            }
            if *self == before {
                break;
            }
        }
    }

    /// A recovery: asks both sides and finishes in the only safe direction. Nothing else happens meanwhile.
    pub fn recover(&mut self) {
        self.settle();
        self.step(Chance::OwnerAsksSource);
        if self.source_says_committed() {
            self.step(Chance::OwnerRelaysCommit);
        } else {
            // No one can have been told to run: the source's record, if it stands, was never acted upon.
            self.step(Chance::CancelDestination);
        }
        self.settle();
        self.step(Chance::OwnerAsksDestination);
        self.step(Chance::OwnerRollsBackSource);
        self.settle();
    }
}
