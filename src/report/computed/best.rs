//! The best of many: who won and why, what it said, everybody's place with the reasons.

use serde_json::Value;

use super::part::{Choice, Part, Place, Shown, Sign};
use super::{Told, counted, list, number, size, string};

pub(super) fn shown<'v>(told: &Told<'v>) -> Option<Shown<'v>> {
    let ranking = list(told.result, "ranking");
    let by: Vec<&str> = list(told.result, "by").iter().filter_map(Value::as_str).collect();
    if ranking.is_empty() {
        return None;
    }
    let facts = told.facts(vec![(None, format!("best by {}", by.join(", then ")))]);
    let mut parts = Vec::new();
    let winner = told.result.get("winner").filter(|winner| !winner.is_null());
    match (winner, ranking.first()) {
        (Some(winner), Some(first)) => {
            let because = if ranking.len() == 1 { "the only candidate" } else { string(first, "because") };
            let gap = if because.is_empty() { "" } else { ", " };
            let name = told.name(winner.get("call")).name;
            parts.push(Part::Verdict(Sign::Good, format!("{name} is best{gap}{because}")));
            let value = winner.get("value").unwrap_or(&Value::Null);
            parts.push(Part::Quote(value.as_str().map_or_else(|| format!("{value:#}"), str::to_owned)));
        }
        _ => {
            let text = "nobody may win: every candidate's check failed".to_owned();
            parts.push(Part::Verdict(Sign::Open, text));
        }
    }
    parts.extend(cross_check(told));
    parts.push(Part::Ranking(ranking.iter().map(|entry| place(told, entry)).collect()));
    Some(Shown { facts, parts })
}

fn place(told: &Told<'_>, entry: &Value) -> Place {
    let rank = number(entry, "rank");
    let sign = match (entry.get("eligible").and_then(Value::as_bool).unwrap_or(true), rank) {
        (false, _) => Some(Sign::Bad),
        (true, 1) => Some(Sign::Good),
        (true, _) => None,
    };
    Place {
        rank,
        sign,
        call: told.name(entry.get("call")),
        reasons: string(entry, "reasons").to_owned(),
        because: string(entry, "because").to_owned(),
    }
}

/// Which groups of candidates pass the same tests.
fn cross_check<'v>(told: &Told<'v>) -> Option<Part<'v>> {
    let found = told.result.get("cross_check")?;
    let (groups, tests) = (list(found, "groups"), number(found, "tests"));
    if groups.is_empty() {
        return None;
    }
    let all = counted(size(found, "tests"), "test");
    let title =
        format!("{all} of the candidates' own, {} that pass the same", counted(groups.len(), "group"));
    let choice = |group: &Value| Choice {
        value: counted(size(group, "size"), "candidate"),
        tone: None,
        share: number(group, "tests_passed") as f64 / tests.max(1) as f64,
        figure: format!("{} of {tests} pass", number(group, "tests_passed")),
        who: told.who(group.get("by")),
    };
    Some(Part::Bars(title, groups.iter().map(choice).collect(), "group"))
}
