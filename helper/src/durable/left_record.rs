//! `record`: what a helper that is gone wrote down of its run, read by another one of the same host.

use std::path::Path;

use super::claim;
use super::private_dir::private_dir;
use crate::dirty::process::{StoppedList, wake_listed};
use crate::durable::record::{Decision, FileRecord};
use crate::error::{HelperError, Result};
use crate::message::{RecordParams, RecordReply, RecordState, Role};

/// Reads the record; with `discard` makes it durable that the run was dropped, so that no one can commit it late; with
/// `forget` removes it: whoever asks knows that the run is over on both sides.
///
/// # Errors
/// `record/committed` when it is to be discarded and says COMMIT; those of reading and writing records.
pub fn look(params: &RecordParams) -> Result<RecordReply> {
    // Before the record is read: a helper that ends in between has written its last word by then.
    let held = match &params.locks {
        Some(locks) => claim::held(Path::new(&locks.lock_dir), &locks.devices)?,
        None => Vec::new(),
    };
    let record = match state_of(params) {
        // Whoever asks must hear of the living process, whatever became of the record.
        Err(_) if !held.is_empty() => RecordState::None,
        state => state?,
    };
    Ok(RecordReply { record, held })
}

fn state_of(params: &RecordParams) -> Result<RecordState> {
    let dir = Path::new(&params.record_dir);
    if params.discard && params.forget {
        return Err(HelperError::new("request/bad-params", "a record is discarded or forgotten, not both"));
    }
    if params.discard {
        private_dir(dir)?;
    } else if !dir.exists() {
        return Ok(RecordState::None);
    }
    // The epoch is the one of the writer; ours is none of that run.
    let record = FileRecord::new(dir, &params.run, 0, params.role)?;
    if params.forget {
        record.forget()?;
        return Ok(RecordState::None);
    }
    let found = if params.discard { Some(discard(&record)?) } else { record.read()?.map(|found| found.decision) };
    Ok(match found {
        Some(Decision::Commit | Decision::Settled) if params.discard => {
            return Err(HelperError::new("record/committed", format!("run {} is recorded as committed", params.run))
                .suggest("it cannot be dropped any more: `ferry recover` finishes it"));
        }
        Some(Decision::Discard) if params.discard && params.role == Role::Source => {
            // The source runs on, and its helper may be gone that stopped processes for the blackout.
            wake_listed(&StoppedList::of_run(dir, &params.run))?;
            RecordState::Discarded
        }
        Some(Decision::Commit) => RecordState::Committed,
        Some(Decision::Settled) => RecordState::Settled,
        Some(Decision::Discard) => RecordState::Discarded,
        None if record.beside().exists() => RecordState::Prepared,
        None => RecordState::None,
    })
}

/// DISCARD, unless something is recorded already; returns what is recorded then, durably. Written beside under a name of
/// its own: should the run's helper be alive after all, either its COMMIT or this comes first, and the other is refused.
fn discard(record: &FileRecord) -> Result<Decision> {
    let beside = record.path().with_extension("json.left");
    record.write(&beside, Decision::Discard)?;
    let placed = record.place(&beside);
    let _ = std::fs::remove_file(&beside);
    placed?;
    record
        .read()?
        .map(|found| found.decision)
        .ok_or_else(|| HelperError::new("record/write", format!("{} is gone again", record.path().display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::commit_record::CommitRecord;

    fn ask(dir: &Path, discard: bool) -> Result<RecordState> {
        let record_dir = dir.display().to_string();
        look(&RecordParams { record_dir, run: "r".into(), role: Role::Source, discard, forget: false, locks: None })
            .map(|reply| reply.record)
    }

    #[test]
    fn what_is_left_is_read_and_only_what_is_not_committed_is_dropped() {
        let dir = std::env::temp_dir().join(format!("ferry-left-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        assert_eq!(ask(&dir, false).expect("no folder"), RecordState::None);
        private_dir(&dir).expect("mkdir");
        let mut living = FileRecord::new(&dir, "r", 1, Role::Source).expect("new");
        living.prepare().expect("prepare");
        assert_eq!(ask(&dir, false).expect("prepared"), RecordState::Prepared);
        assert_eq!(ask(&dir, true).expect("dropped"), RecordState::Discarded);
        assert_eq!(ask(&dir, true).expect("again"), RecordState::Discarded);

        let late = living.commit().expect_err("the drop came first");
        assert_eq!((late.error.code, late.doubtful), ("record/discarded", false));
        assert_eq!(ask(&dir, false).expect("still"), RecordState::Discarded);

        std::fs::remove_file(living.path()).expect("another run");
        living.commit().expect("commit");
        assert_eq!(ask(&dir, false).expect("committed"), RecordState::Committed);
        assert_eq!(ask(&dir, true).err().map(|error| error.code), Some("record/committed"));
        assert_eq!(ask(&dir, false).expect("unchanged"), RecordState::Committed);
        living.settled().expect("settle");
        assert_eq!(ask(&dir, false).expect("settled"), RecordState::Settled);
        assert_eq!(ask(&dir, true).err().map(|error| error.code), Some("record/committed"));

        let forget = |discard| {
            let (record_dir, run) = (dir.display().to_string(), "r".into());
            look(&RecordParams { record_dir, run, role: Role::Source, discard, forget: true, locks: None })
        };
        assert_eq!(forget(true).err().map(|error| error.code), Some("request/bad-params"));
        assert_eq!(forget(false).expect("forgotten").record, RecordState::None);
        assert_eq!(forget(false).expect("again").record, RecordState::None);
        assert_eq!(std::fs::read_dir(&dir).expect("list").count(), 0);
        std::fs::remove_dir_all(&dir).expect("clean up");
    }

    #[test]
    fn what_cannot_be_woken_stays_on_the_list_and_is_tried_again() {
        let dir = std::env::temp_dir().join(format!("ferry-left-standing-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        private_dir(&dir).expect("mkdir");
        let cgroup = dir.join("cgroup");
        // A file that cannot be written.
        std::fs::create_dir_all(cgroup.join("cgroup.freeze")).expect("mkdir");
        let list = dir.join("r.stopped");
        std::fs::write(&list, format!("1 2 cgroup {}\n", cgroup.display())).expect("write");
        for _ in 0..2 {
            assert_eq!(ask(&dir, true).err().map(|error| error.code), Some("tracker/process-not-woken"));
            assert!(list.exists());
        }
        std::fs::remove_dir(cgroup.join("cgroup.freeze")).expect("rmdir");
        assert_eq!(ask(&dir, true).expect("thawed"), RecordState::Discarded);
        assert!(!list.exists());
        std::fs::remove_dir_all(&dir).expect("clean up");
    }
}
