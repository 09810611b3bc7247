use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

const PAGE: u64 = 4096;

/// A driver as unforgiving as pds: merges ranges down to `regions`, wants windows inside one region at an offset of
/// whole words, and acknowledges (forgets) whole words even where the window ends before the word does.
struct Model {
    max_ranges: usize,
    regions: usize,
    running: Vec<Area>,
    dirty: Arc<Mutex<BTreeSet<u64>>>,
    fail_next: bool,
    granule: u64,
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
            let last = self.running.pop().expect("more than one");
            let previous = self.running.last_mut().expect("one left");
            previous.bytes = last.end() - previous.iova;
        }
        Ok(page_size.max(self.granule))
    }

    fn stop(&mut self) -> io::Result<()> {
        self.running.clear();
        Ok(())
    }

    fn report(&mut self, window: Area, page_size: u64, words: &mut [u64]) -> io::Result<()> {
        let inside = |area: &&Area| area.iova <= window.iova && window.iova < area.end();
        let Some(region) = self.running.iter().find(inside) else { return errno(libc::EINVAL) };
        let word = 64 * page_size;
        if window.end() > region.end() || (window.iova - region.iova) % word != 0 || window.bytes == 0 {
            return errno(libc::EINVAL);
        }
        if std::mem::take(&mut self.fail_next) {
            return errno(libc::EIO);
        }
        let mut dirty = self.dirty.lock().expect("model");
        let acknowledged = window.iova + window.bytes.next_multiple_of(word);
        let taken: Vec<u64> = dirty.range(window.iova..acknowledged).copied().collect();
        for iova in taken {
            dirty.remove(&iova);
            let page = (iova - window.iova) / page_size;
            if iova < window.end() {
                words[(page / 64) as usize] |= 1 << (page % 64);
            }
        }
        Ok(())
    }
}

fn model(regions: usize) -> Model {
    Model { max_ranges: 256, regions, running: Vec::new(), dirty: Arc::default(), fail_next: false, granule: 0 }
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
