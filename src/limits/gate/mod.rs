//! One gate for each host and key: every request passes it, in a fair order, when its
//! provider is ready for it.
//!
//! Invariants: whoever waits holds nothing; those that have begun go first, then those
//! with the longest way behind them, then in the order they came; only the first of a
//! queue keeps a timer, everybody else is woken; a turn is given back when it is dropped,
//! however that happens.

mod lane;
#[cfg(test)]
mod tests;
mod turn;
mod window;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub use lane::{Left, Why};
pub use turn::Turn;

use super::backoff::{self, TooLong};
use crate::unit::{Rate, Tokens};
use lane::{Free, Lane};
use window::Sliding;

/// Limits that the plan declares for a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Declared {
    /// Requests per time.
    pub requests: Option<Rate>,
    /// Tokens per time.
    pub tokens: Option<Rate>,
    /// Requests at once.
    pub concurrency: Option<u32>,
}

/// Who wants to pass.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The model.
    pub model: Arc<str>,
    /// The most tokens that the request may use, both ways.
    pub tokens: Tokens,
    /// True for a call that has begun: its time is running.
    pub begun: bool,
    /// How long the longest way behind it is; longer goes first.
    pub ahead: u32,
    /// How long it can wait.
    pub bound: Bound,
}

/// How long one can wait for a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Until then.
    Until(Instant),
    /// As long as there are others before it; but for no instant that the provider announces
    /// to be further away than this.
    Patience(Duration),
}

/// Why somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The reason; `None` while others are before it.
    pub why: Option<Why>,
    /// Until when, where that is known.
    pub until: Option<Instant>,
}

/// Why a gate lets nobody pass any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The stable code of the failure that broke it: `unauthorized`, `out_of_money`.
    pub code: &'static str,
    /// The sentence.
    pub message: Arc<str>,
}

/// Why one cannot pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shut {
    /// The key is no good.
    Broken(Broken),
    /// The wait is longer than the time that is left.
    TooLong(TooLong),
}

/// The gate of one host and key.
pub struct Gate {
    state: Mutex<State>,
    chance: fn() -> f64,
    /// Of programs nothing is known before they hear of a limit.
    unbounded: bool,
}

struct State {
    lanes: HashMap<Arc<str>, Queue>,
    in_flight: u32,
    concurrency: Option<u32>,
    requests: Option<Sliding>,
    tokens: Option<Sliding>,
    broken: Option<Broken>,
    came: u64,
}

/// One model with those who wait for it.
struct Queue {
    lane: Lane,
    waiting: BTreeMap<Rank, Arc<Notify>>,
    broken: Option<Broken>,
}

/// The order of waiting: the smallest first.
type Rank = (Reverse<bool>, Reverse<u32>, u64);

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate of a provider.
    pub fn new(declared: Declared) -> Gate {
        Gate::with_chance(declared, backoff::random)
    }

    /// A gate of a program, which is asked freely until it reports a limit.
    pub fn of_program() -> Gate {
        Gate { unbounded: true, ..Gate::new(Declared::default()) }
    }

    /// The same with chance of one's own, from 0 to 1.
    pub(super) fn with_chance(declared: Declared, chance: fn() -> f64) -> Gate {
        let state = State {
            lanes: HashMap::new(),
            in_flight: 0,
            concurrency: declared.concurrency.map(|most| most.max(1)),
            requests: declared.requests.map(Sliding::new),
            tokens: declared.tokens.map(Sliding::new),
            broken: None,
            came: 0,
        };
        Gate { state: Mutex::new(state), chance, unbounded: false }
    }

    /// Waits for its turn. `on_wait` hears why, whenever that changes; never called for one that
    /// passes at once. Dropping the future gives up the place in the queue.
    ///
    /// # Errors
    /// [`Shut`] as soon as it is known that there will be no turn in time.
    pub async fn enter(
        self: &Arc<Gate>,
        entry: Entry,
        on_wait: &(dyn Fn(Waiting) + Send + Sync),
    ) -> Result<Turn, Shut> {
        let waiter = Waiter::new(self, entry);
        let mut told = None;
        loop {
            let waiting = match waiter.look() {
                Look::Pass(turn) => return Ok(turn),
                Look::Shut(shut) => return Err(shut),
                Look::Wait(waiting) => waiting,
            };
            if told != Some(waiting) {
                told = Some(waiting);
                on_wait(waiting);
            }
            let timer = async {
                match waiting.until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = waiter.notify.notified() => {}
                () = timer => {}
            }
        }
    }

    /// Lets nobody pass any more: the whole key, or one model of it.
    pub fn shut(&self, model: Option<&Arc<str>>, broken: Broken) {
        let mut state = self.lock();
        match model {
            None => state.broken = Some(broken),
            Some(model) => state.queue(model, self.unbounded).broken = Some(broken),
        }
        state.wake_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queue(&mut self, model: &Arc<str>, unbounded: bool) -> &mut Queue {
        let declared = self.concurrency;
        self.lanes.entry(Arc::clone(model)).or_insert_with(|| Queue {
            lane: if unbounded { Lane::unbounded() } else { Lane::new(declared) },
            waiting: BTreeMap::new(),
            broken: None,
        })
    }

    fn broken(&self, model: &Arc<str>) -> Option<&Broken> {
        self.broken.as_ref().or_else(|| self.lanes.get(model)?.broken.as_ref())
    }

    /// What the limits of the whole gate say.
    fn free(&mut self, now: Instant, tokens: u64) -> Free {
        if self.concurrency.is_some_and(|most| self.in_flight >= most) {
            return Free::Full;
        }
        let requests = self.requests.as_mut().and_then(|window| window.free_at(now, 1));
        let tokens = self.tokens.as_mut().and_then(|window| window.free_at(now, tokens));
        match requests.max(tokens) {
            Some(at) => Free::At(at, Why::Rate),
            None => Free::Now,
        }
    }

    /// Wakes those who are first.
    fn wake_heads(&self) {
        for queue in self.lanes.values() {
            if let Some(notify) = queue.waiting.values().next() {
                notify.notify_one();
            }
        }
    }

    fn wake_all(&self) {
        for notify in self.lanes.values().flat_map(|queue| queue.waiting.values()) {
            notify.notify_one();
        }
    }
}

/// Somebody in a queue; leaves it when dropped.
struct Waiter<'a> {
    gate: &'a Arc<Gate>,
    entry: Entry,
    rank: Rank,
    notify: Arc<Notify>,
}

enum Look {
    Pass(Turn),
    Shut(Shut),
    Wait(Waiting),
}

impl<'a> Waiter<'a> {
    fn new(gate: &'a Arc<Gate>, entry: Entry) -> Waiter<'a> {
        let notify = Arc::new(Notify::new());
        let mut state = gate.lock();
        state.came += 1;
        let rank = (Reverse(entry.begun), Reverse(entry.ahead), state.came);
        state.queue(&entry.model, gate.unbounded).waiting.insert(rank, Arc::clone(&notify));
        drop(state);
        Waiter { gate, entry, rank, notify }
    }

    fn look(&self) -> Look {
        let now = Instant::now();
        let Entry { model, tokens, bound, .. } = &self.entry;
        let mut state = self.gate.lock();
        if let Some(broken) = state.broken(model) {
            return Look::Shut(Shut::Broken(broken.clone()));
        }
        let all = state.free(now, tokens.0);
        let queue = state.queue(model, self.gate.unbounded);
        if let Some((until, _)) = queue.lane.closed()
            && let Some(too_long) = bound.too_long(now, until, true)
        {
            return Look::Shut(Shut::TooLong(too_long));
        }
        if queue.waiting.keys().next() != Some(&self.rank) {
            return Look::Wait(Waiting { why: None, until: None });
        }
        let free = match (queue.lane.free(now, tokens.0), all) {
            (Free::At(a, why), Free::At(b, other)) => Free::At(a.max(b), if a >= b { why } else { other }),
            (Free::At(at, why), Free::Now | Free::Full) | (Free::Now | Free::Full, Free::At(at, why)) => {
                Free::At(at, why)
            }
            (Free::Full, Free::Now | Free::Full) | (Free::Now, Free::Full) => Free::Full,
            (Free::Now, Free::Now) => Free::Now,
        };
        match free {
            Free::At(until, why) => match bound.too_long(now, until, why == Why::Announced) {
                Some(too_long) => Look::Shut(Shut::TooLong(too_long)),
                None => Look::Wait(Waiting { why: Some(why), until: Some(until) }),
            },
            Free::Full => Look::Wait(Waiting { why: None, until: None }),
            Free::Now => {
                queue.lane.take(now, tokens.0);
                let epoch = queue.lane.epoch;
                queue.waiting.remove(&self.rank);
                state.in_flight += 1;
                if let Some(window) = &mut state.requests {
                    window.take(now, 1);
                }
                if let Some(window) = &mut state.tokens {
                    window.take(now, tokens.0);
                }
                state.wake_heads();
                drop(state);
                Look::Pass(Turn::new(Arc::clone(self.gate), Arc::clone(model), *tokens, epoch, now))
            }
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        let queue = state.queue(&self.entry.model, self.gate.unbounded);
        if queue.waiting.remove(&self.rank).is_some() {
            state.wake_heads();
        }
    }
}

impl Bound {
    /// Why waiting until then is useless, if it is.
    fn too_long(self, now: Instant, until: Instant, announced: bool) -> Option<TooLong> {
        let asked = until.saturating_duration_since(now);
        let left = match self {
            Bound::Until(deadline) => deadline.saturating_duration_since(now),
            Bound::Patience(left) if announced => left,
            Bound::Patience(_) => return None,
        };
        match (asked >= left, announced) {
            (false, _) => None,
            (true, true) => Some(TooLong::Asked { asked, left }),
            (true, false) => Some(TooLong::NoTime { wait: asked, left }),
        }
    }
}
