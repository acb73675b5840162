//! How long to wait before trying again.
//!
//! Invariants: arithmetic only: it never sleeps and keeps nothing. No input makes
//! it panic or overflow; a wait is never shorter than the provider asked for and
//! always ends before the time is up.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::unit::human_duration;

/// The most that the first wait can be.
pub const FIRST: Duration = Duration::from_millis(500);

/// The most that any wait can be, unless the provider asks for more.
pub const MOST: Duration = Duration::from_secs(60);

/// Why there will be no other try: the time would be up before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    /// The provider asks for a longer wait than there is time.
    #[error("the provider asks to wait {}, longer than the {} that the call has left", human_duration(*.asked), human_duration(*.left))]
    Asked {
        /// What it asks for.
        asked: Duration,
        /// The time left.
        left: Duration,
    },
    /// The next wait is longer than there is time.
    #[error("the next try would be in {}, and the call has {} left", human_duration(*.wait), human_duration(*.left))]
    NoTime {
        /// The wait.
        wait: Duration,
        /// The time left.
        left: Duration,
    },
}

/// The wait after the `failed`th failed try (from 1).
///
/// Full jitter: anything up to 0.5 s, 1 s, 2 s, … 60 s, so that calls that failed
/// together do not come back together. What the provider asked for (`at_least`) is
/// waited in full, with the jitter on top. `random` gives numbers from 0 to 1.
///
/// # Errors
/// [`TooLong`] when the wait would not end within `left`: then waiting is useless.
pub fn delay(
    failed: u32,
    at_least: Option<Duration>,
    left: Duration,
    random: &mut dyn FnMut() -> f64,
) -> Result<Duration, TooLong> {
    if let Some(asked) = at_least.filter(|asked| *asked >= left) {
        return Err(TooLong::Asked { asked, left });
    }
    let doubled = 2_u32.checked_pow(failed.saturating_sub(1)).unwrap_or(u32::MAX);
    let window = FIRST.saturating_mul(doubled).min(MOST);
    let share = random();
    // `clamp` lets NaN pass.
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 1.0 };
    let wait = at_least.unwrap_or_default().saturating_add(window.mul_f64(share));
    if wait >= left { Err(TooLong::NoTime { wait, left }) } else { Ok(wait) }
}

/// A number from 0 up to 1, from the system's randomness.
pub fn random() -> f64 {
    // Every state has keys of its own; 53 bits are what a float between 0 and 1 holds.
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn millis(failed: u32, at_least: Option<Duration>, share: f64) -> u128 {
        delay(failed, at_least, HOUR, &mut || share).unwrap().as_millis()
    }

    #[test]
    fn the_window_doubles_from_half_a_second_to_a_minute() {
        let most: Vec<_> = (0..=10).map(|failed| millis(failed, None, 1.0)).collect();
        assert_eq!(most, [500, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
        assert_eq!(millis(u32::MAX, None, 1.0), 60_000);
        assert_eq!(millis(3, None, 0.25), 500);
        assert_eq!(millis(3, None, 0.0), 0);
    }

    #[test]
    fn what_the_provider_asks_for_is_waited_in_full() {
        let asked = Some(Duration::from_secs(7));
        assert_eq!(millis(1, asked, 0.0), 7000);
        assert_eq!(millis(1, asked, 1.0), 7500);
    }

    #[test]
    fn a_wait_that_outlasts_the_call_is_refused_at_once() {
        let (asked, left) = (Duration::from_secs(90), Duration::from_secs(60));
        let refused = delay(1, Some(asked), left, &mut || 0.0).unwrap_err();
        assert_eq!(refused, TooLong::Asked { asked, left });
        assert_eq!(
            refused.to_string(),
            "the provider asks to wait 1m30s, longer than the 1m00s that the call has left"
        );
        let left = Duration::from_millis(400);
        let wait = Duration::from_millis(500);
        assert_eq!(delay(1, None, left, &mut || 1.0), Err(TooLong::NoTime { wait, left }));
        assert!(delay(1, None, Duration::ZERO, &mut || 0.0).is_err());
    }

    #[test]
    fn randomness_is_between_nothing_and_one_and_differs() {
        let some: Vec<f64> = (0..64).map(|_| random()).collect();
        assert!(some.iter().all(|share| (0.0..1.0).contains(share)), "{some:?}");
        assert!(some.iter().any(|share| *share != some[0]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_input_panics_and_every_wait_fits(
            failed: u32,
            at_least in proptest::option::of(any::<Duration>()),
            left: Duration,
            share: f64,
        ) {
            if let Ok(wait) = delay(failed, at_least, left, &mut || share) {
                prop_assert!(wait < left && at_least.is_none_or(|asked| wait >= asked));
            }
        }
    }
}
