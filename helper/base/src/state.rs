//! The states a device may be in, and what its driver can do.

use std::fmt;

use serde::{Deserialize, Serialize};

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
