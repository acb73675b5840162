//! A field on which the members of an item disagree, and what is done about it.
//!
//! Invariant: every value that somebody gave is on some side, with who gave it; a
//! dispute is settled only by somebody whom the plan prefers.

use serde_json::Value;

use super::super::Panel;
use super::super::normalize::Normalize;
use super::super::settings::{Settings, SettingsError, kind};

/// The key `on_conflict`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum OnConflict {
    /// Lists them.
    #[default]
    Report,
    /// Makes the step fail.
    Fail,
    /// The first of these who says something has the last word.
    Prefer(Vec<String>),
}

const WORDS: [&str; 2] = ["report", "fail"];
const HELP: &str = "write `report`, `fail`, or `{prefer: [agent, …]}`";

impl OnConflict {
    /// Reads it.
    pub(super) fn read(settings: &Settings<'_>) -> Result<OnConflict, SettingsError> {
        match settings.get("on_conflict") {
            None => Ok(OnConflict::Report),
            Some(Value::String(word)) => match word.as_str() {
                "report" => Ok(OnConflict::Report),
                "fail" => Ok(OnConflict::Fail),
                word => Err(settings.unknown_word("on_conflict", word, &WORDS)),
            },
            Some(Value::Object(map)) => {
                let inner = Settings::new(map, "on_conflict.", &["prefer"])?;
                let names: Vec<&Value> = match inner.get("prefer") {
                    None => Vec::new(),
                    Some(Value::Array(names)) => names.iter().collect(),
                    Some(name) => vec![name],
                };
                let names: Option<Vec<String>> =
                    names.into_iter().map(|name| name.as_str().map(str::to_owned)).collect();
                match names {
                    Some(names) if !names.is_empty() => Ok(OnConflict::Prefer(names)),
                    Some(_) | None => Err(inner.error("prefer", "it names nobody", HELP)),
                }
            }
            Some(other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_))) => {
                Err(settings.error("on_conflict", format!("{} is no rule", kind(other)), HELP))
            }
        }
    }

    /// Refuses a preference for somebody who was not asked.
    pub(super) fn check(&self, panel: &Panel<'_>) -> Result<(), SettingsError> {
        let OnConflict::Prefer(names) = self else { return Ok(()) };
        let here = |name: &String| panel.inputs.answers.iter().any(|answer| answer.is_called(name));
        match names.iter().find(|name| !here(name)) {
            None => Ok(()),
            Some(name) => Err(SettingsError {
                key: "on_conflict.prefer".to_owned(),
                message: format!("nobody here is called `{name}`"),
                help: format!("write an agent, model, call or label; here are {}", panel.who_is_here()),
            }),
        }
    }
}

/// One value of a field and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Position<'a> {
    pub(super) value: &'a Value,
    /// Voices, as positions on the panel, ascending.
    pub(super) by: Vec<usize>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ruling {
    /// All who say something say the same.
    Agreed,
    /// They do not; the value that stands for now is the most widely held.
    Open,
    /// They do not, and this voice has the last word.
    Settled(usize),
}

/// The values that voices give, the most widely held first, then the first said; `null` says nothing.
pub(super) fn positions<'a>(
    said: impl IntoIterator<Item = (usize, &'a Value)>,
    normalize: &Normalize,
) -> Vec<Position<'a>> {
    let mut positions: Vec<(String, Position<'a>)> = Vec::new();
    for (voice, value) in said {
        if value.is_null() {
            continue;
        }
        let key = normalize.key(value);
        match positions.iter_mut().find(|(own, _)| *own == key) {
            None => positions.push((key, Position { value, by: vec![voice] })),
            Some((_, position)) => {
                if !position.by.contains(&voice) {
                    position.by.push(voice);
                }
            }
        }
    }
    let mut positions: Vec<Position<'a>> = positions.into_iter().map(|(_, position)| position).collect();
    positions.iter_mut().for_each(|position| position.by.sort_unstable());
    positions.sort_by_key(|position| std::cmp::Reverse(position.by.len()));
    positions
}

/// Whose value stands, as a position in `positions`, and what came of the dispute.
pub(super) fn rule(
    positions: &[Position<'_>],
    on_conflict: &OnConflict,
    panel: &Panel<'_>,
) -> (usize, Ruling) {
    if positions.len() < 2 {
        return (0, Ruling::Agreed);
    }
    let preferred: &[String] = match on_conflict {
        OnConflict::Prefer(names) => names,
        OnConflict::Report | OnConflict::Fail => &[],
    };
    for name in preferred {
        let is_called = |voice: &usize| panel.voices.get(*voice).is_some_and(|v| v.answer.is_called(name));
        for (at, position) in positions.iter().enumerate() {
            if let Some(voice) = position.by.iter().find(|voice| is_called(voice)) {
                return (at, Ruling::Settled(*voice));
            }
        }
    }
    (0, Ruling::Open)
}
