//! `fanout reconcile`: the answers of a finished run, brought together another way.
//!
//! Invariants: no call is made again and the run is not touched; where the step itself asks the parent's
//! model, runs a program or evaluates an expression, only that is done.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::args::{Output, Reconcile};
use super::past::no_such_call;
use super::run::journal_complaint;
use super::terminal::Terminal;
use super::{Complaint, asked, exit, past, report, secrets};
use crate::journal::{self, Past};
use crate::plan::Quantity;
use crate::reconcile::{self, Answer, Begun, Inputs, ReconcileError, Reconciled, SettingsError};
use crate::report::fold::{CallView, RunView};
use crate::report::{markdown, results};

/// Exit status of answers that contradict each other under `on_conflict: fail`.
pub const CONFLICT: u8 = 3;

/// `fanout reconcile`.
///
/// # Errors
/// [`Complaint`] when there is no such run or call, and when the step is wrong.
pub fn reconcile(options: &Reconcile, terminal: &Terminal) -> Result<u8, Complaint> {
    let past = past_of(&options.run)?;
    let view = view_of(&past);
    let mut settings = step_of(options)?;
    let mut step = settings.clone();
    let strategy = options
        .strategy
        .clone()
        .or_else(|| taken(&mut settings, "strategy"))
        .unwrap_or_else(|| "collect".to_owned());
    let of: Vec<String> = match settings.remove("of") {
        None => options.of.clone(),
        Some(Value::Array(names)) => {
            names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        }
        Some(name) => name.as_str().map(str::to_owned).into_iter().collect(),
    };
    let min = settings.remove("min").map(quantity).transpose()?;
    // The plan keeps a program apart from what a strategy itself reads.
    settings.remove("command");
    let needs = reconcile::needs(&strategy, &settings).map_err(|error| wrong(&error))?;
    let mut inputs = Inputs { min, ..inputs(&view, &of)? };
    if needs.model || needs.program || needs.expression.is_some() {
        step.insert("strategy".to_owned(), strategy.clone().into());
        if !of.is_empty() {
            step.insert("of".to_owned(), of.into());
        }
        let ready = asked::plan_with(&past, step, options, terminal).map_err(|complaint| {
            let hint = "; `--parent MODEL` names who is asked for the parent";
            let named = options.parent.is_some() || asked::names_parent(&past);
            let hint = if needs.model && !named { hint } else { "" };
            Complaint { message: format!("{}{hint}", complaint.message), ..complaint }
        })?;
        if options.dry_run {
            let begun = needs.expression.is_none() && !needs.program;
            let begun = begun.then(|| reconcile::begin(&strategy, &settings, &inputs)).transpose();
            let inquiry = match begun.map_err(|error| failed(&error))? {
                Some(Begun::Asks(inquiry)) => Some(inquiry),
                Some(Begun::Done(_)) | None => None,
            };
            let text = asked::forecast(&ready.plan, &needs, inquiry.as_deref());
            return terminal.out(&text).map(|()| 0).map_err(|error| Complaint::output(&error));
        }
        let ended = view.calls.iter().flat_map(answers).collect();
        let result = asked::take(&ready, inputs, ended, terminal)?;
        return show(&result, options.output, terminal).map(|()| 0);
    }
    if options.dry_run {
        let text = format!("would ask nobody: the step is computed\n{}", asked::NOTHING_DONE);
        return terminal.out(&text).map(|()| 0).map_err(|error| Complaint::output(&error));
    }
    for file in needs.files {
        let text = std::fs::read_to_string(&file);
        let text = text.map_err(|error| Complaint::usage(format!("cannot read {file}: {error}")))?;
        inputs.files.insert(file, text.into());
    }
    match reconcile::reconcile(&strategy, &settings, &inputs) {
        Ok(result) => show(&result, options.output, terminal).map(|()| 0),
        Err(ReconcileError::Conflict { message, result }) => {
            show(&result, options.output, terminal)?;
            Err(Complaint { code: CONFLICT, message })
        }
        Err(error) => Err(failed(&error)),
    }
}

/// What a step that came to nothing means for the process.
fn failed(error: &ReconcileError) -> Complaint {
    match error {
        ReconcileError::Settings(error) => wrong(error),
        ReconcileError::Conflict { message, .. } => Complaint { code: CONFLICT, message: message.clone() },
        ReconcileError::TooFew { .. } | ReconcileError::Answer { .. } | ReconcileError::Outside { .. } => {
            Complaint { code: exit::FAILED, message: error.to_string() }
        }
    }
}

/// A run as it is written down.
///
/// # Errors
/// [`Complaint`] when there is none, or it cannot be read.
pub fn read(run: &str) -> Result<RunView, Complaint> {
    past_of(run).map(|past| view_of(&past))
}

fn past_of(run: &str) -> Result<Past, Complaint> {
    journal::read(&past::find(Some(run))?).map_err(|error| journal_complaint(&error))
}

fn view_of(past: &Past) -> RunView {
    report::view(&past.records, &secrets::of_run(&past.dir))
}

/// What a step reads of a run: these calls, or without any the results that no other call consumed.
///
/// # Errors
/// [`Complaint`] for a call that the run does not have.
pub fn inputs(view: &RunView, of: &[String]) -> Result<Inputs, Complaint> {
    let head = view.head.as_ref().map_or(&[][..], |head| head.calls.as_slice());
    let ids: Vec<&str> = head.iter().map(|call| call.id.as_str()).collect();
    if let Some(unknown) = of.iter().find(|name| !ids.contains(&name.as_str())) {
        return Err(no_such_call(&ids, unknown));
    }
    let consumed: HashSet<&str> = head.iter().flat_map(|call| &call.needs).map(|id| id.as_str()).collect();
    let result = |call: &&CallView| {
        let planned = &call.planned;
        let of_plan = ids.contains(&call.id().as_str());
        of_plan && !consumed.contains(call.id().as_str()) && !["ask", "stop"].contains(&planned.kind.as_str())
    };
    let mut calls: Vec<&CallView> = if of.is_empty() {
        view.calls.iter().filter(result).filter(|call| !call.planned.background).collect()
    } else {
        view.calls.iter().filter(|call| of.iter().any(|name| name == call.id().as_str())).collect()
    };
    if calls.is_empty() {
        calls = view.calls.iter().filter(result).collect();
    }
    let answers = calls.into_iter().flat_map(answers).collect();
    let goal = view.head.as_ref().and_then(|head| head.goal.clone());
    Ok(Inputs { goal, answers, ..Inputs::default() })
}

/// The answers of one call, instances by index; one that has not ended is left out.
fn answers(call: &CallView) -> Vec<Answer> {
    let of = |(instance, view): (crate::id::InstanceId, &crate::report::fold::InstanceView)| {
        let outcome = view.outcome.clone()?;
        Some(Answer {
            label: call.label(instance.index).map(str::to_owned),
            description: call.planned.description.clone(),
            agent: outcome.agent.clone(),
            instance,
            outcome,
        })
    };
    call.each().filter_map(of).collect()
}

/// The keys of the step: of the file, then of `--set`.
fn step_of(options: &Reconcile) -> Result<Map<String, Value>, Complaint> {
    let mut step = Map::new();
    if let Some(file) = &options.file {
        let text = std::fs::read_to_string(file);
        let text =
            text.map_err(|error| Complaint::usage(format!("cannot read {}: {error}", file.display())))?;
        let read: Value = serde_yaml::from_str(&text)
            .map_err(|error| Complaint::usage(format!("{} is no YAML: {error}", file.display())))?;
        let read = read.get("reconcile").cloned().unwrap_or(read);
        let Value::Object(map) = read else {
            let message = format!("{} holds no step; write its keys: `strategy: vote`", file.display());
            return Err(Complaint::usage(message));
        };
        step = map;
    }
    for set in &options.set {
        let Some((key, value)) = set.split_once('=') else {
            return Err(Complaint::usage(format!("`--set {set}`: write `--set key=value`")));
        };
        // A text that begins with a template is none of YAML's maps.
        let value: Value = match value.trim_start().starts_with("{{") {
            true => value.into(),
            false => serde_yaml::from_str(value).map_err(|error| {
                Complaint::usage(format!("the value of `--set {key}` is no YAML: {error}"))
            })?,
        };
        step.insert(key.trim().to_owned(), value);
    }
    if options.strategy.is_some() {
        step.remove("strategy");
    }
    Ok(step)
}

fn taken(step: &mut Map<String, Value>, key: &str) -> Option<String> {
    step.remove(key).and_then(|value| value.as_str().map(str::to_owned))
}

fn quantity(value: Value) -> Result<Quantity, Complaint> {
    let share = |text: &str| text.strip_suffix('%').and_then(|share| share.trim().parse::<f64>().ok());
    let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).map(Quantity::Count);
    let share = value.as_str().and_then(share).filter(|share| (0.0..=100.0).contains(share));
    count.or(share.map(|share| Quantity::Share(share / 100.0))).ok_or_else(|| {
        Complaint::usage(format!("`min` is {value}; write a number such as `3`, or a share such as `60%`"))
    })
}

fn wrong(error: &SettingsError) -> Complaint {
    Complaint::usage(format!("`{}`: {}; {}", error.key, error.message, error.help))
}

/// Prints a result in the asked form.
///
/// # Errors
/// [`Complaint`] when standard output cannot be written.
pub fn show(result: &Reconciled, output: Output, terminal: &Terminal) -> Result<(), Complaint> {
    let style = terminal.out_style();
    let text = match output {
        Output::Text => results::render_computed(&result.json, &result.text, &style),
        Output::Json | Output::Yaml => {
            let whole = json!({"output": result.text, "json": result.json, "conflicts": result.conflicts});
            super::past::document(&whole, output)
        }
        Output::Markdown => markdown::render_computed(&result.json, &result.text),
    };
    terminal.out(&text).map_err(|error| Complaint::output(&error))
}
