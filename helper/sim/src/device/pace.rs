//! Rates: how many units are due by now on an absolute schedule, so that sleeping too long (a slow or busy machine)
//! is made up for, up to a bound.

use std::time::{Duration, Instant};

/// Most that is made up for after a pause.
const BURST: Duration = Duration::from_millis(100);
/// Shortest sleep worth a wake-up.
const SHORTEST: Duration = Duration::from_micros(100);
const NANOS: u128 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct Pace {
    anchor: Instant,
    /// Units given out since `anchor`, skipped ones included.
    given: u64,
    bytes_per_second: u64,
    unit_bytes: u64,
}

impl Pace {
    pub(super) fn new(now: Instant, bytes_per_second: u64, unit_bytes: u64) -> Self {
        Self { anchor: now, given: 0, bytes_per_second, unit_bytes }
    }

    /// Units that may be used now. At least one after a long enough pause, whatever the rate (unless it is 0).
    pub(super) fn due(&mut self, now: Instant) -> u64 {
        let earned = self.earned(now.saturating_duration_since(self.anchor));
        let burst = self.earned(BURST).max(1);
        let due = earned.saturating_sub(self.given);
        if due > burst {
            self.given = earned - burst;
        }
        due.min(burst)
    }

    pub(super) fn issued(&mut self, units: u64) {
        self.given = self.given.saturating_add(units);
    }

    /// How long to sleep before the next unit is due.
    pub(super) fn until_next(&self, now: Instant) -> Duration {
        if self.bytes_per_second == 0 {
            return Duration::from_secs(1);
        }
        let at = (u128::from(self.given) + 1) * u128::from(self.unit_bytes) * NANOS / u128::from(self.bytes_per_second);
        let at = Duration::from_nanos(u64::try_from(at).unwrap_or(u64::MAX));
        at.saturating_sub(now.saturating_duration_since(self.anchor)).max(SHORTEST)
    }

    fn earned(&self, elapsed: Duration) -> u64 {
        let units = elapsed.as_nanos() * u128::from(self.bytes_per_second) / NANOS / u128::from(self.unit_bytes);
        u64::try_from(units).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_an_absolute_schedule_and_bounds_the_debt() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace::new(start, 4_096_000, 4096);
        assert_eq!(pace.due(start), 0);
        // Woken 7 ms late: all of it is due, and the schedule has not moved.
        assert_eq!(pace.due(after(17)), 17);
        pace.issued(10);
        assert_eq!(pace.due(after(20)), 10);
        // A second without a chance to run: a tenth of it is made up for, once.
        assert_eq!(pace.due(after(1020)), 100);
        pace.issued(100);
        assert_eq!(pace.due(after(1020)), 0);
        assert_eq!(pace.due(after(1021)), 1);
        assert!(pace.until_next(after(1020)) <= Duration::from_millis(1));
    }

    #[test]
    fn the_slowest_rate_still_moves_and_zero_never_does() {
        let start = Instant::now();
        let mut slow = Pace::new(start, 1, 4096);
        assert_eq!(slow.due(start + Duration::from_secs(4095)), 0);
        assert_eq!(slow.due(start + Duration::from_secs(4097)), 1);
        let mut never = Pace::new(start, 0, 4096);
        assert_eq!(never.due(start + Duration::from_secs(1 << 30)), 0);
        let mut fast = Pace::new(start, u64::MAX, 1);
        assert!(fast.due(start + Duration::from_secs(1)) > 0);
    }
}
