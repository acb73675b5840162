//! `fanout list`: the runs that there are, running and past, the newest first.
//!
//! Invariant: every run under the root is in the listing; one that cannot be read stands
//! there with the reason and hides no other.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Complaint;
use super::args::List;
use super::run::{journal_complaint, root};
use super::terminal::Terminal;
use crate::event::Census;
use crate::journal::{self, Glance, RunState, RunSummary};
use crate::outcome::Status;
use crate::report::fold::RunView;
use crate::report::sanitise::{self, fit, short};
use crate::report::style::{Style, Tone};
use crate::unit::human_duration;

/// From how many columns each run gets one line.
const TABLE_FROM: usize = 100;

/// `fanout list`.
///
/// # Errors
/// [`Complaint`] when the folder cannot be read or standard output cannot be written.
pub fn list(options: &List, terminal: &Terminal) -> Result<u8, Complaint> {
    let runs = journal::list(&root()).map_err(|error| journal_complaint(&error))?;
    let now = Timestamp::now();
    let rows: Vec<Row> = runs.iter().map(Row::of).collect();
    let text = if options.json {
        let array: Value = rows.iter().map(|row| row.json(now)).collect();
        format!("{}\n", sanitise::json(&format!("{array:#}")))
    } else if rows.is_empty() {
        terminal.err(&format!("no runs in {}\n", journal::folder(&root()).display()));
        String::new()
    } else {
        let style = terminal.out_style();
        if style.width >= TABLE_FROM { table(&rows, now, &style) } else { blocks(&rows, now, &style) }
    };
    terminal.out(&text).map_err(|error| Complaint::output(&error))?;
    Ok(0)
}

/// What became of a run, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Running,
    Ok,
    Failed,
    Stopped,
    Interrupted,
    Damaged,
}

impl Word {
    pub(super) fn of(glance: &Glance) -> Word {
        match (glance.state, &glance.finished) {
            (RunState::Running, _) => Word::Running,
            (RunState::Interrupted, _) | (RunState::Finished, None) => Word::Interrupted,
            (RunState::Finished, Some(end)) if end.success => Word::Ok,
            (RunState::Finished, Some(end)) if end.exit >= 128 => Word::Stopped,
            (RunState::Finished, Some(_)) => Word::Failed,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Word::Running => "running",
            Word::Ok => "ok",
            Word::Failed => "failed",
            Word::Stopped => "stopped",
            Word::Interrupted => "interrupted",
            Word::Damaged => "damaged",
        }
    }

    fn look(self, style: &Style) -> (Tone, &'static str) {
        match self {
            Word::Running => (Tone::Info, style.pick("▸", ">")),
            Word::Ok => (Tone::Good, style.pick("✓", "+")),
            Word::Failed => (Tone::Bad, style.pick("✗", "x")),
            Word::Stopped => (Tone::Warn, style.pick("⊘", "-")),
            Word::Interrupted => (Tone::Warn, "!"),
            Word::Damaged => (Tone::Bad, "!"),
        }
    }
}

/// One run, as it is listed.
struct Row<'a> {
    summary: &'a RunSummary,
    word: Word,
    census: Census,
}

impl<'a> Row<'a> {
    fn of(summary: &'a RunSummary) -> Row<'a> {
        let (word, census) = match &summary.glance {
            Err(_) => (Word::Damaged, Census::default()),
            Ok(glance) => {
                let census = match &glance.finished {
                    Some(end) => end.census.clone(),
                    // It has not said so itself, so its records are counted.
                    None => journal::read(&summary.dir)
                        .map(|past| RunView::of(past.records.iter().map(AsRef::as_ref)).census())
                        .unwrap_or_default(),
                };
                (Word::of(glance), census)
            }
        };
        Row { summary, word, census }
    }

    fn ok(&self) -> u32 {
        self.census.of(Status::Ok)
    }

    /// Everything that ended neither well nor by being left out or stopped.
    fn failed(&self) -> u32 {
        Status::ALL
            .into_iter()
            .filter(|status| !matches!(status, Status::Ok | Status::Skipped | Status::Cancelled))
            .map(|status| self.census.of(status))
            .sum()
    }

    fn json(&self, now: Timestamp) -> Value {
        let run = self.summary.run.as_str();
        let dir = self.summary.dir.display().to_string();
        match &self.summary.glance {
            Err(error) => {
                json!({"run": run, "dir": dir, "state": "damaged", "error": journal_complaint(error).message})
            }
            Ok(glance) => json!({
                "run": run,
                "dir": dir,
                "name": glance.name,
                "description": glance.description,
                "plan": glance.plan,
                "state": self.word.as_str(),
                "exit": glance.finished.as_ref().map(|end| end.exit),
                "started": glance.started,
                "last": glance.last,
                "duration_ms": took(glance, now).as_millis() as u64,
                "ok": self.ok(),
                "failed": self.failed(),
                "cancelled": self.census.of(Status::Cancelled),
                "skipped": self.census.of(Status::Skipped),
                "usage": glance.usage,
            }),
        }
    }

    /// Tokens and money, where any were used.
    fn spent(glance: &Glance) -> Option<String> {
        let usage = &glance.usage;
        let tokens = usage.input + usage.output;
        match usage.cost {
            Some(cost) if usage.requests > 0 => Some(format!("{cost}")),
            _ if !tokens.is_zero() => Some(format!("{tokens} tok")),
            _ => None,
        }
    }
}

/// From its first record to its last one, or to now while it goes on.
fn took(glance: &Glance, now: Timestamp) -> Duration {
    let end = if glance.state == RunState::Running { now } else { glance.last };
    Duration::try_from(end.duration_since(glance.started)).unwrap_or_default()
}

/// How long ago, in one unit: `12s`, `4m`, `3h`, `9d`.
pub(super) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m", seconds / 60),
        3600..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn description(glance: &Glance) -> &str {
    glance.description.as_deref().unwrap_or_default()
}

/// A line for each run, under headings.
fn table(rows: &[Row<'_>], now: Timestamp, style: &Style) -> String {
    let id = rows.iter().map(|row| row.summary.run.as_str().len()).max().unwrap_or(0).clamp(3, 24);
    let head = format!(
        "{}  {}  {:>4}  {:>6}  {:>4} {:>6}  {:>10}  NAME",
        fit("RUN", id, style),
        fit("  STATE", 13, style),
        "AGE",
        "TOOK",
        "OK",
        "FAILED",
        "SPENT"
    );
    let left = style.width.saturating_sub(id + 56);
    let mut text = format!("{}\n", style.paint(Tone::Dim, head));
    for row in rows {
        let (tone, mark) = row.word.look(style);
        let run = fit(&sanitise::line(row.summary.run.as_str(), style), id, style);
        let state = style.paint(tone, fit(&format!("{mark} {}", row.word.as_str()), 13, style));
        match &row.summary.glance {
            Err(error) => {
                let why = short(&journal_complaint(error).message, style.width - id - 17, style);
                text.push_str(&format!("{run}  {state}  {why}\n"));
            }
            Ok(glance) => {
                let name = short(&glance.name, left, style);
                let room = left.saturating_sub(console::measure_text_width(&name) + 2);
                let what = if room > 8 { short(description(glance), room, style) } else { String::new() };
                let line = format!(
                    "{run}  {state}  {:>4}  {:>6}  {:>4} {:>6}  {:>10}  {}  {}",
                    age(glance.started, now),
                    human_duration(took(glance, now)),
                    row.ok(),
                    row.failed(),
                    Row::spent(glance).unwrap_or_default(),
                    style.paint(Tone::Strong, name),
                    style.paint(Tone::Dim, what),
                );
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
    }
    text
}

/// Two or three lines for each run, for a narrow surface.
fn blocks(rows: &[Row<'_>], now: Timestamp, style: &Style) -> String {
    let mut text = String::new();
    let indent = |tone: Tone, line: &str| {
        format!("  {}\n", style.paint(tone, short(line, style.width.saturating_sub(2), style)))
    };
    for row in rows {
        let (tone, mark) = row.word.look(style);
        let run = sanitise::line(row.summary.run.as_str(), style);
        let name = row.summary.glance.as_ref().map_or("", |glance| glance.name.as_str());
        let room = style.width.saturating_sub(console::measure_text_width(&run) + 4);
        let name = style.paint(Tone::Strong, short(name, room, style));
        text.push_str(format!("{} {run}  {name}", style.paint(tone, mark)).trim_end());
        text.push('\n');
        match &row.summary.glance {
            Err(error) => text.push_str(&indent(
                Tone::Bad,
                &format!("{}: {}", row.word.as_str(), journal_complaint(error).message),
            )),
            Ok(glance) => {
                if !description(glance).is_empty() {
                    text.push_str(&indent(Tone::Dim, description(glance)));
                }
                let mut facts = vec![format!("{}, {} ago", row.word.as_str(), age(glance.started, now))];
                facts.push(human_duration(took(glance, now)));
                let others = [(row.failed(), "failed"), (row.census.of(Status::Cancelled), "cancelled")];
                let others = others.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!(", {n} {word}"));
                facts.push(format!("{} ok{}", row.ok(), others.collect::<String>()));
                facts.extend(Row::spent(glance));
                for line in wrapped(&facts, style) {
                    text.push_str(&format!("  {line}\n"));
                }
            }
        }
    }
    text
}

/// Facts side by side, on as many lines as they need.
fn wrapped(facts: &[String], style: &Style) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for fact in facts {
        let room = style.width.saturating_sub(2);
        match lines.last_mut() {
            Some(last) if last.chars().count() + 3 + fact.chars().count() <= room => {
                last.push_str(style.dot());
                last.push_str(fact);
            }
            _ => lines.push(fact.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RunFinished;
    use crate::id::RunId;
    use crate::journal::JournalError;
    use crate::outcome::Usage;
    use crate::unit::{Tokens, Usd};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn glance(name: &str, state: RunState, end: Option<(bool, u8)>) -> Glance {
        let census = Census {
            planned: 5,
            by_status: [(Status::Ok, 4), (Status::Failed, 1)].into(),
            ..Census::default()
        };
        Glance {
            name: name.into(),
            description: Some("Find which change broke auth/login.test.ts".into()),
            plan: "plan.yaml".into(),
            started: at(0),
            last: at(75),
            state,
            finished: end.map(|(success, exit)| RunFinished { success, reasons: vec![], exit, census }),
            ended: 5,
            usage: Usage {
                input: Tokens(12_000),
                output: Tokens(300),
                requests: 4,
                cost: Some(Usd(12_300)),
                ..Usage::default()
            },
        }
    }

    fn runs() -> Vec<RunSummary> {
        let run = |name: &str, glance| RunSummary { run: RunId::new(name), dir: "/nowhere".into(), glance };
        vec![
            run("20261121-004218-7f3a", Ok(glance("failing-login-test", RunState::Running, None))),
            run("20261120-231505-00aa", Ok(glance("audit", RunState::Finished, Some((true, 0))))),
            run("20261120-231500-00ab", Ok(glance("audit\x1b[31m", RunState::Finished, Some((false, 1))))),
            run("20261120-231400-00ac", Ok(glance("cut", RunState::Finished, Some((false, 130))))),
            run("20261120-231300-00ad", Ok(glance("gone", RunState::Interrupted, None))),
            run("20261120-231200-00ae", Err(JournalError::NeverBegan { dir: "/nowhere".into() })),
        ]
    }

    fn shown(width: usize) -> String {
        let runs = runs();
        let rows: Vec<Row<'_>> = runs.iter().map(Row::of).collect();
        let style = Style { width, ..Style::plain() };
        if width >= TABLE_FROM { table(&rows, at(7300), &style) } else { blocks(&rows, at(7300), &style) }
    }

    #[test]
    fn no_line_is_wider_than_the_surface_and_every_run_is_there() {
        for width in [20, 40, 80, 100, 120, 200] {
            let text = shown(width);
            for line in text.lines() {
                let fits = console::measure_text_width(line) <= width.max(24);
                assert!(fits, "{width} columns: {line:?}");
            }
            for run in runs() {
                assert!(text.contains(run.run.as_str()), "{width}: {text}");
            }
        }
    }

    #[test]
    fn a_listing_reads_well_wide_and_narrow() {
        insta::assert_snapshot!("list_120", shown(120));
        insta::assert_snapshot!("list_40", shown(40));
    }

    #[test]
    fn a_run_that_cannot_be_read_says_why_in_json_too() {
        let runs = runs();
        let rows: Vec<Value> = runs.iter().map(|run| Row::of(run).json(at(7300))).collect();
        assert_eq!(rows[1]["state"], "ok");
        assert_eq!(rows[1]["duration_ms"], 75_000);
        assert_eq!(rows[1]["failed"], 1);
        assert_eq!(rows[0]["duration_ms"], 7_300_000, "a running one counts to now");
        assert_eq!(rows[5]["state"], "damaged");
        assert!(rows[5]["error"].as_str().unwrap().contains("never began"));
    }
}
