//! What was asked of one provider, or of one program that asks models itself.

use std::time::Duration;

use serde_json::{Value, json};

use crate::event::{Millis, RequestFinished};
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
        self.saved = match (self.saved, request.saved) {
            (Some(a), Some(b)) => Some(a + b),
            (known, None) | (None, known) => known,
        };
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
