//! The control protocol's messages: NDJSON requests in, replies and events out. The twin of src/link/protocol.ts,
//! where every field is explained; test/link/protocol-samples.ndjson is read by both sides' tests.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::num::{Bytes, Iova};
use crate::device::DeviceState;
use crate::device::sim::SimSpec;
use crate::dirty::TrackerKind;
use crate::error::HelperError;
use crate::iommu::BackendKind;

pub const PROTOCOL_VERSION: u32 = 1;
/// Longest control line accepted, in bytes, its newline included.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// The envelope; `params` is read once `op` is known, so that a wrong parameter still gets a reply with its id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub id: u64,
    pub op: String,
    #[serde(default)]
    pub run: Option<String>,
    #[serde(default)]
    pub epoch: Option<u64>,
    #[serde(default)]
    pub params: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Source,
    Destination,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelloParams {
    pub protocol: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloReply {
    pub protocol: u32,
    pub version: &'static str,
    pub pid: u32,
    pub uid: u32,
    pub page_size: u64,
    pub memlock_bytes: Option<Bytes>,
    pub memory_available_bytes: Bytes,
    pub fingerprint: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimParams {
    pub role: Role,
    pub lock_dir: String,
    pub devices: Vec<String>,
    pub record_dir: String,
}

#[derive(Debug, Clone, Deserialize)]
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegionSpec {
    pub region: String,
    pub iova: Iova,
    pub bytes: Bytes,
    pub backing: BackingSpec,
    pub populate: bool,
    #[serde(default)]
    pub fill: Option<FillSpec>,
}

#[derive(Debug, Deserialize)]
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerParams {
    pub container: String,
    pub backend: BackendKind,
    pub dirty_tracking: bool,
}

#[derive(Debug, Deserialize)]
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

#[derive(Debug, Serialize)]
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
    pub elapsed_us: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DirtyReply {
    pub elapsed_us: u64,
    pub trackers: Vec<TrackerRound>,
    pub union_pages: u64,
    pub union_bytes: Bytes,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListenParams {
    pub address: String,
    pub port: u16,
    pub encrypt: bool,
    pub peer: String,
    pub secret: String,
    pub link_timeout_ms: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenReply {
    pub address: String,
    pub port: u16,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectParams {
    pub address: String,
    pub port: u16,
    pub encrypt: bool,
    pub peer: String,
    pub secret: String,
    pub link_timeout_ms: u64,
    pub streams: u16,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectReply {
    pub round_trip_us: u64,
}

#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiveOutcome {
    Running,
    Discarded,
    Waiting,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiveReply {
    pub outcome: ReceiveOutcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub pages: u64,
    pub bytes: Bytes,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrecopyParams {
    pub max_rounds: u32,
    pub max_time_ms: u64,
    pub downtime_limit_ms: u64,
    pub fixed_blackout_us: u64,
    pub verify: bool,
    #[serde(default)]
    pub bandwidth: Option<Bytes>,
}

#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum PrecopyEnd {
    Converged,
    Rounds,
    Time,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrecopyReply {
    pub reason: PrecopyEnd,
    pub rounds: u32,
    pub bytes: Bytes,
    pub remaining_bytes: Bytes,
    pub bytes_per_second: Bytes,
    pub estimated_blackout_us: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CutoverParams {
    pub downtime_limit_ms: u64,
    pub fixed_blackout_us: u64,
    pub verify: bool,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlackoutSplit {
    pub quiesce_us: u64,
    pub last_pages_us: u64,
    pub state_us: u64,
    pub load_us: u64,
    pub verify_us: u64,
    pub resume_us: u64,
    pub total_us: u64,
}

#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum CutoverOutcome {
    Running,
    RolledBack,
    NeedsPerson,
    Unknown,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MovedDevice {
    pub device: String,
    pub state: DeviceState,
    pub state_bytes: Bytes,
    pub state_hash: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    pub pages: u64,
    pub mismatches: Vec<Iova>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CutoverReply {
    pub outcome: CutoverOutcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<HelperError>,
    pub blackout: BlackoutSplit,
    pub last_pages: u64,
    pub last_bytes: Bytes,
    pub devices: Vec<MovedDevice>,
    pub verified: Option<Verified>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RollbackParams {
    pub peer_discarded: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceAt {
    pub device: String,
    pub state: DeviceState,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackReply {
    pub devices: Vec<DeviceAt>,
    pub needs_person: Vec<HelperError>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LostPage {
    pub iova: Iova,
    pub device: String,
    /// Sequence of the write that must be there, and of the one found; 0: none.
    pub expected: Bytes,
    pub found: Bytes,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReply {
    pub pages: u64,
    pub writes: Bytes,
    pub lost_pages: u64,
    pub lost: Vec<LostPage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Idle,
    Claimed,
    SetUp,
    Tracking,
    PreCopy,
    Cutover,
    Committed,
    Running,
    Discarded,
    RolledBack,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReply {
    pub role: Option<Role>,
    pub run: Option<String>,
    pub epoch: Option<u64>,
    pub phase: Phase,
    pub devices: Vec<DeviceAt>,
    pub resident_bytes: Bytes,
}

#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum CutoverStep {
    Quiesce,
    LastPages,
    State,
    Load,
    Verify,
    Commit,
    Resume,
    Rollback,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    DeviceState {
        device: String,
        from: DeviceState,
        to: DeviceState,
        elapsed_us: u64,
        at_us: u64,
    },
    RoundStart {
        round: u32,
        pages: u64,
        bytes: Bytes,
        trackers: Vec<TrackerRound>,
    },
    Progress {
        round: u32,
        sent_bytes: Bytes,
        round_bytes: Bytes,
        bytes_per_second: Bytes,
    },
    RoundEnd {
        round: u32,
        sent_bytes: Bytes,
        zero_pages: u64,
        elapsed_us: u64,
        dirty_pages: u64,
        dirty_bytes: Bytes,
        bytes_per_second: Bytes,
        estimated_blackout_us: u64,
    },
    DevicePrecopy {
        device: String,
        bytes: Bytes,
        initial_bytes: Bytes,
        dirty_bytes: Bytes,
    },
    Cutover {
        step: CutoverStep,
        done: bool,
        elapsed_us: u64,
    },
    Log {
        level: &'static str,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<String>,
    },
}

/// Where events go: the control line, or a test's list. Never blocks on the data path for long.
pub trait EventSink: Send + Sync {
    fn emit(&self, event: Event);
}
