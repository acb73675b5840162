//! The parent asks its model: one conversation through a plan, each answer durable before it is used.
//!
//! Invariants: what was answered is never asked again, by a retry or by a resumed run; a step knows
//! every parent's step that comes before it in the graph, and the last step knows them all, so
//! what it is told depends on results and not on timing. Notifications depend on timing: they are
//! told, and are no part of what the request is known by.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::attempt::{Bounds, Fault, Kind, of_agent};
use super::level::{Level, Local};
use super::stop::Phase;
use super::work::template_cause;
use super::{RunError, again, bus, output, steps};
use crate::agent::{self, Exchange};
use crate::id::{AttemptNo, ContentKey, InstanceId};
use crate::limits::backoff;
use crate::outcome::{Cause, Outcome, Status, Usage};
use crate::plan::template::Destination;
use crate::plan::{Action, Agent, AgentKind, Format, OutputSpec};
use crate::reconcile::asked::{self, Question};
use crate::unit::Bytes;

/// How often a passing fault of a request is tried again.
const RETRIES: u32 = 3;
/// How often a question is put: once more with what was wrong, and no more.
const ASKED: usize = 2;
/// How long a model may be silent.
const IDLE: Duration = Duration::from_secs(300);
/// How long one answer may take where no call says so.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes of what an earlier step decided.
const EARLIER: usize = 6_000;
/// Bytes of all that earlier steps decided.
const CONVERSATION: usize = 60_000;
/// Bytes of an answer.
const ANSWER: u64 = 4 << 20;

/// Who asks, and until when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) level: &'a Level,
    /// The step or the instance that the answer is for.
    pub(crate) step: &'a InstanceId,
    /// What was said before.
    pub(crate) before: &'a [Exchange],
    /// Whether it hears of background calls.
    pub(crate) news: bool,
    pub(crate) bounds: Bounds,
}

/// Why there is no answer that may be used.
#[derive(Debug)]
pub(crate) enum Short {
    /// The step failed.
    Cause(Cause),
    /// The run cannot go on.
    Run(RunError),
}

impl From<Cause> for Short {
    fn from(cause: Cause) -> Short {
        Short::Cause(cause)
    }
}

/// What all requests of a step came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) usage: Usage,
    pub(crate) asked: asked::Asked,
}

impl Asking<'_> {
    /// Puts a question until `hear` takes the answer.
    ///
    /// # Errors
    /// [`Short::Cause`] when the model fails or answers wrongly twice.
    pub(crate) async fn put(
        &self,
        question: &Question,
        tally: &mut Tally,
        mut hear: impl FnMut(&Value) -> Result<(), String>,
    ) -> Result<(), Short> {
        let spec = OutputSpec {
            format: Format::Json,
            schema: Some(Arc::clone(&question.schema)),
            max_bytes: Bytes(ANSWER),
            file: None,
        };
        let mut earlier: Vec<agent::Earlier> = Vec::new();
        loop {
            let outcome = self.answered(question, &earlier, &mut tally.usage).await?;
            tally.asked.agent.clone_from(&outcome.agent);
            tally.asked.answers += 1;
            let read = output::read(&outcome.output.text, outcome.output.omitted_bytes, &spec, true);
            let complaint = match read {
                Ok(output) => match hear(output.json.as_deref().unwrap_or(&Value::Null)) {
                    Ok(()) => return Ok(()),
                    Err(complaint) => complaint,
                },
                Err(cause) => cause.message,
            };
            earlier.push(agent::Earlier { answer: outcome.output.text.to_string(), complaint });
            if let Some(last) = earlier.get(ASKED - 1) {
                let message = format!(
                    "the parent's model ({}) was to {} and gave an answer that cannot be used, twice: {}",
                    outcome.agent.as_deref().unwrap_or("unknown"),
                    question.purpose,
                    last.complaint
                );
                return Err(Cause::new("parent_answer", message).into());
            }
        }
    }

    /// One answer: an earlier process's, else the model's, written down before it is used.
    async fn answered(
        &self,
        question: &Question,
        earlier: &[agent::Earlier],
        usage: &mut Usage,
    ) -> Result<Outcome, Short> {
        let Some(parent) = &self.level.plan.parent else {
            let message = "the plan has nobody who reasons for the parent; name a model under `parent`";
            return Err(Cause::new("no_parent", message).into());
        };
        let system = self.system(parent)?;
        let key = self.key(parent, &system, question, earlier);
        if let Some(outcome) = self.level.world.told_before(&key, self.step)? {
            usage.add(&outcome.usage);
            return Ok(outcome.into_inner());
        }
        let tried = self.tried(parent, &system, question, earlier, usage).await;
        let outcome = match &tried {
            Ok(outcome) => outcome.clone(),
            Err(Short::Cause(cause)) => Outcome::ended(Status::Failed, cause.clone()),
            Err(Short::Run(_)) => return tried,
        };
        usage.add(&outcome.usage);
        let journal = &self.level.world.journal;
        let kept = journal.keep_step(self.step.clone(), AttemptNo(1), key, outcome).await;
        kept.map_err(|error| Short::Run(error.into()))?;
        tried
    }

    /// Tries a request until it is answered or trying again cannot help.
    async fn tried(
        &self,
        parent: &Agent,
        system: &str,
        question: &Question,
        earlier: &[agent::Earlier],
        usage: &mut Usage,
    ) -> Result<Outcome, Short> {
        let world = &self.level.world;
        let worker = world.agents.of(parent, &self.level.plan.providers);
        let position =
            self.level.plan.calls.iter().position(|call| self.level.event_id(call) == self.step.call);
        let access = self.level.access(self.step, position, None);
        let (mut tries, mut retried) = (0, 0);
        loop {
            tries += 1;
            let ask = agent::Ask {
                prompt: self.prompt(question),
                system: Some(system.to_owned()),
                before: self.before.to_vec(),
                schema: Some(Arc::clone(&question.schema)),
                earlier: earlier.to_vec(),
                deadline: self.bounds.deadline,
                idle_timeout: Some(IDLE),
                cwd: self.level.plan.dir.clone(),
                env: Vec::new(),
                // A model of this process, without tools: it starts nothing.
                policy: crate::sandbox::Policy::default(),
                thread: None,
                transcript: None,
                shared: None,
                last_try: retried >= RETRIES,
                access: Arc::clone(&access),
                desk: None,
            };
            let answer = tokio::select! {
                biased;
                cause = self.ending() => return Err(cause.into()),
                () = tokio::time::sleep_until(self.bounds.deadline) => {
                    return Err(self.failed(question, &Fault::new(Status::TimedOut, Kind::Final, self.bounds.exceeded())));
                }
                answer = worker.answer(ask, &|_, _| {}) => answer,
            };
            let fault = match answer {
                Ok(answer) => {
                    let raw = super::attempt::Raw {
                        memory: None,
                        text: answer.text,
                        omitted: answer.omitted_bytes,
                        stderr: answer.stderr.into(),
                        exit: answer.exit,
                        usage: answer.usage,
                        agent: Some(answer.agent),
                        computed: None,
                    };
                    return Ok(again::as_outcome(&raw));
                }
                Err(failure) => of_agent(*failure, self.bounds),
            };
            usage.add(&fault.partial.usage);
            let again = match fault.kind {
                Kind::RateLimited => true,
                Kind::Transient => retried < RETRIES,
                Kind::Error | Kind::Timeout | Kind::Final => false,
            };
            if !again {
                return Err(self.failed(question, &fault));
            }
            retried += u32::from(fault.kind != Kind::RateLimited);
            let left = self.bounds.left();
            let wait = backoff::delay(tries, fault.retry_after, left, &mut backoff::random);
            let wait = wait.map_err(|too_long| {
                let cause = Cause::new(&fault.cause.code, format!("{}; {too_long}", fault.cause.message));
                self.failed(question, &Fault { cause, ..fault })
            })?;
            tokio::select! {
                biased;
                cause = self.ending() => return Err(cause.into()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn ending(&self) -> Cause {
        let Level { over, world, .. } = self.level;
        tokio::select! {
            biased;
            () = world.stop.reached(Phase::Ending) => steps::stop_cause(&world.stop),
            () = over.reached(Phase::Ending) => steps::stop_cause(over),
        }
    }

    fn failed(&self, question: &Question, fault: &Fault) -> Short {
        let message =
            format!("the parent's model was to {} and failed: {}", question.purpose, fault.explained());
        Cause::new(&fault.cause.code, message).into()
    }

    /// The question, after the news.
    fn prompt(&self, question: &Question) -> String {
        let posted = if self.news { self.level.bus.posted() } else { Vec::new() };
        if posted.is_empty() {
            return question.prompt.clone();
        }
        let lines = bus::as_value(&posted);
        let lines: Vec<String> = lines.as_array().into_iter().flatten().map(Value::to_string).collect();
        format!("{}\n\n{}", asked::enclosed("background-results", &lines.join("\n")), question.prompt)
    }

    fn system(&self, parent: &Agent) -> Result<String, Cause> {
        let AgentKind::Model(model) = &parent.kind else { return Ok(asked::SYSTEM.to_owned()) };
        let Some(own) = &model.system else { return Ok(asked::SYSTEM.to_owned()) };
        let scope = self.level.scope(None, &Local::default()).map_err(|error| template_cause(&error))?;
        let own = own.render(&scope, Destination::Raw).map_err(|error| template_cause(&error))?;
        Ok(format!("{}\n\n{}", asked::SYSTEM, own.text))
    }

    fn key(
        &self,
        parent: &Agent,
        system: &str,
        question: &Question,
        earlier: &[agent::Earlier],
    ) -> ContentKey {
        let who = match &parent.kind {
            AgentKind::Model(model) => json!({
                "models": model.models.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "max_tokens": model.max_tokens,
                "temperature": model.temperature,
                "effort": model.effort,
            }),
            AgentKind::Command(command) => json!({"argv": command.argv}),
        };
        let before: Vec<_> = self.before.iter().map(|one| [&one.said, &one.answered]).collect();
        let earlier: Vec<_> = earlier.iter().map(|one| [&one.answer, &one.complaint]).collect();
        let parts = json!(["parent", who, system, before, question.prompt, question.schema, earlier]);
        ContentKey::of([parts.to_string().as_bytes()])
    }
}

/// What a step's bounds are: its call's `timeout`, or ten minutes.
pub(crate) fn bounds(timeout: Option<Duration>) -> Bounds {
    let timeout = timeout.unwrap_or(TIMEOUT);
    Bounds { deadline: Instant::now() + timeout, timeout }
}

/// What the parent's steps before this one came to; `None` is the last step.
pub(crate) fn conversation(level: &Level, position: Option<usize>) -> Vec<Exchange> {
    let calls = &level.plan.calls;
    let mut known: Vec<bool> = calls.iter().map(|call| position.is_none() && !call.background).collect();
    let mut open: Vec<usize> = match position {
        Some(position) => vec![position],
        None => level.plan.reconcile.of.clone(),
    };
    if position.is_none() {
        open.iter().for_each(|at| known.get_mut(*at).into_iter().for_each(|known| *known = true));
    }
    while let Some(call) = open.pop().and_then(|at| calls.get(at)) {
        for need in &call.needs {
            if let Some(slot) = known.get_mut(need.call).filter(|known| !**known) {
                *slot = true;
                open.push(need.call);
            }
        }
    }
    let mut said = Vec::new();
    for (at, call) in calls.iter().enumerate().filter(|(at, _)| known.get(*at).is_some_and(|known| *known)) {
        let Action::Reconcile(step) = &call.action else { continue };
        let Some(result) = level.store.get(at) else { continue };
        for instance in result.instances.iter().filter(|instance| instance.outcome.is_ok()) {
            let label = instance.label.as_ref().map(|label| format!(", {label}")).unwrap_or_default();
            let asked = step.strategy.prompt.as_ref().map(|prompt| format!("\n{}", prompt.source.trim()));
            said.push(Exchange {
                said: format!(
                    "Step `{}`{label} ({}): {}{}",
                    call.id,
                    step.strategy.name,
                    call.description,
                    asked.unwrap_or_default()
                ),
                answered: asked::excerpt(&instance.outcome.output.text, EARLIER),
            });
        }
    }
    // The latest count most.
    let mut room = CONVERSATION;
    let fits = |one: &&Exchange| match room.checked_sub(one.said.len() + one.answered.len()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let kept = said.iter().rev().take_while(fits).count();
    said.split_off(said.len() - kept)
}
