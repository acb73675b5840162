//! JSON answers field by field: what differs first, one column a group where there is room, else field by field.

use serde_json::Value;

use super::bars::{self, Choice};
use super::cell::{Cell, marked_row, row};
use super::compare::{COLUMNS, Group, heading, room};
use super::{Told, list, more, shown, string};
use crate::report::results::page::Page;
use crate::report::style::Tone;

/// Fields listed of each kind.
const LISTED: usize = 40;
/// Values listed of one field.
const VALUES: usize = 8;
/// The narrowest column that is worth reading.
const LEAST: usize = 14;

/// A field: where, and each value with who has it.
struct Field<'v> {
    pointer: &'v str,
    sides: Vec<(&'v Value, Vec<&'v str>)>,
    /// How many have no such field.
    absent: usize,
    /// Who they are, where the result says so.
    without: Option<&'v Value>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It has more than one value.
    Disputed,
    /// Those who have it agree, and not all have it.
    Partial,
    /// All have it and agree.
    Shared,
}

pub(super) fn write(page: &mut Page<'_>, told: &Told<'_>, groups: &[Group<'_>], found: &Value) {
    let all: usize = groups.iter().map(|group| group.size).sum();
    let mut fields: Vec<Field<'_>> = Vec::new();
    for field in list(found, "differ") {
        let sides: Vec<(&Value, Vec<&str>)> = list(field, "values").iter().map(side).collect();
        let kind = if sides.len() > 1 { Kind::Disputed } else { Kind::Partial };
        let absent = list(field, "absent").len();
        fields.push(Field {
            pointer: string(field, "pointer"),
            sides,
            absent,
            without: field.get("absent"),
            kind,
        });
    }
    for own in list(found, "only") {
        for (pointer, value) in own.get("values").and_then(Value::as_object).into_iter().flatten() {
            let sides = vec![(value, vec![string(own, "call")])];
            fields.push(Field {
                pointer,
                sides,
                absent: all.saturating_sub(1),
                without: None,
                kind: Kind::Partial,
            });
        }
    }
    for (pointer, value) in found.get("shared").and_then(Value::as_object).into_iter().flatten() {
        fields.push(Field {
            pointer,
            sides: vec![(value, Vec::new())],
            absent: 0,
            without: None,
            kind: Kind::Shared,
        });
    }
    fields.sort_by_key(|field| match field.kind {
        Kind::Disputed => 0,
        Kind::Partial => 1,
        Kind::Shared => 2,
    });
    let label = fields.iter().map(|field| field.pointer.chars().count()).max().unwrap_or(0);
    let label = label.clamp(4, (page.style.width / 4).max(10));
    let width = page.style.width.saturating_sub(2 + label + 3 * groups.len()) / groups.len().max(1);
    page.blank();
    if groups.len() <= COLUMNS && width >= LEAST {
        table(page, groups, &fields, (label, width.min(60)));
    } else {
        one_by_one(page, told, &fields, all);
    }
    more(page, 2, fields.len(), LISTED, "field");
}

fn side(side: &Value) -> (&Value, Vec<&str>) {
    let by = list(side, "by").iter().filter_map(Value::as_str).collect();
    (side.get("value").unwrap_or(&Value::Null), by)
}

fn mark(page: &Page<'_>, kind: Kind) -> (Option<Tone>, &'static str) {
    match kind {
        Kind::Disputed => (Some(Tone::Warn), page.style.pick("≠", "!")),
        Kind::Partial => (Some(Tone::Info), "+"),
        Kind::Shared => (Some(Tone::Dim), "="),
    }
}

/// One row a field, one column a group.
fn table(page: &mut Page<'_>, groups: &[Group<'_>], fields: &[Field<'_>], (label, width): (usize, usize)) {
    let style = page.style;
    let gap = format!(" {} ", style.pick("│", "|"));
    let head = |(at, group)| (Cell::line(Some(Tone::Strong), &heading(at, group, groups), style), width);
    let heads = std::iter::once((Cell::default(), label)).chain(groups.iter().enumerate().map(head));
    row(page, 2, &gap, &heads.collect::<Vec<_>>());
    let rule = |width: usize| (Cell::line(Some(Tone::Dim), &style.rule().repeat(width), style), width);
    let rules = std::iter::once(rule(label)).chain(groups.iter().map(|_| rule(width)));
    row(page, 2, &gap, &rules.collect::<Vec<_>>());
    for field in fields.iter().take(LISTED) {
        let most = field.sides.iter().map(|(_, by)| by.len()).max().unwrap_or(0);
        let leads = field.sides.iter().filter(|(_, by)| by.len() == most).count() == 1;
        let cell = |group: &Group<'_>| {
            let first = group.first.as_str().unwrap_or_default();
            let own = field.sides.iter().find(|(_, by)| by.is_empty() || by.contains(&first));
            let cell = match own {
                None => Cell::line(Some(Tone::Dim), style.pick("–", "-"), style),
                Some((value, by)) => {
                    let tone = match field.kind {
                        Kind::Shared => Some(Tone::Dim),
                        Kind::Disputed if !(leads && by.len() == most) => Some(Tone::Warn),
                        Kind::Disputed | Kind::Partial => None,
                    };
                    Cell::line(tone, &shown(value), style)
                }
            };
            (cell, width)
        };
        let name = (Cell::line(None, field.pointer, style), label);
        let cells: Vec<(Cell, usize)> = std::iter::once(name).chain(groups.iter().map(cell)).collect();
        marked_row(page, mark(page, field.kind), &gap, &cells);
    }
}

/// Each field with its values under it, and who has them.
fn one_by_one(page: &mut Page<'_>, told: &Told<'_>, fields: &[Field<'_>], all: usize) {
    for field in fields.iter().take(LISTED) {
        let mark = mark(page, field.kind);
        let line = match (field.kind, field.sides.as_slice()) {
            (Kind::Shared, [(value, _), ..]) => format!("{}: {}", field.pointer, shown(value)),
            _ => field.pointer.to_owned(),
        };
        let room = room(page, 2);
        marked_row(page, mark, "", &[(Cell::line(None, &line, page.style), room)]);
        if field.kind == Kind::Shared {
            continue;
        }
        let most = field.sides.iter().map(|(_, by)| by.len()).max().unwrap_or(0);
        let share = |count: usize| count as f64 / all.max(1) as f64;
        let choice = |(value, by): &(&Value, Vec<&str>)| Choice {
            value: shown(value),
            tone: (field.kind == Kind::Disputed && by.len() < most).then_some(Tone::Warn),
            share: share(by.len()),
            figure: by.len().to_string(),
            who: told.names(Some(&Value::from(by.clone()))),
        };
        let mut choices: Vec<Choice> = field.sides.iter().take(VALUES).map(choice).collect();
        if field.absent > 0 {
            let who = told.names(field.without);
            let (share, figure) = (share(field.absent), field.absent.to_string());
            choices.push(Choice {
                value: "(not there)".to_owned(),
                tone: Some(Tone::Dim),
                share,
                figure,
                who,
            });
        }
        bars::write(page, 4, &choices);
        more(page, 4, field.sides.len(), VALUES, "value");
    }
}
