//! What tells one provider's wire from another's: the path, the headers, the body, the events.
//!
//! Invariant: a dialect is pure. It builds and reads; it sends nothing, keeps no
//! state between requests and never sees a key's name.

use reqwest::header::{AUTHORIZATION, HeaderName};
use serde_json::Value;

use super::complaint::Complaint;
use super::{Request, Stop, ToolCall, anthropic, gemini, openai_chat, openai_responses};
use crate::outcome::Usage;
use crate::plan::Api;
use crate::unit::Tokens;

/// One wire dialect.
pub(super) trait Dialect: Sync {
    /// The path after the base URL: `/messages`.
    fn path(&self, model: &str) -> String;

    /// What the address asks for behind the path.
    fn query(&self) -> Option<&'static str> {
        None
    }

    /// Headers of every request, keys aside.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The header that carries a key, and what stands before the key in it.
    fn key_header(&self) -> (HeaderName, &'static str) {
        (AUTHORIZATION, "Bearer ")
    }

    /// The request body, streaming asked for. `host` decides between spellings that
    /// the vendor's own server and compatible ones do not share.
    fn body(&self, request: &Request, host: &str) -> Value;

    /// A reader for one response, to a conversation of so many messages.
    fn fold(&self, messages: usize) -> Box<dyn Fold>;
}

/// Reads one response, event by event or as one document, into a [`Draft`].
pub(super) trait Fold: Send {
    /// Takes one event. `kind` is its name, often empty; `data` is its payload.
    fn event(&mut self, kind: &str, data: &str) -> Result<Step, Fault>;

    /// Takes a whole response that was not streamed.
    fn document(&mut self, document: Value) -> Result<(), Fault>;

    /// The text so far, for people.
    fn text(&self) -> &str;

    /// The usage so far; `None` if none was given.
    fn usage(&self) -> Option<Usage>;

    /// The answer. Called once, after a [`Step::Done`], a [`Step::Settled`] or a document.
    fn finish(self: Box<Self>) -> Result<Draft, Fault>;
}

/// What an event meant for the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A sign of life and no more.
    Ping,
    /// The answer goes on.
    Progress,
    /// The answer is complete, but a last event (usage, `[DONE]`) may follow.
    Settled,
    /// The terminal event.
    Done,
}

/// What can be wrong with a response that came with a good status.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// It is not the protocol; says what is wrong.
    Garbled(String),
    /// The provider reports an error.
    Complaint(Complaint),
}

/// A response, read to its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) text: String,
    pub(super) assistant: Value,
    pub(super) calls: Vec<ToolCall>,
    pub(super) end: Ending,
    pub(super) usage: Option<Usage>,
    pub(super) model: Option<String>,
}

/// How a response ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ending {
    /// With an answer.
    Reply(Stop),
    /// Cut off; says by what.
    Truncated(&'static str),
    /// Declined; says why, if the provider did.
    Refused(String),
}

/// The dialect of an API.
pub(super) fn of(api: Api) -> &'static dyn Dialect {
    match api {
        Api::Anthropic => &anthropic::Messages,
        Api::OpenAiChat => &openai_chat::ChatCompletions,
        Api::OpenAiResponses => &openai_responses::Responses,
        Api::Gemini => &gemini::GenerateContent,
    }
}

/// True for the server of the vendor whose dialect the two OpenAI ones are.
pub(super) fn is_openai(host: &str) -> bool {
    host == "api.openai.com" || host.ends_with(".api.openai.com") || host.ends_with(".openai.azure.com")
}

/// A count in a JSON object, by path; `None` for one that is absent, null or no count.
pub(super) fn count(value: &Value, path: &[&str]) -> Option<Tokens> {
    path.iter().try_fold(value, |value, key| value.get(key))?.as_u64().map(Tokens)
}

/// A text in a JSON object.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// The fault of data that is no JSON, or JSON of the wrong shape.
pub(super) fn garbled(what: &str, data: &str, error: &serde_json::Error) -> Fault {
    let shown = super::shown(data, 120);
    Fault::Garbled(format!("{what} is not the JSON it should be ({error}): {shown}"))
}
