//! Bounds on a whole run.

use std::time::Duration;

use crate::unit::{Tokens, Usd};

/// Bounds on the whole run.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls at once.
    pub concurrency: u32,
    /// Calls in all.
    pub calls: u32,
    /// Time for the whole run.
    pub time: Option<Duration>,
    /// Tokens and money for the whole run.
    pub budget: Budget,
    /// How deep subagents may stand: 1 for those of a call's own agent.
    pub depth: u32,
    /// What the end of the run does with background calls that still run.
    pub background: AtEnd,
}

/// What may be spent; `None` for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Tokens, input and output together.
    pub tokens: Option<Tokens>,
    /// Money.
    pub cost: Option<Usd>,
}

impl Budget {
    /// True where nothing is bounded.
    pub fn is_none(&self) -> bool {
        *self == Budget::default()
    }
}

/// What the end of the run does with background calls that still run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// Waits for them.
    Wait,
    /// Cancels them.
    Cancel,
}
