//! JSON answers field by field: one column a group where there is room, else field by field.

use super::cell::{Cell, marked_row, row};
use super::{bars, more, room};
use crate::report::computed::part::{Field, Fields, Kind};
use crate::report::results::page::Page;
use crate::report::style::Tone;

/// Groups that may stand side by side.
const COLUMNS: usize = 4;
/// Fields listed of each kind.
const LISTED: usize = 40;
/// Values listed of one field.
const VALUES: usize = 8;
/// The narrowest column that is worth reading.
const LEAST: usize = 14;

pub(super) fn write(page: &mut Page<'_>, fields: &Fields) {
    let groups = fields.heads.len();
    let label = fields.fields.iter().map(|field| field.pointer.chars().count()).max().unwrap_or(0);
    let label = label.clamp(4, (page.style.width / 4).max(10));
    let width = page.style.width.saturating_sub(2 + label + 3 * groups) / groups.max(1);
    page.blank();
    if groups <= COLUMNS && width >= LEAST {
        table(page, fields, (label, width.min(60)));
    } else {
        one_by_one(page, &fields.fields);
    }
    more(page, 2, fields.fields.len(), LISTED, "field");
    page.sentence(2, 2, Some(Tone::Dim), &fields.legend(page.style));
}

fn mark(page: &Page<'_>, kind: Kind) -> (Option<Tone>, &'static str) {
    let (tone, mark) = kind.mark(page.style);
    (Some(tone), mark)
}

/// One row a field, one column a group.
fn table(page: &mut Page<'_>, fields: &Fields, (label, width): (usize, usize)) {
    let style = page.style;
    let gap = format!(" {} ", style.pick("│", "|"));
    let heads = fields.heads.iter().map(|head| (Cell::line(Some(Tone::Strong), &head.text(), style), width));
    let heads = std::iter::once((Cell::default(), label)).chain(heads);
    row(page, 2, &gap, &heads.collect::<Vec<_>>());
    let rule = |width: usize| (Cell::line(Some(Tone::Dim), &style.rule().repeat(width), style), width);
    let rules = std::iter::once(rule(label)).chain(fields.heads.iter().map(|_| rule(width)));
    row(page, 2, &gap, &rules.collect::<Vec<_>>());
    for field in fields.fields.iter().take(LISTED) {
        let cells = field.columns.iter().map(|column| {
            let cell = match column {
                None => Cell::line(Some(Tone::Dim), style.pick("–", "-"), style),
                Some((tone, value)) => Cell::line(*tone, value, style),
            };
            (cell, width)
        });
        let name = (Cell::line(None, &field.pointer, style), label);
        let cells: Vec<(Cell, usize)> = std::iter::once(name).chain(cells).collect();
        marked_row(page, mark(page, field.kind), &gap, &cells);
    }
}

/// Each field with its values under it, and who has them.
fn one_by_one(page: &mut Page<'_>, fields: &[Field]) {
    for field in fields.iter().take(LISTED) {
        let mark = mark(page, field.kind);
        let line = match (field.kind, field.choices.as_slice()) {
            (Kind::Shared, [only, ..]) => format!("{}: {}", field.pointer, only.value),
            _ => field.pointer.clone(),
        };
        let room = room(page, 2);
        marked_row(page, mark, "", &[(Cell::line(None, &line, page.style), room)]);
        if field.kind == Kind::Shared {
            continue;
        }
        let choices: Vec<_> = field.choices.iter().take(VALUES).chain(&field.absent).cloned().collect();
        bars::write(page, 4, &choices, VALUES + 1);
        more(page, 4, field.choices.len(), VALUES, "value");
    }
}
