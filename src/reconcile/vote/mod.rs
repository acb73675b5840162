//! `vote`: for each question the winner, the tally, who abstained, and how sure that is.
//!
//! Invariants: every voice is counted exactly once on every question, either for
//! one choice or among the abstained; a tie is broken only as the plan declares,
//! and the result says so; dissent stays in the tally.

mod confidence;
mod learned;
mod question;
mod ranked;
mod statement;
mod tally;
mod text;
mod weights;

use serde_json::{Map, Value, json};

use super::normalize::Normalize;
use super::settings::{Settings, SettingsError};
use super::wording::rounded;
use super::{Findings, Needs, Panel, ReconcileError, Strategy};
use crate::plan::Quantity;
use question::Question;
use weights::{Scale, Weights};

/// The strategy with its settings.
#[derive(Debug)]
pub(super) struct Vote {
    /// JSON pointers of the questions; empty for the whole answer.
    on: Vec<String>,
    rule: Rule,
    quorum: Option<Quantity>,
    ties: Ties,
    normalize: Normalize,
    weights: Weights,
    fails: bool,
}

/// When a choice has won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// It has more weight than any other.
    Plurality,
    /// It has more than half of the weight that was cast.
    Majority,
    /// Everybody who voted is for it.
    Unanimity,
    /// Answers are rankings; it beats more of the others than any other does.
    Ranked,
}

const RULES: [(&str, Rule); 4] = [
    ("plurality", Rule::Plurality),
    ("majority", Rule::Majority),
    ("unanimity", Rule::Unanimity),
    ("ranked", Rule::Ranked),
];

/// What happens when choices tie for the lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ties {
    /// There is no winner, and the tie is a conflict.
    Report,
    /// The choice that was named first, in plan order, wins.
    First,
    /// The choice with the heaviest single voter wins; equal ones are reported.
    Weight,
    /// The step fails.
    Fail,
}

const TIES: [(&str, Ties); 4] =
    [("report", Ties::Report), ("first", Ties::First), ("weight", Ties::Weight), ("fail", Ties::Fail)];

const KEYS: [&str; 7] = ["on", "rule", "quorum", "ties", "normalize", "weights", "on_conflict"];

impl Vote {
    /// Reads the settings.
    pub(super) fn read(settings: &Map<String, Value>) -> Result<Vote, SettingsError> {
        let settings = Settings::new(settings, "", &KEYS)?;
        let vote = Vote {
            on: settings.pointers("on")?,
            rule: settings.word("rule", &RULES)?.unwrap_or(Rule::Plurality),
            quorum: settings.quantity("quorum")?,
            ties: settings.word("ties", &TIES)?.unwrap_or(Ties::Report),
            normalize: Normalize::read(&settings)?,
            weights: Weights::read(&settings)?,
            fails: settings.fails_on_conflict()?,
        };
        if vote.normalize.expression.is_some() && !vote.on.is_empty() {
            let message = "an expression stands for the whole answer, so it cannot be used with `on`";
            return Err(settings.error("normalize", message, "take out `on`, or the expression"));
        }
        if vote.rule == Rule::Ranked && matches!(vote.weights, Weights::Learned { .. }) {
            let message = "weights are learned from right and wrong answers, and a ranking is neither";
            return Err(settings.error("weights", message, "write the weights down, or take another `rule`"));
        }
        if vote.ties == Ties::Weight && vote.weights == Weights::Equal {
            let message = "`weight` breaks a tie by the heaviest voter, and all weigh the same";
            return Err(settings.error("ties", message, "add `weights`, or write `first` or `report`"));
        }
        Ok(vote)
    }

    /// The pointers to vote on; the whole answer is the empty pointer.
    fn pointers(&self) -> Vec<&str> {
        if self.on.is_empty() { vec![""] } else { self.on.iter().map(String::as_str).collect() }
    }
}

impl Strategy for Vote {
    fn needs(&self) -> Needs {
        let files = match &self.weights {
            Weights::Learned { from } => vec![from.clone()],
            Weights::Equal | Weights::Declared(_) => Vec::new(),
        };
        Needs { files, expression: self.normalize.expression.clone(), ..Needs::default() }
    }

    fn reconcile(&self, panel: &Panel<'_>) -> Result<Findings, ReconcileError> {
        let scale = self.weights.scale(panel, &self.on, &self.normalize)?;
        let mut questions = Vec::new();
        for pointer in self.pointers() {
            questions.push(Question::put(self, pointer, panel, &scale)?);
        }
        let conflicts = questions.iter().filter_map(|question| question.conflict(panel)).collect();
        let undecided: Vec<&Question> = questions.iter().filter(|q| q.winner().is_none()).collect();
        let tied = undecided.iter().copied().find(|question| question.is_tied());
        let failure = match (undecided.first(), tied) {
            (_, Some(tied)) if self.ties == Ties::Fail => Some(tied.sentence()),
            (Some(first), _) if self.fails => Some(first.sentence()),
            _ => None,
        };
        let text = text::write(self, panel, &scale, &questions);
        Ok(Findings { json: self.json(panel, &scale, &questions), text, conflicts, failure })
    }
}

impl Vote {
    fn json(&self, panel: &Panel<'_>, scale: &Scale, questions: &[Question]) -> Map<String, Value> {
        let winner = match questions {
            [one] => json!(one.winner()),
            several => several.iter().map(|q| (q.pointer.clone(), json!(q.winner()))).collect(),
        };
        // The result as a whole is as sure as its least sure part, and no surer than undecided.
        let all = questions.iter().map(Question::confidence);
        let confidence = all.reduce(|a, b| a.zip(b).map(|(a, b)| a.min(b))).flatten();
        let mut json = Map::new();
        json.insert("rule".to_owned(), json!(self.rule.word()));
        json.insert("decided".to_owned(), json!(questions.iter().all(|q| q.winner().is_some())));
        json.insert("winner".to_owned(), winner);
        json.insert("confidence".to_owned(), json!(confidence.map(rounded)));
        let listed = questions.iter().map(|question| question.json(panel)).collect();
        json.insert("questions".to_owned(), Value::Array(listed));
        if self.weights != Weights::Equal {
            let weights = panel.voices.iter().zip(&scale.weights);
            let weights = weights.map(|(voice, weight)| (voice.call.clone(), json!(rounded(*weight))));
            json.insert("weights".to_owned(), Value::Object(weights.collect()));
        }
        if let Some(learned) = &scale.learned {
            json.insert("learned".to_owned(), json!(learned));
        }
        json
    }
}

impl Rule {
    fn word(self) -> &'static str {
        match self {
            Rule::Plurality => "plurality",
            Rule::Majority => "majority",
            Rule::Unanimity => "unanimity",
            Rule::Ranked => "ranked",
        }
    }
}

#[cfg(test)]
mod tests;
