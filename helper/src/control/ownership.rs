//! Who drives this helper, and when it ends: a pure machine, events in, actions out. No I/O, no clock.
//!
//! One connection at a time is the owner: the first that asks for something of a run. What it leaves behind is settled
//! before anything its successor asks for: whatever can be undone is, and the session says what stands. The helper
//! stays for a successor as long as something stands; without that it ends with its stdin.

use crate::session::Standing;

/// Of a connection.
pub type Id = u64;

/// The one over stdin and stdout, of the process that started this helper.
pub const STDIN: Id = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A connection asks for something of a run.
    Asked(Id),
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
                    vec![Action::Own(from), Action::Serve]
                }
            },
            Event::Gone(id) => self.gone(id),
            Event::Settled(standing) => self.settled(standing),
            Event::ChildStarted => {
                self.children += 1;
                Vec::new()
            }
            Event::ChildEnded => {
                self.children = self.children.saturating_sub(1);
                if self.owner.is_none() { self.settle() } else { Vec::new() }
            }
            Event::Terminated if self.terminated || self.ended => Vec::new(),
            Event::Terminated => {
                self.terminated = true;
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
        if self.owner == Some(id) {
            self.owner = None;
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
        if self.stdin_gone && !self.detached {
            self.detached = true;
            return vec![Action::Detach];
        }
        Vec::new()
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

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0u64..4).prop_map(Event::Asked),
            2 => (0u64..4).prop_map(Event::Gone),
            3 => prop_oneof![Just(Standing::Nothing), Just(Standing::Holding), Just(Standing::Unfinished)]
                .prop_map(Event::Settled),
            1 => Just(Event::ChildStarted),
            1 => Just(Event::ChildEnded),
            1 => Just(Event::Terminated),
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
            for event in events {
                let possible = match event {
                    Event::Asked(id) => !dead[id as usize],
                    Event::Gone(id) => !std::mem::replace(&mut dead[id as usize], true),
                    Event::Settled(_) => queued > 0,
                    Event::ChildEnded => children > 0,
                    _ => true,
                };
                if !possible || ownership.has_ended() {
                    continue;
                }
                let owner_left = owner.is_some_and(|owner| event == Event::Gone(owner));
                let actions = ownership.on(event);
                match event {
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
                        Action::Cancel | Action::Orphan | Action::Ending => {}
                    }
                }
                if owner_left {
                    prop_assert!(given_up || actions.contains(&Action::Settle));
                    prop_assert!(actions.contains(&Action::Cancel) || actions.contains(&Action::Orphan));
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
