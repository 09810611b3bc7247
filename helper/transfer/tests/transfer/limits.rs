//! The downtime limit, and cancels.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ferry_base::message::{CutoverOutcome, Event, ReceiveOutcome};
use ferry_vfio::device::DeviceState;

use crate::fake::Script;
use crate::rig::Rig;

#[test]
fn a_cutover_that_would_pass_the_limit_is_not_started() {
    let mut rig = Rig::new();
    rig.cutover.downtime_limit_ms = 10;
    rig.cutover.fixed_blackout_us = 11_000;
    let ran = rig.run();
    assert_eq!(ran.cause(), "limit/downtime");
    let reply = ran.cutover.as_ref().expect("answered");
    assert_eq!((reply.outcome, reply.blackout.total_us), (CutoverOutcome::RolledBack, 0));
    ran.assert_undone("ceiling");
    let stopped = [DeviceState::StopCopy, DeviceState::PreCopyP2p, DeviceState::Stop];
    for seen in &ran.source_seen {
        assert!(!seen.lock().unwrap().asked.iter().any(|state| stopped.contains(state)), "a device was stopped");
    }
}

#[test]
fn a_limit_passed_on_the_way_is_undone() {
    for state in [DeviceState::PreCopyP2p, DeviceState::StopCopy] {
        let mut rig = Rig::new();
        rig.source[0].delay = Some((state, Duration::from_millis(400)));
        rig.cutover.downtime_limit_ms = 300;
        rig.cutover.verify = false;
        let ran = rig.run();
        assert_eq!(ran.cause(), "limit/downtime", "{state}");
        ran.assert_undone("slow source");
    }
    let mut rig = Rig::new();
    rig.destination[0].delay = Some((DeviceState::Stop, Duration::from_millis(800)));
    rig.cutover.downtime_limit_ms = 300;
    rig.cutover.verify = false;
    let ran = rig.run();
    assert_eq!(ran.cause(), "limit/downtime");
    ran.assert_undone("slow destination");
}

#[test]
fn a_state_stream_that_trickles_meets_the_limit_and_the_cancel() {
    let trickling = || Script { trickles: Some(Duration::from_millis(1)), ..Script::default() };
    let mut rig = Rig::new();
    rig.source[0] = trickling();
    rig.cutover.downtime_limit_ms = 300;
    rig.cutover.verify = false;
    let ran = rig.run();
    assert_eq!(ran.cause(), "limit/downtime");
    ran.assert_undone("a byte each millisecond");

    let mut rig = Rig::new();
    rig.source[0] = trickling();
    rig.owner = Some(Box::new(|hands| {
        hands.await_event("the stop", |events| {
            events.iter().any(|event| matches!(event, Event::DeviceState { to: DeviceState::StopCopy, .. }))
        });
        hands.cancels[0].store(true, Ordering::SeqCst);
    }));
    let ran = rig.run();
    assert_eq!(ran.cause(), "run/cancelled");
    ran.assert_undone("cancelled while it trickled");
}

#[test]
fn what_resuming_needs_is_kept_back_from_the_limit() {
    let mut rig = Rig::new();
    // 250 of 300 ms go by before COMMIT, and resuming may take 100.
    rig.source[0].delay = Some((DeviceState::PreCopyP2p, Duration::from_millis(250)));
    rig.cutover = ferry_base::message::CutoverParams {
        downtime_limit_ms: 500,
        fixed_blackout_us: 490_000,
        verify: false,
        ..rig.cutover
    };
    rig.source[1].delay = Some((DeviceState::StopCopy, Duration::from_millis(150)));
    let ran = rig.run();
    assert_eq!(ran.cause(), "limit/downtime");
    assert!(!ran.source_record.committed);
    ran.assert_undone("reserve");
}

#[test]
fn a_cancel_during_precopy_is_noticed_and_undone_on_both_sides() {
    for source in [true, false] {
        let mut rig = Rig::new().throttled(100_000);
        let after = Some(Duration::from_millis(200));
        if source {
            rig.cancel_source = after;
        } else {
            rig.cancel_destination = after;
        }
        let began = Instant::now();
        let ran = rig.run();
        assert_eq!(ran.cause(), "run/cancelled");
        // Eight seconds and more if it were not noticed.
        assert!(began.elapsed() < Duration::from_secs(6));
        ran.assert_undone("cancel");
        let reply = ran.receive.as_ref().expect("ended");
        assert_eq!(reply.outcome, ReceiveOutcome::Discarded);
        assert!(reply.reason.as_ref().expect("why").contains("run/cancelled"));
    }
}

#[test]
fn a_cancel_in_the_blackout_is_undone() {
    let mut rig = Rig { cancel_source: Some(Duration::from_millis(700)), ..Rig::new() };
    rig.source[0].delay = Some((DeviceState::StopCopy, Duration::from_millis(1500)));
    let ran = rig.run();
    assert_eq!(ran.cause(), "run/cancelled");
    ran.assert_undone("cancel in the blackout");
}

#[test]
fn a_cancel_after_commit_changes_nothing() {
    let mut rig = Rig {
        cancel_source: Some(Duration::from_millis(700)),
        cancel_destination: Some(Duration::from_millis(700)),
        ..Rig::new()
    };
    rig.destination[0].delay = Some((DeviceState::RunningP2p, Duration::from_millis(1500)));
    rig.run().assert_moved();
}

/// A batch takes longer than the link's timeout, and something moves all the time.
#[test]
fn a_slow_link_is_not_a_silent_one() {
    for (encrypt, streams) in [(true, 1), (false, 1), (true, 2)] {
        let network = Some(crate::network::Fault::Slow { bytes_per_second: 400_000 });
        Rig { encrypt, streams, network, link_timeout_ms: 700, ..Rig::new() }.run().assert_moved();
    }
}
