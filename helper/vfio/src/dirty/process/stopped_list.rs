//! The list of processes that stand still for a run, on disk: whoever finishes the run after this helper was killed
//! finds there whom to wake. Not synced: after a power cut there is no process left to wake.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::found::Identity;
use crate::error::{HelperError, Result};

/// How a process was made to stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    Signal,
    /// Its cgroup (v2) was frozen.
    Cgroup(PathBuf),
    /// It stood before. It is not ours to wake.
    Before,
}

pub struct Listed<'a> {
    pub is: Identity,
    pub how: &'a How,
}

#[derive(Debug, Clone)]
pub struct StoppedList {
    path: PathBuf,
}

impl StoppedList {
    /// Beside the records of the run.
    pub fn of_run(record_dir: &Path, run: &str) -> Self {
        Self { path: record_dir.join(format!("{run}.stopped")) }
    }

    /// In place of what is there, all or nothing.
    pub fn write<'a>(&self, stopped: impl Iterator<Item = Listed<'a>>) -> Result<()> {
        let mut text = Vec::new();
        for Listed { is, how } in stopped {
            text.extend_from_slice(format!("{} {} ", is.pid, is.started).as_bytes());
            match how {
                How::Signal => text.extend_from_slice(b"signal"),
                How::Before => text.extend_from_slice(b"before"),
                How::Cgroup(folder) => {
                    text.extend_from_slice(b"cgroup ");
                    text.extend_from_slice(folder.as_os_str().as_bytes());
                }
            }
            text.push(b'\n');
        }
        let beside = self.path.with_extension("stopped.new");
        let written = remove_if_there(&beside)
            .and_then(|()| {
                let mut options = OpenOptions::new();
                options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
                options.open(&beside)?.write_all(&text)
            })
            .and_then(|()| fs::rename(&beside, &self.path));
        written.map_err(|error| self.failed("write", &error))
    }

    /// Empty when there is no list.
    pub fn read(&self) -> Result<Vec<(Identity, How)>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.failed("read", &error)),
        };
        let parsed: Option<Vec<_>> = text.lines().map(parse).collect();
        parsed.ok_or_else(|| {
            HelperError::new("record/read", format!("{} is no list of stopped processes", self.path.display()))
        })
    }

    pub fn remove(&self) -> Result<()> {
        remove_if_there(&self.path).map_err(|error| self.failed("remove", &error))
    }

    fn failed(&self, operation: &str, error: &std::io::Error) -> HelperError {
        let (code, meaning) = match operation {
            "read" => ("record/read", "who stands still for the run is not known"),
            _ => ("record/write", "should this helper be killed, no one would know whom to wake"),
        };
        HelperError::os(code, format!("{operation} {}", self.path.display()), error, meaning)
    }
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn parse(line: &str) -> Option<(Identity, How)> {
    let mut fields = line.splitn(4, ' ');
    let is = Identity { pid: fields.next()?.parse().ok()?, started: fields.next()?.parse().ok()? };
    let how = match (fields.next()?, fields.next()) {
        ("signal", None) => How::Signal,
        ("before", None) => How::Before,
        ("cgroup", Some(folder)) => How::Cgroup(PathBuf::from(folder)),
        _ => return None,
    };
    Some((is, how))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_no_list_is_an_empty_one() {
        let dir = std::env::temp_dir().join(format!("ferry-stopped-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).expect("mkdir");
        let list = StoppedList::of_run(&dir, "r");
        assert_eq!(list.read().expect("none"), []);
        let is = |pid| Identity { pid, started: 99 };
        let all = [(is(1), How::Signal), (is(2), How::Cgroup("/sys/a b/c".into())), (is(3), How::Before)];
        for _ in 0..2 {
            list.write(all.iter().map(|(is, how)| Listed { is: *is, how })).expect("write");
            assert_eq!(list.read().expect("read"), all);
        }
        fs::write(dir.join("r.stopped"), "1 2 other\n").expect("write");
        assert_eq!(list.read().expect_err("torn").code, "record/read");
        list.remove().expect("rm");
        list.remove().expect("again");
        fs::remove_dir_all(&dir).expect("clean up");
    }
}
