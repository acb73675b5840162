//! `check`: a command that decides whether a call's answer is good enough.

use super::activity::Activity;
use super::attempt::{self, Bounds, Fault, Kind};
use super::level::Level;
use super::work::{Job, program, template_cause};
use crate::id::InstanceId;
use crate::outcome::{Cause, Output, Status};
use crate::plan::{self, Call};

/// How much of what the check printed goes into the cause, in characters from its end.
const TAIL: usize = 1500;

/// What is checked, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) level: &'a Level,
    pub(crate) call: &'a Call,
    pub(crate) id: &'a InstanceId,
    pub(crate) job: &'a Job,
    pub(crate) output: &'a Output,
}

/// Runs the check in the call's workspace, with the answer on its standard input.
///
/// # Errors
/// A [`Fault`] with code `check_failed` when it exits with anything but 0; its message holds the end of
/// what it printed, which is what the next attempt is told.
pub(crate) async fn run(
    command: &plan::Command,
    Subject { level, call, id, job, output }: Subject<'_>,
    bounds: Bounds,
    stop: impl Future<Output = Cause>,
) -> Result<(), Fault> {
    let mut program = program(command, &job.scope)
        .map_err(|error| Fault::new(Status::Failed, Kind::Final, template_cause(&error)))?;
    program.stdin = Some(output.text.as_bytes().to_vec());
    let activity = Activity::new(level.world.journal.clone(), id.clone());
    let check = attempt::Command::of(call, &program, &job.place, bounds);
    match check.once(&level.world, Some(&activity), stop).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.cause.code == "exit_status" || fault.cause.code == "signal" => {
            let said = format!("{}\n{}", fault.partial.text.trim_end(), fault.partial.stderr.trim_end());
            let said = said.trim();
            let from = said.char_indices().rev().nth(TAIL).map_or(0, |(at, _)| at);
            let said = if said.is_empty() { String::new() } else { format!(":\n{}", &said[from..]) };
            let shown = program.shown.trim();
            // A whole script would bury what it said.
            let short = shown.len() <= 60 && !shown.contains('\n');
            let name = if short { format!(" `{shown}`") } else { String::new() };
            let message = format!("its check{name} failed ({}){said}", fault.cause.message);
            Err(Fault::new(Status::Failed, Kind::Error, Cause::new("check_failed", message)))
        }
        Err(fault) => Err(fault),
    }
}
