//! The source's side of a cutover.
//!
//! Its one point of no return is the moment COMMIT may have left: until then every failure ends in `Undo`; from then
//! on only the destination's word that it dropped the run leads back.

/// What the loop must do next. One at a time; each is answered by one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Every device to the state in which it starts no DMA to its peers.
    Quiesce,
    /// Every device to STOP_COPY.
    StopCopy,
    /// The final read of every tracker.
    FinalRead,
    SendPages,
    SendStates,
    SendManifest,
    AwaitPrepared,
    /// Ask for the destination's hashes and compare them with ours.
    Verify,
    /// Is there time left for what follows COMMIT?
    CheckCeiling,
    /// Write the COMMIT record and make it durable.
    RecordCommit,
    SendCommit,
    AwaitRunning,
    /// Replace a COMMIT record that may be on disk, durably, before anything runs again. Otherwise a later recovery
    /// would read it and let the destination run beside us.
    VoidRecord,
    /// Tell the destination to drop the run and wait for its word that it did.
    AskDiscard,
    /// Every device to RUNNING, checked; and tell the destination (best effort).
    Undo,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The estimate fits the limit: start; with or without comparing all memory before COMMIT.
    Begin {
        verify: bool,
    },
    /// The action under way succeeded.
    Succeeded,
    /// It failed, by its own fault, a cancel, the downtime limit, or the link.
    Failed,
    /// `RecordCommit` only: it failed and the record may be on disk all the same.
    Doubtful,
    Prepared,
    Running,
    /// The destination gave up; `discarded` as in [`super::Message::Abort`].
    PeerAborted {
        discarded: bool,
    },
    /// The owner asks for the undoing, and says what it knows of the destination.
    RollbackAsked {
        peer_discarded: bool,
    },
    /// The loop died in the middle of the action: it may have succeeded, failed, or gone half way.
    Interrupted,
}

/// Where the machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Before the cutover: devices run.
    Ready,
    Doing(Action),
    /// The destination runs. Devices here stay stopped until they are released.
    Done,
    /// Every device runs here again.
    RolledBack,
    /// The run may go on here but a device could not be brought back.
    NeedsPerson,
    /// COMMIT may have reached the destination. Nothing runs here until more is known.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    state: State,
    verify: bool,
    committed: bool,
}

impl Default for Source {
    fn default() -> Self {
        Self { state: State::Ready, verify: false, committed: false }
    }
}

impl Source {
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether COMMIT was recorded, or may have been: from here on a cancel changes nothing.
    pub fn is_committed(&self) -> bool {
        self.committed
    }

    /// Whether an ABORT of the destination decides anything: not while the action under way is our own and alone says
    /// what becomes of the record or of the devices.
    pub fn heeds_abort(&self) -> bool {
        !matches!(self.state, State::Doing(Action::RecordCommit | Action::VoidRecord | Action::Undo))
    }

    /// Takes one event and says what to do next; `None`: nothing, wait or stop.
    pub fn on(&mut self, event: Event) -> Option<Action> {
        let next = self.next(event)?;
        self.state = next;
        match next {
            State::Doing(action) => Some(action),
            _ => None,
        }
    }

    fn next(&mut self, event: Event) -> Option<State> {
        let doing = match self.state {
            State::Doing(doing) => doing,
            resting => return self.at_rest(resting, event).map(State::Doing),
        };
        match (doing, event) {
            (Action::AwaitPrepared, Event::Prepared) => {
                Some(State::Doing(if self.verify { Action::Verify } else { Action::CheckCeiling }))
            }
            (Action::RecordCommit, Event::Succeeded) => {
                self.committed = true;
                Some(State::Doing(Action::SendCommit))
            }
            // It may stand on the disk, and an owner may have read there that we committed.
            (Action::RecordCommit, Event::Interrupted) => {
                self.committed = true;
                Some(State::Unknown)
            }
            (Action::RecordCommit, Event::Doubtful) => {
                self.committed = true;
                Some(State::Doing(Action::VoidRecord))
            }
            (Action::RecordCommit, Event::Failed) => Some(self.undo()),
            // While the record is being written nothing else counts: what came of it decides.
            (Action::RecordCommit, _) => None,
            (Action::AwaitRunning, Event::Running) => Some(State::Done),
            (Action::SendCommit | Action::AwaitRunning, event) => self.after_commit(doing, event),
            (Action::VoidRecord, Event::Succeeded) => Some(self.undo()),
            (Action::VoidRecord, Event::Failed) => Some(State::Doing(Action::AskDiscard)),
            (Action::AskDiscard, Event::PeerAborted { discarded: true }) => Some(self.undo()),
            (Action::AskDiscard, Event::Failed | Event::Interrupted | Event::PeerAborted { discarded: false }) => {
                Some(State::Unknown)
            }
            (Action::Undo, Event::Succeeded) => Some(State::RolledBack),
            (Action::Undo, Event::Failed) => Some(State::NeedsPerson),
            // Both can be done again.
            (again @ (Action::VoidRecord | Action::Undo), Event::Interrupted) => Some(State::Doing(again)),
            (Action::VoidRecord | Action::AskDiscard | Action::Undo, _) => None,
            (_, Event::Failed | Event::Interrupted | Event::PeerAborted { .. } | Event::RollbackAsked { .. }) => {
                Some(self.undo())
            }
            (step, Event::Succeeded) => after(step).map(State::Doing),
            _ => None,
        }
    }

    /// COMMIT may have left. A plain failure, ours or the destination's, proves nothing about who runs.
    fn after_commit(&mut self, doing: Action, event: Event) -> Option<State> {
        match (doing, event) {
            (Action::SendCommit, Event::Succeeded) => Some(State::Doing(Action::AwaitRunning)),
            (_, Event::PeerAborted { discarded: true } | Event::RollbackAsked { peer_discarded: true }) => {
                Some(State::Doing(Action::VoidRecord))
            }
            (_, Event::Failed | Event::Interrupted | Event::PeerAborted { discarded: false }) => Some(State::Unknown),
            _ => None,
        }
    }

    fn at_rest(&mut self, resting: State, event: Event) -> Option<Action> {
        match (resting, event) {
            (State::Ready, Event::Begin { verify }) => {
                self.verify = verify;
                Some(Action::Quiesce)
            }
            (State::Ready, Event::Failed | Event::PeerAborted { .. } | Event::RollbackAsked { .. })
            // Asking again for what is done, or was left half done, checks every device once more.
            | (State::RolledBack | State::NeedsPerson, Event::RollbackAsked { .. }) => Some(Action::Undo),
            (State::Unknown, Event::RollbackAsked { peer_discarded: true } | Event::PeerAborted { discarded: true }) => {
                Some(Action::VoidRecord)
            }
            _ => None,
        }
    }

    fn undo(&mut self) -> State {
        self.committed = false;
        State::Doing(Action::Undo)
    }
}

/// The plain order of the steps; those that wait for a message or branch are decided above.
fn after(step: Action) -> Option<Action> {
    Some(match step {
        Action::Quiesce => Action::StopCopy,
        Action::StopCopy => Action::FinalRead,
        Action::FinalRead => Action::SendPages,
        Action::SendPages => Action::SendStates,
        Action::SendStates => Action::SendManifest,
        Action::SendManifest => Action::AwaitPrepared,
        Action::Verify => Action::CheckCeiling,
        Action::CheckCeiling => Action::RecordCommit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reachable::reachable;

    /// The machine with `action` under way.
    fn at(action: Action) -> Source {
        let mut machine = Source::default();
        let mut doing = machine.on(Event::Begin { verify: true });
        while doing != Some(action) {
            let event = match doing.expect("reached before the end") {
                Action::AwaitPrepared => Event::Prepared,
                Action::AwaitRunning => Event::Running,
                _ => Event::Succeeded,
            };
            doing = machine.on(event);
        }
        machine
    }

    /// What the loop may make of a failed action, and what an action that died leaves: in no state may one be lost.
    #[test]
    fn every_failure_of_every_action_leads_on() {
        for state in every_state() {
            let machine = state;
            let State::Doing(action) = machine.state() else { continue };
            let mut events = vec![Event::Failed, Event::Interrupted];
            if machine.heeds_abort() {
                events.extend([true, false].map(|discarded| Event::PeerAborted { discarded }));
            }
            if action == Action::RecordCommit {
                events.push(Event::Doubtful);
            }
            for event in events {
                let mut after = machine;
                let next = after.on(event);
                assert!(next.is_some() || !matches!(after.state(), State::Doing(_)), "{action:?} {event:?}");
            }
        }
    }

    /// Nothing is final but a workload that runs on the other side: where a person or a mended disk is needed, the
    /// owner can ask again, with what it knows of the destination by then.
    #[test]
    fn from_every_state_the_owner_leads_to_running_here() {
        for state in every_state() {
            if state.state() == State::Done {
                continue;
            }
            let mut machine = state;
            let interrupted = machine.on(Event::Interrupted);
            all_well(&mut machine, interrupted);
            let asked = machine.on(Event::RollbackAsked { peer_discarded: true });
            all_well(&mut machine, asked);
            assert_eq!(machine.state(), State::RolledBack, "{state:?}");
        }
    }

    fn all_well(machine: &mut Source, mut next: Option<Action>) {
        while let Some(action) = next {
            next = machine.on(match action {
                Action::AskDiscard => Event::PeerAborted { discarded: true },
                _ => Event::Succeeded,
            });
        }
    }

    /// Every state that any order of events leads to.
    fn every_state() -> Vec<Source> {
        let events = [
            Event::Begin { verify: false },
            Event::Begin { verify: true },
            Event::Succeeded,
            Event::Failed,
            Event::Doubtful,
            Event::Prepared,
            Event::Running,
            Event::PeerAborted { discarded: true },
            Event::PeerAborted { discarded: false },
            Event::RollbackAsked { peer_discarded: true },
            Event::RollbackAsked { peer_discarded: false },
            Event::Interrupted,
        ];
        reachable(Source::default(), &events, Source::on)
    }

    #[test]
    fn every_failure_before_commit_undoes() {
        for step in [
            Action::Quiesce,
            Action::StopCopy,
            Action::FinalRead,
            Action::SendPages,
            Action::SendStates,
            Action::SendManifest,
            Action::AwaitPrepared,
            Action::Verify,
            Action::CheckCeiling,
            Action::RecordCommit,
        ] {
            for event in [
                Event::Failed,
                Event::PeerAborted { discarded: false },
                Event::PeerAborted { discarded: true },
                Event::RollbackAsked { peer_discarded: false },
            ] {
                let mut machine = at(step);
                if step == Action::RecordCommit && event != Event::Failed {
                    assert_eq!(machine.on(event), None, "{event:?} must wait for what came of the record");
                    continue;
                }
                assert_eq!(machine.on(event), Some(Action::Undo), "{step:?} {event:?}");
                assert!(!machine.is_committed());
                machine.on(Event::Succeeded);
                assert_eq!(machine.state(), State::RolledBack);
                assert_eq!(machine.on(Event::Running), None, "a late voice");
                assert_eq!(machine.on(Event::Begin { verify: false }), None, "a run is one attempt");
            }
        }
    }

    #[test]
    fn after_commit_only_the_discarded_word_leads_back() {
        for step in [Action::SendCommit, Action::AwaitRunning] {
            for event in [Event::Failed, Event::PeerAborted { discarded: false }] {
                let mut machine = at(step);
                assert_eq!(machine.on(event), None);
                assert_eq!(machine.state(), State::Unknown);
                assert_eq!(machine.on(Event::RollbackAsked { peer_discarded: false }), None);
                assert_eq!(machine.state(), State::Unknown);
                assert_eq!(machine.on(Event::RollbackAsked { peer_discarded: true }), Some(Action::VoidRecord));
                assert_eq!(machine.on(Event::Succeeded), Some(Action::Undo));
            }
            let mut machine = at(step);
            assert_eq!(machine.on(Event::RollbackAsked { peer_discarded: false }), None);
            assert_eq!(machine.on(Event::PeerAborted { discarded: true }), Some(Action::VoidRecord));
        }
    }

    #[test]
    fn done_is_final() {
        let mut machine = at(Action::AwaitRunning);
        machine.on(Event::Running);
        for event in
            [Event::RollbackAsked { peer_discarded: true }, Event::PeerAborted { discarded: true }, Event::Failed]
        {
            assert_eq!(machine.on(event), None);
            assert_eq!(machine.state(), State::Done);
        }
    }

    #[test]
    fn a_record_that_may_be_on_disk_is_voided_before_anything_runs() {
        let mut machine = at(Action::RecordCommit);
        assert_eq!(machine.on(Event::Doubtful), Some(Action::VoidRecord));
        assert_eq!(machine.on(Event::Failed), Some(Action::AskDiscard));
        let mut told = machine;
        assert_eq!(told.on(Event::PeerAborted { discarded: true }), Some(Action::Undo));
        assert_eq!(machine.on(Event::Failed), None);
        assert_eq!(machine.state(), State::Unknown);
    }
}
