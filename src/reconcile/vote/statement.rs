//! What a question came to: in a sentence, as a conflict, and as it stands in the result.

use serde_json::{Map, Value, json};

use super::super::wording::{counted, rounded, show};
use super::super::{Conflict, Panel, Side};
use super::question::{Question, calls};
use super::tally::{Choice, DecidedBy, Decision};

/// Characters of a choice in a sentence.
const WIDTH: usize = 60;

impl Question {
    /// What it came to, in one sentence without a full stop.
    pub(super) fn sentence(&self) -> String {
        let subject = if self.pointer.is_empty() { String::new() } else { format!("{}: ", self.pointer) };
        let name = |at: &usize| self.choices.get(*at).map_or(String::new(), |c| show(&c.value, WIDTH));
        let cast = counted(self.votes, "vote");
        let lead = self.choices.first();
        let sentence = match &self.decision {
            Decision::Won { choice, by } => {
                let votes = self.choices.get(*choice).map_or(0, Choice::votes);
                let with = match self.items.get(*choice) {
                    Some(item) => format!(
                        "it beats {} of {}",
                        item.wins,
                        counted(self.items.len().saturating_sub(1), "other")
                    ),
                    None => format!("{votes} of {cast}"),
                };
                let tie = match by {
                    DecidedBy::Votes => "",
                    DecidedBy::First => "; a tie, broken by plan order",
                    DecidedBy::Weight => "; a tie, broken by the heaviest voter",
                };
                format!("{} wins ({with}{tie})", name(choice))
            }
            Decision::Tied(leaders) => {
                let tied: Vec<String> = leaders.iter().take(4).map(name).collect();
                let more = leaders.len().saturating_sub(4);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("tied between {}{more}", tied.join(" and "))
            }
            Decision::NoMajority => {
                let votes = lead.map_or(0, Choice::votes);
                format!("no majority; {} leads with {votes} of {cast}", name(&0))
            }
            Decision::NotUnanimous => {
                let votes = lead.map_or(0, Choice::votes);
                format!("not unanimous; {} has {votes} of {cast}", name(&0))
            }
            Decision::NoQuorum { needed } => format!("no quorum; {} voted and {needed} have to", self.votes),
        };
        format!("{subject}{sentence}")
    }

    /// The conflict that it leaves open; `None` where it has a winner.
    pub(super) fn conflict(&self, panel: &Panel<'_>) -> Option<Conflict> {
        if self.winner().is_some() {
            return None;
        }
        let side = |choice: &Choice| Side { value: choice.value.clone(), by: calls(panel, &choice.by) };
        let about = match self.pointer.rsplit('/').next() {
            None | Some("") => "the answer".to_owned(),
            Some(name) => name.to_owned(),
        };
        Some(Conflict {
            pointer: self.pointer.clone(),
            about,
            sides: self.choices.iter().map(side).collect(),
            message: self.sentence(),
        })
    }

    /// The question as it stands in the result.
    pub(super) fn json(&self, panel: &Panel<'_>) -> Value {
        let mut json = Map::new();
        json.insert("pointer".to_owned(), json!(self.pointer));
        let (outcome, decided_by) = match &self.decision {
            Decision::Won { by, .. } => ("won", Some(by.word())),
            Decision::Tied(_) => ("tied", None),
            Decision::NoMajority => ("no_majority", None),
            Decision::NotUnanimous => ("not_unanimous", None),
            Decision::NoQuorum { .. } => ("no_quorum", None),
        };
        json.insert("outcome".to_owned(), json!(outcome));
        if let Some(word) = decided_by {
            json.insert("decided_by".to_owned(), json!(word));
        }
        if let Decision::Tied(leaders) = &self.decision {
            let tied = leaders.iter().filter_map(|at| self.choices.get(*at));
            json.insert("tied".to_owned(), tied.map(|choice| choice.value.clone()).collect());
        }
        json.insert("winner".to_owned(), json!(self.winner()));
        json.insert("confidence".to_owned(), json!(self.confidence().map(rounded)));
        json.insert("votes".to_owned(), json!(self.votes));
        if let Some(concord) = self.concord {
            json.insert("agreement".to_owned(), json!(rounded(concord)));
            json.insert("ranking".to_owned(), self.items.iter().map(|item| item.value.clone()).collect());
        }
        json.insert("tally".to_owned(), Value::Array(self.tally(panel)));
        json.insert("abstained".to_owned(), json!(calls(panel, &self.abstained)));
        Value::Object(json)
    }

    fn tally(&self, panel: &Panel<'_>) -> Vec<Value> {
        let total: f64 = self.choices.iter().map(|choice| choice.weight).sum();
        let rows = self.choices.iter().enumerate().map(|(at, choice)| {
            let by = calls(panel, &choice.by);
            match self.items.get(at) {
                Some(item) => json!({
                    "value": choice.value, "wins": item.wins, "losses": item.losses, "draws": item.draws,
                    "points": rounded(item.points), "by": by,
                }),
                None => json!({
                    "value": choice.value, "votes": choice.votes(), "weight": rounded(choice.weight),
                    "share": rounded(if total > 0.0 { choice.weight / total } else { 0.0 }),
                    "confidence": self.chances.get(at).copied().map(rounded), "by": by,
                }),
            }
        });
        rows.collect()
    }
}

impl DecidedBy {
    fn word(self) -> &'static str {
        match self {
            DecidedBy::Votes => "votes",
            DecidedBy::First => "first",
            DecidedBy::Weight => "weight",
        }
    }
}
