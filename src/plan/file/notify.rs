//! The keys of `notify`: who hears of what.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::call::either;
use super::value::CommandText;
use crate::plan::read::{OneOrMany, Read, Reader};
use crate::plan::record::{record, words};
use crate::plan::yaml::{Kind, Node};

record! {
    /// Who hears about it.
    struct NotifyFile {
        /// Of what. Default: everything.
        on: OneOrMany<TopicWord>,
        /// The desktop, where there is one: `notify-send`, or `osascript` on macOS.
        desktop: bool,
        /// The terminal's bell and its own notification (OSC 9).
        bell: bool,
        /// A command, as text for `sh -c` or a list; the message is JSON on its standard input.
        command: CommandText,
        /// An address that gets the message as JSON by POST, signed where `secret_env` is given.
        webhook: WebhookUse,
    }
}

words! {
    /// Something that people hear of.
    enum TopicWord("topic of `notify`") {
        /// The run has ended.
        Run = "run",
        /// A background call has ended.
        Background = "background",
        /// A parent step found conflicts.
        Conflict = "conflict",
        /// A question waits for an answer.
        Question = "question",
        /// A call ended as `blocked`.
        Blocked = "blocked",
        /// A budget is used up to 80 %.
        Budget = "budget",
    }
}

record! {
    /// An address with what belongs to it.
    struct WebhookFile {
        /// The address; one with a secret in it goes into `url_env`.
        url: String,
        /// The name of the environment variable that holds the address.
        url_env: String,
        /// The name of the environment variable that holds the secret to sign with: any text, or `whsec_` and base64.
        secret_env: String,
    }
}

either! {
    /// An address, or a map with more.
    WebhookUse = Url(String) or Full(WebhookFile)
}
