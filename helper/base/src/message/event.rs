//! What the helper tells without being asked.

use super::num::Bytes;
use super::{BlackoutForecast, CutoverPause, TrackerRound};
use crate::state::DeviceState;
use serde::Serialize;

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
        forecast: BlackoutForecast,
        /// The read of the trackers at the round's end, and the pages it named.
        trackers: Vec<TrackerRound>,
        union_pages: u64,
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
    Paused {
        at: CutoverPause,
    },
    /// The last word to an owner that hung up: what it left is settled. `stays`: this process does not end now.
    Settled {
        stays: bool,
    },
    Log {
        level: &'static str,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<String>,
    },
}

/// Where events go: the control line, or a test's list. Never blocks.
pub trait EventSink: Send + Sync {
    fn emit(&self, event: Event);
}
