//! Where a program's words stand in its output: a JSON pointer or a regular expression.
//!
//! Invariant: a pattern that was read can be used; a regular expression has at most one group.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::plan::Pattern;
use crate::plan::code;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::read::{Read, Reader};
use crate::plan::record::record;
use crate::plan::yaml::{Kind, Node};

/// A compiled expression may take so much memory, in bytes.
const MAX_SIZE: usize = 1 << 20;

impl Read for Pattern {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Pattern> {
        let Kind::Scalar(text, _) = &node.kind else {
            return reader.expected(node, "a JSON pointer that begins with `/`, or a regular expression");
        };
        if text.starts_with('/') {
            return Some(Pattern::Pointer(text.to_string()));
        }
        if text.is_empty() {
            reader.fault(Diagnostic::error(code::NO_VALUE, node.at, "the pattern is empty"));
            return None;
        }
        match regex::RegexBuilder::new(text).size_limit(MAX_SIZE).build() {
            Ok(regex) if regex.captures_len() > 2 => {
                let message = "a pattern has at most one group, which is what counts";
                let fault = Diagnostic::error(code::WRONG_TYPE, node.at, message);
                reader.fault(fault.help("write the other groups as `(?:…)`"));
                None
            }
            Ok(regex) => Some(Pattern::Regex(regex)),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
                let message = format!("`{text}` is no regular expression: {why}");
                let fault = Diagnostic::error(code::WRONG_TYPE, node.at, message);
                reader.fault(fault.help("a JSON pointer begins with `/`; see https://docs.rs/regex#syntax"));
                None
            }
        }
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

record! {
    /// Where a program's words stand in its output: a JSON pointer (`/message/text`) into each JSON
    /// value that it prints, or a regular expression over each line, whose group counts. Of several
    /// places the last one counts.
    struct PatternsFile {
        /// The answer.
        text: Pattern,
        /// Why it failed. Where this is found, it failed, whatever its exit status.
        error: Pattern,
        /// A question or a permission that nobody can answer. The program is ended there.
        blocked: Pattern,
        /// That a rate limit was hit, and until when, if it says so. It is tried again then.
        rate_limited: Pattern,
        /// How many tokens it sent.
        input_tokens: Pattern,
        /// How many tokens it received.
        output_tokens: Pattern,
        /// What it cost, in USD.
        cost: Pattern,
        /// The name of its conversation.
        session: Pattern,
    }
}
