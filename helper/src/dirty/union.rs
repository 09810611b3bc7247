//! The union: what is dirty is what any tracker says is dirty, in one bitmap per workload.

use std::time::Instant;

use super::{Area, DirtyBitmap, Tracker};
use crate::control::message::TrackerRound;
use crate::error::Result;

/// All trackers of a workload. Each read ORs every tracker into one bitmap; trackers are never averaged, and a
/// tracker that fails fails the read, because nobody else knows what it would have said.
pub struct Union {
    trackers: Vec<Box<dyn Tracker>>,
    started: usize,
    page_size: u64,
    areas: Vec<Area>,
}

impl Union {
    pub fn new(page_size: u64, areas: Vec<Area>, trackers: Vec<Box<dyn Tracker>>) -> Self {
        Self { trackers, started: 0, page_size, areas }
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
    pub fn read(&mut self, into: &mut DirtyBitmap) -> Result<Vec<TrackerRound>> {
        let mut rounds = Vec::with_capacity(self.trackers.len());
        let mut failed = None;
        for tracker in &mut self.trackers {
            let began = Instant::now();
            match tracker.read(into) {
                Ok(pages) => rounds.push(TrackerRound {
                    tracker: tracker.name().to_owned(),
                    pages,
                    elapsed_us: began.elapsed().as_micros() as u64,
                }),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(rounds), Err)
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
