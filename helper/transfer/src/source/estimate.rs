//! What was measured on the way, and what a cutover would cost by it. All of it is kept for the last rounds only: links
//! and workloads change in a run that is held for hours.

use std::collections::VecDeque;
use std::time::Duration;

/// Rounds that are remembered.
const KEPT: usize = 8;
/// A round smaller than this says more about latency and buffers than about the link's rate, in bytes.
const TELLING: u64 = 4 * 1024 * 1024;
/// A round of at least this many bytes that took at least this long was slow, however small: it went through no buffer.
const SMALL: u64 = 256 * 1024;
const SLOW: Duration = Duration::from_millis(100);
/// Taken until something was measured: one gigabit. A guess that is too low refuses a cutover; one too high starts a
/// cutover that must be undone.
const UNMEASURED: u64 = 125_000_000;
/// Less state than this says nothing about how fast the destination takes it, in bytes.
const TELLING_STATE: u64 = 64 * 1024;

/// The last values of a figure.
#[derive(Debug, Clone, Default)]
pub struct Recent(VecDeque<u64>);

impl Recent {
    pub fn push(&mut self, value: u64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    pub fn last(&self) -> Option<u64> {
        self.0.back().copied()
    }

    /// Smallest and largest of them and `now`.
    pub fn span(&self, now: u64) -> (u64, u64) {
        self.0.iter().fold((now, now), |(least, most), value| (least.min(*value), most.max(*value)))
    }
}

/// A rate in bytes per second as it was last, at best and at worst: `worst <= latest <= best`, none of them 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    pub best: u64,
    pub latest: u64,
    pub worst: u64,
}

/// The link's rate.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    telling: Recent,
    /// Of a small round that took long: the link is slower than it was. Gone with the next that is quick.
    slow: Option<u64>,
}

impl Rate {
    /// Takes a round's bytes on the wire, the time it was busy, and the link's round trip.
    pub fn measure(&mut self, bytes: u64, busy: Duration, round_trip: Duration) {
        let seconds = busy.as_secs_f64();
        if seconds <= 0.0 || bytes < SMALL {
            return;
        }
        let rate = ((bytes as f64 / seconds) as u64).max(1);
        if bytes >= TELLING {
            self.telling.push(rate);
            self.slow = None;
        } else {
            self.slow = (busy >= SLOW + round_trip * 4).then_some(rate);
        }
    }

    pub fn speed(&self) -> Speed {
        let known = self.telling.last();
        let latest = match (known, self.slow) {
            (Some(known), Some(slow)) => known.min(slow),
            (known, slow) => known.or(slow).unwrap_or(UNMEASURED),
        };
        let (worst, best) = self.telling.span(latest);
        Speed { best, latest, worst }
    }

    pub fn bytes_per_second(&self) -> u64 {
        self.speed().latest
    }
}

/// How fast the destination's devices take state in, as it reported for the state of pre-copy.
#[derive(Debug, Clone, Default)]
pub struct Intake(Recent);

impl Intake {
    pub fn measure(&mut self, bytes: u64, took: Duration) {
        let seconds = took.as_secs_f64();
        if bytes >= TELLING_STATE && seconds > 0.0 {
            self.0.push(((bytes as f64 / seconds) as u64).max(1));
        }
    }

    /// `None` until it was measured.
    pub fn speed(&self) -> Option<Speed> {
        let latest = self.0.last()?;
        let (worst, best) = self.0.span(latest);
        Some(Speed { best, latest, worst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn small_rounds_do_not_spoil_the_rate() {
        let mut rate = Rate::default();
        assert_eq!(rate.bytes_per_second(), UNMEASURED);
        rate.measure(1 << 30, SECOND, RTT);
        rate.measure(4096, SECOND, RTT);
        rate.measure(SMALL, Duration::from_micros(1), RTT);
        assert_eq!(rate.bytes_per_second(), 1 << 30);
    }

    #[test]
    fn a_link_that_became_slow_shows_in_small_rounds_until_it_is_quick_again() {
        let mut rate = Rate::default();
        rate.measure(1 << 30, SECOND, RTT);
        rate.measure(1 << 20, SECOND, RTT);
        assert_eq!(rate.speed(), Speed { best: 1 << 30, latest: 1 << 20, worst: 1 << 20 });
        rate.measure(1 << 20, SECOND, SECOND);
        assert_eq!(rate.bytes_per_second(), 1 << 30, "a long way is no slow link");
        rate.measure(1 << 20, SECOND, RTT);
        rate.measure(1 << 20, Duration::from_millis(1), RTT);
        assert_eq!(rate.bytes_per_second(), 1 << 30);
    }

    #[test]
    fn best_and_worst_are_those_of_the_last_rounds() {
        let mut rate = Rate::default();
        for round in 1..=20 {
            rate.measure(round * TELLING, SECOND, RTT);
        }
        assert_eq!(rate.speed(), Speed { best: 20 * TELLING, latest: 20 * TELLING, worst: 13 * TELLING });
    }

    #[test]
    fn the_intake_is_not_guessed() {
        let mut intake = Intake::default();
        intake.measure(100, SECOND);
        assert_eq!(intake.speed(), None);
        intake.measure(TELLING_STATE, SECOND);
        intake.measure(2 * TELLING_STATE, SECOND);
        let latest = 2 * TELLING_STATE;
        assert_eq!(intake.speed(), Some(Speed { best: latest, latest, worst: TELLING_STATE }));
    }
}
