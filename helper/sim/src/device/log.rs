//! A device's own log of its DMA, with the semantics of VFIO_DEVICE_FEATURE_DMA_LOGGING_{START,STOP,REPORT}:
//! independent of the migration state, a second START refused, REPORT ORs into the caller's bitmap and clears.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{RwLock, RwLockReadGuard};

use super::sync::{read, write};
use crate::area::Area;
use crate::stamps::PAGE_BYTES;

/// The kernel's bound: ranges that fit one page of 16-byte descriptors.
const MAX_RANGES: usize = 256;
/// Coarsest page the double can log at; a hint above it is lowered, as mlx5 does.
const MAX_PAGE: u64 = 2 << 20;

/// Pages of a range that a log that forgets remembers.
const REMEMBERED: u64 = 256;

#[derive(Debug, Default)]
pub struct DmaLog {
    current: RwLock<Option<Log>>,
    closed: AtomicBool,
    /// A report in larger pages than the log's own forgets what is behind its first [`REMEMBERED`] pages.
    forgets: bool,
}

#[derive(Debug)]
struct Log {
    page_size: u64,
    ranges: Vec<Range>,
}

#[derive(Debug)]
struct Range {
    area: Area,
    bits: Vec<AtomicU64>,
}

/// Holds START and STOP off while the engine writes.
pub(super) struct Held<'a>(RwLockReadGuard<'a, Option<Log>>);

impl Held<'_> {
    /// Marks the page of `iova`. Only after the data is in place.
    #[inline]
    pub(super) fn mark(&self, iova: u64) {
        let Some(log) = self.0.as_ref() else { return };
        let after = log.ranges.partition_point(|range| range.area.iova <= iova);
        let Some(range) = after.checked_sub(1).and_then(|index| log.ranges.get(index)) else { return };
        if iova < range.area.end() {
            let bit = (iova - range.area.iova) / log.page_size;
            if let Some(word) = range.bits.get((bit / 64) as usize) {
                word.fetch_or(1 << (bit % 64), Ordering::Release);
            }
        }
    }
}

impl DmaLog {
    pub(super) fn new(forgets: bool) -> Self {
        Self { forgets, ..Self::default() }
    }

    pub(super) fn hold(&self) -> Held<'_> {
        Held(read(&self.current))
    }

    /// START. Returns the page size the log works at, chosen from the hint.
    ///
    /// # Errors
    /// The kernel's errnos: E2BIG, EINVAL (no range, misaligned, overlapping, a log running already), EOVERFLOW;
    /// ENODEV after the device was closed.
    pub fn start(&self, page_size: u64, ranges: &[Area]) -> Result<u64, i32> {
        if self.closed.load(Ordering::Acquire) {
            return Err(libc::ENODEV);
        }
        if ranges.len() > MAX_RANGES {
            return Err(libc::E2BIG);
        }
        if ranges.is_empty() || !page_size.is_power_of_two() || page_size < PAGE_BYTES {
            return Err(libc::EINVAL);
        }
        let page_size = page_size.min(MAX_PAGE);
        let mut sorted = ranges.to_vec();
        sorted.sort_by_key(|area| area.iova);
        for (index, area) in sorted.iter().enumerate() {
            let end = area.iova.checked_add(area.bytes).ok_or(libc::EOVERFLOW)?;
            let overlaps = sorted.get(index + 1).is_some_and(|next| next.iova < end);
            if area.bytes == 0 || area.iova % page_size != 0 || area.bytes % page_size != 0 || overlaps {
                return Err(libc::EINVAL);
            }
        }
        let mut current = write(&self.current);
        if current.is_some() {
            return Err(libc::EINVAL);
        }
        let ranges = sorted
            .into_iter()
            .map(|area| {
                let words = (area.bytes / page_size).div_ceil(64);
                Range { area, bits: (0..words).map(|_| AtomicU64::new(0)).collect() }
            })
            .collect();
        *current = Some(Log { page_size, ranges });
        Ok(page_size)
    }

    /// STOP: forgets what was logged. Without a log running it does nothing, as the kernel's drivers.
    pub fn stop(&self) {
        *write(&self.current) = None;
    }

    /// REPORT of `area`: bit n of `bitmap` stands for `area.iova + n * page_size`. ORs in, never clears there; the
    /// log itself is cleared for the area.
    ///
    /// # Errors
    /// EINVAL without a log running, for a page size that is no power of two of at least 4 KiB, or a bitmap too
    /// small for the area; EOVERFLOW; ENODEV after the device was closed.
    pub fn report(&self, area: Area, page_size: u64, bitmap: &mut [u64]) -> Result<(), i32> {
        if self.closed.load(Ordering::Acquire) {
            return Err(libc::ENODEV);
        }
        let end = area.iova.checked_add(area.bytes).ok_or(libc::EOVERFLOW)?;
        if !page_size.is_power_of_two() || page_size < PAGE_BYTES {
            return Err(libc::EINVAL);
        }
        if (bitmap.len() as u64) * 64 < area.bytes.div_ceil(page_size) {
            return Err(libc::EINVAL);
        }
        let current = read(&self.current);
        let log = current.as_ref().ok_or(libc::EINVAL)?;
        for range in &log.ranges {
            let from = area.iova.max(range.area.iova);
            let to = end.min(range.area.end());
            if from >= to {
                continue;
            }
            let first = (from - range.area.iova) / log.page_size;
            let last = (to - 1 - range.area.iova) / log.page_size;
            for index in first / 64..=last / 64 {
                let Some(word) = range.bits.get(index as usize) else { continue };
                let mut taken = word.fetch_and(!mask(index, first, last), Ordering::AcqRel) & mask(index, first, last);
                while taken != 0 {
                    let bit = index * 64 + u64::from(taken.trailing_zeros());
                    taken &= taken - 1;
                    if self.forgets && page_size > log.page_size && bit - first >= REMEMBERED {
                        continue;
                    }
                    let page = range.area.iova + bit * log.page_size;
                    let begin = (page.max(from) - area.iova) / page_size;
                    let finish = ((page + log.page_size).min(to) - 1 - area.iova) / page_size;
                    for bit in begin..=finish {
                        if let Some(word) = bitmap.get_mut((bit / 64) as usize) {
                            *word |= 1 << (bit % 64);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The device is gone; trackers that still hold its log get ENODEV.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.stop();
    }
}

/// The bits of word `index` that lie in `first ..= last`.
fn mask(index: u64, first: u64, last: u64) -> u64 {
    let low = if index == first / 64 { u64::MAX << (first % 64) } else { u64::MAX };
    let high = if index == last / 64 { u64::MAX >> (63 - last % 64) } else { u64::MAX };
    low & high
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const RANGES: [Area; 2] = [Area { iova: 0x20_0000, bytes: 200 * 4096 }, Area { iova: 0x80_0000, bytes: 70 * 4096 }];

    #[test]
    fn refuses_as_the_kernel_does() {
        let log = DmaLog::default();
        let area = RANGES[0];
        assert_eq!(log.report(area, 4096, &mut [0; 4]), Err(libc::EINVAL), "not started");
        assert_eq!(log.start(4096, &[]), Err(libc::EINVAL));
        assert_eq!(log.start(4096, &vec![area; 257]), Err(libc::E2BIG));
        assert_eq!(log.start(4096, &[area, area]), Err(libc::EINVAL), "overlap");
        assert_eq!(log.start(4096, &[Area { iova: 1, bytes: 4096 }]), Err(libc::EINVAL));
        assert_eq!(log.start(4096, &[Area { iova: 0, bytes: 0 }]), Err(libc::EINVAL));
        assert_eq!(log.start(4096, &[Area { iova: u64::MAX - 4095, bytes: 8192 }]), Err(libc::EOVERFLOW));
        assert_eq!(log.start(0, &RANGES), Err(libc::EINVAL));
        assert_eq!(log.start(4096, &RANGES), Ok(4096));
        assert_eq!(log.start(4096, &RANGES), Err(libc::EINVAL), "second START");
        assert_eq!(log.report(area, 5000, &mut [0; 4]), Err(libc::EINVAL));
        assert_eq!(log.report(area, 4096, &mut [0; 3]), Err(libc::EINVAL), "bitmap too small");
        log.stop();
        log.stop();
        assert_eq!(log.report(area, 4096, &mut [0; 4]), Err(libc::EINVAL), "stopped");
        log.close();
        assert_eq!(log.start(4096, &RANGES), Err(libc::ENODEV));
    }

    proptest! {
        /// REPORT of any window at any page size: what was marked in the window and not reported before, ORed in.
        #[test]
        fn reports_and_clears_as_a_set_of_pages_would(
            steps in prop::collection::vec(
                (prop::collection::vec((0usize..2, 0u64..200), 0..40), (0u64..210, 1u64..80), 0u32..4), 1..12),
        ) {
            let log = DmaLog::default();
            log.start(4096, &RANGES).expect("start");
            let mut model = BTreeSet::new();
            for (marks, (first, pages), shift) in steps {
                for (range, page) in marks {
                    let iova = RANGES[range].iova + page * 4096 + 77;
                    log.hold().mark(iova);
                    if iova < RANGES[range].end() {
                        model.insert(iova / 4096);
                    }
                }
                let window = Area { iova: RANGES[0].iova + first * 4096, bytes: pages * 4096 };
                let page_size = 4096 << shift;
                let noise = 0x8000_0000_0000_0001;
                let mut bitmap = [noise; 4];
                log.report(window, page_size, &mut bitmap).expect("report");
                let mut expected = [noise; 4];
                for page in window.iova / 4096..window.end() / 4096 {
                    if model.remove(&page) {
                        let bit = (page * 4096 - window.iova) / page_size;
                        expected[(bit / 64) as usize] |= 1 << (bit % 64);
                    }
                }
                prop_assert_eq!(bitmap, expected);
            }
        }
    }
}
