//! Devices and trackers that fail, on either side, at every transition.

use std::time::Duration;

use ferry_base::message::num::Bytes;
use ferry_base::message::{CutoverOutcome, ReceiveOutcome};
use ferry_vfio::device::{DeviceState, MigrationFlags};

use crate::fake::Script;
use crate::rig::Rig;

fn failing(state: DeviceState, nth: usize) -> Script {
    Script { fail: Some((state, nth)), ..Script::default() }
}

#[test]
fn a_source_device_that_fails_any_transition_runs_again() {
    for state in [DeviceState::PreCopy, DeviceState::PreCopyP2p, DeviceState::StopCopy] {
        for which in 0..2 {
            let mut rig = Rig::new();
            rig.source[which] = failing(state, 1);
            let ran = rig.run();
            assert_eq!(ran.cause(), "device/set-state", "{state}");
            ran.assert_undone(&format!("dev{which} {state}"));
            assert!(ran.source_seen.iter().all(|seen| seen.lock().unwrap().resets == 0), "reset loses state");
            assert_eq!(ran.receive.expect("ended").outcome, ReceiveOutcome::Discarded);
        }
    }
}

#[test]
fn a_device_in_error_is_reset_and_its_loss_is_told() {
    let mut rig = Rig::new();
    rig.source[1] = Script { enter_error: true, ..failing(DeviceState::StopCopy, 1) };
    let ran = rig.run();
    let reply = ran.cutover.as_ref().expect("cut over");
    assert_eq!((reply.outcome, ran.cause()), (CutoverOutcome::NeedsPerson, "device/state-lost"));
    assert_eq!(reply.cause.as_ref().and_then(|cause| cause.device.as_deref()), Some("dev1"));
    ran.assert_undone("error");
}

#[test]
fn a_device_that_cannot_come_back_is_named_with_its_state() {
    let mut rig = Rig::new();
    rig.source[0] = Script { enter_error: true, reset_fails: true, ..failing(DeviceState::StopCopy, 1) };
    let mut ran = rig.run();
    let reply = ran.cutover.as_ref().expect("cut over");
    assert_eq!((reply.outcome, ran.cause()), (CutoverOutcome::NeedsPerson, "device/needs-person"));
    assert_eq!(reply.cause.as_ref().and_then(|cause| cause.state), Some(DeviceState::Error));
    assert_eq!(ran.source_states(), [DeviceState::Error, DeviceState::Running]);
    let again = ran.roll_back_source(false).expect("asked again, checked again");
    assert_eq!(again.needs_person.len(), 1);
}

#[test]
fn a_destination_device_that_does_not_load_sends_the_run_back() {
    for (script, code) in [
        (failing(DeviceState::Resuming, 1), "device/set-state"),
        (failing(DeviceState::Stop, 1), "device/set-state"),
        (Script { expects: Some(60), ..Script::default() }, "device/set-state"),
    ] {
        let mut rig = Rig::new();
        rig.destination[1] = script;
        let ran = rig.run();
        assert_eq!(ran.cause(), code);
        ran.assert_undone("load");
        let reply = ran.receive.as_ref().expect("ended");
        assert_eq!(reply.outcome, ReceiveOutcome::Discarded);
        assert!(reply.reason.as_ref().expect("why").contains("dev1"));
        assert!(ran.destination_record.discarded);
    }
}

#[test]
fn a_destination_device_that_refuses_its_state_sends_the_run_back() {
    // In pre-copy, which offers a third of the 100 kB, and in the cutover.
    for (most, errno) in [(0, libc::EFAULT), (20_000, libc::ENOMEM), (60_000, libc::EFAULT), (99_999, libc::EINVAL)] {
        let mut rig = Rig::new();
        rig.destination[1].refuses = Some((most, errno));
        let ran = rig.run();
        assert_eq!(ran.cause(), "device/stream-write", "after {most} bytes");
        ran.assert_undone("refused state");
        let reply = ran.receive.as_ref().expect("ended");
        assert_eq!(reply.outcome, ReceiveOutcome::Discarded);
        assert!(reply.reason.as_ref().expect("why").contains("dev1"), "{reply:?}");
        assert!(ran.destination_seen[1].lock().unwrap().resets > 0, "RESUMING is left by a reset alone");
    }
}

#[test]
fn a_destination_device_that_fails_after_commit_leaves_the_source_stopped() {
    for state in [DeviceState::RunningP2p, DeviceState::Running] {
        let mut rig = Rig::new();
        rig.destination[1] = failing(state, 1);
        let mut ran = rig.run();
        let reply = ran.cutover.as_ref().expect("cut over");
        assert_eq!((reply.outcome, ran.cause()), (CutoverOutcome::Unknown, "device/set-state"));
        assert!(ran.source_states().iter().all(|state| *state == DeviceState::StopCopy));
        assert_eq!(ran.receive.as_ref().err().map(|error| error.code), Some("device/set-state"));
        assert!(ran.roll_back_source(false).is_err());
        assert!(ran.roll_back_destination().is_err());
    }
}

#[test]
fn devices_without_p2p_are_not_cut_over_together() {
    let mut rig = Rig::new();
    rig.source[1].flags = MigrationFlags { stop_copy: true, p2p: false, pre_copy: false };
    let ran = rig.run();
    assert_eq!(ran.cause(), "device/p2p");
    ran.assert_undone("p2p");
    assert!(
        !ran.source_seen[1].lock().unwrap().asked.iter().any(|state| *state != DeviceState::Running),
        "nothing moved"
    );
}

#[test]
fn an_endless_stream_is_cut_off_at_its_announced_size() {
    let mut rig = Rig::new();
    rig.source[0].endless = true;
    let ran = rig.run();
    assert_eq!(ran.cause(), "device/stream-endless");
    ran.assert_undone("endless");
}

#[test]
fn the_longest_state_is_the_operators_to_say() {
    // Far longer than what it announces: only a limit of the operator's lets it through.
    let long = || {
        let mut rig = Rig::new();
        rig.source[0].content = vec![7; 70 << 20];
        rig.source[0].announces = |_| Some(1);
        rig
    };
    assert_eq!(long().run().cause(), "device/stream-endless");
    let mut rig = long();
    rig.cutover.max_state = Some(Bytes(80 << 20));
    rig.run().assert_moved();
    let mut rig = Rig::new();
    rig.cutover.max_state = Some(Bytes(1000));
    let ran = rig.run();
    assert_eq!(ran.cause(), "device/stream-endless");
    ran.assert_undone("a low limit");
}

#[test]
fn an_endless_stream_nobody_announced_ends_with_the_limit() {
    let mut rig = Rig::new();
    rig.source[1].endless = true;
    rig.source[1].announces = |_| None;
    rig.cutover.downtime_limit_ms = 300;
    rig.cutover.verify = false;
    let ran = rig.run();
    assert_eq!(ran.cause(), "limit/downtime");
    ran.assert_undone("endless, not announced");
}

#[test]
fn a_device_that_always_has_more_keeps_no_round_from_ending() {
    // A round's share at most in each round.
    let mut rig = Rig::new();
    rig.precopy.max_rounds = 2;
    rig.source[0].pours = true;
    rig.run().assert_moved();
    // By its own estimate all of it belongs into one round, which then ends with the time, or with a cancel.
    let mut rig = Rig::new();
    rig.source[0].pours = true;
    rig.source[0].announces = |_| Some(1 << 40);
    rig.precopy.max_time_ms = 300;
    let ran = rig.run();
    assert_eq!(ran.cause(), "limit/downtime");
    ran.assert_undone("endless pre-copy");
    let mut rig = Rig { cancel_source: Some(Duration::from_millis(300)), ..Rig::new() };
    rig.source[0].pours = true;
    rig.source[0].announces = |_| Some(1 << 40);
    let ran = rig.run();
    assert_eq!(ran.cause(), "run/cancelled");
    ran.assert_undone("endless pre-copy, cancelled");
}

#[test]
fn estimates_beyond_all_bounds_are_a_blackout_beyond_all_limits() {
    let mut rig = Rig::new();
    rig.source.iter_mut().for_each(|script| script.announces = |_| Some(u64::MAX));
    let ran = rig.run();
    assert_eq!(ran.cause(), "limit/downtime");
    ran.assert_undone("estimates");
}

#[test]
fn a_device_that_writes_after_its_stop_is_found_before_commit() {
    let rounds = vec![vec![0x5000]; 16];
    let still = Rig { rounds: rounds.clone(), ..Rig::new() }.run();
    still.assert_moved();
    let ran = Rig { rounds, writes_on: true, ..Rig::new() }.run();
    assert_eq!(ran.cause(), "device/writes-after-stop");
    assert!(!ran.source_record.committed && !ran.destination_ever_ran());
    ran.assert_undone("written in STOP_COPY");
}

#[test]
fn a_tracker_that_fails_undoes() {
    for read in 1..6 {
        let ran = Rig { tracker_fails_at: Some(read), ..Rig::new() }.run();
        assert_eq!(ran.cause(), "tracker/read", "read {read}");
        ran.assert_undone("tracker");
    }
}

#[test]
fn a_slow_device_does_not_make_the_other_side_give_up() {
    let mut rig = Rig::new();
    rig.destination[0].delay = Some((DeviceState::Stop, Duration::from_millis(3500)));
    // Longer than the link's timeout: loading is not silence.
    rig.run().assert_moved();
}
