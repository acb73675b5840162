//! `command`: the person's own program reconciles. This file knows what it reads and what it prints.
//!
//! The format of both is a contract, written down in docs/reconcile-command.md.
//! Running the program is the caller's business.

use serde_json::{Map, Value, json};

use super::collect::entry;
use super::settings::{Settings, SettingsError};
use super::{Conflict, Findings, Needs, Panel, ReconcileError, Side, Strategy};

/// The version of the format on standard input.
const FORMAT: u32 = 1;

/// The strategy; its program is the step's `command`, which is no setting.
#[derive(Debug)]
pub(super) struct Command;

impl Command {
    /// Reads the settings: there are none.
    pub(super) fn read(settings: &Map<String, Value>) -> Result<Command, SettingsError> {
        Settings::new(settings, "", &[]).map(|_| Command)
    }
}

impl Strategy for Command {
    fn needs(&self) -> Needs {
        Needs { program: true, ..Needs::default() }
    }

    /// None: the program sees the census and decides itself.
    fn least(&self) -> u32 {
        0
    }

    fn reconcile(&self, panel: &Panel<'_>) -> Result<Findings, ReconcileError> {
        let Some(printed) = panel.inputs.program_output.as_deref() else {
            return Err(ReconcileError::Outside { message: "the program was not run".to_owned() });
        };
        Ok(findings(printed))
    }
}

/// What a program gets on standard input.
pub(super) fn input(panel: &Panel<'_>) -> Value {
    let results: Vec<Value> = panel.inputs.answers.iter().map(entry).collect();
    json!({
        "format": FORMAT,
        "goal": panel.inputs.goal,
        "census": panel.census,
        "results": results,
    })
}

/// What a program printed, as the result. Never fails: text that is no JSON is a text.
fn findings(printed: &str) -> Findings {
    let trimmed = printed.trim();
    let Ok(value) = serde_json::from_str::<Value>(trimmed) else {
        let json = Map::from_iter([("result".to_owned(), json!(trimmed))]);
        return Findings { json, text: trimmed.to_owned(), ..Findings::default() };
    };
    let pretty = serde_json::to_string_pretty(&value).unwrap_or_else(|_| trimmed.to_owned());
    match value {
        Value::Object(mut own) => {
            let conflicts = own.remove("conflicts").map_or_else(Vec::new, |listed| conflicts(&listed));
            let text = own.get("text").and_then(Value::as_str).map_or(pretty, str::to_owned);
            Findings { json: own, text, conflicts, failure: None }
        }
        Value::String(text) => {
            let json = Map::from_iter([("result".to_owned(), json!(text))]);
            Findings { json, text, ..Findings::default() }
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
            let json = Map::from_iter([("result".to_owned(), other)]);
            Findings { json, text: pretty, ..Findings::default() }
        }
    }
}

/// The conflicts that a program lists. An entry in another shape is kept whole, as its own message.
fn conflicts(listed: &Value) -> Vec<Conflict> {
    let Value::Array(items) = listed else { return vec![as_it_stands(listed)] };
    items.iter().map(|item| conflict(item).unwrap_or_else(|| as_it_stands(item))).collect()
}

fn as_it_stands(value: &Value) -> Conflict {
    let message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Conflict {
        pointer: String::new(),
        about: "reported by the program".to_owned(),
        sides: Vec::new(),
        message,
    }
}

fn conflict(item: &Value) -> Option<Conflict> {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let message = item.get("message")?.as_str()?.to_owned();
    let sides = item.get("sides").and_then(Value::as_array).into_iter().flatten();
    let sides = sides.map(|side| Side {
        value: side.get("value").cloned().unwrap_or_default(),
        by: side
            .get("by")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|who| who.as_str().map(str::to_owned))
            .collect(),
    });
    Some(Conflict { pointer: text("pointer"), about: text("about"), sides: sides.collect(), message })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{answer, inputs};
    use super::super::{Inputs, needs, program_input, reconcile};
    use super::*;

    fn printed(text: &str) -> super::super::Reconciled {
        let inputs = Inputs { program_output: Some(text.into()), ..inputs([answer("a", "x")]) };
        reconcile("command", &Map::new(), &inputs).unwrap()
    }

    #[test]
    fn the_program_reads_goal_census_and_results() {
        let inputs = Inputs { goal: Some("Decide.".to_owned()), ..inputs([answer("a", "x")]) };
        assert!(needs("command", &Map::new()).unwrap().program);
        assert_eq!(
            program_input("command", &Map::new(), &inputs).unwrap(),
            json!({
                "format": 1,
                "goal": "Decide.",
                "census": {"asked": 1, "answered": 1, "missing": [], "empty": []},
                "results": [{"call": "a", "description": "a", "status": "ok", "output": "x"}],
            })
        );
    }

    #[test]
    fn an_object_that_it_prints_is_the_result_with_the_census_added() {
        let result = printed(
            r#"{"winner": "a", "text": "a wins", "conflicts": [{"pointer": "/x", "about": "x", "message": "a and b differ", "sides": [{"value": 1, "by": ["a"]}]}, "odd"]}"#,
        );
        assert_eq!(result.text, "a wins");
        assert_eq!(result.json["winner"], json!("a"));
        assert_eq!(result.json["census"]["answered"], json!(1));
        assert_eq!(result.conflicts.len(), 2);
        assert_eq!(result.conflicts[0].sides, [Side { value: json!(1), by: vec!["a".to_owned()] }]);
        assert_eq!(result.conflicts[1].message, "odd");
    }

    #[test]
    fn a_program_cannot_write_its_own_census() {
        let result = printed(r#"{"strategy": "magic", "census": {"asked": 0}}"#);
        assert_eq!(result.json["strategy"], json!("command"));
        assert_eq!(result.json["census"]["asked"], json!(1));
    }

    #[test]
    fn text_that_it_prints_is_the_result_as_it_stands() {
        let result = printed("revert a3f2b1\n");
        assert_eq!(
            (result.text.as_str(), &result.json["result"]),
            ("revert a3f2b1", &json!("revert a3f2b1"))
        );
    }
}
