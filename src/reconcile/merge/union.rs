//! One merged item: the best wording, who found it, how sure that is, what is in dispute.
//!
//! Invariants: every value in it is some member's; every member is listed whole with
//! whose it is; an author counts once, however often they say it.

use serde_json::{Map, Value, json};

use super::super::wording::{one_line, rounded, show};
use super::super::{Conflict, Panel, Side};
use super::Merge;
use super::dispute::{Position, Ruling, positions, rule};
use super::item::{Item, all_text, text};
use super::same::Group;

/// Characters of an item's name in messages.
const NAMED: usize = 72;

/// A merged item.
#[derive(Debug)]
pub(super) struct Union {
    /// The merged item itself.
    pub(super) item: Value,
    /// What people call it: its place and its words.
    pub(super) place: String,
    pub(super) words: String,
    /// Who found it: positions on the panel, ascending.
    pub(super) by: Vec<usize>,
    /// 0 to 1: the agents who found it, each as far as their words are close, of those who answered.
    pub(super) confidence: f64,
    /// Whose words stand.
    wording: usize,
    /// The disputes that are open, in the order of the plan.
    pub(super) disputes: Vec<Dispute>,
    /// Those that somebody preferred has settled.
    settled: Vec<(Dispute, usize)>,
    /// Further fields on which members differ.
    differs: Vec<String>,
    /// Whose, which of theirs, and the item.
    members: Vec<(usize, usize, Value)>,
}

/// A field on which members disagree.
#[derive(Debug, Clone)]
pub(super) struct Dispute {
    pub(super) pointer: String,
    pub(super) sides: Vec<Side>,
}

impl Union {
    /// Makes one of the items of a group.
    pub(super) fn new(group: &Group, items: &[Item<'_>], merge: &Merge, panel: &Panel<'_>) -> Union {
        let members: Vec<Item<'_>> = group.members.iter().filter_map(|at| items.get(*at)).copied().collect();
        let mut by: Vec<usize> = members.iter().map(|item| item.voice).collect();
        by.sort_unstable();
        by.dedup();
        let close = |voice: &usize| {
            let own = members.iter().zip(&group.closeness).filter(|(item, _)| item.voice == *voice);
            own.map(|(_, close)| *close).fold(0.0, f64::max)
        };
        let confidence = by.iter().map(close).sum::<f64>() / panel.voices.len().max(1) as f64;
        let mut item = members.first().map(|item| item.value.clone()).unwrap_or_default();
        let (mut disputes, mut settled) = (Vec::new(), Vec::new());
        for pointer in &merge.conflicts {
            let said = members.iter().filter_map(|item| Some((item.voice, item.value.pointer(pointer)?)));
            let said = positions(said, &merge.sameness.normalize);
            let (stands, ruling) = rule(&said, &merge.on_conflict, panel);
            if let (Some(value), Some(position)) = (item.pointer_mut(pointer), said.get(stands)) {
                *value = position.value.clone();
            }
            let dispute = || Dispute { pointer: pointer.clone(), sides: sides(&said, panel) };
            match ruling {
                Ruling::Agreed => {}
                Ruling::Open => disputes.push(dispute()),
                Ruling::Settled(voice) => settled.push((dispute(), voice)),
            }
        }
        complete(&mut item, &members);
        let words = merge.sameness.similar.as_ref().and_then(|similar| text(&item, &similar.on));
        let words = words.unwrap_or_else(|| {
            let all = all_text(&item, &merge.sameness.key);
            if all.trim().is_empty() { show(&item, NAMED) } else { all }
        });
        Union {
            place: merge.sameness.key.show(&item),
            words: one_line(words.trim().lines().next().unwrap_or_default(), 4 * NAMED),
            wording: members.first().map_or(0, |item| item.voice),
            differs: merge.differs(&members),
            members: members.iter().map(|item| (item.voice, item.at, item.value.clone())).collect(),
            item,
            by,
            confidence,
            disputes,
            settled,
        }
    }

    /// The first of its members in plan order, to order equals by.
    pub(super) fn first(&self) -> Option<(usize, usize)> {
        self.members.iter().map(|(voice, at, _)| (*voice, *at)).min()
    }

    /// `src/a.rs:42 SQL is built by …`.
    pub(super) fn name(&self) -> String {
        one_line(&format!("{}  {}", self.place, self.words), NAMED)
    }

    pub(super) fn json(&self, panel: &Panel<'_>) -> Value {
        let call = |voice: &usize| panel.voices.get(*voice).map(|voice| voice.call.clone());
        let mut json = Map::new();
        json.insert("item".to_owned(), self.item.clone());
        json.insert("place".to_owned(), json!(self.place));
        json.insert("words".to_owned(), json!(self.words));
        json.insert("by".to_owned(), json!(self.by.iter().filter_map(call).collect::<Vec<String>>()));
        json.insert("agree".to_owned(), json!(self.by.len()));
        let share = self.by.len() as f64 / panel.voices.len().max(1) as f64;
        json.insert("share".to_owned(), json!(rounded(share)));
        json.insert("confidence".to_owned(), json!(rounded(self.confidence)));
        json.insert("wording".to_owned(), json!(call(&self.wording)));
        if !self.disputes.is_empty() {
            json.insert("conflicts".to_owned(), self.disputes.iter().map(Dispute::json).collect());
        }
        if !self.settled.is_empty() {
            let settled = self.settled.iter().map(|(dispute, voice)| {
                let mut json = dispute.json();
                if let Value::Object(map) = &mut json {
                    map.insert("settled_by".to_owned(), json!(call(voice)));
                }
                json
            });
            json.insert("settled".to_owned(), settled.collect());
        }
        if !self.differs.is_empty() {
            json.insert("differs".to_owned(), json!(self.differs));
        }
        let members = self.members.iter();
        let members = members.map(|(voice, at, item)| json!({"by": call(voice), "at": at, "item": item}));
        json.insert("members".to_owned(), members.collect());
        Value::Object(json)
    }

    /// Its open disputes, as the step reports them.
    pub(super) fn conflicts(&self, panel: &Panel<'_>) -> Vec<Conflict> {
        let about = self.name();
        self.disputes.iter().map(|dispute| dispute.conflict(&about, panel)).collect()
    }
}

impl Dispute {
    fn json(&self) -> Value {
        json!({ "pointer": self.pointer, "sides": self.sides })
    }

    /// As the step reports it.
    pub(super) fn conflict(&self, about: &str, panel: &Panel<'_>) -> Conflict {
        Conflict {
            pointer: self.pointer.clone(),
            about: about.to_owned(),
            sides: self.sides.clone(),
            message: format!("{about}: `{}` is {}", self.pointer, self.sentence(panel)),
        }
    }

    /// `high for a, b and low for c`.
    fn sentence(&self, panel: &Panel<'_>) -> String {
        let side = |side: &Side| format!("{} for {}", show(&side.value, 40), panel.names(&side.by));
        self.sides.iter().map(side).collect::<Vec<String>>().join(" and ")
    }
}

/// The sides of a dispute, with who is on each.
pub(super) fn sides(positions: &[Position<'_>], panel: &Panel<'_>) -> Vec<Side> {
    let call = |voice: &usize| panel.voices.get(*voice).map(|voice| voice.call.clone());
    let side = |position: &Position<'_>| Side {
        value: position.value.clone(),
        by: position.by.iter().filter_map(call).collect(),
    };
    positions.iter().map(side).collect()
}

/// Adds the fields that the best worded member lacks and others have.
fn complete(item: &mut Value, members: &[Item<'_>]) {
    let Value::Object(fields) = item else { return };
    for member in members.iter().skip(1).filter_map(|member| member.value.as_object()) {
        for (name, value) in member {
            if !value.is_null() && fields.get(name).is_none_or(Value::is_null) {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}

impl Merge {
    /// Fields of a few words on which members differ, besides the key, the text and the conflicts.
    fn differs(&self, members: &[Item<'_>]) -> Vec<String> {
        let Some(first) = members.first().filter(|_| members.len() > 1) else { return Vec::new() };
        let mut pointers: Vec<String> = Vec::new();
        for fields in members.iter().filter_map(|member| member.value.as_object()) {
            for name in fields.keys() {
                let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                if !pointers.contains(&pointer) {
                    pointers.push(pointer);
                }
            }
        }
        let known = |pointer: &String| {
            let key = self.sameness.key.fields.iter().any(|field| field.pointer == *pointer);
            let text = self.sameness.similar.as_ref().is_some_and(|similar| similar.on.contains(pointer));
            key || text || self.conflicts.contains(pointer)
        };
        let differs = |pointer: &String| {
            let said =
                members.iter().filter_map(|member| Some((member.voice, member.value.pointer(pointer)?)));
            let said = positions(said, &self.sameness.normalize);
            said.len() > 1 && said.iter().all(|position| is_short(position.value))
        };
        pointers.retain(|pointer| first.value.is_object() && !known(pointer) && differs(pointer));
        pointers
    }
}

/// True for numbers, true and false, and texts of at most three words.
fn is_short(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => text.split_whitespace().nth(3).is_none(),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}
