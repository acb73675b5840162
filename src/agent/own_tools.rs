//! The tools that belong to the conversation itself: background jobs and subagents.
//!
//! Invariant: what is wrong with a call is said in words for the model, and nothing was done.

use serde_json::{Value, json};

use super::desk::{Kit, Subagents, Wanted};
use crate::model::ToolSpec;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    BackgroundRun,
    CheckBackground,
    Agent,
}

/// Those that this agent has.
pub(super) fn specs(kit: &Kit) -> Vec<ToolSpec> {
    let mut specs = Vec::new();
    if let Some(tool) = &kit.background {
        specs.push(tool.spec());
    }
    if kit.check_background {
        specs.push(spec(
            "check_background",
            "Shows a background job and all that it printed, or a line of each. There is no need to ask \
             whether one has ended: you will be told.",
            json!({"id": {"type": "string", "description": "`bg-1`, `bg-2`, …; without it, all of them."}}),
            &[],
        ));
    }
    if let Some(subagents) = &kit.subagents {
        let mut about =
            "Gives a task to a subagent, which works in its own context and sees nothing of this \
                         conversation; its last message comes back. Say all that it has to know, and what \
                         it is to answer. Several in one message work side by side."
                .to_owned();
        for (name, description) in &subagents.types {
            about.push_str(&format!("\n- {name}"));
            if let Some(description) = description {
                about.push_str(&format!(": {description}"));
            }
        }
        let names: Vec<&str> = subagents.types.iter().map(|(name, _)| name.as_str()).collect();
        let mut kind =
            json!({"type": "string", "description": "Who does it; without it, an agent like you."});
        if let (false, Some(kind)) = (names.is_empty(), kind.as_object_mut()) {
            kind.insert("enum".to_owned(), json!(names));
        }
        specs.push(spec(
            "agent",
            &about,
            json!({
                "subagent_type": kind,
                "description": {"type": "string", "description": "The task in three to five words, for people."},
                "prompt": {"type": "string", "description": "The task."},
                "run_in_background": {"type": "boolean", "description": "True: do not wait for it; you will be told when it ends."},
            }),
            &["description", "prompt"],
        ));
    }
    specs
}

fn spec(name: &str, description: &str, properties: Value, required: &[&str]) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        }),
    }
}

/// The one of this name, if this agent has it.
pub(super) fn named(kit: &Kit, name: &str) -> Option<Own> {
    match name {
        "background_run" if kit.background.is_some() => Some(Own::BackgroundRun),
        "check_background" if kit.check_background => Some(Own::CheckBackground),
        "agent" if kit.subagents.is_some() => Some(Own::Agent),
        _ => None,
    }
}

/// The command of a `background_run`.
///
/// # Errors
/// What is wrong with the input.
pub(super) fn command(input: &Value) -> Result<String, String> {
    let command = input.get("command").and_then(Value::as_str).filter(|command| !command.trim().is_empty());
    command
        .map(str::to_owned)
        .ok_or_else(|| "`background_run` takes a `command`, a text that is not empty".to_owned())
}

/// The subagent that an `agent` call asks for, its number left open.
///
/// # Errors
/// What is wrong with the input, or why there can be no subagent.
pub(super) fn wanted(subagents: &Subagents, input: &Value) -> Result<Wanted, String> {
    let text =
        |key: &str| input.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let Some(prompt) = text("prompt") else {
        return Err("`agent` takes a `prompt`, a text that is not empty".to_owned());
    };
    let kind = text("subagent_type");
    if let Some(kind) = kind.filter(|kind| !subagents.types.iter().any(|(name, _)| name == kind)) {
        let names: Vec<&str> = subagents.types.iter().map(|(name, _)| name.as_str()).collect();
        let known = match names.as_slice() {
            [] => "leave `subagent_type` out for an agent like you".to_owned(),
            names => format!("there are {}", names.join(", ")),
        };
        return Err(format!("there is no subagent `{kind}`; {known}"));
    }
    if subagents.depth >= subagents.most {
        let most = subagents.most;
        return Err(format!(
            "no subagent was started: subagents may stand {most} deep (`limits.depth: {most}`), and you are \
             that deep. Do the task yourself."
        ));
    }
    let background = match input.get("run_in_background") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(yes)) => *yes,
        Some(Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            return Err("`run_in_background` is true or false".to_owned());
        }
    };
    let description = text("description").unwrap_or(prompt);
    Ok(Wanted {
        number: 0,
        kind: kind.map(str::to_owned),
        description: description.lines().next().unwrap_or_default().chars().take(80).collect(),
        prompt: prompt.to_owned(),
        background,
    })
}

/// What people see while a tool is at work: its name and the first text of its input.
pub(super) fn activity(name: &str, input: &Value) -> String {
    let texts = input.as_object().into_iter().flat_map(|input| input.values());
    let first = texts.filter_map(Value::as_str).find(|text| !text.trim().is_empty()).unwrap_or_default();
    let first: String = first.trim().lines().next().unwrap_or_default().chars().take(120).collect();
    if first.is_empty() { name.to_owned() } else { format!("{name} {first}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subagents(depth: u32) -> Subagents {
        Subagents { types: vec![("explore".to_owned(), Some("Looks.".to_owned()))], depth, most: 2 }
    }

    #[test]
    fn a_subagent_too_deep_is_refused_in_words_for_the_model() {
        let input = json!({"description": "d", "prompt": "p"});
        assert!(wanted(&subagents(1), &input).is_ok());
        assert_eq!(
            wanted(&subagents(2), &input).unwrap_err(),
            "no subagent was started: subagents may stand 2 deep (`limits.depth: 2`), and you are that deep. \
             Do the task yourself."
        );
    }

    #[test]
    fn what_is_wrong_with_a_call_for_a_subagent_is_said() {
        let error = |input| wanted(&subagents(0), &input).unwrap_err();
        assert_eq!(error(json!({})), "`agent` takes a `prompt`, a text that is not empty");
        assert_eq!(
            error(json!({"prompt": "p", "subagent_type": "explorer"})),
            "there is no subagent `explorer`; there are explore"
        );
        assert_eq!(
            error(json!({"prompt": "p", "run_in_background": "yes"})),
            "`run_in_background` is true or false"
        );
        let input =
            json!({"prompt": "line one\nline two", "subagent_type": "explore", "run_in_background": true});
        let expected = Wanted {
            number: 0,
            kind: Some("explore".to_owned()),
            description: "line one".to_owned(),
            prompt: "line one\nline two".to_owned(),
            background: true,
        };
        assert_eq!(wanted(&subagents(0), &input), Ok(expected));
    }

    #[test]
    fn people_see_the_tool_and_what_it_is_at() {
        assert_eq!(activity("read", &json!({"limit": 3, "path": "src/a.rs"})), "read src/a.rs");
        assert_eq!(activity("list", &json!({})), "list");
    }
}
