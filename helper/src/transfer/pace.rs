//! The bandwidth cap, and the clock of a round: how long it took without the waiting the cap asked for.

use std::time::{Duration, Instant};

use super::link::Patience;
use crate::error::Result;

pub struct Pace {
    /// Bytes per second; `None`: no cap.
    cap: Option<u64>,
    began: Instant,
    slept: Duration,
}

impl Pace {
    pub fn new(cap: Option<u64>) -> Self {
        Self { cap: cap.filter(|cap| *cap > 0), began: Instant::now(), slept: Duration::ZERO }
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Time spent working: what the measured rate is taken from, because no cap holds in the blackout.
    pub fn busy(&self) -> Duration {
        self.elapsed().saturating_sub(self.slept)
    }

    /// Waits until `bytes` since the round began are due under the cap; notices a cancel meanwhile.
    pub fn hold(&mut self, bytes: u64, patience: &Patience) -> Result<()> {
        let Some(cap) = self.cap else { return Ok(()) };
        let due = Duration::from_secs_f64(bytes as f64 / cap as f64);
        loop {
            let ahead = due.saturating_sub(self.began.elapsed());
            if ahead < Duration::from_millis(1) {
                return Ok(());
            }
            patience.check()?;
            let nap = ahead.min(Duration::from_millis(50));
            std::thread::sleep(nap);
            self.slept += nap;
        }
    }
}
