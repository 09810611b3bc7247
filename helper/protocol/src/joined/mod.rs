//! Both machines, joined by a network that delays, repeats and cuts, on hosts that fail and crash at any step. What is
//! asserted is what must hold whatever happens.

mod chance;
mod exhaustive;
mod owner;
mod world;

use proptest::prelude::*;

use super::destination::State as Ds;
use super::source::{Action as Sa, State as Ss};
use chance::{Chance, around_commit, chances};
use world::World;

#[test]
fn a_commit_relayed_after_the_source_died_runs_on_the_destination_alone() {
    for verify in [false, true] {
        for dies_at in 0..200 {
            let mut world = World::new(verify);
            for step in 0..dies_at {
                world.step(World::ROUND[step % 4]);
            }
            world.step(Chance::SourceCrashes);
            world.recover();
            assert!(world.source_runs ^ world.destination_runs, "died at {dies_at}");
            assert_eq!(world.destination_runs, world.source_record, "died at {dies_at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn never_two_runners_and_never_stopped_without_a_reason(
        verify in any::<bool>(),
        calm in 0usize..64,
        schedule in prop::collection::vec(chances(), 0..60),
    ) {
        let mut world = World::new(verify);
        // However deep a run has come, from there on anything may happen.
        for step in 0..calm {
            world.step(World::ROUND[step % 4]);
        }
        for chance in schedule {
            world.step(chance);
        }
        world.settle();
        if let Some(machine) = &world.source {
            match machine.state() {
                // A COMMIT record that could not be voided may stay only where the destination has dropped the run.
                Ss::RolledBack | Ss::NeedsPerson => prop_assert!(
                    world.source_runs && (!world.source_record || world.commit_left || world.destination_dropped())
                ),
                // Stopped for good only where COMMIT may be known to somebody.
                Ss::Done => prop_assert!(world.commit_left && !world.source_runs),
                Ss::Unknown => prop_assert!((world.commit_left || world.source_record || machine.is_committed()) && !world.source_runs),
                other => prop_assert!(false, "did not come to rest: {:?}", other),
            }
        }
        world.recover();
        // After a recovery somebody runs and no one waits, unless a device or disk failed after COMMIT, or the
        // destination died with it.
        if let Some(destination) = &world.destination {
            prop_assert!(destination.state() != Ds::Waiting, "waits for ever: {:?}", world.source);
            let no_source_left = world.source.is_none() && destination.state() == Ds::Discarded;
            let stuck = destination.state() == Ds::NeedsPerson || no_source_left;
            prop_assert!(world.source_runs || world.destination_runs || stuck, "no one runs: {:?}", world.source);
        } else if !world.destination_record {
            prop_assert!(world.source_runs || world.source.is_none(), "no one runs: {:?}", world.source);
        }
    }

    /// From the moment of COMMIT on, with an owner that asks and acts whenever it likes on what it was told.
    #[test]
    fn an_owner_that_is_late_or_hasty_starts_no_second_runner(
        verify in any::<bool>(),
        doubtful in prop::option::of(any::<bool>()),
        schedule in prop::collection::vec(around_commit(), 0..24),
    ) {
        let mut world = World::new(verify);
        while world.source_act != Some(Sa::RecordCommit) {
            World::ROUND.into_iter().for_each(|chance| world.step(chance));
        }
        if let Some(on_disk) = doubtful {
            world.step(Chance::RecordDoubtful { on_disk });
        }
        for chance in schedule {
            world.step(chance);
        }
        world.recover();
        prop_assert!(world.destination.is_none_or(|machine| machine.state() != Ds::Waiting));
    }

    #[test]
    fn without_faults_it_ends_running(verify in any::<bool>(), order in prop::collection::vec(0u8..4, 400)) {
        let mut world = World::new(verify);
        for pick in order {
            world.step(World::ROUND[usize::from(pick)]);
        }
        prop_assert_eq!(world.source.map(|machine| machine.state()), Some(Ss::Done));
        prop_assert_eq!(world.destination.map(|machine| machine.state()), Some(Ds::Running));
        prop_assert!(world.destination_runs && !world.source_runs);
    }
}

#[test]
fn cut_at_every_step_a_recovery_ends_with_one_runner() {
    for verify in [false, true] {
        for cut_at in 0..200 {
            let mut world = World::new(verify);
            for step in 0..cut_at {
                world.step(
                    [Chance::SourceActs, Chance::ToDestination, Chance::DestinationActs, Chance::ToSource][step % 4],
                );
            }
            world.settle();
            world.recover();
            assert!(world.source_runs ^ world.destination_runs, "cut at {cut_at}");
        }
    }
}
