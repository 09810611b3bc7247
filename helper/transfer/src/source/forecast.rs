//! The blackout as expected from what was measured: a sum of parts, and how far it may be off either way.

use crate::message::{BlackoutForecast, ForecastParts};
use crate::source::estimate::Speed;

/// Messages that wait for each other in a cutover: manifest and PREPARED, hashes, COMMIT and RUNNING.
const ROUND_TRIPS: u64 = 3;

/// What a forecast rests on. Times in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Basis {
    /// Dirty now, in bytes.
    pub dirty_bytes: u64,
    /// The fewest and the most that were dirty after one of the last rounds, in bytes.
    pub dirty_span: (u64, u64),
    /// Device state still to be sent, in bytes: by what the devices say less what pre-copy took, and all they say where
    /// that cannot be told apart.
    pub state_bytes: u64,
    pub state_most: u64,
    pub link: Speed,
    /// How fast the destination takes state; `None`: not known.
    pub intake: Option<Speed>,
    /// Transitions and whatever else the plan expects, whatever the bytes.
    pub fixed_us: u64,
    /// Hashing all memory; zero without verification.
    pub verify_us: u64,
    pub round_trip_us: u64,
    /// The longest that hooks inside the blackout may take.
    pub hooks_us: u64,
}

impl Basis {
    pub fn forecast(&self) -> BlackoutForecast {
        let Self { link, .. } = *self;
        let intake = self.intake.unwrap_or(link);
        let (least, most) = self.dirty_span;
        // While the destination's devices load what arrives the link carries on, and if no one knows better that costs
        // nothing at best.
        let load_least = self.intake.map_or(0, |intake| time(self.state_bytes, intake.best));
        let parts = ForecastParts {
            fixed_us: self.fixed_us,
            pages_us: time(self.dirty_bytes, link.latest),
            state_us: time(self.state_bytes, link.latest),
            load_us: time(self.state_bytes, intake.latest),
            verify_us: self.verify_us,
            round_trip_us: self.round_trip_us.saturating_mul(ROUND_TRIPS),
            hooks_us: self.hooks_us,
        };
        let at_best = ForecastParts {
            pages_us: time(least.min(self.dirty_bytes), link.best),
            state_us: time(self.state_bytes, link.best),
            load_us: load_least,
            // Both sides hash at once, which costs twice the time only where they share a machine's cores.
            verify_us: self.verify_us / 2,
            hooks_us: 0,
            ..parts
        };
        let state_most = self.state_most.max(self.state_bytes);
        let at_worst = ForecastParts {
            pages_us: time(most.max(self.dirty_bytes), link.worst),
            state_us: time(state_most, link.worst),
            load_us: time(state_most, intake.worst),
            ..parts
        };
        BlackoutForecast { low_us: sum(at_best), expected_us: sum(parts), high_us: sum(at_worst), parts }
    }
}

/// Microseconds for `bytes`, rounded up.
fn time(bytes: u64, per_second: u64) -> u64 {
    let us = (u128::from(bytes) * 1_000_000).div_ceil(u128::from(per_second.max(1)));
    u64::try_from(us).unwrap_or(u64::MAX)
}

fn sum(parts: ForecastParts) -> u64 {
    let ForecastParts { fixed_us, pages_us, state_us, load_us, verify_us, round_trip_us, hooks_us } = parts;
    [fixed_us, pages_us, state_us, load_us, verify_us, round_trip_us, hooks_us].into_iter().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn speed() -> impl Strategy<Value = Speed> {
        prop::collection::vec(1u64..1 << 40, 3).prop_map(|mut rates| {
            rates.sort_unstable();
            Speed { worst: rates[0], latest: rates[1], best: rates[2] }
        })
    }

    prop_compose! {
        fn basis()(
            bytes in prop::collection::vec(0u64..1 << 46, 3),
            dirty_span in (0u64..1 << 46, 0u64..1 << 46),
            link in speed(),
            intake in prop::option::of(speed()),
            times in prop::collection::vec(prop_oneof![0u64..10_000_000, Just(u64::MAX)], 4),
        ) -> Basis {
            Basis {
                dirty_bytes: bytes[0],
                dirty_span: (dirty_span.0.min(dirty_span.1), dirty_span.0.max(dirty_span.1)),
                state_bytes: bytes[1],
                state_most: bytes[2],
                link,
                intake,
                fixed_us: times[0],
                verify_us: times[1],
                round_trip_us: times[2],
                hooks_us: times[3],
            }
        }
    }

    proptest! {
        #[test]
        fn expected_lies_between_low_and_high_and_is_the_sum_of_its_parts(basis in basis()) {
            let forecast = basis.forecast();
            prop_assert!(forecast.low_us <= forecast.expected_us && forecast.expected_us <= forecast.high_us);
            prop_assert_eq!(forecast.expected_us, sum(forecast.parts));
        }

        #[test]
        fn more_dirty_pages_more_state_and_a_slower_link_never_lower_it(
            basis in basis(), more in 0u64..1 << 46, slower in 1u64..1000,
        ) {
            let before = basis.forecast();
            let slow = |speed: Speed| Speed {
                best: (speed.best / slower).max(1),
                latest: (speed.latest / slower).max(1),
                worst: (speed.worst / slower).max(1),
            };
            for worse in [
                Basis { dirty_bytes: basis.dirty_bytes + more, ..basis },
                Basis { state_bytes: basis.state_bytes + more, ..basis },
                Basis { link: slow(basis.link), ..basis },
                Basis { hooks_us: basis.hooks_us.saturating_add(more), ..basis },
            ] {
                let after = worse.forecast();
                prop_assert!(after.low_us >= before.low_us && after.expected_us >= before.expected_us);
                prop_assert!(after.high_us >= before.high_us);
            }
        }
    }

    #[test]
    fn every_part_counts() {
        let basis = Basis {
            dirty_bytes: 10_000_000,
            dirty_span: (5_000_000, 40_000_000),
            state_bytes: 5_000_000,
            state_most: 6_000_000,
            link: Speed { best: 2_000_000_000, latest: 1_000_000_000, worst: 500_000_000 },
            intake: Some(Speed { best: 500_000_000, latest: 500_000_000, worst: 100_000_000 }),
            fixed_us: 7_000,
            verify_us: 11_000,
            round_trip_us: 1_000,
            hooks_us: 100_000,
        };
        let forecast = basis.forecast();
        let parts = ForecastParts {
            fixed_us: 7_000,
            pages_us: 10_000,
            state_us: 5_000,
            load_us: 10_000,
            verify_us: 11_000,
            round_trip_us: 3_000,
            hooks_us: 100_000,
        };
        assert_eq!(forecast.parts, parts);
        assert_eq!(forecast.low_us, 7_000 + 2_500 + 2_500 + 10_000 + 5_500 + 3_000);
        assert_eq!(forecast.high_us, 7_000 + 80_000 + 12_000 + 60_000 + 11_000 + 3_000 + 100_000);
        let unknown = Basis { intake: None, ..basis }.forecast();
        assert_eq!((unknown.parts.load_us, unknown.low_us), (5_000, 7_000 + 2_500 + 2_500 + 5_500 + 3_000));
    }
}
