//! The whole result of a run as one JSON document; docs/result.md and `result.schema.json` describe
//! every field.
//!
//! Invariants: [`VERSION`] changes when a field changes its meaning or goes; outputs
//! are whole and verbatim; no outcome is summed up into another.

use serde::Serialize;
use serde_json::{Value, json};

use super::advice;
use super::fold::{CallView, InstanceView, RunView, State};
use super::sanitise;
use crate::event::Millis;
use crate::id::RunId;
use crate::id::{CallId, InstanceId};
use crate::outcome::{Cause, Changes, Status, Usage};

/// The version of the document's shape.
pub const VERSION: u32 = 1;

/// The document's JSON Schema, as it is published (`fanout schema --result`).
pub const SCHEMA: &str = include_str!("result.schema.json");

/// The document as text, indented, with a newline at its end.
///
/// Characters that a terminal would act on are written as JSON escapes.
///
/// # Errors
/// Only for values that have no JSON form, which none of a view's have by construction.
pub fn render(view: &RunView) -> serde_json::Result<String> {
    let mut text = sanitise::json(&serde_json::to_string_pretty(&document(view))?).into_owned();
    text.push('\n');
    Ok(text)
}

/// The document.
pub fn document(view: &RunView) -> Value {
    let head = view.head.as_ref();
    let finish = view.finish.as_ref();
    let calls: Vec<CallResult<'_>> = view.calls.iter().map(CallResult::of).collect();
    json!({
        "version": VERSION,
        "fanout": head.map(|head| &head.fanout),
        "run": head.map(|head| &head.run),
        "name": head.map(|head| &head.name),
        "description": head.and_then(|head| head.description.as_ref()),
        "goal": head.and_then(|head| head.goal.as_ref()),
        "plan": head.map(|head| &head.plan),
        "began": view.began,
        "duration_ms": Millis(view.elapsed),
        "finished": finish.is_some(),
        "running": view.running_now(),
        "success": finish.map(|finish| finish.success),
        "exit": finish.map(|finish| finish.exit),
        "reasons": finish.map_or(&[][..], |finish| &finish.reasons),
        "stop": view.stop.as_ref().map(|stop| json!({ "reason": stop.reason, "message": stop.message })),
        "census": census(view),
        "usage": view.usage(),
        "possibly_billed": view.possibly_billed(),
        "providers": view.providers.iter().map(|(name, provider)| (name.clone(), provider.json())).collect::<serde_json::Map<_, _>>(),
        "calls": calls,
        "notifications": view.notifications.iter().map(|(number, posted)| json!({
            "number": number,
            "instance": posted.instance.to_string(),
            "status": posted.status,
            "at_ms": Millis(posted.at),
            "drained_by": posted.drained_by,
        })).collect::<Vec<_>>(),
        "questions": view.questions.iter().map(|question| json!({
            "call": question.call,
            "question": question.question,
            "answered_by": question.answered_by,
        })).collect::<Vec<_>>(),
        "warnings": view.warnings.iter().map(|warning| json!({
            "code": warning.code,
            "message": warning.message,
        })).collect::<Vec<_>>(),
        "advice": advice::json(&advice::of(view)),
        "reconcile": reconcile(view),
    })
}

fn census(view: &RunView) -> Value {
    let census = view.census();
    let ended: u32 = census.by_status.values().sum();
    json!({
        "planned": census.planned,
        "by_status": census.by_status,
        "empty": census.empty,
        "reused": census.reused,
        "unended": census.planned.saturating_sub(ended),
    })
}

fn reconcile(view: &RunView) -> Value {
    let step = CallId::parent_step();
    let outcome = view.parent.as_ref().and_then(|parent| parent.outcome.as_ref());
    let Some(computed) = view.reconciled.iter().find(|result| result.step == step) else {
        return match outcome.filter(|outcome| !outcome.is_ok()) {
            Some(failed) => json!({ "status": failed.status, "cause": failed.cause }),
            None => Value::Null,
        };
    };
    json!({
        "status": outcome.map_or(Status::Ok, |outcome| outcome.status),
        "cause": outcome.and_then(|outcome| outcome.cause.as_ref()),
        "text": computed.text,
        "json": computed.result,
        "conflicts": computed.conflicts(),
    })
}

#[derive(Serialize)]
struct CallResult<'a> {
    id: &'a CallId,
    description: &'a str,
    kind: &'a str,
    turn: u32,
    background: bool,
    needs: &'a [CallId],
    /// A plain call's own end, or that of an expanded call that also ended as a whole.
    #[serde(flatten)]
    end: Option<EndResult<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instances: Option<Vec<InstanceResult<'a>>>,
}

#[derive(Serialize)]
struct InstanceResult<'a> {
    id: String,
    index: u32,
    label: &'a str,
    #[serde(flatten)]
    end: EndResult<'a>,
}

#[derive(Serialize)]
struct EndResult<'a> {
    state: &'static str,
    status: Option<Status>,
    cause: Option<&'a Cause>,
    output: &'a str,
    omitted_bytes: u64,
    json: Option<&'a Value>,
    stderr: &'a str,
    exit: Option<i32>,
    agent: Option<&'a str>,
    duration_ms: Option<Millis>,
    usage: Usage,
    attempts: u32,
    failed_attempts: Vec<AttemptResult<'a>>,
    reused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_from: Option<&'a RunId>,
    interrupted: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a Changes>,
}

#[derive(Serialize)]
struct AttemptResult<'a> {
    attempt: u32,
    cause: &'a Cause,
    retry_in_ms: Option<Millis>,
}

impl<'a> CallResult<'a> {
    fn of(call: &'a CallView) -> CallResult<'a> {
        let planned = &call.planned;
        let plain = call.labels.is_none();
        let end = match &call.whole {
            Some(whole) => Some(EndResult::of(whole)),
            None => plain.then(EndResult::waiting),
        };
        let instance = |(index, view): (&u32, &'a InstanceView)| InstanceResult {
            id: InstanceId::nth(planned.id.clone(), *index).to_string(),
            index: *index,
            label: call.label(Some(*index)).unwrap_or_default(),
            end: EndResult::of(view),
        };
        CallResult {
            id: &planned.id,
            description: &planned.description,
            kind: &planned.kind,
            turn: planned.turn,
            background: planned.background,
            needs: &planned.needs,
            end,
            instances: (!plain).then(|| call.instances.iter().map(instance).collect()),
        }
    }
}

impl<'a> EndResult<'a> {
    fn waiting() -> EndResult<'a> {
        EndResult {
            state: "waiting",
            status: None,
            cause: None,
            output: "",
            omitted_bytes: 0,
            json: None,
            stderr: "",
            exit: None,
            agent: None,
            duration_ms: None,
            usage: Usage::default(),
            attempts: 0,
            failed_attempts: Vec::new(),
            reused: false,
            cached_from: None,
            interrupted: 0,
            changes: None,
        }
    }

    fn of(view: &'a InstanceView) -> EndResult<'a> {
        let outcome = view.outcome.as_ref();
        EndResult {
            state: match view.state {
                State::Waiting => "waiting",
                State::Running => "running",
                State::Finished => "finished",
            },
            status: outcome.map(|outcome| outcome.status),
            cause: outcome.and_then(|outcome| outcome.cause.as_ref()),
            output: outcome.map_or("", |outcome| &outcome.output.text),
            omitted_bytes: outcome.map_or(0, |outcome| outcome.output.omitted_bytes),
            json: outcome.and_then(|outcome| outcome.output.json.as_deref()),
            stderr: outcome.map_or("", |outcome| &outcome.stderr),
            exit: outcome.and_then(|outcome| outcome.exit),
            agent: outcome.and_then(|outcome| outcome.agent.as_deref()).or(view.agent.as_deref()),
            duration_ms: outcome.map(|outcome| Millis(outcome.took)),
            usage: outcome.map(|outcome| outcome.usage).unwrap_or_default(),
            attempts: outcome.map_or(0, |outcome| outcome.attempts),
            failed_attempts: view
                .attempts
                .iter()
                .map(|attempt| AttemptResult {
                    attempt: attempt.number.0,
                    cause: &attempt.cause,
                    retry_in_ms: attempt.retry_in.map(Millis),
                })
                .collect(),
            reused: outcome.is_some_and(|outcome| outcome.reused),
            cached_from: outcome.and_then(|outcome| outcome.cached_from.as_ref()),
            interrupted: outcome.map_or(0, |outcome| outcome.interrupted),
            changes: outcome.and_then(|outcome| outcome.changes.as_deref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, Script};

    #[test]
    fn a_mixed_run_as_a_document() {
        insta::assert_json_snapshot!(document(&RunView::of(&sample::mixed())));
    }

    /// The schema with nothing allowed that it does not name, so that a field cannot be forgotten.
    fn strict(schema: &mut Value) {
        if let Value::Object(fields) = schema {
            let closed = fields.get("properties").is_some_and(Value::is_object);
            if closed && fields.get("type") == Some(&json!("object")) {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        match schema {
            Value::Object(fields) => fields.values_mut().for_each(strict),
            Value::Array(items) => items.iter_mut().for_each(strict),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_document_fits_the_schema_and_no_field_is_missing_from_it() {
        let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
        assert_eq!(schema["properties"]["version"]["const"], VERSION);
        strict(&mut schema);
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let mut cut = sample::mixed();
        cut.truncate(6);
        let mut empty = Script::new("p", &["each"]);
        let runs = [
            sample::ok(),
            sample::mixed(),
            sample::dead(),
            sample::hostile(),
            sample::talk(),
            cut,
            empty.expand("each", &[]).records.clone(),
            Vec::new(),
        ];
        for (at, records) in runs.iter().enumerate() {
            let document = document(&RunView::of(records));
            let errors: Vec<String> = validator
                .iter_errors(&document)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "run {at}: {errors:#?}");
        }
        let mut other = document(&RunView::of(&sample::ok()));
        other["calls"][0]["state"] = json!("gone");
        assert!(!validator.is_valid(&other));
        other["calls"][0].as_object_mut().unwrap().remove("state");
        assert!(!validator.is_valid(&other));
    }

    #[test]
    fn an_expansion_to_nothing_is_an_empty_list_and_no_waiting_call() {
        let mut script = Script::new("p", &["each"]);
        let document = document(&RunView::of(&script.expand("each", &[]).records));
        assert_eq!(document["calls"][0]["instances"], json!([]));
        assert_eq!(document["calls"][0].get("state"), None);
    }

    #[test]
    fn an_unfinished_run_says_so() {
        let mut records = sample::mixed();
        records.truncate(6);
        let document = document(&RunView::of(&records));
        assert_eq!(
            (&document["finished"], &document["success"], &document["exit"]),
            (&json!(false), &Value::Null, &Value::Null)
        );
        assert_eq!(document["calls"][0]["state"], "running");
        assert_eq!(document["census"]["unended"], document["census"]["planned"]);
    }

    #[test]
    fn hostile_outputs_are_whole_and_harmless() {
        let view = RunView::of(&sample::hostile());
        let text = render(&view).unwrap();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document(&view));
    }
}
