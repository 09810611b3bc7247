//! One device as sysfs shows it, before anything is opened.

use std::fs;
use std::path::{Path, PathBuf};

use super::group::{self, is_vfio_device, is_vfio_driver, read_trimmed};
use crate::iommu::node::{DeviceNode, link_name};
use crate::message::{CdevFacts, DeviceFacts, DeviceKind, ProbeFacts};

/// A device with its facts so far.
pub struct ListedDevice {
    pub node: DeviceNode,
    pub facts: DeviceFacts,
}

/// mdevs, then PCI functions bound to a VFIO driver (with `all`: every function), each by id.
pub fn list(root: &Path, all: bool, unseen: &mut Vec<String>) -> Vec<ListedDevice> {
    let mut seen = Vec::new();
    for (bus, kind) in [("mdev", DeviceKind::Mdev), ("pci", DeviceKind::Function)] {
        let directory = PathBuf::from(format!("/sys/bus/{bus}/devices"));
        // A bus the kernel does not have is no fault.
        let Ok(entries) = fs::read_dir(root.join(format!("sys/bus/{bus}/devices"))) else { continue };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let path = directory.join(&name);
            match DeviceNode::read(root, &path) {
                Ok(node) => {
                    let driver = link_name(&node.path, "driver");
                    let vfio = driver.as_deref().is_some_and(is_vfio_driver) || is_vfio_device(&node.path);
                    if kind == DeviceKind::Mdev || all || vfio {
                        let facts = facts(root, &path, &node, kind, driver);
                        seen.push(ListedDevice { node, facts });
                    }
                }
                // It may have gone between the two looks.
                Err(error) => unseen.push(format!("{}: {error}", path.display())),
            }
        }
    }
    seen
}

fn facts(root: &Path, path: &Path, node: &DeviceNode, kind: DeviceKind, driver: Option<String>) -> DeviceFacts {
    let attribute = |name: &str| read_trimmed(&node.path.join(name));
    let function = kind == DeviceKind::Function;
    DeviceFacts {
        id: node.id.clone(),
        kind,
        simulated: false,
        sysfs_path: Some(path.display().to_string()),
        physical_function: link_name(&node.path, "physfn"),
        virtual_functions: attribute("sriov_numvfs").and_then(|count| count.parse().ok()).unwrap_or(0),
        vendor: attribute("vendor").filter(|_| function),
        device: attribute("device").filter(|_| function),
        class: attribute("class").filter(|_| function),
        mdev_type: link_name(&node.path, "mdev_type"),
        mdev_parent: (!function).then(|| node.path.parent()?.file_name()?.to_str().map(str::to_owned)).flatten(),
        driver,
        group: group::facts(root, node),
        cdev: cdev(root, node),
        migration: None,
        trackers: Vec::new(),
        probe: ProbeFacts::skipped("not-asked"),
    }
}

/// The directory `vfio-dev/vfioN` names the device even where no node was made.
fn cdev(root: &Path, node: &DeviceNode) -> Option<CdevFacts> {
    let entry = fs::read_dir(node.path.join("vfio-dev")).ok()?.flatten().next()?;
    let dev_node = node.cdev_node().filter(|path| root.join(path.strip_prefix("/").unwrap_or(path)).exists());
    Some(CdevFacts {
        name: entry.file_name().to_string_lossy().into_owned(),
        node: dev_node.map(|path| path.display().to_string()),
    })
}
