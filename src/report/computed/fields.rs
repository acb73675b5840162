//! JSON answers field by field, what differs first.

use serde_json::Value;

use super::part::{Choice, Field, Fields, Group, Head, Kind};
use super::who::Who;
use super::{Told, list, shown, string};
use crate::report::style::Tone;

/// A field: where, and each value with who has it.
struct Known<'v> {
    pointer: &'v str,
    sides: Vec<(&'v Value, Vec<&'v str>)>,
    /// How many have no such field.
    absent: usize,
    /// Who they are, where the result says so.
    without: Option<&'v Value>,
    kind: Kind,
}

pub(super) fn of(told: &Told<'_>, groups: &[Group<'_>], heads: Vec<Head>, found: &Value) -> Fields {
    let all: usize = groups.iter().map(|group| group.who.len()).sum();
    let mut fields: Vec<Known<'_>> = Vec::new();
    for field in list(found, "differ") {
        let sides: Vec<(&Value, Vec<&str>)> = list(field, "values").iter().map(side).collect();
        fields.push(Known {
            pointer: string(field, "pointer"),
            kind: if sides.len() > 1 { Kind::Disputed } else { Kind::Partial },
            sides,
            absent: list(field, "absent").len(),
            without: field.get("absent"),
        });
    }
    for own in list(found, "only") {
        for (pointer, value) in own.get("values").and_then(Value::as_object).into_iter().flatten() {
            let sides = vec![(value, vec![string(own, "call")])];
            let absent = all.saturating_sub(1);
            fields.push(Known { pointer, sides, absent, without: None, kind: Kind::Partial });
        }
    }
    for (pointer, value) in found.get("shared").and_then(Value::as_object).into_iter().flatten() {
        let sides = vec![(value, Vec::new())];
        fields.push(Known { pointer, sides, absent: 0, without: None, kind: Kind::Shared });
    }
    fields.sort_by_key(|field| field.kind);
    let fields = fields.iter().map(|field| told_of(told, groups, all, field)).collect();
    Fields { heads, fields }
}

fn side(side: &Value) -> (&Value, Vec<&str>) {
    let by = list(side, "by").iter().filter_map(Value::as_str).collect();
    (side.get("value").unwrap_or(&Value::Null), by)
}

fn told_of(told: &Told<'_>, groups: &[Group<'_>], all: usize, field: &Known<'_>) -> Field {
    let most = field.sides.iter().map(|(_, by)| by.len()).max().unwrap_or(0);
    let leads = field.sides.iter().filter(|(_, by)| by.len() == most).count() == 1;
    let column = |group: &Group<'_>| {
        let first = group.who.0.first().map_or("", |named| named.call.as_str());
        let (value, by) = field.sides.iter().find(|(_, by)| by.is_empty() || by.contains(&first))?;
        let tone = match field.kind {
            Kind::Shared => Some(Tone::Dim),
            Kind::Disputed if !(leads && by.len() == most) => Some(Tone::Warn),
            Kind::Disputed | Kind::Partial => None,
        };
        Some((tone, shown(value)))
    };
    let choice = |value: String, tone, count: usize, who: Who| Choice {
        value,
        tone,
        share: count as f64 / all.max(1) as f64,
        figure: count.to_string(),
        who,
    };
    let choices = field.sides.iter().map(|(value, by)| {
        let tone = (field.kind == Kind::Disputed && by.len() < most).then_some(Tone::Warn);
        choice(shown(value), tone, by.len(), told.who(Some(&Value::from(by.clone()))))
    });
    let absent = (field.absent > 0).then(|| {
        let without = match field.without {
            Some(without) => told.who(Some(without)),
            None => {
                let has = |call: &str| field.sides.iter().any(|(_, by)| by.contains(&call));
                let everybody = groups.iter().flat_map(|group| &group.who.0);
                Who(everybody.filter(|one| !has(&one.call)).cloned().collect())
            }
        };
        choice("(not there)".to_owned(), Some(Tone::Dim), field.absent, without)
    });
    Field {
        pointer: field.pointer.to_owned(),
        kind: field.kind,
        columns: groups.iter().map(column).collect(),
        choices: choices.collect(),
        absent,
    }
}
