//! A parent step: what it reads, how it brings that together, how many answers are enough.

use serde_json::Value;

use super::call::Command;
use super::diagnostic::Span;
use super::template::Template;

/// A parent step.
#[derive(Debug, Clone)]
pub struct Reconcile {
    /// Where it stands.
    pub at: Span,
    /// The calls it reads, as positions in [`Plan::calls`](super::Plan::calls), in plan order.
    pub of: Vec<usize>,
    /// How.
    pub strategy: Strategy,
    /// How many answers are enough; below it the step fails.
    pub min: Option<Quantity>,
}

/// How results are reconciled, with the strategy's own settings.
///
/// The settings are those of the `reconcile` room; they stay plain data here so
/// that the plan does not depend on it.
#[derive(Debug, Clone)]
pub struct Strategy {
    /// `collect`, `compare`, `vote`, `merge`, `best`, `command`, ….
    pub name: String,
    /// Every other key of the step, with units and names checked.
    pub settings: serde_json::Map<String, Value>,
    /// The program of `strategy: command`.
    pub command: Option<Command>,
    /// What the parent's model is asked under `strategy: synthesize`.
    pub prompt: Option<Template>,
}

impl Strategy {
    /// True for a step that may ask the parent's model.
    pub fn asks(&self) -> bool {
        self.name == "synthesize" || self.settings.get("on_conflict").is_some_and(|word| word == "decide")
    }
}

/// So many, or such a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A number.
    Count(u32),
    /// A share, 0 to 1.
    Share(f64),
}

impl Quantity {
    /// How many of `total` it asks for; a share is rounded up.
    pub fn of(self, total: u32) -> u32 {
        match self {
            Quantity::Count(n) => n,
            Quantity::Share(share) => (share * f64::from(total)).ceil() as u32,
        }
    }
}
