//! The state of a run as people see it: a fold over its records, live or replayed.
//!
//! Invariants: the same records give the same view, however they arrive; a record
//! costs the same in a run of ten calls and of ten thousand; a record that is out
//! of place (an unknown call, an end without a start) is shown, never a panic. Times
//! are counted from the begin of the run over all processes that worked on it.

mod call;
mod part;
mod provider;
mod talk;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub use call::{AttemptView, CallView, InstanceView, Standing, State};
pub use part::{NotificationView, QuestionView, ReconciledView, StopView, Tally, TurnView, WarningView};
pub use provider::{PossiblyBilled, ProviderView};
pub use talk::{Said, StepView};

use crate::event::{Census, Event, PlannedCall, Record, RequestStarted, RunFinished, RunStarted};
use crate::id::{CallId, InstanceId};
use crate::outcome::{Outcome, Usage};
use crate::unit::{Tokens, Usd};

/// A run so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunView {
    /// The head of the run; `None` before its first record.
    pub head: Option<RunStarted>,
    /// Wall clock of its first record.
    pub began: Option<Timestamp>,
    /// The calls in plan order.
    pub calls: Vec<CallView>,
    /// What the parent's last step used to ask its model.
    pub asked: Usage,
    /// The parent's last step, if it was recorded as an instance of its own.
    pub parent: Option<InstanceView>,
    /// What background calls posted, by number.
    pub notifications: BTreeMap<u64, NotificationView>,
    /// Questions to people, in the order they were put.
    pub questions: Vec<QuestionView>,
    /// What the parent computed, step by step; a step that was computed again stands once.
    pub reconciled: Vec<ReconciledView>,
    /// What was asked of each provider and program, by name.
    pub providers: BTreeMap<String, ProviderView>,
    /// What people should know.
    pub warnings: Vec<WarningView>,
    /// What ended the run early.
    pub stop: Option<StopView>,
    /// How the run ended; `None` while it runs, and for ever when its process was killed.
    pub finish: Option<RunFinished>,
    /// True while a process is at it. Records cannot say so: whoever reads them sets it.
    pub live: bool,
    /// How many times a later process went on with it.
    pub resumed: u32,
    /// Time of the last record.
    pub elapsed: Duration,
    /// The figures.
    pub tally: Tally,
    /// The turns by number from 1, background calls left out.
    pub turns: BTreeMap<u32, TurnView>,
    /// Time of earlier processes.
    before: Duration,
    /// Requests that have begun and not ended.
    open: BTreeMap<(InstanceId, u64), RequestStarted>,
    by_id: HashMap<CallId, usize>,
    running: BTreeMap<u64, InstanceId>,
    places: u64,
}

impl RunView {
    /// The view of a whole sequence of records.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> RunView {
        let mut view = RunView::default();
        for record in records {
            view.apply(record);
        }
        view
    }

    /// Takes one record in.
    pub fn apply(&mut self, record: &Record) {
        let now = self.before + as_written(record.elapsed);
        self.began.get_or_insert(record.at);
        let outside = matches!(record.event, Event::RunResumed { .. } | Event::NoticeDelivered { .. });
        if !record.event.is_volatile() && !outside {
            self.elapsed = self.elapsed.max(now);
        }
        match &record.event {
            Event::RunStarted(head) => self.begin(head),
            Event::RunResumed { .. } => self.resume(),
            Event::CallExpanded { call, labels } => self.expand(call, labels),
            Event::CallStarted { instance, agent, input, .. } => self.start(instance, (agent, input), now),
            Event::CallProgressed { instance, activity, tokens } => {
                if let Some(view) = self.known(instance).filter(|view| view.state == State::Running) {
                    view.activity.clone_from(activity);
                    view.tokens = view.tokens.max(*tokens);
                }
            }
            Event::CallWaiting { instance, on, reason, left } => {
                if let Some(view) = self.known(instance).filter(|view| view.state == State::Running) {
                    view.activity = provider::waiting(on, reason, *left);
                }
            }
            Event::RequestStarted(request) => {
                if let Some(view) = self.known(&request.instance).filter(|view| view.state == State::Running)
                {
                    view.activity.clear();
                }
                self.open.insert((request.instance.clone(), request.number), request.clone());
            }
            Event::RequestFinished(request) => {
                self.open.remove(&(request.instance.clone(), request.number));
                self.providers.entry(request.provider.clone()).or_default().count(request);
            }
            Event::AttemptFailed { instance, attempt, cause, retry_in } => {
                self.slot(instance).attempts.push(AttemptView {
                    number: *attempt,
                    cause: cause.clone(),
                    at: now,
                    retry_in: retry_in.map(|wait| as_written(wait.0)),
                });
            }
            Event::AttemptFinished { instance, outcome, .. } if instance.call.is_parent_step() => {
                // The plan's last step has no outcome of its own to count in.
                self.asked.add(&outcome.usage);
            }
            Event::ResultsForgotten { calls } => self.forget(calls),
            Event::AttemptFinished { .. }
            | Event::ConflictsFound { .. }
            | Event::ModelAsked { .. }
            | Event::SessionExtended { .. }
            | Event::WorkspaceMade { .. } => {}
            Event::ModelAnswered { instance, .. }
            | Event::ToolStarted { instance, .. }
            | Event::ToolEnded { instance, .. }
            | Event::JobEnded { instance, .. } => self.slot(instance).converse(&record.event, now),
            Event::SubagentPlanned { within, call } => self.plan_subagent(within, call),
            Event::CallFinished { instance, outcome, .. } => self.end(instance, outcome, now),
            Event::NotificationPosted { number, instance, status } => {
                let view = NotificationView {
                    instance: instance.clone(),
                    status: *status,
                    at: now,
                    drained_by: None,
                };
                self.notifications.insert(*number, view);
            }
            Event::NotificationsDrained { by, numbers } => {
                for number in numbers {
                    if let Some(view) = self.notifications.get_mut(number) {
                        view.drained_by.get_or_insert_with(|| by.clone());
                    }
                }
            }
            Event::QuestionAsked { call, question } => self.questions.push(QuestionView {
                call: call.clone(),
                question: question.clone(),
                answered_by: None,
            }),
            Event::QuestionAnswered { call, by } => {
                let open = self.questions.iter_mut().rev().find(|question| question.call == *call);
                if let Some(question) = open {
                    question.answered_by = Some(by.clone());
                }
            }
            Event::StopRequested { reason, message } => {
                // The first one is why; a second Ctrl-C only hastens it.
                let stop = || StopView { reason: reason.clone(), message: message.clone() };
                self.stop.get_or_insert_with(stop);
            }
            Event::Reconciled { step, result, text } => {
                let result = Arc::new(result.clone());
                let view = ReconciledView { step: step.clone(), result, text: text.as_str().into() };
                match self.reconciled.iter_mut().find(|old| old.step == *step) {
                    Some(old) => *old = view,
                    None => self.reconciled.push(view),
                }
            }
            Event::Warned { code, message } => {
                self.warnings.push(WarningView { code: code.clone(), message: message.clone() });
            }
            Event::NoticeDelivered { topic, to, cause, .. } => {
                self.warnings.extend(cause.as_ref().map(|cause| WarningView {
                    code: "not_told".to_owned(),
                    message: not_told(topic, to, cause),
                }));
            }
            Event::RunFinished(finish) => self.finish = Some(finish.clone()),
        }
    }

    /// True for a run that goes on while it is looked at.
    pub fn running_now(&self) -> bool {
        self.live && self.finish.is_none()
    }

    /// What is said of an instance that has no outcome though it started.
    pub fn open_word(&self) -> &'static str {
        if self.running_now() { "still at work" } else { "did not end" }
    }

    /// What is said of a call that nothing happened to.
    pub fn untouched_word(&self) -> &'static str {
        if self.running_now() { "not reached yet" } else { "never reached" }
    }

    /// Takes the present into account: a run that a process is at takes time while nothing is recorded.
    /// Of a resumed one, pauses are not known from here, and its last record has to do.
    pub fn tick(&mut self, now: Timestamp) {
        if let Some(began) = self.began.filter(|_| self.running_now() && self.resumed == 0) {
            let passed = Duration::try_from(now.duration_since(began)).unwrap_or_default();
            self.elapsed = self.elapsed.max(as_written(passed));
        }
    }

    /// A call by its id.
    pub fn call(&self, id: &CallId) -> Option<&CallView> {
        self.by_id.get(id).and_then(|at| self.calls.get(*at))
    }

    /// An instance by its id, if something happened to it.
    pub fn instance(&self, id: &InstanceId) -> Option<&InstanceView> {
        if id.call == CallId::parent_step() {
            return self.parent.as_ref();
        }
        let call = self.call(&id.call)?;
        match id.index {
            None => call.whole.as_ref(),
            Some(index) => call.instances.get(&index),
        }
    }

    /// What is at work now, in the order it started, the parent's last step left out.
    pub fn running(&self) -> impl DoubleEndedIterator<Item = (&CallView, &InstanceId, &InstanceView)> {
        self.running.values().filter_map(|id| Some((self.call(&id.call)?, id, self.instance(id)?)))
    }

    /// The turn that is not done yet; the last one when all are.
    pub fn turn(&self) -> u32 {
        let open = self.turns.iter().find(|(_, turn)| turn.done < turn.planned);
        open.or(self.turns.last_key_value()).map_or(1, |(number, _)| *number)
    }

    /// A time of the process that is at work, as a time of the run.
    pub fn time(&self, elapsed: Duration) -> Duration {
        self.before + elapsed
    }

    /// What all calls used, the parent's own step included.
    pub fn usage(&self) -> Usage {
        let mut total = Usage { cost: None, ..Usage::default() };
        let instances = self.calls.iter().flat_map(|call| call.whole.iter().chain(call.instances.values()));
        for outcome in instances.chain(&self.parent).filter_map(|view| view.outcome.as_ref()) {
            total.add(&outcome.usage);
        }
        total.add(&self.asked);
        total
    }

    /// What may be billed though nobody said so, over all processes that worked on it.
    pub fn possibly_billed(&self) -> PossiblyBilled {
        let mut all = PossiblyBilled::default();
        self.providers.values().for_each(|provider| all.add(provider));
        all
    }

    /// The same if whoever is or was at it does not go on.
    pub fn possibly_billed_if_cut_off(&self) -> PossiblyBilled {
        let mut view =
            RunView { providers: self.providers.clone(), open: self.open.clone(), ..RunView::default() };
        view.lose_open();
        view.possibly_billed()
    }

    /// The census: the run's own if it ended, else counted from what is known.
    pub fn census(&self) -> Census {
        if let Some(finish) = &self.finish {
            return finish.census.clone();
        }
        let mut census = Census::default();
        for outcome in
            self.calls.iter().flat_map(CallView::each).filter_map(|(_, view)| view.outcome.as_ref())
        {
            census.count(outcome);
        }
        census.planned = self.tally.planned;
        census
    }

    fn begin(&mut self, head: &RunStarted) {
        for planned in &head.calls {
            self.plan(planned.clone());
        }
        self.head = Some(head.clone());
    }

    fn plan(&mut self, planned: PlannedCall) -> usize {
        if let Some(at) = self.by_id.get(&planned.id) {
            return *at;
        }
        let at = self.calls.len();
        self.by_id.insert(planned.id.clone(), at);
        self.tally.planned += 1;
        if !planned.background {
            self.turns.entry(planned.turn).or_default().planned += 1;
        }
        self.calls.push(CallView::new(planned));
        at
    }

    /// A subagent is a call of its own, in the turn of the call that it works for.
    fn plan_subagent(&mut self, within: &InstanceId, call: &PlannedCall) {
        let turn = self.call(&within.call).map_or(call.turn, |outer| outer.planned.turn);
        self.plan(PlannedCall { turn, ..call.clone() });
    }

    /// Takes all requests that have not ended for lost.
    fn lose_open(&mut self) {
        for request in std::mem::take(&mut self.open).into_values() {
            self.providers.entry(request.provider.clone()).or_default().lose(&request);
        }
    }

    fn resume(&mut self) {
        self.resumed += 1;
        self.lose_open();
        self.before = self.elapsed;
        self.finish = None;
        self.stop = None;
        self.tally.running = 0;
        for id in std::mem::take(&mut self.running).into_values() {
            // What it had said and done is taken over, not said and done again.
            let view = self.slot(&id);
            *view = InstanceView { talk: std::mem::take(&mut view.talk), ..InstanceView::default() };
        }
        self.parent = self.parent.take().filter(|parent| parent.state == State::Finished);
    }

    /// What these calls said and did counts no more.
    fn forget(&mut self, calls: &[CallId]) {
        for call in self.calls.iter_mut().filter(|call| calls.contains(call.id())) {
            for view in call.whole.iter_mut().chain(call.instances.values_mut()) {
                view.talk.clear();
            }
        }
    }

    fn expand(&mut self, call: &CallId, labels: &[String]) {
        let at = self.at(call);
        self.resize(at, |call| call.labels = Some(labels.to_vec()));
    }

    /// Does something that may change how many instances a call has.
    fn resize(&mut self, at: usize, change: impl FnOnce(&mut CallView)) {
        let Some(call) = self.calls.get_mut(at) else { return };
        let before = call.size();
        change(call);
        let after = call.size();
        self.tally.planned = self.tally.planned.saturating_add(after).saturating_sub(before);
        if !call.planned.background {
            let turn = self.turns.entry(call.planned.turn).or_default();
            turn.planned = turn.planned.saturating_add(after).saturating_sub(before);
        }
    }

    fn start(&mut self, id: &InstanceId, (agent, input): (&str, &str), now: Duration) {
        self.uncount(id);
        self.places += 1;
        let place = self.places;
        let view = self.slot(id);
        let old = std::mem::replace(&mut view.place, place);
        let talk = std::mem::take(&mut view.talk);
        *view = InstanceView {
            state: State::Running,
            started: Some(now),
            agent: Some(agent.to_owned()),
            input: input.to_owned(),
            place,
            talk,
            ..InstanceView::default()
        };
        if id.call != CallId::parent_step() {
            self.running.remove(&old);
            self.running.insert(place, id.clone());
            self.tally.running = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        }
    }

    fn end(&mut self, id: &InstanceId, outcome: &Outcome, now: Duration) {
        self.uncount(id);
        let view = self.slot(id);
        view.state = State::Finished;
        view.ended = Some(now);
        view.activity = String::new();
        view.tokens = Tokens(0);
        view.outcome = Some(Outcome { took: as_written(outcome.took), ..outcome.clone() });
        let place = view.place;
        self.running.remove(&place);
        self.tally.running = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        self.count(id, outcome, true);
    }

    /// Takes back what an earlier end of the same instance counted: a resumed run may end it again.
    fn uncount(&mut self, id: &InstanceId) {
        let old = self.known(id).and_then(|view| view.outcome.take());
        if let Some(old) = old {
            self.count(id, &old, false);
        }
    }

    fn count(&mut self, id: &InstanceId, outcome: &Outcome, up: bool) {
        let add = |n: &mut u32| *n = if up { n.saturating_add(1) } else { n.saturating_sub(1) };
        let Some(call) = self.by_id.get(&id.call).and_then(|at| self.calls.get_mut(*at)) else { return };
        if !call.counts(id.index) {
            return;
        }
        add(&mut call.done);
        if outcome.is_ok() {
            add(&mut call.ok);
        }
        if !call.planned.background {
            add(&mut self.turns.entry(call.planned.turn).or_default().done);
        }
        add(&mut self.tally.done);
        add(self.tally.by_status.entry(outcome.status).or_default());
        let used = outcome.usage.input + outcome.usage.output;
        let tokens = &mut self.tally.tokens;
        *tokens = if up { *tokens + used } else { Tokens(tokens.0.saturating_sub(used.0)) };
        let (cost, own) = (&mut self.tally.cost, outcome.usage.cost.unwrap_or_default());
        *cost = if up { *cost + own } else { Usd(cost.0.saturating_sub(own.0)) };
    }

    fn known(&mut self, id: &InstanceId) -> Option<&mut InstanceView> {
        if id.call == CallId::parent_step() {
            return self.parent.as_mut();
        }
        let call = self.by_id.get(&id.call).and_then(|at| self.calls.get_mut(*at))?;
        match id.index {
            None => call.whole.as_mut(),
            Some(index) => call.instances.get_mut(&index),
        }
    }

    fn slot(&mut self, id: &InstanceId) -> &mut InstanceView {
        if id.call == CallId::parent_step() {
            return self.parent.get_or_insert_default();
        }
        let at = self.at(&id.call);
        if self.known(id).is_none() {
            self.resize(at, |call| {
                call.slot(id.index);
            });
        }
        match self.calls.get_mut(at) {
            Some(call) => call.slot(id.index),
            // Cannot happen: `at` is an index that `plan` gave out. The parent's slot keeps it total.
            None => self.parent.get_or_insert_default(),
        }
    }

    /// The index of a call; one that the head does not list is added behind the others.
    fn at(&mut self, id: &CallId) -> usize {
        if let Some(at) = self.by_id.get(id) {
            return *at;
        }
        self.plan(PlannedCall {
            id: id.clone(),
            description: id.as_str().to_owned(),
            kind: String::new(),
            turn: self.turns.last_key_value().map_or(1, |(number, _)| *number),
            needs: Vec::new(),
            after: Vec::new(),
            background: false,
            check: false,
        })
    }
}

/// A time as the journal writes it down, so that a live run looks as it will look later.
fn as_written(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The sentence for a notice that did not get where it should.
pub(super) fn not_told(topic: &str, to: &str, cause: &crate::outcome::Cause) -> String {
    format!("`notify`: the notice about `{topic}` was not delivered by {to}: {}", cause.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, Script};

    #[test]
    fn a_mixed_run_is_counted_by_status_and_turn() {
        let view = RunView::of(&sample::mixed());
        let census = view.finish.as_ref().unwrap().census.clone();
        assert_eq!(view.tally.planned, census.planned);
        assert_eq!(view.tally.by_status, census.by_status);
        assert_eq!((view.tally.done, view.tally.running), (census.planned, 0));
        let turns: Vec<_> = view.turns.iter().map(|(n, turn)| (*n, turn.planned, turn.done)).collect();
        assert_eq!(turns, [(1, 8, 8), (2, 3, 3)]);
        assert_eq!(view.notifications[&1].drained_by, Some(CallId::parent_step()));
    }

    #[test]
    fn records_one_by_one_and_all_at_once_give_the_same_view() {
        let records = sample::mixed();
        let mut one_by_one = RunView::default();
        for record in &records {
            one_by_one.apply(record);
        }
        assert_eq!(one_by_one, RunView::of(&records));
    }

    #[test]
    fn a_census_counted_from_records_is_the_census_that_the_run_wrote() {
        let mut records = sample::mixed();
        let whole = RunView::of(&records).census();
        records.pop();
        assert_eq!(RunView::of(&records).census(), whole);
    }

    #[test]
    fn progress_shows_only_while_it_runs() {
        let mut script = Script::new("p", &["a"]);
        script.start("a").progress("a", "reading x", 70);
        let view = RunView::of(&script.records);
        let (_, id, running) = view.running().next().unwrap();
        assert_eq!(
            (id.to_string(), running.activity.as_str(), running.tokens),
            ("a".into(), "reading x", Tokens(70))
        );
        script.ok("a", "done").progress("a", "too late", 90);
        let view = RunView::of(&script.records);
        assert_eq!(view.running().count(), 0);
        assert_eq!(view.instance(&sample::instance("a")).unwrap().activity, "");
    }

    #[test]
    fn a_resumed_run_goes_on_counting_and_forgets_what_was_cut_off() {
        let mut script = Script::new("p", &["a", "b"]);
        script.wait(2.0).start("a").start("b").wait(3.0).ok("a", "x").resumed().wait(1.0);
        let view = RunView::of(&script.records);
        assert_eq!((view.tally.running, view.tally.done, view.resumed), (0, 1, 1));
        assert_eq!(view.instance(&sample::instance("b")).unwrap().state, State::Waiting);
        script.start("b").wait(1.0).ok("b", "y").ok("a", "x");
        let view = RunView::of(&script.records);
        assert_eq!((view.tally.running, view.tally.done), (0, 2));
        assert_eq!(view.instance(&sample::instance("b")).unwrap().started, Some(Duration::from_secs(6)));
        assert_eq!(view.elapsed, Duration::from_secs(7));
    }

    #[test]
    fn an_expansion_counts_instances_one_by_one_and_an_empty_one_none() {
        let mut script = Script::new("p", &["each", "none"]);
        script.expand("each", &["x", "y", "z"]).expand("none", &[]);
        assert_eq!(RunView::of(&script.records).tally.planned, 3);
        script.start("each[1]").ok("each[1]", "").ok("none", "[]");
        let view = RunView::of(&script.records);
        assert_eq!((view.tally.planned, view.tally.done), (4, 2));
        let each = &view.calls[0];
        assert_eq!((each.size(), each.done(), each.ok(), each.label(Some(2))), (3, 1, 1, Some("z")));
    }

    #[test]
    fn a_run_that_goes_on_reads_as_one() {
        let mut script = Script::new("p", &["each", "later"]);
        script
            .expand("each", &["x", "y", "z"])
            .start("each[0]")
            .start("each[1]")
            .wait(1.0)
            .ok("each[0]", "x");
        let mut view = RunView::of(&script.records);
        view.live = true;
        let each = view.calls[0].clone();
        assert_eq!((each.standing(), each.stands()), (Standing::Open, "1 of 3 done".to_owned()));
        assert_eq!(view.untouched_word(), "not reached yet");
        let began = view.began.unwrap();
        view.tick(began + Duration::from_secs(7));
        assert_eq!(view.elapsed, Duration::from_secs(7));
        view.tick(began);
        assert_eq!(view.elapsed, Duration::from_secs(7), "time does not go back");
        script.finish(false, &[]);
        let mut view = RunView { live: true, ..RunView::of(&script.records) };
        view.tick(began + Duration::from_secs(70));
        assert_eq!(view.elapsed, Duration::from_secs(1), "it has ended");
        assert_eq!(view.untouched_word(), "never reached");
    }

    #[test]
    fn a_record_of_an_unknown_call_is_shown_and_not_lost() {
        let mut script = Script::new("p", &["a"]);
        script.start("ghost").ok("ghost", "boo");
        let view = RunView::of(&script.records);
        assert_eq!((view.calls.len(), view.tally.planned, view.tally.done), (2, 2, 1));
    }
}
