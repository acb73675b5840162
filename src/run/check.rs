//! `check`: a command or the parent's model decides whether a call's answer is good enough.

use super::activity::Activity;
use super::asking::{Asking, Short, Tally};
use super::attempt::{self, Bounds, Fault, Kind};
use super::instance::{Ended, Instance};
use super::level::Level;
use super::own::Pristine;
use super::work::{Job, Place, program, template_cause};
use crate::id::InstanceId;
use crate::outcome::{Cause, Output, Status, Usage};
use crate::plan::template::{Destination, Template};
use crate::plan::{self, Call, Check};
use crate::reconcile::asked;

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

/// Decides whether an answer is good enough. What a model used for that is added to `usage`.
///
/// A command runs where the call worked, with the answer on its standard input; for a call with a
/// workspace of its own in a pristine copy, in which only what counts of its change is made.
///
/// # Errors
/// A [`Fault`] with code `check_failed` when the answer is not good enough; its message says why, which
/// is what the next attempt is told, and what the call did to protected files.
pub(crate) async fn of(
    instance: &Instance<'_>,
    check: &Check,
    job: &Job,
    output: &Output,
    bounds: Bounds,
    usage: &mut Usage,
) -> Result<(), Ended> {
    let subject =
        |place| Subject { level: instance.level, call: instance.call, id: &instance.id, job, place, output };
    let command = match check {
        Check::Ask(question) => return judge(question, subject(&job.place), bounds, usage).await,
        Check::Command(command) => command,
    };
    let pristine = Pristine::of(instance, job, bounds).await?;
    let place = pristine.as_ref().map_or(&job.place, |pristine| &pristine.place);
    let checked = obey(command, subject(place), bounds, instance.ending()).await;
    let Some(pristine) = pristine else { return Ok(checked?) };
    let protected = pristine.changes.protected.join(", ");
    pristine.remove(instance).await;
    Ok(checked.map_err(|fault| {
        if protected.is_empty() || fault.cause.code != FAILED {
            return fault;
        }
        let message = format!(
            "{}\n(What it changed in {protected} does not count: the check protects these files.)",
            fault.cause.message
        );
        Fault { cause: Cause::new(FAILED, message), ..fault }
    })?)
}

/// The code of the cause when the check said no.
const FAILED: &str = "check_failed";

/// Runs the check's command, with the answer on its standard input.
async fn obey(
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

/// Asks the parent's model. Each judgement stands alone: it knows the goal, the task and the answer, and no
/// other judgement, so a hundred of them do not lean on each other.
async fn judge(
    question: &Template,
    Subject { level, id, job, output, .. }: Subject<'_>,
    bounds: Bounds,
    usage: &mut Usage,
) -> Result<(), Ended> {
    let question = question.render(&job.scope, Destination::Prompt);
    let question =
        question.map_err(|error| Fault::new(Status::Failed, Kind::Final, template_cause(&error)))?.text;
    let question = asked::judgement(level.goal(), &question, &job.task(), &output.text);
    let asking = Asking { level, step: id, before: &[], news: false, bounds };
    let mut tally = Tally::default();
    let mut judged = None;
    let put = asking.put(&question, &mut tally, |said| {
        judged = Some(asked::judge(said)?);
        Ok(())
    });
    let put = put.await;
    usage.add(&tally.usage);
    match (put, judged) {
        (Err(Short::Run(error)), _) => Err(Ended::Run(error)),
        (Err(Short::Cause(cause)), _) => Err(Fault::new(Status::Failed, Kind::Final, cause).into()),
        (Ok(()), Some(judged)) if !judged.passed => {
            let message = format!("its check said no: {}", judged.reason);
            Err(Fault::new(Status::Failed, Kind::Error, Cause::new("check_failed", message)).into())
        }
        (Ok(()), _) => Ok(()),
    }
}
