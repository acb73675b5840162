//! What one frame of live progress says: a pure function of the view, the size and the time.
//!
//! Invariants: no line is wider than the terminal less one column; there are fewer
//! lines than the terminal has rows; what does not fit is counted, not dropped.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use super::remaining;
use crate::event::Event;
use crate::id::{CallId, InstanceId};
use crate::outcome::Status;
use crate::report::fold::{CallView, InstanceView, RunView, not_told};
use crate::report::sanitise::{ascii, cut, fit, short};
use crate::report::style::{Style, Tone};
use crate::unit::{Usd, human_duration};

/// The most lines of running calls, whatever the height.
const MOST_ROWS: usize = 20;
/// Lines that are no running calls: header, two troubles, total.
const OTHER_ROWS: usize = 4;
/// Calls named of which instances are only counted.
const MOST_NAMED: usize = 4;
/// Columns below which there is room for the least only.
const NARROW: usize = 60;

/// One frame.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// Every line but the last.
    pub(super) rows: String,
    /// The last line, beside the bar.
    pub(super) totals: String,
    /// Columns of the bar; 0 for none.
    pub(super) bar_width: usize,
}

/// Something that went wrong and stays in sight for a while.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    mark: Option<Status>,
    text: String,
}

impl Trouble {
    pub(super) fn of(event: &Event) -> Option<Trouble> {
        if let Event::CallFinished { instance, outcome, .. } = event {
            let bad = !matches!(outcome.status, Status::Ok | Status::Skipped | Status::Cancelled);
            let why = outcome.cause.as_ref().map_or("", |cause| cause.message.as_str());
            let text = format!("{instance} {}: {why}", outcome.status.words());
            return bad.then_some(Trouble { mark: Some(outcome.status), text });
        }
        let text = if let Event::ConflictsFound { step, count, messages } = event {
            let first = messages.first().map(String::as_str).unwrap_or_default();
            let more = count.saturating_sub(1);
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            format!("{step}: conflict: {first}{more}")
        } else if let Event::Warned { message, .. } | Event::StopRequested { message, .. } = event {
            message.clone()
        } else if let Event::NoticeDelivered { topic, to, cause: Some(cause), .. } = event {
            not_told(topic, to, cause)
        } else {
            return None;
        };
        Some(Trouble { mark: None, text })
    }
}

/// The frame at `now`, a time of the run, with the time that is left as far as that is known.
pub(super) fn draw(
    view: &RunView,
    troubles: &VecDeque<Trouble>,
    style: &Style,
    (now, left): (Duration, Option<Duration>),
) -> Frame {
    let width = style.width.saturating_sub(1);
    let mut rows = vec![header(view, style, width, (now, left))];
    running(view, style, width, now, &mut rows);
    for trouble in troubles {
        let mark = trouble.mark.map_or("!", |status| style.mark(status));
        let tone = trouble.mark.map_or(Tone::Warn, Style::tone);
        let text = short(&trouble.text, width.saturating_sub(2), style);
        rows.push(style.paint(tone, cut(&format!("{mark} {}", shown(text, style)), width, style)));
    }
    rows.truncate(style.height.saturating_sub(2).max(1));
    for row in &mut rows {
        // The columns fit by their sum; a terminal of a few columns has no room even for that.
        *row = console::truncate_str(row.trim_end(), width, "").into_owned();
    }
    let bar_width = match width {
        0..=29 => 0,
        30..=59 => 10,
        _ => 24,
    };
    let left = width.saturating_sub(if bar_width > 0 { bar_width + 1 } else { 0 });
    Frame { rows: rows.join("\n"), totals: totals(view, style, left), bar_width }
}

fn header(view: &RunView, style: &Style, width: usize, (now, left): (Duration, Option<Duration>)) -> String {
    let Some(head) = &view.head else { return String::new() };
    let clock = match left.filter(|_| width >= NARROW) {
        Some(left) => format!("{}{}{}", remaining::shown(left), style.dot(), human_duration(now)),
        None => human_duration(now),
    };
    let mut facts = String::new();
    if head.turns > 1 {
        let _ = write!(facts, "turn {} of {}{}", view.turn(), head.turns, style.dot());
    }
    let waiting = view.tally.planned.saturating_sub(view.tally.done + view.tally.running);
    let _ = write!(facts, "{} running{}{} waiting", view.tally.running, style.dot(), waiting);
    let room = width.saturating_sub(console::measure_text_width(&clock) + 4);
    let name = shown(short(&head.name, room, style), style);
    let left = room.saturating_sub(console::measure_text_width(&name));
    let facts = if facts.chars().count() <= left { facts } else { String::new() };
    let gap = left.saturating_sub(console::measure_text_width(&facts));
    let name = style.paint(Tone::Strong, name);
    format!("{name}  {}{}  {clock}", style.paint(Tone::Dim, facts), " ".repeat(gap))
}

/// The running calls: those in the foreground, then those in the background, folded to what fits.
fn running(view: &RunView, style: &Style, width: usize, now: Duration, rows: &mut Vec<String>) {
    let parent = view.parent.as_ref().filter(|parent| parent.outcome.is_none());
    let others = OTHER_ROWS + usize::from(parent.is_some());
    let limit = style.height.saturating_sub(others).clamp(1, MOST_ROWS);
    let (mut front, mut back) = (Vec::new(), Vec::new());
    for entry in view.running() {
        if entry.0.planned.background { back.push(entry) } else { front.push(entry) }
    }
    // The background gets what the foreground leaves, and at least a quarter.
    let back_lines = if back.is_empty() { 0 } else { back.len() + 1 };
    let back_room = back_lines.min(limit.saturating_sub(front.len()).max(limit / 4));
    let front_room = limit - back_room;
    let columns = Columns::of(width, front.iter().take(front_room).chain(back.iter().take(back_room)));
    fold(&front, front_room, "running", &columns, style, now, rows);
    if back_room > 1 {
        rows.push(style.paint(Tone::Dim, "in the background"));
        fold(&back, back_room - 1, "in the background", &columns, style, now, rows);
    } else if back_room == 1 {
        rows.push(style.paint(Tone::Dim, cut(&format!("  {} in the background", back.len()), width, style)));
    }
    if let Some(parent) = parent {
        let id = InstanceId::only(CallId::parent_step());
        rows.push(columns.row(None, &id, parent, style, now));
    }
}

type Entry<'a> = (&'a CallView, &'a InstanceId, &'a InstanceView);

fn fold(
    entries: &[Entry<'_>],
    room: usize,
    what: &str,
    columns: &Columns,
    style: &Style,
    now: Duration,
    rows: &mut Vec<String>,
) {
    // One line more than fits costs two: it and the line that counts it.
    let shown = if entries.len() <= room { entries.len() } else { room.saturating_sub(1) };
    for (call, id, view) in entries.iter().take(shown) {
        rows.push(columns.row(Some(call), id, view, style, now));
    }
    let more = entries.len() - shown;
    if more > 0 && room > 0 {
        let line = format!("  {} and {more} more {what}{}", style.ellipsis(), of_which(&entries[shown..]));
        rows.push(style.paint(Tone::Dim, cut(&line, columns.width, style)));
    }
}

/// Which calls those belong to that are only counted; nothing where that is no shorter.
fn of_which(hidden: &[Entry<'_>]) -> String {
    let mut calls: Vec<(&CallId, usize)> = Vec::new();
    for (call, ..) in hidden {
        match calls.iter_mut().find(|(id, _)| *id == call.id()) {
            Some((_, count)) => *count += 1,
            None => calls.push((call.id(), 1)),
        }
    }
    if calls.len() > MOST_NAMED || calls.len() == hidden.len() {
        return String::new();
    }
    let named: Vec<String> = calls.iter().map(|(id, count)| format!("{count} of {id}")).collect();
    format!(": {}", named.join(", "))
}

/// Widths of the columns of running calls; 0 leaves a column out.
struct Columns {
    width: usize,
    id: usize,
    what: usize,
    tokens: usize,
}

const INDENT: usize = 2;
const TIME: usize = 6;
const TOKENS: usize = 10;

impl Columns {
    fn of<'a>(width: usize, entries: impl Iterator<Item = &'a Entry<'a>>) -> Columns {
        let (mut id, mut what) = (0, 0);
        for (call, instance, _) in entries {
            id = id.max(instance.to_string().len());
            // Bytes will do for a bound: the cell is measured when it is cut.
            what = what.max(description(call, instance).map_or(0, str::len));
        }
        let roomy = width >= NARROW;
        Columns {
            width,
            id: id.clamp(4, (width / 3).max(4)),
            what: if roomy { what.min(width / 4) } else { 0 },
            tokens: if roomy { TOKENS } else { 0 },
        }
    }

    fn row(
        &self,
        call: Option<&CallView>,
        id: &InstanceId,
        view: &InstanceView,
        style: &Style,
        now: Duration,
    ) -> String {
        let gap = "  ";
        let mut row = " ".repeat(INDENT);
        row.push_str(&style.paint(Tone::Strong, fit(&id.to_string(), self.id, style)));
        if self.what > 0 {
            let what = call.and_then(|call| description(call, id)).unwrap_or("");
            row.push_str(gap);
            row.push_str(&fit(&shown(short(what, self.what, style), style), self.what, style));
        }
        let time = now.saturating_sub(view.started.unwrap_or(now));
        let _ = write!(row, "{gap}{:>TIME$}", human_duration(time));
        if self.tokens > 0 {
            let tokens = if view.tokens.is_zero() { String::new() } else { format!("{} tok", view.tokens) };
            let _ = write!(row, "{gap}{tokens:>TOKENS$}");
        }
        let left = self.width.saturating_sub(console::measure_text_width(&row) + gap.len());
        if left >= 4 {
            let asks = call.is_some_and(|call| call.planned.kind == "ask");
            let (tone, activity) = if asks {
                (Tone::Warn, "waits for an answer".to_owned())
            } else {
                activity(view, style, now)
            };
            row.push_str(gap);
            row.push_str(&style.paint(tone, shown(short(&activity, left, style), style)));
        }
        row
    }
}

/// What it is, where that says more than its id.
fn description<'a>(call: &'a CallView, id: &InstanceId) -> Option<&'a str> {
    let what = call.label(id.index).unwrap_or(&call.planned.description);
    (what != call.id().as_str()).then_some(what)
}

/// What it is doing: waiting for its next attempt, for an answer, or its own last word.
fn activity(view: &InstanceView, style: &Style, now: Duration) -> (Tone, String) {
    if let (Some(at), Some(last)) = (view.retry_at().filter(|at| *at > now), view.attempts.last()) {
        let wait = human_duration(at - now);
        return (
            Tone::Warn,
            format!("attempt {} in {wait}: {}", last.number.0.saturating_add(1), last.cause.code),
        );
    }
    let retried = match view.attempts.last() {
        Some(last) => format!("attempt {}", last.number.0.saturating_add(1)),
        None => String::new(),
    };
    let dot = if view.activity.is_empty() || retried.is_empty() { "" } else { style.dot() };
    (Tone::Dim, format!("{retried}{dot}{}", view.activity))
}

fn totals(view: &RunView, style: &Style, width: usize) -> String {
    let tally = &view.tally;
    let mut text = format!("{}/{}", tally.done, tally.planned);
    let mut parts: Vec<(Tone, String)> = Vec::new();
    for (status, count) in &tally.by_status {
        if *count > 0 {
            parts.push((Style::tone(*status), format!("{count} {}", status.words())));
        }
    }
    let tokens = view.running().map(|(_, _, view)| view.tokens).sum::<crate::unit::Tokens>() + tally.tokens;
    if !tokens.is_zero() {
        parts.push((Tone::Dim, format!("{tokens} tokens")));
    }
    // Providers say it with each request, programs with the end of a call.
    let costs = view.providers.values().filter_map(|provider| provider.usage.cost);
    let cost = costs.fold(Usd(0), |sum, cost| sum + cost).max(tally.cost);
    if cost > Usd(0) {
        parts.push((Tone::Dim, cost.to_string()));
    }
    let mut used = text.len();
    for (n, (tone, part)) in parts.into_iter().enumerate() {
        let gap = if n == 0 { "  " } else { style.dot() };
        used += gap.chars().count() + part.len();
        if used > width {
            break;
        }
        text.push_str(gap);
        text.push_str(&style.paint(tone, part));
    }
    cut(&text, width, style)
}

/// Clean text as the surface can show it. Escapes may make it longer, so the row is cut again.
fn shown(clean: String, style: &Style) -> String {
    if style.unicode || clean.is_ascii() {
        return clean;
    }
    let width = console::measure_text_width(&clean);
    cut(&ascii(&clean), width, style)
}
