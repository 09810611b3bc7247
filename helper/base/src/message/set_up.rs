//! claim to untrack: what the pin and dirty-log phases ask for.

use super::BackendKind;
use super::Role;
use super::SimSpec;
use super::TrackerKind;
use super::num::{Bytes, Iova};
use super::{FreezeWith, ProcessMethod};
use crate::state::DeviceState;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimParams {
    pub role: Role,
    pub lock_dir: String,
    pub devices: Vec<String>,
    pub record_dir: String,
    /// Where this helper can be reached once its owner is gone.
    pub socket: String,
    /// How long the run waits for another owner when it loses its own before the stop; 0: not at all.
    #[serde(default)]
    pub grace_ms: u64,
    /// Of a destination: what becomes of its devices once they run. Unsaid, it keeps what any of them needs.
    #[serde(default)]
    pub then: Option<Then>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    Hold,
    Close,
    Exec,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimReply {
    pub held: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HandOut {
    pub socket: String,
    pub uid: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StayParams {
    pub workload: String,
    pub socket: String,
    pub hand_out: Option<HandOut>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReleaseParams {
    pub keep: bool,
    pub give_up: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecParams {
    pub command: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecReply {
    pub pid: u32,
    pub names: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum BackingSpec {
    Memfd {
        #[serde(default)]
        huge_page_bytes: Option<Bytes>,
    },
    File {
        path: String,
    },
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FillSpec {
    pub seed: u64,
    pub zero_percent: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegionSpec {
    pub region: String,
    pub iova: Iova,
    pub bytes: Bytes,
    pub backing: BackingSpec,
    pub populate: bool,
    #[serde(default)]
    pub fill: Option<FillSpec>,
    /// The owner accepts that another user may truncate or replace its file.
    #[serde(default)]
    pub others_may_truncate: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemoryParams {
    pub page_size: u64,
    pub regions: Vec<RegionSpec>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryReply {
    pub bytes: Bytes,
    pub elapsed_us: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerParams {
    pub container: String,
    pub backend: BackendKind,
    pub dirty_tracking: bool,
    /// type1 only: tracker `pinned` is wanted although physical groups are in the container, which makes it report
    /// every page at every read.
    #[serde(default)]
    pub mixed: bool,
    /// iommufd with dirty tracking only: huge pages are mapped as such, so that a write makes all of one dirty.
    #[serde(default)]
    pub huge_pages: bool,
}

#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum DeviceTarget {
    Kernel { sysfs_path: String },
    Sim { spec: Box<SimSpec> },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceParams {
    pub device: String,
    pub container: String,
    pub target: DeviceTarget,
    /// To be mapped and tracked only: a device without migration will do.
    #[serde(default)]
    pub measure: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceReply {
    pub state: DeviceState,
    pub flags: Vec<&'static str>,
    pub state_bytes: Option<Bytes>,
}

/// Of `map` and `unmap`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MapParams {
    pub container: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MapReply {
    pub bytes: Bytes,
    pub pages: u64,
    pub maps: u64,
    pub elapsed_us: u64,
    pub locked_bytes: Bytes,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrackerSpec {
    pub tracker: String,
    pub kind: TrackerKind,
    #[serde(default)]
    pub device: Option<String>,
    #[serde(default)]
    pub container: Option<String>,
    /// Of kind `process` alone.
    #[serde(default)]
    pub process: ProcessSpec,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProcessSpec {
    pub method: ProcessMethod,
    pub freeze: FreezeWith,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrackParams {
    pub trackers: Vec<TrackerSpec>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartedTracker {
    pub tracker: String,
    pub page_size: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackReply {
    pub trackers: Vec<StartedTracker>,
    pub bitmap_bytes: Bytes,
}

#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TrackerRound {
    pub tracker: String,
    pub pages: u64,
    /// Of these, the pages no other tracker named in the same read.
    pub only_pages: u64,
    pub elapsed_us: u64,
    /// How long processes were stopped for it.
    #[serde(skip_serializing_if = "is_zero")]
    pub stopped_us: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DirtyReply {
    pub elapsed_us: u64,
    pub trackers: Vec<TrackerRound>,
    pub union_pages: u64,
    pub union_bytes: Bytes,
}

/// For serde, which hands a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}
