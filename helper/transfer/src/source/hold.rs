//! Pre-copy that is held before the cutover: rounds go on until the owner lets the run go, so that little is left
//! whenever that comes.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::message::Hold;
use crate::source::Source;

/// However short an interval was asked for, there is one: rounds without pages would fill the link.
const LEAST: Duration = Duration::from_millis(10);
/// Between two looks at the link and at a cancel.
const TICK: Duration = Duration::from_millis(50);
/// What takes longer than this part of the interval to send is sent at once.
const LITTLE: u32 = 4;

/// What a round left behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct After {
    /// The owner has let the run go.
    pub(crate) released: bool,
    /// What is left fits the blackout.
    pub(crate) converged: bool,
    /// A bound of pre-copy is met. It does not end a hold.
    pub(crate) bounded: bool,
    /// From the round's beginning until now.
    pub(crate) took: Duration,
    /// Time to send what is dirty now.
    pub(crate) left: Duration,
    /// As much is dirty as before the round: sending it again would change nothing.
    pub(crate) futile: bool,
}

/// What follows a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Round,
    /// A round after so long, or as soon as something is told.
    Rest(Duration),
    Released,
}

/// One hold.
pub(crate) struct Holding {
    interval: Duration,
    /// The round under way is the last.
    closing: bool,
}

impl Holding {
    pub(crate) fn new(hold: Hold) -> Self {
        Self { interval: Duration::from_millis(hold.interval_ms).max(LEAST), closing: false }
    }

    /// A round begins at least this often.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// A run that is continued before it converged goes on as one that was never held; then it ends with a round not older
    /// than the interval.
    pub(crate) fn next(&mut self, after: After) -> Next {
        if after.released {
            if !after.converged && !after.bounded {
                return Next::Round;
            }
            if self.closing || after.took < self.interval {
                return Next::Released;
            }
            self.closing = true;
            return Next::Round;
        }
        let rest = self.interval.saturating_sub(after.took);
        let worth = !after.converged && !after.futile && after.left >= self.interval / LITTLE;
        if worth || rest.is_zero() { Next::Round } else { Next::Rest(rest) }
    }
}

impl Source {
    /// Rests between two rounds of a hold, at most `at_most`, less when the owner tells something that `told` did not
    /// count in.
    ///
    /// # Errors
    /// A cancel, the destination's ABORT, or the link's end.
    pub(crate) fn rest(&mut self, told: u64, at_most: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            self.link.patience().check()?;
            self.link.check_alive()?;
            let left = at_most.saturating_sub(began.elapsed());
            if left.is_zero() || self.steer.nap(told, left.min(TICK)) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn holding() -> Holding {
        Holding::new(Hold { interval_ms: 1000 })
    }

    fn calm() -> After {
        After {
            released: false,
            converged: true,
            bounded: false,
            took: SECOND / 10,
            left: Duration::ZERO,
            futile: false,
        }
    }

    #[test]
    fn rests_when_little_is_left_and_goes_on_when_much_is() {
        let rest = Next::Rest(SECOND * 9 / 10);
        assert_eq!(holding().next(calm()), rest);
        let much = After { converged: false, left: SECOND, ..calm() };
        assert_eq!(holding().next(much), Next::Round);
        assert_eq!(holding().next(After { futile: true, ..much }), rest, "it would be dirty again");
        assert_eq!(holding().next(After { left: SECOND / 10, ..much }), rest);
        assert_eq!(holding().next(After { took: SECOND, ..calm() }), Next::Round, "one at least every interval");
    }

    #[test]
    fn let_go_it_ends_with_a_round_that_is_not_old() {
        let go = After { released: true, ..calm() };
        assert_eq!(holding().next(go), Next::Released);
        let mut long = holding();
        assert_eq!(long.next(After { took: SECOND * 60, ..go }), Next::Round);
        assert_eq!(long.next(After { took: SECOND * 60, ..go }), Next::Released, "one is enough");
        let mut early = holding();
        let open = After { converged: false, left: SECOND, ..go };
        assert_eq!(early.next(open), Next::Round, "as if it were not held");
        assert_eq!(early.next(After { bounded: true, ..open }), Next::Released);
    }

    proptest! {
        /// Bounds end no hold, rests are never longer than the interval, and what is continued ends soon after a bound.
        #[test]
        fn only_the_owner_ends_it(
            rounds in prop::collection::vec((any::<bool>(), any::<bool>(), 0u64..3000, 0u64..3000, any::<bool>()), 1..40),
            interval_ms in 0u64..2000,
        ) {
            let mut holding = Holding::new(Hold { interval_ms });
            for (converged, bounded, took, left, futile) in rounds {
                let took = Duration::from_millis(took);
                let after = After { released: false, converged, bounded, took, left: Duration::from_millis(left), futile };
                match holding.next(after) {
                    Next::Released => prop_assert!(false, "no one continued it"),
                    Next::Rest(rest) => prop_assert!(rest + took <= holding.interval() && !rest.is_zero()),
                    Next::Round => prop_assert!(took >= holding.interval() || !converged),
                }
            }
            let settled = After { released: true, bounded: true, took: SECOND * 10, ..calm() };
            let ends = [holding.next(settled), holding.next(settled)];
            prop_assert_eq!(ends[1], Next::Released);
        }
    }
}
