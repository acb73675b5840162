//! One call's block: heading, facts, why it failed, what it produced.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::page::{Extent, Page};
use super::parent;
use crate::id::InstanceId;
use crate::outcome::{Outcome, Status};
use crate::report::fold::{CallView, InstanceView, Said, Standing, State};
use crate::report::sanitise;
use crate::report::style::{Style, Tone};
use crate::unit::{Bytes, Usd, human_duration};

/// Lines shown of what a command wrote on standard error, from its end.
const STDERR_LINES: usize = 10;
/// Lines shown of what a call that did not succeed had produced until then.
const PARTIAL_LINES: usize = 10;
/// Instances shown of one expanded call: so many in `ok`, and so many that are not.
const INSTANCES: usize = 10;
/// Failed attempts shown of one instance.
const ATTEMPTS: usize = 5;

/// What all blocks of a page share.
pub(super) struct Blocks<'a> {
    /// The run's name for `fanout show`.
    pub(super) run: &'a str,
    /// Lines shown of one output.
    pub(super) lines: usize,
    /// What is said of one that has no outcome.
    pub(super) open: &'static str,
    /// Whether conversations are shown.
    pub(super) talk: bool,
    /// All calls, to know steps of the parent by.
    pub(super) calls: &'a [CallView],
}

/// What is said of an instance because of its call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kind {
    /// That it is a background call.
    background: bool,
    /// Whether its output is what a model wrote.
    prose: bool,
}

impl Kind {
    fn of(call: &CallView) -> Kind {
        Kind { background: call.planned.background, prose: call.planned.is_prompt() }
    }
}

/// How many blocks a call takes: it has at most two times [`INSTANCES`].
pub(super) fn blocks_of(call: &CallView) -> usize {
    call.each().filter(|(_, view)| view.state != State::Waiting).count().min(2 * INSTANCES)
}

impl Blocks<'_> {
    /// The block of a call; nothing for one that nothing happened to.
    pub(super) fn call(&self, page: &mut Page<'_>, call: &CallView) {
        if call.is_expanded() {
            return self.expanded(page, call);
        }
        let Some(view) = call.whole.as_ref().filter(|view| view.state != State::Waiting) else { return };
        let id = InstanceId::only(call.id().clone());
        page.heading(mark(view, page.style), &id.to_string(), &call.planned.description);
        self.instance(page, 2, &id, view, Kind::of(call));
    }

    /// The block of one instance of an expanded call.
    pub(super) fn one(&self, page: &mut Page<'_>, call: &CallView, id: &InstanceId, view: &InstanceView) {
        let label = call.label(id.index).unwrap_or(&call.planned.description);
        page.heading(mark(view, page.style), &id.to_string(), label);
        self.instance(page, 2, id, view, Kind::of(call));
    }

    fn expanded(&self, page: &mut Page<'_>, call: &CallView) {
        let views: Vec<_> = call.each().filter(|(_, view)| view.state != State::Waiting).collect();
        if views.is_empty() {
            return;
        }
        let mut counts: BTreeMap<Status, u32> = BTreeMap::new();
        for outcome in views.iter().filter_map(|(_, view)| view.outcome.as_ref()) {
            *counts.entry(outcome.status).or_default() += 1;
        }
        let mark = match call.standing() {
            Standing::Good => (Tone::Good, page.style.mark(Status::Ok)),
            Standing::Open => (Tone::Warn, "?"),
            Standing::Mixed => (Tone::Warn, "!"),
            Standing::Bad => (Tone::Bad, page.style.mark(Status::Failed)),
        };
        page.heading(mark, call.id().as_str(), &call.planned.description);
        let mut facts = vec![(None, format!("{} instances", call.size()))];
        facts.extend(
            counts.iter().map(|(status, n)| (Some(Style::tone(*status)), format!("{n} {}", status.words()))),
        );
        if call.planned.background {
            facts.push((None, "background".to_owned()));
        }
        page.facts(2, &facts);
        let whole = call.whole.as_ref().and_then(|view| view.outcome.as_ref());
        if let Some((outcome, cause)) = whole.and_then(|outcome| Some((outcome, outcome.cause.as_ref()?))) {
            page.sentence(2, 0, Some(Style::tone(outcome.status)), &cause.message);
        }

        let (mut ok, mut not_ok, mut left) = (0, 0, 0_usize);
        for (id, view) in views {
            let seen = if view.outcome.as_ref().is_some_and(Outcome::is_ok) { &mut ok } else { &mut not_ok };
            *seen += 1;
            if *seen > INSTANCES {
                left += 1;
                continue;
            }
            page.blank();
            let (tone, mark) = self::mark(view, page.style);
            let label = call.label(id.index).unwrap_or_default();
            page.facts(2, &[(Some(tone), format!("{mark} {id}")), (Some(Tone::Strong), label.to_owned())]);
            self.instance(page, 4, &id, view, Kind { background: false, ..Kind::of(call) });
        }
        if left > 0 {
            page.blank();
            let how = format!("fanout show {} '{}[N]'", self.run, call.id());
            page.more(2, &format!("{left} more instances"), &how);
        }
    }

    pub(super) fn instance(
        &self,
        page: &mut Page<'_>,
        indent: usize,
        id: &InstanceId,
        view: &InstanceView,
        kind: Kind,
    ) {
        let Some(outcome) = &view.outcome else {
            page.facts(indent, &[(Some(Tone::Warn), self.open.to_owned())]);
            self.conversation(page, indent, view);
            return;
        };
        page.facts(indent, &facts(outcome, view, kind.background));
        if let Some(cause) = &outcome.cause {
            page.sentence(indent, 0, Some(Style::tone(outcome.status)), &cause.message);
        }
        if !outcome.is_ok() || !view.attempts.is_empty() {
            self.attempts(page, indent, outcome, view);
        }
        self.conversation(page, indent, view);
        let rest = show(self.run, id);
        if let Some(computed) = self.computed(id, outcome) {
            page.blank();
            parent::computed(page, indent, (computed, &outcome.output.text), self.lines, &rest);
        } else if outcome.is_ok() {
            if !outcome.output.is_empty() {
                page.blank();
                let extent = Extent { lines: self.lines, rest: &rest };
                match kind.prose && outcome.output.json.is_none() {
                    true => page.prose(indent, &outcome.output.text, &extent),
                    false => page.body(indent, &outcome.output.text, &extent),
                }
            }
        } else {
            tail(page, indent, &outcome.stderr);
            if !outcome.output.is_empty() {
                page.sentence(indent, 0, Some(Tone::Dim), "what it had produced until then:");
                page.body(
                    indent + 2,
                    &outcome.output.text,
                    &Extent { lines: PARTIAL_LINES.min(self.lines), rest: &rest },
                );
            }
        }
        if outcome.output.omitted_bytes > 0 {
            let size = Bytes(outcome.output.omitted_bytes);
            page.sentence(
                indent,
                2,
                Some(Tone::Warn),
                &format!("{size} of it were left out because of `output.max_bytes`"),
            );
        }
    }

    /// What a step of the parent computed, if it is one that has a layout of its own.
    fn computed<'o>(&self, id: &InstanceId, outcome: &'o Outcome) -> Option<&'o Value> {
        let computed = outcome.output.json.as_deref()?;
        let is_step = |call: &CallView| *call.id() == id.call && call.planned.kind == "reconcile";
        (crate::report::computed::is_known(computed) && self.calls.iter().any(is_step)).then_some(computed)
    }

    /// What was said and done on the way, one line for each answer and each tool.
    fn conversation(&self, page: &mut Page<'_>, indent: usize, view: &InstanceView) {
        if !self.talk || view.talk.is_empty() {
            return;
        }
        page.blank();
        page.sentence(indent, 0, Some(Tone::Dim), "what it did:");
        for step in &view.talk {
            let tone = match &step.said {
                Said::Model { .. } => Tone::Strong,
                Said::Tool { is_error: true, .. } => Tone::Bad,
                Said::Tool { .. } | Said::Job { .. } => Tone::Info,
            };
            let lead = format!("{}:", sanitise::short(&step.who, 40, page.style));
            page.entry(indent + 2, tone, &lead, &step.line());
        }
        page.blank();
    }

    /// The attempts before the last one, or all that failed before a success.
    fn attempts(&self, page: &mut Page<'_>, indent: usize, outcome: &Outcome, view: &InstanceView) {
        let earlier: Vec<_> = view.attempts.iter().filter(|attempt| attempt.retry_in.is_some()).collect();
        let hidden = earlier.len().saturating_sub(ATTEMPTS);
        for attempt in earlier.iter().skip(hidden) {
            let same = outcome.cause.as_ref() == Some(&attempt.cause);
            let why = if same { "the same" } else { attempt.cause.message.as_str() };
            let wait = attempt.retry_in.unwrap_or_default();
            let text = format!(
                "attempt {} failed, the next came {} later: {why}",
                attempt.number,
                human_duration(wait)
            );
            page.sentence(indent, 2, Some(Tone::Dim), &text);
        }
    }
}

/// The command that prints an output whole.
pub(super) fn show(run: &str, id: &InstanceId) -> String {
    match id.index {
        // A shell would take the brackets for a pattern.
        Some(_) => format!("fanout show {run} '{id}' --raw"),
        None => format!("fanout show {run} {id} --raw"),
    }
}

/// Mark and tone of an instance: `ok` with nothing in it is something to look at.
pub(super) fn mark(view: &InstanceView, style: &Style) -> (Tone, &'static str) {
    match &view.outcome {
        None => (Tone::Warn, "?"),
        Some(outcome) if outcome.is_empty_success() => (Tone::Warn, style.mark(Status::Ok)),
        Some(outcome) => (Style::tone(outcome.status), style.mark(outcome.status)),
    }
}

fn facts(outcome: &Outcome, view: &InstanceView, background: bool) -> Vec<(Option<Tone>, String)> {
    let mut facts = Vec::new();
    let word = if outcome.is_empty_success() { "ok but empty" } else { outcome.status.words() };
    let tone = if outcome.is_empty_success() { Tone::Warn } else { Style::tone(outcome.status) };
    facts.push((Some(tone), word.to_owned()));
    if let Some(agent) = outcome.agent.as_ref().or(view.agent.as_ref()) {
        facts.push((None, agent.clone()));
    }
    if let Some(changes) = &outcome.changes {
        facts.push((None, format!("changed {}", changes.summary())));
    }
    if outcome.took > Duration::ZERO {
        facts.push((None, human_duration(outcome.took)));
    }
    let usage = &outcome.usage;
    if !(usage.input + usage.output).is_zero() {
        facts.push((None, format!("{} tokens in, {} out", usage.input, usage.output)));
    }
    if let Some(cost) = usage.cost.filter(|cost| *cost > Usd(0)) {
        facts.push((None, cost.to_string()));
    }
    if outcome.attempts > 1 {
        facts.push((None, format!("{} attempts", outcome.attempts)));
    }
    if outcome.reused {
        let from = |run| format!("cached, from {run}");
        facts.push((None, outcome.cached_from.as_ref().map_or_else(|| "reused".to_owned(), from)));
    }
    if outcome.interrupted > 0 {
        facts.push((Some(Tone::Warn), repeated(outcome.interrupted)));
    }
    if background {
        facts.push((None, "background".to_owned()));
    }
    facts
}

/// That it was at work when fanout was killed, and is a repeat.
fn repeated(times: u32) -> String {
    match times {
        1 => "repeated: fanout was killed while it ran".to_owned(),
        times => format!("repeated: fanout was killed {times} times while it ran"),
    }
}

fn tail(page: &mut Page<'_>, indent: usize, stderr: &str) {
    let lines: Vec<&str> = stderr.trim_end().lines().collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        return;
    }
    let cut = lines.len().saturating_sub(STDERR_LINES);
    let label = match cut {
        0 => "standard error:".to_owned(),
        _ => format!("the last {STDERR_LINES} of {} lines of standard error:", lines.len()),
    };
    page.sentence(indent, 0, Some(Tone::Dim), &label);
    let tail = lines.get(cut..).unwrap_or_default().join("\n");
    page.body(indent + 2, &tail, &Extent { lines: STDERR_LINES, rest: "" });
}
