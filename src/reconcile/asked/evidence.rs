//! The conflicts that are open, each as the model sees it and as the result names it.
//!
//! Invariant: sides are shown in an order that their content gives, not the one with most voices first.

use serde_json::Value;

use super::super::wording::show;
use super::super::{Conflict, Reconciled};
use super::blind::Blind;

/// Characters of a value on a side.
const VALUE: usize = 1_200;
/// Characters of one wording of an item in dispute.
const WORDING: usize = 700;
/// Wordings shown of one item.
const WORDINGS: usize = 8;

/// A conflict that is open.
#[derive(Debug, Clone)]
pub(super) struct Open {
    /// By name, as the result has it.
    pub(super) conflict: Conflict,
    /// Its place in the computed conflicts.
    pub(super) number: usize,
    /// JSON pointer to where the value in dispute stands in the result, where it stands anywhere.
    pub(super) at: Option<String>,
    /// The sides in the order in which they are shown, as places in `conflict.sides`.
    pub(super) order: Vec<usize>,
    /// How the model is told of it, its number left out.
    pub(super) shown: String,
}

/// Those that a decision between sides can settle, in order.
pub(super) fn open(inner: &str, computed: &Reconciled, facts: &Reconciled, blind: &Blind) -> Vec<Open> {
    let places = places(inner, &computed.json);
    let members = places.iter().map(|(item, _)| item.and_then(|item| facts.json["items"].get(item)));
    let mut members: Vec<Option<&Value>> = members.collect();
    members.resize(computed.conflicts.len(), None);
    let both = computed.conflicts.iter().zip(&facts.conflicts).zip(members).enumerate();
    both.filter(|(_, ((conflict, _), _))| can_be_decided(conflict))
        .map(|(number, ((conflict, hidden), item))| {
            let mut order: Vec<usize> = (0..conflict.sides.len()).collect();
            let content = |at: &usize| {
                let value = conflict.sides.get(*at).map(|side| side.value.to_string());
                *blake3::hash(value.unwrap_or_default().as_bytes()).as_bytes()
            };
            order.sort_by_key(content);
            let at = places.get(number).map(|(_, at)| at.clone());
            let shown = shown(hidden, &order, item, blind);
            Open { conflict: conflict.clone(), number, at, order, shown }
        })
        .collect()
}

/// Two whole texts of several lines are no alternatives: there is nothing to choose between.
fn can_be_decided(conflict: &Conflict) -> bool {
    let is_short =
        |value: &Value| value.as_str().is_none_or(|text| text.len() <= 200 && !text.contains('\n'));
    conflict.sides.len() > 1
        && (!conflict.pointer.is_empty() || conflict.sides.iter().all(|side| is_short(&side.value)))
}

/// Where each conflict's value stands in the result, and which item it belongs to.
fn places(inner: &str, json: &Value) -> Vec<(Option<usize>, String)> {
    let items = json["items"].as_array().filter(|_| inner == "merge");
    if let Some(items) = items {
        let of = |(number, item): (usize, &Value)| {
            let disputes = item["conflicts"].as_array().cloned().unwrap_or_default();
            let pointer = |dispute: Value| dispute["pointer"].as_str().unwrap_or_default().to_owned();
            let place = move |dispute| (Some(number), format!("/items/{number}/item{}", pointer(dispute)));
            disputes.into_iter().map(place).collect::<Vec<_>>()
        };
        return items.iter().enumerate().flat_map(of).collect();
    }
    let conflicts = json["conflicts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let pointer = |conflict: &Value| conflict["pointer"].as_str().unwrap_or_default().to_owned();
    match inner {
        "merge" => conflicts.iter().map(|one| (None, format!("/merged{}", pointer(one)))).collect(),
        "vote" => {
            let several = json["questions"].as_array().is_some_and(|questions| questions.len() > 1);
            let at = |one: &Value| match pointer(one) {
                own if several => format!("/winner/{}", own.replace('~', "~0").replace('/', "~1")),
                _ => "/winner".to_owned(),
            };
            conflicts.iter().map(|one| (None, at(one))).collect()
        }
        _ => Vec::new(),
    }
}

fn shown(hidden: &Conflict, order: &[usize], item: Option<&Value>, blind: &Blind) -> String {
    let field =
        if hidden.pointer.is_empty() { String::new() } else { format!(", field `{}`", hidden.pointer) };
    let mut lines = vec![format!("{}{field}", hidden.about)];
    for (number, at) in (1..).zip(order) {
        let Some(side) = hidden.sides.get(*at) else { continue };
        let by = if side.by.is_empty() { "nobody".to_owned() } else { side.by.join(", ") };
        lines.push(format!("  choice {number}: {}   (said by {by})", show(&side.value, VALUE)));
    }
    let members = item.and_then(|item| item["members"].as_array());
    if let Some(members) = members {
        lines.push("  in their own words:".to_owned());
        // In the order of the labels, so that no wording comes first because of who said it.
        let mut members: Vec<&Value> = members.iter().collect();
        let place = |member: &&Value| {
            let label = member["by"].as_str().unwrap_or_default();
            blind.all.iter().position(|one| one.label == label)
        };
        members.sort_by_key(place);
        for member in members.iter().take(WORDINGS) {
            let by = member["by"].as_str().unwrap_or("-");
            lines.push(format!("    {by}: {}", show(&member["item"], WORDING)));
        }
        if members.len() > WORDINGS {
            lines.push(format!("    … and {} more", members.len() - WORDINGS));
        }
    }
    lines.join("\n")
}
