//! What a program of the person's own made of the answers: its conflicts, then what it printed.

use serde_json::{Map, Value};

use super::merge::choices;
use super::part::{Dispute, Part, Shown};
use super::{Told, string};

/// What is there whatever the program printed.
const OURS: [&str; 3] = ["strategy", "census", "conflicts"];

pub(super) fn shown<'v>(told: &Told<'v>) -> Shown<'v> {
    let disputes = told.disputes().into_iter().map(|conflict| {
        let about = match (string(conflict, "about"), string(conflict, "pointer")) {
            ("", pointer) => pointer,
            (about, _) => about,
        };
        let gap = if about.is_empty() { "" } else { ": " };
        let fields = vec![(format!("{about}{gap}{}", string(conflict, "message")), choices(told, conflict))];
        Dispute { of: None, fields }
    });
    let disputes: Vec<Dispute> = disputes.collect();
    let alone = disputes.is_empty();
    let mut parts = Vec::new();
    if !disputes.is_empty() {
        parts.push(Part::Disputes(disputes, "conflict"));
    }
    parts.extend(printed(told.result).map(Part::Printed));
    // What it printed comes first where nothing is in dispute.
    let facts = told.facts(told.conflicts().into_iter().collect());
    Shown { facts: if alone { Vec::new() } else { facts }, parts }
}

/// Its text, where it gave one; a bare value; else all that it printed.
fn printed(result: &Value) -> Option<Value> {
    if let Some(text) = result.get("text").filter(|text| text.is_string()) {
        return Some(text.clone());
    }
    let own = result.as_object()?.iter().filter(|(key, _)| !OURS.contains(&key.as_str()));
    let own: Map<String, Value> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    match (own.len(), own.get("result")) {
        (0, _) => None,
        (1, Some(only)) => Some(only.clone()),
        _ => Some(Value::Object(own)),
    }
}
