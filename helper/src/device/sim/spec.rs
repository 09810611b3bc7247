//! What a simulated device is and does: the profile's `sim:` block as it arrives on the control line. The twin of
//! `SimSpec` and `SimFault` in src/link/protocol.ts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wire::{FINAL_BYTES, MIN_STATE_BYTES};
use crate::area::Area;
use crate::device::{DeviceState, MigrationFlags};
use crate::dirty::TrackerKind;
use crate::error::{HelperError, Result, errno_name};
use crate::message::num::{Bytes, Iova};
use crate::stamps::{PAGE_BYTES, Pattern, Program};

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
}

impl SimSpec {
    pub fn migration_flags(&self) -> MigrationFlags {
        let has = |flag| self.flags.contains(&flag);
        MigrationFlags { stop_copy: has(SimFlag::StopCopy), p2p: has(SimFlag::P2p), pre_copy: has(SimFlag::PreCopy) }
    }

    pub fn window(&self) -> Area {
        Area { iova: self.window.iova.0, bytes: self.window.bytes.0 }
    }

    /// What a device of this kind is told to write when it opens.
    pub fn program(&self, slot: u8) -> Program {
        Program {
            seed: self.seed,
            slot,
            window: self.window(),
            pattern: self.pattern,
            bytes_per_second: self.write_bytes_per_second.0,
        }
    }

    /// Delay of an arc into `state`.
    pub fn latency(&self, state: DeviceState) -> Duration {
        Duration::from_micros(self.latency_us.get(&state).copied().unwrap_or(0))
    }

    /// # Errors
    /// `sim/spec` naming everything that no device can be.
    pub fn validate(&self) -> Result<()> {
        let mut wrong = Vec::new();
        let window = self.window();
        if window.bytes == 0 || window.iova % PAGE_BYTES != 0 || window.bytes % PAGE_BYTES != 0 {
            wrong.push(format!("the window is empty or not aligned to {PAGE_BYTES} bytes"));
        }
        if window.iova.checked_add(window.bytes).is_none() {
            wrong.push("the window reaches the end of the address space".to_owned());
        }
        if !self.flags.is_empty() && !self.flags.contains(&SimFlag::StopCopy) {
            wrong.push("flags without stop-copy: the kernel registers no such device".to_owned());
        }
        if self.state_bytes.0 < MIN_STATE_BYTES {
            wrong.push(format!("stateBytes is {}, the least is {MIN_STATE_BYTES}", self.state_bytes.0));
        } else if self.precopy_bytes.0 > self.state_bytes.0 - FINAL_BYTES {
            wrong.push(format!(
                "precopyBytes is {}: the last {FINAL_BYTES} of the {} state bytes exist only after the stop",
                self.precopy_bytes.0, self.state_bytes.0
            ));
        }
        if self.state_bytes_per_second == Some(Bytes(0)) {
            wrong.push("stateBytesPerSecond is 0: the state would never move".to_owned());
        }
        for fault in &self.faults {
            if let SimFault::Transition { errno: Some(name), .. } = fault {
                if errno_number(name).is_none() {
                    wrong.push(format!("fault transition: unknown errno {name}"));
                }
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(HelperError::new("sim/spec", wrong.join("; ")).suggest("correct the sim block of the profile"))
    }
}

/// The number of an errno by its name, among those the helper can name.
pub(super) fn errno_number(name: &str) -> Option<i32> {
    (1..134).find(|errno| errno_name(*errno) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"model":"mdev","flags":["stop-copy","p2p"],"trackers":["pinned"],"stateBytes":"1048576",
        "precopyBytes":"4096","seed":7,"window":{"iova":"0x100000","bytes":"65536"},
        "writeBytesPerSecond":"1000000","pattern":"hot","latencyUs":{"RUNNING_P2P":5,"STOP":70},
        "faults":[{"kind":"transition","state":"STOP_COPY","errno":"EBUSY","enterError":true},
        {"kind":"short-stream","bytes":"9"},{"kind":"endless-stream"},{"kind":"slow-stop","delayUs":3},
        {"kind":"tracker-error","nth":2},{"kind":"drop-dirty-bit","nth":1},{"kind":"precopy-ends-with-zero"},
        {"kind":"reset-fails"}]}"#;

    #[test]
    fn reads_the_control_line_and_writes_it_back() {
        let spec: SimSpec = serde_json::from_str(JSON).expect("spec");
        spec.validate().expect("valid");
        assert_eq!(spec.window(), Area { iova: 0x10_0000, bytes: 65536 });
        assert_eq!(spec.latency(DeviceState::Stop), Duration::from_micros(70));
        assert_eq!(spec.faults.len(), 8);
        let text = serde_json::to_value(&spec).expect("json");
        assert_eq!(text["window"]["iova"], "0x100000");
        assert_eq!(text["latencyUs"]["RUNNING_P2P"], 5);
        assert_eq!(text["faults"][3]["delayUs"], 3);
        assert_eq!(serde_json::from_value::<SimSpec>(text).expect("again"), spec);
        assert!(serde_json::from_str::<SimSpec>(&JSON.replace("\"seed\"", "\"sed\"")).is_err());
    }

    #[test]
    fn names_everything_no_device_can_be() {
        let mut spec: SimSpec = serde_json::from_str(JSON).expect("spec");
        spec.flags = vec![SimFlag::PreCopy];
        spec.window.bytes = Bytes(100);
        spec.state_bytes = Bytes(10);
        spec.faults = vec![SimFault::Transition {
            state: DeviceState::Stop,
            nth: None,
            errno: Some("EFOO".into()),
            enter_error: None,
        }];
        let error = spec.validate().expect_err("refused");
        for part in ["window", "stop-copy", "stateBytes is 10", "EFOO"] {
            assert!(error.message.contains(part), "{part}: {error}");
        }
    }
}
