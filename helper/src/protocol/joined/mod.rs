//! Both machines, joined by a network that delays, repeats and cuts, on hosts that fail and crash at any step. What is
//! asserted is what must hold whatever happens.

mod world;

use proptest::prelude::*;

use super::destination::State as Ds;
use super::source::State as Ss;
use world::{Chance, World};

fn chances() -> impl Strategy<Value = Chance> {
    prop_oneof![
        30 => Just(Chance::SourceActs),
        30 => Just(Chance::DestinationActs),
        20 => Just(Chance::ToDestination),
        20 => Just(Chance::ToSource),
        10 => Just(Chance::SourceFails),
        6 => Just(Chance::DestinationFails),
        15 => any::<bool>().prop_map(|on_disk| Chance::RecordDoubtful { on_disk }),
        6 => any::<bool>().prop_map(|left| Chance::CommitHalfSent { left }),
        2 => Just(Chance::RepeatToDestination),
        2 => Just(Chance::RepeatToSource),
        1 => Just(Chance::Cut),
        1 => Just(Chance::CancelSource),
        1 => Just(Chance::CancelDestination),
        1 => Just(Chance::SourceCrashes),
        1 => Just(Chance::DestinationCrashes),
    ]
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
        // After a recovery with both sides alive somebody runs, unless a device or disk failed after COMMIT.
        if let (Some(source), Some(destination)) = (&world.source, &world.destination) {
            let stuck = destination.state() == Ds::NeedsPerson || destination.state() == Ds::Waiting;
            prop_assert!(world.source_runs || world.destination_runs || stuck, "nobody runs: {:?} {:?}", source, destination);
        }
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
fn cut_at_every_step_ends_with_one_runner_or_a_known_wait() {
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
            let waiting = world.destination.is_some_and(|machine| machine.state() == Ds::Waiting);
            assert!(world.source_runs ^ world.destination_runs || waiting && world.source_record, "cut at {cut_at}");
        }
    }
}
