use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

const PAGE: u64 = 4096;

/// A driver as unforgiving as pds: merges ranges down to `regions`, wants windows inside one region at an offset of
/// whole words, and acknowledges (forgets) whole words even where the window ends before the word does. As mlx5, it
/// logs in pages of at least `granule` bytes, and names each by its first byte.
struct Model {
    max_ranges: usize,
    regions: usize,
    running: Vec<Area>,
    /// First bytes of what was written.
    dirty: Arc<Mutex<BTreeSet<u64>>>,
    fail_next: bool,
    granule: u64,
    /// Logs in pages of at most so many bytes, and forgets in a report in larger ones all but the first 256 of its own.
    most: u64,
    /// Joins the nearest ranges; otherwise the last two.
    nearest: bool,
}

fn errno<T>(errno: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(errno))
}

impl DmaLog for Model {
    fn start(&mut self, page_size: u64, ranges: &[Area]) -> io::Result<u64> {
        if ranges.len() > self.max_ranges {
            return errno(libc::E2BIG);
        }
        let odd = |area: &Area| area.bytes == 0 || area.iova % page_size != 0 || area.bytes % page_size != 0;
        let overlap = ranges.windows(2).any(|pair| pair[0].end() > pair[1].iova);
        if !self.running.is_empty() || ranges.is_empty() || overlap || ranges.iter().any(odd) {
            return errno(libc::EINVAL);
        }
        self.running = ranges.to_vec();
        while self.running.len() > self.regions {
            let gap = |index: &usize| self.running[*index].iova - self.running[index - 1].end();
            let last = self.running.len() - 1;
            let at = if self.nearest { (1..=last).min_by_key(gap).expect("more than one") } else { last };
            let joined = self.running.remove(at);
            let previous = &mut self.running[at - 1];
            previous.bytes = joined.end() - previous.iova;
        }
        Ok(page_size.max(self.granule).min(self.most))
    }

    fn stop(&mut self) -> io::Result<()> {
        self.running.clear();
        Ok(())
    }

    fn report(&mut self, window: Area, page_size: u64, words: &mut [u64]) -> io::Result<()> {
        let inside = |area: &&Area| area.iova <= window.iova && window.iova < area.end();
        let Some(region) = self.running.iter().find(inside) else { return errno(libc::EINVAL) };
        let page = page_size.max(self.granule);
        let word = 64 * page;
        if window.end() > region.end() || (window.iova - region.iova) % word != 0 || window.bytes == 0 {
            return errno(libc::EINVAL);
        }
        if std::mem::take(&mut self.fail_next) {
            return errno(libc::EIO);
        }
        let mut dirty = self.dirty.lock().expect("model");
        let acknowledged = window.iova.saturating_add(window.bytes.next_multiple_of(word));
        let taken: Vec<u64> = dirty
            .range(window.iova / page * page..acknowledged.checked_next_multiple_of(page).unwrap_or(u64::MAX))
            .copied()
            .collect();
        for iova in taken {
            dirty.remove(&iova);
            let first = iova / page * page;
            if page_size > self.most && (iova - region.iova) / self.most >= 256 {
                continue;
            }
            // The kernel forgets what begins before the window, and does not end a page where the bitmap ends.
            if first < window.iova || window.end() <= first {
                continue;
            }
            assert!(first + page <= window.end(), "sets bits behind the bitmap");
            for bit in (first - window.iova) / page_size..(first + page - window.iova) / page_size {
                words[(bit / 64) as usize] |= 1 << (bit % 64);
            }
        }
        Ok(())
    }
}

fn model(regions: usize) -> Model {
    Model {
        max_ranges: 256,
        regions,
        running: Vec::new(),
        dirty: Arc::default(),
        fail_next: false,
        granule: 0,
        most: u64::MAX,
        nearest: false,
    }
}

proptest! {
    #[test]
    fn an_unforgiving_driver_loses_nothing(
        areas in extents::tests::layouts(),
        writes in prop::collection::vec((0usize..8, 0u64..200), 0..40),
        regions in 1usize..4,
        max_ranges in 1usize..4,
    ) {
        let mut kernel = model(regions);
        kernel.max_ranges = max_ranges;
        let dirty = kernel.dirty.clone();
        let mut tracker = DeviceLogTracker::new("log", "vf", kernel, PAGE, areas.clone(), max_ranges);
        tracker.start().expect("start");
        let mut expected = DirtyBitmap::new(PAGE, &areas);
        for (area, page) in writes {
            let area = areas[area % areas.len()];
            let iova = area.iova + page % (area.bytes / PAGE) * PAGE;
            dirty.lock().expect("model").insert(iova);
            expected.set_range(iova, 1);
        }
        let mut found = DirtyBitmap::new(PAGE, &areas);
        prop_assert_eq!(tracker.read(&mut found).expect("read"), expected.count());
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(tracker.read(&mut found).expect("read"), 0);
        prop_assert_eq!(found, expected);
        tracker.stop().expect("stop");
    }
}

#[test]
fn a_log_in_smaller_pages_than_asked_for_is_reported_in_its_own() {
    let unit = 16 * PAGE;
    let areas = vec![Area { iova: 3 * unit, bytes: 100 * unit }, Area { iova: 4096 * unit, bytes: 7 * unit }];
    let kernel = Model { most: PAGE, ..model(2) };
    let dirty = kernel.dirty.clone();
    let mut tracker = DeviceLogTracker::new("log", "vf", kernel, unit, areas.clone(), 256);
    tracker.start().expect("start");
    assert_eq!(tracker.page_size(), PAGE);
    let written = [areas[0].iova, areas[0].iova + 90 * unit + 5 * PAGE, areas[1].iova + 7 * unit - PAGE];
    let mut expected = DirtyBitmap::new(unit, &areas);
    for iova in written {
        dirty.lock().expect("model").insert(iova);
        expected.set_range(iova, 1);
    }
    let mut found = DirtyBitmap::new(unit, &areas);
    assert_eq!(tracker.read(&mut found).expect("read"), 3);
    assert_eq!(found, expected);
}

/// Up to 40 areas, near each other and far.
fn scattered() -> impl Strategy<Value = Vec<Area>> {
    prop::collection::vec((prop_oneof![0u64..400, 0u64..200_000], 1u64..200), 1..40).prop_map(|parts| {
        let mut at = 0;
        let area = |(gap, pages): (u64, u64)| {
            let area = Area { iova: at + gap * PAGE, bytes: pages * PAGE };
            at = area.end();
            area
        };
        parts.into_iter().map(area).collect()
    })
}

proptest! {
    #[test]
    fn a_driver_with_larger_pages_and_few_ranges_loses_nothing(
        areas in scattered(),
        writes in prop::collection::vec((0usize..40, 0u64..200), 0..60),
        regions in 1usize..6,
        granule in prop::sample::select(vec![0u64, 2 * PAGE, 65536, 1 << 20, 2 << 20, 1 << 30]),
        nearest: bool,
    ) {
        let kernel = Model { granule, nearest, ..model(regions) };
        let dirty = kernel.dirty.clone();
        let mut tracker = DeviceLogTracker::new("log", "vf", kernel, PAGE, areas.clone(), 256);
        tracker.start().expect("start");
        prop_assert_eq!(tracker.page_size(), granule.max(PAGE));
        let mut expected = DirtyBitmap::new(PAGE, &areas);
        let page = granule.max(PAGE);
        for (area, index) in writes {
            let area = areas[area % areas.len()];
            let iova = area.iova + index % (area.bytes / PAGE) * PAGE;
            dirty.lock().expect("model").insert(iova);
            expected.set_range(iova / page * page, page);
        }
        let mut found = DirtyBitmap::new(PAGE, &areas);
        prop_assert_eq!(tracker.read(&mut found).expect("read"), expected.count());
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(tracker.read(&mut found).expect("read"), 0);
        tracker.stop().expect("stop");
    }
}

#[test]
fn a_page_size_that_is_none_is_refused_with_the_log_stopped() {
    for granule in [3 * PAGE, 1 << 62] {
        let kernel = Model { granule, ..model(1) };
        let area = Area { iova: 0, bytes: 100 * PAGE };
        let mut tracker = DeviceLogTracker::new("log", "vf", kernel, PAGE, vec![area], 256);
        assert_eq!(tracker.start().expect_err("no page size").code, "tracker/start-failed");
        assert!(tracker.kernel.running.is_empty(), "no one reads this log, so it must not run");
    }
}

#[test]
fn a_log_that_ends_with_the_address_space_is_read_whole() {
    // The last page of all cannot be said, so the area ends one short of it, and no whole block holds it.
    let area = Area { iova: u64::MAX - 100 * PAGE + 1, bytes: 99 * PAGE };
    let kernel = model(1);
    let dirty = kernel.dirty.clone();
    let mut tracker = DeviceLogTracker::new("log", "vf", kernel, PAGE, vec![area], 256);
    tracker.start().expect("start");
    let mut found = DirtyBitmap::new(PAGE, &[area]);
    dirty.lock().expect("model").extend([area.iova, area.end() - PAGE]);
    assert_eq!(tracker.read(&mut found).expect("read"), 2);
    assert!(found.get(area.iova) && found.get(area.end() - 1));
}

#[test]
fn windows_of_a_huge_area_stay_small_and_meet_without_gaps() {
    struct Recorder(Arc<Mutex<Vec<(Area, usize)>>>);
    impl DmaLog for Recorder {
        fn start(&mut self, page_size: u64, _: &[Area]) -> io::Result<u64> {
            Ok(page_size)
        }
        fn stop(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn report(&mut self, window: Area, _: u64, words: &mut [u64]) -> io::Result<()> {
            self.0.lock().expect("list").push((window, words.len()));
            Ok(())
        }
    }
    let windows = Arc::default();
    // 70 GiB and a bit, so that the last window is short.
    let area = Area { iova: 1 << 32, bytes: (70 << 30) + 64 * PAGE };
    let mut tracker = DeviceLogTracker::new("log", "vf", Recorder(Arc::clone(&windows)), PAGE, vec![area], 256);
    tracker.start().expect("start");
    assert_eq!(tracker.read(&mut DirtyBitmap::new(PAGE, &[area])).expect("read"), 0);
    let windows = windows.lock().expect("list");
    assert_eq!(windows.len(), 3);
    let mut at = area.iova;
    for (window, words) in windows.iter() {
        assert_eq!(window.iova, at);
        assert!(*words as u64 * 8 <= 1 << 20, "1 MiB of bitmap at most");
        assert_eq!(*words as u64 * 64, window.bytes / PAGE);
        at = window.end();
    }
    assert_eq!(at, area.end());
}

#[test]
fn an_error_is_final_until_the_next_start() {
    let area = Area { iova: 0, bytes: 100 * PAGE };
    let mut tracker = DeviceLogTracker::new("log", "vf", model(1), PAGE, vec![area], 256);
    tracker.start().expect("start");
    tracker.kernel.fail_next = true;
    let mut bitmap = DirtyBitmap::new(PAGE, &[area]);
    let error = tracker.read(&mut bitmap).expect_err("EIO");
    assert_eq!((error.code, error.errno), ("tracker/log-lost", Some(libc::EIO)));
    assert_eq!(error.device.as_deref(), Some("vf"));
    assert_eq!(tracker.read(&mut bitmap).expect_err("still lost").code, "tracker/log-lost");
    tracker.stop().expect("stop");
    tracker.start().expect("again");
    assert_eq!(tracker.read(&mut bitmap).expect("read"), 0);
}

#[test]
fn the_drivers_choice_of_page_size_is_told_and_bad_ranges_are_refused_before_it() {
    let area = Area { iova: 0, bytes: 128 * PAGE };
    let mut kernel = model(1);
    kernel.granule = 65536;
    let mut tracker = DeviceLogTracker::new("log", "vf", kernel, PAGE, vec![area], 256);
    tracker.start().expect("start");
    assert_eq!(tracker.page_size(), 65536);
    for bad in [Area { iova: 1, bytes: PAGE }, Area { iova: 0, bytes: 0 }, Area { iova: 0, bytes: PAGE + 1 }] {
        let mut tracker = DeviceLogTracker::new("log", "vf", model(1), PAGE, vec![bad], 256);
        assert_eq!(tracker.start().expect_err("refused").code, "tracker/ranges");
    }
    let mut tracker = DeviceLogTracker::new("log", "vf", model(1), PAGE, Vec::new(), 256);
    assert_eq!(tracker.start().expect_err("nothing to log").code, "tracker/ranges");
}
