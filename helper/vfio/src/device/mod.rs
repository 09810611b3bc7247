//! Devices. One trait, two kinds: `kernel` (VFIO migration v2) and `sim` (a double of hardware). No one calls
//! `Device::set_state` but [`transitions::Stepper`], which holds the one table of legal transitions and reads the
//! state back after every failure.

pub mod kernel;
pub mod transitions;

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::dirty::Tracker;
use crate::error::{HelperError, Result};
use crate::memory::Memory;
pub use crate::state::{DeviceState, MigrationFlags};

/// `struct vfio_precopy_info`, in bytes. Not a bound for what STOP_COPY will give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrecopyInfo {
    pub initial_bytes: u64,
    pub dirty_bytes: u64,
}

/// What a read of a state stream gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamRead {
    Data(usize),
    /// Nothing now; more may come (ENOMSG, EAGAIN, or 0 while the device is in PRE_COPY).
    Drained,
    /// 0 in STOP_COPY: the permanent end.
    End,
}

/// The data fd of one save or resume session. One session, one stream: the file stays the same from PRE_COPY to
/// STOP_COPY. One reader or writer at a time (the kernel does not lock the position).
pub trait StateStream: Send {
    /// Reads up to `buf.len()` bytes. EINTR is retried inside; ENOMSG and EAGAIN come back as `Drained`.
    /// A plain 0 is reported as `End`: only the caller knows whether the device is still in PRE_COPY, where several
    /// drivers (hisi_acc, qat, mtty) return 0 instead of ENOMSG.
    fn read(&mut self, buf: &mut [u8]) -> Result<StreamRead>;
    /// Writes all of `buf`, looping over short writes. Any error is fatal for the load: mtty keeps rejected data.
    fn write_all(&mut self, buf: &[u8]) -> Result<()>;
    /// `VFIO_MIG_GET_PRECOPY_INFO`; only in PRE_COPY and PRE_COPY_P2P. In mlx5 and virtio this call is also what
    /// makes the driver produce more, so it drives the waiting; poll is never used.
    fn precopy_info(&mut self) -> Result<PrecopyInfo>;
}

/// A device opened for migration. Implementations do exactly one thing per call and hide no retries.
pub trait Device: Send {
    /// The workload's name for it.
    fn name(&self) -> &str;
    fn flags(&self) -> MigrationFlags;
    /// GET of the state. Allowed in every state, ERROR included.
    fn state(&mut self) -> Result<DeviceState>;
    /// One SET. Returns the session's stream on arcs that enter a session (to PRE_COPY*, STOP_COPY or RESUMING from
    /// outside it), `None` otherwise. The kernel may step through intermediate states; on error the device can be in
    /// any of them.
    fn set_state(&mut self, target: DeviceState) -> Result<Option<Box<dyn StateStream>>>;
    /// `VFIO_DEVICE_FEATURE_MIG_DATA_SIZE`: estimated bytes of a STOP_COPY stream, any state. `None`: not offered.
    fn stop_copy_bytes(&mut self) -> Result<Option<u64>>;
    /// `VFIO_DEVICE_RESET`: ends in RUNNING and destroys the workload's state on a source.
    fn reset(&mut self) -> Result<()>;
    /// The device's own DMA log over all of `memory`, as a tracker called `name`; not started yet. Works in every
    /// migration state, for devices without migration too.
    ///
    /// # Errors
    /// `tracker/no-device-log`: the driver keeps none.
    fn dma_log(&mut self, name: &str, memory: &Arc<Memory>) -> Result<Box<dyn Tracker>> {
        let _ = (name, memory);
        Err(HelperError::new("tracker/no-device-log", "this device keeps no log of its DMA").device(self.name()))
    }
    /// The kernel's descriptor of it; `None` for a simulated one.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
