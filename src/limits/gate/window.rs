//! What may still pass in a length of time.
//!
//! Invariants: a [`Sliding`] window never lets more than its count pass in any stretch
//! of its length, wherever the provider begins to count; arithmetic only, time is a
//! parameter.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::unit::Rate;

/// A window is kept in so many parts, so that its size does not depend on the rate.
const PARTS: u32 = 256;

/// At most `count` in any stretch of `per`.
#[derive(Debug, Clone)]
pub(super) struct Sliding {
    pub(super) rate: Rate,
    used: VecDeque<Part>,
    sum: u64,
}

/// What passed at about the same time; counts until `last` is a whole window ago.
#[derive(Debug, Clone, Copy)]
struct Part {
    first: Instant,
    last: Instant,
    amount: u64,
}

impl Sliding {
    pub(super) fn new(rate: Rate) -> Sliding {
        Sliding { rate, used: VecDeque::new(), sum: 0 }
    }

    /// When `amount` may pass; `None` for now. What is more than the whole window takes a whole one.
    pub(super) fn free_at(&mut self, now: Instant, amount: u64) -> Option<Instant> {
        self.forget(now);
        let amount = amount.min(self.rate.count);
        let mut over = (self.sum + amount).saturating_sub(self.rate.count);
        for part in &self.used {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(part.amount);
            if over == 0 {
                return Some(part.last + self.rate.per);
            }
        }
        None
    }

    /// Counts what passes now.
    pub(super) fn take(&mut self, now: Instant, amount: u64) {
        self.forget(now);
        self.sum += amount;
        let part = self.rate.per / PARTS;
        match self.used.back_mut() {
            Some(last) if now.saturating_duration_since(last.first) < part => {
                last.last = now;
                last.amount += amount;
            }
            Some(_) | None => self.used.push_back(Part { first: now, last: now, amount }),
        }
    }

    /// Takes back part of what passed at `then`: it was not used after all.
    pub(super) fn give_back(&mut self, then: Instant, amount: u64) {
        let part = self.used.iter_mut().rev().find(|part| part.first <= then && then <= part.last);
        if let Some(part) = part {
            let amount = amount.min(part.amount);
            part.amount -= amount;
            self.sum -= amount;
        }
    }

    /// True when nothing more may pass now.
    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        self.free_at(now, 1).is_some()
    }

    fn forget(&mut self, now: Instant) {
        while let Some(part) = self.used.front().filter(|part| part.last + self.rate.per <= now) {
            self.sum -= part.amount;
            self.used.pop_front();
        }
    }
}

/// What a provider said is left, until it is whole again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    left: u64,
    said: Instant,
    until: Instant,
    /// The whole, where it refills by and by; `None` where nothing comes before the end.
    refills_to: Option<u64>,
}

impl Announced {
    pub(super) fn new(now: Instant, left: u64, reset: Duration, refills_to: Option<u64>) -> Announced {
        Announced { left, said: now, until: now + reset, refills_to }
    }

    /// When `amount` may pass; `None` for now.
    pub(super) fn free_at(&self, now: Instant, amount: u64) -> Option<Instant> {
        if now >= self.until || amount <= self.left {
            return None;
        }
        let at = match self.refills_to {
            Some(whole) if whole > self.left => {
                let lacks = amount.min(whole) - self.left.min(amount);
                let share = lacks as f64 / (whole - self.left) as f64;
                self.said + (self.until - self.said).mul_f64(share.min(1.0))
            }
            Some(_) | None => self.until,
        };
        (at > now).then_some(at)
    }

    pub(super) fn take(&mut self, amount: u64) {
        self.left = self.left.saturating_sub(amount);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn what_passed_a_whole_window_ago_counts_no_more() {
        let (start, rate) = (Instant::now(), Rate { count: 2, per: MINUTE });
        let mut window = Sliding::new(rate);
        let second = Duration::from_secs(1);
        window.take(start, 1);
        window.take(start + second, 1);
        assert_eq!(window.free_at(start + second, 1), Some(start + MINUTE));
        assert_eq!(window.free_at(start + second, 2), Some(start + MINUTE + second));
        window.give_back(start + second, 1);
        assert_eq!(window.free_at(start + second * 2, 1), None);
        assert_eq!(window.free_at(start + second * 2, 50), Some(start + MINUTE), "more than a whole window");
        assert_eq!(window.free_at(start + MINUTE, 50), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refilling_limit_is_waited_for_only_as_long_as_it_takes() {
        let now = Instant::now();
        let filling = Announced::new(now, 100, MINUTE, Some(700));
        assert_eq!(filling.free_at(now, 100), None);
        assert_eq!(filling.free_at(now, 400), Some(now + MINUTE / 2));
        let whole = Announced::new(now, 0, MINUTE, None);
        assert_eq!(whole.free_at(now, 1), Some(now + MINUTE));
        assert_eq!(whole.free_at(now + MINUTE, 1), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_stretch_of_the_window_holds_more_than_its_count(
            steps in proptest::collection::vec((0_u64..5_000, 1_u64..4), 1..200),
            count in 4_u64..20,
        ) {
            let start = Instant::now();
            let mut window = Sliding::new(Rate { count, per: MINUTE });
            let mut now = start;
            let mut passed: Vec<(Instant, u64)> = Vec::new();
            for (wait, amount) in steps {
                now += Duration::from_millis(wait);
                if let Some(later) = window.free_at(now, amount) {
                    prop_assert!(later > now);
                    now = later;
                }
                prop_assert_eq!(window.free_at(now, amount), None);
                window.take(now, amount);
                passed.push((now, amount));
            }
            for (from, _) in &passed {
                let within = passed.iter().filter(|(at, _)| at >= from && *at < *from + MINUTE);
                prop_assert!(within.map(|(_, amount)| amount).sum::<u64>() <= count);
            }
        }
    }
}
