//! The iommufd backend: one IO address space (IOAS) with its devices.
//!
//! Asked for dirty tracking, it makes page tables (HWPTs) of its own: what an attach to the IOAS makes by itself can
//! never track. mdevs take no page table, and iommufd has no dirty tracking for them at all.

mod cdev;
mod fd;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Arc, Weak};

pub use cdev::{Bound, open as open_cdev};
pub use fd::{IOMMU_NODE, Iommufd, is_compat};

use super::node::DeviceNode;
use super::whole::map_whole;
use super::{Backend, BackendKind, Handle, Mapped, Opened, ranges};
use crate::area::Area;
use crate::device::kernel::{DeviceFd, KernelDevice};
use crate::dirty::all::AllTracker;
use crate::dirty::areas::{MappedAreas, map_chunks};
use crate::dirty::hwpt::HwptTracker;
use crate::dirty::{Tracker, TrackerKind};
use crate::error::{HelperError, Result};
use crate::memory::{Memory, Region};

pub struct IommufdBackend {
    iommufd: Iommufd,
    ioas: u32,
    dirty_tracking: bool,
    /// Page tables that track, in the order they were made.
    hwpts: Vec<u32>,
    /// Devices to detach at the end. Not owned: the device's fd closes with the device.
    attached: Vec<Weak<DeviceFd>>,
    mapped: MappedAreas,
    held: Vec<(Area, Arc<Memory>)>,
    tracker_made: bool,
    /// Others have the descriptor: the address space is theirs.
    handed_over: bool,
}

impl IommufdBackend {
    /// `dirty_tracking`: devices get page tables that can track, mapped in single pages; devices and IOMMUs that
    /// cannot are refused when the device is opened.
    ///
    /// # Errors
    /// `iommu/no-iommufd`, `iommu/ioas-failed`.
    pub fn open(dirty_tracking: bool) -> Result<Self> {
        Self::with_entries(dirty_tracking, false)
    }

    /// As [`Self::open`]. `huge_pages`: page tables that track may map huge pages as such, where memory has them: fewer
    /// entries to look at, and a write makes all of its huge page dirty.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with_entries(dirty_tracking: bool, huge_pages: bool) -> Result<Self> {
        let iommufd = Iommufd::open().map_err(|error| {
            HelperError::os("iommu/no-iommufd", format!("open {IOMMU_NODE}"), &error, "no iommufd for us on this host")
                .suggest("load iommufd and open /dev/iommu to this user, or use the backend type1")
        })?;
        let failed = |operation: &str, error| HelperError::os("iommu/ioas-failed", operation, &error, "");
        let ioas = iommufd.alloc_ioas().map_err(|error| failed("IOMMU_IOAS_ALLOC", error))?;
        if dirty_tracking && !huge_pages {
            iommufd.no_huge_pages(ioas).map_err(|error| failed("IOMMU_OPTION_HUGE_PAGES", error))?;
        }
        Ok(Self {
            iommufd,
            ioas,
            dirty_tracking,
            hwpts: Vec::new(),
            attached: Vec::new(),
            mapped: MappedAreas::default(),
            held: Vec::new(),
            tracker_made: false,
            handed_over: false,
        })
    }

    fn attach(&mut self, name: &str, node: &DeviceNode, bound: &Bound) -> Result<()> {
        if !self.dirty_tracking {
            return cdev::attach(&bound.fd, self.ioas).map_err(|error| attach_failed(name, &error));
        }
        if node.emulated {
            return Err(HelperError::new(
                "tracker/iommu-unsupported",
                "iommufd has no dirty tracking for mdevs: their DMA does not pass the IOMMU",
            )
            .device(name)
            .suggest("put the mdev into a type1 container (tracker pinned), or use its driver's own log"));
        }
        // Devices behind one IOMMU share a page table; one that does not fit is refused with EINVAL.
        for hwpt in &self.hwpts {
            match cdev::attach(&bound.fd, *hwpt) {
                Ok(()) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                Err(error) => return Err(attach_failed(name, &error)),
            }
        }
        let hwpt = self.iommufd.alloc_tracking_hwpt(bound.id, self.ioas).map_err(|error| hwpt_failed(name, &error))?;
        if let Err(error) = cdev::attach(&bound.fd, hwpt) {
            let _ = self.iommufd.destroy(hwpt);
            return Err(attach_failed(name, &error));
        }
        self.hwpts.push(hwpt);
        Ok(())
    }
}

fn hwpt_failed(name: &str, error: &std::io::Error) -> HelperError {
    let meaning = match error.raw_os_error().unwrap_or(0) {
        libc::EOPNOTSUPP => {
            return HelperError::os(
                "tracker/iommu-unsupported",
                "IOMMU_HWPT_ALLOC with DIRTY_TRACKING",
                error,
                "the IOMMU behind this device has no dirty bits, or they are switched off",
            )
            .device(name)
            .suggest("use tracker `device` if its driver keeps a log, else `all`");
        }
        libc::EINVAL => "the IOMMU cannot make a page table for this device",
        libc::ENOENT => "the device is not bound as a physical one",
        libc::ENOMEM => "the kernel has no memory for the page table, or the locked-memory limit is reached",
        _ => "",
    };
    HelperError::os("iommu/hwpt-failed", "IOMMU_HWPT_ALLOC with DIRTY_TRACKING", error, meaning).device(name)
}

fn attach_failed(name: &str, error: &std::io::Error) -> HelperError {
    let meaning = match error.raw_os_error().unwrap_or(0) {
        libc::EINVAL => "the device's IOMMU does not fit this page table",
        libc::EADDRINUSE => "memory is mapped where this device has reserved IOVAs",
        libc::ENOENT => "no such address space, or an mdev was given a page table",
        libc::EPERM => "its interrupts are not isolated (allow_unsafe_interrupts)",
        libc::ENOMEM => "the kernel has no memory, or the locked-memory limit is reached",
        libc::EBUSY => "its IOMMU group is used by somebody else",
        _ => "",
    };
    HelperError::os("iommu/attach-failed", "VFIO_DEVICE_ATTACH_IOMMUFD_PT", error, meaning).device(name)
}

impl Backend for IommufdBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::Iommufd
    }

    fn open_kernel_device(&mut self, name: &str, sysfs_path: &Path) -> Result<Opened> {
        if self.tracker_made {
            // A page table made now would be missing from the tracker, and its writes from the result.
            return Err(HelperError::new(
                "iommu/tracking-started",
                "devices join a container before its tracker is made",
            )
            .device(name));
        }
        let node = DeviceNode::read(Path::new("/"), sysfs_path)?;
        let bound = cdev::open(name, &node, &self.iommufd)?;
        self.attach(name, &node, &bound)?;
        self.attached.push(Arc::downgrade(&bound.fd));
        KernelDevice::adopt(name, bound.fd)
    }

    fn map(&mut self, memory: &Arc<Memory>, region: &Region) -> Result<Mapped> {
        let usable = self
            .iommufd
            .iova_ranges(self.ioas)
            .map_err(|error| HelperError::os("iommu/info-failed", "IOMMU_IOAS_IOVA_RANGES", &error, ""))?;
        ranges::check(region, &usable)?;
        let area = region.area();
        let maps = map_whole(
            region,
            "IOMMU_IOAS_MAP",
            // SAFETY: the chunk lies inside the region of `memory`. `held` keeps that alive until it is unmapped; what
            // fails half way is unmapped again, while the caller still holds it.
            |address, chunk| unsafe { self.iommufd.map(self.ioas, address, chunk) },
            |chunk| self.iommufd.unmap(self.ioas, chunk),
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
            self.iommufd.unmap(self.ioas, chunk).map_err(|error| {
                let meaning = match error.raw_os_error().unwrap_or(0) {
                    libc::ENOENT => "the range is not one whole mapping",
                    libc::EDEADLK => "the mdev's driver does not unpin its pages",
                    _ => "",
                };
                HelperError::os("iommu/unmap-failed", "IOMMU_IOAS_UNMAP", &error, meaning)
            })?;
        }
        self.mapped.remove(area);
        self.held.retain(|(other, _)| *other != area);
        Ok(())
    }

    fn descriptors(&self) -> Vec<(Handle, BorrowedFd<'_>)> {
        vec![(Handle::Iommufd { ioas: self.ioas }, self.iommufd.as_fd())]
    }

    fn hand_over(&mut self) {
        self.attached.clear();
        self.hwpts.clear();
        for area in self.mapped.snapshot() {
            self.mapped.remove(area);
        }
        self.handed_over = true;
    }

    fn tracker(&mut self, name: &str, kind: TrackerKind, memory: &Arc<Memory>) -> Result<Box<dyn Tracker>> {
        match kind {
            TrackerKind::Iommu if self.hwpts.is_empty() => Err(HelperError::new(
                "tracker/iommu-unsupported",
                "no page table of this container tracks: it was made without dirty tracking, or has no device yet",
            )),
            TrackerKind::Iommu => {
                self.tracker_made = true;
                let (iommufd, hwpts) = (self.iommufd.clone(), self.hwpts.clone());
                Ok(Box::new(HwptTracker::new(name, iommufd, hwpts, memory.page_size(), self.mapped.clone())))
            }
            TrackerKind::All => Ok(Box::new(AllTracker::of_container(name, memory.page_size(), self.mapped.clone()))),
            TrackerKind::Pinned => {
                Err(HelperError::new("tracker/needs-type1", "the pinned-page scope is type1's; iommufd has none")
                    .suggest("put the mdevs into a type1 container of their own"))
            }
            TrackerKind::Device | TrackerKind::Process => Err(HelperError::new(
                "tracker/not-of-container",
                "what a device or a process writes is known to it, not to a container",
            )),
        }
    }
}

impl Drop for IommufdBackend {
    fn drop(&mut self) {
        // Devices off the page tables, then the tables, then what is mapped, then the space. A tracker that is still
        // around holds the iommufd open; an object it makes busy goes with that fd.
        for device in self.attached.drain(..).filter_map(|device| device.upgrade()) {
            let _ = cdev::detach(&device);
        }
        for hwpt in self.hwpts.drain(..) {
            let _ = self.iommufd.destroy(hwpt);
        }
        for area in self.mapped.snapshot() {
            for chunk in map_chunks(area) {
                let _ = self.iommufd.unmap(self.ioas, chunk);
            }
            self.mapped.remove(area);
        }
        if !self.handed_over {
            let _ = self.iommufd.destroy(self.ioas);
        }
    }
}
