//! The freezer of cgroup v2.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use super::found::Processes;

#[derive(Debug, Clone, Default)]
pub struct Cgroups {
    /// Where cgroup v2 is mounted; `None`: nowhere.
    root: Option<PathBuf>,
}

impl Cgroups {
    pub fn of_this_host() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self { root: mounts.lines().find_map(mounted) }
    }

    /// The cgroup of a process; none for the root, which cannot be frozen.
    fn of(&self, pid: u32, processes: &Processes) -> Option<PathBuf> {
        let text = fs::read_to_string(processes.file(pid, "cgroup")).ok()?;
        let path = Path::new(text.lines().find_map(|line| line.strip_prefix("0::/"))?);
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        (plain && path.components().next().is_some()).then(|| self.root.as_ref().map(|root| root.join(path)))?
    }

    /// Its cgroup, where that can be frozen and holds nothing but `all`.
    pub fn own(&self, pid: u32, all: &[u32], processes: &Processes) -> Option<PathBuf> {
        let folder = self.of(pid, processes)?;
        OpenOptions::new().write(true).open(folder.join("cgroup.freeze")).ok()?;
        let inside = fs::read_to_string(folder.join("cgroup.procs")).ok()?;
        let alone = inside.lines().all(|line| line.parse().is_ok_and(|inside| all.contains(&inside)));
        let children = fs::read_dir(&folder).ok()?.flatten().any(|entry| entry.path().is_dir());
        (alone && !children).then_some(folder)
    }

    /// Its cgroup, if it stands frozen.
    pub fn frozen(&self, pid: u32, processes: &Processes) -> Option<PathBuf> {
        self.of(pid, processes).filter(|folder| Self::is_frozen(folder))
    }

    pub fn is_frozen(folder: &Path) -> bool {
        fs::read_to_string(folder.join("cgroup.events")).is_ok_and(|text| text.lines().any(|line| line == "frozen 1"))
    }

    /// Freezing takes a moment: see [`Self::is_frozen`].
    pub fn freeze(folder: &Path, on: bool) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(folder.join("cgroup.freeze"))?;
        file.write_all(if on { b"1" } else { b"0" })
    }
}

/// The place of a mount of cgroup v2 in a line of mountinfo.
fn mounted(line: &str) -> Option<PathBuf> {
    let (before, behind) = line.split_once(" - ")?;
    let mut fields = before.split(' ');
    let (root, place) = (fields.nth(3)?, fields.next()?);
    (behind.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_where_it_is_mounted() {
        let line = "42 32 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(mounted(line), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mounted("41 32 0:37 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"), None);
        assert_eq!(mounted("42 32 0:38 /sub /mnt rw - cgroup2 cgroup2 rw"), None, "a part of it names other paths");
    }
}
