//! Pages over several connections: all of them arrive, none overtakes another, and a stream that breaks takes the round
//! with it.

use ferry_base::message::{Event, ReceiveOutcome};
use proptest::prelude::*;

use crate::network::Fault;
use crate::rig::{PAGE, Ran, Rig};

const MIB: u64 = 1 << 20;
/// Random pages are two thirds of it.
const AREAS: [(u64, u64); 2] = [(0, 5 * MIB), (0x1000_0000, 2 * MIB)];

fn rig(streams: u16) -> Rig {
    Rig { streams, areas: AREAS.to_vec(), network: Some(Fault::None), ..Rig::new() }
}

fn rounds_ended(ran: &Ran) -> usize {
    ran.events[0].0.lock().unwrap().iter().filter(|event| matches!(event, Event::RoundEnd { .. })).count()
}

/// Threads take what there is, and on a busy machine one may come too late for its share of a few megabytes.
const TRIES: usize = 40;

/// The ends of rounds, whatever their number here: no page.
const WORDS: u64 = 4096;

/// How many streams carried a share that is more than words.
fn busy(ran: &Ran) -> usize {
    ran.carried.iter().filter(|bytes| **bytes > MIB / 4).count()
}

#[test]
fn pages_go_over_the_streams_in_use_and_no_others() {
    for (streams, used) in [(1, 1), (2, 2), (4, 4), (4, 2), (3, 1)] {
        let all_in_use = (0..TRIES).any(|_| {
            let ran = Rig { r#use: Some(used), ..rig(streams) }.run();
            ran.assert_moved();
            assert_eq!(ran.carried.len(), usize::from(streams));
            // Counted in the order they came in, and all but the first are dialled at once.
            assert!(
                ran.carried.iter().filter(|bytes| **bytes > WORDS).count() <= usize::from(used),
                "{:?}",
                ran.carried
            );
            busy(&ran) == usize::from(used)
        });
        assert!(all_in_use, "never all {used} of {streams}");
    }
}

#[test]
fn streams_move_the_same_under_tls() {
    let all_in_use = (0..TRIES).any(|_| {
        let ran = Rig { encrypt: true, ..rig(3) }.run();
        ran.assert_moved();
        busy(&ran) == 3
    });
    assert!(all_in_use, "never all three");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Rounds of any size, so that some are spread and some are not, and the same pages again and again.
    #[test]
    fn every_page_arrives_whatever_the_streams(
        streams in prop::sample::select(vec![1u16, 2, 4, 7]),
        rounds in prop::collection::vec(prop::collection::vec((0u64..1280, 1u64..400), 0..6), 5),
    ) {
        let pages = |runs: &Vec<(u64, u64)>| -> Vec<u64> {
            runs.iter().flat_map(|(from, count)| (*from..(from + count).min(1280)).map(|page| page * PAGE)).collect()
        };
        let mut rig = rig(streams);
        rig.rounds = rounds.iter().map(pages).collect();
        // No round is short of time and none converges: all of them are sent.
        rig.precopy.downtime_limit_ms = 0;
        let ran = rig.run();
        ran.assert_moved();
        let reply = ran.cutover.as_ref().expect("cut over");
        prop_assert_eq!(reply.verified.as_ref().map(|verified| verified.mismatches.len()), Some(0));
    }
}

#[test]
fn a_stream_cut_in_a_round_ends_it_on_both_sides_and_nothing_is_acknowledged() {
    for streams in [2, 4] {
        for connection in 0..usize::from(streams) {
            let encrypt = connection == 1;
            // Inside the first round, of about 5 MiB over at most four streams; some of it is behind the cut. On a busy
            // machine a stream may come too late for so much, and then nothing is cut.
            let ran = (0..TRIES)
                .map(|_| {
                    let mut rig = Rig { encrypt, ..rig(streams) };
                    rig.network = Some(Fault::Cut { connection, after: 64 * 1024 });
                    rig.throttled(10 * MIB).run()
                })
                .find(|ran| ran.cause() != "none")
                .expect("the cut came");
            let what = format!("stream {connection} of {streams}: {}", ran.cause());
            assert!(["link/lost", "wire/truncated"].contains(&ran.cause()), "{what}");
            assert_eq!(rounds_ended(&ran), 0, "{what}");
            ran.assert_undone(&what);
            let received = ran.receive.as_ref().expect("reply");
            assert_eq!(received.outcome, ReceiveOutcome::Discarded, "{what}");
            let reason = received.reason.as_deref().unwrap_or_default();
            assert!(reason.contains("link/lost") || reason.contains("wire/truncated"), "{what}: {reason}");
        }
    }
}

#[test]
fn a_cancel_with_streams_is_told_as_one() {
    let mut rig = rig(4).throttled(4 * MIB);
    rig.cancel_source = Some(std::time::Duration::from_millis(300));
    let ran = rig.run();
    assert_eq!(ran.cause(), "run/cancelled");
    ran.assert_undone("cancel");
    let received = ran.receive.as_ref().expect("reply");
    assert!(received.reason.as_deref().is_some_and(|reason| reason.contains("run/cancelled")), "{received:?}");

    let mut rig = self::rig(4).throttled(4 * MIB);
    rig.cancel_destination = Some(std::time::Duration::from_millis(300));
    let ran = rig.run();
    assert_eq!(ran.cause(), "run/cancelled");
    ran.assert_undone("cancel");
}
