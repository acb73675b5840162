//! `fanout show`: a run as it is written down. No lock is needed, so a live run can be
//! looked at too.

use std::path::PathBuf;

use serde_json::Value;

use super::args::{Output, Show};
use super::run::{journal_complaint, root};
use super::terminal::Terminal;
use super::{Complaint, exit};
use crate::journal::{self, RunState};
use crate::outcome::Outcome;
use crate::report::fold::RunView;
use crate::report::{json_lines, markdown, result_json, result_yaml, results, sanitise};

/// The folder of a run, by its name or the start of it; the newest if `None`.
///
/// # Errors
/// [`Complaint`] when there is no such run, or several.
pub fn find(run: Option<&str>) -> Result<PathBuf, Complaint> {
    journal::find(&root(), run.unwrap_or("last")).map_err(Complaint::usage)
}

/// `fanout show`.
///
/// # Errors
/// [`Complaint`] when the run cannot be read or has no such call.
pub fn show(options: &Show, terminal: &Terminal) -> Result<u8, Complaint> {
    let dir = find(options.run.as_deref())?;
    let past = journal::read(&dir).map_err(|error| journal_complaint(&error))?;
    if let Some(notice) = &past.notice {
        terminal.err(&format!("note: {notice}\n"));
    }
    let redactor = super::secrets::of_run(&dir);
    let out = |text: &str| terminal.out(text).map_err(|error| Complaint::output(&error));
    if options.json {
        let mut lines = String::new();
        for record in &past.records {
            match json_lines::line(&redactor.record(record)) {
                Ok(line) => lines.push_str(&line),
                Err(error) => return Err(Complaint { code: exit::BUG, message: error.to_string() }),
            }
        }
        out(&lines)?;
        return Ok(0);
    }
    let mut view = super::report::view(&past.records, &redactor);
    view.live = past.state == RunState::Running;
    view.tick(jiff::Timestamp::now());
    match &options.call {
        None => out(&result(&view, options.output, terminal))?,
        Some(call) if options.raw => out(&raw(&view, call, &output)?)?,
        Some(call) if options.diff => out(&raw(&view, call, &diff)?)?,
        Some(call) => out(&one(&view, call, options.output, terminal)?)?,
    }
    Ok(0)
}

/// A run's result in the asked form.
pub fn result(view: &RunView, output: Output, terminal: &Terminal) -> String {
    match output {
        Output::Text => results::render(view, &terminal.out_style()),
        Output::Json => {
            result_json::render(view).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}\n"))
        }
        Output::Yaml => document(&result_json::document(view), output),
        Output::Markdown => markdown::render(view),
    }
}

/// The result as text without advice.
pub fn plain_result(view: &RunView, terminal: &Terminal) -> String {
    results::render_quietly(view, &terminal.out_style())
}

/// A document of JSON as text: YAML where that is asked for, else JSON that is safe to look at.
pub fn document(document: &Value, output: Output) -> String {
    match output {
        Output::Yaml => result_yaml::render(document).unwrap_or_else(|error| format!("# {error}\n")),
        Output::Json | Output::Text | Output::Markdown => {
            format!("{}\n", sanitise::json(&format!("{document:#}")))
        }
    }
}

fn one(view: &RunView, call: &str, output: Output, terminal: &Terminal) -> Result<String, Complaint> {
    if matches!(output, Output::Json | Output::Yaml) {
        let whole = result_json::document(view);
        let calls = whole["calls"].as_array().map_or(&[][..], Vec::as_slice);
        let found = calls.iter().find(|entry| entry["id"] == call);
        return found.map(|entry| document(entry, output)).ok_or_else(|| no_such_call(&ids(view), call));
    }
    results::render_one(view, call, &terminal.out_style()).ok_or_else(|| no_such_call(&ids(view), call))
}

fn output(outcome: &Outcome) -> String {
    outcome.output.text.to_string()
}

/// What it changed in its own workspace; nothing where it had none.
fn diff(outcome: &Outcome) -> String {
    outcome.changes.as_ref().map(|changes| changes.patch.to_string()).unwrap_or_default()
}

/// A text of an outcome as it came. Nothing is made safe for a terminal: it is meant for a file or a program.
fn raw(view: &RunView, name: &str, of: &dyn Fn(&Outcome) -> String) -> Result<String, Complaint> {
    let instances =
        view.calls.iter().flat_map(|call| call.each().map(move |(id, instance)| (call, id, instance)));
    let mut texts = Vec::new();
    for (call, id, instance) in instances {
        if id.to_string() == name || call.id().as_str() == name {
            match &instance.outcome {
                Some(outcome) => texts.push(of(outcome)),
                None => return Err(Complaint::usage(format!("`{id}` has not ended yet"))),
            }
        }
    }
    if texts.is_empty() {
        return Err(no_such_call(&ids(view), name));
    }
    let mut text = texts.join("\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// That there is no call of this name, with the nearest one that there is.
pub fn no_such_call(ids: &[&str], name: &str) -> Complaint {
    let near =
        ids.iter().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Complaint::usage(format!("there is no call `{name}`{hint}"))
}

/// The ids of a run's calls.
fn ids(view: &RunView) -> Vec<&str> {
    view.calls.iter().map(|call| call.id().as_str()).collect()
}
