//! How many requests to one model may be under way, and from when on: what its provider's
//! answers have taught so far.
//!
//! Invariants: pure: time and chance are parameters. After a rate limit one request
//! goes first and the others follow as answers come; however many requests of one
//! burst are limited, the burst counts once; no announced instant is anticipated.

use std::time::Duration;

use tokio::time::Instant;

use super::window::{Announced, Sliding};
use crate::unit::Rate;

/// How many requests may be under way before anything is known, where the plan does not say.
const AT_FIRST: f64 = 8.0;
/// The first pause after a limit without an announced instant; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A limit that ends later than this says nothing about a rate.
const LONGEST_WINDOW: Duration = Duration::from_secs(300);

/// What a provider said about one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// The whole.
    pub limit: Option<u64>,
    /// What is left of it.
    pub remaining: Option<u64>,
    /// How long until it is whole again.
    pub reset: Option<Duration>,
}

/// Why a request cannot go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The provider said when to come back.
    Announced,
    /// A limit without an announced end.
    Paused,
    /// The rate that the plan declares, or that the provider has shown to allow.
    Rate,
}

/// Whether a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Free {
    Now,
    /// Not before this instant.
    At(Instant, Why),
    /// When another one ends.
    Full,
}

/// One model's part of a gate.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    /// Requests under way, and the tokens that they may use.
    pub(super) in_flight: u32,
    tokens_in_flight: u64,
    limit: f64,
    /// From here on the limit grows slowly.
    threshold: f64,
    closed: Option<(Instant, Why)>,
    /// Counts the bursts that were limited; a request belongs to the one that it began in.
    pub(super) epoch: u64,
    /// Limited bursts in a row.
    row: u32,
    /// Since when requests go, and how many were accepted since.
    opened: Option<Instant>,
    accepted: u64,
    learned: Option<Learned>,
    /// How many of the burst before this one were accepted, where that is what was learned from.
    taught: Option<u64>,
    requests: Option<Announced>,
    tokens: Option<Announced>,
}

/// A rate that the provider has shown to allow.
#[derive(Debug, Clone)]
struct Learned {
    window: Sliding,
    judged: Instant,
    was_full: bool,
    idle: u32,
}

impl Lane {
    /// A lane of a gate that lets `declared` requests go at once, if the plan says how many.
    pub(super) fn new(declared: Option<u32>) -> Lane {
        Lane {
            in_flight: 0,
            tokens_in_flight: 0,
            limit: declared.map_or(AT_FIRST, f64::from),
            threshold: f64::INFINITY,
            closed: None,
            epoch: 0,
            row: 0,
            opened: None,
            accepted: 0,
            learned: None,
            taught: None,
            requests: None,
            tokens: None,
        }
    }

    /// One that lets everything pass until it hears of a limit.
    pub(super) fn unbounded() -> Lane {
        Lane { limit: f64::INFINITY, ..Lane::new(None) }
    }

    /// Whether a request of so many tokens may go now.
    pub(super) fn free(&mut self, now: Instant, tokens: u64) -> Free {
        if let Some((until, why)) = self.closed()
            && until > now
        {
            return Free::At(until, why);
        }
        let announced = [(&self.requests, 1), (&self.tokens, tokens)];
        let announced =
            announced.into_iter().filter_map(|(left, amount)| left.as_ref()?.free_at(now, amount));
        if let Some(at) = announced.max() {
            return Free::At(at, Why::Announced);
        }
        if let Some(at) = self.learned.as_mut().and_then(|learned| learned.free_at(now)) {
            return Free::At(at, Why::Rate);
        }
        if f64::from(self.in_flight) + 1.0 > self.limit.max(1.0) { Free::Full } else { Free::Now }
    }

    /// Until when it is closed.
    pub(super) fn closed(&self) -> Option<(Instant, Why)> {
        self.closed
    }

    /// A request goes.
    pub(super) fn take(&mut self, now: Instant, tokens: u64) {
        self.in_flight += 1;
        self.tokens_in_flight += tokens;
        self.opened.get_or_insert(now);
        if let Some(left) = &mut self.requests {
            left.take(1);
        }
        if let Some(left) = &mut self.tokens {
            left.take(tokens);
        }
        if let Some(learned) = &mut self.learned {
            learned.window.take(now, 1);
        }
    }

    /// A request is no longer under way; `unsent` if it never went.
    pub(super) fn end(&mut self, tokens: u64, unsent: Option<Instant>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.tokens_in_flight = self.tokens_in_flight.saturating_sub(tokens);
        if let (Some(then), Some(learned)) = (unsent, &mut self.learned) {
            learned.window.give_back(then, 1);
        }
    }

    /// The provider has begun to answer a request of burst `epoch`.
    pub(super) fn accepted(&mut self, now: Instant, epoch: u64) {
        if epoch != self.epoch {
            if epoch + 1 == self.epoch
                && let (Some(accepted), Some(learned)) = (&mut self.taught, &mut self.learned)
            {
                // Under way when another one of its burst was turned away: it was allowed, too.
                *accepted += 1;
                let rate = &mut learned.window.rate;
                rate.count = rate.count.max(share(*accepted));
            }
            return;
        }
        self.accepted += 1;
        self.row = 0;
        if f64::from(self.in_flight) * 2.0 >= self.limit {
            self.limit += if self.limit < self.threshold { 1.0 } else { 1.0 / self.limit };
        }
        let over = self.learned.as_mut().is_some_and(|learned| learned.judge(now));
        if over {
            self.learned = None;
        }
    }

    /// What the head of a response says is left; it comes from a request still counted as under way.
    pub(super) fn announced(&mut self, now: Instant, requests: Left, tokens: Left, own: u64) {
        let others = u64::from(self.in_flight.saturating_sub(1));
        if let (Some(remaining), Some(reset)) = (requests.remaining, requests.reset) {
            self.requests = Some(Announced::new(now, remaining.saturating_sub(others), reset, None));
        }
        if let (Some(remaining), Some(reset)) = (tokens.remaining, tokens.reset) {
            let others = self.tokens_in_flight.saturating_sub(own);
            let left = remaining.saturating_sub(others);
            self.tokens = Some(Announced::new(now, left, reset, tokens.limit));
        }
    }

    /// A request of burst `epoch` was turned away: `rate` for a rate limit, else for want of
    /// capacity. `chance` is from 0 to 1.
    pub(super) fn limited(
        &mut self,
        now: Instant,
        epoch: u64,
        wait: Option<Duration>,
        rate: bool,
        chance: f64,
    ) {
        let first = epoch == self.epoch;
        if first {
            self.epoch += 1;
            self.row = self.row.saturating_add(1);
            self.threshold = (f64::from(self.in_flight) / 2.0).max(1.0);
            self.limit = 1.0;
        }
        let doubled = 2_u32.checked_pow(self.row.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = wait.unwrap_or_else(|| {
            let most = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
            most / 2 + (most / 2).mul_f64(chance)
        });
        if wait.is_none() && !first {
            return;
        }
        // Other processes with the same key are told the same instant: not all at once.
        let spread = (pause / 20).min(Duration::from_secs(2)).mul_f64(chance);
        let until = now + pause + if wait.is_some() { spread } else { Duration::ZERO };
        let why = if wait.is_some() { Why::Announced } else { Why::Paused };
        if self.closed.is_none_or(|(before, _)| before < until) {
            self.closed = Some((until, why));
        }
        if first {
            if rate {
                self.learn(now, pause);
            }
            (self.opened, self.accepted) = (None, 0);
        }
    }

    /// What was accepted since it opened is what the provider allows in the time until it opens again.
    fn learn(&mut self, now: Instant, pause: Duration) {
        self.taught = None;
        let since = self.opened.map_or(Duration::ZERO, |opened| now.saturating_duration_since(opened));
        let per = (since + pause).max(Duration::from_secs(1));
        if per > LONGEST_WINDOW {
            return;
        }
        let count = match (self.accepted, &self.learned) {
            (0, None) => return,
            (0, Some(learned)) => learned.window.rate.count / 2,
            (accepted, _) => {
                self.taught = Some(accepted);
                share(accepted)
            }
        };
        let rate = Rate { count: count.max(1), per };
        let window = Sliding::new(rate);
        self.learned = Some(Learned { window, judged: now + pause, was_full: false, idle: 0 });
    }
}

/// What is asked for of what was accepted: a little less, for whoever else has the key.
fn share(accepted: u64) -> u64 {
    accepted * 9 / 10
}

impl Learned {
    fn free_at(&mut self, now: Instant) -> Option<Instant> {
        let at = self.window.free_at(now, 1);
        self.was_full |= at.is_some();
        at
    }

    /// After each window without a limit it allows more; true once it bounds nothing any more.
    fn judge(&mut self, now: Instant) -> bool {
        self.was_full |= self.window.is_full(now);
        if now.saturating_duration_since(self.judged) < self.window.rate.per {
            return false;
        }
        self.judged = now;
        if std::mem::take(&mut self.was_full) {
            let rate = &mut self.window.rate;
            rate.count = rate.count + rate.count / 4 + 1;
            self.idle = 0;
        } else {
            self.idle += 1;
        }
        self.idle >= 2
    }
}
