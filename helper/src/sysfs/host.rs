//! What the host itself offers: backends, IOMMU, limits.

use std::fs::{self, OpenOptions};
use std::path::Path;

use vfio_bindings::bindings::vfio::VFIO_TYPE1v2_IOMMU;

use super::group::read_trimmed;
use crate::device::kernel::ioctl;
use crate::iommu::iommufd::{IOMMU_NODE, is_compat};
use crate::iommu::type1::CONTAINER_NODE;
use crate::message::HostFacts;
use crate::message::num::Bytes;
use crate::resident::{memlock_limit, memory_available};

/// The container node as it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Container {
    /// type1v2 by the container's own word; `None` when it could not be opened.
    pub type1: Option<bool>,
    /// It is iommufd's imitation, which maps but tracks nothing.
    pub compat: bool,
}

/// Asks the container node, which changes nothing: a container without a group is an empty object.
pub fn container(root: &Path) -> Container {
    let path = inside(root, CONTAINER_NODE);
    if !path.exists() {
        return Container { type1: Some(false), compat: false };
    }
    let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else {
        return Container { type1: None, compat: false };
    };
    let extension = libc::c_ulong::from(VFIO_TYPE1v2_IOMMU);
    // SAFETY: CHECK_EXTENSION takes a plain number.
    let answer = unsafe { ioctl::with_value(&file, ioctl::VFIO_CHECK_EXTENSION(), extension) };
    Container { type1: Some(answer.is_ok_and(|yes| yes > 0)), compat: is_compat(&file) }
}

pub fn facts(root: &Path, container: Container, unseen: &mut Vec<String>) -> HostFacts {
    let uname = rustix::system::uname();
    if container.type1.is_none() {
        unseen.push(format!("{CONTAINER_NODE} cannot be opened by this user: whether it offers type1 is unknown"));
    }
    let iommufd = inside(root, IOMMU_NODE).exists();
    if iommufd && OpenOptions::new().read(true).write(true).open(inside(root, IOMMU_NODE)).is_err() {
        unseen.push(format!("{IOMMU_NODE} cannot be opened by this user: IOMMU dirty tracking was not asked for"));
    }
    HostFacts {
        hostname: uname.nodename().to_string_lossy().into_owned(),
        kernel: uname.release().to_string_lossy().into_owned(),
        uid: rustix::process::geteuid().as_raw(),
        page_size: rustix::param::page_size() as u64,
        memlock_bytes: memlock_limit().map(Bytes),
        memory_available_bytes: Bytes(memory_available()),
        type1: container.type1,
        iommufd: Some(iommufd),
        iommu_present: iommu_present(root),
        noiommu_enabled: read_trimmed(&root.join("sys/module/vfio/parameters/enable_unsafe_noiommu_mode"))
            .is_some_and(|value| matches!(value.as_str(), "Y" | "1")),
    }
}

/// An IOMMU in use: one registered, or a group with a real domain. Groups alone say nothing, since mdevs and noiommu
/// devices have them too (of type `unknown`).
fn iommu_present(root: &Path) -> bool {
    let registered = fs::read_dir(root.join("sys/class/iommu")).is_ok_and(|mut entries| entries.next().is_some());
    registered
        || fs::read_dir(root.join("sys/kernel/iommu_groups")).is_ok_and(|groups| {
            groups.flatten().any(|group| {
                read_trimmed(&group.path().join("type"))
                    .is_some_and(|domain| !matches!(domain.as_str(), "" | "unknown"))
            })
        })
}

/// An absolute path below `root`.
pub fn inside(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}
