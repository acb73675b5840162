//! The trace: run, call, instance, and in that model requests and tools, each where it belongs.
//!
//! Invariant: a span ends once, at the time of the record that ended it; times are the first
//! record's wall clock plus monotonic time, so that no span ends before it begins.

use std::collections::HashMap;
use std::time::SystemTime;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span};
use serde_json::json;

use super::Settings;
use super::attributes::{ERROR, MODEL, OPERATION, PROVIDER, number, provider, usage};
use crate::event::{Event, Record, RequestFinished, RequestStarted, RunFinished, RunStarted};
use crate::id::{CallId, ContentKey, InstanceId};
use crate::outcome::{Outcome, Status as Ended};

pub(super) struct Spans {
    tracer: SdkTracer,
    content: bool,
    /// Whatever started this process.
    above: Context,
    /// Wall clock at the run's monotonic zero.
    zero: Option<SystemTime>,
    now: SystemTime,
    plan: String,
    name: String,
    kinds: HashMap<CallId, String>,
    run: Option<Span>,
    calls: HashMap<CallId, Group>,
    instances: HashMap<InstanceId, Open>,
    requests: HashMap<(InstanceId, u64), Span>,
    tools: HashMap<(InstanceId, ContentKey), Span>,
}

/// An expanded call, until the last of its instances has ended.
struct Group {
    span: Span,
    left: usize,
    failed: usize,
}

/// An instance at work.
struct Open {
    span: Span,
    /// By the name that the spans inside name their conversation.
    agent: bool,
}

impl Spans {
    pub(super) fn new(tracer: SdkTracer, settings: &Settings) -> Spans {
        let carrier: HashMap<String, String> =
            settings.parent.iter().map(|parent| ("traceparent".to_owned(), parent.clone())).collect();
        Spans {
            tracer,
            content: settings.content,
            above: TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier),
            zero: None,
            now: SystemTime::UNIX_EPOCH,
            plan: String::new(),
            name: String::new(),
            kinds: HashMap::new(),
            run: None,
            calls: HashMap::new(),
            instances: HashMap::new(),
            requests: HashMap::new(),
            tools: HashMap::new(),
        }
    }

    /// What the calls are, from before a resume.
    pub(super) fn remember(&mut self, record: &Record) {
        if let Event::RunStarted(started) = &record.event {
            self.know(started);
        }
        if let Event::SubagentPlanned { call, .. } = &record.event {
            self.kinds.insert(call.id.clone(), call.kind.clone());
        }
    }

    pub(super) fn hear(&mut self, record: &Record) {
        let zero = *self.zero.get_or_insert_with(|| SystemTime::from(record.at) - record.elapsed);
        self.now = zero + record.elapsed;
        match &record.event {
            Event::RunStarted(started) => {
                self.know(started);
                self.run_began(false);
            }
            Event::RunResumed { .. } => self.run_began(true),
            Event::SubagentPlanned { .. } => self.remember(record),
            Event::CallExpanded { call, labels } => self.expanded(call, labels.len()),
            Event::CallStarted { instance, agent, input, .. } => self.began(instance, agent, input),
            Event::CallFinished { instance, outcome, .. } => self.ended(instance, outcome),
            Event::AttemptFailed { instance, attempt, cause, retry_in } => {
                let mut about = vec![
                    number("fanout.attempt", attempt.0.into()),
                    KeyValue::new(ERROR, cause.code.clone()),
                ];
                about.extend(retry_in.map(|wait| KeyValue::new("fanout.retry_in_s", wait.0.as_secs_f64())));
                if self.content {
                    about.push(KeyValue::new("exception.message", cause.message.clone()));
                }
                if let Some(open) = self.instances.get_mut(instance) {
                    open.span.add_event_with_timestamp("attempt_failed", self.now, about);
                }
            }
            Event::RequestStarted(started) => self.asked(started),
            Event::RequestFinished(finished) => self.answered(finished),
            Event::ToolStarted { instance, key, tool, input, .. } => {
                let span = self.tool(instance, tool, key);
                let span = self.with_content(span, "gen_ai.tool.call.arguments", || input.to_string());
                self.tools.insert((instance.clone(), key.clone()), span);
            }
            Event::ToolEnded { instance, key, tool, text, is_error, .. } => {
                let open = self.tools.remove(&(instance.clone(), key.clone()));
                // One that was refused never started.
                let mut span = open.unwrap_or_else(|| self.tool(instance, tool, key));
                if *is_error {
                    span.set_attribute(KeyValue::new(ERROR, "tool_error"));
                    span.set_status(Status::error("tool_error"));
                }
                self.with_content(span, "gen_ai.tool.call.result", || text.clone())
                    .end_with_timestamp(self.now);
            }
            Event::Warned { code, .. } => {
                let about = vec![KeyValue::new("fanout.code", code.clone())];
                if let Some(run) = &mut self.run {
                    run.add_event_with_timestamp("warned", self.now, about);
                }
            }
            Event::RunFinished(finished) => self.run_ended(finished),
            Event::ResultsForgotten { .. }
            | Event::CallProgressed { .. }
            | Event::CallWaiting { .. }
            | Event::AttemptFinished { .. }
            | Event::ModelAsked { .. }
            | Event::ModelAnswered { .. }
            | Event::JobEnded { .. }
            | Event::SessionExtended { .. }
            | Event::WorkspaceMade { .. }
            | Event::NotificationPosted { .. }
            | Event::NotificationsDrained { .. }
            | Event::QuestionAsked { .. }
            | Event::QuestionAnswered { .. }
            | Event::StopRequested { .. }
            | Event::Reconciled { .. }
            | Event::ConflictsFound { .. }
            | Event::NoticeDelivered { .. } => {}
        }
    }

    /// Ends what nobody ended.
    pub(super) fn close(&mut self) {
        let inside = self.requests.drain().map(|(_, span)| span);
        let inside = inside.chain(self.tools.drain().map(|(_, span)| span));
        let inside = inside.chain(self.instances.drain().map(|(_, open)| open.span));
        let inside = inside.chain(self.calls.drain().map(|(_, group)| group.span));
        for mut span in inside.chain(self.run.take()) {
            span.set_status(Status::error("cut_off"));
            span.end_with_timestamp(self.now);
        }
    }

    fn know(&mut self, started: &RunStarted) {
        self.plan.clone_from(&started.name);
        started.run.as_str().clone_into(&mut self.name);
        self.kinds = started.calls.iter().map(|call| (call.id.clone(), call.kind.clone())).collect();
    }

    fn run_began(&mut self, resumed: bool) {
        let about = vec![
            KeyValue::new(OPERATION, "invoke_workflow"),
            KeyValue::new("gen_ai.workflow.name", self.plan.clone()),
            KeyValue::new("fanout.run", self.name.clone()),
            KeyValue::new("fanout.resumed", resumed),
        ];
        let name = format!("invoke_workflow {}", self.plan);
        let above = self.above.clone();
        self.run = Some(self.start(name, SpanKind::Internal, about, &above));
    }

    fn run_ended(&mut self, finished: &RunFinished) {
        let Some(mut run) = self.run.take() else { return };
        run.set_attribute(number("fanout.exit", finished.exit.into()));
        for (status, count) in &finished.census.by_status {
            let key = format!("fanout.calls.{}", status.as_str());
            run.set_attribute(KeyValue::new(key, i64::from(*count)));
        }
        if !finished.success {
            run.set_attribute(KeyValue::new(ERROR, format!("exit_{}", finished.exit)));
            run.set_status(Status::error(format!("exit status {}", finished.exit)));
        }
        run.end_with_timestamp(self.now);
    }

    fn expanded(&mut self, call: &CallId, instances: usize) {
        if instances == 0 {
            return;
        }
        let about = vec![
            KeyValue::new("fanout.call", call.as_str().to_owned()),
            number("fanout.instances", instances as u64),
        ];
        let around = self.around(call);
        let span = self.start(format!("call {call}"), SpanKind::Internal, about, &around);
        self.calls.insert(call.clone(), Group { span, left: instances, failed: 0 });
    }

    fn began(&mut self, instance: &InstanceId, agent: &str, input: &str) {
        let call = &instance.call;
        let kind = self.kinds.get(call).map(String::as_str);
        let is_agent = kind.map_or(agent.contains('/'), |kind| kind == "prompt");
        let mut about = vec![
            KeyValue::new("fanout.call", call.as_str().to_owned()),
            KeyValue::new("fanout.instance", instance.to_string()),
        ];
        about.extend(kind.map(|kind| KeyValue::new("fanout.kind", kind.to_owned())));
        let (name, kind) = if is_agent {
            about.push(KeyValue::new(OPERATION, "invoke_agent"));
            about.push(KeyValue::new("gen_ai.agent.name", call.as_str().to_owned()));
            about.push(self.conversation(instance));
            let model = agent.split_once('/');
            match model {
                Some((whose, model)) => {
                    about.push(KeyValue::new(PROVIDER, provider(whose)));
                    about.push(KeyValue::new(MODEL, model.to_owned()));
                }
                None => about.push(KeyValue::new(PROVIDER, agent.to_owned())),
            }
            // A program of its own is another process.
            let kind = if model.is_some() { SpanKind::Internal } else { SpanKind::Client };
            (format!("invoke_agent {call}"), kind)
        } else {
            (format!("call {instance}"), SpanKind::Internal)
        };
        let around = match self.calls.get(call) {
            Some(group) if instance.index.is_some() => within(group.span.span_context()),
            Some(_) | None => self.around(call),
        };
        let mut span = self.start(name, kind, about, &around);
        if is_agent {
            span = self.with_content(span, "gen_ai.input.messages", || said("user", input));
        }
        self.instances.insert(instance.clone(), Open { span, agent: is_agent });
    }

    fn ended(&mut self, instance: &InstanceId, outcome: &Outcome) {
        if !self.instances.contains_key(instance) {
            // Never begun in this process: skipped, refused, taken over from earlier.
            self.began(instance, outcome.agent.as_deref().unwrap_or(""), "");
        }
        let Some(Open { mut span, agent }) = self.instances.remove(instance) else { return };
        span.set_attribute(KeyValue::new("fanout.status", outcome.status.as_str()));
        span.set_attribute(number("fanout.attempts", outcome.attempts.into()));
        span.set_attribute(KeyValue::new("fanout.reused", outcome.reused));
        if outcome.usage.requests > 0 {
            span.set_attributes(usage(&outcome.usage));
        }
        let failed = !outcome.is_ok() && outcome.status != Ended::Skipped;
        if failed {
            let code = outcome.cause.as_ref().map_or(outcome.status.as_str(), |cause| cause.code.as_str());
            let message = outcome.cause.as_ref().map_or(code, |cause| cause.message.as_str());
            span.set_attribute(KeyValue::new(ERROR, code.to_owned()));
            // A cause quotes providers and programs.
            span.set_status(Status::error(if self.content { message } else { code }.to_owned()));
        }
        if agent {
            let text = || said("assistant", &outcome.output.text);
            span = self.with_content(span, "gen_ai.output.messages", text);
        }
        span.end_with_timestamp(self.now);
        let Some(group) = self.calls.get_mut(&instance.call) else { return };
        group.left = group.left.saturating_sub(1);
        group.failed += usize::from(failed);
        if group.left == 0
            && let Some(Group { mut span, failed, .. }) = self.calls.remove(&instance.call)
        {
            span.set_attribute(number("fanout.failed", failed as u64));
            span.end_with_timestamp(self.now);
        }
    }

    fn asked(&mut self, started: &RequestStarted) {
        if started.model.is_empty() {
            // The start of a program is what its instance stands for.
            return;
        }
        let about = vec![
            KeyValue::new(OPERATION, "chat"),
            KeyValue::new(PROVIDER, provider(&started.provider)),
            KeyValue::new(MODEL, started.model.clone()),
            self.conversation(&started.instance),
            number("fanout.reserved_tokens", started.reserved.0),
        ];
        let around = self.inside(&started.instance);
        let span = self.start(format!("chat {}", started.model), SpanKind::Client, about, &around);
        self.requests.insert((started.instance.clone(), started.number), span);
    }

    fn answered(&mut self, finished: &RequestFinished) {
        let Some(mut span) = self.requests.remove(&(finished.instance.clone(), finished.number)) else {
            return;
        };
        span.set_attributes(usage(&finished.usage));
        span.set_attribute(KeyValue::new("fanout.waited_s", finished.waited.0.as_secs_f64()));
        if let Some(failure) = &finished.failure {
            span.set_attribute(KeyValue::new(ERROR, failure.clone()));
            span.set_status(Status::error(failure.clone()));
        }
        span.end_with_timestamp(self.now);
    }

    fn tool(&self, instance: &InstanceId, tool: &str, key: &ContentKey) -> Span {
        let about = vec![
            KeyValue::new(OPERATION, "execute_tool"),
            KeyValue::new("gen_ai.tool.name", tool.to_owned()),
            KeyValue::new("gen_ai.tool.type", "function"),
            KeyValue::new("gen_ai.tool.call.id", key.as_str().to_owned()),
        ];
        self.start(format!("execute_tool {tool}"), SpanKind::Internal, about, &self.inside(instance))
    }

    fn conversation(&self, instance: &InstanceId) -> KeyValue {
        KeyValue::new("gen_ai.conversation.id", format!("{}/{instance}", self.name))
    }

    /// What a person may have written or read goes along only when it was asked for.
    fn with_content(&self, mut span: Span, key: &'static str, content: impl FnOnce() -> String) -> Span {
        if self.content {
            span.set_attribute(KeyValue::new(key, content()));
        }
        span
    }

    fn start(&self, name: String, kind: SpanKind, about: Vec<KeyValue>, around: &Context) -> Span {
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        let builder = builder.with_start_time(self.now).with_attributes(about);
        self.tracer.build_with_context(builder, around)
    }

    /// Around a call: the instance whose plan or whose agent it belongs to, or the run.
    fn around(&self, call: &CallId) -> Context {
        let outer = call.as_str().rsplit_once('.').map(|(outer, _)| outer);
        let outer = outer.and_then(|outer| self.instances.iter().find(|(id, _)| id.to_string() == outer));
        match outer {
            Some((_, open)) => within(open.span.span_context()),
            None => self.in_run(),
        }
    }

    fn inside(&self, instance: &InstanceId) -> Context {
        match self.instances.get(instance) {
            Some(open) => within(open.span.span_context()),
            None => self.in_run(),
        }
    }

    fn in_run(&self) -> Context {
        self.run.as_ref().map_or_else(|| self.above.clone(), |run| within(run.span_context()))
    }
}

fn within(parent: &SpanContext) -> Context {
    Context::new().with_remote_span_context(parent.clone())
}

/// One message, as the conventions write it.
fn said(role: &str, text: &str) -> String {
    json!([{"role": role, "parts": [{"type": "text", "content": text}]}]).to_string()
}
