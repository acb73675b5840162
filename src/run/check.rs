//! `check`: a command that decides whether a call's answer is good enough.

use super::activity::Activity;
use super::attempt::{self, Bounds, Fault, Kind};
use super::instance::Instance;
use super::level::Level;
use super::own::Pristine;
use super::work::{Job, Place, program, template_cause};
use crate::id::InstanceId;
use crate::outcome::{Cause, Output, Status};
use crate::plan::{self, Call};

/// How much of what the check printed goes into the cause, in characters from its end.
const TAIL: usize = 1500;

/// What is checked, and where.
#[derive(Debug, Clone, Copy)]
struct Subject<'a> {
    level: &'a Level,
    call: &'a Call,
    id: &'a InstanceId,
    job: &'a Job,
    place: &'a Place,
    output: &'a Output,
}

/// Runs the check where the call worked, with the answer on its standard input; for a call with a
/// workspace of its own in a pristine copy, in which only what counts of its change is made.
///
/// # Errors
/// As `run` below; what the call did to protected files is told with the failure.
pub(crate) async fn of(
    instance: &Instance<'_>,
    command: &plan::Command,
    job: &Job,
    output: &Output,
    bounds: Bounds,
) -> Result<(), Fault> {
    let pristine = Pristine::of(instance, job, bounds).await?;
    let place = pristine.as_ref().map_or(&job.place, |pristine| &pristine.place);
    let subject =
        Subject { level: instance.level, call: instance.call, id: &instance.id, job, place, output };
    let checked = run(command, subject, bounds, instance.ending()).await;
    let Some(pristine) = pristine else { return checked };
    let protected = pristine.changes.protected.join(", ");
    pristine.remove(instance).await;
    checked.map_err(|fault| {
        if protected.is_empty() || fault.cause.code != FAILED {
            return fault;
        }
        let message = format!(
            "{}\n(What it changed in {protected} does not count: the check protects these files.)",
            fault.cause.message
        );
        Fault { cause: Cause::new(FAILED, message), ..fault }
    })
}

/// The code of the cause when the check said no.
const FAILED: &str = "check_failed";

/// Runs the check.
///
/// # Errors
/// A [`Fault`] with code `check_failed` when it exits with anything but 0; its message holds the end of
/// what it printed, which is what the next attempt is told.
async fn run(
    command: &plan::Command,
    Subject { level, call, id, job, place, output }: Subject<'_>,
    bounds: Bounds,
    stop: impl Future<Output = Cause>,
) -> Result<(), Fault> {
    let mut program = program(command, &job.scope)
        .map_err(|error| Fault::new(Status::Failed, Kind::Final, template_cause(&error)))?;
    program.stdin = Some(output.text.as_bytes().to_vec());
    let activity = Activity::new(level.world.journal.clone(), id.clone());
    let check = attempt::Command::of(call, &program, place, bounds);
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
            Err(Fault::new(Status::Failed, Kind::Error, Cause::new(FAILED, message)))
        }
        Err(fault) => Err(fault),
    }
}
