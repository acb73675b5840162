//! `collect`: every result, labelled, in plan order. It judges nothing.

use serde_json::{Map, Value, json};

use super::settings::{Settings, SettingsError};
use super::{Answer, Findings, Panel, ReconcileError, Strategy};

/// The strategy; it has no settings.
#[derive(Debug)]
pub(super) struct Collect;

impl Collect {
    /// Reads the settings: there are none.
    pub(super) fn read(settings: &Map<String, Value>) -> Result<Collect, SettingsError> {
        Settings::new(settings, "", &[]).map(|_| Collect)
    }
}

impl Strategy for Collect {
    /// None: a collection of nothing is still a true collection.
    fn least(&self) -> u32 {
        0
    }

    fn reconcile(&self, panel: &Panel<'_>) -> Result<Findings, ReconcileError> {
        let answers = &panel.inputs.answers;
        let results: Vec<Value> = answers.iter().map(entry).collect();
        let mut sections: Vec<String> = answers.iter().map(|answer| section(panel, answer)).collect();
        if panel.census.answered < panel.census.asked {
            sections.push(format!("{}.", panel.census.headline()));
        }
        let json = Map::from_iter([("results".to_owned(), Value::Array(results))]);
        Ok(Findings { json, text: sections.join("\n\n"), ..Findings::default() })
    }
}

/// One result as data, under the names that templates use.
pub(super) fn entry(answer: &Answer) -> Value {
    let mut entry = Map::new();
    entry.insert("call".to_owned(), json!(answer.instance.to_string()));
    if let Some(label) = &answer.label {
        entry.insert("label".to_owned(), json!(label));
    }
    entry.insert("description".to_owned(), json!(answer.description));
    if let Some(agent) = &answer.agent {
        entry.insert("agent".to_owned(), json!(agent));
    }
    entry.insert("status".to_owned(), json!(answer.outcome.status));
    if let Some(cause) = &answer.outcome.cause {
        entry.insert("cause".to_owned(), json!(cause));
    }
    entry.insert("output".to_owned(), json!(answer.outcome.output.text));
    if let Some(value) = answer.outcome.output.json.as_deref() {
        entry.insert("json".to_owned(), value.clone());
    }
    Value::Object(entry)
}

fn section(panel: &Panel<'_>, answer: &Answer) -> String {
    let mut heading = panel.name(&answer.instance.to_string()).to_owned();
    if answer.description != answer.instance.call.as_str() {
        heading = format!("{heading}: {}", answer.description);
    }
    let body = if answer.outcome.is_ok() {
        let text = answer.outcome.output.text.trim();
        if text.is_empty() { "(said nothing)".to_owned() } else { text.to_owned() }
    } else {
        let why = answer.outcome.cause.as_ref().map_or("no cause given", |cause| cause.message.as_str());
        format!("(no answer: {}: {why})", answer.outcome.status.words())
    };
    format!("## {heading}\n{body}")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{answer, failed, inputs};
    use super::super::reconcile;
    use serde_json::{Map, json};

    #[test]
    fn every_result_stands_in_plan_order_and_a_hole_stands_where_it_belongs() {
        let inputs =
            inputs([answer("sites", "a.rs:1\n"), failed("flags", "exit status 1"), answer("docs", "")]);
        let result = reconcile("collect", &Map::new(), &inputs).unwrap();
        assert_eq!(
            result.text,
            "## sites\na.rs:1\n\n## flags\n(no answer: failed: exit status 1)\n\n## docs\n(said nothing)\n\n\
             1 of 3 answered.\n\nMissing:\n  flags failed: exit status 1\n\
             Said nothing (an empty answer is not agreement):\n  docs"
        );
        assert_eq!(
            result.json,
            json!({
                "strategy": "collect",
                "census": {
                    "asked": 3,
                    "answered": 1,
                    "missing": [{"call": "flags", "status": "failed", "cause": {"code": "exit_status", "message": "exit status 1"}}],
                    "empty": [{"call": "docs"}],
                },
                "results": [
                    {"call": "sites", "description": "sites", "status": "ok", "output": "a.rs:1\n"},
                    {"call": "flags", "description": "flags", "status": "failed", "cause": {"code": "exit_status", "message": "exit status 1"}, "output": ""},
                    {"call": "docs", "description": "docs", "status": "ok", "output": ""},
                ],
                "conflicts": [],
            })
        );
    }
}
