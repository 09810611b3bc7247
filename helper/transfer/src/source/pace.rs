//! The bandwidth cap, and the clock of a round: how long it took without the waiting the cap asked for.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::source::steer::Steer;
use crate::streams::link::Patience;

/// Longest sleep between two looks at a cancel.
const NAP: Duration = Duration::from_millis(50);

pub struct Pace<'a> {
    steer: &'a Steer,
    /// Of the request: holds until something else is tuned.
    asked: Option<u64>,
    /// Bytes per second that hold now, since when, and the round's bytes until then; `None`: no cap.
    cap: Option<u64>,
    since: Instant,
    before: u64,
    began: Instant,
    slept: Duration,
}

impl<'a> Pace<'a> {
    /// A round begins under the cap that was asked for, in bytes per second, or whatever is tuned meanwhile.
    pub fn new(asked: Option<u64>, steer: &'a Steer) -> Self {
        let began = Instant::now();
        let mut pace = Self { steer, asked, cap: None, since: began, before: 0, began, slept: Duration::ZERO };
        pace.cap = pace.wanted();
        pace
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Time spent working: what the measured rate is taken from, because no cap holds in the blackout.
    pub fn busy(&self) -> Duration {
        self.elapsed().saturating_sub(self.slept)
    }

    /// Waits until `bytes` since the round began are due under the cap; notices a cancel, and another cap, meanwhile.
    pub fn hold(&mut self, bytes: u64, patience: &Patience) -> Result<()> {
        loop {
            let told = self.steer.told();
            let wanted = self.wanted();
            if wanted != self.cap {
                // What was sent until now was due under the old cap; debts and savings end with it.
                (self.cap, self.since, self.before) = (wanted, Instant::now(), bytes);
            }
            let Some(cap) = self.cap else { return Ok(()) };
            let due = time_for(bytes.saturating_sub(self.before), cap);
            let ahead = due.saturating_sub(self.since.elapsed());
            if ahead < Duration::from_millis(1) {
                return Ok(());
            }
            patience.check()?;
            let began = Instant::now();
            self.steer.nap(told, ahead.min(NAP));
            self.slept += began.elapsed();
        }
    }

    fn wanted(&self) -> Option<u64> {
        self.steer.bandwidth(self.asked).filter(|cap| *cap > 0)
    }
}

fn time_for(bytes: u64, per_second: u64) -> Duration {
    Duration::try_from_secs_f64(bytes as f64 / per_second as f64).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;
    use crate::message::TuneParams;
    use crate::message::num::Bytes;

    fn patience(cancel: &Arc<AtomicBool>) -> Patience {
        Patience { cancel: Some(Arc::clone(cancel)), deadline: None, silence: Duration::from_secs(1) }
    }

    fn tune(steer: &Steer, bandwidth: Option<u64>) {
        let bandwidth = Some(bandwidth.map(Bytes));
        steer.tune(TuneParams { bandwidth, ..TuneParams::default() }).expect("fits");
    }

    /// A wait of years ends when the cap is taken away, in the middle of it; a tuned cap is felt without another round.
    #[test]
    fn a_cap_changes_while_it_holds() {
        let (steer, cancel) = (Arc::new(Steer::default()), Arc::default());
        let mut pace = Pace::new(Some(1), &steer);
        let other = {
            let steer = Arc::clone(&steer);
            thread::spawn(move || tune(&steer, None))
        };
        pace.hold(1 << 30, &patience(&cancel)).expect("no cap any more");
        other.join().expect("no panic");
        tune(&steer, Some(1));
        pace.hold(1 << 31, &patience(&cancel)).expect("what was sent before the cap is not held against it");
        cancel.store(true, Ordering::SeqCst);
        let held = pace.hold((1 << 31) + 100, &patience(&cancel)).err().map(|error| error.code);
        assert_eq!(held, Some("run/cancelled"));
        assert!(pace.busy() <= pace.elapsed());
    }
}
