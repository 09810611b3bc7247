//! The records a helper keeps of its own COMMIT and DISCARD, for anyone who asks after a crash: durable before anything
//! is said or done that rests on them.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::{HelperError, Result};
use crate::message::Role;
use crate::transfer::commit_record::{CommitRecord, RecordFailure};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    Commit,
    Discard,
    /// A destination that committed, ran, and handed its devices on or closed them as the run said; a source whose
    /// devices ran again before it closed them.
    Settled,
}

/// A record as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    pub run: String,
    pub epoch: u64,
    pub role: Role,
    pub decision: Decision,
    /// Milliseconds since 1970, for people.
    pub at_ms: u64,
}

/// `<dir>/<run>.<role>.json`, mode 0600, whole or not there: written beside, synced, put in its place, the folder synced.
/// A COMMIT never replaces what is recorded; a DISCARD of this side's own does.
#[derive(Debug)]
pub struct FileRecord {
    dir: PathBuf,
    run: String,
    epoch: u64,
    role: Role,
    /// The folder itself, open: a process that has no descriptor left must still be able to make a COMMIT durable. `None`
    /// when it had none left already; it is opened when it is needed then.
    folder: Option<File>,
    /// The COMMIT record, written and synced but not in its place yet.
    waiting: bool,
}

impl FileRecord {
    /// # Errors
    /// `record/name` when the run id cannot name a file; `record/unsafe-dir` when the folder is a link, belongs to
    /// somebody else or others may write it; `record/dir`.
    pub fn new(dir: &Path, run: &str, epoch: u64, role: Role) -> Result<Self> {
        let plain = !run.is_empty()
            && run.len() <= 128
            && !run.starts_with('.')
            && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !plain {
            return Err(HelperError::new("record/name", format!("run id `{run}` cannot name a record")));
        }
        let found = fs::symlink_metadata(dir).map_err(|error| {
            HelperError::os(
                "record/dir",
                format!("stat {}", dir.display()),
                &error,
                "the folder for records is not there",
            )
        })?;
        let owner = rustix::process::geteuid().as_raw();
        if !found.is_dir() || found.uid() != owner || found.mode() & 0o022 != 0 {
            return Err(HelperError::new(
                "record/unsafe-dir",
                format!("{} is not a folder that only user {owner} may write", dir.display()),
            )
            .suggest("give it to that user with mode 0700, or choose another folder"));
        }
        let folder = File::open(dir).ok();
        Ok(Self { dir: dir.to_owned(), run: run.to_owned(), epoch, role, folder, waiting: false })
    }

    pub fn path(&self) -> PathBuf {
        let role = match self.role {
            Role::Source => "source",
            Role::Destination => "destination",
        };
        self.dir.join(format!("{}.{role}.json", self.run))
    }

    /// Where a COMMIT waits for its place.
    pub(crate) fn beside(&self) -> PathBuf {
        self.path().with_extension("json.new")
    }

    /// What is recorded; `None` when nothing is.
    ///
    /// # Errors
    /// `record/read` when it is there and cannot be read, a link included.
    pub fn read(&self) -> Result<Option<Recorded>> {
        let path = self.path();
        let fail = |error: std::io::Error| {
            HelperError::os("record/read", format!("read {}", path.display()), &error, "the record cannot be trusted")
        };
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        serde_json::from_reader(std::io::Read::take(file, 4096))
            .map(Some)
            .map_err(|error| HelperError::new("record/read", format!("{}: {error}", path.display())))
    }

    pub(crate) fn write(&self, path: &Path, decision: Decision) -> Result<()> {
        let fail = |operation: &str, error: &std::io::Error| {
            HelperError::os(
                "record/write",
                format!("{operation} {}", path.display()),
                error,
                "the record is not on disk",
            )
        };
        let place = self.path();
        if fs::symlink_metadata(&place).is_ok_and(|found| !found.is_file()) {
            return Err(HelperError::new("record/write", format!("{} is not a plain file", place.display())));
        }
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(fail("unlink", &error)),
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path)
            .map_err(|error| fail("create", &error))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let recorded = Recorded {
            run: self.run.clone(),
            epoch: self.epoch,
            role: self.role,
            decision,
            at_ms: now.as_millis() as u64,
        };
        let text =
            serde_json::to_string(&recorded).map_err(|error| HelperError::new("helper/bug", error.to_string()))?;
        file.write_all(format!("{text}\n").as_bytes()).map_err(|error| fail("write", &error))?;
        file.sync_all().map_err(|error| fail("fsync", &error))
    }

    /// In place of whatever is there; durable when it returns.
    ///
    /// # Errors
    /// `record/write`. What was recorded before may still stand.
    pub fn settled(&self) -> Result<()> {
        self.write(&self.beside(), Decision::Settled)?;
        self.replace()
    }

    /// Removes what is recorded, and what was written beside it.
    ///
    /// # Errors
    /// `record/write`.
    pub fn forget(&self) -> Result<()> {
        for path in [self.beside(), self.path().with_extension("json.left"), self.path()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    let operation = format!("unlink {}", path.display());
                    return Err(HelperError::os("record/write", operation, &error, "the record is still there"));
                }
                _ => {}
            }
        }
        self.sync()
    }

    /// In place of whatever is there. From here on a failure leaves open what a crash would leave on disk.
    fn replace(&self) -> Result<()> {
        fs::rename(self.beside(), self.path()).map_err(|error| self.doubtful("rename", &error))?;
        self.sync()
    }

    /// Puts `beside` in its place if nothing is there, and makes durable what is there then. Whether it was this one
    /// tells a read.
    pub(crate) fn place(&self, beside: &Path) -> Result<()> {
        put(beside, &self.path()).map_err(|error| self.doubtful("put in place", &error))?;
        self.sync()
    }

    /// That a record can be put in its place here: a file system that cannot would be found out in the blackout.
    fn try_placing(&self) -> Result<()> {
        let (from, to) = (self.path().with_extension("json.try"), self.path().with_extension("json.tried"));
        let _ = fs::remove_file(&to);
        let tried = File::create(&from).and_then(|_| put(&from, &to));
        let _ = fs::remove_file(&from);
        let _ = fs::remove_file(&to);
        tried.map_err(|error| {
            HelperError::os(
                "record/write",
                format!("put a file in place in {}", self.dir.display()),
                &error,
                "this file system can neither rename without replacing nor make hard links",
            )
            .suggest("give the side another `stateDir`")
        })
    }

    fn sync(&self) -> Result<()> {
        let synced = match &self.folder {
            Some(folder) => folder.sync_all(),
            None => File::open(&self.dir).and_then(|folder| folder.sync_all()),
        };
        synced.map_err(|error| self.doubtful("fsync the folder of", &error))
    }

    fn doubtful(&self, operation: &str, error: &std::io::Error) -> HelperError {
        let operation = format!("{operation} {}", self.path().display());
        HelperError::os("record/write", operation, error, "whether the record would survive a crash is not known")
    }
}

/// Puts `from` at `to` if nothing is there; that something is there is no error. By RENAME_NOREPLACE, which file systems
/// without hard links have too, else by link(2): of two that try, whichever way, one wins.
fn put(from: &Path, to: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match fs::hard_link(from, to) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        },
        Err(errno) => Err(errno.into()),
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|found| (found.dev(), found.ino()))
}

impl CommitRecord for FileRecord {
    fn prepare(&mut self) -> Result<()> {
        self.try_placing()?;
        self.write(&self.beside(), Decision::Commit)?;
        self.waiting = true;
        Ok(())
    }

    fn commit(&mut self) -> std::result::Result<(), RecordFailure> {
        if !self.waiting {
            self.prepare().map_err(|error| RecordFailure { error, doubtful: false })?;
        }
        let ours = inode(&self.beside());
        self.place(&self.beside()).map_err(|error| RecordFailure { error, doubtful: true })?;
        // Nothing is opened for it, and the file says what was written into it.
        if ours.is_some() && inode(&self.path()) == ours {
            return Ok(());
        }
        match self.read() {
            Ok(Some(found)) if found.decision == Decision::Commit => Ok(()),
            Ok(_) => {
                let message = format!("run {} was recorded as discarded meanwhile", self.run);
                let error = HelperError::new("record/discarded", message).suggest("another ferry has given the run up");
                Err(RecordFailure { error, doubtful: false })
            }
            Err(error) => Err(RecordFailure { error, doubtful: true }),
        }
    }

    fn discard(&mut self) -> Result<()> {
        self.waiting = false;
        self.write(&self.beside(), Decision::Discard)?;
        self.replace()
    }
}

impl Drop for FileRecord {
    fn drop(&mut self) {
        if self.waiting {
            // What counts is in its place; only tidiness.
            let _ = fs::remove_file(self.beside());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("ferry-record-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).expect("mkdir");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("chmod");
        dir
    }

    /// Must be the only test of its process that opens anything: it runs itself again.
    #[test]
    fn a_commit_needs_no_descriptor() {
        const CHILD: &str = "FERRY_TEST_NO_DESCRIPTOR";
        if std::env::var_os(CHILD).is_none() {
            let this = std::env::current_exe().expect("this test");
            let name = "durable::record::tests::a_commit_needs_no_descriptor";
            let status = std::process::Command::new(this).args(["--exact", name]).env(CHILD, "1").status();
            assert!(status.expect("started").success());
            return;
        }
        let dir = scratch("descriptors");
        let mut record = FileRecord::new(&dir, "run-1", 3, Role::Destination).expect("new");
        record.prepare().expect("prepare");
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..before }).expect("setrlimit");
        assert!(File::open(&dir).is_err(), "there is one left");
        let committed = record.commit().map_err(|failure| failure.error.code);
        setrlimit(Resource::Nofile, before).expect("setrlimit");
        assert_eq!(committed, Ok(()));
        assert_eq!(record.read().expect("read").map(|read| read.decision), Some(Decision::Commit));
        fs::remove_dir_all(dir).expect("clean up");
    }

    #[test]
    fn the_last_decision_stands_alone_in_a_private_file() {
        let dir = scratch("last");
        let mut record = FileRecord::new(&dir, "run-1", 3, Role::Source).expect("new");
        assert_eq!(record.read().expect("nothing yet"), None);
        record.prepare().expect("prepare");
        assert_eq!(record.read().expect("still nothing"), None);
        record.commit().expect("commit");
        let read = record.read().expect("read").expect("there");
        assert_eq!((read.run.as_str(), read.epoch, read.decision), ("run-1", 3, Decision::Commit));
        assert_eq!(fs::metadata(record.path()).expect("stat").mode() & 0o777, 0o600);
        record.discard().expect("discard");
        assert_eq!(record.read().expect("read").map(|read| read.decision), Some(Decision::Discard));
        assert_eq!(fs::read_dir(&dir).expect("list").count(), 1);
        fs::remove_dir_all(dir).expect("clean up");
    }

    #[test]
    fn what_is_in_its_place_is_never_replaced_by_a_commit() {
        let dir = scratch("put");
        let (from, to) = (dir.join("from"), dir.join("to"));
        fs::write(&from, "second").expect("write");
        fs::write(&to, "first").expect("write");
        put(&from, &to).expect("something is there");
        assert_eq!(fs::read_to_string(&to).expect("read"), "first");
        fs::remove_file(&to).expect("remove");
        put(&from, &to).expect("free");
        assert_eq!(fs::read_to_string(&to).expect("read"), "second");
        assert!(put(&dir.join("none"), &dir.join("other")).is_err());
        fs::remove_dir_all(dir).expect("clean up");
    }

    #[test]
    fn unsafe_places_are_refused() {
        let dir = scratch("unsafe");
        for run in ["", "../x", ".hidden", "a/b", "a b"] {
            assert_eq!(FileRecord::new(&dir, run, 1, Role::Source).err().map(|error| error.code), Some("record/name"));
        }
        let link = dir.join("link");
        symlink(&dir, &link).expect("symlink");
        assert_eq!(
            FileRecord::new(&link, "r", 1, Role::Source).err().map(|error| error.code),
            Some("record/unsafe-dir")
        );
        let mut record = FileRecord::new(&dir, "r", 1, Role::Destination).expect("new");
        symlink(dir.join("elsewhere"), record.path()).expect("symlink");
        let failed = record.commit().expect_err("a link in its place");
        assert_eq!(failed.error.code, "record/write");
        assert!(record.read().is_err() && !dir.join("elsewhere").exists());
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("chmod");
        assert_eq!(
            FileRecord::new(&dir, "r", 1, Role::Source).err().map(|error| error.code),
            Some("record/unsafe-dir")
        );
        fs::remove_dir_all(dir).expect("clean up");
    }
}
