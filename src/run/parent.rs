//! The parent's own part: it starts all calls of a plan at once, reconciles when their
//! results are in, and lets a sub-plan be a run inside a call.
//!
//! Invariant: reconciling happens here, where the goal and every result are; no
//! further agent is spawned for it.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, try_join_all};
use serde_json::{Map, Value};

use super::asking::{Asking, Short, Tally};
use super::attempt::{Bounds, Fault, Kind, Raw};
use super::bus::Notification;
use super::instance::Ended;
use super::level::{Level, Local};
use super::stop::{Phase, Why};
use super::work::{Place, program, template_cause};
use super::{RunError, World, again, answers, asking, attempt, call, steps, verdict};
use crate::event::Event;
use crate::id::{AttemptNo, ContentKey, InstanceId};
use crate::limits::budget::Account;
use crate::outcome::{Cause, Outcome, Status, Usage};
use crate::plan::template::Destination;
use crate::plan::workspace::Isolation;
use crate::plan::{Action, AtEnd, Call, Command, Plan, Reconcile, Sandbox};
use crate::reconcile::asked::Inquiry;
use crate::reconcile::{self, Answer, Begun, Conflict, Inputs, ReconcileError, Reconciled, SettingsError};

/// What a whole level came to.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The last step's result, or why there is none.
    pub(crate) reconciled: Result<Reconciled, Cause>,
}

/// Runs every call of a level, then its last step.
///
/// Foreground calls are joined before the last step; background calls run beside all of it and
/// are waited for, or ended, after it.
///
/// # Errors
/// [`RunError`] when the journal failed. Everything still running is dropped, which ends it.
pub(crate) async fn run_level(level: &Level) -> Result<Whole, RunError> {
    let of = |background: bool| {
        let calls = level.plan.calls.iter().enumerate();
        let calls = calls.filter(move |(_, call)| call.background == background);
        try_join_all(calls.map(|(at, _)| call::run(level, at)))
    };
    let background = of(true).fuse();
    let foreground = async {
        of(false).await?;
        last_step(level).await
    }
    .fuse();
    futures::pin_mut!(background, foreground);
    let mut behind = None;
    let reconciled = loop {
        futures::select_biased! {
            reconciled = foreground => break reconciled?,
            done = background => behind = Some(done?),
        }
    };
    if behind.is_none() {
        match level.plan.limits.background {
            AtEnd::Wait => {}
            AtEnd::Cancel => {
                level.over.request(Phase::Ending, Why::Over);
            }
        }
        background.await?;
    }
    Ok(Whole { reconciled })
}

/// The plan's last step.
async fn last_step(level: &Level) -> Result<Result<Reconciled, Cause>, RunError> {
    let step = level.last_step();
    if level.world.rehearsal {
        return Ok(Err(again::rehearsed()));
    }
    if let Some(cause) = given_up(level) {
        return Ok(Err(cause));
    }
    let reconcile = &level.plan.reconcile;
    let id = InstanceId::only(step.clone());
    let result = take_step(level, reconcile, &id, None).await?.map(|(reconciled, _)| reconciled);
    if let Ok(reconciled) = &result {
        let event =
            Event::Reconciled { step, result: reconciled.json.clone(), text: reconciled.text.clone() };
        level.world.journal.commit(event).await?;
    }
    Ok(result)
}

/// After an interrupt there is nothing to decide: the person wants the prompt back.
fn given_up(level: &Level) -> Option<Cause> {
    let stop = &level.world.stop;
    let interrupted = stop.phase() >= Phase::Ending && matches!(stop.why(), Some(Why::Signal(_)));
    interrupted.then(|| steps::stop_cause(stop))
}

/// A `reconcile` call in the middle of the plan.
pub(crate) async fn middle_step(level: &Level, position: usize, id: &InstanceId) -> Result<Raw, Ended> {
    let Some(call) = level.plan.calls.get(position) else { return Ok(Raw::default()) };
    let Action::Reconcile(reconcile) = &call.action else { return Ok(Raw::default()) };
    if level.world.rehearsal && (reconcile.strategy.command.is_some() || reconcile.strategy.asks()) {
        return Err(Fault::new(Status::Skipped, Kind::Final, again::rehearsed()).into());
    }
    match take_step(level, reconcile, id, Some((position, call))).await? {
        Ok((Reconciled { text, json, .. }, Tally { usage, asked })) => {
            Ok(Raw { text, computed: Some(json), usage, agent: asked.agent, ..Raw::default() })
        }
        Err(cause) => Err(Fault::new(Status::Failed, Kind::Final, cause).into()),
    }
}

/// Drains the bus, gathers the answers and computes.
async fn take_step(
    level: &Level,
    reconcile: &Reconcile,
    step: &InstanceId,
    call: Option<(usize, &Call)>,
) -> Result<Result<(Reconciled, Tally), Cause>, RunError> {
    for position in &reconcile.of {
        level.store.wait(*position).await;
    }
    let answers = answers::gather(level, reconcile);
    step_over(level, reconcile, step, call, answers).await
}

/// The plan's last step over answers that are there already; nothing else of the plan is done.
pub(crate) async fn last_step_over(
    level: &Level,
    answers: Vec<Answer>,
) -> Result<Result<(Reconciled, Usage), Cause>, RunError> {
    let step = InstanceId::only(level.last_step());
    let done = step_over(level, &level.plan.reconcile, &step, None, answers).await?;
    Ok(done.map(|(reconciled, tally)| (reconciled, tally.usage)))
}

async fn step_over(
    level: &Level,
    reconcile: &Reconcile,
    step: &InstanceId,
    call: Option<(usize, &Call)>,
    answers: Vec<Answer>,
) -> Result<Result<(Reconciled, Tally), Cause>, RunError> {
    match step_of(level, reconcile, step, call, answers).await {
        Ok(result) => Ok(Ok(result)),
        Err(Short::Cause(cause)) => Ok(Err(cause)),
        Err(Short::Run(error)) => Err(error),
    }
}

async fn step_of(
    level: &Level,
    reconcile: &Reconcile,
    step: &InstanceId,
    call: Option<(usize, &Call)>,
    answers: Vec<Answer>,
) -> Result<(Reconciled, Tally), Short> {
    let notifications = level.bus.drain();
    if !notifications.is_empty() {
        let numbers = notifications.iter().map(|n| n.number).collect();
        level.world.journal.note(Event::NotificationsDrained { by: step.call.clone(), numbers });
    }
    let name = reconcile.strategy.name.as_str();
    let settings = &with_prompt(level, reconcile, call)?;
    let wrong = |error: SettingsError| Cause::new("settings", error.to_string());
    let needs = reconcile::needs(name, settings).map_err(wrong)?;
    let mut inputs =
        Inputs { goal: level.goal().map(str::to_owned), answers, min: reconcile.min, ..Inputs::default() };
    if let Some(expression) = &needs.expression {
        inputs.normalized = Some(answers::normalized(level, expression, &inputs.answers)?);
    }
    for file in needs.files {
        let path = level.plan.dir.join(&file);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Cause::new("read_file", format!("cannot read {}: {error}", path.display())))?;
        inputs.files.insert(file, text.into());
    }
    if needs.program
        && let Some(command) = &reconcile.strategy.command
    {
        let input = reconcile::program_input(name, settings, &inputs).map_err(cause)?;
        inputs.program_output = Some(
            program_output(level, command, (input, &notifications), call.map(|(_, call)| call), step)
                .await?
                .into(),
        );
    }
    let mut tally = Tally::default();
    let begun = reconcile::begin(name, settings, &inputs);
    let mut result = match begun.inspect_err(|error| tell_conflicts(level, step, error)).map_err(cause)? {
        Begun::Done(result) => result,
        Begun::Asks(inquiry) => decided(level, *inquiry, step, call, &mut tally).await?,
    };
    let races = level.world.races.among(level.within.as_ref(), &inputs.answers);
    let first = races.first().map(|race| race.message.clone());
    result.also(races);
    tell(level, step, &result.conflicts);
    match first {
        Some(message) if settings.get("on_conflict").is_some_and(|word| word == "fail") => {
            Err(Cause::new(verdict::CONFLICT, message).into())
        }
        Some(_) | None => Ok((result, tally)),
    }
}

/// The settings, with what the parent's model is asked where it is asked something.
fn with_prompt(
    level: &Level,
    reconcile: &Reconcile,
    call: Option<(usize, &Call)>,
) -> Result<Map<String, Value>, Cause> {
    let mut settings = reconcile.strategy.settings.clone();
    if let Some(prompt) = &reconcile.strategy.prompt {
        let scope = level.scope(call.map(|(_, call)| call), &Local::default());
        let text = scope.and_then(|scope| prompt.render(&scope, Destination::Prompt));
        let text = text.map_err(|error| template_cause(&error))?.text;
        settings.insert("prompt".to_owned(), Value::String(text));
    }
    Ok(settings)
}

/// Asks what is left open, one question after the other.
async fn decided(
    level: &Level,
    mut inquiry: Inquiry,
    step: &InstanceId,
    call: Option<(usize, &Call)>,
    tally: &mut Tally,
) -> Result<Reconciled, Short> {
    let before = asking::conversation(level, call.map(|(position, _)| position));
    let asking = Asking {
        level,
        step,
        before: &before,
        news: true,
        bounds: asking::bounds(call.map(|(_, call)| call.timeout)),
    };
    while let Some(question) = inquiry.question() {
        asking.put(&question, tally, |said| inquiry.hear(said)).await?;
    }
    Ok(inquiry.finish(&tally.asked))
}

/// Tells of what the answers disagree on.
fn tell(level: &Level, step: &InstanceId, conflicts: &[Conflict]) {
    if conflicts.is_empty() {
        return;
    }
    level.world.journal.note(Event::ConflictsFound {
        step: step.call.clone(),
        count: u32::try_from(conflicts.len()).unwrap_or(u32::MAX),
        messages: conflicts.iter().take(TOLD).map(|conflict| conflict.message.clone()).collect(),
    });
}

fn tell_conflicts(level: &Level, step: &InstanceId, error: &ReconcileError) {
    if let ReconcileError::Conflict { result, .. } = error {
        tell(level, step, &result.conflicts);
    }
}

/// How many conflicts are told of in words.
const TOLD: usize = 20;

/// Why a step came to nothing, for people and for the exit status.
fn cause(error: ReconcileError) -> Cause {
    let code = match &error {
        ReconcileError::Settings(_) => "settings",
        ReconcileError::TooFew { .. } => "too_few",
        ReconcileError::Conflict { .. } => verdict::CONFLICT,
        ReconcileError::Answer { .. } => "answer_shape",
        ReconcileError::Outside { .. } => "reconcile_input",
    };
    Cause::new(code, error.to_string())
}

/// What a program of the reconciliation also gets to know.
fn with_news(level: &Level, mut input: Value, notifications: &[Notification]) -> String {
    if let Value::Object(map) = &mut input {
        map.insert("plan".to_owned(), level.plan.name.clone().into());
        map.insert("notifications".to_owned(), super::bus::as_value(notifications));
    }
    input.to_string()
}

/// `strategy: command`: what an earlier process's program said of the same results, else what the
/// program says now, written down before it is used.
///
/// The notifications are no part of what the step is: they depend on timing.
async fn program_output(
    level: &Level,
    command: &Command,
    (input, news): (Value, &[Notification]),
    call: Option<&Call>,
    step: &InstanceId,
) -> Result<String, Short> {
    let source = match command {
        Command::Shell(text) => text.source.to_string(),
        Command::Argv(words) => words.iter().map(|word| word.source.as_ref()).collect::<Vec<_>>().join("\0"),
    };
    let key = ContentKey::of([source.as_bytes(), input.to_string().as_bytes()]);
    if let Some(outcome) = level.world.told_before(&key, step)? {
        return Ok(outcome.output.text.to_string());
    }
    let ran = run_command(level, command, with_news(level, input, news), call).await;
    let outcome = match &ran {
        Ok(raw) => again::as_outcome(raw),
        Err(cause) => Outcome::ended(Status::Failed, cause.clone()),
    };
    let kept = level.world.journal.keep_step(step.clone(), AttemptNo(1), key, outcome).await;
    kept.map_err(|error| Short::Run(error.into()))?;
    Ok(ran?.text)
}

/// Runs a step's program.
async fn run_command(
    level: &Level,
    command: &Command,
    input: String,
    call: Option<&Call>,
) -> Result<Raw, Cause> {
    let scope = level.scope(call, &Local::default()).map_err(|error| template_cause(&error))?;
    let mut program = program(command, &scope).map_err(|error| template_cause(&error))?;
    program.stdin = Some(input.into_bytes());
    let timeout = call.map_or(DEFAULT_STEP_TIMEOUT, |call| call.timeout);
    let dir = level.plan.dir.clone();
    let place = Place {
        cwd: dir.clone(),
        env: Vec::new(),
        sandbox: Sandbox::off(),
        dir,
        isolation: Isolation::Shared,
    };
    let run = attempt::Command {
        program: &program,
        place: &place,
        bounds: Bounds::within(timeout),
        idle_timeout: None,
        max_bytes: STEP_OUTPUT,
    };
    let stop = async {
        level.world.stop.reached(Phase::Ending).await;
        steps::stop_cause(&level.world.stop)
    };
    match run.once(&level.world, None, stop).await {
        Ok(raw) => Ok(raw),
        Err(fault) => Err(Cause::new(
            "reconcile_command",
            format!("the command `{}` of the reconciliation failed: {}", program.shown, fault.explained()),
        )),
    }
}

/// How long the last step's program may take; a call in the middle has its own `timeout`.
const DEFAULT_STEP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(600);
/// How much a program of the reconciliation may print, in bytes.
const STEP_OUTPUT: u64 = 64 << 20;

/// Another plan inside a call: its reconciled result is the call's output.
///
/// Its calls take places under its own `limits` and under the run's. When the call has to end, or
/// the plan's own time is up, everything in it is ended and has its outcome like any other call.
pub(crate) fn sub_plan<'a>(
    world: &'a Arc<World>,
    plan: &'a Arc<Plan>,
    vars: &'a serde_json::Map<String, Value>,
    (id, charged): (&'a InstanceId, Vec<Account>),
    bounds: Bounds,
    stop: impl Future<Output = Cause> + Send + 'a,
) -> BoxFuture<'a, Result<Raw, Ended>> {
    async move {
        let fail = |status, cause| Ended::from(Fault::new(status, Kind::Final, cause));
        let level = Level::new(Arc::clone(plan), vars, Arc::clone(world), Some(id.clone()), &charged)
            .map_err(|error| fail(Status::Failed, template_cause(&error)))?;
        let ended_by = async {
            let own = async {
                match plan.limits.time {
                    Some(time) => tokio::time::sleep(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                cause = stop => (Status::Cancelled, cause),
                () = tokio::time::sleep_until(bounds.deadline) => (Status::TimedOut, bounds.exceeded()),
                () = own => (Status::OverBudget, Cause::new("time_limit", "the plan's own `limits.time` ran out")),
            }
        };
        let work = run_level(&level);
        tokio::pin!(work, ended_by);
        let mut end = None;
        let whole = loop {
            tokio::select! {
                biased;
                whole = &mut work => break whole?,
                (status, cause) = &mut ended_by, if end.is_none() => {
                    level.over.request(Phase::Ending, Why::Outer { cause: cause.clone() });
                    end = Some((status, cause));
                }
            }
        };
        if let Some((status, cause)) = end {
            return Err(fail(status, cause));
        }
        let verdict = verdict::of(&level, &whole);
        if !verdict.success() {
            let message = format!("the plan {} failed: {}", plan.name, verdict.reasons.join("; "));
            return Err(fail(Status::Failed, Cause::new("sub_plan", message)));
        }
        match whole.reconciled {
            Ok(reconciled) => {
                Ok(Raw { text: reconciled.text, computed: Some(reconciled.json), ..Raw::default() })
            }
            Err(cause) => Err(fail(Status::Failed, cause)),
        }
    }
    .boxed()
}
