//! Asking devices what only their driver knows.
//!
//! A device no one has open is opened for it. That is not free of consequences: vfio-pci resets a function at open
//! and at close, which is why it is only done when asked for (`probe`) and never to a device somebody uses. A device
//! in use is asked through a duplicate of its user's descriptor (pidfd_getfd), which disturbs nothing, and only where
//! that descriptor is certain to be this device's.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::ask::{Answers, ask};
use super::device::ListedDevice;
use crate::device::kernel::{DeviceFd, shared};
use crate::error::{HelperError, Result};
use crate::iommu::holders::Holder;
use crate::iommu::iommufd::{Iommufd, open_cdev};
use crate::iommu::type1::{ContainerFd, Group};
use crate::message::{GroupFacts, IommuKind, ProbeFacts};

const DEVICE_INODE: &str = "anon_inode:[vfio-device]";

/// What devices said when this process last asked them. One that this process holds cannot be opened again, and its
/// driver would say the same.
static ANSWERED: Mutex<BTreeMap<String, (ProbeFacts, Answers)>> = Mutex::new(BTreeMap::new());

/// Asks one device; fills `probe` and returns what it said.
pub fn probe(seen: &mut ListedDevice, holders: &[Holder]) -> Option<Answers> {
    let (probe, answers) = match ours(seen, holders, std::process::id()) {
        Some((probe, answers)) => (probe, Some(answers)),
        None => attempt(seen, holders),
    };
    if let Some(answers) = &answers {
        let mut answered = ANSWERED.lock().unwrap_or_else(PoisonError::into_inner);
        answered.insert(seen.facts.id.clone(), (probe.clone(), answers.clone()));
    }
    seen.facts.probe = probe;
    answers
}

/// What the device said before this process opened it to hold it.
fn ours(seen: &ListedDevice, holders: &[Holder], pid: u32) -> Option<(ProbeFacts, Answers)> {
    let node = |node: Option<&String>| node.map(PathBuf::from);
    let group = node(seen.facts.group.as_ref().and_then(|group| group.node.as_ref()));
    let cdev = node(seen.facts.cdev.as_ref().and_then(|cdev| cdev.node.as_ref()));
    let mine = match user(seen, holders, group.as_deref(), cdev.as_deref())? {
        User::Certain { pid: holder, .. } | User::Somebody { pid: holder } => holder == pid,
    };
    let answered = ANSWERED.lock().unwrap_or_else(PoisonError::into_inner);
    mine.then(|| answered.get(&seen.facts.id).cloned()).flatten()
}

fn attempt(seen: &ListedDevice, holders: &[Holder]) -> (ProbeFacts, Option<Answers>) {
    let id = seen.facts.id.as_str();
    let group_node = seen.facts.group.as_ref().and_then(|group| group.node.clone()).map(PathBuf::from);
    let cdev_node = seen.facts.cdev.as_ref().and_then(|cdev| cdev.node.clone()).map(PathBuf::from);
    if seen.node.noiommu || (group_node.is_none() && cdev_node.is_none()) {
        return (ProbeFacts::skipped("not-bound"), None);
    }
    if let Some(user) = user(seen, holders, group_node.as_deref(), cdev_node.as_deref()) {
        return match user {
            User::Certain { pid, fd, via } => match borrow(id, pid, fd).and_then(|fd| ask(id, &fd)) {
                Ok(answers) => (ProbeFacts::done(via).held_by(pid), Some(answers)),
                // Its user may have closed it meanwhile, or may be out of our reach.
                Err(_) => (ProbeFacts::skipped("busy").held_by(pid), None),
            },
            User::Somebody { pid } => (ProbeFacts::skipped("busy").held_by(pid), None),
        };
    }
    let iommufd = cdev_node.as_ref().and_then(|_| Iommufd::open().ok());
    let (via, asked) = match iommufd {
        Some(iommufd) => ("cdev", through_cdev(seen, &iommufd)),
        None => ("group", through_group(seen)),
    };
    match asked {
        Ok(answers) => (ProbeFacts::done(via), Some(answers)),
        Err(error) => (ProbeFacts::failed(error), None),
    }
}

fn through_cdev(seen: &ListedDevice, iommufd: &Iommufd) -> Result<Answers> {
    let bound = open_cdev(&seen.facts.id, &seen.node, iommufd)?;
    let mut answers = ask(&seen.facts.id, &bound.fd)?;
    // An mdev's id is an access id and its DMA passes no IOMMU.
    if !seen.node.emulated {
        answers.iommu_tracks = iommufd.tracks(bound.id).ok();
    }
    Ok(answers)
}

fn through_group(seen: &ListedDevice) -> Result<Answers> {
    let container = ContainerFd::open()?;
    let group = Group::open(&seen.facts.id, &seen.node)?;
    group.set_container(&seen.facts.id, &container)?;
    container
        .set_type1()
        .map_err(|error| HelperError::os("iommu/attach-failed", "VFIO_SET_IOMMU", &error, "").device(&seen.facts.id))?;
    // Declared after the container, so closed before it.
    let device = shared(group.device_fd(&seen.facts.id, &seen.node.id)?);
    ask(&seen.facts.id, &device)
}

#[derive(Debug, PartialEq, Eq)]
enum User {
    /// This descriptor of this process is this device's.
    Certain {
        pid: u32,
        fd: i32,
        via: &'static str,
    },
    Somebody {
        pid: u32,
    },
}

/// Who uses the device, as far as /proc shows. A cdev descriptor names its device. A group's device descriptors are
/// anonymous, so one is certain only in a process that has one such descriptor and this one group of one member.
fn user(seen: &ListedDevice, holders: &[Holder], group_node: Option<&Path>, cdev_node: Option<&Path>) -> Option<User> {
    let has = |holder: &Holder, node: Option<&Path>| {
        holder.fds.iter().find(|(_, to)| Some(to.as_path()) == node).map(|fd| fd.0)
    };
    if let Some((pid, fd)) = holders.iter().find_map(|holder| has(holder, cdev_node).map(|fd| (holder.pid, fd))) {
        return Some(User::Certain { pid, fd, via: "cdev" });
    }
    let holder = holders.iter().find(|holder| has(holder, group_node).is_some())?;
    let devices: Vec<i32> =
        holder.fds.iter().filter(|(_, to)| to.as_os_str() == DEVICE_INODE).map(|(fd, _)| *fd).collect();
    let groups = holder.fds.iter().filter(|(_, to)| is_group(to)).count();
    let alone = seen.facts.group.as_ref().is_some_and(one_member);
    match devices.as_slice() {
        [fd] if groups == 1 && alone => Some(User::Certain { pid: holder.pid, fd: *fd, via: "group" }),
        _ => Some(User::Somebody { pid: holder.pid }),
    }
}

fn is_group(node: &Path) -> bool {
    node.parent() == Some(Path::new("/dev/vfio")) && node.file_name().is_some_and(|name| name != "vfio")
}

fn one_member(group: &GroupFacts) -> bool {
    group.iommu == IommuKind::Emulated || group.members.len() == 1
}

/// A duplicate of another process's descriptor; needs the right to trace it. The device stays open for the moment we
/// hold it, which no one can tell from its user holding it.
fn borrow(device: &str, pid: u32, fd: i32) -> Result<DeviceFd> {
    let failed = |operation: &str, errno: rustix::io::Errno| {
        HelperError::os("device/busy", operation, &errno.into(), format!("in use by pid {pid}")).device(device)
    };
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let process = process.ok_or_else(|| failed("pidfd_open", rustix::io::Errno::SRCH))?;
    let pidfd = pidfd_open(process, PidfdFlags::empty()).map_err(|errno| failed("pidfd_open", errno))?;
    let fd: OwnedFd =
        pidfd_getfd(&pidfd, fd, PidfdGetfdFlags::empty()).map_err(|errno| failed("pidfd_getfd", errno))?;
    Ok(DeviceFd::from(fd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MigrationFacts;
    use crate::sysfs::device::list;
    use ferry_testing::Tree;

    const UUID: &str = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

    fn holder(pid: u32, fds: &[(i32, &str)]) -> Holder {
        let fds = fds.iter().map(|(fd, to)| (*fd, PathBuf::from(to))).collect();
        Holder { pid, command: "vmm".to_owned(), fds }
    }

    #[test]
    fn only_a_descriptor_that_is_certainly_the_devices_is_borrowed() {
        let tree = Tree::default();
        tree.mdev(UUID, 7, "mtty-2");
        let seen = list(tree.path(), false, &mut Vec::new()).remove(0);
        let (group, cdev) = (Path::new("/dev/vfio/7"), Path::new("/dev/vfio/devices/vfio0"));
        let who = |fds: &[(i32, &str)]| user(&seen, &[holder(9, fds)], Some(group), Some(cdev));
        assert_eq!(who(&[(4, "/dev/vfio/8"), (5, DEVICE_INODE)]), None);
        assert_eq!(who(&[(4, "/dev/vfio/devices/vfio0")]), Some(User::Certain { pid: 9, fd: 4, via: "cdev" }));
        let one = [(3, "/dev/vfio/vfio"), (4, "/dev/vfio/7"), (5, DEVICE_INODE)];
        assert_eq!(who(&one), Some(User::Certain { pid: 9, fd: 5, via: "group" }));
        let two_groups = [(4, "/dev/vfio/7"), (6, "/dev/vfio/8"), (5, DEVICE_INODE)];
        assert_eq!(who(&two_groups), Some(User::Somebody { pid: 9 }));
        let two_devices = [(4, "/dev/vfio/7"), (5, DEVICE_INODE), (6, DEVICE_INODE)];
        assert_eq!(who(&two_devices), Some(User::Somebody { pid: 9 }));
    }

    #[test]
    fn a_device_held_by_this_process_answers_as_it_did_before() {
        let tree = Tree::default();
        tree.mdev(UUID, 7, "mtty-2");
        let seen = list(tree.path(), false, &mut Vec::new()).remove(0);
        let held = [holder(9, &[(4, "/dev/vfio/7"), (5, DEVICE_INODE)])];
        assert!(ours(&seen, &held, 9).is_none(), "never asked");
        let said = Answers {
            migration: MigrationFacts { supported: true, flags: vec!["stop-copy"], state: None, state_bytes: None },
            dma_log: true,
            iommu_tracks: Some(false),
        };
        let answer = (ProbeFacts::done("group"), said.clone());
        ANSWERED.lock().expect("lock").insert(UUID.to_owned(), answer);
        assert_eq!(ours(&seen, &held, 9).map(|(_, said)| said), Some(said));
        assert!(ours(&seen, &held, 10).is_none(), "another process holds it");
        assert!(ours(&seen, &[], 9).is_none(), "no one holds it: it is asked anew");
    }

    #[test]
    fn a_descriptor_of_another_process_is_duplicated() {
        // Ourselves: the right to trace is given, and the duplicate must be the same open file.
        let null = std::fs::File::open("/dev/null").expect("open");
        let pid = std::process::id();
        let fd = borrow("dev", pid, std::os::fd::AsRawFd::as_raw_fd(&null)).expect("duplicate");
        assert_eq!(fd.migration_flags().expect_err("no device").raw_os_error(), Some(libc::ENOTTY));
        assert_eq!(borrow("dev", pid, 999_999).expect_err("no such descriptor").errno, Some(libc::EBADF));
    }
}
