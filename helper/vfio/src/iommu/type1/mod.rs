//! The type1 backend: groups in a container. Mapping pins memory only for physical groups, and only a container of
//! emulated groups knows dirty pages: one physical group makes every page dirty in every read.

mod container;
mod group;
mod info;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

pub use container::{CONTAINER_NODE, ContainerFd};
pub use group::Group;
pub use info::ContainerInfo;

use super::node::DeviceNode;
use super::whole::map_whole;
use super::{Backend, BackendKind, Handle, Mapped, Opened, ranges};
use crate::area::Area;
use crate::device::kernel::{self, KernelDevice};
use crate::dirty::all::AllTracker;
use crate::dirty::areas::{MappedAreas, map_chunks};
use crate::dirty::pinned::PinnedTracker;
use crate::dirty::{Tracker, TrackerKind};
use crate::error::{HelperError, Result};
use crate::memory::{Memory, Region};

pub struct Type1Backend {
    container: ContainerFd,
    groups: Vec<Group>,
    mixed: bool,
    mapped: MappedAreas,
    /// What is mapped must outlive the mapping: devices write there.
    held: Vec<(Area, Arc<Memory>)>,
}

impl Type1Backend {
    /// # Errors
    /// `iommu/no-type1`.
    pub fn open() -> Result<Self> {
        let container = ContainerFd::open()?;
        Ok(Self { container, groups: Vec::new(), mixed: false, mapped: MappedAreas::default(), held: Vec::new() })
    }

    /// Lets the tracker `pinned` be made although physical groups are in the container: it then reports every page.
    #[must_use]
    pub fn allow_mixed(mut self, mixed: bool) -> Self {
        self.mixed = mixed;
        self
    }

    /// The group of `node`, opened and attached once.
    fn group(&mut self, name: &str, node: &DeviceNode) -> Result<&Group> {
        let found = self.groups.iter().position(|group| Some(group.number) == node.group);
        let index = match found {
            Some(index) => index,
            None => {
                let group = Group::open(name, node)?;
                group.set_container(name, &self.container)?;
                if self.groups.is_empty() {
                    self.container.set_type1().map_err(|error| {
                        HelperError::os("iommu/attach-failed", "VFIO_SET_IOMMU", &error, set_iommu_meaning(&error))
                            .device(name)
                    })?;
                }
                self.groups.push(group);
                self.groups.len() - 1
            }
        };
        self.groups
            .get(index)
            .ok_or_else(|| HelperError::new("iommu/attach-failed", "the group is not in the container").device(name))
    }

    fn physical(&self) -> bool {
        self.groups.iter().any(|group| !group.emulated)
    }

    fn info(&self) -> Result<ContainerInfo> {
        self.container.info().map_err(|error| {
            HelperError::os("iommu/info-failed", "VFIO_IOMMU_GET_INFO", &error, "the container has no IOMMU yet")
        })
    }

    fn pinned(&self, name: &str) -> Result<Box<dyn Tracker>> {
        let physical: Vec<String> =
            self.groups.iter().filter(|group| !group.emulated).map(|group| group.number.to_string()).collect();
        if self.groups.is_empty() || (!physical.is_empty() && !self.mixed) {
            let found = match physical.as_slice() {
                [] => "the container has no group yet".to_owned(),
                some => format!("the container has physical groups ({})", some.join(", ")),
            };
            return Err(HelperError::new(
                "tracker/pinned-needs-emulated",
                format!("{found}: every page would be dirty"),
            )
            .suggest("put mdevs into a container of their own"));
        }
        let tracking = self.info()?.tracking.ok_or_else(|| {
            HelperError::new("tracker/compat-container", "this /dev/vfio/vfio is iommufd's imitation of type1")
                .suggest("it tracks nothing: use tracker `device` or `all`, or a kernel with CONFIG_VFIO_CONTAINER")
        })?;
        if tracking.page_sizes == 0 {
            return Err(HelperError::new("tracker/compat-container", "the container names no page size to track at"));
        }
        let page_size = 1 << tracking.page_sizes.trailing_zeros();
        Ok(Box::new(PinnedTracker::new(name, self.container.clone(), page_size, self.mapped.clone())))
    }
}

fn set_iommu_meaning(error: &io::Error) -> &'static str {
    match error.raw_os_error().unwrap_or(0) {
        libc::EPERM => "interrupts are not isolated on this platform (allow_unsafe_interrupts), or not allowed",
        libc::ENODEV => "no IOMMU driver takes this group",
        libc::EBUSY => "the group is owned elsewhere",
        _ => "",
    }
}

impl Backend for Type1Backend {
    fn kind(&self) -> BackendKind {
        BackendKind::Type1
    }

    fn open_kernel_device(&mut self, name: &str, sysfs_path: &Path) -> Result<Opened> {
        let node = DeviceNode::read(Path::new("/"), sysfs_path)?;
        let fd = self.group(name, &node)?.device_fd(name, &node.id)?;
        KernelDevice::adopt(name, kernel::shared(fd))
    }

    fn map(&mut self, memory: &Arc<Memory>, region: &Region) -> Result<Mapped> {
        let info = self.info()?;
        if let Some(usable) = info.iova_ranges.filter(|_| self.physical()) {
            ranges::check(region, &usable)?;
        }
        let area = region.area();
        let maps = map_whole(
            region,
            "VFIO_IOMMU_MAP_DMA",
            // SAFETY: the chunk lies inside the region of `memory`. `held` keeps that alive until it is unmapped; what
            // fails half way is unmapped again, while the caller still holds it.
            |address, chunk| unsafe { self.container.map(address, chunk) },
            |chunk| self.container.unmap(chunk),
        )?;
        self.mapped.add(area);
        self.held.push((area, Arc::clone(memory)));
        Ok(Mapped { pages: area.bytes / memory.page_size(), maps })
    }

    fn unmap(&mut self, region: &Region) -> Result<()> {
        let area = region.area();
        if !self.mapped.contains(area) {
            return Err(HelperError::new("iommu/not-mapped", format!("region {} is not mapped", region.name())));
        }
        for chunk in map_chunks(area) {
            let gone = self.container.unmap(chunk).map_err(|error| {
                HelperError::os("iommu/unmap-failed", "VFIO_IOMMU_UNMAP_DMA", &error, "the range is not one mapping")
            })?;
            if gone != chunk.bytes {
                let message = format!("region {}: {gone} of {} bytes were unmapped", region.name(), chunk.bytes);
                return Err(HelperError::new("iommu/unmap-failed", message).operation("VFIO_IOMMU_UNMAP_DMA"));
            }
        }
        self.mapped.remove(area);
        self.held.retain(|(other, _)| *other != area);
        Ok(())
    }

    fn descriptors(&self) -> Vec<(Handle, BorrowedFd<'_>)> {
        let groups = self.groups.iter().map(|group| (Handle::Group(group.number), group.as_fd()));
        std::iter::once((Handle::Container, self.container.as_fd())).chain(groups).collect()
    }

    fn hand_over(&mut self) {
        for area in self.mapped.snapshot() {
            self.mapped.remove(area);
        }
    }

    fn tracker(&mut self, name: &str, kind: TrackerKind, memory: &Arc<Memory>) -> Result<Box<dyn Tracker>> {
        match kind {
            TrackerKind::Pinned => self.pinned(name),
            TrackerKind::All => Ok(Box::new(AllTracker::of_container(name, memory.page_size(), self.mapped.clone()))),
            TrackerKind::Iommu => {
                Err(HelperError::new("tracker/needs-iommufd", "type1 never reads the IOMMU's dirty bits")
                    .suggest("put the function into an iommufd container with dirty tracking"))
            }
            TrackerKind::Device | TrackerKind::Process => Err(HelperError::new(
                "tracker/not-of-container",
                "what a device or a process writes is known to it, not to a container",
            )),
        }
    }
}

impl Drop for Type1Backend {
    fn drop(&mut self) {
        // Closing the last fd unmaps too, but a device still open would keep the mappings after our memory is gone
        // from `held`. The kernel's pins keep the pages themselves, so a failure here harms no other device.
        for area in self.mapped.snapshot() {
            for chunk in map_chunks(area) {
                let _ = self.container.unmap(chunk);
            }
            self.mapped.remove(area);
        }
    }
}
