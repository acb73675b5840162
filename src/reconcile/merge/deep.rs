//! Objects merged field by field: what some have, all get; leaves on which they differ are conflicts.
//!
//! Invariants: every leaf of every answer is in the result or on a side of a dispute;
//! lists are joined, each element once, in the order in which it was first said.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::super::normalize::Normalize;
use super::super::wording::{counted, show};
use super::super::{Conflict, Panel};
use super::dispute::{OnConflict, Ruling, positions, rule};
use super::union::{Dispute, sides};

/// Leaves listed in the text.
const LISTED: usize = 40;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Whole {
    merged: Value,
    /// Every leaf: where, and which voices say something there.
    leaves: Vec<(String, Vec<usize>)>,
    disputes: Vec<Dispute>,
    settled: Vec<(Dispute, usize)>,
}

/// Who merges.
struct Rules<'a> {
    normalize: &'a Normalize,
    on_conflict: &'a OnConflict,
    panel: &'a Panel<'a>,
}

/// Merges one object for each voice of `panel`.
pub(super) fn merge(
    objects: &[&Map<String, Value>],
    normalize: &Normalize,
    on_conflict: &OnConflict,
    panel: &Panel<'_>,
) -> Whole {
    let mut whole = Whole::default();
    let said = objects.iter().copied().enumerate().collect();
    let rules = Rules { normalize, on_conflict, panel };
    whole.merged = rules.objects("", said, &mut whole);
    whole
}

impl Rules<'_> {
    fn objects(&self, pointer: &str, said: Vec<(usize, &Map<String, Value>)>, whole: &mut Whole) -> Value {
        let mut fields: IndexMap<&str, Vec<(usize, &Value)>> = IndexMap::new();
        for (voice, object) in said {
            for (name, value) in object {
                fields.entry(name).or_default().push((voice, value));
            }
        }
        let mut merged = Map::new();
        for (name, said) in fields {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            merged.insert(name.to_owned(), self.values(&pointer, said, whole));
        }
        Value::Object(merged)
    }

    fn values(&self, pointer: &str, said: Vec<(usize, &Value)>, whole: &mut Whole) -> Value {
        let content: Vec<(usize, &Value)> = said.into_iter().filter(|(_, value)| !value.is_null()).collect();
        let objects = content.iter().map(|(voice, value)| Some((*voice, value.as_object()?)));
        if let Some(objects) = objects.collect::<Option<Vec<_>>>().filter(|objects| !objects.is_empty()) {
            return self.objects(pointer, objects, whole);
        }
        whole.leaves.push((pointer.to_owned(), content.iter().map(|(voice, _)| *voice).collect()));
        let lists = content.iter().map(|(_, value)| value.as_array());
        if let Some(lists) = lists.collect::<Option<Vec<_>>>().filter(|lists| !lists.is_empty()) {
            let mut elements: IndexMap<String, &Value> = IndexMap::new();
            for element in lists.into_iter().flatten() {
                elements.entry(self.normalize.key(element)).or_insert(element);
            }
            return elements.into_values().cloned().collect();
        }
        let positions = positions(content, self.normalize);
        let (stands, ruling) = rule(&positions, self.on_conflict, self.panel);
        let dispute = || Dispute { pointer: pointer.to_owned(), sides: sides(&positions, self.panel) };
        match ruling {
            Ruling::Agreed => {}
            Ruling::Open => whole.disputes.push(dispute()),
            Ruling::Settled(voice) => whole.settled.push((dispute(), voice)),
        }
        positions.get(stands).map(|position| position.value.clone()).unwrap_or_default()
    }
}

impl Whole {
    pub(super) fn json(&self, panel: &Panel<'_>) -> Map<String, Value> {
        let call = |voice: &usize| panel.voices.get(*voice).map(|voice| voice.call.clone());
        let by = |voices: &[usize]| voices.iter().filter_map(call).collect::<Vec<String>>();
        let leaves = self.leaves.iter().map(|(pointer, voices)| (pointer.clone(), json!(by(voices))));
        let mut json = Map::new();
        json.insert("merged".to_owned(), self.merged.clone());
        json.insert("by".to_owned(), Value::Object(leaves.collect()));
        if !self.settled.is_empty() {
            let settled = self.settled.iter().map(|(dispute, voice)| {
                json!({"pointer": dispute.pointer, "sides": dispute.sides, "settled_by": call(voice)})
            });
            json.insert("settled".to_owned(), settled.collect());
        }
        json
    }

    pub(super) fn conflicts(&self, panel: &Panel<'_>) -> Vec<Conflict> {
        let about = |dispute: &Dispute| dispute.pointer.trim_start_matches('/').to_owned();
        self.disputes.iter().map(|dispute| dispute.conflict(&about(dispute), panel)).collect()
    }

    pub(super) fn text(&self, panel: &Panel<'_>) -> String {
        let mut lines = vec![format!(
            "{}: {} from {}",
            panel.census.headline(),
            counted(self.leaves.len(), "field"),
            counted(panel.voices.len(), "object")
        )];
        if !self.disputes.is_empty() {
            lines.push(format!("\n{}", counted(self.disputes.len(), "conflict")));
            for dispute in self.disputes.iter().take(LISTED) {
                lines.push(format!("  {}", dispute.pointer));
                for side in &dispute.sides {
                    lines.push(format!("    {}  {}", show(&side.value, 60), panel.names(&side.by)));
                }
            }
        }
        lines.push(String::new());
        let width = self.leaves.iter().map(|(pointer, _)| pointer.chars().count()).max().unwrap_or(0).min(40);
        for (pointer, voices) in self.leaves.iter().take(LISTED) {
            let value = self.merged.pointer(pointer).map(|value| show(value, 60)).unwrap_or_default();
            let all = panel.voices.len();
            lines.push(format!("  {pointer:<width$}  {:>2} of {all}  {value}", voices.len()));
        }
        if self.leaves.len() > LISTED {
            lines.push(format!("  … {}", counted(self.leaves.len() - LISTED, "more field")));
        }
        lines.join("\n")
    }
}
