//! The answers as a strategy sees them: voices that said something, and a census of everybody.
//!
//! Invariant: a [`Voice`] belongs to a call that succeeded and whose answer is not
//! empty; voices stand in plan order.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::census::{Census, Missing, Silent};
use super::wording::{names, one_line};
use super::{Answer, Inputs, ReconcileError};

/// Characters of a label in a name.
const LABEL: usize = 40;

/// What a strategy reads.
#[derive(Debug)]
pub struct Panel<'a> {
    /// Everything that was handed in.
    pub inputs: &'a Inputs,
    /// Who said something, in plan order.
    pub voices: Vec<Voice<'a>>,
    /// Who took part.
    pub census: Census,
    /// How people are told who each instance is.
    people: HashMap<String, String>,
}

/// One answer that counts.
#[derive(Debug, Clone)]
pub struct Voice<'a> {
    /// The instance as text: `review[2]`. Unique on a panel.
    pub call: String,
    /// How people are told who it is: its label where that says enough, else `review[2] (security)`
    /// or `review[2]`.
    pub name: String,
    /// The answer.
    pub answer: &'a Answer,
    /// What the caller's expression made of it.
    pub normalized: Option<&'a str>,
    /// The text read as JSON, once somebody asked.
    read: OnceCell<Option<Value>>,
}

impl<'a> Panel<'a> {
    /// Sorts the answers into voices, missing and empty ones.
    ///
    /// # Errors
    /// [`ReconcileError::Outside`] when `normalized` is there and does not match `answers`.
    pub fn new(inputs: &'a Inputs) -> Result<Panel<'a>, ReconcileError> {
        if let Some(normalized) = &inputs.normalized
            && normalized.len() != inputs.answers.len()
        {
            let message = format!(
                "the `normalize` expression gave {} values for {} answers",
                normalized.len(),
                inputs.answers.len()
            );
            return Err(ReconcileError::Outside { message });
        }
        let mut census = Census {
            asked: u32::try_from(inputs.answers.len()).unwrap_or(u32::MAX),
            answered: 0,
            missing: Vec::new(),
            empty: Vec::new(),
            names: BTreeMap::new(),
        };
        let people = if inputs.blind.is_some() { HashMap::new() } else { people(&inputs.answers) };
        let more = people.iter().filter(|(call, name)| call != name);
        census.names = more.map(|(call, name)| (call.clone(), name.clone())).collect();
        let blind = |position: usize| inputs.blind.as_ref().and_then(|labels| labels.get(position)).cloned();
        let mut voices = Vec::with_capacity(inputs.answers.len());
        for (position, answer) in inputs.answers.iter().enumerate() {
            let call = blind(position).unwrap_or_else(|| answer.instance.to_string());
            let label = answer.label.clone().filter(|_| inputs.blind.is_none());
            let name = people.get(&call).unwrap_or(&call).clone();
            if !answer.outcome.is_ok() {
                let cause = answer.outcome.cause.clone();
                let status = answer.outcome.status;
                census.missing.push(Missing { call, name, label, status, cause });
            } else if says_nothing(answer) {
                census.empty.push(Silent { call, name, label });
            } else {
                census.answered = census.answered.saturating_add(1);
                let normalized =
                    inputs.normalized.as_ref().and_then(|all| all.get(position)).map(String::as_str);
                voices.push(Voice { call, name, answer, normalized, read: OnceCell::new() });
            }
        }
        Ok(Panel { inputs, voices, census, people })
    }

    /// How people are told who an instance is, given as text.
    pub(super) fn name<'p>(&'p self, call: &'p str) -> &'p str {
        self.people.get(call).map_or(call, String::as_str)
    }

    /// The names of some instances, bounded.
    pub(super) fn names(&self, calls: &[String]) -> String {
        let people: Vec<&str> = calls.iter().map(|call| self.name(call)).collect();
        names(&people)
    }

    /// Who took part, for a sentence: by agent, else by instance.
    pub(super) fn who_is_here(&self) -> String {
        let mut here: Vec<String> = Vec::new();
        for answer in &self.inputs.answers {
            let own = answer.agent.clone().or_else(|| answer.outcome.agent.clone());
            let own = own.unwrap_or_else(|| answer.instance.to_string());
            if !here.contains(&own) {
                here.push(own);
            }
        }
        names(&here)
    }
}

impl Answer {
    /// The names that it goes by, the most particular first: `review[2]`, its label, `review`, the
    /// agent, the model.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = vec![self.instance.to_string()];
        names.extend(self.label.clone());
        names.push(self.instance.call.to_string());
        names.extend(self.agent.clone());
        names.extend(self.outcome.agent.clone());
        names
    }

    /// True for one of its names.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.names().iter().any(|own| own == name)
    }
}

impl Voice<'_> {
    /// The whole output as text.
    pub fn text(&self) -> &str {
        &self.answer.outcome.output.text
    }

    /// The parsed output, where the call asked for one.
    pub fn json(&self) -> Option<&Value> {
        self.answer.outcome.output.json.as_deref()
    }

    /// The parsed output; where the call asked for none, the text read as JSON if it is JSON.
    pub fn data(&self) -> Option<&Value> {
        self.json().or_else(|| self.read.get_or_init(|| parse_json(self.text())).as_ref())
    }

    /// What stands at a JSON pointer; `null` counts as nothing.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.data()?.pointer(pointer).filter(|value| !value.is_null())
    }

    /// The parsed output, or the text as a JSON string.
    pub fn value(&self) -> Value {
        self.json().cloned().unwrap_or_else(|| Value::String(self.text().to_owned()))
    }
}

/// Reads a text that is one JSON value, with or without a code fence around it.
pub(super) fn parse_json(text: &str) -> Option<Value> {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inner = inner.and_then(|fenced| fenced.split_once('\n')).map_or(text, |(_, body)| body);
    serde_json::from_str(inner.trim()).ok()
}

/// How people are told who each instance is. A label alone will do where all are instances of one
/// call and no two labels are the same.
fn people(answers: &[Answer]) -> HashMap<String, String> {
    let label = |answer: &Answer| {
        let label = answer.label.as_deref().map(|label| one_line(label, LABEL));
        label.filter(|label| !label.is_empty())
    };
    let labels: HashSet<String> = answers.iter().filter_map(label).collect();
    let one_call = answers.windows(2).all(|pair| match pair {
        [a, b] => a.instance.call == b.instance.call,
        _ => true,
    });
    let alone = one_call && labels.len() == answers.len();
    let name = |answer: &Answer| {
        let call = answer.instance.to_string();
        let name = match label(answer) {
            None => call.clone(),
            Some(label) if alone => label,
            Some(label) => format!("{call} ({label})"),
        };
        (call, name)
    };
    answers.iter().map(name).collect()
}

/// True for a success without content.
pub(super) fn says_nothing(answer: &Answer) -> bool {
    // Who changed something has answered, whatever was said.
    if answer.outcome.changes.as_ref().is_some_and(|changes| !changes.is_empty()) {
        return false;
    }
    match answer.outcome.output.json.as_deref() {
        Some(value) => is_hollow(value),
        None => answer.outcome.output.is_empty(),
    }
}

/// True for `null`, white space, `[]`, `{}` and lists and objects of only such.
fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.iter().all(is_hollow),
        Value::Object(fields) => fields.values().all(is_hollow),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{answer, failed, inputs, json_answer};
    use super::*;
    use serde_json::json;

    #[test]
    fn whoever_did_not_succeed_or_said_nothing_is_counted_apart() {
        let inputs = inputs([
            answer("a", "yes"),
            failed("b", "exit 1"),
            answer("c", " \n"),
            json_answer("d", json!({"findings": [], "note": ""})),
            json_answer("e", json!({"found": 0})),
        ]);
        let panel = Panel::new(&inputs).unwrap();
        let voices: Vec<&str> = panel.voices.iter().map(|voice| voice.call.as_str()).collect();
        assert_eq!(voices, ["a", "e"]);
        let census = serde_json::to_value(&panel.census).unwrap();
        assert_eq!(
            census,
            json!({
                "asked": 5,
                "answered": 2,
                "missing": [{"call": "b", "status": "failed", "cause": {"code": "exit_status", "message": "exit 1"}}],
                "empty": [{"call": "c"}, {"call": "d"}],
            })
        );
    }

    #[test]
    fn a_label_is_name_enough_only_where_it_says_who() {
        let labelled =
            |name: &str, label: &str| Answer { label: Some(label.to_owned()), ..answer(name, "x") };
        let named = |answers: Vec<Answer>| {
            let inputs = inputs(answers);
            let panel = Panel::new(&inputs).unwrap();
            panel.voices.iter().map(|voice| voice.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(named(vec![labelled("r[0]", "opus"), labelled("r[1]", "gpt")]), ["opus", "gpt"]);
        assert_eq!(named(vec![labelled("r[0]", "a"), labelled("r[1]", "a")]), ["r[0] (a)", "r[1] (a)"]);
        assert_eq!(named(vec![labelled("r[0]", "a"), answer("s", "x")]), ["r[0] (a)", "s"]);
    }

    #[test]
    fn an_expression_that_gave_too_few_values_is_an_error() {
        let mut inputs = inputs([answer("a", "x"), answer("b", "y")]);
        inputs.normalized = Some(vec!["x".to_owned()]);
        let message = Panel::new(&inputs).unwrap_err().to_string();
        assert_eq!(message, "the `normalize` expression gave 1 values for 2 answers");
    }
}
