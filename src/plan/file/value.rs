//! What stands behind a key: texts with templates, commands, quantities, data.
//!
//! Invariant: a quantity is read with its unit or not at all; a text keeps what is
//! needed to find a place inside it.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::super::code;
use super::super::diagnostic::{Diagnostic, Span};
use super::super::read::{At, OneOrMany, Read, Reader};
use super::super::record::record;
use super::super::scalar;
use super::super::yaml::{Kind, Node, Style};
use crate::plan::Quantity;
use crate::unit::{self, Bytes, Rate, Tokens, UnitError};

/// A text that may hold templates, or an expression.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    /// Where.
    pub(crate) at: Span,
    /// The text that the scalar stands for.
    pub(crate) text: String,
    /// How it is written.
    pub(crate) style: Style,
}

impl Read for Text {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Text> {
        match &node.kind {
            Kind::Scalar(text, Style::Plain) if scalar::plain(text) == Some(Value::Null) => {
                reader.expected(node, "a text")
            }
            Kind::Scalar(text, style) => Some(Text { at: node.at, text: text.to_string(), style: *style }),
            Kind::List(_) | Kind::Map(_) | Kind::Shared(_) | Kind::Broken => reader.expected(node, "a text"),
        }
    }
}

/// A text, or the file that holds it.
#[derive(Debug, Clone)]
pub(crate) enum PromptText {
    /// The text itself.
    Text(Text),
    /// `{file: prompts/x.md}`.
    File(At<String>),
}

record! {
    /// A file with a text.
    struct FileRef {
        /// Its path, relative to the folder of the file that this stands in, and beneath it.
        file: String = required,
    }
}

impl Read for PromptText {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<PromptText> {
        let Kind::Map(_) = &node.kind else { return Text::read(node, reader).map(PromptText::Text) };
        let file = FileRef::read(node, reader)?.file?;
        Some(PromptText::File(At { at: file.at, value: file.value }))
    }
}

/// A command: text for `sh -c`, or a program with its arguments.
#[derive(Debug, Clone)]
pub(crate) enum CommandText {
    /// Run by `sh -c`.
    Shell(Text),
    /// Run as it is.
    Argv(At<Vec<Text>>),
}

impl Read for CommandText {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<CommandText> {
        match &node.kind {
            Kind::List(_) => At::read(node, reader).map(CommandText::Argv),
            Kind::Map(_) => reader.expected(node, "a command: a text for the shell, or a list"),
            Kind::Scalar(..) | Kind::Shared(_) | Kind::Broken => {
                Text::read(node, reader).map(CommandText::Shell)
            }
        }
    }
}

/// A check: a command, or a question to the parent's model.
#[derive(Debug, Clone)]
pub(crate) enum CheckText {
    /// A command that must exit 0.
    Command(CommandText),
    /// `{command: …, protect: …}`, or `{ask: …}`.
    Full(Box<CheckFile>),
}

record! {
    /// A command that must exit 0, or a question to the parent's model, answered with yes or no.
    struct CheckFile {
        /// The command.
        command: CommandText,
        /// Globs of files, from the repository's root, that are as they were before the call when the command runs; what the call did to them does not count.
        protect: OneOrMany<At<String>>,
        /// The question.
        ask: Text,
    }
}

impl Read for CheckText {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<CheckText> {
        let Kind::Map(_) = &node.kind else {
            return CommandText::read(node, reader).map(CheckText::Command);
        };
        Box::<CheckFile>::read(node, reader).map(CheckText::Full)
    }
}

/// Data as it stands in the plan, each part with its place.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    /// Where.
    pub(crate) at: Span,
    /// What.
    pub(crate) kind: DataKind,
}

/// What a piece of data is.
#[derive(Debug, Clone)]
pub(crate) enum DataKind {
    /// Null, a boolean or a number.
    Value(Value),
    /// A text.
    Text(Text),
    /// A list.
    List(Vec<Data>),
    /// A map; no key stands twice.
    Map(Vec<(At<String>, Data)>),
}

impl Data {
    /// As JSON; texts as they stand, templates and all.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            DataKind::Value(value) => value.clone(),
            DataKind::Text(text) => Value::String(text.text.clone()),
            DataKind::List(items) => items.iter().map(Data::to_json).collect(),
            DataKind::Map(entries) => {
                entries.iter().map(|(key, value)| (key.value.clone(), value.to_json())).collect()
            }
        }
    }

    /// The value of a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Data> {
        let DataKind::Map(entries) = &self.kind else { return None };
        entries.iter().find(|(name, _)| name.value == key).map(|(_, value)| value)
    }

    /// True where some text in it holds a template.
    pub(crate) fn has_templates(&self) -> bool {
        match &self.kind {
            DataKind::Value(_) => false,
            DataKind::Text(text) => text.text.contains("{{") || text.text.contains("{%"),
            DataKind::List(items) => items.iter().any(Data::has_templates),
            DataKind::Map(entries) => entries.iter().any(|(_, value)| value.has_templates()),
        }
    }
}

impl Read for Data {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Data> {
        let kind = match &node.kind {
            Kind::Scalar(text, Style::Plain) => match scalar::plain(text) {
                Some(Value::String(_)) => DataKind::Text(Text::read(node, reader)?),
                Some(value) => DataKind::Value(value),
                None => return reader.expected(node, "a number that JSON has (quote it to make it a text)"),
            },
            Kind::Scalar(text, style) => {
                DataKind::Text(Text { at: node.at, text: text.to_string(), style: *style })
            }
            Kind::List(items) => DataKind::List(items.iter().filter_map(|item| reader.read(item)).collect()),
            Kind::Map(entries) => {
                let mut map: Vec<(At<String>, Data)> = Vec::with_capacity(entries.len());
                for entry in entries {
                    // A key that stands twice was reported.
                    if let Some(value) = reader.read(&entry.value) {
                        map.push((At { at: entry.at, value: entry.key.to_string() }, value));
                    }
                }
                DataKind::Map(map)
            }
            Kind::Shared(_) | Kind::Broken => return None,
        };
        Some(Data { at: node.at, kind })
    }
}

/// A number of something, or a share of it: `2`, `80%`.
impl Read for Quantity {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Quantity> {
        let Kind::Scalar(text, style) = &node.kind else { return reader.expected(node, QUANTITY) };
        if let Some(percent) = text.trim().strip_suffix('%') {
            return match percent.trim().parse::<f64>() {
                Ok(share) if (0.0..=100.0).contains(&share) => Some(Quantity::Share(share / 100.0)),
                _ => reader.expected(node, QUANTITY),
            };
        }
        match (*style, scalar::plain(text)) {
            (Style::Plain, Some(Value::Number(number))) if number.is_u64() => {
                u32::read(node, reader).map(Quantity::Count)
            }
            _ => reader.expected(node, QUANTITY),
        }
    }
}

const QUANTITY: &str = "a number such as `2`, or a share such as `80%`";

macro_rules! quantity {
    ($(#[doc = $doc:literal])* $name:ident($inner:ty), $read:path, $expected:literal, $pattern:literal) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name(pub(crate) $inner);

        impl Read for $name {
            fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<$name> {
                quantity(node, reader, $expected, $read).map($name)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

quantity! {
    /// A length of time.
    Time(Duration), unit::duration, "a length of time such as `5s`, `10m` or `2h`",
    r"^([0-9._]+\s*(ms|s|sec|m|min|h|d)\s*)+$"
}
quantity! {
    /// A number of tokens.
    TokenCount(Tokens), unit::tokens, "a number of tokens such as `64k` or `2M`", r"^[0-9._]+\s*[kKM]$"
}
quantity! {
    /// A number of bytes.
    ByteCount(Bytes), unit::bytes, "a size such as `64KiB` or `2MiB`",
    r"^[0-9._]+\s*(B|KiB|MiB|GiB|kB|KB|MB|GB)$"
}
quantity! {
    /// So many per time.
    PerTime(Rate), unit::rate, "a rate such as `60/min` or `200k/min`", r"^[0-9._]+\s*[kKM]?/\s*[a-z]+$"
}

fn quantity<T>(
    node: &Node<'_>,
    reader: &mut Reader<'_>,
    expected: &str,
    read: fn(&str) -> Result<T, UnitError>,
) -> Option<T> {
    let Kind::Scalar(text, style) = &node.kind else { return reader.expected(node, expected) };
    let nothing = *style == Style::Plain && scalar::plain(text) == Some(Value::Null);
    if nothing || text.contains("{{") {
        return reader.expected(node, expected);
    }
    match read(text) {
        Ok(quantity) => Some(quantity),
        Err(error) => {
            let fault = Diagnostic::error(code::UNIT, node.at, error.problem);
            reader.fault(fault.help(format!("write {}", error.example)));
            None
        }
    }
}

macro_rules! plain_schema {
    ($($type:ty: $name:literal = $schema:tt;)*) => {
        $(impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        })*
    };
}

plain_schema! {
    Text: "Text" = { "type": ["string", "number", "boolean"] };
    CommandText: "CommandText" = {
        "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": ["string", "number", "boolean"] }, "minItems": 1 }
        ]
    };
    Data: "Data" = {};
    Quantity: "Quantity" = {
        "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^[0-9.]+\\s*%$" }]
    };
}

macro_rules! either_schema {
    ($($type:ident = $one:ty, $other:ty;)*) => {
        $(impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let one = generator.subschema_for::<$one>();
                let other = generator.subschema_for::<$other>();
                json_schema!({ "anyOf": [one, other] })
            }
        })*
    };
}

either_schema! {
    PromptText = Text, FileRef;
    CheckText = CommandText, CheckFile;
}
