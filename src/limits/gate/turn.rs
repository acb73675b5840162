//! A turn at a gate: one request, from its admission to its end.
//!
//! Invariant: what a request teaches goes back to the gate through its turn, and only
//! once; a turn that was not used costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Gate, Left};
use crate::unit::Tokens;

/// Leave to make one request; given back when dropped.
#[derive(Debug)]
pub struct Turn {
    gate: Arc<Gate>,
    model: Arc<str>,
    tokens: Tokens,
    epoch: u64,
    at: Instant,
    sent: bool,
    accepted: AtomicBool,
}

impl Turn {
    pub(super) fn new(gate: Arc<Gate>, model: Arc<str>, tokens: Tokens, epoch: u64, at: Instant) -> Turn {
        Turn { gate, model, tokens, epoch, at, sent: false, accepted: AtomicBool::new(false) }
    }

    /// True when it is a turn at this gate for this model.
    pub fn is_for(&self, gate: &Arc<Gate>, model: &str) -> bool {
        Arc::ptr_eq(&self.gate, gate) && *self.model == *model
    }

    /// Uses it; false when the gate has closed since, so that a new turn is needed.
    pub fn use_now(&mut self) -> bool {
        let now = Instant::now();
        let mut state = self.gate.lock();
        let broken = state.broken(&self.model).is_some();
        let lane = &state.queue(&self.model, self.gate.unbounded).lane;
        self.sent = !broken && lane.closed().is_none_or(|(until, _)| until <= now);
        self.sent
    }

    /// The provider has begun to answer. Said again, it does nothing.
    pub fn accepted(&self) {
        if self.accepted.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut state = self.gate.lock();
        state.queue(&self.model, self.gate.unbounded).lane.accepted(Instant::now(), self.epoch);
        state.wake_heads();
    }

    /// What the response said is left of the provider's limits.
    pub fn announced(&self, requests: Left, tokens: Left) {
        let mut state = self.gate.lock();
        let lane = &mut state.queue(&self.model, self.gate.unbounded).lane;
        lane.announced(Instant::now(), requests, tokens, self.tokens.0);
    }

    /// The request was turned away: for its rate, or (`rate: false`) for want of capacity.
    /// `wait` is what the provider asks for.
    pub fn limited(&self, wait: Option<Duration>, rate: bool) {
        let chance = (self.gate.chance)();
        let mut state = self.gate.lock();
        let lane = &mut state.queue(&self.model, self.gate.unbounded).lane;
        lane.limited(Instant::now(), self.epoch, wait, rate, chance);
        state.wake_all();
    }

    /// The request used so many tokens.
    pub fn used(&self, tokens: Tokens) {
        let mut state = self.gate.lock();
        let Some(window) = &mut state.tokens else { return };
        match tokens.0.checked_sub(self.tokens.0) {
            Some(0) => {}
            Some(more) => window.take(Instant::now(), more),
            None => window.give_back(self.at, self.tokens.0 - tokens.0),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        let unsent = (!self.sent).then_some(self.at);
        if let Some(then) = unsent {
            if let Some(window) = &mut state.requests {
                window.give_back(then, 1);
            }
            if let Some(window) = &mut state.tokens {
                window.give_back(then, self.tokens.0);
            }
        }
        state.queue(&self.model, self.gate.unbounded).lane.end(self.tokens.0, unsent);
        state.wake_heads();
    }
}
