//! What a cutover would cost now, from what was measured on the way.

use std::time::Duration;

/// A round smaller than this says more about latency than about the link's rate, in bytes.
const TELLING: u64 = 4 * 1024 * 1024;
/// Taken until something was measured: one gigabit. A guess that is too low refuses a cutover; one too high starts a
/// cutover that must be undone.
const UNMEASURED: u64 = 125_000_000;
/// Messages that wait for each other in a cutover: manifest and PREPARED, hashes, COMMIT and RUNNING.
const ROUND_TRIPS: u32 = 3;

#[derive(Debug, Clone, Copy, Default)]
pub struct Rate {
    bytes_per_second: Option<u64>,
}

impl Rate {
    /// Takes a round's bytes on the wire and the time it was busy. Small rounds count only while nothing better is
    /// known.
    pub fn measure(&mut self, bytes: u64, busy: Duration) {
        let seconds = busy.as_secs_f64();
        if seconds > 0.0 && bytes >= TELLING {
            self.bytes_per_second = Some(((bytes as f64 / seconds) as u64).max(1));
        }
    }

    pub fn bytes_per_second(self) -> u64 {
        self.bytes_per_second.unwrap_or(UNMEASURED)
    }

    fn time(self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.bytes_per_second() as f64)
    }
}

/// The parts of an estimate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    pub dirty_bytes: u64,
    pub state_bytes: u64,
    /// Transitions and whatever else the plan expects, whatever the bytes.
    pub fixed: Duration,
    /// Hashing all memory; zero without verification.
    pub verify: Duration,
}

impl Cost {
    pub fn total(self, rate: Rate, round_trip: Duration) -> Duration {
        rate.time(self.dirty_bytes.saturating_add(self.state_bytes))
            + self.fixed
            + self.verify
            + round_trip * ROUND_TRIPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_rounds_do_not_spoil_the_rate() {
        let mut rate = Rate::default();
        assert_eq!(rate.bytes_per_second(), UNMEASURED);
        rate.measure(1 << 30, Duration::from_secs(1));
        rate.measure(4096, Duration::from_secs(1));
        assert_eq!(rate.bytes_per_second(), 1 << 30);
    }

    #[test]
    fn every_part_counts() {
        let mut rate = Rate::default();
        rate.measure(1_000_000_000, Duration::from_secs(1));
        let cost = Cost {
            dirty_bytes: 10_000_000,
            state_bytes: 5_000_000,
            fixed: Duration::from_millis(7),
            verify: Duration::from_millis(11),
        };
        assert_eq!(cost.total(rate, Duration::from_millis(1)), Duration::from_millis(10 + 5 + 7 + 11 + 3));
    }
}
