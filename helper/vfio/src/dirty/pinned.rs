//! type1's pinned-page scope (`VFIO_IOMMU_DIRTY_PAGES`): in a container of emulated groups only, the pages that are
//! pinned now plus those pinned or written by `vfio_dma_rw` since the last read. Pages that stay pinned come back in
//! every read.
//!
//! Unlike the two other kernel trackers, GET_BITMAP overwrites whole words of the buffer and leaves gaps and bits
//! behind a mapping's end as it finds or makes them. So each mapping is asked for alone, into zeroed memory.

use std::io;

use super::areas::{MappedAreas, bitmap_words, map_chunks, window_words};
use super::{DirtyBitmap, Tracker, TrackerKind, lost};
use crate::area::Area;
use crate::error::{HelperError, Result};

/// The container's side of it: one ioctl each.
pub trait DirtyPages: Send {
    fn start(&mut self) -> io::Result<()>;
    fn stop(&mut self) -> io::Result<()>;
    /// GET_BITMAP of exactly one mapping into `words`, a bit for each `page_size` bytes.
    fn bitmap(&mut self, mapping: Area, page_size: u64, words: &mut [u64]) -> io::Result<()>;
}

pub struct PinnedTracker<K> {
    name: String,
    kernel: K,
    page_size: u64,
    mapped: MappedAreas,
    /// A read failed: what it had cleared is gone.
    lost: bool,
    buffer: Vec<u64>,
}

impl<K: DirtyPages> PinnedTracker<K> {
    /// `page_size`: the smallest page size of the container, the only one GET_BITMAP takes.
    pub fn new(name: &str, kernel: K, page_size: u64, mapped: MappedAreas) -> Self {
        Self { name: name.to_owned(), kernel, page_size, mapped, lost: false, buffer: Vec::new() }
    }

    fn failed(&self, code: &'static str, flag: &str, error: &io::Error) -> HelperError {
        let meaning = match error.raw_os_error().unwrap_or(0) {
            libc::EINVAL => "tracking is off, a mapping is too large, or the range is not a mapping",
            libc::EACCES | libc::ENOTTY => "this container cannot track",
            libc::ENOMEM => "the kernel has no memory for its bitmaps",
            libc::EFAULT => "the kernel could not write the bitmap",
            _ => "",
        };
        HelperError::os(code, format!("VFIO_IOMMU_DIRTY_PAGES {flag}"), error, meaning)
    }
}

impl<K: DirtyPages> Tracker for PinnedTracker<K> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> TrackerKind {
        TrackerKind::Pinned
    }

    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn start(&mut self) -> Result<()> {
        self.kernel.start().map_err(|error| self.failed("tracker/start-failed", "START", &error))?;
        self.lost = false;
        Ok(())
    }

    fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64> {
        if self.lost {
            return Err(lost());
        }
        // Until all of it was read.
        self.lost = true;
        let mut pages = 0;
        for area in self.mapped.snapshot() {
            self.buffer.clear();
            self.buffer.resize(bitmap_words(area.bytes, self.page_size), 0);
            for mapping in map_chunks(area) {
                let words = window_words(&mut self.buffer, area, mapping, self.page_size);
                let read = self.kernel.bitmap(mapping, self.page_size, words);
                read.map_err(|error| self.failed("tracker/log-lost", "GET_BITMAP", &error))?;
            }
            pages += into.or_bits(area.iova, area.bytes, self.page_size, &self.buffer);
        }
        self.lost = false;
        Ok(pages)
    }

    fn stop(&mut self) -> Result<()> {
        self.kernel.stop().map_err(|error| self.failed("tracker/stop-failed", "STOP", &error))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    const PAGE: u64 = 4096;

    /// The kernel as read in vfio_iommu_type1.c: whole words are overwritten, bits behind the end are stale.
    #[derive(Clone)]
    struct Model {
        on: bool,
        mappings: Vec<Area>,
        dirty: Arc<Mutex<BTreeSet<u64>>>,
        stale: u64,
    }

    impl DirtyPages for Model {
        fn start(&mut self) -> io::Result<()> {
            self.on = true;
            Ok(())
        }
        fn stop(&mut self) -> io::Result<()> {
            self.on = false;
            Ok(())
        }
        fn bitmap(&mut self, mapping: Area, page_size: u64, words: &mut [u64]) -> io::Result<()> {
            let pages = mapping.bytes / page_size;
            let exact = words.len() as u64 == pages.div_ceil(64);
            if !self.on || page_size != PAGE || !self.mappings.contains(&mapping) || !exact {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            let mut dirty = self.dirty.lock().expect("model");
            for (index, word) in words.iter_mut().enumerate() {
                *word = 0;
                for bit in 0..64 {
                    let page = index as u64 * 64 + bit;
                    let set = if page < pages {
                        dirty.remove(&(mapping.iova + page * page_size))
                    } else {
                        self.stale >> bit & 1 == 1
                    };
                    *word |= u64::from(set) << bit;
                }
            }
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn nothing_written_is_missed_and_stale_bits_name_no_page(
            pages in prop::collection::vec((0u64..3, 1u64..150), 1..5),
            writes in prop::collection::vec((0usize..5, 0u64..150), 0..40),
            stale: u64,
            coarse in 0u32..3,
        ) {
            // The workload's bitmap may be coarser than the container's page.
            let unit = PAGE << coarse;
            let mut at = 0;
            let areas: Vec<Area> = pages.iter().map(|(gap, count)| {
                let area = Area { iova: at + gap * unit, bytes: count * unit };
                at = area.end();
                area
            }).collect();
            let dirty = Arc::new(Mutex::new(BTreeSet::new()));
            let model = Model { on: false, mappings: areas.clone(), dirty: dirty.clone(), stale };
            let mut tracker = PinnedTracker::new("pinned", model, PAGE, MappedAreas::from(areas.clone()));
            tracker.start().expect("start");
            let mut expected = DirtyBitmap::new(unit, &areas);
            for (area, page) in writes {
                let area = areas[area % areas.len()];
                let iova = area.iova + page % (area.bytes / PAGE) * PAGE;
                dirty.lock().expect("model").insert(iova);
                expected.set_range(iova, 1);
            }
            let mut found = DirtyBitmap::new(unit, &areas);
            prop_assert_eq!(tracker.read(&mut found).expect("read"), expected.count());
            prop_assert_eq!(&found, &expected);
            // Read again: the kernel cleared, what we had stays in the master bitmap.
            prop_assert_eq!(tracker.read(&mut found).expect("read"), 0);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_failed_read_says_the_log_is_lost() {
        let area = Area { iova: 0, bytes: PAGE };
        let model = Model { on: false, mappings: vec![area], dirty: Arc::default(), stale: 0 };
        let mut tracker = PinnedTracker::new("pinned", model, PAGE, MappedAreas::from(vec![area]));
        let error = tracker.read(&mut DirtyBitmap::new(PAGE, &[area])).expect_err("not started");
        assert_eq!((error.code, error.errno), ("tracker/log-lost", Some(libc::EINVAL)));
        // What the failed read had cleared is in no log any more: the next one must not look clean.
        tracker.kernel.on = true;
        let error = tracker.read(&mut DirtyBitmap::new(PAGE, &[area])).expect_err("lost");
        assert_eq!(error.code, "tracker/log-lost");
        tracker.start().expect("start");
        assert_eq!(tracker.read(&mut DirtyBitmap::new(PAGE, &[area])).expect("from here on"), 0);
    }
}
