//! Devices whose state somebody else changes: a process that was handed a descriptor may, at any moment.

use ferry_base::message::{CutoverOutcome, CutoverPause, Event, Hold};
use ferry_vfio::device::{DeviceState, MigrationFlags};

use crate::fake::Script;
use crate::rig::{Hands, Rig};

fn scripts(pre_copy: bool) -> Vec<Script> {
    let flags = MigrationFlags { stop_copy: true, p2p: true, pre_copy };
    vec![Script { flags, ..Script::default() }; 2]
}

/// Held until a round is over; then dev0 is put into `state` and the cutover asked for.
fn while_held(pre_copy: bool, state: DeviceState) -> Rig {
    let mut rig = Rig {
        source: scripts(pre_copy),
        owner: Some(Box::new(move |hands: &Hands| {
            hands.await_event("a round", |events| events.iter().any(|event| matches!(event, Event::RoundEnd { .. })));
            hands.source_seen[0].lock().unwrap().state = state;
            hands.steer.proceed();
        })),
        ..Rig::new()
    };
    rig.precopy.hold = Some(Hold { interval_ms: 60_000 });
    rig
}

#[test]
fn one_that_does_not_run_is_refused_before_anything_and_left_as_it_is() {
    for state in [DeviceState::Stop, DeviceState::StopCopy, DeviceState::Resuming, DeviceState::RunningP2p] {
        for pre_copy in [true, false] {
            let mut source = scripts(pre_copy);
            source[1].begins = Some(state);
            let ran = Rig { source, ..Rig::new() }.run();
            assert_eq!(ran.cause(), "device/not-running", "{state}");
            assert_eq!(ran.source_states(), [DeviceState::Running, state]);
            assert!(ran.source_seen[1].lock().unwrap().asked.is_empty(), "somebody else's to start");
            assert!(!ran.destination_ever_ran());
        }
    }
}

#[test]
fn one_stopped_by_somebody_else_before_the_stop_is_not_moved_empty() {
    for state in [DeviceState::StopCopy, DeviceState::Stop, DeviceState::PreCopyP2p] {
        let ran = while_held(false, state).run();
        assert_eq!(ran.source_states(), [state, DeviceState::Running], "never touched, so not ours to start");
        assert_eq!(ran.cutover.as_ref().expect("cut over").outcome, CutoverOutcome::NeedsPerson, "{state}");
        assert_eq!(ran.cause(), "device/not-running");
        assert!(!ran.destination_ever_ran() && !ran.source_record.committed);

        let ran = while_held(true, state).run();
        assert_eq!(ran.cause(), "device/state-changed", "{state}");
        ran.assert_undone("in pre-copy it was Ferry that moved it last");
    }
}

#[test]
fn one_changed_in_the_blackout_is_found_before_commit() {
    let moments = [
        (CutoverPause::PostQuiesce, DeviceState::StopCopy, false, "device/stream-lost"),
        (CutoverPause::PreResume, DeviceState::Running, true, "device/state-changed"),
        (CutoverPause::PreResume, DeviceState::Stop, false, "device/state-changed"),
    ];
    for (at, state, pre_copy, code) in moments {
        let mut rig = Rig {
            source: scripts(pre_copy),
            owner: Some(Box::new(move |hands: &Hands| {
                hands.await_event("a pause", |events| {
                    events.iter().any(|event| matches!(event, Event::Paused { at: now } if *now == at))
                });
                hands.source_seen[0].lock().unwrap().state = state;
                hands.steer.go_on(ferry_base::message::ContinueParams { at, abort: None }).expect("it waits there");
            })),
            ..Rig::new()
        };
        rig.cutover.pauses = vec![at];
        let ran = rig.run();
        assert_eq!(ran.cause(), code, "{at:?} {state}");
        ran.assert_undone("meddled with");
    }
}

#[test]
fn a_stream_without_a_byte_is_a_failure_and_no_end() {
    let mut source = scripts(false);
    source[0] = Script { content: Vec::new(), precopy: 0, ..source[0].clone() };
    let ran = Rig { source, ..Rig::new() }.run();
    assert_eq!(ran.cause(), "device/stream-empty");
    ran.assert_undone("nothing came");
}
