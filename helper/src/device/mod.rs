//! Devices. One trait, two kinds: `kernel` (VFIO migration v2) and `sim` (a double of hardware). Nobody calls
//! `Device::set_state` but [`transitions::Stepper`], which holds the one table of legal transitions and reads the
//! state back after every failure.

pub mod kernel;
pub mod sim;
pub mod transitions;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dirty::Tracker;
use crate::error::{HelperError, Result};
use crate::memory::Memory;

/// `enum vfio_device_mig_state`, numbered as in the uAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u32)]
pub enum DeviceState {
    Error = 0,
    Stop = 1,
    Running = 2,
    StopCopy = 3,
    Resuming = 4,
    #[serde(rename = "RUNNING_P2P")]
    RunningP2p = 5,
    PreCopy = 6,
    #[serde(rename = "PRE_COPY_P2P")]
    PreCopyP2p = 7,
}

impl DeviceState {
    pub const ALL: [Self; 8] = [
        Self::Error,
        Self::Stop,
        Self::Running,
        Self::StopCopy,
        Self::Resuming,
        Self::RunningP2p,
        Self::PreCopy,
        Self::PreCopyP2p,
    ];

    /// From the uAPI number; `None` for a state newer than this code.
    pub fn from_raw(raw: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u32 == raw)
    }

    /// True while the device may start new DMA to memory: RUNNING, RUNNING_P2P and both PRE_COPY states.
    pub fn writes_memory(self) -> bool {
        matches!(self, Self::Running | Self::RunningP2p | Self::PreCopy | Self::PreCopyP2p)
    }
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "ERROR",
            Self::Stop => "STOP",
            Self::Running => "RUNNING",
            Self::StopCopy => "STOP_COPY",
            Self::Resuming => "RESUMING",
            Self::RunningP2p => "RUNNING_P2P",
            Self::PreCopy => "PRE_COPY",
            Self::PreCopyP2p => "PRE_COPY_P2P",
        })
    }
}

/// `VFIO_DEVICE_FEATURE_MIGRATION` flags. STOP_COPY is mandatory for a device that can migrate at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationFlags {
    pub stop_copy: bool,
    pub p2p: bool,
    pub pre_copy: bool,
}

impl MigrationFlags {
    /// Of a device whose driver has no migration.
    pub const NONE: Self = Self { stop_copy: false, p2p: false, pre_copy: false };

    /// From the uAPI's u64: STOP_COPY 1, P2P 2, PRE_COPY 4. Unknown bits are ignored.
    pub fn from_raw(raw: u64) -> Self {
        Self { stop_copy: raw & 1 != 0, p2p: raw & 2 != 0, pre_copy: raw & 4 != 0 }
    }
}

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
    /// The fault double's hook: sim devices can replay what they wrote. Kernel devices return `None`.
    fn as_sim(&mut self) -> Option<&mut sim::SimDevice> {
        None
    }
}
