//! The processes that map the workload's memory, read from /proc. A pid alone names no process for long: its start time
//! does.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::spans::{Backed, Span, spans_in};
use crate::error::{HelperError, Result};

/// One process, however its pid is used later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    pub pid: u32,
    /// In clock ticks since boot.
    pub started: u64,
}

#[derive(Debug, Clone)]
pub struct Mapper {
    pub is: Identity,
    pub command: String,
    pub spans: Vec<Span>,
}

impl std::fmt::Display for Mapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {})", self.command, self.is.pid)
    }
}

/// Where processes are looked up.
#[derive(Debug, Clone)]
pub struct Processes {
    proc: PathBuf,
    /// Never one of the mappers.
    own: u32,
}

impl Processes {
    pub fn of_this_host() -> Self {
        Self { proc: PathBuf::from("/proc"), own: std::process::id() }
    }

    pub fn file(&self, pid: u32, name: &str) -> PathBuf {
        self.proc.join(pid.to_string()).join(name)
    }

    /// Every process that maps any of the files shared, this one left out.
    ///
    /// # Errors
    /// `tracker/process-unreadable` when there is one whose maps may not be read: it could be a writer.
    pub fn mappers(&self, backed: &[Backed]) -> Result<Vec<Mapper>> {
        let entries = fs::read_dir(&self.proc).map_err(|error| unreadable(&self.proc, &error))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&self.proc, &error))?;
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if pid != self.own {
                found.extend(self.mapper(pid, backed)?);
            }
        }
        found.sort_by_key(|mapper| mapper.is);
        Ok(found)
    }

    /// `None` when it maps none of the files, or is gone.
    pub fn mapper(&self, pid: u32, backed: &[Backed]) -> Result<Option<Mapper>> {
        // Before and after: in between the pid may have become another's.
        let Some(before) = self.identity(pid) else { return Ok(None) };
        let path = self.file(pid, "maps");
        let maps = match fs::read(&path) {
            Ok(maps) => maps,
            Err(error) if is_gone(&error) => return Ok(None),
            // Only the first process of the host, or of a container, may be closed to its root: it has other rights.
            // It starts services and maps no workload's memory.
            Err(error)
                if pid == 1 && error.kind() == ErrorKind::PermissionDenied && rustix::process::geteuid().is_root() =>
            {
                return Ok(None);
            }
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let spans = spans_in(&String::from_utf8_lossy(&maps), backed);
        if spans.is_empty() || self.identity(pid) != Some(before) {
            return Ok(None);
        }
        let command = fs::read_to_string(self.file(pid, "comm")).unwrap_or_default().trim().to_owned();
        Ok(Some(Mapper { is: before, command, spans }))
    }

    /// `None`: no such process any more.
    pub fn identity(&self, pid: u32) -> Option<Identity> {
        let stat = fs::read_to_string(self.file(pid, "stat")).ok()?;
        Some(Identity { pid, started: start_time(&stat)? })
    }

    pub fn is_alive(&self, is: Identity) -> bool {
        self.identity(is.pid) == Some(is)
    }

    /// Whether no thread of it can run: stopped by a signal, or dead.
    pub fn is_stopped(&self, pid: u32) -> bool {
        let Ok(threads) = fs::read_dir(self.file(pid, "task")) else { return true };
        threads.flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat"));
            stat.map_or(true, |stat| matches!(state(&stat), Some('T' | 'Z' | 'X') | None))
        })
    }
}

/// The fields of /proc/PID/stat behind the name, which may hold spaces and brackets itself.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace()
}

fn state(stat: &str) -> Option<char> {
    fields(stat).next()?.chars().next()
}

fn start_time(stat: &str) -> Option<u64> {
    fields(stat).nth(19)?.parse().ok()
}

/// Of reading a file of a process that has ended.
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

fn unreadable(path: &Path, error: &io::Error) -> HelperError {
    let meaning = "a process that cannot be looked at could write the memory unseen";
    HelperError::os("tracker/process-unreadable", format!("read {}", path.display()), error, meaning)
        .suggest("run the helper as root")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::area::Area;

    const STAT: &str = "41 (a) b (c) S 1 41 41 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 0 0";

    fn processes(name: &str) -> Processes {
        let proc = std::env::temp_dir().join(format!("ferry-proc-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&proc);
        Processes { proc, own: 40 }
    }

    fn write(processes: &Processes, pid: u32, name: &str, text: &str) {
        let path = processes.file(pid, name);
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
        fs::write(path, text).expect("write");
    }

    #[test]
    fn names_mappers_by_pid_and_start_and_leaves_itself_out() {
        let here = processes("found");
        let backed = [Backed { file: "00:01 5".into(), area: Area { iova: 0, bytes: 4096 } }];
        for pid in [40, 41] {
            write(&here, pid, "stat", STAT);
            write(&here, pid, "maps", "1000-2000 rw-s 00000000 00:01 5    /memfd:x\n");
            write(&here, pid, "comm", "vmm\n");
        }
        write(&here, 42, "stat", STAT);
        write(&here, 42, "maps", "1000-2000 rw-s 00000000 00:01 6    /memfd:y\n");
        fs::write(here.proc.join("uptime"), "1 1").expect("write");
        let found = here.mappers(&backed).expect("readable");
        assert_eq!(found.iter().map(|mapper| mapper.is).collect::<Vec<_>>(), [Identity { pid: 41, started: 777 }]);
        assert_eq!(found[0].to_string(), "vmm (pid 41)");
        assert!(here.is_alive(found[0].is) && !here.is_alive(Identity { pid: 41, started: 776 }));

        fs::remove_file(here.file(42, "maps")).expect("rm");
        fs::create_dir(here.file(42, "maps")).expect("mkdir");
        assert_eq!(here.mappers(&backed).expect_err("unreadable").code, "tracker/process-unreadable");
        fs::remove_dir_all(&here.proc).expect("clean up");
    }

    #[test]
    fn stopped_is_every_thread() {
        let here = processes("stopped");
        write(&here, 7, "task/7/stat", "7 (x) T 1");
        write(&here, 7, "task/8/stat", "8 (R) T) Z 1");
        assert!(here.is_stopped(7));
        write(&here, 7, "task/9/stat", "9 (x) t 1");
        assert!(!here.is_stopped(7), "stopped for a debugger, which may let it run");
        fs::remove_dir_all(&here.proc).expect("clean up");
    }
}
