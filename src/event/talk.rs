//! What happens inside an agent's conversation, as plain data: requests, answers, tools, jobs.
//!
//! Invariant: together these records hold all that a conversation was made of, so that it can be
//! shown, and gone on with, without asking or doing anything again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::outcome::Usage;

/// What a model answered to one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelAnswer {
    /// Who answered: `anthropic/claude-sonnet-5`.
    pub model: String,
    /// What it said; may be empty.
    pub text: String,
    /// Its turn in the dialect's own form, as it goes back.
    pub assistant: Value,
    /// The tools that it asks for, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ToolAsked>,
    /// True when the provider only paused a long turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// What it used.
    pub usage: Usage,
    /// True when the provider gave no usage and it was estimated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub usage_estimated: bool,
    /// The provider's own name of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What the request told the model besides: the ends of its background jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// The numbers of those jobs, ascending: from here on they count as delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<u32>,
}

impl ModelAnswer {
    /// True where it is an answer, and asks for nothing more.
    pub fn is_whole(&self) -> bool {
        self.calls.is_empty() && !self.paused && !self.text.trim().is_empty()
    }
}

/// One tool that a model asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolAsked {
    /// What its result is known by.
    pub id: String,
    /// The tool's name as the model wrote it.
    pub name: String,
    /// The arguments; null where they could not be read.
    pub input: Value,
    /// Why the arguments could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// One question and its answer in a session, and what the next one needs to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchanged {
    /// What was asked.
    pub said: String,
    /// What was answered in the end.
    pub answered: String,
    /// The conversation up to here; `None` where nobody keeps more of it than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
}

/// A whole conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// A program keeps it by itself.
    Thread(Thread),
    /// As a model was sent it, its tools and their results included.
    Transcript {
        /// Whose form the turns are in: `anthropic/claude-sonnet-5`.
        model: String,
        /// The messages in order, the last answer included.
        messages: Value,
    },
}

/// A conversation that a program keeps by itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Thread {
    /// The program's own name of it; `None` for one that is to begin.
    pub id: Option<String>,
    /// What all of it has used so far: some programs report nothing else.
    pub spent: Usage,
}

impl Thread {
    /// The program's own name of it.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

/// How a background job of an agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// It did what it should: exit status 0, or an answer.
    Completed,
    /// It did not.
    Failed,
    /// fanout was killed while it ran; what it did is not known.
    Interrupted,
}

impl JobStatus {
    /// The word: `completed`.
    pub fn as_str(self) -> &'static str {
        match self {
            JobStatus::Completed => "completed",
            JobStatus::Failed => "failed",
            JobStatus::Interrupted => "interrupted",
        }
    }
}
