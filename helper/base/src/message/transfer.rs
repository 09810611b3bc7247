//! listen to status: the run itself.

use super::num::{Bytes, Iova};
use super::{Role, TrackerRound};
use crate::error::HelperError;
use crate::state::DeviceState;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListenParams {
    pub address: String,
    #[serde(default)]
    pub interface: Option<String>,
    /// The only address connections are taken from.
    pub from: Option<IpAddr>,
    pub port: u16,
    pub encrypt: bool,
    pub peer: String,
    pub secret: String,
    pub link_timeout_ms: u64,
    pub keepalive_ms: u64,
    pub streams: u16,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteParams {
    pub address: IpAddr,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteReply {
    pub from: IpAddr,
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
    pub keepalive_ms: u64,
    /// Connections opened.
    pub streams: u16,
    /// Of these, how many carry pages at first.
    pub r#use: u16,
    pub bind: Option<IpAddr>,
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
    #[serde(default)]
    pub hold: Option<Hold>,
    #[serde(default)]
    pub hooks_us: u64,
}

/// Rounds go on until `proceed`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hold {
    pub interval_ms: u64,
}

/// Microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ForecastParts {
    pub fixed_us: u64,
    pub pages_us: u64,
    pub state_us: u64,
    pub load_us: u64,
    pub verify_us: u64,
    pub round_trip_us: u64,
    pub hooks_us: u64,
}

/// Microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BlackoutForecast {
    pub low_us: u64,
    pub expected_us: u64,
    pub high_us: u64,
    pub parts: ForecastParts,
}

/// What is absent stays as it is; a bandwidth of null takes the cap away.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TuneParams {
    #[serde(deserialize_with = "given")]
    pub bandwidth: Option<Option<Bytes>>,
    pub streams: Option<u16>,
    pub downtime_limit_ms: Option<u64>,
}

/// A field that is there, be it null.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<Bytes>>, D::Error> {
    Option::deserialize(from).map(Some)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutoverPause {
    PostQuiesce,
    PostStop,
    PreResume,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refusal {
    pub code: String,
    pub message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContinueParams {
    pub at: CutoverPause,
    #[serde(default)]
    pub abort: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordParams {
    pub record_dir: String,
    pub run: String,
    pub role: Role,
    #[serde(default)]
    pub discard: bool,
    /// The run is over on both sides, and its record is removed.
    #[serde(default)]
    pub forget: bool,
    /// Where the run's helper locked its devices; absent: they are not looked at.
    #[serde(default)]
    pub locks: Option<RecordLocks>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordLocks {
    pub lock_dir: String,
    pub devices: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordState {
    None,
    Prepared,
    Committed,
    Discarded,
    Settled,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordReply {
    pub record: RecordState,
    /// Devices that a living process keeps locked, each with its number as far as the lock tells it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldDevice>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldDevice {
    pub device: String,
    pub pid: Option<u32>,
}

#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum PrecopyEnd {
    Converged,
    Rounds,
    Time,
    Released,
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
    pub forecast: BlackoutForecast,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CutoverParams {
    pub downtime_limit_ms: u64,
    pub fixed_blackout_us: u64,
    pub verify: bool,
    #[serde(default)]
    pub pauses: Vec<CutoverPause>,
    #[serde(default)]
    pub hooks_us: u64,
    /// Longest state stream of one device in the blackout; absent: what the device announced, with room.
    #[serde(default)]
    pub max_state: Option<Bytes>,
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
    pub hooks_us: u64,
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

/// A read of the trackers for the last pages.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CutoverRead {
    /// Every device had stopped: the read after which nothing is written any more.
    pub stopped: bool,
    pub trackers: Vec<TrackerRound>,
    pub union_pages: u64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CutoverReply {
    pub outcome: CutoverOutcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<HelperError>,
    pub blackout: BlackoutSplit,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<BlackoutForecast>,
    pub last_pages: u64,
    pub last_bytes: Bytes,
    /// In order; the last pages are what these and the last round's read named.
    pub reads: Vec<CutoverRead>,
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
    pub workload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub came_by: Option<String>,
}
