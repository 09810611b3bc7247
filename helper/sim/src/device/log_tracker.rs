//! The `device` tracker of a simulated device: its DMA log over the whole workload.

use std::sync::Arc;

use super::engine::Shared;
use super::faults::{DeviceFaults, Watch};
use crate::area::Area;
use crate::dirty::{DirtyBitmap, Tracker, TrackerKind};
use crate::error::{HelperError, Result};

pub(super) struct LogTracker {
    pub name: String,
    pub device: String,
    pub shared: Arc<Shared>,
    pub faults: Arc<DeviceFaults>,
    pub ranges: Vec<Area>,
    pub page_size: u64,
    pub reads: u64,
    pub before: Watch,
}

impl LogTracker {
    fn failed(&self, code: &'static str, operation: &str, errno: i32, meaning: &str) -> HelperError {
        let error = std::io::Error::from_raw_os_error(self.faults.errno(errno));
        HelperError::os(code, format!("VFIO_DEVICE_FEATURE_DMA_LOGGING_{operation}"), &error, meaning)
            .device(&self.device)
    }
}

impl Tracker for LogTracker {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> TrackerKind {
        TrackerKind::Device
    }

    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn start(&mut self) -> Result<()> {
        self.page_size = self.shared.log.start(self.page_size, &self.ranges).map_err(|errno| {
            let meaning = match errno {
                libc::EINVAL => "the device logs already, or cannot log these ranges at this page size",
                libc::E2BIG => "more ranges than the kernel takes",
                libc::ENODEV => "the device was closed",
                _ => "",
            };
            self.failed("tracker/start-failed", "START", errno, meaning)
        })?;
        self.before = self.faults.watch();
        Ok(())
    }

    fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64> {
        self.reads += 1;
        self.faults.before_read(&self.name, self.reads)?;
        let now = self.faults.watch();
        let mut seen = DirtyBitmap::new(into.page_size(), &into.areas().collect::<Vec<_>>());
        for area in &self.ranges {
            let words = (area.bytes / self.page_size).div_ceil(64);
            let mut bits = vec![0; words as usize];
            self.shared.log.report(*area, self.page_size, &mut bits).map_err(|errno| {
                self.failed("tracker/log-lost", "REPORT", errno, "the dirty log is lost: every page counts as dirty")
            })?;
            seen.or_bits(area.iova, area.bytes, self.page_size, &bits);
        }
        self.faults.after_read(self.reads, &mut self.before, now, &mut seen);
        into.or(&seen);
        Ok(seen.count())
    }

    fn stop(&mut self) -> Result<()> {
        self.shared.log.stop();
        Ok(())
    }
}
