//! The best of many: who won and why, what it said, everybody's place with the reasons.

use serde_json::Value;

use super::cell::{Cell, row};
use super::compare::{quote, room};
use super::{Told, counted, list, more, number, string, title};
use crate::report::results::page::Page;
use crate::report::style::Tone;

/// Candidates listed.
const LISTED: usize = 20;
/// Lines of the winner that are quoted.
const LINES: usize = 20;

pub(super) fn write(page: &mut Page<'_>, told: &Told<'_>) -> bool {
    let ranking = list(told.result, "ranking");
    let by: Vec<&str> = list(told.result, "by").iter().filter_map(Value::as_str).collect();
    if ranking.is_empty() {
        return false;
    }
    told.headline(page, vec![(None, format!("best by {}", by.join(", then ")))]);
    page.blank();
    let call = |entry: &Value| told.name(entry.get("call").unwrap_or(&Value::Null));
    let winner = told.result.get("winner").filter(|winner| !winner.is_null());
    match (winner, ranking.first()) {
        (Some(winner), Some(first)) => {
            let because = string(first, "because");
            let because = if ranking.len() == 1 { "the only candidate" } else { because };
            let gap = if because.is_empty() { "" } else { ", " };
            page.entry(
                0,
                Tone::Good,
                page.style.pick("✓", "+"),
                &format!("{} is best{gap}{because}", call(winner)),
            );
            let value = winner.get("value").unwrap_or(&Value::Null);
            let value = value.as_str().map_or_else(|| format!("{value:#}"), str::to_owned);
            quote(page, &value, LINES);
        }
        _ => page.entry(0, Tone::Warn, "!", "nobody may win: every candidate's check failed"),
    }
    cross_check(page, told);
    page.blank();
    let style = page.style;
    let names: Vec<Cell> = ranking
        .iter()
        .take(LISTED)
        .map(|entry| Cell::line(Some(Tone::Strong), &call(entry), style))
        .collect();
    let width = names.iter().map(Cell::columns).max().unwrap_or(0).min((style.width / 3).max(8));
    for (entry, name) in ranking.iter().zip(names) {
        let may_win = entry.get("eligible").and_then(Value::as_bool).unwrap_or(true);
        let (tone, mark) = match (may_win, number(entry, "rank")) {
            (false, _) => (Some(Tone::Bad), style.pick("✗", "x")),
            (true, 1) => (Some(Tone::Good), style.pick("✓", "+")),
            (true, _) => (None, " "),
        };
        let place = Cell::verbatim(tone, &format!("{mark}{:>2}.", number(entry, "rank")), style);
        let reasons = Cell::line(None, string(entry, "reasons"), style);
        let left = room(page, 0).saturating_sub(4 + width + 4);
        row(page, 0, "  ", &[(place, 4), (name, width), (reasons, left)]);
        let because = string(entry, "because");
        if number(entry, "rank") > 1 && !because.is_empty() {
            let because = Cell::line(Some(Tone::Dim), because, style);
            row(page, 4 + 2 + width + 2, "", &[(because, left)]);
        }
    }
    more(page, 0, ranking.len(), LISTED, "candidate");
    true
}

/// Which groups of candidates pass the same tests.
fn cross_check(page: &mut Page<'_>, told: &Told<'_>) {
    let Some(found) = told.result.get("cross_check") else { return };
    let (groups, tests) = (list(found, "groups"), number(found, "tests"));
    if groups.is_empty() {
        return;
    }
    let all = counted(usize::try_from(tests).unwrap_or(usize::MAX), "test");
    let text = format!("{all} of the candidates' own, {} that pass the same", counted(groups.len(), "group"));
    title(page, Tone::Strong, &text);
    let choices: Vec<super::bars::Choice> = groups
        .iter()
        .take(8)
        .map(|group| super::bars::Choice {
            value: counted(usize::try_from(number(group, "size")).unwrap_or(usize::MAX), "candidate"),
            tone: None,
            share: number(group, "tests_passed") as f64 / tests.max(1) as f64,
            figure: format!("{} of {tests} pass", number(group, "tests_passed")),
            who: told.names(group.get("by")),
        })
        .collect();
    super::bars::write(page, 2, &choices);
    more(page, 2, groups.len(), 8, "group");
}
