//! Two texts line by line: as a unified diff, and as rows that stand side by side.

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// How many unchanged lines stand around a change.
const CONTEXT: usize = 3;

/// How two texts differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Diff {
    /// Whose texts, left and right.
    pub(super) between: [String; 2],
    /// The unified diff, as `diff -u` writes it.
    pub(super) unified: String,
    /// The same for two columns.
    pub(super) hunks: Vec<Hunk>,
}

/// One stretch of changes with the lines around it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Hunk {
    /// Number of its first line on the left, from 1.
    pub(super) left_line: usize,
    /// Number of its first line on the right, from 1.
    pub(super) right_line: usize,
    /// The rows, from the top.
    pub(super) rows: Vec<Row>,
}

/// One row of two columns. Equal lines stand on both sides; `None` is a gap.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Row {
    /// True when both sides are the same line.
    pub(super) same: bool,
    /// The line on the left.
    pub(super) left: Option<String>,
    /// The line on the right.
    pub(super) right: Option<String>,
}

impl Diff {
    /// Of two texts with the names of those who gave them.
    pub(super) fn between(left: (String, String), right: (String, String)) -> Diff {
        let texts = [&left.1, &right.1].map(|text| format!("{}\n", text.trim_end()));
        let [one, other] = &texts;
        let diff = TextDiff::from_lines(one, other);
        let unified = diff.unified_diff().context_radius(CONTEXT).header(&left.0, &right.0).to_string();
        let grouped = diff.grouped_ops(CONTEXT);
        let hunks = grouped.iter().map(|ops| {
            let first = ops.first();
            let mut rows = Rows::default();
            for change in ops.iter().flat_map(|op| diff.iter_changes(op)) {
                rows.push(change.tag(), change.value().trim_end_matches(['\n', '\r']));
            }
            Hunk {
                left_line: first.map_or(1, |op| op.old_range().start + 1),
                right_line: first.map_or(1, |op| op.new_range().start + 1),
                rows: rows.done(),
            }
        });
        Diff { hunks: hunks.collect(), unified, between: [left.0, right.0] }
    }
}

/// Rows being filled: a removed line and the added one that takes its place share a row.
#[derive(Debug, Default)]
struct Rows {
    rows: Vec<Row>,
    /// First row of the current change that has no right side yet.
    open: Option<usize>,
}

impl Rows {
    fn push(&mut self, tag: ChangeTag, line: &str) {
        let line = Some(line.to_owned());
        match tag {
            ChangeTag::Equal => {
                self.open = None;
                self.rows.push(Row { same: true, left: line.clone(), right: line });
            }
            ChangeTag::Delete => {
                self.open.get_or_insert(self.rows.len());
                self.rows.push(Row { left: line, ..Row::default() });
            }
            ChangeTag::Insert => match self.open.and_then(|at| self.rows.get_mut(at)) {
                Some(row) => {
                    row.right = line;
                    self.open = self.open.map(|at| at + 1);
                }
                None => self.rows.push(Row { right: line, ..Row::default() }),
            },
        }
    }

    fn done(self) -> Vec<Row> {
        self.rows
    }
}
