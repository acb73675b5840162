//! A comparison: groups of answers that are the same, where they differ, how alike they are.

use std::cmp::Reverse;

use serde_json::Value;

use super::part::{Fact, Group, Groups, Head, Matrix, Part, Shown, Spread, Texts};
use super::who::{Named, Who};
use super::{Told, fields, list, said, shown as text, string, texts};
use crate::report::style::Tone;

pub(super) fn shown<'v>(told: &Told<'v>) -> Option<Shown<'v>> {
    let listed = list(told.result, "groups");
    if listed.is_empty() {
        return None;
    }
    let group = |group: &'v Value| Group {
        who: told.who(group.get("by")),
        value: group.get("value").unwrap_or(&Value::Null),
    };
    let groups: Vec<Group<'v>> = listed.iter().map(group).collect();
    let all: usize = groups.iter().map(|group| group.who.len()).sum();
    let facts = told.facts(facts(told, &groups, all));
    let heads = heads(&groups, all);
    let matrix = matrix(told, &heads);
    let grouped = |texts| Groups { groups: groups.clone(), all, texts };
    let differences = told.result.get("differences");
    let found = |kind: &str| differences.and_then(|found| found.get(kind));
    let mut parts = if let Some(found) = found("fields") {
        vec![Part::Fields(fields::of(told, &groups, heads, found))]
    } else if let Some(found) = found("items") {
        vec![Part::Groups(grouped(false)), Part::Spread(spread(told, found, "item"))]
    } else if let Some(found) = found("lines") {
        let spread = spread(told, found, "line");
        let values: Option<Vec<&str>> = groups.iter().map(|group| group.value.as_str()).collect();
        match values {
            Some(values) => vec![Part::Texts(of_texts(heads, &values, grouped(true), spread))],
            None => vec![Part::Groups(grouped(true)), Part::Spread(spread)],
        }
    } else {
        vec![Part::Groups(grouped(true))]
    };
    parts.extend(matrix);
    Some(Shown { facts, parts })
}

/// Two texts by their names, to be read side by side.
pub(in crate::report) fn two<'v>(names: [&str; 2], values: &'v [Value; 2]) -> Texts<'v> {
    let named = |name: &str| Who(vec![Named { call: String::new(), name: name.to_owned() }]);
    let groups: Vec<Group<'v>> =
        names.iter().zip(values).map(|(name, value)| Group { who: named(name), value }).collect();
    let heads = heads(&groups, 2);
    let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    let spread = Spread { noun: "line", shared: Vec::new(), some: Vec::new(), only: Vec::new() };
    of_texts(heads, &texts, Groups { groups, all: 2, texts: true }, spread)
}

fn of_texts<'v>(heads: Vec<Head>, texts: &[&'v str], groups: Groups<'v>, spread: Spread) -> Texts<'v> {
    let pair = if let [one, other] = texts { Some([*one, *other]) } else { None };
    let rows = texts::side_by_side(texts);
    Texts { heads, pair: pair.filter(|_| !rows.is_empty()), rows, groups, spread }
}

fn heads(groups: &[Group<'_>], all: usize) -> Vec<Head> {
    let head = |(at, group): (usize, &Group<'_>)| Head {
        number: if groups.len() > 2 { format!("{}. ", at + 1) } else { String::new() },
        who: group.who.clone(),
        size: if group.who.len() > 1 { format!(" ({} of {all})", group.who.len()) } else { String::new() },
    };
    groups.iter().enumerate().map(head).collect()
}

fn facts(told: &Told<'_>, groups: &[Group<'_>], all: usize) -> Vec<Fact> {
    let largest = groups.first().map_or(0, |group| group.who.len());
    let (tone, how) = match (all, groups.len()) {
        (0 | 1, _) => (None, "nothing to compare".to_owned()),
        (_, 1) => (Some(Tone::Good), "all the same".to_owned()),
        (_, several) if several == all => (None, "no two the same".to_owned()),
        (_, several) => (None, format!("{several} groups, the largest {largest} of {all}")),
    };
    let mut facts = vec![(tone, how)];
    facts.extend(told.conflicts());
    let likeness = told.result.get("similarity").unwrap_or(&Value::Null);
    let pairs = pairs(likeness);
    if !pairs.is_empty() {
        let mean = pairs.iter().sum::<f64>() / pairs.len() as f64;
        let lead = if pairs.len() > 1 { "similarity on average" } else { "similarity" };
        facts.push((None, format!("{lead} {mean:.2} (by {})", string(likeness, "by"))));
    }
    facts
}

/// The likeness of each two groups.
fn pairs(likeness: &Value) -> Vec<f64> {
    let rows = list(likeness, "matrix").iter().enumerate();
    let later = rows.flat_map(|(at, row)| row.as_array().into_iter().flatten().skip(at + 1));
    later.filter_map(Value::as_f64).collect()
}

/// What all share, what some, what only one has.
fn spread(told: &Told<'_>, spread: &Value, noun: &'static str) -> Spread {
    let texts = |values: &[Value]| values.iter().map(text).collect::<Vec<String>>();
    let mut some: Vec<(String, Who)> =
        list(spread, "some").iter().map(|side| (said(side.get("value")), told.who(side.get("by")))).collect();
    some.sort_by_key(|(_, who)| Reverse(who.len()));
    let only = list(spread, "only").iter();
    Spread {
        noun,
        shared: texts(list(spread, "shared")),
        some,
        only: only.map(|own| (told.name(own.get("call")), texts(list(own, "values")))).collect(),
    }
}

/// How alike each two groups are, where there are more than two.
fn matrix<'v>(told: &Told<'v>, heads: &[Head]) -> Option<Part<'v>> {
    let likeness = told.result.get("similarity").unwrap_or(&Value::Null);
    let row = |row: &Value| {
        row.as_array().into_iter().flatten().map(|one| one.as_f64().unwrap_or_default()).collect()
    };
    let rows: Vec<Vec<f64>> = list(likeness, "matrix").iter().map(row).collect();
    let by = string(likeness, "by").to_owned();
    (rows.len() > 2).then(|| Part::Matrix(Matrix { by, rows, heads: heads.to_vec() }))
}
