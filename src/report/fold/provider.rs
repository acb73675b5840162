//! What was asked of one provider, or of one program that asks models itself.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::event::{Millis, RequestFinished, RequestStarted};
use crate::outcome::Usage;
use crate::unit::{Tokens, Usd, human_duration};

/// The figures of one provider over a whole run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProviderView {
    /// Requests that were sent, failed ones included.
    pub requests: u32,
    /// Of them: turned away for their rate.
    pub limited: u32,
    /// Of them: failed in another way.
    pub failed: u32,
    /// Time that calls spent waiting for the gate and for budgets, all together.
    pub waited: Duration,
    /// Tokens and money, as far as the provider said; its `requests` are those of programs, too.
    pub usage: Usage,
    /// Tokens that the budgets were charged beyond that: requests that may be billed though nobody said so.
    pub possibly: Tokens,
    /// The same in money, where prices are known.
    pub possibly_cost: Option<Usd>,
    /// Requests that were in flight when fanout was killed. They count as possibly billed, with all that
    /// was reserved for them.
    pub lost: u32,
    /// What reading from the prompt cache has saved, where prices are known.
    pub saved: Option<Usd>,
}

impl ProviderView {
    /// As JSON, for the result of a run.
    pub fn json(&self) -> Value {
        json!({
            "requests": self.requests,
            "rate_limited": self.limited,
            "failed": self.failed,
            "waited_ms": Millis(self.waited),
            "input": self.usage.input,
            "output": self.usage.output,
            "cached": self.usage.cached,
            "possibly_billed": self.possibly,
            "lost": self.lost,
            "cost": self.usage.cost,
            "saved": self.saved,
        })
    }

    pub(super) fn count(&mut self, request: &RequestFinished) {
        self.waited += request.waited.0;
        match request.failure.as_deref() {
            Some("not_sent") => return,
            Some("rate_limited") => self.limited += 1,
            Some(_) => self.failed += 1,
            None => {}
        }
        self.requests += 1;
        // A program that says nothing of its requests has made one as far as anybody knows.
        let usage = Usage { requests: request.usage.requests.max(1), ..request.usage };
        self.usage.add(&usage);
        let said = request.usage.input + request.usage.output;
        self.possibly += Tokens(request.charged.0.saturating_sub(said.0));
        if let Some(charged) = request.charged_cost {
            let said = request.usage.cost.unwrap_or_default();
            self.possibly_cost = sum(self.possibly_cost, Some(Usd(charged.0.saturating_sub(said.0))));
        }
        self.saved = sum(self.saved, request.saved);
    }

    /// A request whose end was never written down.
    pub(super) fn lose(&mut self, request: &RequestStarted) {
        self.lost += 1;
        self.possibly += request.reserved;
        self.possibly_cost = sum(self.possibly_cost, request.reserved_cost);
    }
}

/// Requests that may be billed though nobody said so, and the most that they can come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PossiblyBilled {
    /// Requests that were in flight when fanout was killed.
    pub requests: u32,
    /// Tokens, of those and of requests that failed without saying what they used.
    pub tokens: Tokens,
    /// The same in money, where prices are known.
    pub cost: Option<Usd>,
}

impl PossiblyBilled {
    pub(super) fn add(&mut self, provider: &ProviderView) {
        self.requests += provider.lost;
        self.tokens += provider.possibly;
        self.cost = sum(self.cost, provider.possibly_cost);
    }

    /// True where there is nothing of the kind.
    pub fn is_none(&self) -> bool {
        self.requests == 0 && self.tokens.is_zero()
    }

    /// For people: `at most 12k tokens, $0.03 (2 requests in flight at a kill)`.
    pub fn sentence(&self) -> String {
        let cost = self.cost.filter(|cost| cost.0 > 0).map(|cost| format!(", {cost}")).unwrap_or_default();
        let many = if self.requests == 1 { "request" } else { "requests" };
        let killed = match self.requests {
            0 => String::new(),
            lost => format!(" ({lost} {many} in flight at a kill)"),
        };
        format!("at most {} tokens{cost}{killed}", self.tokens)
    }
}

fn sum(one: Option<Usd>, other: Option<Usd>) -> Option<Usd> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a + b),
        (known, None) | (None, known) => known,
    }
}

/// What a call does that does nothing.
pub(super) fn waiting(on: &str, reason: &str, left: Option<Millis>) -> String {
    let why = match reason {
        "rate_limit" => "its provider's limit",
        "overload" => "its provider is overloaded",
        "rate" => "the rate it allows",
        "budget" => "the budget that others have reserved",
        "shared_prefix" => {
            "another one that begins in the same way goes first, so that it is read from its cache"
        }
        _ => "others go first",
    };
    let left = left.map(|left| format!(", {}", human_duration(left.0))).unwrap_or_default();
    format!("waiting for {on}: {why}{left}")
}
