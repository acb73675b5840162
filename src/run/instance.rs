//! One instance of a call, from its place under the limits to its durable outcome.
//!
//! Three loops, one inside the other: rounds (`repeat`), answers (`attempts`: asked
//! again with what was wrong), tries (`retries`: transient faults). This is the one
//! place that decides to try again, so every try is in the journal and under every
//! limit. The outcome leaves here only as `Durable`.

use std::sync::Arc;
use std::time::Duration;

use minijinja::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::activity::Activity;
use super::attempt::{self, Bounded, Bounds, Fault, Feedback, Kind, Raw};
use super::crew::Beside;
pub(crate) use super::ended::Ended;
use super::ended::{of_fault, of_outcome, of_raw};
use super::level::{Level, Local, data};
use super::results::InstanceResult;
use super::seat::Promise;
use super::session::Carried;
use super::stop::{Phase, Stop, Why};
use super::work::{Job, Work, takes_place, template_cause};
use super::{RunError, World, check, kit, output, parent, steps};
use crate::agent::Access;
use crate::event::{Event, Millis};
use crate::id::{AttemptNo, ContentKey, InstanceId};
use crate::journal::Durable;
use crate::limits::backoff;
use crate::outcome::{Cause, Outcome, Output, Status, Usage};
use crate::plan::{AgentKind, Call, Join, OnError, Repeat};

/// One instance, about to be run.
#[derive(Debug)]
pub(crate) struct Instance<'a> {
    pub(crate) level: &'a Level,
    pub(crate) position: usize,
    pub(crate) call: &'a Call,
    pub(crate) id: InstanceId,
    pub(crate) label: Option<String>,
    pub(crate) local: Local,
    /// The call's own `concurrency`.
    pub(crate) narrower: Option<&'a Arc<Semaphore>>,
    /// The call's instances, where they were counted together.
    pub(crate) promised: Option<&'a Promise>,
    /// Reached when enough other instances of the call have succeeded.
    pub(crate) enough: &'a Stop,
    /// How deep it stands: 0 for a call of the plan, 1 for its subagents.
    pub(crate) depth: u32,
}

/// What the tries of one instance have used up so far.
#[derive(Debug, Default)]
struct Spent {
    attempts: u32,
    usage: Usage,
    /// Conversations that an agent had or began anew.
    conversations: u32,
    /// What its session brought.
    carried: Carried,
}

impl Instance<'_> {
    /// Runs it to its durable outcome.
    ///
    /// # Errors
    /// [`RunError`] only when the run itself cannot go on: the journal failed.
    pub(crate) async fn run(mut self) -> Result<InstanceResult, RunError> {
        // What few calls do is kept out of what all of them are: its state is made when it is needed.
        let outcome = if let Some(outcome) = Box::pin(self.known()).await? {
            outcome
        } else {
            let (key, outcome) = if let Some((key, outcome)) = Box::pin(self.cached()).await? {
                (Some(key), outcome)
            } else {
                self.work().await?
            };
            Box::pin(self.end(key, outcome)).await?
        };
        self.count_beneath();
        Ok(InstanceResult::new(self.id, self.label, self.local.item, outcome))
    }

    /// Its outcome of an earlier process, or of the run that is played again.
    async fn known(&self) -> Result<Option<Durable<Outcome>>, RunError> {
        let known = match self.replayed().await? {
            Some(outcome) => Some(outcome),
            None => self.recalled(),
        };
        if let Some(outcome) = &known {
            self.bring_back(outcome).await;
        }
        Ok(known)
    }

    /// Writes down how it ended, and takes away what it leaves.
    async fn end(&self, key: Option<ContentKey>, outcome: Outcome) -> Result<Durable<Outcome>, RunError> {
        let outcome = self.level.world.finish(self.id.clone(), key.clone(), outcome).await?;
        self.move_out(&outcome).await;
        self.keep_cached(key, &outcome).await;
        Ok(outcome)
    }

    /// Takes a place and does the work.
    async fn work(&mut self) -> Result<(Option<ContentKey>, Outcome), RunError> {
        let world = Arc::clone(&self.level.world);
        if let Some(outcome) = self.rehearsed() {
            return Ok((None, outcome));
        }
        let seated = takes_place(&self.call.action).then_some(self.narrower);
        let access = self.level.access(&self.id, Some(self.position), seated);
        if seated.is_some() {
            if let Err(outcome) = Box::pin(self.sit(&access, None)).await {
                return Ok((None, outcome));
            }
            if let Err(cause) = self.count_first() {
                return Ok((None, Outcome::ended(Status::OverBudget, cause)));
            }
        }
        // In a place of its own: who waits for a turn needs none yet.
        Box::pin(self.seated(&world, &access)).await
    }

    /// Does the work, once it has its place.
    async fn seated(
        &mut self,
        world: &World,
        access: &Arc<Access>,
    ) -> Result<(Option<ContentKey>, Outcome), RunError> {
        let mut job = match self.first_job() {
            Ok(job) => job,
            Err(cause) => return Ok((None, Outcome::ended(Status::Failed, cause))),
        };
        let interrupted = self.cut_off(&job);
        if let Some(outcome) = Box::pin(self.held_back(interrupted)).await {
            return Ok((Some(job.key), outcome));
        }
        self.begin(&job).await?;
        let began = Instant::now();
        let output_base = job.place.cwd.clone();
        if let Err(outcome) = Box::pin(self.move_in(&mut job, began)).await {
            return Ok((Some(job.key), outcome));
        }
        let watched = Box::pin(self.watch(&job)).await;
        let carried = match self.carried() {
            Ok(carried) => carried,
            Err(cause) => return Ok((Some(job.key), Outcome::ended(Status::Failed, cause))),
        };
        let mut spent = Spent { carried, ..Spent::default() };
        let done = match &self.call.repeat {
            None => self.answers(&job, began, access, &mut spent, None).await,
            Some(repeat) => Box::pin(self.rounds(repeat, began, access, &mut spent)).await,
        };
        let mut outcome = match done {
            Ok(outcome) => outcome,
            Err(Ended::Fault(fault)) => of_fault(fault),
            Err(Ended::Run(error)) => return Err(error),
        };
        if outcome.is_ok()
            && let Some(file) = self.call.output.file.as_ref().filter(|_| world.acts())
            && let Err(cause) = steps::write_file(file, &job, &output_base, &outcome.output)
        {
            outcome = Outcome { cause: Some(cause), status: Status::Failed, ..outcome };
        }
        Box::pin(self.unwatch(watched)).await;
        outcome = Box::pin(self.take_stock(outcome)).await;
        outcome.took = began.elapsed();
        outcome.attempts = spent.attempts.max(1);
        outcome.usage = spent.usage;
        outcome.interrupted = interrupted;
        outcome.agent.get_or_insert_with(|| job.agent());
        // While its place is still taken: nobody who waits for one may start after this.
        self.stop_others(&outcome);
        Ok((Some(job.key), outcome))
    }

    /// `on_error: stop`: asks that nothing more is started, once the call can no longer succeed.
    fn stop_others(&self, outcome: &Outcome) {
        let stops = self.call.on_error == OnError::Stop && self.call.join == Join::All;
        if stops && !outcome.is_ok() && outcome.status != Status::Cancelled {
            let why = outcome.cause.as_ref().map(|cause| format!(": {}", cause.message)).unwrap_or_default();
            let message = format!("`{}` failed and says `on_error: stop`{why}", self.id);
            self.level.world.request_stop(Phase::Draining, Why::Error { message });
        }
    }

    /// `repeat`: round after round until its expression holds.
    async fn rounds(
        &self,
        repeat: &Repeat,
        began: Instant,
        access: &Arc<Access>,
        spent: &mut Spent,
    ) -> Result<Outcome, Ended> {
        let mut previous: Option<Output> = None;
        let mut earlier: Vec<Feedback> = Vec::new();
        for round in 1..=repeat.max {
            let mut local = self.local.clone();
            local.more.push(("round", Value::from(round)));
            local.more.push(("previous", steps::as_value(previous.as_ref())));
            let job = Job::render(self.level, self.call, &local)
                .map_err(|cause| Fault::new(Status::Failed, Kind::Final, cause))?;
            let talk = (!repeat.fresh).then_some(&earlier);
            let outcome = self.answers(&job, began, access, spent, talk).await?;
            let mut done = local;
            done.more.push(("output", Value::from(Arc::clone(&outcome.output.text))));
            done.more.push((
                "json",
                outcome.output.json.as_ref().map_or_else(|| Value::from(()), |j| data(j.as_ref())),
            ));
            done.more.push(("status", Value::from(outcome.status.as_str())));
            let scope = self.level.scope(Some(self.call), &done);
            let holds = scope.and_then(|scope| repeat.until.holds(&scope));
            match holds {
                Ok(true) => return Ok(outcome),
                Ok(false) => {}
                Err(error) => {
                    return Err(Fault::new(Status::Failed, Kind::Final, template_cause(&error)).into());
                }
            }
            earlier.push(Feedback {
                answer: outcome.output.text.to_string(),
                complaint: "It is not there yet. Go on from here.".to_owned(),
            });
            previous = Some(outcome.output);
        }
        let message = format!("`until` did not hold after {} rounds, its `max`", repeat.max);
        let partial =
            Raw { text: previous.map(|o| o.text.to_string()).unwrap_or_default(), ..Raw::default() };
        let fault = Fault::new(Status::Failed, Kind::Final, Cause::new("repeat_max", message));
        Err(Fault { partial: Box::new(partial), ..fault }.into())
    }

    /// `attempts`: asks again, with what was wrong, until shape and check are satisfied.
    async fn answers(
        &self,
        job: &Job,
        began: Instant,
        access: &Arc<Access>,
        spent: &mut Spent,
        talk: Option<&Vec<Feedback>>,
    ) -> Result<Outcome, Ended> {
        let mut feedback: Vec<Feedback> = talk.cloned().unwrap_or_default();
        let mut asked = 1;
        let mut retried = 0;
        loop {
            let raw = self.tries(job, began, access, spent, &feedback, &mut retried).await?;
            let (fault, retriable) = match self.judge(job, &raw, began, &mut spent.usage).await {
                Ok(output) => return Ok(of_raw(raw, output)),
                Err(Ended::Run(error)) => return Err(error.into()),
                Err(Ended::Fault(fault)) => {
                    let on = self.call.retry_on;
                    let retriable =
                        if fault.cause.code == "check_failed" { on.check } else { on.invalid_output };
                    (fault, retriable)
                }
            };
            let again = asked < self.call.attempts;
            if fault.kind == Kind::Final || !(again || retriable && retried < self.call.retries) {
                return Err(fault.into());
            }
            self.tell_failed(&fault, spent.attempts, Some(Duration::ZERO));
            if again {
                asked += 1;
                feedback.push(Feedback { answer: raw.text, complaint: fault.cause.message });
            } else {
                retried += 1;
            }
        }
    }

    /// Shape, then `check`.
    async fn judge(&self, job: &Job, raw: &Raw, began: Instant, usage: &mut Usage) -> Result<Output, Ended> {
        let asked = matches!(job.work, Work::Prompt { .. });
        let must_answer = asked && !(raw.text.trim().is_empty() && Box::pin(self.has_changed()).await);
        let text = if asked { raw.text.as_str() } else { raw.text.trim_end_matches(['\n', '\r']) };
        let with_raw = |cause: Cause, status, kind| {
            let fault = Fault::new(status, kind, cause);
            Fault { partial: Box::new(raw.clone()), ..fault }
        };
        let output = match &raw.computed {
            Some(value) => output::computed(&raw.text, value, &self.call.output),
            None => output::read(text, raw.omitted, &self.call.output, must_answer),
        };
        let output = output.map_err(|cause| with_raw(cause, Status::InvalidOutput, Kind::Error))?;
        if let Some(decides) = &self.call.check {
            let bounds = self.bounds(began);
            Box::pin(check::of(self, decides, job, &output, bounds, usage)).await.map_err(
                |ended| match ended {
                    Ended::Fault(fault) => Fault { partial: Box::new(raw.clone()), ..fault }.into(),
                    run @ Ended::Run(_) => run,
                },
            )?;
        }
        Ok(output)
    }

    fn bounds(&self, began: Instant) -> Bounds {
        Bounds { deadline: began + self.call.timeout, timeout: self.call.timeout }
    }

    /// `retries`: tries until something comes back or trying again cannot help.
    async fn tries(
        &self,
        job: &Job,
        began: Instant,
        access: &Arc<Access>,
        spent: &mut Spent,
        feedback: &[Feedback],
        retried: &mut u32,
    ) -> Result<Raw, Ended> {
        let bounds = self.bounds(began);
        // Asking again is another call; trying again after a passing fault is not.
        if spent.attempts > 0
            && takes_place(&self.call.action)
            && let Err(cause) = self.count()
        {
            return Err(Fault::new(Status::OverBudget, Kind::Final, cause).into());
        }
        let mut talk = self.talk(job, access, bounds, spent).await?;
        loop {
            if !access.seat.is_taken() {
                talk.beside(Box::pin(self.sit(access, Some(bounds)))).await.map_err(of_outcome)?;
            }
            spent.attempts += 1;
            if let Some(raw) = self.recalled_step(job, feedback) {
                spent.usage.add(&raw.usage);
                return Ok(raw);
            }
            let last_try = *retried >= self.call.retries;
            let told = attempt::Told { access, feedback, carried: &spent.carried, desk: talk.desk() };
            let fault = match talk.beside(self.once(job, Bounded { bounds, last_try }, told)).await {
                Ok(raw) => {
                    spent.usage.add(&raw.usage);
                    if self.call.session.is_some() {
                        Box::pin(self.leave(job, &raw)).await?;
                    }
                    if self.has_steps(job) {
                        Box::pin(self.keep_step(job, feedback, AttemptNo(spent.attempts), &raw)).await?;
                    }
                    return Ok(raw);
                }
                Err(Ended::Fault(fault)) => fault,
                Err(run) => return Err(run),
            };
            spent.usage.add(&fault.partial.usage);
            let on = self.call.retry_on;
            let tries_again = match fault.kind {
                Kind::Transient => *retried < self.call.retries,
                Kind::RateLimited => true,
                Kind::Error => on.error && *retried < self.call.retries,
                Kind::Timeout => on.timeout && *retried < self.call.retries,
                Kind::Final => false,
            };
            if !tries_again {
                return Err(fault.into());
            }
            // A waiting call must not keep others from working.
            access.seat.leave();
            if fault.kind == Kind::RateLimited {
                // Its gate knows until when, and who goes first.
                self.tell_failed(&fault, spent.attempts, Some(fault.retry_after.unwrap_or_default()));
                continue;
            }
            *retried += 1;
            let left = bounds.left();
            let wait = match backoff::delay(*retried, fault.retry_after, left, &mut backoff::random) {
                Ok(wait) => wait,
                Err(too_long) => {
                    let cause = Cause::new(&fault.cause.code, format!("{}; {too_long}", fault.cause.message));
                    return Err(Fault { cause, ..fault }.into());
                }
            };
            self.tell_failed(&fault, spent.attempts, Some(wait));
            let waited = async {
                tokio::select! {
                    biased;
                    cause = self.ending() => Err(Fault::new(Status::Cancelled, Kind::Final, cause)),
                    () = tokio::time::sleep(wait) => Ok(()),
                }
            };
            talk.beside(Box::pin(waited)).await?;
            if !matches!(fault.kind, Kind::Transient | Kind::RateLimited) {
                // What came of the conversation was no good: it is had anew.
                talk = self.talk(job, access, bounds, spent).await?;
            }
        }
    }

    /// An agent's next conversation, with what goes on beside it; for other work, nothing.
    async fn talk<'t>(
        &'t self,
        job: &'t Job,
        access: &'t Arc<Access>,
        bounds: Bounds,
        spent: &mut Spent,
    ) -> Result<Beside<'t>, Fault> {
        let Work::Prompt { agent, .. } = &job.work else { return Ok(Beside::default()) };
        let AgentKind::Model(model) = &agent.kind else { return Ok(Beside::default()) };
        spent.conversations += 1;
        let kit = Box::pin(kit::of(self, job, model))
            .await
            .map_err(|cause| Fault::new(Status::Failed, Kind::Final, cause))?;
        Ok(Beside::new(self, job, access, bounds, (spent.conversations, kit)))
    }

    fn tell_failed(&self, fault: &Fault, attempt: u32, retry_in: Option<Duration>) {
        self.level.world.journal.note(Event::AttemptFailed {
            instance: self.id.clone(),
            attempt: AttemptNo(attempt),
            cause: fault.cause.clone(),
            retry_in: retry_in.map(Millis),
        });
    }

    /// One try.
    async fn once(&self, job: &Job, bounded: Bounded, told: attempt::Told<'_>) -> Result<Raw, Ended> {
        let bounds = bounded.bounds;
        let world = &self.level.world;
        let activity = Activity::new(world.journal.clone(), self.id.clone());
        match &job.work {
            // Each kind in a place of its own: a prompt must not take the room that a command needs.
            Work::Prompt { .. } => {
                let ending = Box::pin(self.ending());
                let tried = attempt::prompt(self.level, self.call, job, bounded, told, &activity, ending);
                Ok(Box::pin(tried).await?)
            }
            Work::Run(program) => {
                let run = attempt::Command::of(self.call, program, &job.place, bounds);
                Ok(Box::pin(run.once(world, Some(&activity), self.ending())).await?)
            }
            Work::Value(value) => Ok(Raw { computed: Some(value.clone()), ..Raw::default() }),
            Work::Ask { question, default } => {
                let asked = steps::ask(world, &self.id, question, default.as_deref(), bounds, self.ending());
                Ok(Box::pin(asked).await?)
            }
            Work::Stop { success, reason } => Ok(steps::stop(world, *success, reason)),
            Work::Plan { plan, vars } => {
                let charged = self.level.accounts.of(Some(self.position));
                let run = parent::sub_plan(world, plan, vars, (&self.id, charged), bounds, self.ending());
                Box::pin(run).await
            }
            Work::Reconcile => Box::pin(parent::middle_step(self.level, self.position, &self.id)).await,
        }
    }
}
