//! A plan's recorded answers as a file beside it, and how two results differ.
//!
//! Invariants: no secret that is known here gets into the file, since it is made to be shared; what is
//! compared is what people and programs see of a result, and nothing of how long it took.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use similar::TextDiff;

use super::replay::Played;
use super::{Complaint, exit};
use crate::id::RunId;
use crate::journal::Recording;
use crate::report::fold::RunView;
use crate::report::redact::Redactor;
use crate::report::result_json;

/// How the file's name ends: `review.yaml` has `review.recorded.json`.
pub const ENDING: &str = ".recorded.json";

/// The version of the file's shape; a higher one is refused.
const FORMAT: u32 = 1;

/// Keys of a call's or an instance's end that are compared.
const COMPARED: [&str; 5] = ["status", "cause", "output", "json", "exit"];

/// The file; docs/recorded.schema.json is its schema.
#[derive(Debug, Serialize, Deserialize)]
pub struct Recorded {
    format: u32,
    fanout: String,
    /// The run's name: templates can read it.
    run: RunId,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    vars: Map<String, Value>,
    /// The result, as [`expectation`] gives it.
    expected: Value,
    #[serde(flatten)]
    recording: Recording,
}

/// The file beside a plan.
pub fn beside(plan: &Path) -> PathBuf {
    plan.with_extension(&ENDING[1..])
}

impl Recorded {
    /// What a run of a plan came to.
    pub fn new(run: &RunId, vars: &Map<String, Value>, recording: Recording, view: &RunView) -> Recorded {
        Recorded {
            format: FORMAT,
            fanout: env!("CARGO_PKG_VERSION").to_owned(),
            run: run.clone(),
            vars: vars.clone(),
            expected: expectation(view),
            recording,
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Complaint`] when it is not there, is no such file, or was written by a later version.
    pub fn read(file: &Path) -> Result<Recorded, Complaint> {
        let shown = file.display();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Complaint::usage(format!("cannot read {shown}: {error}")))?;
        let version = serde_json::from_str::<Value>(&text).ok();
        let version = version.as_ref().and_then(|value| value["format"].as_u64());
        if let Some(version) = version.filter(|version| *version > u64::from(FORMAT)) {
            return Err(Complaint::usage(format!(
                "{shown} has format {version}; this is fanout {}, which reads formats up to {FORMAT}",
                env!("CARGO_PKG_VERSION")
            )));
        }
        serde_json::from_str(&text).map_err(|error| {
            Complaint::usage(format!(
                "{shown} is no file of recorded answers: {error}; `fanout test --update PLAN` writes one"
            ))
        })
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`Complaint`] when an answer holds a secret, which has no place in a file that is shared, or when
    /// it cannot be written.
    pub fn write(&self, file: &Path, redactor: &Redactor) -> Result<(), Complaint> {
        let wrong = |error: &dyn std::fmt::Display| Complaint {
            code: exit::STORAGE,
            message: format!("cannot write {}: {error}", file.display()),
        };
        for answered in self.recording.answers() {
            let text = serde_json::to_string(answered).map_err(|error| wrong(&error))?;
            if redactor.text(&text).is_some() {
                let message = format!(
                    "the answer of `{}` holds a secret of this environment; {} is made to be shared, so it \
                     was not written. Have the call keep it to itself, and record anew",
                    answered.instance,
                    file.display()
                );
                return Err(Complaint { code: exit::FORBIDDEN, message });
            }
        }
        let mut text = serde_json::to_string_pretty(self).map_err(|error| wrong(&error))?;
        if redactor.text(&text).is_some() {
            let message = format!("{} would hold a secret of this environment; not written", file.display());
            return Err(Complaint { code: exit::FORBIDDEN, message });
        }
        text.push('\n');
        super::report::write_whole(file, &text).map_err(|error| wrong(&error))
    }

    /// The result that is expected.
    pub fn expected(&self) -> &Value {
        &self.expected
    }

    /// The values that its plan was given.
    pub fn vars(&self) -> &Map<String, Value> {
        &self.vars
    }

    /// How many answers it holds, those of the parent's model and programs included.
    pub fn count(&self) -> usize {
        self.recording.answers().len() + self.recording.steps().len()
    }

    /// It as what can be played.
    pub fn played(self, file: &Path, remedy: &str) -> Played {
        Played {
            run: self.run,
            dir: file.parent().unwrap_or(Path::new("")).to_owned(),
            recording: self.recording,
            vars: self.vars,
            source: file.display().to_string(),
            remedy: remedy.to_owned(),
        }
    }
}

/// What is compared of a result: the verdict, how each call ended with what, the reconciled result.
pub fn expectation(view: &RunView) -> Value {
    let document = result_json::document(view);
    let end = |end: &Value| -> Map<String, Value> {
        let keys = ["id", "label"].into_iter().chain(COMPARED);
        let there = keys.filter(|key| !end[*key].is_null() && end[*key] != json!(""));
        there.map(|key| (key.to_owned(), end[key].clone())).collect()
    };
    let calls = document["calls"].as_array().map_or(&[][..], Vec::as_slice);
    // What a subagent did is inside of its call's answer.
    let is_subagent = |call: &Value| {
        let outer = call["id"].as_str().and_then(|id| id.rsplit_once('.')).map(|(outer, _)| outer);
        let outer = outer.map(|outer| outer.split_once('[').map_or(outer, |(call, _)| call));
        outer.is_some_and(|outer| calls.iter().any(|call| call["id"] == *outer && call["kind"] == "prompt"))
    };
    let calls = calls.iter().filter(|call| !is_subagent(call)).map(|call| {
        let mut shown = end(call);
        if let Some(instances) = call["instances"].as_array() {
            shown.insert("instances".to_owned(), instances.iter().map(end).collect());
        }
        Value::Object(shown)
    });
    json!({
        "success": document["success"],
        "exit": document["exit"],
        "calls": calls.collect::<Vec<_>>(),
        "reconcile": document["reconcile"],
    })
}

/// One thing that is not as it is expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What: `verdict`, `review[2] output`, `reconcile text`.
    pub at: String,
    /// What it should be, as text; `None` where nothing should be there.
    pub expected: Option<String>,
    /// What it is.
    pub found: Option<String>,
}

/// All differences between two results.
pub fn differences(expected: &Value, found: &Value) -> Vec<Difference> {
    let mut all = Vec::new();
    let verdict = |result: &Value| {
        let word = if result["success"] == json!(true) { "success" } else { "failure" };
        format!("{word}, exit status {}", result["exit"])
    };
    push(&mut all, "verdict", Some(verdict(expected)), Some(verdict(found)));
    lists(&mut all, &expected["calls"], &found["calls"]);
    for key in ["status", "cause", "text", "json"] {
        // The text says the same for people.
        if key == "json" && expected["reconcile"]["text"] != found["reconcile"]["text"] {
            continue;
        }
        let (was, is) = (&expected["reconcile"][key], &found["reconcile"][key]);
        push(&mut all, &format!("reconcile {key}"), as_text(was), as_text(is));
    }
    all
}

fn lists(all: &mut Vec<Difference>, expected: &Value, found: &Value) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (expected, found) = (list(expected), list(found));
    let name = |end: &Value| end["id"].as_str().unwrap_or_default().to_owned();
    let named = |list: &[Value], id: &str| list.iter().find(|end| end["id"] == *id).cloned();
    let new = found.iter().filter(|end| named(&expected, &name(end)).is_none());
    for end in expected.iter().chain(new) {
        let id = name(end);
        let (was, is) = (named(&expected, &id), named(&found, &id));
        let (Some(was), Some(is)) = (&was, &is) else {
            let status = |end: &Option<Value>| end.as_ref().and_then(|end| as_text(&end["status"]));
            let there = |end: &Option<Value>| {
                end.is_some().then(|| status(end).unwrap_or_else(|| "there".to_owned()))
            };
            push(all, &id, there(&was), there(&is));
            continue;
        };
        for key in COMPARED {
            if key == "json" && was["output"] != is["output"] {
                continue;
            }
            push(all, &format!("{id} {key}"), as_text(&was[key]), as_text(&is[key]));
        }
        lists(all, &was["instances"], &is["instances"]);
    }
}

fn push(all: &mut Vec<Difference>, at: &str, expected: Option<String>, found: Option<String>) {
    if expected != found {
        all.push(Difference { at: at.to_owned(), expected, found });
    }
}

/// A value as people compare it: a cause is its message, a text stands for itself.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(map) if map.len() == 2 && map.contains_key("code") => {
            map.get("message").and_then(Value::as_str).map(str::to_owned)
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(format!("{value:#}")),
    }
}

impl Difference {
    /// The two as lines: a diff of what is long, both of what is short.
    pub fn lines(&self) -> Vec<(char, String)> {
        let (was, is) = (self.expected.as_deref(), self.found.as_deref());
        let mark = |mark: char, text: Option<&str>| {
            let text = text.unwrap_or("(nothing)").to_owned();
            text.lines().map(|line| (mark, line.to_owned())).collect::<Vec<_>>()
        };
        match (was, is) {
            (Some(was), Some(is)) if was.lines().count() > 1 || is.lines().count() > 1 => {
                let (was, is) = (format!("{}\n", was.trim_end()), format!("{}\n", is.trim_end()));
                let diff = TextDiff::from_lines(&was, &is);
                let unified = diff.unified_diff().context_radius(2).to_string();
                let lines = unified.lines().map(|line| {
                    let mark = line.chars().next().unwrap_or(' ');
                    (mark, line.get(mark.len_utf8()..).unwrap_or_default().to_owned())
                });
                lines.collect()
            }
            _ => [mark('-', was), mark('+', is)].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(output: &str, status: &str) -> Value {
        let ok = status == "ok";
        json!({
            "success": ok,
            "exit": u8::from(!ok),
            "calls": [
                {"id": "a", "status": "ok", "output": "same"},
                {"id": "b", "instances": [{"id": "b[0]", "status": status, "output": output}]},
            ],
            "reconcile": {"status": "ok", "text": "t", "json": {"n": 1}},
        })
    }

    #[test]
    fn equal_results_have_no_differences_and_each_difference_says_where() {
        let one = result("1\n2\n3\n4\n5\n6\nx", "ok");
        assert_eq!(differences(&one, &one), []);
        let other = result("1\n2\n3\n4\n5\n6\ny", "failed");
        let found = differences(&one, &other);
        let at: Vec<&str> = found.iter().map(|difference| difference.at.as_str()).collect();
        assert_eq!(at, ["verdict", "b[0] status", "b[0] output"]);
        let lines: Vec<String> =
            found[2].lines().iter().map(|(mark, line)| format!("{mark}{line}")).collect();
        assert_eq!(lines, ["@@ -5,3 +5,3 @@", " 5", " 6", "-x", "+y"]);
    }

    #[test]
    fn a_call_that_came_or_went_is_a_difference() {
        let (mut one, other) = (result("x", "ok"), result("x", "ok"));
        one["calls"][0]["id"] = json!("old");
        let found = differences(&one, &other);
        assert_eq!(
            found
                .iter()
                .map(|d| (d.at.as_str(), d.expected.as_deref(), d.found.as_deref()))
                .collect::<Vec<_>>(),
            [("old", Some("ok"), None), ("a", None, Some("ok"))]
        );
    }
}
