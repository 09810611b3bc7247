//! A simulated device, as it is asked for: the profile's `sim:` block. Plain data, understood by every build; what does
//! as it says is in the simulator.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TrackerKind;
use super::num::{Bytes, Iova};
use crate::area::Area;
use crate::error::HelperError;
use crate::state::{DeviceState, MigrationFlags};

/// What a helper without the simulator answers when it is asked for a simulated device, or for anything only such
/// devices need.
pub fn not_built() -> HelperError {
    HelperError::new("sim/not-built", "this helper was built without the simulator, so it has no simulated devices")
        .suggest("use a helper built with the simulator: `npm run build:helper` without --production makes one")
}

/// Which page of the window a write goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    Uniform,
    /// 90 % of the writes in the first tenth of the window, the rest anywhere in it.
    Hot,
    Sequential,
}

/// Whether the double behaves as an mdev (pins what it writes, no IOMMU of its own) or as a PCI function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SimModel {
    Mdev,
    Function,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SimFlag {
    StopCopy,
    P2p,
    PreCopy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimWindow {
    pub iova: Iova,
    pub bytes: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimSpec {
    pub model: SimModel,
    /// Empty: a device without migration (every migration feature answers ENOTTY).
    pub flags: Vec<SimFlag>,
    pub trackers: Vec<TrackerKind>,
    /// Exact length of the state stream.
    pub state_bytes: Bytes,
    /// Part of it offered as initial bytes in PRE_COPY.
    pub precopy_bytes: Bytes,
    /// Bandwidth of reading and of writing the state; `None`: as fast as it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_bytes_per_second: Option<Bytes>,
    pub seed: u64,
    pub window: SimWindow,
    /// How fast memory gets dirty. Each write counts as the whole page it dirties (4096 bytes), which is what a
    /// transfer has to carry again.
    pub write_bytes_per_second: Bytes,
    pub pattern: Pattern,
    #[serde(default)]
    pub latency_us: BTreeMap<DeviceState, u64>,
    #[serde(default)]
    pub faults: Vec<SimFault>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum SimFault {
    /// The nth arc into `state` (1, the default, is the first; steps on the way to another target count too) fails
    /// with `errno` (EIO by default). The device stays where it was, or goes to ERROR.
    Transition {
        state: DeviceState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nth: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        errno: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enter_error: Option<bool>,
    },
    /// The state stream ends after this many bytes.
    ShortStream { bytes: Bytes },
    /// In STOP_COPY the stream never ends.
    EndlessStream,
    /// The device goes on writing for this long while it is being stopped.
    SlowStop { delay_us: u64 },
    /// The nth read of each tracker that watches this device fails with EIO.
    TrackerError { nth: u64 },
    /// At the nth read one dirty page is left out; its bit is broken from then on.
    DropDirtyBit { nth: u64 },
    /// Reading a drained PRE_COPY stream gives 0 instead of ENOMSG.
    PrecopyEndsWithZero,
    /// VFIO_DEVICE_RESET fails with EIO and changes nothing.
    ResetFails,
    /// VFIO_DEVICE_RESET reports success and changes nothing.
    ResetDoesNothing,
    /// VFIO_DEVICE_RESET is refused with EINVAL in STOP and STOP_COPY.
    ResetRefusedWhenStopped,
    /// The transition that opens a state stream is made, and its answer is EMFILE: the stream is lost.
    StreamLost,
    /// In STOP_COPY the stream gives nothing and does not end.
    BlockedStream,
    /// One read of the stream gives at most this many bytes.
    ShortReads { bytes: Bytes },
    /// A save session begins where the last reader of the session before it stopped.
    StaleSession,
    /// A write of state is refused with EFAULT in the middle, and the load reports success all the same.
    RefusedWrite,
    /// It goes on writing memory in STOP, STOP_COPY and RESUMING.
    WritesAfterStop,
    /// A report of the DMA log in larger pages than the log's own forgets what is behind the first 256 of those.
    LogForgets,
    /// The nth read of each tracker that watches this device does not return until the device is closed.
    TrackerHangs { nth: u64 },
    /// Everything the device refuses it refuses with EINVAL.
    RefusalsEinval,
}

impl SimSpec {
    pub fn migration_flags(&self) -> MigrationFlags {
        let has = |flag| self.flags.contains(&flag);
        MigrationFlags { stop_copy: has(SimFlag::StopCopy), p2p: has(SimFlag::P2p), pre_copy: has(SimFlag::PreCopy) }
    }

    pub fn window(&self) -> Area {
        Area { iova: self.window.iova.0, bytes: self.window.bytes.0 }
    }

    /// Delay of an arc into `state`.
    pub fn latency(&self, state: DeviceState) -> Duration {
        Duration::from_micros(self.latency_us.get(&state).copied().unwrap_or(0))
    }
}
