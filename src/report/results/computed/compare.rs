//! A comparison: side by side where there is room for every group, else as groups with their counts.

use serde_json::Value;

use super::bars::{self, Choice};
use super::cell::{Cell, row};
use super::{Told, conflicts, counted, fields, list, more, shown, sides, string, title};
use crate::report::results::page::Page;
use crate::report::style::Tone;

/// Groups that may stand side by side.
pub(super) const COLUMNS: usize = 4;
/// Groups whose answer is quoted.
const GROUPS: usize = 10;
/// Lines quoted of one answer.
const LINES: usize = 6;
/// Groups up to which the whole matrix is shown.
const MATRIX: usize = 12;
/// Lines or items listed under one title.
const LISTED: usize = 12;

/// Answers that are the same.
pub(super) struct Group<'v> {
    pub(super) size: usize,
    /// Who, for people.
    pub(super) who: String,
    /// One of them.
    pub(super) first: &'v Value,
    pub(super) value: &'v Value,
}

pub(super) fn write(page: &mut Page<'_>, told: &Told<'_>) -> bool {
    let listed = list(told.result, "groups");
    if listed.is_empty() {
        return false;
    }
    let groups: Vec<Group<'_>> = listed
        .iter()
        .map(|group| Group {
            size: list(group, "by").len(),
            who: told.names(group.get("by")),
            first: list(group, "by").first().unwrap_or(&Value::Null),
            value: group.get("value").unwrap_or(&Value::Null),
        })
        .collect();
    let all: usize = groups.iter().map(|group| group.size).sum();
    headline(page, told, &groups, all);
    let differences = told.result.get("differences");
    if let Some(found) = differences.and_then(|found| found.get("fields")) {
        fields::write(page, told, &groups, found);
    } else if let Some(found) = differences.and_then(|found| found.get("items")) {
        self::groups(page, &groups, all, false);
        spread(page, told, found, "item");
    } else if let Some(found) = differences.and_then(|found| found.get("lines")) {
        if !sides::write(page, &groups) {
            self::groups(page, &groups, all, true);
            spread(page, told, found, "line");
        }
    } else {
        self::groups(page, &groups, all, true);
    }
    matrix(page, told);
    true
}

fn headline(page: &mut Page<'_>, told: &Told<'_>, groups: &[Group<'_>], all: usize) {
    let largest = groups.first().map_or(0, |group| group.size);
    let (tone, how) = match (all, groups.len()) {
        (0 | 1, _) => (None, "nothing to compare".to_owned()),
        (_, 1) => (Some(Tone::Good), "all the same".to_owned()),
        (_, several) if several == all => (None, "no two the same".to_owned()),
        (_, several) => (None, format!("{several} groups, the largest {largest} of {all}")),
    };
    let mut facts = vec![(tone, how)];
    facts.extend(conflicts(told));
    let likeness = told.result.get("similarity").unwrap_or(&Value::Null);
    let pairs = pairs(likeness);
    if !pairs.is_empty() {
        let mean = pairs.iter().sum::<f64>() / pairs.len() as f64;
        let lead = if pairs.len() > 1 { "similarity on average" } else { "similarity" };
        facts.push((None, format!("{lead} {mean:.2} (by {})", string(likeness, "by"))));
    }
    told.headline(page, facts);
}

/// The likeness of each two groups.
fn pairs(likeness: &Value) -> Vec<f64> {
    let rows = list(likeness, "matrix").iter().enumerate();
    let later = rows.flat_map(|(at, row)| row.as_array().into_iter().flatten().skip(at + 1));
    later.filter_map(Value::as_f64).collect()
}

/// The groups with their sizes, and what they say.
fn groups(page: &mut Page<'_>, groups: &[Group<'_>], all: usize, texts: bool) {
    page.blank();
    let digits = groups.first().map_or(1, |largest| largest.size.to_string().len());
    for (number, group) in groups.iter().take(GROUPS).enumerate() {
        let choice = Choice {
            value: format!("{}.", number + 1),
            tone: Some(if number == 0 && group.size > 1 { Tone::Good } else { Tone::Strong }),
            share: group.size as f64 / all.max(1) as f64,
            figure: format!("{:>digits$} of {all}", group.size),
            who: group.who.clone(),
        };
        bars::write(page, 0, &[choice]);
        match group.value.as_str() {
            Some(text) if texts => quote(page, text, LINES),
            _ => row(page, 4, "", &[(Cell::line(None, &shown(group.value), page.style), room(page, 4))]),
        }
    }
    let rest: usize = groups.iter().skip(GROUPS).map(|group| group.size).sum();
    if rest > 0 {
        let text =
            format!("… {} with {}", counted(groups.len() - GROUPS, "more group"), counted(rest, "answer"));
        page.sentence(0, 2, Some(Tone::Dim), &text);
    }
}

/// What stands over the column of a group: its number, where the numbers are used, and who.
pub(super) fn heading(at: usize, group: &Group<'_>, groups: &[Group<'_>]) -> String {
    let number = if groups.len() > 2 { format!("{}. ", at + 1) } else { String::new() };
    let all: usize = groups.iter().map(|group| group.size).sum();
    let size = if group.size > 1 { format!(" ({} of {all})", group.size) } else { String::new() };
    format!("{number}{}{size}", group.who)
}

/// The first lines of an answer, wrapped.
pub(super) fn quote(page: &mut Page<'_>, text: &str, shown: usize) {
    let lines: Vec<&str> = text.trim_end().lines().skip_while(|line| line.trim().is_empty()).collect();
    for line in lines.iter().take(shown) {
        let cell = Cell::verbatim(None, crate::report::sanitise::prefix(line, super::VALUE), page.style);
        row(page, 4, "", &[(cell, room(page, 4))]);
    }
    more(page, 4, lines.len(), shown, "line");
}

pub(super) fn room(page: &Page<'_>, indent: usize) -> usize {
    page.style.width.saturating_sub(indent).min(140)
}

/// What all share, what some, what only one has.
fn spread(page: &mut Page<'_>, told: &Told<'_>, spread: &Value, noun: &str) {
    let (shared, some, only) = (list(spread, "shared"), list(spread, "some"), list(spread, "only"));
    let line = |page: &mut Page<'_>, mark: &str, tone: Option<Tone>, text: &str| {
        let room = room(page, 4);
        row(
            page,
            2,
            " ",
            &[(Cell::line(tone, mark, page.style), 1), (Cell::line(tone, text, page.style), room)],
        );
    };
    if !shared.is_empty() {
        title(page, Tone::Strong, &format!("All share {}", counted(shared.len(), noun)));
        shared.iter().take(LISTED).for_each(|value| line(page, "=", None, &shown(value)));
        more(page, 2, shared.len(), LISTED, noun);
    }
    if !some.is_empty() {
        title(page, Tone::Strong, &format!("Some share {}", counted(some.len(), noun)));
        let mut widest: Vec<&Value> = some.iter().collect();
        widest.sort_by_key(|side| std::cmp::Reverse(list(side, "by").len()));
        for side in widest.iter().take(LISTED) {
            let value = side.get("value").map(shown).unwrap_or_default();
            line(page, "~", None, &value);
            let who = format!("{}: {}", list(side, "by").len(), told.names(side.get("by")));
            page.sentence(6, 2, Some(Tone::Dim), &who);
        }
        more(page, 2, some.len(), LISTED, noun);
    }
    if !only.is_empty() {
        title(page, Tone::Strong, "Only one has");
    }
    for own in only.iter().take(LISTED) {
        let (who, values) = (told.name(own.get("call").unwrap_or(&Value::Null)), list(own, "values"));
        page.sentence(2, 2, Some(Tone::Dim), &format!("{who}: {}", counted(values.len(), noun)));
        values.iter().take(LINES).for_each(|value| line(page, "+", Some(Tone::Warn), &shown(value)));
        more(page, 2, values.len(), LINES, noun);
    }
    more(page, 2, only.len(), LISTED, "answer");
}

/// How alike each two groups are, where there are more than two and it fits.
fn matrix(page: &mut Page<'_>, told: &Told<'_>) {
    let likeness = told.result.get("similarity").unwrap_or(&Value::Null);
    let rows = list(likeness, "matrix");
    let size = rows.len();
    if !(3..=MATRIX).contains(&size) || 4 + 6 * size > page.style.width {
        return;
    }
    title(page, Tone::Strong, &format!("How alike the groups are, by {}", string(likeness, "by")));
    let heads: String = (1..=size).map(|number| format!("{number:>6}")).collect();
    page.line(&page.style.paint(Tone::Dim, format!("    {heads}")));
    for (at, cells) in rows.iter().enumerate() {
        let mut text = format!("{:>4}", at + 1);
        for (column, cell) in cells.as_array().into_iter().flatten().enumerate() {
            let likeness = cell.as_f64().unwrap_or_default();
            let cell = format!("{likeness:>6.2}");
            let tone = if column == at {
                Tone::Dim
            } else if likeness >= 0.8 {
                Tone::Good
            } else {
                Tone::Info
            };
            text.push_str(&page.style.paint(tone, cell));
        }
        page.line(&text);
    }
}

/// A unified diff in its colours, wrapped.
pub(super) fn unified(page: &mut Page<'_>, text: &str, lines: usize) {
    for line in text.lines().take(lines) {
        let tone = match line.as_bytes().first() {
            Some(b'+') => Some(Tone::Good),
            Some(b'-') => Some(Tone::Bad),
            Some(b'@') => Some(Tone::Info),
            Some(_) | None => None,
        };
        let cell = Cell::verbatim(tone, crate::report::sanitise::prefix(line, super::VALUE), page.style);
        row(page, 0, "", &[(cell, page.style.width)]);
    }
    more(page, 0, text.lines().count(), lines, "line");
}
