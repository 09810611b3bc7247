//! Who drives this helper, and when it ends: a pure machine, events in, actions out. No I/O, no clock.
//!
//! One connection at a time is the owner: the first that asks for something of a run. What it leaves behind is settled
//! before anything its successor asks for: whatever can be undone is, and the session says what stands. The helper
//! stays for a successor as long as something stands; without that it ends with its stdin.
//!
//! A run that is connected and not yet asked to stop waits for a successor first, for a grace time. Either the successor
//! takes it up, or it is settled: never both.

use crate::session::Standing;

/// Of a connection.
pub type Id = u64;

/// The one over stdin and stdout, of the process that started this helper.
pub const STDIN: Id = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A connection asks for something of a run.
    Asked(Id),
    /// A run was claimed.
    Begun,
    /// It can go on under another owner from here on.
    Connected,
    /// It cannot any more: it was asked to stop its devices, to go back or to end, or it failed.
    Closed,
    /// The grace of this number is over.
    GraceOver(u32),
    /// A connection ended, or fell silent.
    Gone(Id),
    /// What was left behind is settled.
    Settled(Standing),
    /// A command runs with the descriptors, and needs this process for its mappings.
    ChildStarted,
    ChildEnded,
    /// Somebody wants the process to end.
    Terminated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Carry the request out.
    Serve,
    /// Refuse it: another connection drives the run.
    Busy,
    /// Refuse it: the process is about to end.
    Ending,
    /// Events go there from now on.
    Own(Id),
    /// Events go nowhere.
    Disown,
    /// What is under way goes on without an owner, and stops no device; after the grace `GraceOver` is told this number.
    Wait(u32),
    /// What is under way has an owner again.
    GoOn,
    /// What is under way stops as soon as it can.
    Cancel,
    /// What is under way has lost its owner.
    Orphan,
    /// Queue the settling, behind everything that was served.
    Settle,
    /// Queue the settling and the end of everything that stands.
    GiveUp,
    /// Close the terminal and the pipes of the process that started this helper.
    Detach,
    End,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Ownership {
    owner: Option<Id>,
    stdin_gone: bool,
    detached: bool,
    /// Settlings queued and not reported yet.
    unsettled: u32,
    children: u32,
    terminated: bool,
    ended: bool,
    run: Run,
    /// The grace under way.
    grace: Option<u32>,
    graces: u32,
}

/// Whether another owner may go on with the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Run {
    #[default]
    None,
    Begun,
    Connected,
    Closed,
}

impl Ownership {
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    pub fn on(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Asked(_) if self.terminated || self.ended => vec![Action::Ending],
            Event::Asked(from) => match self.owner {
                Some(owner) if owner == from => vec![Action::Serve],
                Some(_) => vec![Action::Busy],
                None => {
                    self.owner = Some(from);
                    match self.grace.take() {
                        Some(_) => vec![Action::Own(from), Action::GoOn, Action::Serve],
                        None => vec![Action::Own(from), Action::Serve],
                    }
                }
            },
            Event::Begun => {
                self.run = Run::Begun;
                Vec::new()
            }
            Event::Connected => {
                // One that lost its owner on the way is being settled.
                if self.run == Run::Begun && self.owner.is_some() && !self.terminated {
                    self.run = Run::Connected;
                }
                Vec::new()
            }
            Event::Closed => {
                self.close_run();
                self.no_longer_waits()
            }
            Event::GraceOver(number) if self.grace == Some(number) => {
                self.run = Run::Closed;
                self.no_longer_waits()
            }
            Event::GraceOver(_) => Vec::new(),
            Event::Gone(id) => self.gone(id),
            Event::Settled(standing) => self.settled(standing),
            Event::ChildStarted => {
                self.children += 1;
                Vec::new()
            }
            Event::ChildEnded => {
                self.children = self.children.saturating_sub(1);
                if self.owner.is_none() && self.grace.is_none() { self.settle() } else { Vec::new() }
            }
            Event::Terminated if self.terminated || self.ended => Vec::new(),
            Event::Terminated => {
                self.terminated = true;
                self.run = Run::Closed;
                self.grace = None;
                self.unsettled += 1;
                vec![Action::Cancel, Action::GiveUp]
            }
        }
    }

    fn gone(&mut self, id: Id) -> Vec<Action> {
        if self.ended {
            return Vec::new();
        }
        self.stdin_gone |= id == STDIN;
        if self.owner == Some(id) && self.run == Run::Connected {
            self.owner = None;
            self.graces += 1;
            self.grace = Some(self.graces);
            let mut actions = vec![Action::Disown, Action::Wait(self.graces)];
            actions.extend(self.leave_starter());
            return actions;
        }
        if self.grace.is_some() {
            return self.leave_starter().into_iter().collect();
        }
        if self.owner == Some(id) {
            self.owner = None;
            self.close_run();
            let mut actions = vec![Action::Disown, Action::Orphan];
            actions.extend(self.settle());
            return actions;
        }
        // The process that started this helper and drove nothing: only whether the process ends is open.
        if id == STDIN && self.owner.is_none() { self.settle() } else { Vec::new() }
    }

    /// A command that was started with the descriptors is not over yet.
    pub fn has_children(&self) -> bool {
        self.children > 0
    }

    fn settle(&mut self) -> Vec<Action> {
        if self.terminated || self.ended {
            return Vec::new();
        }
        self.unsettled += 1;
        vec![Action::Settle]
    }

    fn settled(&mut self, standing: Standing) -> Vec<Action> {
        self.unsettled = self.unsettled.saturating_sub(1);
        if self.unsettled > 0 || self.ended {
            return Vec::new();
        }
        // A successor that asked meanwhile finds nothing to drive, and its connection closed.
        if self.terminated || (self.stdin_gone && standing == Standing::Nothing && self.children == 0) {
            self.ended = true;
            return vec![Action::End];
        }
        self.leave_starter().into_iter().collect()
    }

    /// A process that stays holds no terminal and no pipe of the one that started it.
    fn leave_starter(&mut self) -> Option<Action> {
        if self.stdin_gone && !self.detached {
            self.detached = true;
            return Some(Action::Detach);
        }
        None
    }

    fn close_run(&mut self) {
        if self.run != Run::None {
            self.run = Run::Closed;
        }
    }

    fn no_longer_waits(&mut self) -> Vec<Action> {
        if self.grace.take().is_none() {
            return Vec::new();
        }
        let mut actions = vec![Action::Orphan];
        actions.extend(self.settle());
        actions
    }

    /// Whether its owner may go on with a run that another one began.
    pub fn may_go_on(&self) -> bool {
        self.run == Run::Connected
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_helper_that_holds_nothing_ends_with_its_owner() {
        let mut ownership = Ownership::default();
        assert_eq!(ownership.on(Event::Asked(STDIN)), [Action::Own(STDIN), Action::Serve]);
        assert_eq!(ownership.on(Event::Asked(1)), [Action::Busy]);
        assert_eq!(ownership.on(Event::Gone(STDIN)), [Action::Disown, Action::Orphan, Action::Settle]);
        assert_eq!(ownership.on(Event::Settled(Standing::Nothing)), [Action::End]);
        assert_eq!(ownership.on(Event::Asked(1)), [Action::Ending]);
    }

    #[test]
    fn a_run_that_may_not_be_undone_waits_for_its_next_owner() {
        let mut ownership = Ownership::default();
        ownership.on(Event::Asked(STDIN));
        ownership.on(Event::Gone(STDIN));
        assert_eq!(ownership.on(Event::Settled(Standing::Unfinished)), [Action::Detach]);
        assert_eq!(ownership.on(Event::Asked(4)), [Action::Own(4), Action::Serve]);
        assert_eq!(ownership.on(Event::Gone(4)), [Action::Disown, Action::Orphan, Action::Settle]);
        assert_eq!(ownership.on(Event::Settled(Standing::Unfinished)), []);
        assert_eq!(ownership.on(Event::Asked(5)), [Action::Own(5), Action::Serve]);
        ownership.on(Event::Gone(5));
        assert_eq!(ownership.on(Event::Settled(Standing::Nothing)), [Action::End]);
    }

    #[test]
    fn a_command_that_was_started_keeps_the_process_until_it_ends() {
        let mut ownership = Ownership::default();
        ownership.on(Event::Asked(STDIN));
        ownership.on(Event::ChildStarted);
        ownership.on(Event::Gone(STDIN));
        assert_eq!(ownership.on(Event::Settled(Standing::Nothing)), [Action::Detach]);
        assert_eq!(ownership.on(Event::ChildEnded), [Action::Settle]);
        assert_eq!(ownership.on(Event::Settled(Standing::Nothing)), [Action::End]);
    }

    #[test]
    fn the_end_is_given_to_whoever_asks_for_it_once() {
        let mut ownership = Ownership::default();
        ownership.on(Event::Asked(STDIN));
        assert_eq!(ownership.on(Event::Terminated), [Action::Cancel, Action::GiveUp]);
        assert_eq!(ownership.on(Event::Terminated), []);
        assert_eq!(ownership.on(Event::Asked(STDIN)), [Action::Ending]);
        assert_eq!(ownership.on(Event::Settled(Standing::Nothing)), [Action::End]);
    }

    /// Connected, with its owner gone: it waits.
    fn waiting() -> Ownership {
        let mut ownership = Ownership::default();
        ownership.on(Event::Asked(STDIN));
        ownership.on(Event::Begun);
        ownership.on(Event::Connected);
        assert_eq!(ownership.on(Event::Gone(STDIN)), [Action::Disown, Action::Wait(1), Action::Detach]);
        ownership
    }

    #[test]
    fn a_connected_run_waits_and_is_either_taken_up_or_settled() {
        let mut taken = waiting();
        assert_eq!(taken.on(Event::Asked(3)), [Action::Own(3), Action::GoOn, Action::Serve]);
        assert!(taken.may_go_on());
        assert_eq!(taken.on(Event::GraceOver(1)), [], "it came in time");
        assert_eq!(taken.on(Event::Asked(4)), [Action::Busy], "two at once");
        // It is killed, too.
        assert_eq!(taken.on(Event::Gone(3)), [Action::Disown, Action::Wait(2)]);
        assert_eq!(taken.on(Event::GraceOver(1)), [], "an older grace");
        assert_eq!(taken.on(Event::GraceOver(2)), [Action::Orphan, Action::Settle]);
        assert_eq!(taken.on(Event::Asked(5)), [Action::Own(5), Action::Serve]);
        assert!(!taken.may_go_on(), "it is being settled");
        assert_eq!(taken.on(Event::Settled(Standing::Nothing)), [Action::End]);
    }

    #[test]
    fn nothing_waits_once_it_was_asked_to_stop_or_to_go_back() {
        let mut ownership = Ownership::default();
        for event in [Event::Asked(STDIN), Event::Begun, Event::Connected, Event::Closed, Event::Connected] {
            ownership.on(event);
        }
        assert_eq!(ownership.on(Event::Gone(STDIN)), [Action::Disown, Action::Orphan, Action::Settle]);
        let mut failed = waiting();
        assert_eq!(failed.on(Event::Closed), [Action::Orphan, Action::Settle], "it failed while it waited");
        let mut ended = waiting();
        assert_eq!(ended.on(Event::Terminated), [Action::Cancel, Action::GiveUp]);
        assert_eq!(ended.on(Event::GraceOver(1)), []);
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0u64..4).prop_map(Event::Asked),
            2 => (0u64..4).prop_map(Event::Gone),
            3 => prop_oneof![Just(Standing::Nothing), Just(Standing::Holding), Just(Standing::Unfinished)]
                .prop_map(Event::Settled),
            1 => Just(Event::ChildStarted),
            1 => Just(Event::ChildEnded),
            1 => Just(Event::Terminated),
            2 => Just(Event::Begun),
            3 => Just(Event::Connected),
            1 => Just(Event::Closed),
            2 => (1u32..6).prop_map(Event::GraceOver),
        ]
    }

    proptest! {
        /// The world around it: connections come once, commands end after they start, and a settling is reported only
        /// when one is queued.
        #[test]
        fn one_owner_settled_before_the_next_and_never_an_end_on_what_stands(
            events in prop::collection::vec(any_event(), 0..120)
        ) {
            let mut ownership = Ownership::default();
            let (mut queued, mut children, mut given_up) = (0u32, 0u32, false);
            let mut owner: Option<Id> = None;
            let mut dead = [false; 4];
            let mut detached = 0;
            let (mut connected, mut waits, mut graces) = (false, None, 0);
            for event in events {
                let possible = match event {
                    Event::Asked(id) => !dead[id as usize],
                    Event::Gone(id) => !std::mem::replace(&mut dead[id as usize], true),
                    Event::Settled(_) => queued > 0,
                    Event::ChildEnded => children > 0,
                    Event::GraceOver(number) => number <= graces,
                    _ => true,
                };
                if !possible || ownership.has_ended() {
                    continue;
                }
                let owner_left = owner.is_some_and(|owner| event == Event::Gone(owner));
                let actions = ownership.on(event);
                match event {
                    Event::Begun => connected = false,
                    Event::Connected => connected |= ownership.may_go_on(),
                    Event::Closed | Event::Terminated => connected = false,
                    Event::GraceOver(number) if waits == Some(number) => connected = false,
                    Event::Settled(_) => queued -= 1,
                    Event::ChildStarted => children += 1,
                    Event::ChildEnded => children -= 1,
                    _ => {}
                }
                for action in &actions {
                    match *action {
                        Action::Serve => prop_assert_eq!(Event::Asked(ownership.owner.expect("served")), event),
                        Action::Busy => prop_assert!(owner.is_some() && event != Event::Asked(owner.expect("some"))),
                        Action::Own(id) => {
                            prop_assert!(owner.is_none(), "{id} while {owner:?}");
                            owner = Some(id);
                        }
                        Action::Disown => owner = None,
                        Action::Settle => {
                            prop_assert!(!given_up);
                            queued += 1;
                        }
                        Action::GiveUp => {
                            given_up = true;
                            queued += 1;
                        }
                        Action::Detach => detached += 1,
                        Action::End => {
                            prop_assert_eq!(queued, 0);
                            let nothing = event == Event::Settled(Standing::Nothing) && children == 0;
                            prop_assert!(given_up || (dead[0] && nothing), "{event:?}");
                        }
                        Action::Wait(number) => {
                            prop_assert!(connected && owner_left && waits.is_none() && number == graces + 1);
                            (waits, graces) = (Some(number), number);
                        }
                        Action::GoOn => {
                            prop_assert!(waits.take().is_some() && matches!(event, Event::Asked(_)));
                        }
                        Action::Orphan => {
                            // What waits is settled once, and only by the end of its own grace or of the run.
                            let ends = matches!(event, Event::Closed) || matches!(event, Event::GraceOver(number) if Some(number) == waits);
                            prop_assert!(waits.is_none() || ends, "{event:?}");
                            waits = None;
                        }
                        Action::Cancel | Action::Ending => {}
                    }
                }
                if given_up {
                    waits = None;
                }
                prop_assert!(waits.is_none() || (owner.is_none() && !ownership.has_ended()));
                if owner_left {
                    let settled = actions.contains(&Action::Settle) && actions.contains(&Action::Orphan);
                    prop_assert!(given_up || settled || waits.is_some());
                    prop_assert!(!connected || given_up || waits.is_some(), "a run that could go on was undone");
                }
                // What ends with nothing left to do does end.
                if dead[0] && queued == 0 && event == Event::Settled(Standing::Nothing) && children == 0 {
                    prop_assert!(ownership.has_ended());
                }
                prop_assert!(detached <= 1 && (detached == 0 || dead[0]));
            }
        }
    }
}
