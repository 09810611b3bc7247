//! Records that cannot be written, on either side.

use ferry_base::message::{CutoverOutcome, ReceiveOutcome};
use ferry_vfio::device::DeviceState;

use crate::fake::{FakeRecord, RecordFault};
use crate::rig::Rig;

fn record(fault: RecordFault, discard_fails: bool) -> FakeRecord {
    FakeRecord { fault, discard_fails, ..FakeRecord::default() }
}

#[test]
fn a_source_that_cannot_record_commit_runs_again() {
    let ran = Rig { source_record: record(RecordFault::Refused, false), ..Rig::new() }.run();
    assert_eq!(ran.cause(), "record/write");
    assert!(!ran.source_record.discarded, "there was nothing to void");
    ran.assert_undone("refused");

    let ran = Rig { source_record: record(RecordFault::Doubtful, false), ..Rig::new() }.run();
    assert!(ran.source_record.discarded, "voided before anything ran");
    ran.assert_undone("doubtful");
}

#[test]
fn a_record_that_can_be_neither_written_nor_voided_needs_the_destinations_word() {
    let ran = Rig { source_record: record(RecordFault::Doubtful, true), ..Rig::new() }.run();
    assert!(ran.destination_record.discarded);
    ran.assert_undone("the destination discarded");

    let destination_record = record(RecordFault::None, true);
    let mut ran = Rig { source_record: record(RecordFault::Doubtful, true), destination_record, ..Rig::new() }.run();
    assert_eq!(ran.cutover.as_ref().expect("cut over").outcome, CutoverOutcome::Unknown);
    assert!(ran.source_states().iter().all(|state| *state == DeviceState::StopCopy));
    assert!(!ran.destination_ever_ran());
    assert!(ran.roll_back_source(false).is_err());
    ran.roll_back_source(true).expect("the owner knows");
    assert!(ran.source_states().iter().all(|state| *state == DeviceState::Running));
}

#[test]
fn a_destination_that_cannot_record_commit_gives_the_run_back() {
    for fault in [RecordFault::Refused, RecordFault::Doubtful] {
        let ran = Rig { destination_record: record(fault, false), ..Rig::new() }.run();
        let reply = ran.cutover.as_ref().expect("cut over");
        assert_eq!((reply.outcome, ran.cause()), (CutoverOutcome::RolledBack, "record/write"));
        assert!(ran.source_record.discarded, "the source's COMMIT was voided");
        ran.assert_undone("destination's record");
        assert_eq!(ran.receive.expect("ended").outcome, ReceiveOutcome::Discarded);
    }
    let ran = Rig { destination_record: record(RecordFault::Refused, true), ..Rig::new() }.run();
    assert_eq!(ran.cutover.as_ref().expect("cut over").outcome, CutoverOutcome::Unknown);
    assert!(!ran.destination_ever_ran() && ran.receive.is_err());
    assert!(ran.source_states().iter().all(|state| *state == DeviceState::StopCopy));
}

/// The source's disk takes a new COMMIT record and not its voiding, and the destination has dropped the run.
#[test]
fn a_void_that_fails_after_the_destination_discarded_leads_on() {
    let (source_record, destination_record) = (record(RecordFault::None, true), record(RecordFault::Refused, false));
    let mut ran = Rig { source_record, destination_record, ..Rig::new() }.run();
    let reply = ran.cutover.as_ref().expect("cut over");
    assert_eq!((reply.outcome, ran.cause()), (CutoverOutcome::RolledBack, "record/write"));
    assert!(ran.source_states().iter().all(|state| *state == DeviceState::Running));
    assert!(ran.destination_record.discarded && !ran.destination_ever_ran());
    ran.source_record.discard_fails = false;
    ran.roll_back_source(true).expect("repeatable");
}
