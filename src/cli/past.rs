//! `fanout show` and `fanout list`: runs as they are written down. No lock is needed,
//! so a live run can be looked at too.

use std::path::PathBuf;

use super::args::{List, Output, Show};
use super::run::{journal_complaint, root};
use super::terminal::Terminal;
use super::{Complaint, exit};
use crate::journal;
use crate::report::fold::RunView;
use crate::report::{json_lines, markdown, result_json, results};

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
    let past = journal::read(&find(options.run.as_deref())?).map_err(|error| journal_complaint(&error))?;
    if let Some(notice) = past.notice() {
        terminal.err(&format!("note: {notice}\n"));
    }
    let out = |text: &str| terminal.out(text).map_err(|error| Complaint::output(&error));
    if options.json {
        let mut lines = String::new();
        for record in past.records() {
            match json_lines::line(record) {
                Ok(line) => lines.push_str(&line),
                Err(error) => return Err(Complaint { code: exit::BUG, message: error.to_string() }),
            }
            lines.push('\n');
        }
        out(&lines)?;
        return Ok(0);
    }
    let view = RunView::of(past.records());
    match &options.call {
        None => out(&result(&view, options.output, terminal))?,
        Some(call) if options.raw => out(&raw(&view, call)?)?,
        Some(call) => out(&one(&view, call, options.output, terminal)?)?,
    }
    Ok(0)
}

/// A run's result in the asked form.
pub fn result(view: &RunView, output: Output, terminal: &Terminal) -> String {
    match output {
        Output::Text => results::render(view, &terminal.out_style()),
        Output::Json => format!("{:#}\n", result_json::render(view)),
        Output::Markdown => markdown::render(view),
    }
}

fn one(_view: &RunView, _call: &str, _output: Output, _terminal: &Terminal) -> Result<String, Complaint> {
    todo!()
}

fn raw(_view: &RunView, _call: &str) -> Result<String, Complaint> {
    todo!()
}

/// `fanout list`.
///
/// # Errors
/// [`Complaint`] when standard output cannot be written.
pub fn list(_options: &List, _terminal: &Terminal) -> Result<u8, Complaint> {
    todo!()
}
