//! The union: what is dirty is what any tracker says is dirty, in one bitmap per workload.

use std::time::{Duration, Instant};

use super::threaded::{Asked, Patience, Prepare, Threaded};
use super::{DirtyBitmap, Tracker, TrackerKind};
use crate::area::Area;
use crate::error::{HelperError, Result};
use crate::message::TrackerRound;

/// How long a tracker may take to stop, or to wake the processes it stopped. No limit of a run counts there: both follow
/// its end.
const LAST_WORD: Duration = Duration::from_secs(10);

/// All trackers of a workload. Each read ORs every tracker into one bitmap; trackers are never averaged, and a
/// tracker that fails fails the read, because no one else knows what it would have said. All are asked at once, and
/// waited for as long as the caller has patience.
pub struct Union {
    trackers: Vec<Threaded>,
    started: usize,
    /// Of each that was started.
    page_sizes: Vec<u64>,
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

/// What one tracker said.
struct Said {
    seen: DirtyBitmap,
    pages: Result<u64>,
    elapsed: Duration,
    stopped_us: u64,
}

impl Union {
    /// `prepare` runs on the thread of each tracker before anything else does.
    ///
    /// # Errors
    /// `tracker/start-failed` when a tracker gets no thread; those of `prepare`.
    pub fn new(page_size: u64, areas: Vec<Area>, trackers: Vec<Box<dyn Tracker>>, prepare: &Prepare) -> Result<Self> {
        let parts = if trackers.len() > 1 { trackers.len() } else { 0 };
        let parts = (0..parts).map(|_| DirtyBitmap::new(page_size, &areas)).collect();
        let trackers =
            trackers.into_iter().map(|tracker| Threaded::new(tracker, prepare.clone())).collect::<Result<Vec<_>>>()?;
        Ok(Self { trackers, started: 0, page_sizes: Vec::new(), page_size, areas, parts })
    }

    /// Starts all trackers, or none: when one fails, those already started are stopped again.
    ///
    /// # Errors
    /// Those of the trackers and of `patience`.
    pub fn start(&mut self, patience: Patience<'_>) -> Result<()> {
        while let Some(tracker) = self.trackers.get_mut(self.started) {
            let started = tracker
                .ask(|tracker| tracker.start().map(|()| tracker.page_size()))
                .and_then(|asked| tracker.answer(&asked, patience)?);
            match started {
                Ok(page_size) => self.page_sizes.push(page_size),
                Err(error) => {
                    // The first failure is the one worth telling; stopping is best effort.
                    let _ = self.stop();
                    return Err(error);
                }
            }
            self.started += 1;
        }
        Ok(())
    }

    /// Those that were started, by name, with the size in bytes of the pages they work in.
    pub fn started(&self) -> impl Iterator<Item = (&str, u64)> {
        self.trackers.iter().map(Threaded::name).zip(self.page_sizes.iter().copied())
    }

    /// A clean bitmap of the workload's layout.
    pub fn bitmap(&self) -> DirtyBitmap {
        DirtyBitmap::new(self.page_size, &self.areas)
    }

    /// One round: everything any tracker saw since the last round is ORed into `into`. Every tracker is read even
    /// when one fails, and the first failure is returned. Where an answer did not come all of `into` is dirty.
    ///
    /// # Errors
    /// Those of the trackers; `tracker/no-answer`, and the others of `patience`.
    pub fn read(&mut self, into: &mut DirtyBitmap, patience: Patience<'_>) -> Result<Read> {
        let alone = self.trackers.len() == 1;
        let nothing = DirtyBitmap::new(self.page_size, &[]);
        let lent = if alone {
            vec![std::mem::replace(into, nothing)]
        } else {
            self.parts.iter_mut().for_each(DirtyBitmap::clear);
            std::mem::take(&mut self.parts)
        };
        let asked: Vec<_> =
            self.trackers.iter().zip(lent).map(|(tracker, bitmap)| ask_what_was_written(tracker, bitmap)).collect();
        let mut rounds = Vec::with_capacity(self.trackers.len());
        let mut came = Vec::with_capacity(self.trackers.len());
        let mut failed = None;
        let mut over = None;
        for (tracker, asked) in self.trackers.iter_mut().zip(asked) {
            // Once it is over, what did not answer yet is not waited for.
            let mut patience = || match &over {
                Some(error) => Err(HelperError::clone(error)),
                None => patience().inspect_err(|error| over = Some(error.clone())),
            };
            let said = match asked.and_then(|asked| tracker.answer(&asked, &mut patience)) {
                Ok(said) => said,
                Err(error) => {
                    failed = failed.or(Some(error));
                    continue;
                }
            };
            came.push(said.seen);
            match said.pages {
                Ok(pages) => rounds.push(TrackerRound {
                    tracker: tracker.name().to_owned(),
                    pages,
                    only_pages: pages,
                    elapsed_us: said.elapsed.as_micros() as u64,
                    stopped_us: said.stopped_us,
                }),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let all_came = came.len() == self.trackers.len();
        if alone {
            *into = came.pop().unwrap_or_else(|| self.all_dirty());
            let pages = rounds.iter().map(|round| round.pages).sum();
            return failed.map_or(Ok(Read { trackers: rounds, pages }), Err);
        }
        // After a failure, too: what the others saw is gone from their logs.
        let (only, pages) = into.or_each(&came);
        if all_came {
            self.parts = came;
        } else {
            into.set_all();
            self.parts = self.trackers.iter().map(|_| self.bitmap()).collect();
        }
        if let Some(error) = failed {
            return Err(error);
        }
        for (round, only) in rounds.iter_mut().zip(only) {
            round.only_pages = only;
        }
        Ok(Read { trackers: rounds, pages })
    }

    fn all_dirty(&self) -> DirtyBitmap {
        let mut all = self.bitmap();
        all.set_all();
        all
    }

    /// That no device wrote since the last read, as far as trackers can tell: a pinned scope and `all` name their pages
    /// at every read, written or not. What it finds is in no bitmap: the run cannot go on.
    ///
    /// # Errors
    /// `device/writes-after-stop`; those of the trackers and of `patience`.
    pub fn devices_stopped(&mut self, patience: Patience<'_>) -> Result<()> {
        for index in 0..self.trackers.len() {
            let mut late = self.bitmap();
            let Some(tracker) = self.trackers.get_mut(index) else { break };
            if !matches!(tracker.kind(), TrackerKind::Device | TrackerKind::Iommu) {
                continue;
            }
            let asked = ask_what_was_written(tracker, late)?;
            let said = tracker.answer(&asked, patience)?;
            let pages = said.pages?;
            late = said.seen;
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
    /// Those of the trackers and of `patience`.
    pub fn stop_writers(&mut self, until: Instant, patience: Patience<'_>) -> Result<()> {
        all(self.of_processes().map(|tracker| {
            let asked = tracker.ask(move |tracker| tracker.stop_writers(until))?;
            tracker.answer(&asked, patience)?
        }))
    }

    /// # Errors
    /// Those of the trackers, when a process ran since the last read, and of `patience`.
    pub fn writers_stopped(&mut self, patience: Patience<'_>) -> Result<()> {
        all(self.of_processes().map(|tracker| {
            let asked = tracker.ask(|tracker| tracker.writers_stopped())?;
            tracker.answer(&asked, patience)?
        }))
    }

    pub fn has(&self, kind: TrackerKind) -> bool {
        self.trackers.iter().any(|tracker| tracker.kind() == kind)
    }

    /// The processes whose writes are tracked; once stopped, those that are. Of a tracker that does not answer, none.
    pub fn writers(&mut self) -> Vec<String> {
        self.of_processes()
            .filter_map(|tracker| tracker.settle(LAST_WORD, |tracker| tracker.writers()).ok().flatten())
            .flatten()
            .collect()
    }

    /// Lets the processes run that were stopped.
    ///
    /// # Errors
    /// Those of the trackers, and `tracker/no-answer`: a process may still stand.
    pub fn wake_writers(&mut self) -> Result<()> {
        all(self.of_processes().map(|tracker| {
            let woken = tracker.settle(LAST_WORD, |tracker| tracker.wake_writers())?;
            woken.unwrap_or_else(|| Err(may_stand(tracker.name())))
        }))
    }

    fn of_processes(&mut self) -> impl Iterator<Item = &mut Threaded> {
        self.trackers.iter_mut().filter(|tracker| tracker.kind() == TrackerKind::Process)
    }

    /// Stops what was started, in reverse order; the first failure is returned after all were tried. A tracker that was
    /// given up and has not come back is left behind, and that was told.
    ///
    /// # Errors
    /// Those of the trackers; `tracker/no-answer` for one that was fine until now.
    pub fn stop(&mut self) -> Result<()> {
        let mut failed = None;
        for tracker in self.trackers[..self.started].iter_mut().rev() {
            let stopped = tracker.settle(LAST_WORD, |tracker| tracker.stop());
            if let Err(error) = stopped.and_then(|stopped| stopped.unwrap_or(Ok(()))) {
                failed = failed.or(Some(error));
            }
        }
        self.started = 0;
        self.page_sizes.clear();
        failed.map_or(Ok(()), Err)
    }
}

fn ask_what_was_written(tracker: &Threaded, mut seen: DirtyBitmap) -> Result<Asked<Said>> {
    tracker.ask(move |tracker| {
        let began = Instant::now();
        let pages = tracker.read(&mut seen);
        Said { seen, pages, elapsed: began.elapsed(), stopped_us: tracker.stopped_us() }
    })
}

fn may_stand(name: &str) -> HelperError {
    HelperError::new("tracker/no-answer", format!("{name} does not answer: processes that it stopped may still stand"))
        .suggest("end the helper, then `ferry recover`, which wakes them")
}

/// Does all of it; the first failure is what is told.
fn all(done: impl Iterator<Item = Result<()>>) -> Result<()> {
    done.fold(Ok(()), Result::and)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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

    fn free() -> Prepare {
        Arc::new(|_| Ok(()))
    }

    fn union(trackers: Vec<Fixed>) -> Union {
        let trackers = trackers.into_iter().map(|tracker| Box::new(tracker) as Box<dyn Tracker>).collect();
        let mut union =
            Union::new(PAGE, vec![Area { iova: 0, bytes: 200 * PAGE }], trackers, &free()).expect("threads");
        union.start(&mut || Ok(())).expect("start");
        union
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
            let read = union.read(&mut pending, &mut || Ok(())).expect("read");
            assert_eq!(counts(&read), [("a", 100, 90), ("b", 40, 30), ("c", 1, 0)]);
            assert_eq!((read.pages, pending.count()), (130, 131), "what was pending stays, and is no part of the read");
        }
    }

    #[test]
    fn a_single_tracker_reads_into_the_bitmap_itself() {
        let mut union = union(vec![Fixed("a", Some(3..5))]);
        assert!(union.parts.is_empty());
        let mut pending = union.bitmap();
        let read = union.read(&mut pending, &mut || Ok(())).expect("read");
        assert_eq!((counts(&read), read.pages, pending.count()), (vec![("a", 2, 2)], 2, 2));
    }

    #[test]
    fn a_failure_loses_nothing_that_others_saw() {
        let mut union = union(vec![Fixed("a", Some(0..3)), Fixed("b", None), Fixed("c", Some(7..9))]);
        let mut pending = union.bitmap();
        assert_eq!(union.read(&mut pending, &mut || Ok(())).expect_err("lost").code, "tracker/log-lost");
        assert_eq!(pending.count(), 5);
    }
}
