//! Dirty bits of iommufd page tables (HWPTs made with DIRTY_TRACKING).
//!
//! Every page table of the address space is switched on and read. A query that meets a hole in the mappings stops
//! there and still reports success, as does one on a table that is not tracking; so each mapping is asked for
//! exactly, and switching on is checked. Reading ORs and clears; switching on twice clears what was not read.

use std::io;

use super::areas::{MappedAreas, bitmap_words, map_chunks, window_words};
use super::{DirtyBitmap, Tracker, TrackerKind, lost};
use crate::area::Area;
use crate::error::{HelperError, Result};

/// iommufd's side of it: one ioctl each.
pub trait PageTableBits: Send {
    fn set_tracking(&mut self, hwpt: u32, on: bool) -> io::Result<()>;
    /// GET_DIRTY_BITMAP of exactly one mapping: ORs bit n for `mapping.iova + n * page_size` and clears it there.
    fn read_and_clear(&mut self, hwpt: u32, mapping: Area, page_size: u64, words: &mut [u64]) -> io::Result<()>;
}

pub struct HwptTracker<K> {
    name: String,
    kernel: K,
    hwpts: Vec<u32>,
    on: Vec<u32>,
    page_size: u64,
    mapped: MappedAreas,
    /// A read failed: what it had cleared is gone.
    lost: bool,
    buffer: Vec<u64>,
}

impl<K: PageTableBits> HwptTracker<K> {
    /// `hwpts`: every page table the address space's devices use. `page_size` in bytes: one bit each; regions are
    /// aligned to it.
    pub fn new(name: &str, kernel: K, hwpts: Vec<u32>, page_size: u64, mapped: MappedAreas) -> Self {
        Self {
            name: name.to_owned(),
            kernel,
            hwpts,
            on: Vec::new(),
            page_size,
            mapped,
            lost: false,
            buffer: Vec::new(),
        }
    }

    fn off(&mut self) -> Option<io::Error> {
        let mut first = None;
        for hwpt in std::mem::take(&mut self.on) {
            if let Err(error) = self.kernel.set_tracking(hwpt, false) {
                first.get_or_insert(error);
            }
        }
        first
    }
}

fn failed(code: &'static str, operation: &str, error: &io::Error) -> HelperError {
    let meaning = match error.raw_os_error().unwrap_or(0) {
        libc::EOPNOTSUPP => "this IOMMU page table cannot track",
        libc::EINVAL => "the range is not aligned to the address space, or tracking cannot be switched",
        libc::EOVERFLOW => "the range reaches the end of the address space",
        libc::ENOENT => "the page table is gone",
        libc::ENOMEM => "the kernel could not pin the bitmap",
        _ => "",
    };
    HelperError::os(code, operation, error, meaning)
}

impl<K: PageTableBits> Tracker for HwptTracker<K> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> TrackerKind {
        TrackerKind::Iommu
    }

    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn start(&mut self) -> Result<()> {
        for hwpt in self.hwpts.clone() {
            if self.on.contains(&hwpt) {
                continue;
            }
            if let Err(error) = self.kernel.set_tracking(hwpt, true) {
                // All or none: a half-tracked address space would look clean.
                self.off();
                return Err(failed("tracker/start-failed", "IOMMU_HWPT_SET_DIRTY_TRACKING on", &error));
            }
            self.on.push(hwpt);
        }
        self.lost = false;
        Ok(())
    }

    fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64> {
        // The kernel answers "clean" where tracking is off.
        if self.on.len() != self.hwpts.len() || self.hwpts.is_empty() {
            return Err(HelperError::new("tracker/log-lost", "IOMMU dirty tracking is not switched on"));
        }
        if self.lost {
            return Err(lost());
        }
        // Until all of it was read.
        self.lost = true;
        let mut pages = 0;
        for area in self.mapped.snapshot() {
            self.buffer.clear();
            self.buffer.resize(bitmap_words(area.bytes, self.page_size), 0);
            for hwpt in &self.hwpts {
                for mapping in map_chunks(area) {
                    let words = window_words(&mut self.buffer, area, mapping, self.page_size);
                    self.kernel
                        .read_and_clear(*hwpt, mapping, self.page_size, words)
                        .map_err(|error| failed("tracker/log-lost", "IOMMU_HWPT_GET_DIRTY_BITMAP", &error))?;
                }
            }
            pages += into.or_bits(area.iova, area.bytes, self.page_size, &self.buffer);
        }
        self.lost = false;
        Ok(pages)
    }

    fn stop(&mut self) -> Result<()> {
        match self.off() {
            None => Ok(()),
            Some(error) => Err(failed("tracker/stop-failed", "IOMMU_HWPT_SET_DIRTY_TRACKING off", &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    const PAGE: u64 = 4096;
    type Tables = Arc<Mutex<BTreeMap<u32, (bool, BTreeSet<u64>)>>>;

    /// iommufd as read in io_pagetable.c: a walk stops at the first hole and says 0; tracking off says 0 too.
    struct Model {
        tables: Tables,
        mappings: Vec<Area>,
        refuse: Option<u32>,
    }

    impl PageTableBits for Model {
        fn set_tracking(&mut self, hwpt: u32, on: bool) -> io::Result<()> {
            if on && self.refuse == Some(hwpt) {
                return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
            }
            let mut tables = self.tables.lock().expect("model");
            let table = tables.get_mut(&hwpt).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?;
            *table = (on, BTreeSet::new());
            Ok(())
        }
        fn read_and_clear(&mut self, hwpt: u32, asked: Area, page_size: u64, words: &mut [u64]) -> io::Result<()> {
            let mut tables = self.tables.lock().expect("model");
            let table = tables.get_mut(&hwpt).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?;
            for page in 0..asked.bytes / page_size {
                let iova = asked.iova + page * page_size;
                if !table.0 || !self.mappings.iter().any(|map| map.iova <= iova && iova < map.end()) {
                    return Ok(());
                }
                if table.1.remove(&iova) {
                    words[(page / 64) as usize] |= 1 << (page % 64);
                }
            }
            Ok(())
        }
    }

    fn tracker(areas: &[Area], hwpts: &[u32]) -> (HwptTracker<Model>, Tables) {
        let tables: Tables = Arc::default();
        for hwpt in hwpts {
            tables.lock().expect("model").insert(*hwpt, (false, BTreeSet::new()));
        }
        let model = Model { tables: tables.clone(), mappings: areas.to_vec(), refuse: None };
        (HwptTracker::new("iommu", model, hwpts.to_vec(), PAGE, MappedAreas::from(areas.to_vec())), tables)
    }

    proptest! {
        #[test]
        fn holes_and_several_page_tables_lose_nothing(
            pages in prop::collection::vec((0u64..3, 1u64..150), 1..5),
            writes in prop::collection::vec((0usize..5, 0u64..150, 1u32..3), 0..40),
        ) {
            let mut at = 0;
            let areas: Vec<Area> = pages.iter().map(|(gap, count)| {
                let area = Area { iova: at + gap * PAGE, bytes: count * PAGE };
                at = area.end();
                area
            }).collect();
            let (mut tracker, tables) = tracker(&areas, &[1, 2]);
            tracker.start().expect("start");
            let mut expected = DirtyBitmap::new(PAGE, &areas);
            for (area, page, hwpt) in writes {
                let area = areas[area % areas.len()];
                let iova = area.iova + page % (area.bytes / PAGE) * PAGE;
                tables.lock().expect("model").get_mut(&hwpt).expect("table").1.insert(iova);
                expected.set_range(iova, 1);
            }
            let mut found = DirtyBitmap::new(PAGE, &areas);
            prop_assert_eq!(tracker.read(&mut found).expect("read"), expected.count());
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn starting_is_all_or_none_and_reading_without_it_is_no_clean_answer() {
        let area = Area { iova: 0, bytes: PAGE };
        let (mut tracker, tables) = tracker(&[area], &[7, 8]);
        let mut bitmap = DirtyBitmap::new(PAGE, &[area]);
        assert_eq!(tracker.read(&mut bitmap).expect_err("off").code, "tracker/log-lost");
        tracker.kernel.refuse = Some(8);
        assert_eq!(tracker.start().expect_err("refused").errno, Some(libc::EOPNOTSUPP));
        assert!(tables.lock().expect("model").values().all(|(on, _)| !on), "7 was switched off again");
        tracker.kernel.refuse = None;
        tracker.start().expect("start");
        tables.lock().expect("model").get_mut(&7).expect("table").1.insert(0);
        tracker.start().expect("a second start must not clear");
        assert_eq!(tracker.read(&mut bitmap).expect("read"), 1);
        tracker.stop().expect("stop");
    }
}
