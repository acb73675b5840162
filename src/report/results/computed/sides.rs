//! Texts side by side, line by line, each difference marked at its line and in its words.
//!
//! Invariants: every line of every text stands in its own column, in its order; lines that are the
//! same in all stand on one row; long stretches in which nothing differs are folded and counted.

use similar::{ChangeTag, TextDiff};

use super::cell::{Cell, marked_row, row};
use super::compare::{COLUMNS, Group, heading, unified};
use super::title;
use crate::report::results::page::Page;
use crate::report::style::{Style, Tone};

/// The narrowest column that is worth reading.
const LEAST: usize = 22;
/// Rows shown.
const ROWS: usize = 160;
/// Rows of context around a difference.
const CONTEXT: usize = 3;
/// Lines of one text that are compared.
const LINES: usize = 2000;
/// Lines that are alike at least so far have their words compared.
const ALIKE: f32 = 0.4;

/// One line in each text; `None` where a text has none there.
type Row<'t> = Vec<Option<&'t str>>;

/// Writes the texts of the groups beside each other; false where there are too many of them.
pub(super) fn write(page: &mut Page<'_>, groups: &[Group<'_>]) -> bool {
    let count = groups.len();
    let texts: Option<Vec<&str>> = groups.iter().map(|group| group.value.as_str()).collect();
    let Some(texts) = texts.filter(|_| (2..=COLUMNS).contains(&count)) else { return false };
    if texts.iter().any(|text| text.lines().count() > LINES) {
        return false;
    }
    let gap = format!(" {} ", page.style.pick("│", "|"));
    let width = page.style.width.saturating_sub(2 + 3 * (count - 1)) / count;
    if width < LEAST {
        return match (groups, texts.as_slice()) {
            ([left, right], [one, other]) => {
                title(page, Tone::Strong, "Differences");
                let texts = [one, other].map(|text| format!("{}\n", text.trim_end()));
                let diff = TextDiff::from_lines(&texts[0], &texts[1]);
                let diff =
                    diff.unified_diff().context_radius(CONTEXT).header(&left.who, &right.who).to_string();
                unified(page, &diff, ROWS);
                true
            }
            _ => false,
        };
    }
    page.blank();
    let head = |(at, group)| (Cell::line(Some(Tone::Strong), &heading(at, group, groups), page.style), width);
    let heads: Vec<(Cell, usize)> = groups.iter().enumerate().map(head).collect();
    row(page, 2, &gap, &heads);
    let rule = Cell::line(Some(Tone::Dim), &page.style.rule().repeat(width), page.style);
    row(page, 2, &gap, &vec![(rule, width); count]);
    let rows = aligned(&texts);
    let folded = fold(&rows);
    let mut shown = 0;
    for stretch in &folded {
        match stretch {
            Stretch::Same(count) => {
                let text = format!(
                    "{} {}",
                    page.style.pick("⋮", ":"),
                    if *count == 1 {
                        "1 line that all have".to_owned()
                    } else {
                        format!("{count} lines that all have")
                    }
                );
                page.sentence(2, 2, Some(Tone::Dim), &text);
            }
            Stretch::Row(at) if shown < ROWS => {
                shown += 1;
                let Some(line) = rows.get(*at) else { continue };
                write_row(page, &gap, width, line);
            }
            Stretch::Row(_) => shown += 1,
        }
    }
    super::more(page, 2, shown, ROWS, "row");
    true
}

fn write_row(page: &mut Page<'_>, gap: &str, width: usize, line: &Row<'_>) {
    let style = page.style;
    let same = is_same(line);
    let common = most_common(line);
    let cells = line.iter().enumerate().map(|(at, text)| {
        let cell = match text {
            None => Cell::default(),
            Some(text) if same || common == Some(text.trim_end()) => Cell::verbatim(None, text, style),
            Some(text) => match line.as_slice() {
                [Some(one), Some(other)] => words(one, other, at, style),
                [_, _] => Cell::verbatim(Some(side_tone(at)), text, style),
                _ => Cell::verbatim(Some(Tone::Warn), text, style),
            },
        };
        (cell, width)
    });
    let mark = if same { (None, "") } else { (Some(Tone::Warn), style.pick("≠", "!")) };
    marked_row(page, mark, gap, &cells.collect::<Vec<_>>());
}

/// Left is what a diff would take away, right what it would bring.
fn side_tone(at: usize) -> Tone {
    if at == 0 { Tone::Bad } else { Tone::Good }
}

/// One of two lines, the words in which they differ in the tone of its side.
fn words(one: &str, other: &str, at: usize, style: &Style) -> Cell {
    let (one, other) = (one.trim_end(), other.trim_end());
    let diff = TextDiff::from_words(one, other);
    let tone = side_tone(at);
    if diff.ratio() < ALIKE {
        return Cell::verbatim(Some(tone), if at == 0 { one } else { other }, style);
    }
    let mut cell = Cell::default();
    for change in diff.iter_all_changes() {
        match (change.tag(), at) {
            (ChangeTag::Equal, _) => cell.add(None, change.value(), style),
            (ChangeTag::Delete, 0) | (ChangeTag::Insert, 1) => cell.add(Some(tone), change.value(), style),
            (ChangeTag::Delete | ChangeTag::Insert, _) => {}
        }
    }
    cell
}

fn is_same(row: &Row<'_>) -> bool {
    let first = row.first().copied().flatten().map(str::trim_end);
    first.is_some() && row.iter().all(|line| line.map(str::trim_end) == first)
}

/// What more columns of a row say than say anything else, from three columns on.
fn most_common<'t>(row: &Row<'t>) -> Option<&'t str> {
    let lines: Vec<&str> = row.iter().flatten().map(|line| line.trim_end()).collect();
    let count = |line: &str| lines.iter().filter(|other| **other == line).count();
    let most = lines.iter().map(|line| count(line)).max().filter(|most| *most > 1)?;
    let mut leading = lines.iter().filter(|line| count(line) == most);
    let first = leading.next()?;
    leading.all(|line| line == first).then_some(*first)
}

/// The texts line by line, lines that are the same on one row.
fn aligned<'t>(texts: &[&'t str]) -> Vec<Row<'t>> {
    let mut rows: Vec<Row<'t>> = Vec::new();
    for (position, text) in texts.iter().enumerate() {
        let lines: Vec<&str> = text.trim_end().lines().collect();
        if position == 0 {
            rows = lines.iter().map(|line| vec![Some(*line)]).collect();
            continue;
        }
        // A row is known by what stands in it first.
        let known: Vec<&str> =
            rows.iter().map(|row| row.iter().flatten().next().map_or("", |line| line.trim_end())).collect();
        let own: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        let diff = TextDiff::from_slices(&known, &own);
        let mut merged: Vec<Row<'t>> = Vec::with_capacity(rows.len() + lines.len());
        let with = |row: Option<&Row<'t>>, line: Option<&'t str>| {
            let mut row = row.cloned().unwrap_or_else(|| vec![None; position]);
            row.push(line);
            row
        };
        for op in diff.ops() {
            let (old, new) = (op.old_range(), op.new_range());
            for at in 0..old.len().max(new.len()) {
                let row = (at < old.len()).then(|| rows.get(old.start + at)).flatten();
                let line = (at < new.len()).then(|| lines.get(new.start + at).copied()).flatten();
                merged.push(with(row, line));
            }
        }
        rows = merged;
    }
    rows
}

/// A row to be shown, or so many that are the same in all.
#[derive(Debug, PartialEq, Eq)]
enum Stretch {
    Row(usize),
    Same(usize),
}

fn fold(rows: &[Row<'_>]) -> Vec<Stretch> {
    let near = |at: usize| {
        let window = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(rows.len());
        rows.get(window).unwrap_or_default().iter().any(|row| !is_same(row))
    };
    let mut stretches = Vec::new();
    for at in 0..rows.len() {
        if near(at) {
            stretches.push(Stretch::Row(at));
        } else if let Some(Stretch::Same(count)) = stretches.last_mut() {
            *count += 1;
        } else {
            stretches.push(Stretch::Same(1));
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_the_same_stand_on_one_row_in_every_column() {
        let rows = aligned(&["a\nb\nc", "a\nx\nc\nd", "b\nc"]);
        let expected: Vec<Row<'_>> = vec![
            vec![Some("a"), Some("a"), None],
            vec![Some("b"), Some("x"), Some("b")],
            vec![Some("c"), Some("c"), Some("c")],
            vec![None, Some("d"), None],
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn every_line_of_every_text_is_in_its_column_in_its_order() {
        let texts = ["a\nb\nb\nc\n\nd", "d\nc\nb\na", "x", "b\n\nb"];
        let rows = aligned(&texts);
        for (at, text) in texts.iter().enumerate() {
            let column: Vec<&str> = rows.iter().filter_map(|row| row[at]).collect();
            assert_eq!(column, text.lines().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_nobody_differs_on_is_folded_but_for_its_edges() {
        let left: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let mut right = left.clone();
        right[10] = "ten".to_owned();
        let (left, right) = (left.join("\n"), right.join("\n"));
        let folded = fold(&aligned(&[&left, &right]));
        assert_eq!(folded.first(), Some(&Stretch::Same(7)));
        assert_eq!(folded.last(), Some(&Stretch::Same(6)));
        assert_eq!(folded.len(), 9);
    }

    #[test]
    fn two_columns_that_differ_have_no_majority_and_three_may() {
        assert_eq!(most_common(&vec![Some("a"), Some("b")]), None);
        assert_eq!(most_common(&vec![Some("a"), Some("b"), Some("a ")]), Some("a"));
        assert_eq!(most_common(&vec![Some("a"), Some("b"), Some("a"), Some("b")]), None);
    }
}
