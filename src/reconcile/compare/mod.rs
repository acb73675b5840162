//! `compare`: how far the answers agree. It picks nobody.
//!
//! Groups of same answers come first, then how alike the groups are, then what all
//! share, what only one has and where they differ: by field where every answer is
//! a JSON object, by item where every answer is a list, else by line.

mod diff;
mod fields;
mod spread;
mod text;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::agreement::{self, Group};
use super::normalize::Normalize;
use super::settings::{Settings, SettingsError};
use super::similarity::{self, Measure};
use super::wording::{names, one_line, rounded};
use super::{Conflict, Findings, Needs, Panel, ReconcileError, Side, Strategy};
use diff::Diff;
use fields::Fields;
use spread::Spread;

/// Groups whose likeness is measured: the matrix grows with the square of them.
const MEASURED: usize = 200;
/// How much of a free text a conflict quotes, in characters.
const QUOTED: usize = 200;

/// The strategy with its settings.
#[derive(Debug)]
pub(super) struct Compare {
    normalize: Normalize,
    measure: Measure,
    fails: bool,
    /// Whether answers may say it each in its own way: then only values that differ are in dispute.
    own_words: bool,
}

/// What was found, before it becomes JSON and text.
#[derive(Debug)]
struct Comparison<'a> {
    panel: &'a Panel<'a>,
    /// What each voice is taken to say, in plan order.
    contents: Vec<Value>,
    groups: Vec<Group>,
    measure: Measure,
    /// The likeness of each group with each, for the first [`MEASURED`] of them.
    matrix: Vec<Vec<f64>>,
    /// `None` when there is nothing to tell apart.
    differences: Option<Differences>,
    /// For two groups of texts.
    diff: Option<Diff>,
}

/// Where the answers differ, as finely as their shape allows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Differences {
    /// Every answer is a JSON object.
    Fields(Fields),
    /// Every answer is a list.
    Items(Spread),
    /// Anything else.
    Lines(Spread),
}

impl Compare {
    /// Reads the settings.
    pub(super) fn read(settings: &Map<String, Value>) -> Result<Compare, SettingsError> {
        let settings = Settings::new(settings, "", &["normalize", "similarity", "on_conflict"])?;
        let words =
            [Measure::Tokens, Measure::Lines, Measure::Exact].map(|measure| (measure.word(), measure));
        Ok(Compare {
            normalize: Normalize::read(&settings)?,
            measure: settings.word("similarity", &words)?.unwrap_or(Measure::Tokens),
            fails: settings.fails_on_conflict()?,
            own_words: false,
        })
    }

    /// The comparison before a synthesis: texts and lists that differ are what it is made of, and
    /// nothing that is in dispute.
    pub(super) fn of_texts(settings: &Map<String, Value>) -> Result<Compare, SettingsError> {
        Ok(Compare { own_words: true, ..Compare::read(settings)? })
    }

    fn compare<'a>(&self, panel: &'a Panel<'a>) -> Comparison<'a> {
        let contents: Vec<Value> = panel.voices.iter().map(|voice| self.normalize.content(voice)).collect();
        let keys = contents.iter().map(|content| self.normalize.key(content)).enumerate();
        let groups = agreement::groups(keys);
        let texts: Vec<String> = groups
            .iter()
            .take(MEASURED)
            .map(|group| contents.get(group.first()).map(as_text).unwrap_or_default())
            .map(|text| if self.measure == Measure::Lines { text } else { self.normalize.text(&text) })
            .collect();
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let matrix = similarity::matrix(self.measure, &borrowed);
        let mut comparison = Comparison {
            panel,
            contents,
            groups,
            measure: self.measure,
            matrix,
            differences: None,
            diff: None,
        };
        if comparison.groups.len() > 1 {
            let differences = self.differences(&comparison);
            if let (Differences::Lines(_), [one, other]) = (&differences, comparison.groups.as_slice()) {
                let side = |group: &Group| {
                    let name = panel.voices.get(group.first()).map(|voice| voice.name.clone());
                    let text = comparison.contents.get(group.first()).map(as_text);
                    (name.unwrap_or_default(), text.unwrap_or_default())
                };
                comparison.diff = Some(Diff::between(side(one), side(other)));
            }
            comparison.differences = Some(differences);
        }
        comparison
    }

    fn differences(&self, comparison: &Comparison<'_>) -> Differences {
        let voices = comparison.panel.voices.iter().zip(&comparison.contents);
        let said: Vec<(&str, &Value)> = voices.map(|(voice, value)| (voice.call.as_str(), value)).collect();
        if said.iter().all(|(_, value)| value.is_object()) {
            return Differences::Fields(Fields::of(&said, &self.normalize));
        }
        if said.iter().all(|(_, value)| value.is_array()) {
            return Differences::Items(Spread::of_lists(&said, &self.normalize));
        }
        let texts: Vec<(&str, String)> = said.iter().map(|(call, value)| (*call, as_text(value))).collect();
        Differences::Lines(Spread::of_lines(&texts, &self.normalize))
    }
}

impl Strategy for Compare {
    fn needs(&self) -> Needs {
        Needs { expression: self.normalize.expression.clone(), ..Needs::default() }
    }

    fn reconcile(&self, panel: &Panel<'_>) -> Result<Findings, ReconcileError> {
        let comparison = self.compare(panel);
        let mut conflicts = comparison.conflicts();
        if self.own_words {
            conflicts.retain(contradicts);
        }
        let failure = match conflicts.as_slice() {
            [first, ..] if self.fails => Some(match conflicts.len() {
                1 => first.message.clone(),
                many => format!("{}; and {} more conflicts", first.message, many - 1),
            }),
            _ => None,
        };
        let text = text::write(&comparison);
        Ok(Findings { json: comparison.json(), text, conflicts, failure })
    }
}

impl Comparison<'_> {
    /// Who is in a group.
    fn calls(&self, group: &Group) -> Vec<String> {
        let voices = group.members.iter().filter_map(|member| self.panel.voices.get(*member));
        voices.map(|voice| voice.call.clone()).collect()
    }

    /// The share of the largest group; 1 for a single answer.
    fn agreement(&self) -> f64 {
        let largest = self.groups.first().map_or(0, |group| group.members.len());
        largest as f64 / self.contents.len().max(1) as f64
    }

    fn json(&self) -> Map<String, Value> {
        let groups: Vec<Value> = self
            .groups
            .iter()
            .map(|group| {
                let by = self.calls(group);
                json!({ "size": by.len(), "by": by, "value": self.contents.get(group.first()) })
            })
            .collect();
        let matrix: Vec<Vec<f64>> =
            self.matrix.iter().map(|row| row.iter().copied().map(rounded).collect()).collect();
        let mut json = Map::new();
        json.insert("agreement".to_owned(), json!(rounded(self.agreement())));
        json.insert("groups".to_owned(), Value::Array(groups));
        json.insert("similarity".to_owned(), json!({ "by": self.measure.word(), "matrix": matrix }));
        if let Some(differences) = &self.differences {
            json.insert("differences".to_owned(), json!(differences));
        }
        if let Some(diff) = &self.diff {
            json.insert("diff".to_owned(), json!(diff));
        }
        json
    }

    /// One conflict for each field with two values, or one for the whole answer.
    fn conflicts(&self) -> Vec<Conflict> {
        match &self.differences {
            None => Vec::new(),
            Some(Differences::Fields(fields)) => fields.conflicts(),
            Some(Differences::Items(_) | Differences::Lines(_)) => {
                let side = |group: &Group| Side {
                    value: self.contents.get(group.first()).map(quoted).unwrap_or_default(),
                    by: self.calls(group),
                };
                let sides: Vec<Side> = self.groups.iter().map(side).collect();
                let largest = self.groups.first().map(|group| self.calls(group)).unwrap_or_default();
                let message = match largest.len() {
                    1 => format!("no two of {} answers are the same", self.contents.len()),
                    size => format!(
                        "{} answers fall into {} groups; the largest holds {size}: {}",
                        self.contents.len(),
                        self.groups.len(),
                        names(&largest)
                    ),
                };
                vec![Conflict {
                    pointer: String::new(),
                    about: "the whole answer".to_owned(),
                    sides,
                    message,
                }]
            }
        }
    }
}

/// True where one side being right makes the others wrong: values do, while texts and lists may all hold.
fn contradicts(conflict: &Conflict) -> bool {
    let whole = conflict.pointer.is_empty();
    let is_value = |value: &Value| match value {
        Value::String(text) => !whole && text.len() <= QUOTED && !text.contains('\n'),
        Value::Array(_) => !whole,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    };
    conflict.sides.iter().all(|side| is_value(&side.value))
}

/// A text as it stands, anything else as indented JSON.
fn as_text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()),
    }
}

/// A value as a conflict quotes it: a long text cut short, anything else whole.
fn quoted(value: &Value) -> Value {
    match value.as_str() {
        Some(text) if text.chars().count() > QUOTED => Value::String(one_line(text, QUOTED)),
        Some(_) | None => value.clone(),
    }
}

#[cfg(test)]
mod tests;
