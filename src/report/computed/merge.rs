//! A merge: what is in dispute first, then what was found, by whom, where.

use serde_json::Value;

use super::part::{Choice, Dispute, Found, Item, Merged, Part, Shown};
use super::{Told, counted, list, number, said, shown as text, size, string};
use crate::report::style::Tone;

pub(super) fn shown<'v>(told: &Told<'v>) -> Option<Shown<'v>> {
    let items = told.result.get("items").and_then(Value::as_array);
    match (items, told.result.get("merged")) {
        (Some(items), _) => Some(list_of(told, items)),
        (None, Some(merged)) => Some(whole(told, merged)),
        (None, None) => None,
    }
}

fn list_of<'v>(told: &Told<'v>, items: &'v [Value]) -> Shown<'v> {
    let (left_out, needed) = (list(told.result, "left_out"), number(told.result, "needed"));
    let read = counted(size(told.result, "read"), "item");
    let mut facts = vec![(None, format!("{read}, {} different", items.len() + left_out.len()))];
    if needed > 1 {
        facts.push((None, format!("{} found by {needed} or more", items.len())));
    }
    facts.extend(told.conflicts());
    let mut parts = Vec::new();
    let (mut disputes, mut found) = (Vec::new(), Vec::new());
    for (number, item) in (1..).zip(items) {
        let open = still_open(told, number, item);
        let disputed = open.iter().map(|conflict| field(conflict).to_owned()).collect();
        let item = self::item(told, item, disputed);
        if !open.is_empty() {
            let fields = open.iter().map(|conflict| (field(conflict).to_owned(), choices(told, conflict)));
            let what = format!("{} {}", item.place, item.words);
            disputes.push(Dispute { of: Some((number, what)), fields: fields.collect() });
        }
        found.push(item);
    }
    if !disputes.is_empty() {
        parts.push(Part::Disputes(disputes, "item"));
    }
    let left: Vec<Item<'_>> = left_out.iter().map(|one| item(told, one, Vec::new())).collect();
    let count = left.len();
    if !found.is_empty() || count > 0 {
        parts.push(Part::Found(Found {
            voices: told.who(told.result.get("from")).0,
            answered: told.result.get("census").map_or(0, |census| size(census, "answered")),
            items: found,
            left_out: left,
        }));
    }
    if count > 0 {
        let verb = if count == 1 { "was" } else { "were" };
        let text = format!("{} {verb} found by fewer than {needed} and left out", counted(count, "item"));
        parts.push(Part::Notes(vec![(Some(Tone::Dim), text)]));
    }
    Shown { facts: told.facts(facts), parts }
}

fn item<'v>(told: &Told<'v>, item: &'v Value, disputed: Vec<String>) -> Item<'v> {
    let words = match string(item, "words") {
        "" => said(item.get("item")),
        words => words.to_owned(),
    };
    let members = list(item, "members").iter();
    Item {
        who: told.who(item.get("by")),
        place: string(item, "place").to_owned(),
        words,
        disputed,
        members: members
            .filter_map(|member| Some((told.name(member.get("by")), member.get("item")?)))
            .collect(),
    }
}

/// The conflicts of an item that the parent's model did not decide.
fn still_open<'v>(told: &Told<'v>, number: usize, item: &'v Value) -> Vec<&'v Value> {
    let decided = |conflict: &&Value| {
        let at = format!("/items/{}/item{}", number - 1, string(conflict, "pointer"));
        let of = |decision: &&Value| string(decision, "at") == at;
        list(told.result, "decisions")
            .iter()
            .find(of)
            .is_some_and(|one| one.get("decided") == Some(&true.into()))
    };
    list(item, "conflicts").iter().filter(|conflict| !decided(conflict)).collect()
}

fn field(conflict: &Value) -> &str {
    string(conflict, "pointer").trim_start_matches('/')
}

/// The sides of a conflict, each with its share of those who say something.
pub(super) fn choices(told: &Told<'_>, conflict: &Value) -> Vec<Choice> {
    let all = list(conflict, "sides");
    let voters: usize = all.iter().map(|side| list(side, "by").len()).sum();
    let choice = |side: &Value| {
        let count = list(side, "by").len();
        Choice {
            value: said(side.get("value")),
            tone: None,
            share: count as f64 / voters.max(1) as f64,
            figure: count.to_string(),
            who: told.who(side.get("by")),
        }
    };
    all.iter().map(choice).collect()
}

/// Objects that were merged field by field.
fn whole<'v>(told: &Told<'v>, merged: &Value) -> Shown<'v> {
    let fields = told.result.get("by").and_then(Value::as_object);
    let fields: Vec<(&String, &Value)> = fields.into_iter().flatten().collect();
    let mut facts = vec![(None, counted(fields.len(), "field"))];
    facts.extend(told.conflicts());
    let open = told.disputes();
    let mut parts = Vec::new();
    if !open.is_empty() {
        let dispute = |conflict: &&Value| Dispute {
            of: None,
            fields: vec![(field(conflict).to_owned(), choices(told, conflict))],
        };
        parts.push(Part::Disputes(open.iter().map(dispute).collect(), "field"));
    }
    let answered = told.result.get("census").map_or(0, |census| size(census, "answered"));
    let fields = fields.into_iter().map(|(pointer, by)| Merged {
        pointer: pointer.clone(),
        value: merged.pointer(pointer).map(text).unwrap_or_default(),
        who: told.who(Some(by)),
        disputed: open.iter().any(|conflict| string(conflict, "pointer") == pointer.as_str()),
    });
    parts.push(Part::Merged(fields.collect(), answered));
    Shown { facts: told.facts(facts), parts }
}
