//! Who ended how, and what that makes of the run: the last lines of a page.
//!
//! Invariant: a run in which nobody answered never reads as one that found nothing.
//! Every instance that is not `ok`, and every `ok` one that is empty, is named, up to
//! what people read: beyond that they are counted.

use std::fmt::Write as _;

use super::page::Page;
use super::providers;
use crate::event::{Census, RunFinished};
use crate::id::InstanceId;
use crate::outcome::Status;
use crate::report::fold::{CallView, RunView, State};
use crate::report::sanitise::prefix;
use crate::report::style::{Style, Tone};
use crate::unit::human_duration;

/// Different fates listed before the rest is only counted.
const FATES: usize = 40;
/// Names listed of those who share a fate.
const NAMES: usize = 200;
/// Bytes of a cause.
const CAUSE: usize = 1000;

/// Writes the census and the verdict.
pub(super) fn write(page: &mut Page<'_>, view: &RunView) {
    let census = view.census();
    page.blank();
    let style = page.style;
    let plain = view.warnings.is_empty() && view.stop.is_none();
    if let Some(finish) = view.finish.as_ref().filter(|finish| finish.success && finish.reasons.is_empty())
        && plain
        && census.planned > 0
        && census.of(Status::Ok) == census.planned
        && census.empty == 0
    {
        let mut facts =
            vec![(Some(Tone::Good), format!("{} {}", style.mark(Status::Ok), all_ok(census.planned)))];
        facts.extend(totals(view, &census));
        facts.push((None, format!("exit status {}", finish.exit)));
        page.facts(0, &facts);
        providers::write(page, view);
        return;
    }
    let mut facts = vec![(Some(Tone::Strong), format!("{} planned", calls(census.planned)))];
    facts.extend(counts(view, &census));
    facts.extend(totals(view, &census));
    page.facts(0, &facts);
    providers::write(page, view);
    fates(page, view);
    for warning in &view.warnings {
        let text = format!("{} ({})", warning.message, warning.code);
        page.entry(2, Tone::Warn, &lead("!", "warning"), &text);
    }
    if let Some(stop) = &view.stop {
        let text = format!("{} ({})", stop.message, stop.reason);
        page.entry(2, Tone::Warn, &lead("!", "stopped early"), &text);
    }
    verdict(page, view, &census);
}

/// Mark and word of an entry, so wide that the entries stand under each other.
fn lead(mark: &str, word: &str) -> String {
    format!("{mark} {word:<14}")
}

fn all_ok(planned: u32) -> String {
    match planned {
        1 => "1 call, ok".to_owned(),
        n => format!("{n} calls, all ok"),
    }
}

fn calls(n: u32) -> String {
    format!("{n} {}", if n == 1 { "call" } else { "calls" })
}

fn counts(view: &RunView, census: &Census) -> Vec<(Option<Tone>, String)> {
    let mut facts = Vec::new();
    // `ok` always has its count: a zero there is the news.
    for status in Status::ALL {
        let n = census.of(status);
        if n > 0 || status == Status::Ok {
            let tone = if n == 0 { Tone::Bad } else { Style::tone(status) };
            let empty = if status == Status::Ok && census.empty > 0 {
                format!(" ({} empty)", census.empty)
            } else {
                String::new()
            };
            facts.push((Some(tone), format!("{n} {}{empty}", status.words())));
        }
    }
    let ended: u32 = census.by_status.values().sum();
    if census.planned > ended {
        let word = match view.running_now() {
            true => "not done yet",
            false if view.finish.is_some() => "never started",
            false => "did not end",
        };
        facts.push((Some(Tone::Warn), format!("{} {word}", census.planned - ended)));
    }
    facts
}

fn totals(view: &RunView, census: &Census) -> Vec<(Option<Tone>, String)> {
    let mut facts = Vec::new();
    if census.reused > 0 {
        facts.push((None, format!("{} reused", census.reused)));
    }
    facts.push((None, human_duration(view.elapsed)));
    let usage = view.usage();
    let tokens = usage.input + usage.output;
    if !tokens.is_zero() {
        facts.push((None, format!("{tokens} tokens")));
    }
    if let Some(cost) = usage.cost.filter(|cost| cost.0 > 0) {
        facts.push((None, cost.to_string()));
    }
    facts
}

/// One line of the census: everyone who came to the same end for the same reason.
struct Fate<'a> {
    status: Option<Status>,
    code: &'a str,
    message: &'a str,
    who: Vec<(&'a CallView, Option<u32>)>,
}

fn fates(page: &mut Page<'_>, view: &RunView) {
    let mut fates: Vec<Fate<'_>> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for call in &view.calls {
        for (InstanceId { index, .. }, instance) in call.each() {
            let key = match &instance.outcome {
                Some(outcome) if outcome.is_ok() && !outcome.is_empty_success() => continue,
                Some(outcome) => match &outcome.cause {
                    Some(cause) => (Some(outcome.status), cause.code.as_str(), cause.message.as_str()),
                    None => (Some(outcome.status), "", ""),
                },
                None if instance.state == State::Running && view.running_now() => (None, "", ""),
                None if instance.state == State::Running => (None, "", "it was at work when the record ends"),
                None => continue,
            };
            let at = *known.entry(key).or_insert_with(|| {
                let (status, code, message) = key;
                fates.push(Fate { status, code, message, who: Vec::new() });
                fates.len() - 1
            });
            if let Some(fate) = fates.get_mut(at) {
                fate.who.push((call, index));
            }
        }
    }
    let hidden = fates.len().saturating_sub(FATES);
    for fate in fates.iter().take(FATES) {
        let (tone, mark, word) = match fate.status {
            None if view.running_now() => (Tone::Info, "?", view.open_word()),
            None => (Tone::Warn, "?", view.open_word()),
            Some(Status::Ok) => (Tone::Warn, "!", "ok but empty"),
            Some(status) => (Style::tone(status), page.style.mark(status), status.words()),
        };
        let mut text = names(&fate.who);
        if !fate.message.is_empty() {
            let message = prefix(fate.message, CAUSE);
            let cut = if message.len() < fate.message.len() { page.style.ellipsis() } else { "" };
            let _ = write!(text, ": {message}{cut}");
        }
        if !fate.code.is_empty() {
            let _ = write!(text, " ({})", fate.code);
        }
        page.entry(2, tone, &lead(mark, word), &text);
    }
    if hidden > 0 {
        let run = view.head.as_ref().map_or("RUN", |head| head.run.as_str());
        page.more(2, &format!("{hidden} more reasons"), &format!("fanout show {run} --output json"));
    }
}

/// `graph, review[0-3,7]`: neighbours as ranges.
fn names(who: &[(&CallView, Option<u32>)]) -> String {
    let mut out = String::new();
    let (who, more) = who.split_at(who.len().min(NAMES));
    for group in who.chunk_by(|a, b| a.0.id() == b.0.id()) {
        let Some((call, _)) = group.first() else { continue };
        out.push_str(if out.is_empty() { "" } else { ", " });
        out.push_str(call.id().as_str());
        let indexes: Vec<u32> = group.iter().filter_map(|(_, index)| *index).collect();
        if indexes.is_empty() {
            continue;
        }
        let ranges: Vec<String> = indexes
            .chunk_by(|a, b| a + 1 == *b)
            .map(|run| match run {
                [first, .., last] => format!("{first}-{last}"),
                [only] => only.to_string(),
                [] => String::new(),
            })
            .collect();
        let _ = write!(out, "[{}]", ranges.join(","));
    }
    if !more.is_empty() {
        let _ = write!(out, " and {} more", more.len());
    }
    out
}

/// True when there were calls and none of them came to an answer.
pub(super) fn nobody_answered(census: &Census) -> bool {
    census.planned > 0 && census.of(Status::Ok) == census.empty
}

fn verdict(page: &mut Page<'_>, view: &RunView, census: &Census) {
    let Some(finish) = &view.finish else {
        page.blank();
        let (tone, text) = if view.running_now() {
            let run = view.head.as_ref().map_or("RUN", |head| head.run.as_str());
            (
                Tone::Info,
                format!(
                    "This run is still going on, so nothing here is final; look on with: fanout attach {run}"
                ),
            )
        } else {
            let text =
                "This run did not finish: its record ends before the verdict, so nothing here is final.";
            (Tone::Bad, text.to_owned())
        };
        page.sentence(0, 0, Some(tone), &text);
        return;
    };
    page.blank();
    if nobody_answered(census) {
        let text = if census.of(Status::Ok) > 0 {
            "Nobody answered: every call that ended well was empty. An absence of results is not a result."
        } else {
            "Nobody answered: no call ended well. An absence of results is not a result."
        };
        page.sentence(0, 0, Some(Tone::Bad), text);
    }
    let (tone, word) = if finish.success { (Tone::Good, "Success") } else { (Tone::Bad, "Failure") };
    page.sentence(0, 2, Some(tone), &sentence(word, finish));
}

fn sentence(word: &str, finish: &RunFinished) -> String {
    let mut text = format!("{word}, exit status {}", finish.exit);
    match (finish.reasons.as_slice(), finish.success) {
        ([], true) => text.push('.'),
        ([], false) => text.push_str(": the plan's requirements are not met."),
        (reasons, _) => {
            let _ = write!(text, ": {}", reasons.join("; "));
            if !text.ends_with('.') {
                text.push('.');
            }
        }
    }
    text
}
