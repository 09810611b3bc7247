//! The destination's side: it holds what it was sent, runs only after COMMIT, and once it has dropped a run refuses a
//! COMMIT that comes late.

/// What the loop must do next. One at a time; each is answered by `Succeeded` or `Failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Compare the manifest with what arrived.
    CheckManifest,
    /// Every device RESUMING to STOP, read back.
    Load,
    SendPrepared,
    /// Hash all memory and send the hashes.
    Hash,
    RecordCommit,
    /// Every device to RUNNING_P2P.
    RunP2p,
    /// Every device to RUNNING.
    Run,
    SendRunning,
    /// Leave every device without the workload.
    Discard,
    /// Make it durable that this run was dropped.
    RecordDiscard,
    /// Tell the source the run was dropped and why.
    SendDiscarded,
    /// Tell the source that we failed without promising that the run was dropped.
    SendFailed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    Succeeded,
    /// The action failed for another reason than the link.
    Failed,
    LinkLost,
    Manifest,
    Verify,
    Commit,
    /// The owner found that the source has recorded COMMIT, and hands it on because the link cannot.
    CommitRelayed,
    PeerAborted,
    /// A cancel, or the owner asking for the undoing, or the owner being gone.
    RollbackAsked,
    /// The loop died in the middle of the action: it may have succeeded, failed, or gone half way.
    Interrupted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Receiving,
    Doing(Action),
    /// PREPARED was answered: everything is here and stopped.
    Prepared,
    /// PREPARED may have been seen and the link is gone: the source alone knows whether it committed. Devices stay in
    /// STOP until somebody who asked the source says what to do.
    Waiting,
    Running,
    Discarded,
    /// COMMIT is recorded and a device did not come up, or the dropping could not be recorded.
    NeedsPerson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Destination {
    state: State,
    committed: bool,
}

impl Default for Destination {
    fn default() -> Self {
        Self { state: State::Receiving, committed: false }
    }
}

impl Destination {
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether COMMIT was received and recorded: a cancel changes nothing any more.
    pub fn is_committed(&self) -> bool {
        self.committed
    }

    /// Whether an ABORT of the source decides anything: not once it has been decided to run, or to drop the run. What
    /// an action came to is then all that counts.
    pub fn heeds_abort(&self) -> bool {
        use Action::{CheckManifest, Hash, Load, SendPrepared};
        match self.state {
            State::Doing(action) => matches!(action, CheckManifest | Load | SendPrepared | Hash),
            _ => true,
        }
    }

    /// Takes one event and says what to do next; `None`: nothing, go on listening.
    pub fn on(&mut self, event: Event) -> Option<Action> {
        let next = match self.state {
            State::Doing(action) => self.after_action(action, event),
            resting => self.at_rest(resting, event),
        }?;
        self.state = next;
        match next {
            State::Doing(action) => Some(action),
            _ => None,
        }
    }

    fn after_action(&mut self, action: Action, event: Event) -> Option<State> {
        use Action::{
            CheckManifest, Discard, Hash, Load, RecordCommit, RecordDiscard, Run, RunP2p, SendDiscarded, SendFailed,
            SendPrepared, SendRunning,
        };
        let discard = Some(State::Doing(Discard));
        let sends = matches!(action, SendPrepared | Hash | SendRunning | SendDiscarded | SendFailed);
        let event = match event {
            // Of an action that sends nothing, a failure of any kind is its own.
            Event::LinkLost | Event::RollbackAsked | Event::PeerAborted if !sends => Event::Failed,
            // The decision is made: only the link, or the lack of it, is left to fail.
            Event::RollbackAsked | Event::PeerAborted if !matches!(action, SendPrepared | Hash) => Event::Failed,
            other => other,
        };
        match (action, event) {
            (CheckManifest, Event::Succeeded) => Some(State::Doing(Load)),
            (Load, Event::Succeeded) => Some(State::Doing(SendPrepared)),
            (CheckManifest | Load, _) => discard,
            (SendPrepared | Hash, Event::Succeeded) => Some(State::Prepared),
            // PREPARED, or the hashes, may have arrived before the link broke.
            (SendPrepared | Hash, Event::LinkLost | Event::Interrupted) => Some(State::Waiting),
            (SendPrepared | Hash, Event::Failed | Event::RollbackAsked | Event::PeerAborted) => discard,
            (RecordCommit, Event::Succeeded) => {
                self.committed = true;
                Some(State::Doing(RunP2p))
            }
            // Nothing has run yet. The discard record replaces whatever is on disk.
            (RecordCommit, Event::Failed | Event::Interrupted) => discard,
            (RunP2p, Event::Succeeded) => Some(State::Doing(Run)),
            (Run, Event::Succeeded) => Some(State::Doing(SendRunning)),
            // Some device may have run: there is no way back, and the source must not run either.
            (RunP2p | Run, Event::Failed | Event::Interrupted) => Some(State::Doing(SendFailed)),
            (SendRunning, Event::Succeeded | Event::Failed | Event::LinkLost | Event::Interrupted) => {
                Some(State::Running)
            }
            // A device that could not be reset does not run: it stands in RESUMING, STOP or ERROR. The run is
            // dropped all the same; the loop reports the device.
            (Discard, Event::Succeeded | Event::Failed) => Some(State::Doing(RecordDiscard)),
            (RecordDiscard, Event::Succeeded) => Some(State::Doing(SendDiscarded)),
            (RecordDiscard, Event::Failed) => Some(State::Doing(SendFailed)),
            // Both can be done again.
            (Discard | RecordDiscard, Event::Interrupted) => discard,
            (SendDiscarded, Event::Succeeded | Event::Failed | Event::LinkLost | Event::Interrupted) => {
                Some(State::Discarded)
            }
            (SendFailed, Event::Succeeded | Event::Failed | Event::LinkLost | Event::Interrupted) => {
                Some(State::NeedsPerson)
            }
            _ => None,
        }
    }

    fn at_rest(&self, resting: State, event: Event) -> Option<State> {
        let act = |action| Some(State::Doing(action));
        match (resting, event) {
        (State::Receiving, Event::Manifest) => act(Action::CheckManifest),
        (State::Receiving, Event::Failed | Event::LinkLost | Event::PeerAborted | Event::RollbackAsked)
        // A COMMIT before PREPARED is no COMMIT of this protocol.
        | (State::Receiving, Event::Commit | Event::Verify) => act(Action::Discard),
        (State::Prepared, Event::Verify) => act(Action::Hash),
        (State::Prepared | State::Waiting, Event::Commit)
        // While the link is up COMMIT comes by it, and behind whatever else is on its way.
        | (State::Waiting, Event::CommitRelayed) => act(Action::RecordCommit),
        (State::Prepared, Event::LinkLost) => Some(State::Waiting),
        (State::Prepared, Event::Failed) => act(Action::Discard),
        (State::Prepared | State::Waiting, Event::PeerAborted | Event::RollbackAsked) => act(Action::Discard),
        // Repeated requests are answered the same.
        (State::Running, Event::Commit) => act(Action::SendRunning),
        (State::Discarded, Event::Commit | Event::PeerAborted) => act(Action::SendDiscarded),
        // Somebody mended what was in the way: the devices, or the disk.
        (State::NeedsPerson, Event::CommitRelayed) if self.committed => act(Action::RunP2p),
        (State::NeedsPerson, Event::RollbackAsked) if !self.committed => act(Action::Discard),
        _ => None,
    }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reachable::reachable;

    fn prepared() -> Destination {
        let mut machine = Destination::default();
        assert_eq!(machine.on(Event::Manifest), Some(Action::CheckManifest));
        assert_eq!(machine.on(Event::Succeeded), Some(Action::Load));
        assert_eq!(machine.on(Event::Succeeded), Some(Action::SendPrepared));
        assert_eq!(machine.on(Event::Succeeded), None);
        assert_eq!(machine.state(), State::Prepared);
        machine
    }

    fn discards(mut machine: Destination, event: Event) -> Destination {
        assert_eq!(machine.on(event), Some(Action::Discard), "{event:?} in {machine:?}");
        assert_eq!(machine.on(Event::Succeeded), Some(Action::RecordDiscard));
        assert_eq!(machine.on(Event::Succeeded), Some(Action::SendDiscarded));
        machine.on(Event::Succeeded);
        assert_eq!(machine.state(), State::Discarded);
        machine
    }

    #[test]
    fn a_late_commit_is_refused_and_so_is_an_early_one() {
        for event in [Event::PeerAborted, Event::RollbackAsked, Event::Failed] {
            let mut machine = discards(prepared(), event);
            assert_eq!(machine.on(Event::Commit), Some(Action::SendDiscarded));
            machine.on(Event::Succeeded);
            assert_eq!(machine.state(), State::Discarded);
        }
        discards(Destination::default(), Event::Commit);
    }

    #[test]
    fn before_prepared_a_lost_link_discards_and_after_it_waits() {
        discards(Destination::default(), Event::LinkLost);
        let mut machine = prepared();
        assert_eq!(machine.on(Event::LinkLost), None);
        assert_eq!(machine.state(), State::Waiting);
        discards(machine, Event::RollbackAsked);
    }

    #[test]
    fn a_relayed_commit_counts_only_where_the_link_cannot_bring_one() {
        let mut waiting = prepared();
        waiting.on(Event::LinkLost);
        let mut running = waiting;
        assert_eq!(running.on(Event::CommitRelayed), Some(Action::RecordCommit));
        for action in [Action::RunP2p, Action::Run, Action::SendRunning] {
            assert!(running.on(Event::CommitRelayed).is_none(), "while it is under way");
            assert_eq!(running.on(Event::Succeeded), Some(action));
        }
        running.on(Event::LinkLost);
        assert_eq!(running.state(), State::Running);
        let discarded = discards(waiting, Event::RollbackAsked);
        for mut machine in [Destination::default(), prepared(), discarded, running] {
            let before = machine.state();
            assert_eq!(machine.on(Event::CommitRelayed), None, "{before:?}");
            assert_eq!(machine.state(), before);
        }
    }

    /// The loop asks before it calls a failed action an ABORT of the peer: in no state may that leave it stuck.
    #[test]
    fn an_abort_that_is_heeded_always_leads_on() {
        let paths: [&[Event]; 4] = [
            &[Event::Manifest, Event::Succeeded, Event::Succeeded, Event::Verify, Event::Succeeded, Event::Commit],
            &[Event::Manifest, Event::Failed, Event::Succeeded, Event::Succeeded],
            &[Event::Manifest, Event::Succeeded, Event::Succeeded, Event::Commit, Event::Succeeded, Event::Succeeded],
            &[Event::Manifest, Event::Failed, Event::Failed, Event::Failed],
        ];
        for path in paths {
            let mut machine = Destination::default();
            for event in path {
                machine.on(*event);
                let mut aborted = machine;
                let doing = matches!(machine.state(), State::Doing(_));
                if doing && machine.heeds_abort() {
                    assert!(aborted.on(Event::PeerAborted).is_some() || aborted.state() != machine.state());
                } else if doing {
                    assert!(aborted.on(Event::Failed).is_some() || aborted.state() != machine.state());
                }
            }
        }
    }

    /// What the loop may make of a failed action, and what an action that died leaves: in no state may one be lost.
    #[test]
    fn every_failure_of_every_action_leads_on() {
        for state in every_state() {
            let State::Doing(action) = state.state() else { continue };
            // All that the loop makes of an error, whatever kind it is of.
            let events = [Event::Failed, Event::Interrupted, Event::LinkLost, Event::RollbackAsked, Event::PeerAborted];
            for event in events {
                let mut after = state;
                let next = after.on(event);
                assert!(next.is_some() || !matches!(after.state(), State::Doing(_)), "{action:?} {event:?}");
            }
        }
    }

    /// One that may run is finished, every other one is dropped, however often something failed before.
    #[test]
    fn from_every_state_the_owner_leads_to_an_end() {
        for state in every_state() {
            let mut machine = state;
            for event in [Event::Interrupted, Event::LinkLost, Event::CommitRelayed, Event::RollbackAsked] {
                let mut next = machine.on(event);
                while next.is_some() {
                    next = machine.on(Event::Succeeded);
                }
            }
            assert!(matches!(machine.state(), State::Running | State::Discarded), "{state:?} {machine:?}");
            if state.is_committed() {
                assert_eq!(machine.state(), State::Running, "{state:?}");
            }
        }
    }

    /// Every state that any order of events leads to.
    fn every_state() -> Vec<Destination> {
        let events = [
            Event::Succeeded,
            Event::Failed,
            Event::LinkLost,
            Event::Manifest,
            Event::Verify,
            Event::Commit,
            Event::CommitRelayed,
            Event::PeerAborted,
            Event::RollbackAsked,
            Event::Interrupted,
        ];
        reachable(Destination::default(), &events, Destination::on)
    }

    #[test]
    fn runs_once_and_answers_a_repeated_commit_the_same() {
        let mut machine = prepared();
        for action in [Action::RecordCommit, Action::RunP2p, Action::Run, Action::SendRunning] {
            let event = if action == Action::RecordCommit { Event::Commit } else { Event::Succeeded };
            assert_eq!(machine.on(event), Some(action));
            assert_ne!(machine.state(), State::Running);
        }
        assert_eq!(machine.on(Event::LinkLost), None);
        assert_eq!(machine.state(), State::Running);
        assert_eq!(machine.on(Event::RollbackAsked), None);
        assert_eq!(machine.on(Event::Commit), Some(Action::SendRunning));
        machine.on(Event::Succeeded);
        assert_eq!(machine.state(), State::Running);
    }

    #[test]
    fn a_device_that_does_not_come_up_after_commit_is_never_called_discarded() {
        let mut machine = prepared();
        machine.on(Event::Commit);
        machine.on(Event::Succeeded);
        assert_eq!(machine.on(Event::Failed), Some(Action::SendFailed));
        machine.on(Event::Succeeded);
        assert_eq!(machine.state(), State::NeedsPerson);
        assert_eq!(machine.on(Event::RollbackAsked), None);
    }
}
