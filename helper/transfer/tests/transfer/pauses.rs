//! Pauses inside the blackout, and what was expected of it before.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use ferry_base::message::{ContinueParams, CutoverOutcome, CutoverPause, CutoverStep, Event, ReceiveOutcome, Refusal};
use ferry_vfio::device::DeviceState;

use crate::rig::{Hands, Ran, Rig};

const ALL: [CutoverPause; 3] = [CutoverPause::PostQuiesce, CutoverPause::PostStop, CutoverPause::PreResume];

fn await_pause(hands: &Hands, which: CutoverPause) {
    hands.await_event("a pause", |events| {
        events.iter().any(|event| matches!(event, Event::Paused { at } if *at == which))
    });
}

fn paused(at: CutoverPause, owner: impl FnOnce(&Hands) + Send + 'static) -> Rig {
    let mut rig = Rig {
        owner: Some(Box::new(move |hands| {
            await_pause(hands, at);
            owner(hands);
        })),
        ..Rig::new()
    };
    rig.cutover.pauses = vec![at];
    rig
}

fn go_on(hands: &Hands, at: CutoverPause, abort: Option<Refusal>) {
    hands.steer.go_on(ContinueParams { at, abort }).expect("it waits there");
}

fn assert_whole(ran: &Ran) {
    let split = ran.cutover.as_ref().expect("cut over").blackout;
    let parts = [
        split.quiesce_us,
        split.last_pages_us,
        split.state_us,
        split.load_us,
        split.verify_us,
        split.resume_us,
        split.hooks_us,
    ];
    let sum: u64 = parts.iter().sum();
    // The way back is part of the whole and has no part of its own.
    let undone = ran.cause() != "none";
    assert!(if undone { sum <= split.total_us } else { sum == split.total_us }, "{split:?}");
}

#[test]
fn each_pause_comes_where_it_says_and_its_time_is_its_own() {
    const EACH: Duration = Duration::from_millis(60);
    let owner = |hands: &Hands| {
        let states = |seen: &[std::sync::Arc<std::sync::Mutex<crate::fake::Seen>>]| {
            seen.iter().map(|seen| seen.lock().unwrap().state).collect::<Vec<_>>()
        };
        for at in ALL {
            await_pause(hands, at);
            let (here, there) = (states(&hands.source_seen), states(&hands.destination_seen));
            let (expected, loaded) = match at {
                CutoverPause::PostQuiesce => (DeviceState::PreCopyP2p, DeviceState::Resuming),
                CutoverPause::PostStop => (DeviceState::StopCopy, DeviceState::Resuming),
                CutoverPause::PreResume => (DeviceState::StopCopy, DeviceState::Stop),
            };
            assert_eq!((here, there), (vec![expected; 2], vec![loaded; 2]), "{at:?}");
            thread::sleep(EACH);
            go_on(hands, at, None);
        }
    };
    let mut rig = Rig { owner: Some(Box::new(owner)), ..Rig::new() };
    rig.cutover.pauses = ALL.to_vec();
    let ran = rig.run();
    ran.assert_moved();
    assert_whole(&ran);
    let split = ran.cutover.as_ref().expect("cut over").blackout;
    assert!(split.hooks_us >= 3 * EACH.as_micros() as u64, "{split:?}");
    let events = ran.events[0].0.lock().unwrap();
    let booked = events.iter().filter_map(|event| match event {
        Event::Cutover { step: CutoverStep::Quiesce, done: true, elapsed_us } => Some(*elapsed_us),
        _ => None,
    });
    assert_eq!(booked.collect::<Vec<_>>(), [split.quiesce_us], "one part, without the hooks");
}

#[test]
fn a_hook_that_refuses_undoes_the_cutover() {
    for at in ALL {
        let ran = paused(at, move |hands| {
            go_on(hands, at, Some(Refusal { code: "hook/exit".into(), message: "drain: exit 3".into() }));
        })
        .run();
        assert_eq!(ran.cause(), "hook/failed");
        ran.assert_undone("refused");
        let reply = ran.cutover.as_ref().expect("cut over");
        assert_eq!(reply.outcome, CutoverOutcome::RolledBack);
        let said = &reply.cause.as_ref().expect("why").message;
        assert!(said.contains("[hook/exit] drain: exit 3"), "{said}");
        assert_eq!(ran.receive.as_ref().expect("ended").outcome, ReceiveOutcome::Discarded);
        assert_whole(&ran);
    }
}

#[test]
fn a_pause_is_bounded_by_the_limit_and_ends_by_a_cancel_of_either_side() {
    for at in ALL {
        let mut rig = paused(at, |_| {});
        (rig.cutover.downtime_limit_ms, rig.cutover.verify) = (300, false);
        let ran = rig.run();
        assert_eq!(ran.cause(), "limit/downtime");
        ran.assert_undone("no one answered");
        assert_whole(&ran);
        for side in 0..2 {
            let ran = paused(at, move |hands| hands.cancels[side].store(true, Ordering::SeqCst)).run();
            assert_eq!(ran.cause(), "run/cancelled", "{at:?}, side {side}");
            ran.assert_undone("cancel in a pause");
        }
    }
}

/// The link's timeout is 3 s.
#[test]
fn the_destination_waits_while_the_source_is_paused() {
    let pauses = [CutoverPause::PostStop, CutoverPause::PreResume];
    let mut rig = paused(pauses[0], move |hands| {
        for at in pauses {
            await_pause(hands, at);
            thread::sleep(Duration::from_millis(3500));
            go_on(hands, at, None);
        }
    });
    rig.cutover.pauses = pauses.to_vec();
    let ran = rig.run();
    ran.assert_moved();
    assert_whole(&ran);
}

#[test]
fn hooks_are_part_of_what_is_expected_and_refused() {
    let mut rig = Rig::new();
    rig.cutover.hooks_us = 5_000_000;
    let ran = rig.run();
    let forecast = ran.cutover.as_ref().expect("cut over").forecast.expect("it began");
    assert!(forecast.low_us <= forecast.expected_us && forecast.expected_us <= forecast.high_us);
    assert_eq!((forecast.parts.hooks_us, forecast.parts.fixed_us), (5_000_000, 1000));
    assert!(forecast.expected_us >= 5_001_000 && forecast.low_us < 5_000_000);
    ran.assert_moved();

    let mut rig = Rig::new();
    rig.cutover.hooks_us = 20_000_000;
    let ran = rig.run();
    assert_eq!(ran.cause(), "limit/downtime");
    ran.assert_undone("hooks too long");
    let reply = ran.cutover.as_ref().expect("cut over");
    assert!(reply.forecast.is_none() && reply.blackout.total_us == 0, "it did not begin");
}

#[test]
fn a_destination_that_loads_slowly_is_expected_to() {
    let loads = |slow| {
        let mut rig = Rig::new();
        for script in rig.source.iter_mut().chain(&mut rig.destination) {
            script.content = vec![7; 400_000];
            script.precopy = 100_000;
        }
        rig.destination.iter_mut().for_each(|script| script.slow_load = slow);
        let ran = rig.run();
        ran.assert_moved();
        ran.cutover.expect("cut over").forecast.expect("it began").parts.load_us
    };
    // Two devices: a fourth of each went in pre-copy, in one write of 100 ms. What is left takes three times that each.
    assert!(loads(Duration::from_millis(100)) >= 600_000);
    assert!(loads(Duration::ZERO) < 600_000);
}
