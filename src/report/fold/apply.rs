//! What each record changes in the view.
//!
//! Invariants: a record costs the same in a run of ten calls and of ten thousand; one that is out of
//! place (an unknown call, an end without a start) is shown, never a panic.

use std::sync::Arc;
use std::time::Duration;

use super::{
    AttemptView, CallView, InstanceView, NotificationView, QuestionView, ReconciledView, RunView, State,
    StopView, WarningView, as_written, not_told, provider,
};
use crate::event::{Event, PlannedCall, Record, RunStarted};
use crate::id::{CallId, InstanceId};
use crate::outcome::Outcome;
use crate::unit::{Tokens, Usd};

impl RunView {
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
    pub(super) fn lose_open(&mut self) {
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
