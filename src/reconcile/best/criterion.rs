//! One criterion of `by`: what it reads of a candidate, and whether more or less of it is better.

use std::fmt;

use serde_json::Value;

use super::super::Answer;
use super::super::panel::Voice;
use super::super::settings::{Settings, SettingsError, kind};
use super::super::wording::counted;
use super::cross_check::Row;
use crate::unit::{Bytes, human_duration};

/// What candidates are ranked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Criterion {
    /// Its own `check` passed, or the share of marks at a pointer that say so.
    Checks { pointer: Option<String> },
    /// The number at a pointer.
    Field { pointer: String, less: bool },
    /// What it cost. Less is better.
    Cost { less: bool },
    /// How long it took. Less is better.
    Time { less: bool },
    /// How many lines it changed in a workspace of its own; without one, how many bytes the answer
    /// has. Less is better.
    Size { less: bool },
    /// How well candidates and tests agree about it.
    CrossCheck,
}

/// What a criterion found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Score {
    /// The number to compare; `None` where there is none.
    pub(super) value: Option<f64>,
    /// The same for people; empty where there is nothing to say.
    pub(super) words: String,
}

const WORDS: [&str; 5] = ["checks", "cost", "time", "size", "cross_check"];
const HELP: &str = "write `checks`, `cost`, `time`, `size`, `cross_check`, a JSON pointer such as `/score`, \
                    `{min: /score}`, or `{checks: /tests}`";

impl Criterion {
    /// Reads the key `by`: one criterion or a list; empty where the key is absent.
    pub(super) fn read(settings: &Settings<'_>) -> Result<Vec<Criterion>, SettingsError> {
        match settings.get("by") {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| Criterion::one(settings, item)).collect(),
            Some(item) => Ok(vec![Criterion::one(settings, item)?]),
        }
    }

    fn one(settings: &Settings<'_>, item: &Value) -> Result<Criterion, SettingsError> {
        if let Some(word) = item.as_str() {
            return Criterion::word(settings, word, None);
        }
        let fields = item.as_object().map(|map| map.iter().collect::<Vec<_>>()).unwrap_or_default();
        match fields.as_slice() {
            [(key, Value::String(of))] if *key == "min" => Criterion::word(settings, of, Some(true)),
            [(key, Value::String(of))] if *key == "max" => Criterion::word(settings, of, Some(false)),
            [(key, Value::String(of))] if *key == "checks" && of.starts_with('/') => {
                Ok(Criterion::Checks { pointer: Some(of.clone()) })
            }
            _ => Err(settings.error("by", format!("{} of this shape is no criterion", kind(item)), HELP)),
        }
    }

    fn word(settings: &Settings<'_>, word: &str, less: Option<bool>) -> Result<Criterion, SettingsError> {
        match (word, less) {
            ("checks", None) => Ok(Criterion::Checks { pointer: None }),
            ("cross_check", None) => Ok(Criterion::CrossCheck),
            ("checks" | "cross_check", Some(_)) => Err(settings.error(
                "by",
                format!("`{word}` has only one direction"),
                format!("write `{word}`"),
            )),
            ("cost", less) => Ok(Criterion::Cost { less: less.unwrap_or(true) }),
            ("time", less) => Ok(Criterion::Time { less: less.unwrap_or(true) }),
            ("size", less) => Ok(Criterion::Size { less: less.unwrap_or(true) }),
            (pointer, less) if pointer.starts_with('/') => {
                Ok(Criterion::Field { pointer: pointer.to_owned(), less: less.unwrap_or(false) })
            }
            (unknown, _) => Err(settings.unknown_word("by", unknown, &WORDS)),
        }
    }

    /// True when less of it is better.
    pub(super) fn wants_less(&self) -> bool {
        match self {
            Criterion::Checks { .. } | Criterion::CrossCheck => false,
            Criterion::Field { less, .. }
            | Criterion::Cost { less }
            | Criterion::Time { less }
            | Criterion::Size { less } => *less,
        }
    }

    /// What it finds. `voice` is there for a candidate that can win, `row` for one that was cross-checked.
    pub(super) fn score(&self, answer: &Answer, voice: Option<&Voice<'_>>, row: Option<&Row>) -> Score {
        let none = |words: String| Score { value: None, words };
        match self {
            Criterion::Checks { pointer: None } => {
                let passed = voice.is_some();
                let words = if passed { "succeeded" } else { "" };
                Score { value: Some(f64::from(u8::from(passed))), words: words.to_owned() }
            }
            Criterion::Checks { pointer: Some(pointer) } => {
                let marks = voice.and_then(|voice| voice.at(pointer)).map(marks).unwrap_or_default();
                if marks.is_empty() {
                    return none(format!("no checks at {pointer}"));
                }
                let passed = marks.iter().filter(|mark| **mark).count();
                Score {
                    value: Some(passed as f64 / marks.len() as f64),
                    words: format!("passes {passed} of {}", counted(marks.len(), "check")),
                }
            }
            Criterion::Field { pointer, .. } => match voice.and_then(|voice| number(voice, pointer)) {
                Some(value) => Score { value: Some(value), words: format!("{pointer} {value}") },
                None => none(format!("no number at {pointer}")),
            },
            Criterion::Cost { .. } => match answer.outcome.usage.cost {
                Some(cost) => Score { value: Some(cost.0 as f64 / 1e6), words: cost.to_string() },
                None => none("cost unknown".to_owned()),
            },
            Criterion::Time { .. } => Score {
                value: Some(answer.outcome.took.as_secs_f64()),
                words: human_duration(answer.outcome.took),
            },
            Criterion::Size { .. } => match &answer.outcome.changes {
                Some(changes) => {
                    let (added, removed) = changes.lines();
                    let words = format!("changed {}", changes.summary());
                    Score { value: Some((added + removed) as f64), words }
                }
                None => {
                    let size = answer.outcome.output.text.len() as u64;
                    Score { value: Some(size as f64), words: Bytes(size).to_string() }
                }
            },
            Criterion::CrossCheck => match row {
                Some(row) => Score { value: row.score, words: row.words.clone() },
                None => none(String::new()),
            },
        }
    }
}

impl fmt::Display for Criterion {
    /// As it is written in a plan, without the braces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = |word: &str, less: bool| if less { word.to_owned() } else { format!("max {word}") };
        match self {
            Criterion::Checks { pointer: None } => f.write_str("checks"),
            Criterion::Checks { pointer: Some(pointer) } => write!(f, "checks {pointer}"),
            Criterion::Field { pointer, less: false } => f.write_str(pointer),
            Criterion::Field { pointer, less: true } => write!(f, "min {pointer}"),
            Criterion::Cost { less } => f.write_str(&usual("cost", *less)),
            Criterion::Time { less } => f.write_str(&usual("time", *less)),
            Criterion::Size { less } => f.write_str(&usual("size", *less)),
            Criterion::CrossCheck => f.write_str("cross_check"),
        }
    }
}

/// The number at a pointer: a number, true or false as 1 or 0, or a text that is a number.
fn number(voice: &Voice<'_>, pointer: &str) -> Option<f64> {
    let value = voice.at(pointer)?;
    let number = value.as_f64().or_else(|| value.as_bool().map(|b| f64::from(u8::from(b))));
    number.or_else(|| value.as_str()?.trim().parse().ok()).filter(|number: &f64| number.is_finite())
}

/// Pass marks: a list or a map of them, or a text of `0` and `1`. Empty for anything else.
pub(super) fn marks(value: &Value) -> Vec<bool> {
    match value {
        Value::Array(items) => items.iter().map(passes).collect(),
        Value::Object(fields) => fields.values().map(passes).collect(),
        Value::String(bits) if !bits.is_empty() && bits.bytes().all(|b| b == b'0' || b == b'1') => {
            bits.bytes().map(|b| b == b'1').collect()
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// True for `true`, numbers from 1 up, `pass`, `passed` and `ok`, and for objects whose `passed` or `ok` is so.
pub(super) fn passes(mark: &Value) -> bool {
    match mark {
        Value::Bool(passed) => *passed,
        Value::Number(number) => number.as_f64().is_some_and(|n| n >= 1.0),
        Value::String(word) => ["pass", "passed", "ok", "true", "1"].contains(&word.to_lowercase().as_str()),
        Value::Object(fields) => ["passed", "ok"].iter().any(|key| fields.get(*key).is_some_and(passes)),
        Value::Null | Value::Array(_) => false,
    }
}
