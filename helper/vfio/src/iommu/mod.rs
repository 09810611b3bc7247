//! IOMMU backends: who maps the workload's memory for its devices. One trait, three kinds.

pub mod holders;
pub mod iommufd;
pub mod node;
pub mod ranges;
pub mod type1;
mod whole;

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::device::Device;
use crate::dirty::Tracker;
use crate::error::Result;
use crate::memory::{Memory, Region};
pub use crate::message::BackendKind;

/// What a map cost. For physical groups mapping pins every page; for emulated ones it pins nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mapped {
    pub pages: u64,
    pub maps: u64,
}

/// A device attached to a container, and what had to be done to it on the way, one sentence each (for the log).
pub struct Opened {
    pub device: Box<dyn Device>,
    pub notes: Vec<String>,
}

/// What a descriptor of a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handle {
    /// `/dev/vfio/vfio`, with its IOMMU set.
    Container,
    /// `/dev/vfio/N`, in that container.
    Group(u32),
    /// `/dev/iommu`, with this address space in it.
    Iommufd { ioas: u32 },
}

/// One container (type1: `/dev/vfio/vfio` with its groups; iommufd: an IOAS with its devices; sim: a page table of
/// ours). Dropping it unmaps and closes everything; the order inside is the implementation's business.
pub trait Backend: Send {
    fn kind(&self) -> BackendKind;
    /// Opens a device and attaches it to this container. `sysfs_path` for kernel devices.
    /// A device found in a state no one can have left it in on purpose is brought to RUNNING first; see [`Opened`].
    fn open_kernel_device(&mut self, name: &str, sysfs_path: &std::path::Path) -> Result<Opened>;
    /// Maps one region at its IOVA, readable and writable (mdevs need READ even for vfio_dma_rw writes).
    fn map(&mut self, memory: &Arc<Memory>, region: &Region) -> Result<Mapped>;
    /// Unmaps exactly what `map` mapped.
    fn unmap(&mut self, region: &Region) -> Result<()>;
    /// The container's own tracker: pinned (type1) or iommu (a dirty-capable iommufd page table).
    /// Refused where the kernel has none, with the reason.
    fn tracker(
        &mut self,
        name: &str,
        kind: crate::dirty::TrackerKind,
        memory: &Arc<Memory>,
    ) -> Result<Box<dyn Tracker>>;
    /// The kernel's descriptors behind it; none for the sim.
    fn descriptors(&self) -> Vec<(Handle, BorrowedFd<'_>)> {
        Vec::new()
    }
    /// Others have duplicates of the descriptors and go on with what is attached and mapped: dropping this only closes
    /// our own from now on.
    fn hand_over(&mut self) {}
}
