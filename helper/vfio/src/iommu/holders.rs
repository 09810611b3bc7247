//! Which processes have a VFIO node open, read from /proc. Complete for root only; other users see their own.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// One process that has a node open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub command: String,
    /// Descriptors with what they refer to, VFIO ones only.
    pub fds: Vec<(i32, PathBuf)>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.command, self.pid)
    }
}

/// Processes with any of `nodes` (as `/dev/vfio/…`) open.
pub fn of(root: &Path, nodes: &[&Path]) -> Vec<Holder> {
    let mut holders: Vec<Holder> =
        all(root).into_iter().filter(|holder| holder.fds.iter().any(|(_, to)| nodes.contains(&to.as_path()))).collect();
    holders.sort_by_key(|holder| holder.pid);
    holders
}

/// Every process with a VFIO descriptor, and those descriptors.
pub fn all(root: &Path) -> Vec<Holder> {
    let Ok(processes) = fs::read_dir(root.join("proc")) else { return Vec::new() };
    processes
        .flatten()
        .filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let fds: Vec<(i32, PathBuf)> = fs::read_dir(process.path().join("fd"))
                .ok()?
                .flatten()
                .filter_map(|fd| Some((fd.file_name().to_str()?.parse().ok()?, fs::read_link(fd.path()).ok()?)))
                .filter(|(_, to)| to.starts_with("/dev/vfio") || to.as_os_str() == "anon_inode:[vfio-device]")
                .collect();
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default().trim().to_owned();
            (!fds.is_empty()).then_some(Holder { pid, command, fds })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_process_that_has_a_node_open() {
        let tree = ferry_testing::Tree::default();
        tree.process(412, "qemu-system-x86", &[(5, "/dev/vfio/vfio"), (6, "/dev/vfio/7"), (7, "/dev/null")]);
        tree.process(413, "cat", &[(0, "/dev/null")]);
        let found = of(tree.path(), &[Path::new("/dev/vfio/7")]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "qemu-system-x86 (pid 412)");
        assert_eq!(found[0].fds.len(), 2, "only VFIO descriptors");
        assert!(of(tree.path(), &[Path::new("/dev/vfio/8")]).is_empty());
    }
}
