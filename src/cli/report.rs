//! Reports: files at the end of a run, `fanout report`, and what a CI system reads.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Format, Report};
use super::run::journal_complaint;
use super::terminal::Terminal;
use super::{Complaint, exit, past, secrets};
use crate::event::Record;
use crate::journal::{self, RunState};
use crate::plan::Plan;
use crate::report::fold::RunView;
use crate::report::redact::Redactor;
use crate::report::{github, gitlab, html, junit, markdown, result_json, sarif};

/// `fanout report`.
///
/// # Errors
/// [`Complaint`] when the run cannot be read or the report cannot be written.
pub fn report(options: &Report, terminal: &Terminal) -> Result<u8, Complaint> {
    let folder = past::find(options.run.as_deref())?;
    let past = journal::read(&folder).map_err(|error| journal_complaint(&error))?;
    if let Some(notice) = &past.notice {
        terminal.err(&format!("note: {notice}\n"));
    }
    let mut view = view(&past.records, &secrets::of_run(&folder));
    view.live = past.state == RunState::Running;
    view.tick(jiff::Timestamp::now());
    let text = text(&view, options.format)?;
    let file = match (&options.output, options.open) {
        (Some(file), _) => file.clone(),
        (None, true) => folder.join(options.format.file()),
        (None, false) => {
            terminal.out(&text).map_err(|error| Complaint::output(&error))?;
            return Ok(0);
        }
    };
    write_whole(&file, &text).map_err(|error| Complaint {
        code: exit::STORAGE,
        message: format!("{}: {error}", file.display()),
    })?;
    terminal.err(&format!("wrote {}\n", file.display()));
    if options.open {
        open(&file)?;
    }
    Ok(0)
}

/// A view of records as they may be shown.
pub fn view(records: &[Arc<Record>], redactor: &Redactor) -> RunView {
    let mut view = RunView::default();
    for record in records {
        view.apply(&redactor.record(record));
    }
    view
}

/// Writes the files that the plan's `report` names, and what GitHub Actions reads.
///
/// False when a file that the plan asks for could not be written; it has been said then.
pub fn write_all(plan: &Plan, view: &RunView, terminal: &Terminal) -> bool {
    let mut all = true;
    for (name, path) in &plan.report {
        let Some(format) = Format::of(name) else { continue };
        let written = match text(view, format) {
            Ok(text) => write_whole(path, &text).map_err(|error| error.to_string()),
            Err(complaint) => Err(complaint.message),
        };
        if let Err(error) = written {
            terminal.error(format!("cannot write the {name} report {}: {error}", path.display()));
            all = false;
        }
    }
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        terminal.err(&github::annotations(view));
        if let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()) {
            let appended = std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(&file)
                .and_then(|mut file| file.write_all(github::summary(view).as_bytes()));
            if let Err(error) = appended {
                terminal.error(format!("cannot write the step summary: {error}"));
            }
        }
    }
    all
}

fn text(view: &RunView, format: Format) -> Result<String, Complaint> {
    let bug = |error: &dyn std::fmt::Display| Complaint { code: exit::BUG, message: error.to_string() };
    match format {
        Format::Html => Ok(html::render(view)),
        Format::Junit => junit::render(view).map_err(|error| bug(&error)),
        Format::Sarif => sarif::render(view).map_err(|error| bug(&error)),
        Format::CodeQuality => gitlab::code_quality(view).map_err(|error| bug(&error)),
        Format::Markdown => Ok(markdown::render(view)),
        Format::Comment => Ok(markdown::within(view, markdown::COMMENT)),
        Format::Json => result_json::render(view).map_err(|error| bug(&error)),
    }
}

/// Writes a file whole or not at all.
pub(super) fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut named = tempfile::Builder::new();
    // A report is for others to read, as far as the person's umask lets them.
    #[cfg(unix)]
    named.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = named.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Hands a file to the program that the desktop opens such files with.
fn open(file: &Path) -> Result<(), Complaint> {
    let file: PathBuf = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let null = std::process::Stdio::null;
    let status =
        std::process::Command::new(program).arg(&file).stdin(null()).stdout(null()).stderr(null()).status();
    match status {
        // The Windows shell answers 1 whatever happened.
        Ok(status) if status.success() || cfg!(windows) => Ok(()),
        Ok(_) | Err(_) => Err(Complaint {
            code: 1,
            message: format!("`{program}` could not open it; open {} in a browser", file.display()),
        }),
    }
}
