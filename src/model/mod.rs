//! One request to a model, one reply or one classified failure back.
//!
//! ```text
//! Request ─dialect─▶ body ─http─▶ bytes ─sse─▶ events ─fold─▶ Reply
//!                                   └─▶ status, headers, complaint ─▶ Failure
//! ```
//!
//! Invariants: a [`Reply`] that exists saw its terminal event; a stream that ends
//! without one is a [`Failure`], whatever text came before. No redirect is followed.
//! No key is printed. Nothing here tries twice or waits: that is the attempt loop's.

mod anthropic;
mod body;
mod calls;
mod clock;
mod complaint;
mod dialect;
mod failure;
mod gemini;
mod headers;
mod http;
mod marks;
mod openai_chat;
mod openai_responses;
mod proxy;
mod recorded;
#[cfg(test)]
mod replay;
pub mod schema;
mod secret;
pub mod sse;
mod target;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use calls::{ToolCall, ToolResult, ToolSpec};
pub use clock::Bounds;
pub use failure::{Class, Failure, MAX_MESSAGE, shown};
pub use headers::{RateHeaders, Window, rate_headers, retry_after};
pub use http::{Client, Settings};
pub use proxy::on_the_way;
pub use recorded::{Recorded, read_recorded};
pub use secret::{Keys, Secret, key_names};

use crate::outcome::Usage;
use crate::unit::Tokens;

/// What to ask a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The provider's own name of the model.
    pub model: String,
    /// The system prompt.
    pub system: Option<String>,
    /// The conversation, in order; begins with a user's message and ends with one or with results.
    pub messages: Vec<Message>,
    /// The tools that the model may ask for; none for an answer without.
    pub tools: Vec<ToolSpec>,
    /// What the answer must satisfy. Sent in the form that the provider's own structured
    /// output takes, which says less than the schema: validate the answer against this one.
    pub schema: Option<Arc<Value>>,
    /// At most so many output tokens.
    pub max_tokens: Tokens,
    /// Sampling temperature; sent only when set, since new models refuse it.
    pub temperature: Option<f64>,
    /// Reasoning effort; sent only when set.
    pub effort: Option<String>,
    /// Whether the provider is to keep what the conversation begins with for later requests
    /// that begin in the same way. Only some ask for a mark; the others do it by themselves.
    pub cache: bool,
    /// With how many bytes of the first message other requests begin in the same way, which are to
    /// find what comes before that point kept; `None` where nobody shares it.
    pub shared: Option<usize>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// What the user says.
    User(String),
    /// What the model said, as text.
    Assistant(String),
    /// What the model said, as it came: [`Reply::assistant`] of the same dialect, sent back untouched.
    Echo(Arc<Value>),
    /// What all the calls of the [`Message::Echo`] before it came to. A provider takes all of
    /// them at once or none.
    Results {
        /// One for each call, in their order.
        results: Vec<ToolResult>,
        /// What the user says with them.
        note: Option<String>,
    },
}

/// A complete answer of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer's text; may be empty.
    pub text: String,
    /// The assistant's turn in the dialect's own form, unknown fields and all, for [`Message::Echo`].
    pub assistant: Value,
    /// What it asks for, in order. Any at all means that it is not done, whatever `stop` says.
    pub calls: Vec<ToolCall>,
    /// Why it stopped.
    pub stop: Stop,
    /// Tokens used, one request.
    pub usage: Usage,
    /// True when the provider gave no usage and it was estimated at four bytes a token.
    pub usage_estimated: bool,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// The provider's own name of the request.
    pub request_id: Option<String>,
    /// The rate-limit headers of the response.
    pub rate: RateHeaders,
}

/// Why a model stopped. A cut-off or a refusal is a [`Failure`], not one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It was done.
    End,
    /// It asks for tools.
    Tools,
    /// It came to a stop sequence.
    StopSequence,
    /// The provider paused a long turn; sending the turn back unchanged continues it.
    Paused,
    /// A reason that this program does not know; counts as the end.
    Other(String),
}

/// What a request has received so far, for progress.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The whole text so far.
    pub text: &'a str,
    /// Bytes of the body so far, after decompression.
    pub bytes: u64,
}
