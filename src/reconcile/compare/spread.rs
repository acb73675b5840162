//! Which lines or items all answers have, which some, which only one.
//!
//! Invariant: every distinct line or item stands in exactly one of the three.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use super::super::Side;
use super::super::normalize::Normalize;

/// Lines or items by who has them; in the order in which they first occur.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Spread {
    /// What every answer has.
    pub(super) shared: Vec<Value>,
    /// What more than one has, but not all.
    pub(super) some: Vec<Side>,
    /// What only one has, by who has it.
    pub(super) only: Vec<Own>,
}

/// What one answer has and no other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Own {
    /// Who.
    pub(super) call: String,
    /// What.
    pub(super) values: Vec<Value>,
}

impl Spread {
    /// Of lists, by item. A value that is no list counts as an empty one.
    pub(super) fn of_lists(said: &[(&str, &Value)], normalize: &Normalize) -> Spread {
        let items = said.iter().map(|(call, value)| {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            (*call, items.iter().map(|item| (normalize.key(item), item.clone())).collect())
        });
        Spread::of(items.collect())
    }

    /// Of texts, by line. Blank lines are left out.
    pub(super) fn of_lines(said: &[(&str, String)], normalize: &Normalize) -> Spread {
        let lines = said.iter().map(|(call, text)| {
            let lines = text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
            let keyed = lines.map(|line| (normalize.text(line), Value::String(line.to_owned())));
            (*call, keyed.collect())
        });
        Spread::of(lines.collect())
    }

    fn of(said: Vec<(&str, Vec<(String, Value)>)>) -> Spread {
        let mut holders: IndexMap<String, (Value, Vec<usize>)> = IndexMap::new();
        for (position, (_, parts)) in said.iter().enumerate() {
            for (key, value) in parts {
                let (_, by) = holders.entry(key.clone()).or_insert_with(|| (value.clone(), Vec::new()));
                if by.last() != Some(&position) {
                    by.push(position);
                }
            }
        }
        let name = |position: &usize| said.get(*position).map_or("", |(call, _)| call).to_owned();
        let mut spread = Spread::default();
        let mut only: Vec<Vec<Value>> = vec![Vec::new(); said.len()];
        for (value, by) in holders.into_values() {
            match by.as_slice() {
                all if all.len() == said.len() => spread.shared.push(value),
                [one] => {
                    if let Some(values) = only.get_mut(*one) {
                        values.push(value);
                    }
                }
                several => spread.some.push(Side { value, by: several.iter().map(name).collect() }),
            }
        }
        let own = only.into_iter().enumerate().filter(|(_, values)| !values.is_empty());
        spread.only = own.map(|(position, values)| Own { call: name(&position), values }).collect();
        spread
    }
}
