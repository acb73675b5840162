//! A comparison for people: groups first, then likeness, then differences; bounded for any number of answers.

use serde_json::Value;

use super::super::Side;
use super::super::wording::{counted, excerpt, names, percent, show};
use super::diff::Diff;
use super::fields::Fields;
use super::spread::Spread;
use super::{Comparison, Differences};

/// Groups whose answer is quoted.
const GROUPS: usize = 10;
/// Lines quoted of one answer.
const LINES: usize = 6;
/// Groups up to which the whole matrix is shown.
const MATRIX: usize = 10;
/// Fields, lines or items listed under one heading.
const LISTED: usize = 12;
/// Answers whose own lines are listed.
const OWNERS: usize = 8;
/// Lines of a unified diff.
const DIFF: usize = 60;
/// Characters of a value or line.
const WIDTH: usize = 96;

/// Writes it.
pub(super) fn write(comparison: &Comparison<'_>) -> String {
    let mut parts = vec![headline(comparison), groups(comparison)];
    parts.extend(likeness(comparison));
    match &comparison.differences {
        None => {}
        Some(Differences::Fields(found)) => parts.extend(fields(comparison, found)),
        Some(Differences::Items(found)) => parts.extend(spread(comparison, found, "item")),
        // Two texts read best as a diff; it says all that the lists would.
        Some(Differences::Lines(found)) => match &comparison.diff {
            Some(diff) => parts.push(unified(diff)),
            None => parts.extend(spread(comparison, found, "line")),
        },
    }
    parts.join("\n\n")
}

fn headline(comparison: &Comparison<'_>) -> String {
    let answered = comparison.panel.census.headline();
    let (all, groups) = (comparison.contents.len(), comparison.groups.len());
    match (all, groups) {
        (0 | 1, _) => format!("{answered}: nothing to compare."),
        (_, 1) => format!("{answered}, all the same."),
        (_, groups) if groups == all => format!("{answered}, no two the same."),
        (_, groups) => {
            format!("{answered}, in {groups} groups; the largest holds {}.", percent(comparison.agreement()))
        }
    }
}

fn groups(comparison: &Comparison<'_>) -> String {
    let all = comparison.contents.len();
    let mut entries: Vec<String> = Vec::new();
    for (number, group) in comparison.groups.iter().take(GROUPS).enumerate() {
        let members = group.members.iter().filter_map(|member| comparison.panel.voices.get(*member));
        let members: Vec<&str> = members.map(|voice| voice.name.as_str()).collect();
        // An object or a list is told apart below; here it is one line.
        let text = match comparison.contents.get(group.first()) {
            Some(Value::String(text)) => excerpt(text, LINES, "   "),
            Some(other) => format!("   {}", show(other, WIDTH)),
            None => String::new(),
        };
        let size = if all > 1 { format!(" ({} of {all})", members.len()) } else { String::new() };
        entries.push(format!("{}. {}{size}\n{text}", number + 1, names(&members)));
    }
    if let Some(rest) = comparison.groups.get(GROUPS..).filter(|rest| !rest.is_empty()) {
        let answers: usize = rest.iter().map(|group| group.members.len()).sum();
        entries.push(format!("… {} with {}", counted(rest.len(), "more group"), counted(answers, "answer")));
    }
    entries.join("\n")
}

fn likeness(comparison: &Comparison<'_>) -> Option<String> {
    let size = comparison.matrix.len();
    if size < 2 {
        return None;
    }
    let pairs = comparison.matrix.iter().enumerate().flat_map(|(row, cells)| {
        cells.iter().enumerate().skip(row + 1).map(move |(column, likeness)| (row, column, *likeness))
    });
    let pairs: Vec<(usize, usize, f64)> = pairs.collect();
    let by = comparison.measure.word();
    if size == 2 {
        return pairs.first().map(|(_, _, likeness)| format!("Similarity by {by}: {likeness:.2}"));
    }
    let mean = pairs.iter().map(|(_, _, likeness)| likeness).sum::<f64>() / pairs.len().max(1) as f64;
    // Of equally near pairs the first in the list is named, on both ends.
    let nearest = pairs.iter().rev().max_by(|a, b| a.2.total_cmp(&b.2))?;
    let farthest = pairs.iter().min_by(|a, b| a.2.total_cmp(&b.2))?;
    let mut text = format!(
        "Similarity of groups by {by}: {mean:.2} on average, most {} and {} ({:.2}), least {} and {} ({:.2})",
        nearest.0 + 1,
        nearest.1 + 1,
        nearest.2,
        farthest.0 + 1,
        farthest.1 + 1,
        farthest.2
    );
    if size <= MATRIX {
        let heading: String = (1..=size).map(|number| format!("{number:>6}")).collect();
        text.push_str(&format!("\n    {heading}"));
        for (row, cells) in comparison.matrix.iter().enumerate() {
            let cells: String = cells.iter().map(|likeness| format!("{likeness:>6.2}")).collect();
            text.push_str(&format!("\n{:>4}{cells}", row + 1));
        }
    }
    Some(text)
}

fn fields(comparison: &Comparison<'_>, fields: &Fields) -> Vec<String> {
    let panel = comparison.panel;
    let mut parts = Vec::new();
    if !fields.differ.is_empty() {
        let mut part = format!("They differ on {}:", counted(fields.differ.len(), "field"));
        for field in fields.differ.iter().take(LISTED) {
            part.push_str(&format!("\n  {}", field.pointer));
            for side in field.values.iter().take(LINES) {
                part.push_str(&format!("\n    {}: {}", show(&side.value, WIDTH), panel.names(&side.by)));
            }
            more(&mut part, "    ", field.values.len(), LINES, "more value");
            if !field.absent.is_empty() {
                part.push_str(&format!("\n    (absent): {}", panel.names(&field.absent)));
            }
        }
        more(&mut part, "  ", fields.differ.len(), LISTED, "more field");
        parts.push(part);
    }
    if !fields.shared.is_empty() {
        let mut part = format!("They agree on {}:", counted(fields.shared.len(), "field"));
        for (pointer, value) in fields.shared.iter().take(LISTED) {
            part.push_str(&format!("\n  {pointer}: {}", show(value, WIDTH)));
        }
        more(&mut part, "  ", fields.shared.len(), LISTED, "more field");
        parts.push(part);
    }
    for own in fields.only.iter().take(OWNERS) {
        let mut part = format!("Only {} has {}:", panel.name(&own.call), counted(own.values.len(), "field"));
        for (pointer, value) in own.values.iter().take(LISTED) {
            part.push_str(&format!("\n  {pointer}: {}", show(value, WIDTH)));
        }
        more(&mut part, "  ", own.values.len(), LISTED, "more field");
        parts.push(part);
    }
    parts.extend(more_owners(fields.only.len(), "fields"));
    parts
}

fn spread(comparison: &Comparison<'_>, spread: &Spread, noun: &str) -> Vec<String> {
    let panel = comparison.panel;
    let mut parts = Vec::new();
    if !spread.shared.is_empty() {
        let heading = format!("All share {}:", counted(spread.shared.len(), noun));
        parts.push(listed(heading, spread.shared.iter(), noun));
    }
    if !spread.some.is_empty() {
        let mut part = format!("Some share {}:", counted(spread.some.len(), noun));
        let mut widest: Vec<&Side> = spread.some.iter().collect();
        widest.sort_by_key(|side| std::cmp::Reverse(side.by.len()));
        for side in widest.iter().take(LISTED) {
            part.push_str(&format!("\n  {}: {}", show(&side.value, WIDTH), panel.names(&side.by)));
        }
        more(&mut part, "  ", widest.len(), LISTED, &format!("more {noun}"));
        parts.push(part);
    }
    for own in spread.only.iter().take(OWNERS) {
        let heading = format!("Only {} has {}:", panel.name(&own.call), counted(own.values.len(), noun));
        parts.push(listed(heading, own.values.iter(), noun));
    }
    parts.extend(more_owners(spread.only.len(), &format!("{noun}s")));
    parts
}

fn listed<'v>(heading: String, values: impl ExactSizeIterator<Item = &'v Value>, noun: &str) -> String {
    let mut part = heading;
    let total = values.len();
    for value in values.take(LINES) {
        part.push_str(&format!("\n  {}", show(value, WIDTH)));
    }
    more(&mut part, "  ", total, LINES, &format!("more {noun}"));
    part
}

fn more(part: &mut String, indent: &str, total: usize, shown: usize, noun: &str) {
    if total > shown {
        part.push_str(&format!("\n{indent}… {}", counted(total - shown, noun)));
    }
}

fn more_owners(total: usize, what: &str) -> Option<String> {
    let rest = total.checked_sub(OWNERS).filter(|rest| *rest > 0)?;
    Some(format!("… {} have {what} of their own", counted(rest, "more answer")))
}

fn unified(diff: &Diff) -> String {
    let lines: Vec<String> = diff.unified.lines().map(|line| cut(line, WIDTH * 2)).collect();
    excerpt(&lines.join("\n"), DIFF, "")
}

/// A line of a diff keeps its indentation; only its end is cut.
fn cut(line: &str, width: usize) -> String {
    match line.char_indices().nth(width) {
        None => line.to_owned(),
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
    }
}
