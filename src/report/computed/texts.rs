//! Texts side by side, line by line, each difference marked at its line and in its words.
//!
//! Invariants: every line of every text stands in its own column, in its order; lines that are the
//! same in all stand on one row; long stretches in which nothing differs are folded and counted.

use similar::{ChangeTag, TextDiff};

/// Texts that may stand side by side.
pub(in crate::report) const COLUMNS: usize = 6;
/// Rows of context around a difference.
pub(in crate::report) const CONTEXT: usize = 3;
/// Lines of one text that are compared.
const LINES: usize = 2000;
/// Lines that are alike at least so far have their words compared.
const ALIKE: f32 = 0.4;

/// One line in each text; `None` where a text has none there.
type Row<'t> = Vec<Option<&'t str>>;

/// A row to be shown, or so many that are the same in all.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::report) enum Stretch<'t> {
    Row(Line<'t>),
    Same(usize),
}

/// A line of each text.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::report) struct Line<'t> {
    /// Whether it is the same in all.
    pub(in crate::report) same: bool,
    /// It in each text, in pieces; `None` where a text has none there.
    pub(in crate::report) cells: Vec<Option<Vec<Piece<'t>>>>,
}

/// A piece of a line.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::report) struct Piece<'t> {
    pub(in crate::report) text: &'t str,
    /// Whether this is what differs.
    pub(in crate::report) differs: bool,
}

/// The texts beside each other, in rows; none where there are too few, too many, or one is too long.
pub(super) fn side_by_side<'t>(texts: &[&'t str]) -> Vec<Stretch<'t>> {
    let is_long = |text: &&str| text.lines().count() > LINES;
    if !(2..=COLUMNS).contains(&texts.len()) || texts.iter().any(is_long) {
        return Vec::new();
    }
    let rows = aligned(texts);
    let near = |at: usize| {
        let window = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(rows.len());
        rows.get(window).unwrap_or_default().iter().any(|row| !is_same(row))
    };
    let mut stretches = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if near(at) {
            stretches.push(Stretch::Row(line(row)));
        } else if let Some(Stretch::Same(count)) = stretches.last_mut() {
            *count += 1;
        } else {
            stretches.push(Stretch::Same(1));
        }
    }
    stretches
}

fn line<'t>(row: &Row<'t>) -> Line<'t> {
    let same = is_same(row);
    let common = most_common(row);
    let whole = |text: &'t str, differs| vec![Piece { text, differs }];
    let cell = |(at, text): (usize, &Option<&'t str>)| {
        let text = (*text)?;
        Some(match row.as_slice() {
            _ if same || common == Some(text.trim_end()) => whole(text, false),
            [Some(one), Some(other)] => words(one, other, at),
            _ => whole(text, true),
        })
    };
    Line { same, cells: row.iter().enumerate().map(cell).collect() }
}

/// One of two lines, with the words in which they differ.
fn words<'t>(one: &'t str, other: &'t str, at: usize) -> Vec<Piece<'t>> {
    let (one, other) = (one.trim_end(), other.trim_end());
    let diff = TextDiff::from_words(one, other);
    if diff.ratio() < ALIKE {
        return vec![Piece { text: if at == 0 { one } else { other }, differs: true }];
    }
    let (line, own) = if at == 0 { (one, ChangeTag::Delete) } else { (other, ChangeTag::Insert) };
    let mut rest = line;
    let mut pieces = Vec::new();
    for change in diff.iter_all_changes().filter(|change| [ChangeTag::Equal, own].contains(&change.tag())) {
        let Some((text, after)) = rest.split_at_checked(change.value().len()) else { break };
        pieces.push(Piece { text, differs: change.tag() == own });
        rest = after;
    }
    pieces
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
        let folded = side_by_side(&[&left, &right]);
        assert_eq!(folded.first(), Some(&Stretch::Same(7)));
        assert_eq!(folded.last(), Some(&Stretch::Same(6)));
        assert_eq!(folded.len(), 9);
        assert_eq!(side_by_side(&["one text"]), []);
        assert_eq!(side_by_side(&["x"; COLUMNS + 1]), []);
    }

    #[test]
    fn two_columns_that_differ_have_no_majority_and_three_may() {
        assert_eq!(most_common(&vec![Some("a"), Some("b")]), None);
        assert_eq!(most_common(&vec![Some("a"), Some("b"), Some("a ")]), Some("a"));
        assert_eq!(most_common(&vec![Some("a"), Some("b"), Some("a"), Some("b")]), None);
    }
}
