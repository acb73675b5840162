//! The parts of a run that are no calls: figures, turns, notifications, questions, what the parent computed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::id::{CallId, InstanceId};
use crate::outcome::Status;
use crate::unit::{Tokens, Usd};

/// The figures of a run, kept up with every record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Instances that the plan led to, as far as is known.
    pub planned: u32,
    /// Those at work.
    pub running: u32,
    /// Those that ended.
    pub done: u32,
    /// The ended ones by status.
    pub by_status: BTreeMap<Status, u32>,
    /// Tokens of the ended ones, both ways.
    pub tokens: Tokens,
    /// What the ended ones cost, as far as that is known.
    pub cost: Usd,
}

impl Tally {
    /// How many ended in `status`.
    pub fn of(&self, status: Status) -> u32 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }
}

/// One turn: how many instances it has and how many of them ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TurnView {
    /// Instances that are known.
    pub planned: u32,
    /// Those that ended.
    pub done: u32,
}

/// A notification of a background call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationView {
    /// Who posted it.
    pub instance: InstanceId,
    /// How it ended.
    pub status: Status,
    /// When.
    pub at: Duration,
    /// Who was handed it: a call, or `(reconcile)`.
    pub drained_by: Option<CallId>,
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionView {
    /// The `ask` call.
    pub call: CallId,
    /// The rendered question; unsanitised.
    pub question: String,
    /// `person`, `option`, `default`; `None` while it is open.
    pub answered_by: Option<String>,
}

/// A result of the parent.
#[derive(Debug, Clone, PartialEq)]
pub struct ReconciledView {
    /// The `reconcile` call, or `(reconcile)`.
    pub step: CallId,
    /// The strategy's JSON.
    pub result: Arc<Value>,
    /// The same as text.
    pub text: Arc<str>,
}

impl ReconciledView {
    /// The strategy's name; empty where the result does not say.
    pub fn strategy(&self) -> &str {
        self.result.get("strategy").and_then(Value::as_str).unwrap_or_default()
    }

    /// What the answers disagree on and the strategy left open.
    pub fn conflicts(&self) -> &[Value] {
        self.result.get("conflicts").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

/// A warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarningView {
    /// Stable code.
    pub code: String,
    /// The sentence.
    pub message: String,
}

/// Why a run ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopView {
    /// `interrupt`, `stop`, `error`, `time`, ….
    pub reason: String,
    /// The sentence.
    pub message: String,
}
