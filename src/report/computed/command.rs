//! What a program of the person's own made of the answers: its conflicts, then what it printed.

use serde_json::Value;

use super::merge::choices;
use super::part::{Dispute, Part, Shown};
use super::{Told, string};

/// What is there whatever the program printed.
const OURS: [&str; 3] = ["strategy", "census", "conflicts"];

pub(super) fn shown<'v>(told: &Told<'v>) -> Shown<'v> {
    let mut facts = vec![(None, "your program's result".to_owned())];
    facts.extend(told.conflicts());
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
    let mut parts = Vec::new();
    if !disputes.is_empty() {
        parts.push(Part::Disputes(disputes, "conflict"));
    }
    parts.extend(printed(told.result).map(Part::Printed));
    Shown { facts: told.facts(facts), parts }
}

/// Its text, where it gave one; a bare value; else all that it printed.
fn printed(result: &Value) -> Option<&Value> {
    if let Some(text) = result.get("text").filter(|text| text.is_string()) {
        return Some(text);
    }
    let own: Vec<&String> = result.as_object()?.keys().filter(|key| !OURS.contains(&key.as_str())).collect();
    match own.as_slice() {
        [] => None,
        [only] if *only == "result" => result.get("result"),
        _ => Some(result),
    }
}
