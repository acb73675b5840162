//! The calls that need neither a model nor a process: questions, early stops; and the small
//! ends of every call: its output file, the outcome of one that never started.

use std::path::{Component, Path};

use super::World;
use super::attempt::{Bounds, Fault, Kind, Raw};
use super::stop::{Phase, Stop, Why};
use super::work::{Job, template_cause};
use crate::event::Event;
use crate::id::InstanceId;
use crate::outcome::{Cause, Outcome, Output, Status};
use crate::plan::template::{Destination, Template};

/// The outcome of an instance that a stop kept from starting.
pub(crate) fn not_started(stop: &Stop) -> Outcome {
    let status = match stop.why() {
        Some(Why::Time) => Status::OverBudget,
        Some(
            Why::Signal(_)
            | Why::Stop { .. }
            | Why::Error { .. }
            | Why::Enough { .. }
            | Why::Over
            | Why::Outer { .. },
        )
        | None => Status::Cancelled,
    };
    Outcome::ended(status, stop_cause(stop))
}

/// Why something was cancelled.
pub(crate) fn stop_cause(stop: &Stop) -> Cause {
    match stop.why() {
        Some(why @ Why::Signal(_)) => Cause::new("interrupted", why.message()),
        Some(why @ Why::Stop { .. }) => Cause::new("run_stopped", why.message()),
        Some(why @ Why::Error { .. }) => Cause::new("run_stopped", why.message()),
        Some(why @ Why::Time) => Cause::new("time_limit", why.message()),
        Some(why @ Why::Enough { .. }) => Cause::new("enough", why.message()),
        Some(Why::Outer { cause }) => cause,
        Some(why @ Why::Over) => Cause::new("run_over", why.message()),
        None => Cause::new("run_over", "the run ended before it did"),
    }
}

/// Puts a question to whoever can answer it: `--answer` first, then a person, then the default.
///
/// # Errors
/// A [`Fault`] that ends as `blocked` when nobody could answer.
pub(crate) async fn ask(
    world: &World,
    id: &InstanceId,
    question: &str,
    default: Option<&str>,
    bounds: Bounds,
    stop: impl Future<Output = Cause>,
) -> Result<Raw, Fault> {
    let note = |by: &str| {
        world.journal.note(Event::QuestionAnswered { call: id.call.clone(), by: by.to_owned() });
    };
    let raw = |text: String| Raw { text, ..Raw::default() };
    world.journal.note(Event::QuestionAsked { call: id.call.clone(), question: question.to_owned() });
    if let Some(answer) = world.answers.get(id.call.as_str()) {
        note("option");
        return Ok(raw(answer.clone()));
    }
    if let Some(asker) = &world.asker {
        let answer = tokio::select! {
            biased;
            cause = stop => return Err(Fault::new(Status::Cancelled, Kind::Final, cause)),
            () = tokio::time::sleep_until(bounds.deadline) => None,
            answer = asker.ask(question, default) => answer,
        };
        if let Some(answer) = answer {
            note("person");
            return Ok(raw(answer));
        }
    }
    match default {
        Some(default) => {
            note("default");
            Ok(raw(default.to_owned()))
        }
        None => {
            let message = format!(
                "it asked «{}» and nobody could answer; give `--answer {}=…` or a `default:`",
                question.trim(),
                id.call
            );
            Err(Fault::new(Status::Blocked, Kind::Final, Cause::new("unanswered", message)))
        }
    }
}

/// Ends the run early, as the plan's own `stop` asks.
pub(crate) fn stop(world: &World, success: bool, reason: &str) -> Raw {
    let why = Why::Stop { success, reason: reason.to_owned() };
    world.request_stop(Phase::Ending, why);
    Raw { text: reason.to_owned(), ..Raw::default() }
}

/// Writes `output.file`, whole or not at all, below `base`: the call's working directory, as it is
/// outside of any workspace of the call's own.
///
/// # Errors
/// A [`Cause`] with code `output_file` that names the path.
pub(crate) fn write_file(file: &Template, job: &Job, base: &Path, output: &Output) -> Result<(), Cause> {
    let path = file.render(&job.scope, Destination::Raw).map_err(|error| template_cause(&error))?.text;
    let path = base.join(path);
    if job.place.sandbox.is_on() && leads_out(&path, base) {
        let message =
            format!("cannot write {}: a link leads out of the folder that the call works in", path.display());
        return Err(Cause::new("output_file", message));
    }
    put(&path, output.text.as_bytes())
        .map_err(|error| Cause::new("output_file", format!("cannot write {}: {error}", path.display())))
}

/// Whether the folder of a path beneath `cwd`, as it is written, is outside in truth: what was confined
/// may have put a link there, and whoever writes now is not confined. Nobody of the call is left to
/// change it in between.
fn leads_out(path: &Path, cwd: &Path) -> bool {
    let written_out = path.components().any(|part| part == Component::ParentDir) || !path.starts_with(cwd);
    let there = path.ancestors().skip(1).find_map(|folder| folder.canonicalize().ok());
    let (Some(there), Ok(cwd)) = (there, cwd.canonicalize()) else { return true };
    !written_out && !there.starts_with(&cwd)
}

fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut temporary, bytes)?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}
