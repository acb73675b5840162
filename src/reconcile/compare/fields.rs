//! JSON objects compared field by field: pointer → value → who.
//!
//! Objects are entered, lists are not: a list is one value, and where lists differ
//! their items are told apart.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::normalize::Normalize;
use super::super::wording::{names, show};
use super::super::{Conflict, Side, agreement};
use super::spread::Spread;

/// The fields of some objects, in the order in which they first occur.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Fields {
    /// On which all agree, by JSON pointer.
    pub(super) shared: Map<String, Value>,
    /// On which they differ, or which more than one has but not all.
    pub(super) differ: Vec<Field>,
    /// Which only one has, by who has it.
    pub(super) only: Vec<OwnFields>,
}

/// One field on which answers differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Field {
    /// Its JSON pointer.
    pub(super) pointer: String,
    /// Its values, the most widely held first.
    pub(super) values: Vec<Side>,
    /// Who does not have it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) absent: Vec<String>,
    /// Where every value is a list: its items by who has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) items: Option<Spread>,
}

/// Fields that one answer has and no other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct OwnFields {
    /// Who.
    pub(super) call: String,
    /// The fields, by JSON pointer.
    pub(super) values: Map<String, Value>,
}

impl Fields {
    /// Of at least two objects with the names of those who gave them.
    pub(super) fn of(said: &[(&str, &Value)], normalize: &Normalize) -> Fields {
        let mut holders: IndexMap<String, Vec<(usize, &Value)>> = IndexMap::new();
        for (position, (_, value)) in said.iter().enumerate() {
            let mut leaves = Vec::new();
            flatten(value, String::new(), &mut leaves);
            for (pointer, leaf) in leaves {
                holders.entry(pointer).or_default().push((position, leaf));
            }
        }
        let name = |position: usize| said.get(position).map_or("", |(call, _)| call).to_owned();
        let mut fields = Fields::default();
        let mut only: Vec<Map<String, Value>> = vec![Map::new(); said.len()];
        for (pointer, held) in holders {
            if let [(one, value)] = held.as_slice() {
                if let Some(own) = only.get_mut(*one) {
                    own.insert(pointer, (*value).clone());
                }
                continue;
            }
            let keys = held.iter().map(|(_, value)| normalize.key(value)).enumerate();
            let groups = agreement::groups(keys);
            let side = |group: &agreement::Group| Side {
                value: held.get(group.first()).map(|(_, value)| (*value).clone()).unwrap_or_default(),
                by: group.members.iter().filter_map(|at| held.get(*at)).map(|(who, _)| name(*who)).collect(),
            };
            let values: Vec<Side> = groups.iter().map(side).collect();
            if let ([one], true) = (values.as_slice(), held.len() == said.len()) {
                fields.shared.insert(pointer, one.value.clone());
                continue;
            }
            let lists = held.iter().all(|(_, value)| value.is_array()) && values.len() > 1;
            let named: Vec<(&str, &Value)> = held
                .iter()
                .filter_map(|(who, value)| said.get(*who).map(|(call, _)| (*call, *value)))
                .collect();
            let items = lists.then(|| Spread::of_lists(&named, normalize));
            let has = |who: usize| held.iter().any(|(holder, _)| *holder == who);
            let absent = (0..said.len()).filter(|who| !has(*who)).map(name).collect();
            fields.differ.push(Field { pointer, values, absent, items });
        }
        let own = only.into_iter().enumerate().filter(|(_, values)| !values.is_empty());
        fields.only = own.map(|(who, values)| OwnFields { call: name(who), values }).collect();
        fields
    }

    /// A conflict for each field that has more than one value.
    pub(super) fn conflicts(&self) -> Vec<Conflict> {
        let disputed = self.differ.iter().filter(|field| field.values.len() > 1);
        disputed
            .map(|field| {
                let sides: Vec<String> = field
                    .values
                    .iter()
                    .take(4)
                    .map(|side| {
                        let say = if side.by.len() == 1 { "says" } else { "say" };
                        format!("{} {say} {}", names(&side.by), show(&side.value, 60))
                    })
                    .collect();
                let more = field.values.len().saturating_sub(4);
                let more = if more > 0 { format!("; and {more} more values") } else { String::new() };
                Conflict {
                    pointer: field.pointer.clone(),
                    about: last_name(&field.pointer).to_owned(),
                    sides: field.values.clone(),
                    message: format!("`{}`: {}{more}", field.pointer, sides.join("; ")),
                }
            })
            .collect()
    }
}

/// The last name of a pointer, for people.
fn last_name(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or(pointer)
}

/// The leaves of an object with their pointers: everything that is no object with fields.
fn flatten<'v>(value: &'v Value, pointer: String, leaves: &mut Vec<(String, &'v Value)>) {
    match value.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => {
            for (name, field) in fields {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                flatten(field, format!("{pointer}/{escaped}"), leaves);
            }
        }
        None => leaves.push((pointer, value)),
    }
}
