//! `check`: a command or the parent's model decides whether a call's answer is good enough.

use super::activity::Activity;
use super::asking::{Asking, Short, Tally};
use super::attempt::{self, Bounds, Fault, Kind};
use super::instance::Ended;
use super::level::Level;
use super::work::{Job, program, template_cause};
use crate::id::InstanceId;
use crate::outcome::{Cause, Output, Status, Usage};
use crate::plan::template::{Destination, Template};
use crate::plan::{self, Call, Check};
use crate::reconcile::asked;

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

/// Decides. What a model used for that is added to `usage`.
///
/// # Errors
/// A [`Fault`] with code `check_failed` when the answer is not good enough; its message says why, which
/// is what the next attempt is told.
pub(crate) async fn run(
    check: &Check,
    subject: Subject<'_>,
    bounds: Bounds,
    usage: &mut Usage,
    stop: impl Future<Output = Cause>,
) -> Result<(), Ended> {
    match check {
        Check::Command(command) => Ok(obey(command, subject, bounds, stop).await?),
        Check::Ask(question) => judge(question, subject, bounds, usage).await,
    }
}

/// Runs the check's command in the call's workspace, with the answer on its standard input.
async fn obey(
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
