//! Nodes to typed values, with every fault collected on the way.
//!
//! Invariant: reading never stops at a fault. What cannot be read is reported at its
//! place and is `None`; everything beside it is read all the same.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

use super::code;
use super::diagnostic::{Diagnostic, Span};
use super::scalar;
use super::suggest::{choices, did_you_mean};
use super::yaml::{Kind, Node, Style};

/// Something that can be read from a node, and described as a JSON Schema.
pub(super) trait Read: Sized + JsonSchema {
    /// Reads a node that is neither an alias nor broken. `None` means that the reason was reported.
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self>;
}

/// Where faults go, and through which aliases the reading came here.
pub(super) struct Reader<'f> {
    faults: &'f mut Vec<Diagnostic>,
    used: Vec<Span>,
}

/// A value and where it stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct At<T> {
    /// Where.
    pub(crate) at: Span,
    /// What.
    pub(crate) value: T,
}

/// The value of a record's key.
#[derive(Debug, Clone)]
pub(crate) struct Field<T> {
    /// Where the key stands.
    pub(crate) key: Span,
    /// Where the value stands.
    pub(crate) at: Span,
    /// The value.
    pub(crate) value: T,
}

/// A key that may be there. Boxed, so that a record of fifty keys stays small.
pub(crate) type Key<T> = Option<Box<Field<T>>>;

impl<'f> Reader<'f> {
    /// A reader that reports to `faults`.
    pub(super) fn new(faults: &'f mut Vec<Diagnostic>) -> Reader<'f> {
        Reader { faults, used: Vec::new() }
    }

    /// Reads a node, through aliases.
    pub(super) fn read<T: Read>(&mut self, node: &Node<'_>) -> Option<T> {
        let depth = self.used.len();
        let mut target = node;
        loop {
            self.used.extend(target.used.as_deref());
            match &target.kind {
                Kind::Shared(inner) => target = inner,
                Kind::Scalar(..) | Kind::List(_) | Kind::Map(_) | Kind::Broken => break,
            }
        }
        let value = match target.kind {
            Kind::Broken => None,
            Kind::Scalar(..) | Kind::List(_) | Kind::Map(_) | Kind::Shared(_) => T::read(target, self),
        };
        self.used.truncate(depth);
        value
    }

    /// Reports a fault, with the aliases that lead to it.
    pub(super) fn fault(&mut self, mut fault: Diagnostic) {
        fault.related.extend(self.used.iter().map(|at| (*at, "used here".to_owned())));
        self.faults.push(fault);
    }

    /// Reports that `node` is not what it should be.
    pub(super) fn expected<T>(&mut self, node: &Node<'_>, expected: &str) -> Option<T> {
        let fault = match &node.kind {
            Kind::Scalar(text, Style::Plain) if scalar::plain(text) == Some(serde_json::Value::Null) => {
                let fault = Diagnostic::error(
                    code::NO_VALUE,
                    node.at,
                    format!("there is no value; expected {expected}"),
                );
                fault.help("give it a value, or remove the key")
            }
            Kind::Scalar(text, _) if text.contains("{{") => {
                let message = format!("expected {expected}; templates are not allowed here");
                Diagnostic::error(code::TEMPLATE_NOT_ALLOWED, node.at, message)
            }
            Kind::Scalar(..) | Kind::List(_) | Kind::Map(_) | Kind::Shared(_) | Kind::Broken => {
                let message = format!("expected {expected}, found {}", describe(node));
                Diagnostic::error(code::WRONG_TYPE, node.at, message).label(format!("expected {expected}"))
            }
        };
        self.fault(fault);
        None
    }

    /// Reports that a word is not among `words`.
    pub(super) fn unknown_word<T>(&mut self, text: &str, at: Span, what: &str, words: &[&str]) -> Option<T> {
        let (code, message) = if text.contains("{{") {
            let message = format!(
                "{what} is one of {}; templates are not allowed here",
                choices(words.iter().copied())
            );
            (code::TEMPLATE_NOT_ALLOWED, message)
        } else {
            (
                code::UNKNOWN_WORD,
                format!("unknown {what} `{text}`; it can be {}", choices(words.iter().copied())),
            )
        };
        let help = did_you_mean(text, words.iter().copied());
        self.fault(Diagnostic::error(code, at, message).maybe_help(help));
        None
    }
}

/// What a node is, in words.
pub(super) fn describe(node: &Node<'_>) -> String {
    let short = |text: &str| {
        let line = text.lines().next().unwrap_or("");
        let cut: String = line.chars().take(40).collect();
        if cut.len() < text.trim_end().len() { format!("`{cut}…`") } else { format!("`{cut}`") }
    };
    match &node.kind {
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "a map".to_owned(),
        Kind::Scalar(text, Style::Plain) => match scalar::plain(text) {
            Some(serde_json::Value::Null) => "nothing".to_owned(),
            Some(serde_json::Value::Bool(_)) => format!("`{text}`"),
            Some(serde_json::Value::Number(_)) | None => format!("the number `{text}`"),
            Some(_) => format!("the text {}", short(text)),
        },
        Kind::Scalar(text, _) => format!("the text {}", short(text)),
        Kind::Shared(_) | Kind::Broken => "an alias".to_owned(),
    }
}

impl<T: Read> Read for At<T> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<At<T>> {
        Some(At { at: node.at, value: T::read(node, reader)? })
    }
}

impl<T: Read> Read for Box<T> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Box<T>> {
        T::read(node, reader).map(Box::new)
    }
}

/// A list; what cannot be read of it is reported and left out.
impl<T: Read> Read for Vec<T> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Vec<T>> {
        let Kind::List(items) = &node.kind else { return reader.expected(node, "a list") };
        Some(items.iter().filter_map(|item| reader.read(item)).collect())
    }
}

/// A text without templates. Numbers and `true` count as the text that they are written as.
impl Read for String {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<String> {
        match &node.kind {
            Kind::Scalar(text, Style::Plain) if scalar::plain(text) == Some(serde_json::Value::Null) => {
                reader.expected(node, "a text")
            }
            Kind::Scalar(text, _) if text.contains("{{") => reader.expected(node, "a plain text"),
            Kind::Scalar(text, _) => Some(text.to_string()),
            Kind::List(_) | Kind::Map(_) | Kind::Shared(_) | Kind::Broken => reader.expected(node, "a text"),
        }
    }
}

impl Read for bool {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<bool> {
        let Kind::Scalar(text, Style::Plain) = &node.kind else {
            return reader.expected(node, "`true` or `false`");
        };
        match (scalar::plain(text), &**text) {
            (Some(serde_json::Value::Bool(value)), _) => Some(value),
            (_, "yes" | "Yes" | "on" | "On" | "y") => wrong_bool(node, reader, "true"),
            (_, "no" | "No" | "off" | "Off" | "n") => wrong_bool(node, reader, "false"),
            _ => reader.expected(node, "`true` or `false`"),
        }
    }
}

fn wrong_bool(node: &Node<'_>, reader: &mut Reader<'_>, right: &str) -> Option<bool> {
    let message = format!("expected `true` or `false`, found {}", describe(node));
    let fault = Diagnostic::error(code::WRONG_TYPE, node.at, message);
    reader.fault(fault.help(format!("write `{right}`")));
    None
}

/// A whole number from 0 that fits 32 bits.
impl Read for u32 {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<u32> {
        let Some(number) = number(node) else { return reader.expected(node, "a whole number") };
        match number.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(n) => Some(n),
            None if number.is_f64() => reader.expected(node, "a whole number"),
            None => {
                let message = format!("{number} is out of range: it can be 0 to {}", u32::MAX);
                reader.fault(Diagnostic::error(code::OUT_OF_RANGE, node.at, message));
                None
            }
        }
    }
}

impl Read for f64 {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<f64> {
        match number(node).and_then(|number| number.as_f64()) {
            Some(n) => Some(n),
            None => reader.expected(node, "a number"),
        }
    }
}

fn number(node: &Node<'_>) -> Option<serde_json::Number> {
    let Kind::Scalar(text, Style::Plain) = &node.kind else { return None };
    match scalar::plain(text) {
        Some(serde_json::Value::Number(number)) => Some(number),
        _ => None,
    }
}

/// The schema of a wrapper is that of what it wraps.
impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// One of something, or a list of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<T: Read> Read for OneOrMany<T> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<OneOrMany<T>> {
        match &node.kind {
            Kind::List(_) => Vec::read(node, reader).map(OneOrMany),
            Kind::Scalar(..) | Kind::Map(_) | Kind::Shared(_) | Kind::Broken => {
                T::read(node, reader).map(|one| OneOrMany(vec![one]))
            }
        }
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// A map with keys of the author's choice, in the order of the file.
///
/// A key that stands twice is there twice; a value that could not be read is `None`, so that
/// its name is known all the same.
#[derive(Debug, Clone)]
pub(crate) struct Entries<T>(pub(crate) Vec<(At<String>, Option<T>)>);

impl<T> Default for Entries<T> {
    fn default() -> Entries<T> {
        Entries(Vec::new())
    }
}

impl<T: Read> Read for Entries<T> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Entries<T>> {
        let Kind::Map(entries) = &node.kind else { return reader.expected(node, "a map") };
        let read = |entry: &super::yaml::Entry<'_>| {
            (At { at: entry.at, value: entry.key.to_string() }, reader.read(&entry.value))
        };
        Some(Entries(entries.iter().map(read).collect()))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Entries{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}
