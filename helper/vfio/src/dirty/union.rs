//! The union: what is dirty is what any tracker says is dirty, in one bitmap per workload.

use std::time::Instant;

use super::{DirtyBitmap, Tracker, TrackerKind};
use crate::area::Area;
use crate::error::{HelperError, Result};
use crate::message::TrackerRound;

/// All trackers of a workload. Each read ORs every tracker into one bitmap; trackers are never averaged, and a
/// tracker that fails fails the read, because no one else knows what it would have said.
pub struct Union {
    trackers: Vec<Box<dyn Tracker>>,
    started: usize,
    page_size: u64,
    areas: Vec<Area>,
    /// A bitmap for each tracker, kept between reads, to tell what only one of them saw. None for a single tracker,
    /// which reads into the workload's own.
    parts: Vec<DirtyBitmap>,
}

/// One read of all trackers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub trackers: Vec<TrackerRound>,
    /// Pages that at least one of them named.
    pub pages: u64,
}

impl Union {
    pub fn new(page_size: u64, areas: Vec<Area>, trackers: Vec<Box<dyn Tracker>>) -> Self {
        let parts = if trackers.len() > 1 { trackers.len() } else { 0 };
        let parts = (0..parts).map(|_| DirtyBitmap::new(page_size, &areas)).collect();
        Self { trackers, started: 0, page_size, areas, parts }
    }

    /// Starts all trackers, or none: when one fails, those already started are stopped again.
    pub fn start(&mut self) -> Result<()> {
        while let Some(tracker) = self.trackers.get_mut(self.started) {
            if let Err(error) = tracker.start() {
                // The first failure is the one worth telling; stopping is best effort.
                let _ = self.stop();
                return Err(error);
            }
            self.started += 1;
        }
        Ok(())
    }

    pub fn trackers(&self) -> impl Iterator<Item = &dyn Tracker> {
        self.trackers.iter().map(AsRef::as_ref)
    }

    pub fn is_started(&self) -> bool {
        self.started == self.trackers.len()
    }

    /// A clean bitmap of the workload's layout.
    pub fn bitmap(&self) -> DirtyBitmap {
        DirtyBitmap::new(self.page_size, &self.areas)
    }

    /// One round: everything any tracker saw since the last round is ORed into `into`. Every tracker is read even
    /// when one fails, and the first failure is returned.
    pub fn read(&mut self, into: &mut DirtyBitmap) -> Result<Read> {
        let mut rounds = Vec::with_capacity(self.trackers.len());
        let mut failed = None;
        let alone = self.parts.is_empty();
        for (index, tracker) in self.trackers.iter_mut().enumerate() {
            let began = Instant::now();
            let part = match self.parts.get_mut(index) {
                Some(part) => {
                    part.clear();
                    part
                }
                None => &mut *into,
            };
            match tracker.read(part) {
                Ok(pages) => rounds.push(TrackerRound {
                    tracker: tracker.name().to_owned(),
                    pages,
                    only_pages: pages,
                    elapsed_us: began.elapsed().as_micros() as u64,
                    stopped_us: tracker.stopped_us(),
                }),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if alone {
            let pages = rounds.iter().map(|round| round.pages).sum();
            return failed.map_or(Ok(Read { trackers: rounds, pages }), Err);
        }
        // After a failure, too: what the others saw is gone from their logs.
        let (only, pages) = into.or_each(&self.parts);
        if let Some(error) = failed {
            return Err(error);
        }
        for (round, only) in rounds.iter_mut().zip(only) {
            round.only_pages = only;
        }
        Ok(Read { trackers: rounds, pages })
    }

    /// That no device wrote since the last read, as far as trackers can tell: a pinned scope and `all` name their pages
    /// at every read, written or not. What it finds is in no bitmap: the run cannot go on.
    ///
    /// # Errors
    /// `device/writes-after-stop`; those of the trackers.
    pub fn devices_stopped(&mut self) -> Result<()> {
        let mut late = self.bitmap();
        for tracker in &mut self.trackers {
            if !matches!(tracker.kind(), TrackerKind::Device | TrackerKind::Iommu) {
                continue;
            }
            let pages = tracker.read(&mut late)?;
            if let Some(first) = late.runs(self.page_size).next() {
                let message = format!(
                    "{} reports {pages} pages written after its devices were stopped, first at {:#x}",
                    tracker.name(),
                    first.iova
                );
                return Err(HelperError::new("device/writes-after-stop", message)
                    .suggest("a driver that writes while it is stopped cannot be moved: report it to its vendor"));
            }
        }
        Ok(())
    }

    /// Every process that writes the memory stands still when this returns. The first failure is returned after all
    /// were tried.
    ///
    /// # Errors
    /// Those of the trackers.
    pub fn stop_writers(&mut self, until: Instant) -> Result<()> {
        all(self.trackers.iter_mut().map(|tracker| tracker.stop_writers(until)))
    }

    /// # Errors
    /// Those of the trackers, when a process ran since the last read.
    pub fn writers_stopped(&self) -> Result<()> {
        all(self.trackers.iter().map(|tracker| tracker.writers_stopped()))
    }

    pub fn has(&self, kind: TrackerKind) -> bool {
        self.trackers.iter().any(|tracker| tracker.kind() == kind)
    }

    /// The processes whose writes are tracked; once stopped, those that are.
    pub fn writers(&self) -> Vec<String> {
        self.trackers.iter().flat_map(|tracker| tracker.writers()).collect()
    }

    /// Lets the processes run that were stopped.
    ///
    /// # Errors
    /// Those of the trackers: a process may still stand.
    pub fn wake_writers(&mut self) -> Result<()> {
        all(self.trackers.iter_mut().map(|tracker| tracker.wake_writers()))
    }

    /// Stops what was started, in reverse order; the first failure is returned after all were tried.
    pub fn stop(&mut self) -> Result<()> {
        let mut failed = None;
        for tracker in self.trackers[..self.started].iter_mut().rev() {
            if let Err(error) = tracker.stop() {
                failed = failed.or(Some(error));
            }
        }
        self.started = 0;
        failed.map_or(Ok(()), Err)
    }
}

/// Does all of it; the first failure is what is told.
fn all(done: impl Iterator<Item = Result<()>>) -> Result<()> {
    done.fold(Ok(()), Result::and)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    /// Reports the same pages at every read, or fails.
    struct Fixed(&'static str, Option<std::ops::Range<u64>>);

    impl Tracker for Fixed {
        fn name(&self) -> &str {
            self.0
        }
        fn kind(&self) -> TrackerKind {
            TrackerKind::Device
        }
        fn page_size(&self) -> u64 {
            PAGE
        }
        fn start(&mut self) -> Result<()> {
            Ok(())
        }
        fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64> {
            let pages = self.1.clone().ok_or_else(|| HelperError::new("tracker/log-lost", "lost"))?;
            into.set_range(pages.start * PAGE, (pages.end - pages.start) * PAGE);
            Ok(pages.end - pages.start)
        }
        fn stop(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn union(trackers: Vec<Fixed>) -> Union {
        let trackers = trackers.into_iter().map(|tracker| Box::new(tracker) as Box<dyn Tracker>).collect();
        Union::new(PAGE, vec![Area { iova: 0, bytes: 200 * PAGE }], trackers)
    }

    fn counts(read: &Read) -> Vec<(&str, u64, u64)> {
        read.trackers.iter().map(|round| (round.tracker.as_str(), round.pages, round.only_pages)).collect()
    }

    #[test]
    fn each_tracker_is_told_what_only_it_saw_in_every_read() {
        let mut union = union(vec![Fixed("a", Some(0..100)), Fixed("b", Some(90..130)), Fixed("c", Some(95..96))]);
        let mut pending = union.bitmap();
        pending.set_range(150 * PAGE, PAGE);
        for _ in 0..2 {
            let read = union.read(&mut pending).expect("read");
            assert_eq!(counts(&read), [("a", 100, 90), ("b", 40, 30), ("c", 1, 0)]);
            assert_eq!((read.pages, pending.count()), (130, 131), "what was pending stays, and is no part of the read");
        }
    }

    #[test]
    fn a_single_tracker_reads_into_the_bitmap_itself() {
        let mut union = union(vec![Fixed("a", Some(3..5))]);
        assert!(union.parts.is_empty());
        let mut pending = union.bitmap();
        let read = union.read(&mut pending).expect("read");
        assert_eq!((counts(&read), read.pages, pending.count()), (vec![("a", 2, 2)], 2, 2));
    }

    #[test]
    fn a_failure_loses_nothing_that_others_saw() {
        let mut union = union(vec![Fixed("a", Some(0..3)), Fixed("b", None), Fixed("c", Some(7..9))]);
        let mut pending = union.bitmap();
        assert_eq!(union.read(&mut pending).expect_err("lost").code, "tracker/log-lost");
        assert_eq!(pending.count(), 5);
    }
}
