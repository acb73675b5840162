//! A comparison: texts as a diff, answers field by field, groups, what they share, how alike they are.

use std::fmt::Write as _;

use serde_json::Value;
use similar::TextDiff;

use super::{CELL, Document, STYLE, cell, gauge, path, short_code, who};
use crate::report::computed::counted;
use crate::report::computed::part::{Fields, Groups, Head, Kind, Matrix, Spread, Texts};
use crate::report::computed::texts::{COLUMNS, CONTEXT};

/// Groups whose answer is shown.
const GROUPS: usize = 20;
/// Groups up to which the matrix is shown.
const MATRIX: usize = 12;

impl Document {
    pub(super) fn groups(&mut self, groups: &Groups<'_>) {
        let all = groups.all;
        let rows = (1..).zip(&groups.groups).map(|(number, group): (usize, _)| {
            let size = group.who.len();
            let gauge = gauge(size as f64 / all.max(1) as f64);
            let said = group.value.as_str().map_or_else(|| group.value.to_string(), str::to_owned);
            vec![format!("{number}."), format!("{size} of {all}"), gauge, who(&group.who), cell(&said)]
        });
        let heads = ["group", "answers", "", "who", "what they say"];
        self.table(&heads, rows, (groups.groups.len(), "group"));
        let is_long =
            |value: &Value| value.as_str().is_none_or(|text| text.trim().contains('\n') || text.len() > CELL);
        for (number, group) in (1..).zip(groups.groups.iter().take(GROUPS)) {
            if is_long(group.value) {
                let title = format!("Group {number}, {} of {all}", group.who.len());
                match group.value.as_str() {
                    Some(text) => self.folded(&title, text, ""),
                    None => self.folded(&title, &format!("{:#}", group.value), "json"),
                }
            }
        }
    }

    pub(super) fn spread(&mut self, spread: &Spread) {
        let noun = spread.noun;
        if !spread.shared.is_empty() {
            self.open(&format!("All share {}", counted(spread.shared.len(), noun)));
            for text in spread.shared.iter().take(self.rows()) {
                let _ = writeln!(self.out, "- {}", short_code(text));
            }
            self.after(spread.shared.len(), noun);
            self.close();
        }
        if !spread.some.is_empty() {
            self.open(&format!("Some share {}", counted(spread.some.len(), noun)));
            let rows = spread.some.iter();
            let rows = rows.map(|(text, by)| vec![cell(text), by.len().to_string(), who(by)]);
            self.table(&[noun, "answers", "who"], rows, (spread.some.len(), noun));
            self.close();
        }
        if !spread.only.is_empty() {
            self.open("Only one has");
            for (who, values) in spread.only.iter().take(self.rows()) {
                self.paragraph(&format!("**{}**: {}", cell(&who.name), counted(values.len(), noun)));
                for text in values.iter().take(self.rows()) {
                    let _ = writeln!(self.out, "- {}", short_code(text));
                }
                self.after(values.len(), noun);
            }
            self.rest(spread.only.len(), "answer");
            self.close();
        }
    }

    /// Two texts as a diff, more as groups.
    pub(super) fn texts(&mut self, texts: &Texts<'_>) {
        let (Some(pair), [left, right]) = (texts.pair, texts.heads.as_slice()) else {
            self.groups(&texts.groups);
            return self.spread(&texts.spread);
        };
        let [one, other] = pair.map(|text| format!("{}\n", text.trim_end()));
        let diff = TextDiff::from_lines(&one, &other);
        let (left, right) = (left.who.text(), right.who.text());
        let diff = diff.unified_diff().context_radius(CONTEXT).header(&left, &right).to_string();
        self.text(&diff, "diff");
    }

    pub(super) fn fields(&mut self, fields: &Fields) {
        let name = |kind: Kind, pointer: &str| format!("{} {}", kind.mark(STYLE).1, path(pointer));
        let total = fields.fields.len();
        self.paragraph(&fields.legend(STYLE));
        if fields.heads.len() <= COLUMNS {
            let heads: Vec<String> =
                std::iter::once("field".to_owned()).chain(fields.heads.iter().map(head)).collect();
            let rows = fields.fields.iter().map(|field| {
                let columns = field.columns.iter().map(|column| match column {
                    None => "–".to_owned(),
                    Some((_, value)) => cell(value),
                });
                std::iter::once(name(field.kind, &field.pointer)).chain(columns).collect()
            });
            return self.table_of(&heads, rows, (total, "field"));
        }
        let rows = fields.fields.iter().flat_map(|field| {
            let choices = field.choices.iter().chain(&field.absent).enumerate();
            choices.map(move |(n, choice)| {
                let first = if n == 0 { name(field.kind, &field.pointer) } else { String::new() };
                match field.kind {
                    Kind::Shared => {
                        vec![first, cell(&choice.value), "all".to_owned(), String::new(), String::new()]
                    }
                    Kind::Disputed | Kind::Partial => {
                        std::iter::once(first).chain(super::choice(choice)).collect()
                    }
                }
            })
        });
        let count =
            fields.fields.iter().map(|field| field.choices.len() + usize::from(field.absent.is_some())).sum();
        self.table(&["field", "value", "answers", "", "who"], rows, (count, "value"));
    }

    pub(super) fn matrix(&mut self, matrix: &Matrix) {
        let size = matrix.rows.len();
        if size > MATRIX {
            return;
        }
        self.open(&format!("How alike the groups are, by {}", matrix.by));
        let heads = std::iter::once("group".to_owned()).chain((1..=size).map(|number| number.to_string()));
        let heads: Vec<String> = heads.collect();
        let rows = (1..).zip(&matrix.rows).map(|(number, row): (usize, _)| {
            let cells = row.iter().map(|likeness| format!("{likeness:.2}"));
            std::iter::once(format!("{number}.")).chain(cells).collect()
        });
        self.table_of(&heads, rows, (size, "group"));
        self.close();
    }
}

fn head(head: &Head) -> String {
    cell(&head.text())
}
