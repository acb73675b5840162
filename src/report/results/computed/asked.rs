//! What the parent's model decided or wrote, and what that rests on.

use serde_json::Value;

use super::{Told, conflicts, counted, list, more, number, shown, string, title};
use crate::report::results::page::{Extent, Page};
use crate::report::style::Tone;

/// Entries listed under one title.
const LISTED: usize = 40;
/// Sides shown of a decision that were not chosen.
const SIDES: usize = 4;
/// Columns of a value.
const WIDTH: usize = 160;
/// Lines of the answer.
const LINES: usize = 300;

/// `synthesize`: the answer, what it rests on, what was decided, what stays open.
pub(super) fn synthesis(page: &mut Page<'_>, told: &Told<'_>) -> bool {
    let Some(answer) = told.result.get("answer").and_then(Value::as_str) else { return false };
    let claims = list(told.result, "claims");
    let mut facts: Vec<(Option<Tone>, String)> =
        asked(told).map(|who| (None, format!("written by {who}"))).into_iter().collect();
    facts.push((None, counted(claims.len(), "claim")));
    facts.extend(conflicts(told));
    told.headline(page, facts);
    page.blank();
    page.prose(0, answer, &Extent { lines: LINES, rest: "the JSON result has all of it" });
    if !claims.is_empty() {
        title(page, Tone::Strong, "Rests on");
    }
    for claim in claims.iter().take(LISTED) {
        page.entry(2, Tone::Info, page.style.pick("•", "*"), string(claim, "claim"));
        for cite in list(claim, "cites") {
            let who = told.name(cite.get("call").unwrap_or(&Value::Null));
            let (open, close) = (page.style.pick("“", "\""), page.style.pick("”", "\""));
            let text = match string(cite, "quote") {
                "" => who,
                quote => format!("{who}: {open}{quote}{close}"),
            };
            page.sentence(4, 2, Some(Tone::Dim), &text);
        }
    }
    more(page, 2, claims.len(), LISTED, "claim");
    decisions(page, told);
    let unresolved = list(told.result, "unresolved");
    if !unresolved.is_empty() {
        title(page, Tone::Warn, "Unresolved");
    }
    for one in unresolved.iter().take(LISTED) {
        page.entry(2, Tone::Warn, "?", &shown(one));
    }
    open(page, told);
    let left_out = told.result.get("read").map_or(0, |read| number(read, "left_out_bytes"));
    if left_out > 0 {
        page.blank();
        let left_out = counted(usize::try_from(left_out).unwrap_or(usize::MAX), "byte");
        page.sentence(
            0,
            2,
            Some(Tone::Warn),
            &format!("{left_out} of the answers did not fit and were left out"),
        );
    }
    true
}

/// What was computed to be in dispute and nobody decided.
fn open(page: &mut Page<'_>, told: &Told<'_>) {
    let open = list(told.result, "conflicts");
    if open.is_empty() {
        return;
    }
    title(page, Tone::Warn, "Still in dispute");
    for conflict in open.iter().take(LISTED) {
        page.entry(2, Tone::Warn, "!", string(conflict, "message"));
    }
    more(page, 2, open.len(), LISTED, "conflict");
}

/// What the model settled of the conflicts, and why.
pub(super) fn decisions(page: &mut Page<'_>, told: &Told<'_>) {
    let decisions = list(told.result, "decisions");
    if decisions.is_empty() {
        return;
    }
    let who = asked(told).map(|who| format!(" ({who})")).unwrap_or_default();
    title(page, Tone::Strong, &format!("Decided by the parent{who}"));
    for decision in decisions.iter().take(LISTED) {
        let (about, field) = (string(decision, "about"), string(decision, "pointer").trim_start_matches('/'));
        let known = field.is_empty() || about.ends_with(field);
        let name = if known { about.to_owned() } else { format!("{about}: {field}") };
        let decided = decision.get("decided").and_then(Value::as_bool).unwrap_or_default();
        let (tone, mark) =
            if decided { (Tone::Good, page.style.pick("✓", "+")) } else { (Tone::Warn, "!") };
        page.entry(2, tone, mark, &name);
        let chosen = decision.get("value").unwrap_or(&Value::Null);
        if decided {
            let text = format!("{}, as {} said", value(chosen), told.names(decision.get("by")));
            page.sentence(4, 2, Some(Tone::Good), &text);
        } else {
            page.sentence(4, 2, Some(Tone::Warn), "left open");
        }
        let others =
            list(decision, "sides").iter().filter(|side| !decided || side.get("value") != Some(chosen));
        for side in others.take(SIDES) {
            let not = if decided { "not " } else { "" };
            let said = side.get("value").map(value).unwrap_or_default();
            page.sentence(4, 2, Some(Tone::Dim), &format!("{not}{said} ({})", told.names(side.get("by"))));
        }
        page.sentence(4, 2, None, &format!("because {}", string(decision, "reason")));
    }
    more(page, 2, decisions.len(), LISTED, "decision");
}

fn value(value: &Value) -> String {
    let text = shown(value);
    match text.char_indices().nth(WIDTH) {
        None => text,
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

/// The agent that was asked.
fn asked<'v>(told: &Told<'v>) -> Option<&'v str> {
    told.result.get("asked")?.get("agent")?.as_str()
}
