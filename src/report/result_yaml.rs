//! The result of a run as YAML: the document of `result_json`, and nothing else.
//!
//! Invariants: what a reader of YAML gets is the same document, value for value; a text
//! that could act on a terminal or a log stands in quotation marks, with escapes. A
//! document that has such a text for a name is written in YAML's flow style, as JSON.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_yaml::DoubleQuoted;

use super::sanitise;

/// The document as YAML, with a newline at its end.
///
/// # Errors
/// Only for values that YAML cannot hold, which a document of JSON has none of.
pub fn render(document: &Value) -> Result<String, serde_yaml::ser::Error> {
    // The names of a block mapping cannot be told how to be written.
    let mut text = if names_are_tame(document) {
        serde_yaml::to_string(&Node(document))?
    } else {
        format!("{document:#}")
    };
    if let std::borrow::Cow::Owned(escaped) = sanitise::yaml(&text) {
        text = escaped;
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn names_are_tame(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            fields.iter().all(|(name, value)| sanitise::is_tame(name) && names_are_tame(value))
        }
        Value::Array(items) => items.iter().all(names_are_tame),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// A value, whose texts choose how they are written.
struct Node<'a>(&'a Value);

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::String(text) => Text(text).serialize(serializer),
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(&Node(item)))?;
                list.end()
            }
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                fields.iter().try_for_each(|(name, value)| map.serialize_entry(name, &Node(value)))?;
                map.end()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => self.0.serialize(serializer),
        }
    }
}

struct Text<'a>(&'a str);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if sanitise::is_tame(self.0) {
            self.0.serialize(serializer)
        } else {
            DoubleQuoted(self.0).serialize(serializer)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::fold::RunView;
    use crate::report::result_json;
    use crate::report::sample;

    fn assert_same(document: &Value) {
        let text = render(document).unwrap();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
        assert!(!text.contains(['\u{202e}', '\u{200b}', '\u{e0041}']) && !text.contains("##["), "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
        let read: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(&read, document, "{text}");
    }

    #[test]
    fn every_run_comes_back_as_the_same_document() {
        for records in [sample::ok(), sample::mixed(), sample::dead(), sample::hostile(), sample::talk()] {
            assert_same(&result_json::document(&RunView::of(&records)));
        }
    }

    #[test]
    fn texts_that_mean_something_else_in_yaml_stay_texts() {
        let texts = [
            "yes",
            "no",
            "null",
            "~",
            "1",
            "1.0",
            "0x1f",
            "1e3",
            "2026-11-20",
            "",
            " ",
            "a: b",
            "- a",
            "#x",
            "a #b",
            "&a",
            "*a",
            "!t",
            "%x",
            "@x",
            "`x`",
            "{a",
            "[a",
            "'a'",
            "\"a\"",
            "|",
            ">",
            "a\n",
            "a\n\n",
            "\na",
            " a\nb",
            "\ta",
            "a\tb\n",
            "a \nb",
            "a\r\nb",
            "---",
            "...",
            "---\na",
            "<<",
            "=",
            ".inf",
            ".nan",
            "::x",
            "a\n::b\n",
            "\u{feff}a",
            "a\u{85}b",
            "\u{2028}",
            "🦀\u{200d}x",
            "\\U0001F980",
            "##[group]x",
            "a\n...\nb",
            "\n",
            "\n\n a\n",
        ];
        assert_same(&json!({ "texts": texts.to_vec() }));
        let tame = |text: &&&str| sanitise::is_tame(text);
        let keys: serde_json::Map<String, Value> =
            texts.iter().filter(tame).map(|text| ((*text).to_owned(), json!(text))).collect();
        assert_same(&json!({ "keys": keys }));
        let keyed: serde_json::Map<String, Value> =
            texts.iter().map(|text| ((*text).to_owned(), json!(text))).collect();
        assert_same(
            &json!({ "keys": keyed, "numbers": [0, -1, 1.5, 1e300, u64::MAX], "empty": [[], {}, null] }),
        );
    }
}
