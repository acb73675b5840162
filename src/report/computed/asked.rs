//! What the parent's model decided or wrote, and what that rests on.

use serde_json::Value;

use super::part::{Claim, Decision, Entries, Entry, Fact, Part, Shown, Sign};
use super::{Told, counted, list, said, shown, size, string};
use crate::report::style::Tone;

/// Entries that a terminal lists under one title.
pub(super) const LISTED: usize = 40;
/// Characters of a value.
const WIDTH: usize = 160;

/// `synthesize`: the answer, what it rests on, what was decided, what stays open.
pub(super) fn synthesis<'v>(told: &Told<'v>) -> Option<Shown<'v>> {
    let answer = told.result.get("answer").and_then(Value::as_str)?;
    let claims: Vec<Claim> =
        list(told.result, "claims").iter().map(|claim| self::claim(told, claim)).collect();
    let mut facts: Vec<Fact> =
        asked(told).map(|who| (None, format!("written by {who}"))).into_iter().collect();
    facts.push((None, counted(claims.len(), "claim")));
    facts.extend(told.conflicts());
    let mut parts = vec![Part::Prose(answer)];
    if !claims.is_empty() {
        parts.push(Part::Claims(claims));
    }
    parts.extend(decisions(told));
    let unresolved = list(told.result, "unresolved").iter().map(|one| Entry::of(Sign::Unsure, &shown(one)));
    parts.extend(Entries::titled(Tone::Warn, "Unresolved", unresolved.collect(), ("question", LISTED)));
    // What was computed to be in dispute and nobody decided.
    let open = told.disputes().into_iter().map(|one| Entry::of(Sign::Open, string(one, "message")));
    parts.extend(Entries::titled(Tone::Warn, "Still in dispute", open.collect(), ("conflict", LISTED)));
    let left_out = told.result.get("read").map_or(0, |read| size(read, "left_out_bytes"));
    if left_out > 0 {
        let text = format!("{} of the answers did not fit and were left out", counted(left_out, "byte"));
        parts.push(Part::Notes(vec![(Some(Tone::Warn), text)]));
    }
    Some(Shown { facts: told.facts(facts), parts })
}

fn claim(told: &Told<'_>, claim: &Value) -> Claim {
    let cites = list(claim, "cites").iter();
    let cites = cites.map(|cite| (told.name(cite.get("call")), string(cite, "quote").to_owned()));
    Claim { text: string(claim, "claim").to_owned(), cites: cites.collect() }
}

/// What the model settled of the conflicts, and why.
pub(super) fn decisions<'v>(told: &Told<'v>) -> Option<Part<'v>> {
    let decisions = list(told.result, "decisions");
    if decisions.is_empty() {
        return None;
    }
    let all = decisions.iter().map(|decision| self::decision(told, decision)).collect();
    Some(Part::Decisions(asked(told).map(str::to_owned), all))
}

fn decision(told: &Told<'_>, decision: &Value) -> Decision {
    let (about, field) = (string(decision, "about"), string(decision, "pointer").trim_start_matches('/'));
    let known = field.is_empty() || about.ends_with(field);
    let decided = decision.get("decided").and_then(Value::as_bool).unwrap_or_default();
    let chosen = decision.get("value").unwrap_or(&Value::Null);
    let others = list(decision, "sides").iter().filter(|side| !decided || side.get("value") != Some(chosen));
    Decision {
        about: if known { about.to_owned() } else { format!("{about}: {field}") },
        chosen: decided.then(|| (value(chosen), told.who(decision.get("by")))),
        others: others
            .map(|side| (side.get("value").map(value).unwrap_or_default(), told.who(side.get("by"))))
            .collect(),
        reason: string(decision, "reason").to_owned(),
    }
}

fn value(value: &Value) -> String {
    let text = said(Some(value));
    match text.char_indices().nth(WIDTH) {
        None => text,
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

/// The agent that was asked.
fn asked<'v>(told: &Told<'v>) -> Option<&'v str> {
    told.result.get("asked")?.get("agent")?.as_str()
}
