//! Every state that the two machines, the network, both disks and the owner can come to, by any number of faults in any
//! order. Only the number of messages on the way is bounded, at [`ON_THE_WAY`] in each direction.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::chance::{ALL, Chance};
use super::world::{Flaw, World};
use crate::destination::State as Ds;
use crate::source::Action as Sa;

/// More would be copies of the same: neither side has more than this to say before it hears an answer.
const ON_THE_WAY: usize = 2;

/// How a state was reached first.
struct Reached {
    from: Option<usize>,
    by: Option<Chance>,
}

struct Explored {
    worlds: Vec<World>,
    reached: Vec<Reached>,
}

impl Explored {
    /// Breadth first, so that the way to a fault is as short as can be.
    ///
    /// # Errors
    /// The shortest way to what must never be.
    fn from(start: World) -> Result<Self, Vec<Chance>> {
        let mut known = HashMap::from([(start.clone(), 0)]);
        let mut found = Self { worlds: vec![start], reached: vec![Reached { from: None, by: None }] };
        let mut at = 0;
        while at < found.worlds.len() {
            for chance in ALL {
                let mut world = found.worlds[at].clone();
                if catch_unwind(AssertUnwindSafe(|| world.step(chance))).is_err() {
                    let mut way = found.way_to(at);
                    way.push(chance);
                    return Err(way);
                }
                if world.to_destination.len() > ON_THE_WAY || world.to_source.len() > ON_THE_WAY {
                    continue;
                }
                let next = found.worlds.len();
                if *known.entry(world.clone()).or_insert(next) == next {
                    found.worlds.push(world);
                    found.reached.push(Reached { from: Some(at), by: Some(chance) });
                }
            }
            at += 1;
        }
        Ok(found)
    }

    fn way_to(&self, mut at: usize) -> Vec<Chance> {
        let mut way = Vec::new();
        while let Reached { from: Some(from), by: Some(by) } = self.reached[at] {
            way.push(by);
            at = from;
        }
        way.reverse();
        way
    }
}

/// Never two runners, nothing runs unloaded or without COMMIT: `World::step` asserts it after each of these steps. And a
/// recovery from any of these states, with nothing else failing, ends with the workload running on one side, or with a
/// machine that says why it cannot.
#[test]
fn no_order_of_faults_makes_two_run_and_a_recovery_ends_every_run() {
    for verify in [false, true] {
        let explored = Explored::from(World::new(verify)).unwrap_or_else(|way| panic!("broken by {way:?}"));
        for (at, world) in explored.worlds.iter().enumerate() {
            let mut recovered = world.clone();
            if catch_unwind(AssertUnwindSafe(|| recovered.recover())).is_err() {
                panic!("recovering after {:?}", explored.way_to(at));
            }
            assert!(is_over(&recovered), "after {:?}: {recovered:?}", explored.way_to(at));
            // A cancel before COMMIT ends with the source running; while COMMIT is written, it may come too late.
            let writes = world.source_act == Some(Sa::RecordCommit);
            if world.source.is_some_and(|machine| !machine.is_committed()) && !world.source_record && !writes {
                let mut cancelled = world.clone();
                cancelled.step(Chance::CancelSource);
                cancelled.settle();
                assert!(cancelled.source_runs, "cancelled after {:?}: {cancelled:?}", explored.way_to(at));
            }
        }
        let states = explored.worlds.len();
        println!("verify {verify}: {states} states");
        // Fewer: something can no longer happen. More: look at what can.
        assert_eq!(states, if verify { 290_796 } else { 217_676 });
        let written = format!("{} {:03}", states / 1000, states % 1000);
        assert!(include_str!("../../../../docs/internals.md").contains(&written), "docs/internals.md: {written}");
    }
}

/// The negative control: each of these mistakes breaks what is asserted, by few steps.
#[test]
fn every_flaw_is_found() {
    for flaw in [Flaw::ResumesAfterCommit, Flaw::SkipsVoid, Flaw::SendsBeforeSync, Flaw::CommitsOverDiscard] {
        let start = World { flaw: Some(flaw), ..World::new(false) };
        let way = Explored::from(start).err();
        println!("{flaw:?}: {way:?}");
        assert!(way.is_some(), "{flaw:?} was not found");
    }
}

fn is_over(world: &World) -> bool {
    if world.source_runs || world.destination_runs {
        return true;
    }
    match &world.destination {
        // A device or a disk failed after COMMIT: it says so. Or it dropped the run, and there is no source left to run.
        Some(machine) => match machine.state() {
            Ds::NeedsPerson => true,
            Ds::Discarded => world.source.is_none(),
            _ => false,
        },
        // It died with the workload after COMMIT, or after its source.
        None => world.destination_record || world.source.is_none(),
    }
}
