//! Two hosts and what lies between them, stepped by chance.

use std::collections::VecDeque;

use super::chance::Chance;
use super::owner::Owner;
use crate::Message;
use crate::destination::{Action as Da, Destination, Event as De, State as Ds};
use crate::source::{Action as Sa, Event as Se, Source, State as Ss};

/// What a helper could get wrong; the exploration must find each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// The source runs again when RUNNING does not come in time.
    ResumesAfterCommit,
    /// A COMMIT record that may be on disk is left there.
    SkipsVoid,
    /// COMMIT leaves before its record is on the disk, and a crash loses it.
    SendsBeforeSync,
    /// A COMMIT takes the place of a DISCARD that a recovery placed and told the owner of.
    CommitsOverDiscard,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub source: Option<Source>,
    pub destination: Option<Destination>,
    pub source_act: Option<Sa>,
    pub destination_act: Option<Da>,
    pub to_destination: VecDeque<Message>,
    pub to_source: VecDeque<Message>,
    pub link: bool,
    pub source_told: bool,
    pub destination_told: bool,
    pub source_record: bool,
    pub destination_record: bool,
    /// DISCARD stands where COMMIT would be recorded, placed by another process: COMMIT is refused.
    pub source_barred: bool,
    pub destination_barred: bool,
    pub commit_left: bool,
    pub source_runs: bool,
    pub destination_runs: bool,
    /// Every device of the destination has loaded.
    pub loaded: bool,
    /// The source's COMMIT was recorded without a doubt, which its status tells from then on.
    pub noted: bool,
    /// The source ran again after it was stopped: what the destination has is out of date from then on.
    pub went_back: bool,
    pub flaw: Option<Flaw>,
    /// The owner's, of any age: what it was told once it may act on whenever it likes.
    pub owner: Owner,
}

impl World {
    /// One step of everybody, with nothing going wrong.
    pub const ROUND: [Chance; 4] =
        [Chance::SourceActs, Chance::ToDestination, Chance::DestinationActs, Chance::ToSource];

    pub fn new(verify: bool) -> Self {
        let mut source = Source::default();
        let source_act = source.on(Se::Begin { verify });
        Self {
            source: Some(source),
            destination: Some(Destination::default()),
            source_act,
            destination_act: None,
            to_destination: VecDeque::new(),
            to_source: VecDeque::new(),
            link: true,
            source_told: false,
            destination_told: false,
            source_record: false,
            destination_record: false,
            source_barred: false,
            destination_barred: false,
            commit_left: false,
            source_runs: true,
            destination_runs: false,
            loaded: false,
            noted: false,
            went_back: false,
            flaw: None,
            owner: Owner::default(),
        }
    }

    fn check(&self) {
        let told = self.commit_left || self.owner.relayed;
        assert!(!(self.source_runs && self.destination_runs), "both run");
        assert!(!(self.went_back && self.destination_runs), "ran what the source had gone on from");
        if self.destination_runs {
            assert!(told && self.destination_record, "ran without COMMIT");
            assert!(self.loaded, "ran without what was sent");
        }
        if told {
            assert!(self.source_record || !self.destination_runs, "COMMIT left and its record is gone");
        }
    }

    pub(super) fn tell_source(&mut self, event: Se) {
        if let Some(machine) = &mut self.source {
            if let Some(next) = machine.on(event) {
                self.source_act = Some(next);
            } else if !matches!(machine.state(), Ss::Doing(_)) {
                self.source_act = None;
            }
        }
        self.check();
    }

    pub(super) fn tell_destination(&mut self, event: De) {
        if let Some(machine) = &mut self.destination {
            if let Some(next) = machine.on(event) {
                self.destination_act = Some(next);
            } else if !matches!(machine.state(), Ds::Doing(_)) {
                self.destination_act = None;
            }
        }
        self.check();
    }

    /// Sends if the link is up; says whether it left.
    fn source_sends(&mut self, message: Message) -> bool {
        if self.link {
            self.to_destination.push_back(message);
        }
        self.link
    }

    fn destination_sends(&mut self, message: Message) -> bool {
        if self.link {
            self.to_source.push_back(message);
        }
        self.link
    }

    /// The action under way ends well, if it can end by itself.
    fn source_acts(&mut self) {
        let Some(action) = self.source_act else { return };
        if let Some(went) = self.source_effect(action) {
            self.tell_source(if went { Se::Succeeded } else { Se::Failed });
        }
    }

    /// What the action does to the world; whether it succeeded, or `None`: it waits for a message.
    fn source_effect(&mut self, action: Sa) -> Option<bool> {
        Some(match action {
            Sa::Quiesce => {
                self.source_runs = false;
                true
            }
            Sa::StopCopy | Sa::FinalRead | Sa::CheckCeiling => true,
            Sa::SendPages | Sa::SendStates => self.link,
            Sa::SendManifest => self.source_sends(Message::Manifest),
            Sa::RecordCommit if self.source_barred && self.flaw != Some(Flaw::CommitsOverDiscard) => false,
            Sa::RecordCommit => {
                self.source_record = true;
                self.noted = true;
                true
            }
            Sa::SendCommit => {
                self.commit_left |= self.source_sends(Message::Commit);
                self.link
            }
            Sa::VoidRecord => {
                self.source_record &= self.flaw == Some(Flaw::SkipsVoid);
                true
            }
            Sa::Undo => {
                self.source_sends(Message::Abort { discarded: false });
                self.went_back |= !self.source_runs;
                self.source_runs = true;
                true
            }
            // These end by a message or by the link; asking again meanwhile is harmless.
            Sa::Verify | Sa::AskDiscard | Sa::AwaitPrepared | Sa::AwaitRunning => {
                if action == Sa::Verify {
                    self.source_sends(Message::Verify);
                } else if action == Sa::AskDiscard {
                    self.source_sends(Message::Abort { discarded: false });
                }
                return None;
            }
        })
    }

    fn source_fails(&mut self) {
        match self.source_act {
            None => return,
            Some(Sa::Quiesce) => self.source_runs = false,
            // Some devices may have come up before one did not.
            Some(Sa::Undo) => {
                self.went_back |= !self.source_runs;
                self.source_runs = true;
            }
            Some(Sa::AwaitRunning) if self.flaw == Some(Flaw::ResumesAfterCommit) => self.source_runs = true,
            Some(_) => {}
        }
        self.tell_source(Se::Failed);
    }

    fn destination_acts(&mut self, well: bool) {
        let Some(action) = self.destination_act else { return };
        let well = well && !self.is_barred(action);
        let sent = self.destination_effect(action, well);
        self.tell_destination(match (well, sent) {
            (true, true) => De::Succeeded,
            (true, false) => De::LinkLost,
            (false, _) => De::Failed,
        });
    }

    /// COMMIT is placed by a link, which never takes the place of a DISCARD.
    fn is_barred(&self, action: Da) -> bool {
        action == Da::RecordCommit && self.destination_barred && self.flaw != Some(Flaw::CommitsOverDiscard)
    }

    /// The destination's action ends, undone, by what the loop hears meanwhile.
    fn destination_hears(&mut self, event: De) {
        if let Some(action) = self.destination_act {
            self.destination_effect(action, false);
            self.tell_destination(event);
        }
    }

    /// What the action does to the world, well or not; whether what it sends could leave.
    fn destination_effect(&mut self, action: Da, well: bool) -> bool {
        match (action, well) {
            (Da::Load, true) => {
                self.loaded = true;
                true
            }
            (Da::RecordCommit, true) => {
                self.destination_record = true;
                true
            }
            // From its first transition on a device may be running, whether or not the step succeeds.
            (Da::RunP2p | Da::Run, _) => {
                self.destination_runs = true;
                true
            }
            (Da::RecordDiscard, true) => {
                self.destination_record = false;
                true
            }
            (Da::SendPrepared, true) => self.destination_sends(Message::Prepared),
            (Da::Hash, true) => self.destination_sends(Message::Hashes),
            (Da::SendRunning, true) => self.destination_sends(Message::Running),
            (Da::SendDiscarded, true) => self.destination_sends(Message::Abort { discarded: true }),
            (Da::SendFailed, true) => self.destination_sends(Message::Abort { discarded: false }),
            _ => true,
        }
    }

    fn deliver_to_destination(&mut self, keep: bool) {
        // The loop reads only between actions.
        if self.destination_act.is_some() {
            return;
        }
        let message = if keep { self.to_destination.front().copied() } else { self.to_destination.pop_front() };
        match message {
            Some(Message::Manifest) => self.tell_destination(De::Manifest),
            Some(Message::Verify) => self.tell_destination(De::Verify),
            Some(Message::Commit) => self.tell_destination(De::Commit),
            Some(Message::Abort { .. }) => self.tell_destination(De::PeerAborted),
            Some(Message::Prepared | Message::Hashes | Message::Running) => unreachable!("wrong direction"),
            None if !self.link && !self.destination_told => {
                self.destination_told = true;
                self.tell_destination(De::LinkLost);
            }
            None => {}
        }
    }

    fn deliver_to_source(&mut self, keep: bool) {
        let message = if keep { self.to_source.front().copied() } else { self.to_source.pop_front() };
        match message {
            Some(Message::Prepared) => self.tell_source(Se::Prepared),
            Some(Message::Running) => self.tell_source(Se::Running),
            Some(Message::Abort { discarded }) => self.tell_source(Se::PeerAborted { discarded }),
            Some(Message::Hashes) if self.source_act == Some(Sa::Verify) => self.tell_source(Se::Succeeded),
            Some(_) => {}
            None if !self.link && !self.source_told => {
                self.source_told = true;
                if matches!(self.source_act, Some(Sa::AwaitPrepared | Sa::Verify | Sa::AwaitRunning | Sa::AskDiscard)) {
                    self.tell_source(Se::Failed);
                }
            }
            None => {}
        }
    }

    pub fn step(&mut self, chance: Chance) {
        match chance {
            Chance::SourceActs => self.source_acts(),
            Chance::DestinationActs => self.destination_acts(true),
            Chance::ToDestination => self.deliver_to_destination(false),
            Chance::ToSource => self.deliver_to_source(false),
            Chance::SourceFails => self.source_fails(),
            Chance::DestinationFails => self.destination_acts(false),
            Chance::RecordDoubtful { on_disk } => {
                // A refusal leaves no doubt.
                if self.source_act == Some(Sa::RecordCommit) && !self.source_barred {
                    self.source_record = on_disk;
                    self.tell_source(Se::Doubtful);
                }
            }
            Chance::CommitHalfSent { left } => {
                if self.source_act == Some(Sa::SendCommit) {
                    self.commit_left |= left && self.source_sends(Message::Commit);
                    self.tell_source(Se::Failed);
                }
            }
            Chance::RepeatToDestination => self.deliver_to_destination(true),
            Chance::RepeatToSource => self.deliver_to_source(true),
            // What is in flight may still arrive: a cut is only learnt of.
            Chance::Cut => self.link = false,
            Chance::CancelSource => self.tell_source(Se::RollbackAsked { peer_discarded: false }),
            Chance::CancelDestination => {
                if self.destination_act.is_none() {
                    self.tell_destination(De::RollbackAsked);
                }
            }
            Chance::SourceInterrupted { done } => {
                if let Some(action) = self.source_act {
                    if done {
                        self.source_effect(action);
                    }
                    self.tell_source(Se::Interrupted);
                }
            }
            Chance::DestinationInterrupted { done } => {
                if let Some(action) = self.destination_act {
                    self.destination_effect(action, done && !self.is_barred(action));
                    self.tell_destination(De::Interrupted);
                }
            }
            Chance::SourceCrashes => {
                if self.source.take().is_some() {
                    self.link = false;
                    self.source_act = None;
                    self.source_record &= self.flaw != Some(Flaw::SendsBeforeSync);
                    // A recovery that finds no COMMIT record may let the workload run on the source again.
                    self.source_runs = !self.source_record;
                }
            }
            Chance::DestinationCrashes => {
                if self.destination.take().is_some() {
                    self.link = false;
                    self.destination_act = None;
                    self.destination_runs = false;
                }
            }
            Chance::LostToDestination if !self.link => drop(self.to_destination.pop_back()),
            Chance::LostToSource if !self.link => drop(self.to_source.pop_back()),
            Chance::LostToDestination | Chance::LostToSource => {}
            Chance::DestinationLosesLink => {
                if self.destination_act.is_some() {
                    self.link = false;
                    self.destination_hears(De::LinkLost);
                }
            }
            Chance::DestinationCancelledInAction => self.destination_hears(De::RollbackAsked),
            Chance::DestinationHearsAbortInAction => {
                let comes = matches!(self.to_destination.front(), Some(Message::Abort { .. }));
                if comes && self.destination.is_some_and(|machine| machine.heeds_abort()) {
                    self.to_destination.pop_front();
                    self.destination_hears(De::PeerAborted);
                }
            }
            Chance::DiscardPlacedAtSource => self.source_barred |= !self.source_record,
            Chance::DiscardPlacedAtDestination => self.destination_barred |= !self.destination_record,
            Chance::OwnerAsksSource
            | Chance::OwnerAsksDestination
            | Chance::OwnerRelaysCommit
            | Chance::OwnerRollsBackSource => self.owner_acts(chance),
        }
        self.check();
    }
}
