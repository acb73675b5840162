//! Lines of news for where nothing can be drawn again: a pipe, a log, `TERM=dumb`.
//!
//! Invariants: one record, one line or none; the second word says what happened, so
//! that a log can be searched; ASCII only where the surface shows nothing else.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fold::RunView;
use super::live::Surface;
use super::sanitise::{ascii, short};
use super::style::{Style, Tone};
use crate::event::{Event, Record, RunFinished};
use crate::id::{CallId, InstanceId};
use crate::outcome::{Cause, Outcome, Status};
use crate::unit::human_duration;

/// How much of a cause, a question or a message a line shows, in columns.
const SENTENCE: usize = 300;
/// How much of a description a line shows, in columns.
const DESCRIPTION: usize = 60;

/// The line for a record, without a newline; `None` for news that has no line.
///
/// `view` has the record applied already. With `quiet`, only problems have lines: what ended badly
/// or empty, warnings, an early stop, and a run that failed.
pub fn line(view: &RunView, record: &Record, style: &Style, quiet: bool) -> Option<String> {
    let news = News { view, style, quiet };
    let body = news.body(record)?;
    let seconds = view.time(record.elapsed).as_secs_f64();
    let line = format!("{} {body}", style.paint(Tone::Dim, format!("{seconds:7.1}s")));
    Some(if style.unicode { line } else { ascii(&line).into_owned() })
}

struct News<'a> {
    view: &'a RunView,
    style: &'a Style,
    quiet: bool,
}

impl News<'_> {
    fn body(&self, record: &Record) -> Option<String> {
        if self.quiet && !record.event.is_trouble() {
            return None;
        }
        let body = match &record.event {
            Event::RunStarted(head) => {
                let name = self.short(&head.name, DESCRIPTION);
                let (calls, turns, limit) = (head.calls.len(), head.turns, head.concurrency);
                format!("run      {} \"{name}\" calls={calls} turns={turns} concurrency={limit}", head.run)
            }
            Event::RunResumed { .. } => {
                let ok = self.view.tally.by_status.get(&Status::Ok).copied().unwrap_or_default();
                format!("resume   ok={ok} of {}", self.view.tally.planned)
            }
            Event::ResultsForgotten { calls } => {
                let calls: Vec<&str> = calls.iter().map(CallId::as_str).collect();
                format!("anew     {}", self.short(&calls.join(" "), SENTENCE))
            }
            Event::CallExpanded { call, labels } => {
                format!("expand   {} instances={}", self.call(call), labels.len())
            }
            Event::CallStarted { instance, agent, .. } => {
                format!("start    {} agent={}", self.instance(instance), self.short(agent, DESCRIPTION))
            }
            Event::CallProgressed { .. }
            | Event::CallWaiting { .. }
            | Event::RequestStarted(_)
            | Event::RequestFinished(_)
            | Event::AttemptFinished { .. }
            | Event::ModelAsked { .. }
            | Event::ModelAnswered { .. }
            | Event::ToolStarted { .. }
            | Event::ToolEnded { .. }
            | Event::JobEnded { .. }
            | Event::SubagentPlanned { .. }
            | Event::SessionExtended { .. }
            | Event::WorkspaceMade { .. } => return None,
            Event::AttemptFailed { instance, attempt, cause, retry_in } => {
                let then = match retry_in {
                    Some(wait) => format!("next in {}", human_duration(wait.0)),
                    None => "the last".to_owned(),
                };
                let cause = self.cause(cause);
                self.paint(
                    Tone::Warn,
                    "retry   ",
                    &format!("{} attempt {attempt} ({then}): {cause}", self.instance(instance)),
                )
            }
            Event::CallFinished { instance, outcome, .. } => self.finished(instance, outcome),
            Event::NotificationPosted { number, instance, status } => {
                format!("notify   {} number={number} status={status}", self.instance(instance))
            }
            Event::NotificationsDrained { by, numbers } => {
                format!("notified {by} numbers={numbers:?}")
            }
            Event::QuestionAsked { call, question } => self.paint(
                Tone::Warn,
                "question",
                &format!("{}: {}", self.call(call), self.short(question, SENTENCE)),
            ),
            Event::QuestionAnswered { call, by } => format!("answer   {} by={by}", self.call(call)),
            Event::StopRequested { reason, message } => {
                self.paint(Tone::Warn, "stop    ", &format!("{reason}: {}", self.short(message, SENTENCE)))
            }
            Event::Reconciled { step, text, .. } => {
                format!("computed {step} lines={}", text.lines().count())
            }
            Event::ConflictsFound { step, count, messages } => {
                let first = messages.first().map(|message| format!(": {}", self.short(message, SENTENCE)));
                self.paint(
                    Tone::Warn,
                    "conflict",
                    &format!("{step} conflicts={count}{}", first.unwrap_or_default()),
                )
            }
            Event::Warned { code, message } => {
                self.paint(Tone::Warn, "warning ", &format!("{code}: {}", self.short(message, SENTENCE)))
            }
            Event::NoticeDelivered { topic, to, cause: None, .. } => format!("told     {topic} by={to}"),
            Event::NoticeDelivered { topic, to, cause: Some(cause), .. } => {
                let cause = self.cause(cause);
                self.paint(Tone::Warn, "not told", &format!("{topic} by={to}: {cause}"))
            }
            Event::RunFinished(finish) => self.run_finished(finish),
        };
        Some(body)
    }

    fn finished(&self, id: &InstanceId, outcome: &Outcome) -> String {
        let (tone, word) = if outcome.is_empty_success() {
            (Tone::Warn, "empty")
        } else {
            (Style::tone(outcome.status), outcome.status.as_str())
        };
        let mut rest = self.instance(id);
        if outcome.took > Duration::ZERO {
            let _ = write!(rest, " time={}", human_duration(outcome.took));
        }
        let used = outcome.usage.input + outcome.usage.output;
        if !used.is_zero() {
            let _ = write!(rest, " tokens={used}");
        }
        if outcome.attempts > 1 {
            let _ = write!(rest, " attempts={}", outcome.attempts);
        }
        match &outcome.cached_from {
            Some(run) => {
                let _ = write!(rest, " cached from={run}");
            }
            None if outcome.reused => rest.push_str(" reused"),
            None => {}
        }
        if outcome.interrupted > 0 {
            let _ = write!(rest, " repeated={}", outcome.interrupted);
        }
        if let Some(cause) = &outcome.cause {
            let _ = write!(rest, ": {}", self.cause(cause));
        }
        self.paint(tone, &format!("{word:<8}"), &rest)
    }

    fn run_finished(&self, finish: &RunFinished) -> String {
        let word = if finish.success { (Tone::Good, "success ") } else { (Tone::Bad, "failure ") };
        let census = &finish.census;
        let mut rest = format!("exit={} planned={}", finish.exit, census.planned);
        for (status, count) in &census.by_status {
            let _ = write!(rest, " {status}={count}");
        }
        if census.empty > 0 {
            let _ = write!(rest, " empty={}", census.empty);
        }
        if !finish.reasons.is_empty() {
            let _ = write!(rest, ": {}", self.short(&finish.reasons.join("; "), SENTENCE));
        }
        self.paint(word.0, word.1, &rest)
    }

    fn paint(&self, tone: Tone, word: &str, rest: &str) -> String {
        format!("{} {rest}", self.style.paint(tone, word))
    }

    fn cause(&self, cause: &Cause) -> String {
        format!("{}: {}", self.short(&cause.code, DESCRIPTION), self.short(&cause.message, SENTENCE))
    }

    fn call(&self, call: &CallId) -> String {
        self.instance(&InstanceId::only(call.clone()))
    }

    /// Id, description or label where they say more, and turn.
    fn instance(&self, id: &InstanceId) -> String {
        let Some(call) = self.view.call(&id.call) else { return id.to_string() };
        let what = call.label(id.index).unwrap_or(&call.planned.description);
        let mut text = id.to_string();
        if what != id.call.as_str() {
            let _ = write!(text, " \"{}\"", self.short(what, DESCRIPTION));
        }
        let _ = write!(text, " turn={}", call.planned.turn);
        if call.planned.background {
            text.push_str(" background");
        }
        text
    }

    fn short(&self, text: &str, width: usize) -> String {
        short(text, width, self.style)
    }
}

pub(super) struct Lines {
    view: RunView,
    style: Style,
    quiet: bool,
    to: BufWriter<Box<dyn Write + Send>>,
}

impl Lines {
    pub(super) fn new(to: Box<dyn Write + Send>, style: Style, quiet: bool) -> Lines {
        Lines { view: RunView::default(), style, quiet, to: BufWriter::new(to) }
    }
}

impl Surface for Lines {
    fn remember(&mut self, record: &Record) {
        self.view.apply(record);
    }

    fn record(&mut self, record: &Arc<Record>) -> io::Result<()> {
        self.view.apply(record);
        match line(&self.view, record, &self.style, self.quiet) {
            Some(line) => writeln!(self.to, "{line}"),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    fn next_draw(&self) -> Option<Instant> {
        None
    }

    fn draw(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn suspend(&mut self, others: &mut dyn FnMut()) {
        // An error here comes back at the next record.
        let _ = self.to.flush();
        others();
    }

    fn finish(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn lines(records: &[Record], style: &Style, quiet: bool) -> String {
        let mut view = RunView::default();
        let mut out = String::new();
        for record in records {
            view.apply(record);
            if let Some(line) = line(&view, record, style, quiet) {
                out.push_str(&line);
                out.push('\n');
            }
        }
        out
    }

    #[test]
    fn a_mixed_run_in_lines() {
        insta::assert_snapshot!(lines(&sample::mixed(), &Style::plain(), false));
    }

    #[test]
    fn quiet_shows_problems_only() {
        insta::assert_snapshot!(lines(&sample::mixed(), &Style::plain(), true));
        assert_eq!(lines(&sample::ok(), &Style::plain(), true), "");
    }

    #[test]
    fn hostile_text_stays_on_its_line_and_without_utf8_in_ascii() {
        let records = sample::hostile();
        let text = lines(&records, &Style { ci: true, ..Style::plain() }, false);
        assert!(text.is_ascii(), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        assert!(text.lines().all(|line| line.get(7..9) == Some("s ")), "{text}");
    }
}
