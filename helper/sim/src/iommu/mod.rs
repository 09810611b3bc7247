//! The sim backend: a container whose page table is ours. It stands for both kernel backends at once: it has the
//! pinned-page scope of type1 and, when created with dirty tracking, the page-table dirty bits of an iommufd HWPT.

mod dirty;
mod pinned;
mod table;

use std::path::Path;
use std::sync::Arc;

pub use table::{ClientId, Port, Refused, SimIommu};

use crate::device::{SimDevice, SimModel, SimSpec};
use crate::dirty::{Tracker, TrackerKind};
use crate::error::{HelperError, Result};
use crate::memory::{Memory, Region};
use ferry_vfio::iommu::{Backend, BackendKind, Mapped, Opened};

/// One simulated container.
pub struct SimBackend {
    iommu: Arc<SimIommu>,
}

impl SimBackend {
    /// `dirty_tracking`: make the page table dirty-capable, as HWPT_ALLOC with DIRTY_TRACKING does.
    pub fn new(dirty_tracking: bool) -> Self {
        Self { iommu: Arc::new(SimIommu::new(dirty_tracking)) }
    }

    /// The page table the container's devices do their DMA through.
    pub fn iommu(&self) -> Arc<SimIommu> {
        Arc::clone(&self.iommu)
    }

    /// Opens a simulated device in this container.
    ///
    /// `slot` (0 to 15) is the device's ordinal in the workload: which 256 bytes of each page are its own.
    /// `programmed`: the device works by its spec at once (a source); otherwise it is fresh, its engine off until a
    /// state stream programs it (a destination).
    ///
    /// # Errors
    /// `sim/spec`; `iommu/attach-failed` with EINVAL for a function whose IOMMU has no dirty bits in a container that
    /// wants them.
    pub fn open_sim(&mut self, name: &str, spec: SimSpec, slot: u8, programmed: bool) -> Result<SimDevice> {
        let capable = spec.model == SimModel::Mdev || spec.trackers.contains(&TrackerKind::Iommu);
        if self.iommu.dirty_tracking() && !capable {
            let error = std::io::Error::from_raw_os_error(libc::EINVAL);
            return Err(HelperError::os(
                "iommu/attach-failed",
                "VFIO_DEVICE_ATTACH_IOMMUFD_PT",
                &error,
                "the page table tracks dirty pages and this function's IOMMU cannot",
            )
            .device(name)
            .suggest("list iommu among its trackers, or create the container without dirty tracking"));
        }
        SimDevice::open(name, spec, slot, programmed, self.iommu())
    }
}

impl Backend for SimBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::Sim
    }

    fn open_kernel_device(&mut self, name: &str, sysfs_path: &Path) -> Result<Opened> {
        Err(HelperError::new(
            "backend/not-simulated",
            format!("{} is a real device and this container is simulated", sysfs_path.display()),
        )
        .device(name)
        .suggest("give it a container of its own, with backend type1 or iommufd"))
    }

    fn map(&mut self, memory: &Arc<Memory>, region: &Region) -> Result<Mapped> {
        self.iommu.map(memory, region.area())?;
        Ok(Mapped { pages: region.area().bytes / memory.page_size(), maps: 1 })
    }

    fn unmap(&mut self, region: &Region) -> Result<()> {
        self.iommu.unmap(region.area())
    }

    fn tracker(&mut self, name: &str, kind: TrackerKind, _memory: &Arc<Memory>) -> Result<Box<dyn Tracker>> {
        match kind {
            TrackerKind::Pinned => Ok(Box::new(pinned::PinnedTracker::new(name, self.iommu()))),
            TrackerKind::Iommu if self.iommu.dirty_tracking() => {
                Ok(Box::new(dirty::TableTracker::new(name, self.iommu())))
            }
            TrackerKind::Iommu => Err(HelperError::os(
                "tracker/iommu-unsupported",
                "IOMMU_HWPT_SET_DIRTY_TRACKING",
                &std::io::Error::from_raw_os_error(libc::EOPNOTSUPP),
                "the page table was made without dirty tracking",
            )
            .suggest("create the container with dirty tracking")),
            TrackerKind::Device | TrackerKind::Process | TrackerKind::All => Err(HelperError::new(
                "tracker/not-of-container",
                "a container keeps no device log and needs no tracker to call everything dirty",
            )),
        }
    }
}
