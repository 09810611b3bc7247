//! COMMIT handed on by the owner after the link was lost.

use ferry_base::message::{CutoverOutcome, ReceiveOutcome};
use ferry_vfio::device::DeviceState;

use crate::fake::{FakeRecord, RecordFault};
use crate::proxy::{Meddler, Meddling, Way};
use crate::rig::{Ran, Rig, content};

/// Runs that end with a waiting destination and a committed source: cut before one of the source's last frames.
fn waiting(prepare: impl Fn(&mut Rig)) -> Vec<Ran> {
    let run = |at, meddling| {
        let mut rig = Rig::new();
        prepare(&mut rig);
        rig.meddler = Some(Meddler { way: Way::ToDestination, at, meddling });
        rig.run()
    };
    let frames = run(0, Meddling::Nothing).frames[0];
    let cut = (frames - 3..frames).map(|at| run(at, Meddling::Cut));
    let both = |ran: &Ran| {
        let waits = ran.receive.as_ref().is_ok_and(|reply| reply.outcome == ReceiveOutcome::Waiting);
        waits && ran.source_record.committed
    };
    let found: Vec<_> = cut.filter(both).collect();
    assert!(!found.is_empty());
    found
}

#[test]
fn a_commit_the_link_lost_is_finished_by_the_owner() {
    for mut ran in waiting(|_| {}) {
        assert_eq!(ran.cutover.as_ref().expect("cut over").outcome, CutoverOutcome::Unknown);
        assert!(ran.roll_back_source(false).is_err());
        for _ in 0..2 {
            assert_eq!(ran.finish_destination().expect("finished").outcome, ReceiveOutcome::Running);
        }
        assert!(content(&ran.here) == content(&ran.there), "memories differ");
        assert!(ran.destination_record.committed);
        assert!(ran.destination_states().iter().all(|state| *state == DeviceState::Running));
        assert!(ran.source_states().iter().all(|state| *state == DeviceState::StopCopy));
        assert_eq!(ran.roll_back_destination().err().map(|error| error.code), Some("protocol/committed"));
    }
}

#[test]
fn what_was_dropped_is_not_finished() {
    for mut ran in waiting(|_| {}) {
        ran.roll_back_destination().expect("nothing runs yet");
        assert_eq!(ran.finish_destination().err().map(|error| error.code), Some("protocol/phase"));
        assert!(!ran.destination_ever_ran() && ran.destination_record.discarded);
        ran.roll_back_source(true).expect("the owner knows");
        assert!(ran.source_states().iter().all(|state| *state == DeviceState::Running));
    }
}

#[test]
fn a_run_that_ended_over_the_link_answers_as_it_ended() {
    let mut ran = Rig::new().run();
    assert_eq!(ran.finish_destination().expect("it runs").outcome, ReceiveOutcome::Running);
    ran.assert_moved();
    let mut rig = Rig::new();
    rig.cutover.downtime_limit_ms = 0;
    let mut ran = rig.run();
    assert_eq!(ran.finish_destination().err().map(|error| error.code), Some("protocol/phase"));
    ran.assert_undone("dropped");
}

#[test]
fn a_destination_that_cannot_finish_says_what_is_left() {
    let refused = || FakeRecord { fault: RecordFault::Refused, ..FakeRecord::default() };
    for mut ran in waiting(|rig| rig.destination_record = refused()) {
        let reply = ran.finish_destination().expect("dropped");
        assert_eq!(reply.outcome, ReceiveOutcome::Discarded);
        assert!(reply.reason.expect("why").contains("record/write"));
        ran.roll_back_source(true).expect("the destination dropped it");
        ran.assert_undone("refused");
    }
    for mut ran in waiting(|rig| rig.destination[1].fail = Some((DeviceState::Running, 1))) {
        assert_eq!(ran.finish_destination().err().map(|error| error.code), Some("device/set-state"));
        assert!(ran.roll_back_destination().is_err(), "it may be running");
        let again = ran.finish_destination().expect("the device comes up when it is tried again");
        assert_eq!(again.outcome, ReceiveOutcome::Running);
        assert_eq!(ran.destination_states(), [DeviceState::Running; 2]);
    }
}
