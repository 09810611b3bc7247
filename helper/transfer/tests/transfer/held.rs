//! Pre-copy that is held, and what the owner changes while it is under way. What must not go on for ever would hang.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use ferry_base::message::num::Bytes;
use ferry_base::message::{Event, Hold, PrecopyEnd, TuneParams};

use crate::proxy::{Meddler, Meddling, Way};
use crate::rig::{Hands, PAGE, Ran, Rig};

const LONG: u64 = 600_000;

impl Hands {
    pub fn await_event(&self, what: &str, matches: impl Fn(&[Event]) -> bool) {
        let began = Instant::now();
        while !matches(&self.events.0.lock().unwrap()) {
            assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn await_rounds(&self, count: usize) {
        self.await_event("rounds", |events| ended(events) >= count);
    }
}

fn ended(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::RoundEnd { .. })).count()
}

fn held(interval_ms: u64, owner: impl FnOnce(&Hands) + Send + 'static) -> Rig {
    let mut rig = Rig { owner: Some(Box::new(owner)), ..Rig::new() };
    rig.precopy.hold = Some(Hold { interval_ms });
    rig
}

fn precopy(ran: &Ran) -> (PrecopyEnd, u32) {
    let reply = ran.precopy.as_ref().expect("ran").as_ref().expect("ok");
    let forecast = reply.forecast;
    assert!(forecast.low_us <= forecast.expected_us && forecast.expected_us <= forecast.high_us);
    assert_eq!(forecast.expected_us, reply.estimated_blackout_us);
    (reply.reason, reply.rounds)
}

#[test]
fn a_held_run_goes_on_past_its_bounds_until_it_is_continued() {
    let mut rig = held(10, |hands| {
        hands.await_rounds(12);
        hands.steer.proceed();
    });
    (rig.precopy.max_rounds, rig.precopy.max_time_ms) = (1, 0);
    // Written while it is held: in the rounds, and between them.
    rig.rounds = (0..30).map(|read| vec![read % 7 * PAGE, 0x1000_0000 + read * PAGE]).collect();
    let ran = rig.run();
    let (reason, rounds) = precopy(&ran);
    assert_eq!(reason, PrecopyEnd::Released);
    assert!(rounds >= 12, "{rounds} rounds");
    ran.assert_moved();
}

#[test]
fn a_rest_ends_at_the_word_and_a_last_round_follows() {
    let mut rig = held(LONG, |hands| {
        hands.await_rounds(1);
        thread::sleep(Duration::from_millis(20));
        hands.steer.proceed();
    });
    rig.rounds = vec![vec![], vec![], vec![0x5000, 0x6000], vec![]];
    let ran = rig.run();
    assert_eq!(precopy(&ran), (PrecopyEnd::Released, 2));
    ran.assert_moved();
    let events = ran.events[0].0.lock().unwrap();
    let pages = events.iter().filter_map(|event| match event {
        Event::RoundStart { pages, .. } => Some(*pages),
        _ => None,
    });
    assert_eq!(pages.collect::<Vec<_>>(), [320, 2], "what was written during the rest went in the last round");
}

#[test]
fn a_word_that_comes_early_counts() {
    let mut rig = held(LONG, |_| {});
    rig.owner = Some(Box::new(|hands| hands.steer.proceed()));
    let ran = rig.run();
    assert_eq!(precopy(&ran).0, PrecopyEnd::Released);
    ran.assert_moved();
}

#[test]
fn a_hold_ends_by_a_cancel_by_the_other_side_and_by_the_links_end() {
    for side in 0..2 {
        let rig = held(LONG, move |hands| {
            hands.await_rounds(1);
            thread::sleep(Duration::from_millis(20));
            hands.cancels[side].store(true, Ordering::SeqCst);
        });
        let ran = rig.run();
        assert_eq!(ran.cause(), "run/cancelled", "side {side}");
        ran.assert_undone("cancel in the hold");
    }
    for encrypt in [false, true] {
        let mut rig = held(LONG, |_| {});
        rig.encrypt = encrypt;
        if encrypt {
            // Under TLS no frame can be counted; a peer that is gone closes.
            rig.owner = Some(Box::new(|hands| {
                hands.await_rounds(1);
                hands.cancels[1].store(true, Ordering::SeqCst);
            }));
        } else {
            // After READY and the first round's answer.
            rig.meddler = Some(Meddler { way: Way::ToSource, at: 1, meddling: Meddling::CutAfter });
        }
        let ran = rig.run();
        assert_eq!(ran.cause(), if encrypt { "run/cancelled" } else { "link/lost" });
        ran.assert_undone("link lost in the hold");
    }
}

#[test]
fn the_cap_and_the_streams_change_on_the_way() {
    for streams in [1, 3] {
        let rig = Rig {
            streams,
            ..held(20, move |hands| {
                hands.await_event("a round", |events| {
                    events.iter().any(|event| matches!(event, Event::RoundStart { .. }))
                });
                let tune =
                    |bandwidth, streams| TuneParams { bandwidth: Some(bandwidth), streams, downtime_limit_ms: None };
                let refused = hands.steer.tune(tune(None, Some(streams + 1))).expect_err("more than are connected");
                assert_eq!(refused.code, "request/bad-params");
                hands.steer.tune(tune(None, Some(1))).expect("one is there");
                hands.await_rounds(3);
                hands.steer.tune(tune(Some(Bytes(1 << 30)), Some(streams))).expect("all are there");
                hands.await_rounds(6);
                hands.steer.proceed();
            })
        };
        // Weeks, were it not for the owner.
        let ran = rig.throttled(1).run();
        assert_eq!(precopy(&ran).0, PrecopyEnd::Released);
        ran.assert_moved();
    }
}

#[test]
fn a_looser_limit_lets_precopy_converge_and_the_cutover_keeps_its_own() {
    let mut rig = Rig {
        owner: Some(Box::new(|hands: &Hands| {
            hands.await_rounds(5);
            hands.steer.tune(TuneParams { downtime_limit_ms: Some(20_000), ..TuneParams::default() }).expect("fits");
        })),
        ..Rig::new()
    };
    (rig.precopy.max_rounds, rig.precopy.downtime_limit_ms) = (u32::MAX, 0);
    let ran = rig.run();
    let (reason, rounds) = precopy(&ran);
    assert_eq!(reason, PrecopyEnd::Converged);
    assert!(rounds >= 5);
    ran.assert_moved();

    let mut rig = Rig {
        owner: Some(Box::new(|hands: &Hands| {
            hands.steer.tune(TuneParams { downtime_limit_ms: Some(20_000), ..TuneParams::default() }).expect("fits");
        })),
        ..Rig::new()
    };
    rig.cutover.downtime_limit_ms = 0;
    let ran = rig.run();
    assert_eq!(ran.cause(), "limit/downtime", "nothing raises the cutover's own limit");
    ran.assert_undone("own limit");
}
