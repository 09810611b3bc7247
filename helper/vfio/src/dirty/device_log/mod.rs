//! The device's own DMA log (`VFIO_DEVICE_FEATURE_DMA_LOGGING_*`). Reading clears, whatever becomes of the bits: any
//! error, and bitmap memory the kernel cannot pin (which it does not report), loses the log. So the bitmap is heap
//! memory of ours, and an error is final for this tracker.

mod extents;

use std::io;
use std::sync::Arc;

use super::areas::{bitmap_words, chunks, window_words};
use super::{DirtyBitmap, Tracker, TrackerKind, lost};
use crate::area::Area;
use crate::device::kernel::DeviceFd;
use crate::error::{HelperError, Result};
use crate::memory::Memory;

/// Bits of bitmap that one report may fill: 1 MiB of it, 32 GiB of memory at 4 KiB pages. A multiple of 64.
const WINDOW_PAGES: u64 = 8 * 1024 * 1024;
/// Least page size a report can be asked for, in bytes.
const LEAST_PAGE: u64 = 4096;

/// The device's side of it: one ioctl each.
pub trait DmaLog: Send {
    /// Starts over `ranges`; returns the page size the driver chose, in bytes.
    fn start(&mut self, page_size: u64, ranges: &[Area]) -> io::Result<u64>;
    fn stop(&mut self) -> io::Result<()>;
    /// ORs bit n for `window.iova + n * page_size` into `words` and clears the log there.
    fn report(&mut self, window: Area, page_size: u64, words: &mut [u64]) -> io::Result<()>;
}

impl DmaLog for Arc<DeviceFd> {
    fn start(&mut self, page_size: u64, ranges: &[Area]) -> io::Result<u64> {
        self.dma_log_start(page_size, ranges)
    }

    fn stop(&mut self) -> io::Result<()> {
        self.dma_log_stop()
    }

    fn report(&mut self, window: Area, page_size: u64, words: &mut [u64]) -> io::Result<()> {
        self.dma_log_report(window, page_size, words)
    }
}

pub struct DeviceLogTracker<K> {
    name: String,
    device: String,
    kernel: K,
    areas: Vec<Area>,
    /// Page size asked for, in bytes: that of the workload's bitmap.
    unit: u64,
    /// What the driver chose to log at.
    chosen: u64,
    /// What ranges and windows are rounded out to, in bytes.
    block: u64,
    max_ranges: usize,
    lost: bool,
    buffer: Vec<u64>,
}

impl DeviceLogTracker<Arc<DeviceFd>> {
    /// The log of `device`, over all of `memory`. Asks by PROBE, which starts nothing.
    ///
    /// # Errors
    /// `tracker/no-device-log`, `tracker/probe-failed`.
    pub fn of_device(name: &str, device: &str, fd: &Arc<DeviceFd>, memory: &Memory) -> Result<Box<dyn Tracker>> {
        match fd.has_dma_log() {
            Ok(true) => {
                let max_ranges = rustix::param::page_size() / 16;
                Ok(Box::new(Self::new(name, device, Arc::clone(fd), memory.page_size(), memory.areas(), max_ranges)))
            }
            Ok(false) => Err(HelperError::new("tracker/no-device-log", "the driver keeps no log of the device's DMA")
                .device(device)
                .suggest("use the IOMMU tracker, or tracker `all`")),
            Err(error) => Err(HelperError::os(
                "tracker/probe-failed",
                "VFIO_DEVICE_FEATURE_DMA_LOGGING_START (probe)",
                &error,
                crate::device::kernel::meaning::get(error.raw_os_error()),
            )
            .device(device)),
        }
    }
}

impl<K: DmaLog> DeviceLogTracker<K> {
    fn new(name: &str, device: &str, kernel: K, page_size: u64, areas: Vec<Area>, max_ranges: usize) -> Self {
        let page_size = page_size.max(LEAST_PAGE);
        Self {
            name: name.to_owned(),
            device: device.to_owned(),
            kernel,
            areas,
            unit: page_size,
            chosen: page_size,
            block: extents::BLOCK_PAGES * page_size,
            max_ranges,
            lost: false,
            buffer: Vec::new(),
        }
    }

    fn failed(&self, code: &'static str, operation: &str, error: &io::Error) -> HelperError {
        let meaning = match error.raw_os_error().unwrap_or(0) {
            libc::E2BIG => "more ranges than the kernel takes",
            libc::EINVAL => "a log is already running or the ranges do not suit the driver",
            libc::EEXIST => "the device already logs for somebody",
            libc::EOPNOTSUPP => "the firmware cannot log a range of this size, or not for this function",
            libc::EIO => "the device's log overflowed or failed",
            libc::ENOTCONN => "the physical function's driver is gone",
            libc::EOVERFLOW => "a range reaches the end of the address space",
            libc::ENOMEM => "the kernel has no memory for the log",
            libc::ENODEV => "the device is gone",
            _ => "",
        };
        HelperError::os(code, operation, error, meaning).device(&self.device)
    }

    /// The core passes zero lengths and odd page sizes on to drivers, so they are refused here.
    fn ranges(&self) -> Result<Vec<Area>> {
        let wrong = |area: &&Area| {
            area.bytes == 0
                || area.iova % self.unit != 0
                || area.bytes % self.unit != 0
                || area.iova.checked_add(area.bytes).is_none()
        };
        if self.areas.is_empty() || !self.unit.is_power_of_two() {
            return Err(HelperError::new("tracker/ranges", "nothing to log, or an odd page size").device(&self.device));
        }
        if let Some(area) = self.areas.iter().find(wrong) {
            let message =
                format!("range {:#x}+{:#x} is empty or not aligned to {} bytes", area.iova, area.bytes, self.unit);
            return Err(HelperError::new("tracker/ranges", message).device(&self.device));
        }
        Ok(extents::ranges(&extents::extents(&self.areas, self.block), self.max_ranges))
    }

    /// What one bit of a report stands for, in bytes. A driver may log in smaller pages than it was asked for, and kernels
    /// lose bits of a report in larger ones than the log's own.
    fn granule(&self) -> u64 {
        if self.chosen.is_power_of_two() { self.unit.min(self.chosen).max(LEAST_PAGE) } else { self.unit }
    }

    fn read_extent(&mut self, extent: Area, into: &mut DirtyBitmap) -> Result<u64> {
        let granule = self.granule();
        self.buffer.clear();
        // One of the driver's pages more: at the end of the address space an extent may end within one, and the kernel
        // sets its bits to the end of the page.
        self.buffer.resize(bitmap_words(extent.bytes, granule) + bitmap_words(self.chosen, granule), 0);
        for window in chunks(extent, (WINDOW_PAGES * granule).max(self.block)) {
            let words = window_words(&mut self.buffer, extent, window, granule);
            if let Err(error) = self.kernel.report(window, granule, words) {
                self.lost = true;
                return Err(self.failed("tracker/log-lost", "VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT", &error));
            }
        }
        let inside: Vec<Area> =
            self.areas.iter().filter(|area| extent.iova <= area.iova && area.end() <= extent.end()).copied().collect();
        // An area that begins on a word is ORed word by word; the rest of the extent goes through the general way.
        if inside.iter().all(|area| (area.iova - extent.iova) % (64 * granule) == 0) {
            let mut pages = 0;
            for area in inside {
                let words = window_words(&mut self.buffer, extent, area, granule);
                pages += into.or_bits(area.iova, area.bytes, granule, words);
            }
            return Ok(pages);
        }
        Ok(into.or_bits(extent.iova, extent.bytes, granule, &self.buffer))
    }
}

impl<K: DmaLog> Tracker for DeviceLogTracker<K> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> TrackerKind {
        TrackerKind::Device
    }

    fn page_size(&self) -> u64 {
        self.chosen
    }

    /// A driver that logs in larger pages than asked for is started a second time, over ranges of whole such pages.
    fn start(&mut self) -> Result<()> {
        self.block = extents::BLOCK_PAGES * self.unit;
        loop {
            let ranges = self.ranges()?;
            self.chosen = self.kernel.start(self.unit, &ranges).map_err(|error| {
                self.failed("tracker/start-failed", "VFIO_DEVICE_FEATURE_DMA_LOGGING_START", &error)
            })?;
            let fitting = self.chosen.max(self.unit).checked_mul(extents::BLOCK_PAGES);
            if fitting.is_some_and(|block| block <= self.block) {
                self.lost = false;
                return Ok(());
            }
            self.stop()?;
            match fitting.filter(|_| self.chosen.is_power_of_two()) {
                Some(block) => self.block = block,
                None => {
                    let message =
                        format!("the driver logs in pages of {} bytes, which is not a page size", self.chosen);
                    return Err(HelperError::new("tracker/start-failed", message)
                        .operation("VFIO_DEVICE_FEATURE_DMA_LOGGING_START")
                        .device(&self.device));
                }
            }
        }
    }

    fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64> {
        if self.lost {
            return Err(lost().device(&self.device));
        }
        let mut pages = 0;
        for extent in extents::extents(&self.areas, self.block) {
            pages += self.read_extent(extent, into)?;
        }
        Ok(pages)
    }

    fn stop(&mut self) -> Result<()> {
        self.kernel
            .stop()
            .map_err(|error| self.failed("tracker/stop-failed", "VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP", &error))
    }
}

#[cfg(test)]
mod tests;
