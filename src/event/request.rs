//! What becomes of one request to a model, or of one start of a program that asks models itself.

use serde::{Deserialize, Serialize};

use super::Millis;
use crate::id::InstanceId;
use crate::outcome::Usage;
use crate::unit::{Tokens, Usd};

/// A request has passed the gate and is about to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestStarted {
    /// Who asks.
    pub instance: InstanceId,
    /// Counts from 1 over the requests of the instance, anew in each process.
    pub number: u64,
    /// Who is asked: the provider, or the program.
    pub provider: String,
    /// The model; empty for a program.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// What is reserved for it: tokens in and out together.
    pub reserved: Tokens,
    /// What is reserved for it in money, where prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_cost: Option<Usd>,
}

/// A request is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestFinished {
    /// Who asked.
    pub instance: InstanceId,
    /// As in [`RequestStarted`].
    pub number: u64,
    /// Who was asked.
    pub provider: String,
    /// The model; empty for a program.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// The stable code of its failure; absent for one that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What it used, as far as the provider said.
    pub usage: Usage,
    /// What the budgets were charged: of a request that may be billed though nobody said so, all
    /// that was reserved.
    pub charged: Tokens,
    /// The same in money, where prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_cost: Option<Usd>,
    /// What reading from the provider's prompt cache has saved, where prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<Usd>,
    /// How long it waited before it was sent, for the gate and for a budget.
    #[serde(rename = "waited_ms")]
    pub waited: Millis,
}
