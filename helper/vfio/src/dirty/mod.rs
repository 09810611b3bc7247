//! Dirty tracking: the workload's one bitmap, the trackers that feed it, and their union.

pub mod all;
pub mod areas;
pub mod bitmap;
pub mod device_log;
pub mod hwpt;
pub mod pinned;
pub mod process;
pub mod threaded;
pub mod union;

pub use bitmap::DirtyBitmap;

use std::time::Instant;

use crate::error::{HelperError, Result};
pub use crate::message::TrackerKind;

/// What knows which pages were written. Each kernel interface's own semantics (overwrite or OR, alignment, exact
/// mapped areas, re-arm) stay inside its tracker; outside, every tracker ORs into the workload's bitmap.
pub trait Tracker: Send {
    fn name(&self) -> &str;
    fn kind(&self) -> TrackerKind;
    /// Granularity in bytes this tracker works at once started (the device or IOMMU may have chosen it).
    fn page_size(&self) -> u64;
    /// Starts tracking. Everything written from now on is reported by a later `read`.
    fn start(&mut self) -> Result<()>;
    /// Everything written since `start` or the previous `read` is ORed into `into`. Returns the number of bitmap
    /// pages this tracker reported (before the union). After an error the log is worthless: all is dirty.
    fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64>;
    /// Stops tracking. Only after the last read, and before any range is unmapped.
    fn stop(&mut self) -> Result<()>;
    /// How long processes were stopped for the last read, in microseconds.
    fn stopped_us(&self) -> u64 {
        0
    }
    /// The processes whose writes it reports, as far as it knows them; once stopped, those that are.
    fn writers(&self) -> Vec<String> {
        Vec::new()
    }
    /// Stops, until `until` at the latest, every process whose writes it reports. Before the last read; the cutover
    /// itself stops the devices.
    fn stop_writers(&mut self, _until: Instant) -> Result<()> {
        Ok(())
    }
    /// That none of them ran since. Before COMMIT.
    fn writers_stopped(&self) -> Result<()> {
        Ok(())
    }
    /// Lets them run again, once the source is undone. Repeating it is safe.
    fn wake_writers(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A read failed before this one.
fn lost() -> HelperError {
    HelperError::new("tracker/log-lost", "an earlier read of this log failed; all memory is dirty")
}
