//! `on_conflict: decide`: the model settles what the answers disagree on, and nothing else.
//!
//! Invariants: it chooses among what was said and invents no value; every conflict is decided or
//! left open with a reason; what was computed stays as it was computed.

use serde_json::{Map, Value, json};

use super::super::wording::{counted, show};
use super::super::{Conflict, Reconciled};
use super::blind::Blind;
use super::evidence::Open;
use super::extent::{LEAST, ROOM, cap, enclosed, excerpt};
use super::{Asked, Inquiry, Question};

/// Conflicts in one question.
const AT_ONCE: usize = 25;
/// Bytes of computed facts in a prompt.
pub(super) const FACTS: usize = 16_000;
/// Room for the answers that the conflicts are about.
const ANSWERS: usize = ROOM / 2;

/// What the model said of a conflict.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ruling {
    /// The chosen side, as a place in the conflict's sides; `None` where it is left open.
    side: Option<usize>,
    reason: String,
}

/// Conflicts being decided.
#[derive(Debug)]
pub(super) struct Deciding {
    open: Vec<Open>,
    rulings: Vec<Ruling>,
    facts: String,
    /// Whether the conflicts bring their own evidence, so that no answers are shown.
    evident: bool,
}

impl Deciding {
    pub(super) fn new(open: Vec<Open>, facts: &Reconciled) -> Deciding {
        let evident = facts.json.get("items").is_some();
        Deciding { open, rulings: Vec::new(), facts: facts.text.clone(), evident }
    }

    pub(super) fn question(&self, inquiry: &Inquiry) -> Option<Question> {
        let batch = self.batch()?;
        let mut prompt = inquiry.head();
        prompt.push_str(&format!(
            "\n# Computed from the answers\n\n{}\n",
            enclosed("computed", &excerpt(&self.facts, FACTS).0)
        ));
        if !self.evident {
            prompt.push_str(&answers(&inquiry.blind));
        }
        if !self.rulings.is_empty() {
            prompt.push_str("\n# Decided already\n\n");
            let done = self.open.iter().zip(&self.rulings);
            done.for_each(|(open, ruling)| prompt.push_str(&format!("- {}\n", told(open, ruling))));
        }
        prompt.push_str("\n# Open conflicts\n\n");
        prompt.push_str(&enclosed("conflicts", &numbered(batch)));
        prompt.push_str(
            "\n\n# What to do\n\nDecide each of these conflicts, once: give its number, the number of the choice that is \
             right, and the reason in one or two sentences. Choose 0 and say what is missing where it cannot be \
             decided from what is in front of you. How many say something is evidence, but no proof.\n",
        );
        let purpose = format!("decide {}", counted(batch.len(), "conflict"));
        Some(Question {
            prompt,
            schema: super::synthesis::object(&[("decisions", schema())]).into(),
            purpose,
        })
    }

    fn batch(&self) -> Option<&[Open]> {
        let rest = self.open.get(self.rulings.len()..).filter(|rest| !rest.is_empty())?;
        rest.get(..rest.len().min(AT_ONCE))
    }

    pub(super) fn hear(&mut self, answer: &Value) -> Result<(), String> {
        let Some(batch) = self.batch() else { return Ok(()) };
        let rulings = read(&answer["decisions"], batch)?;
        self.rulings.extend(rulings);
        Ok(())
    }

    pub(super) fn finish(self, computed: Reconciled, blind: &Blind, asked: &Asked) -> Reconciled {
        let Reconciled { json, mut text, conflicts } = computed;
        let mut map = fields(json);
        let open = still_open(conflicts, &self.open, &self.rulings);
        map.remove("conflicts");
        map.insert("decisions".to_owned(), json!(decisions(&self.open, &self.rulings)));
        map.insert("labels".to_owned(), json!(blind.all));
        map.insert("asked".to_owned(), json!(asked));
        map.insert("conflicts".to_owned(), json!(open));
        let lines = lines(&self.open, &self.rulings, blind, asked);
        text = format!("{text}\n\n{lines}");
        Reconciled { json: Value::Object(map), text, conflicts: open }
    }
}

/// The fields of a computed result, which is always an object.
pub(super) fn fields(json: Value) -> Map<String, Value> {
    if let Value::Object(map) = json { map } else { Map::from_iter([("computed".to_owned(), json)]) }
}

/// The conflicts of a question, numbered from 1.
pub(super) fn numbered(open: &[Open]) -> String {
    let shown = (1..).zip(open).map(|(number, open)| format!("conflict {number}: {}", open.shown));
    shown.collect::<Vec<String>>().join("\n\n")
}

/// What a list of decisions must look like.
pub(super) fn schema() -> Value {
    let item = super::synthesis::object(&[
        ("conflict", json!({"type": "integer"})),
        ("reason", json!({"type": "string"})),
        ("choice", json!({"type": "integer", "description": "0 where it cannot be decided"})),
    ]);
    json!({"type": "array", "items": item})
}

/// Reads decisions on these conflicts, each once, whatever their order.
pub(super) fn read(given: &Value, open: &[Open]) -> Result<Vec<Ruling>, String> {
    let mut rulings: Vec<Option<Ruling>> = vec![None; open.len()];
    let mut wrong = Vec::new();
    for one in given.as_array().map(Vec::as_slice).unwrap_or_default() {
        let number = one["conflict"].as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
        let Some((open, slot)) =
            number.checked_sub(1).and_then(|at| Some((open.get(at)?, rulings.get_mut(at)?)))
        else {
            wrong.push(format!("there is no conflict {}; they are 1 to {}", one["conflict"], open.len()));
            continue;
        };
        let choice = one["choice"].as_u64().and_then(|choice| usize::try_from(choice).ok());
        let side = match choice {
            Some(0) => None,
            Some(choice) if choice <= open.order.len() => open.order.get(choice - 1).copied(),
            _ => {
                let most = open.order.len();
                wrong.push(format!(
                    "conflict {number} has no choice {}; they are 1 to {most}, or 0",
                    one["choice"]
                ));
                continue;
            }
        };
        let reason = one["reason"].as_str().unwrap_or_default().trim().to_owned();
        if reason.is_empty() {
            wrong.push(format!("the decision on conflict {number} has no reason"));
        }
        if slot.replace(Ruling { side, reason }).is_some() {
            wrong.push(format!("conflict {number} is decided twice"));
        }
    }
    let missing: Vec<String> =
        (1..).zip(&rulings).filter(|(_, ruling)| ruling.is_none()).map(|(n, _)| format!("{n}")).collect();
    if !missing.is_empty() && wrong.is_empty() {
        wrong.push(format!("not decided: conflict {}", missing.join(", ")));
    }
    if wrong.is_empty() { Ok(rulings.into_iter().flatten().collect()) } else { Err(wrong.join("; ")) }
}

/// The decisions as they stand in the result.
pub(super) fn decisions(open: &[Open], rulings: &[Ruling]) -> Vec<Value> {
    let one = |(open, ruling): (&Open, &Ruling)| {
        let Conflict { pointer, about, sides, .. } = &open.conflict;
        let chosen = ruling.side.and_then(|side| sides.get(side));
        json!({
            "pointer": pointer,
            "about": about,
            "at": open.at,
            "decided": chosen.is_some(),
            "value": chosen.map(|side| side.value.clone()),
            "by": chosen.map(|side| side.by.clone()).unwrap_or_default(),
            "reason": ruling.reason,
            "sides": sides,
        })
    };
    open.iter().zip(rulings).map(one).collect()
}

/// What is in dispute afterwards.
pub(super) fn still_open(conflicts: Vec<Conflict>, open: &[Open], rulings: &[Ruling]) -> Vec<Conflict> {
    let settled = |number: usize| {
        open.iter().zip(rulings).any(|(open, ruling)| open.number == number && ruling.side.is_some())
    };
    conflicts.into_iter().enumerate().filter(|(number, _)| !settled(*number)).map(|(_, one)| one).collect()
}

/// The decisions for people.
pub(super) fn lines(open: &[Open], rulings: &[Ruling], blind: &Blind, asked: &Asked) -> String {
    let who = asked.agent.as_deref().map(|agent| format!(" ({agent})")).unwrap_or_default();
    let mut lines = vec![format!("DECIDED BY THE PARENT{who}")];
    let names = |calls: &[String]| {
        let name = |call: &String| {
            let found = blind.all.iter().find(|one| one.call == *call);
            found.map_or_else(|| call.clone(), |one| one.name.clone())
        };
        super::super::wording::names(&calls.iter().map(name).collect::<Vec<_>>())
    };
    for (open, ruling) in open.iter().zip(rulings) {
        lines.push(format!("  {}", title(&open.conflict)));
        let sides = &open.conflict.sides;
        match ruling.side.and_then(|side| sides.get(side)) {
            Some(side) => {
                lines.push(format!("    {}  as {} said", show(&side.value, 60), names(&side.by)));
                for (_, other) in sides.iter().enumerate().filter(|(at, _)| Some(*at) != ruling.side).take(4)
                {
                    lines.push(format!("    not {}  ({})", show(&other.value, 60), names(&other.by)));
                }
            }
            None => lines.push("    left open".to_owned()),
        }
        lines.push(format!("    because {}", ruling.reason));
    }
    lines.join("\n")
}

fn title(conflict: &Conflict) -> String {
    let field = conflict.pointer.trim_start_matches('/');
    let known = field.is_empty() || conflict.about.ends_with(field);
    if known { conflict.about.clone() } else { format!("{}: {field}", conflict.about) }
}

fn told(open: &Open, ruling: &Ruling) -> String {
    let value = ruling.side.and_then(|side| open.conflict.sides.get(side)).map(|side| show(&side.value, 80));
    let value = value.unwrap_or_else(|| "left open".to_owned());
    format!("{}: {value}, because {}", title(&open.conflict), ruling.reason)
}

/// What the answers that disagree say, as far as there is room.
fn answers(blind: &Blind) -> String {
    let most = cap(blind.all.iter().map(|one| one.text.len()), ANSWERS).unwrap_or(usize::MAX);
    if most < LEAST / 4 {
        return String::new();
    }
    let mut text = "\n# The answers\n\n".to_owned();
    for one in &blind.all {
        let (shown, _) = excerpt(&one.text, most);
        if let Some(about) = &one.about {
            text.push_str(&format!("Answer {} is about: {about}\n", one.label));
        }
        text.push_str(&enclosed(&format!("answer-{}", one.label), &shown));
        text.push('\n');
    }
    text
}
