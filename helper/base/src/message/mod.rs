//! The control protocol's messages: NDJSON requests in, replies and events out. The twin of src/protocol/protocol.ts and
//! the files it gathers, where every field is explained. The samples in test/protocol/protocol-samples.ndjson are read by
//! both sides' tests.

mod event;
mod inventory;
mod kinds;
pub mod num;
mod set_up;
mod sim;
mod transfer;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use num::Bytes;

pub use event::{CutoverStep, Event, EventSink};
pub use inventory::*;
pub use kinds::{BackendKind, FreezeWith, ProcessMethod, TrackerKind};
pub use set_up::*;
pub use sim::{Pattern, SimFault, SimFlag, SimModel, SimSpec, SimWindow, not_built};
pub use transfer::*;

pub const PROTOCOL_VERSION: u32 = 3;
/// That of the release before, which is spoken too: src/protocol/versions.ts has what differs.
pub const OLDEST_PROTOCOL_VERSION: u32 = 2;
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
    /// Silence in milliseconds after which the owner counts as gone.
    #[serde(default)]
    pub keepalive_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloReply {
    pub protocol: u32,
    pub version: &'static str,
    /// SHA-256 of this executable, hex.
    pub build: String,
    pub pid: u32,
    pub uid: u32,
    pub kernel: String,
    pub clock_us: Bytes,
    pub state_dir: String,
    pub page_size: u64,
    pub memlock_bytes: Option<Bytes>,
    pub memory_available_bytes: Bytes,
    pub fingerprint: String,
    pub confinement: Confinement,
}

/// What keeps the helper from more than its work.
#[derive(Debug, Serialize)]
pub struct Confinement {
    /// Its threads have a filter of system calls.
    pub seccomp: bool,
    /// The kernel's version of Landlock; 0: none.
    pub landlock: u32,
    /// "CAP_CHOWN", …: those that it kept at its start.
    pub capabilities: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    /// Of each version that is spoken.
    const SAMPLES: [&str; 2] = [
        include_str!("../../../../test/protocol/protocol-samples.ndjson"),
        include_str!("../../../../test/protocol/recorded/2.ndjson"),
    ];

    fn reads<T: DeserializeOwned>(params: Value) -> Result<(), String> {
        serde_json::from_value::<T>(params).map(|_| ()).map_err(|error| error.to_string())
    }

    /// Every parameter type refuses unknown fields, so a field renamed on one side only is found here.
    #[test]
    fn every_sample_request_is_understood() {
        assert_eq!(SAMPLES.len() as u32, PROTOCOL_VERSION - OLDEST_PROTOCOL_VERSION + 1);
        SAMPLES.into_iter().for_each(all_are_understood);
    }

    fn all_are_understood(samples: &str) {
        let mut seen = 0;
        for line in samples.lines() {
            let sample: Value = serde_json::from_str(line).expect("a sample is JSON");
            if sample["kind"] != "request" {
                continue;
            }
            let request: Request = serde_json::from_value(sample["body"].clone()).expect(line);
            let params = request.params;
            let read = match request.op.as_str() {
                "hello" => reads::<HelloParams>(params),
                "inventory" => reads::<InventoryParams>(params),
                "claim" => reads::<ClaimParams>(params),
                "memory" => reads::<MemoryParams>(params),
                "container" => reads::<ContainerParams>(params),
                "device" => reads::<DeviceParams>(params),
                "map" | "unmap" => reads::<MapParams>(params),
                "track" => reads::<TrackParams>(params),
                "listen" | "expect-probe" => reads::<ListenParams>(params),
                "connect" | "probe" => reads::<ConnectParams>(params),
                "precopy" => reads::<PrecopyParams>(params),
                "cutover" => reads::<CutoverParams>(params),
                "rollback" => reads::<RollbackParams>(params),
                "release" => reads::<ReleaseParams>(params),
                "route" => reads::<RouteParams>(params),
                "tune" => reads::<TuneParams>(params),
                "continue" => reads::<ContinueParams>(params),
                "stay" => reads::<StayParams>(params),
                "exec" => reads::<ExecParams>(params),
                "record" => reads::<RecordParams>(params),
                "dirty" | "untrack" | "receive" | "check" | "status" | "cancel" | "ping" | "proceed" | "take-up"
                | "finish" => Ok(()),
                other => Err(format!("no such request: {other}")),
            };
            assert_eq!(read, Ok(()), "{line}");
            seen += 1;
        }
        assert!(seen > 20, "{seen} requests in the samples");
    }
}
