//! From a device's sysfs directory to the nodes one opens: its IOMMU group, its cdev. What kind of group it is is
//! read here too, because the group's own name does not tell: mdevs and noiommu devices both get `vfio-noiommu`.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{HelperError, Result};

/// A device as sysfs shows it. `root` is `/` except in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNode {
    /// Last part of the path: BDF or mdev UUID; also the name GET_DEVICE_FD takes.
    pub id: String,
    pub path: PathBuf,
    /// Number of the IOMMU group; `None` without one.
    pub group: Option<u32>,
    /// On the mdev bus: the driver does the DMA by pinning pages itself, the group is emulated and has no other member.
    pub emulated: bool,
    /// The group is that of noiommu mode.
    pub noiommu: bool,
    /// `vfioN` when the kernel made a character device; the directory alone does not mean that (it exists without a
    /// node in kernels without cdev and in noiommu mode), its `dev` file does.
    pub cdev: Option<String>,
}

impl DeviceNode {
    /// # Errors
    /// `device/not-found`: no such directory.
    pub fn read(root: &Path, sysfs_path: &Path) -> Result<Self> {
        let path = root.join(sysfs_path.strip_prefix("/").unwrap_or(sysfs_path));
        let path = path.canonicalize().map_err(|error| {
            HelperError::os("device/not-found", format!("look up {}", sysfs_path.display()), &error, "no such device")
                .suggest("run `ferry devices` to see the devices of this host")
        })?;
        let id = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let group = link_name(&path, "iommu_group").and_then(|name| name.parse().ok());
        let emulated = link_name(&path, "subsystem").as_deref() == Some("mdev");
        let noiommu = group.is_some_and(|number| root.join(format!("sys/class/vfio/noiommu-{number}")).exists());
        let cdev = cdev(&path);
        Ok(Self { id, path, group, emulated, noiommu, cdev })
    }

    pub fn group_node(&self) -> Option<PathBuf> {
        self.group.map(|number| PathBuf::from(format!("/dev/vfio/{number}")))
    }

    pub fn cdev_node(&self) -> Option<PathBuf> {
        self.cdev.as_ref().map(|name| Path::new("/dev/vfio/devices").join(name))
    }
}

/// Last part of what a sysfs link points to.
pub fn link_name(directory: &Path, link: &str) -> Option<String> {
    let target = std::fs::read_link(directory.join(link)).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

fn cdev(device: &Path) -> Option<String> {
    let entries = std::fs::read_dir(device.join("vfio-dev")).ok()?;
    entries
        .flatten()
        .find(|entry| entry.path().join("dev").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// Why `path`, one of the nodes of `node`, could not be opened, and who has the device: a group and a cdev exclude
/// each other, so the process in the way may have the other one open.
pub fn open_failed(device: &str, node: &DeviceNode, path: &Path, error: &io::Error) -> HelperError {
    let shown = path.display();
    let (code, meaning, hint) = match error.raw_os_error().unwrap_or(0) {
        libc::EBUSY => {
            let (meaning, hint) = busy(node, path);
            ("device/busy", meaning, hint)
        }
        libc::ENOENT => (
            "device/no-node",
            "no VFIO driver is bound to the device, or udev has not made the node".to_owned(),
            "bind the device to its VFIO driver (driverctl, or driver_override in sysfs)".to_owned(),
        ),
        libc::EACCES | libc::EPERM => (
            "device/no-permission",
            "not allowed for this user".to_owned(),
            format!("run as root, or give this user access to {shown} by a udev rule"),
        ),
        _ => ("device/open-failed", String::new(), String::new()),
    };
    let failed = HelperError::os(code, format!("open {shown}"), error, meaning).device(device);
    if hint.is_empty() { failed } else { failed.suggest(hint) }
}

/// What to say of a device that somebody has open, and what to do. Ask before opening any of its nodes oneself.
pub fn busy(node: &DeviceNode, path: &Path) -> (String, String) {
    let nodes: Vec<PathBuf> = [node.group_node(), node.cdev_node()].into_iter().flatten().collect();
    let nodes: Vec<&Path> = nodes.iter().map(PathBuf::as_path).collect();
    let users: Vec<String> = super::holders::of(Path::new("/"), &nodes).iter().map(ToString::to_string).collect();
    let meaning = match users.as_slice() {
        [] => "somebody has the device open".to_owned(),
        some => format!("open in {}", some.join(", ")),
    };
    (meaning, format!("stop the VMM that uses it; `fuser -v {}` as root names the process", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mdev_is_told_from_noiommu_and_a_directory_from_a_cdev() {
        let root = ferry_testing::Tree::default();
        let mdev = root.mdev("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", 7, "mtty-2");
        let node =
            DeviceNode::read(root.path(), Path::new("/sys/bus/mdev/devices/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"))
                .expect("device");
        assert!(node.emulated && !node.noiommu);
        assert_eq!((node.group, node.cdev.as_deref()), (Some(7), Some("vfio0")));
        assert_eq!(node.group_node(), Some(PathBuf::from("/dev/vfio/7")));
        assert_eq!(node.cdev_node(), Some(PathBuf::from("/dev/vfio/devices/vfio0")));
        std::fs::remove_file(mdev.join("vfio-dev/vfio0/dev")).expect("remove");
        std::fs::create_dir_all(root.path().join("sys/class/vfio/noiommu-7")).expect("class entry");
        let node =
            DeviceNode::read(root.path(), Path::new("/sys/bus/mdev/devices/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"))
                .expect("device");
        assert_eq!(node.cdev, None, "no dev file, no cdev");
        assert!(node.noiommu);
        let missing = DeviceNode::read(root.path(), Path::new("/sys/bus/pci/devices/0000:ff:1f.7"));
        assert_eq!(missing.expect_err("absent").code, "device/not-found");
    }
}
