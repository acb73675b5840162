//! One question put to a panel: its ballots, its tally, its decision.

use serde_json::Value;

use super::super::panel::Voice;
use super::super::wording::counted;
use super::super::{Panel, ReconcileError};
use super::ranked::{self, Item, Ranking};
use super::tally::{self, Ballot, Choice, DecidedBy, Decision};
use super::weights::Scale;
use super::{Rule, Ties, Vote};

/// What the panel says to one question.
#[derive(Debug)]
pub(super) struct Question {
    /// JSON pointer; empty for the whole answer.
    pub(super) pointer: String,
    /// The choices, best first.
    pub(super) choices: Vec<Choice>,
    /// For rankings: the items, as many and in the same order as `choices`.
    pub(super) items: Vec<Item>,
    /// Voices that said nothing to it, in plan order.
    pub(super) abstained: Vec<usize>,
    /// How many voted.
    pub(super) votes: usize,
    /// Chance of each choice to be right; empty for rankings.
    pub(super) chances: Vec<f64>,
    /// For rankings: how far they agree.
    pub(super) concord: Option<f64>,
    /// What it came to.
    pub(super) decision: Decision,
}

impl Question {
    /// Puts the question at `pointer` to the panel.
    pub(super) fn put(
        vote: &Vote,
        pointer: &str,
        panel: &Panel<'_>,
        scale: &Scale,
    ) -> Result<Question, ReconcileError> {
        let said: Vec<Option<Value>> = panel.voices.iter().map(|voice| said(vote, voice, pointer)).collect();
        if said.iter().all(Option::is_none) && !panel.voices.is_empty() {
            return Err(nothing_said(vote, pointer, panel));
        }
        let abstained: Vec<usize> =
            (0..said.len()).filter(|at| matches!(said.get(*at), Some(None))).collect();
        let cast = said.into_iter().zip(&scale.weights).enumerate();
        let cast = cast.filter_map(|(voice, (value, weight))| value.map(|value| (voice, value, *weight)));
        let mut question = Question {
            pointer: pointer.to_owned(),
            choices: Vec::new(),
            items: Vec::new(),
            votes: panel.voices.len() - abstained.len(),
            abstained,
            chances: Vec::new(),
            concord: None,
            decision: Decision::Tied(Vec::new()),
        };
        if vote.rule == Rule::Ranked {
            let rankings: Vec<Ranking> = cast
                .map(|(voice, value, weight)| {
                    let items = value.as_array().cloned().unwrap_or_else(|| vec![value]);
                    Ranking { voice, items, weight }
                })
                .collect();
            question.rank(vote, &rankings);
        } else {
            let ballots: Vec<Ballot> = cast
                .map(|(voice, value, weight)| Ballot {
                    voice,
                    key: vote.normalize.key(&value),
                    value,
                    weight,
                })
                .collect();
            question.choices = tally::count(&ballots);
            let weights: Vec<f64> = question.choices.iter().map(|choice| choice.weight).collect();
            question.chances = scale.model.chances(&weights, question.votes);
            question.decision = tally::decide(vote.rule, vote.ties, &question.choices);
        }
        if let Some(quorum) = vote.quorum {
            let needed = quorum.of(panel.census.asked);
            if question.votes < needed as usize {
                question.decision = Decision::NoQuorum { needed };
            }
        }
        Ok(question)
    }

    fn rank(&mut self, vote: &Vote, rankings: &[Ranking]) {
        self.items = ranked::rank(rankings, &vote.normalize);
        self.concord = Some(ranked::concord(rankings, &self.items));
        let weight = |voice: &usize| {
            rankings.iter().find(|ranking| ranking.voice == *voice).map_or(0.0, |ranking| ranking.weight)
        };
        let choice = |item: &Item| Choice {
            value: item.value.clone(),
            by: item.by.clone(),
            weight: item.by.iter().map(weight).sum(),
            heaviest: item.by.iter().map(weight).fold(0.0, f64::max),
        };
        self.choices = self.items.iter().map(choice).collect();
        let Some(first) = self.items.first() else { return };
        let level: Vec<usize> = (0..self.items.len())
            .take_while(|at| self.items.get(*at).is_some_and(|item| item.is_level_with(first)))
            .collect();
        self.decision = match (level.len(), vote.ties) {
            (1, _) => Decision::Won { choice: 0, by: DecidedBy::Votes },
            (_, Ties::Report | Ties::Fail) => Decision::Tied(level),
            (_, Ties::First) => Decision::Won { choice: 0, by: DecidedBy::First },
            (_, Ties::Weight) => self.heaviest_decides(rankings, level),
        };
    }

    /// The heaviest voter's order decides among level items, where there is one heaviest.
    fn heaviest_decides(&self, rankings: &[Ranking], level: Vec<usize>) -> Decision {
        let most = rankings.iter().map(|ranking| ranking.weight).fold(0.0, f64::max);
        let heaviest: Vec<usize> =
            (0..rankings.len()).filter(|at| rankings.get(*at).is_some_and(|r| r.weight == most)).collect();
        let [one] = heaviest.as_slice() else { return Decision::Tied(level) };
        let place = |at: &usize| self.items.get(*at).map_or(usize::MAX, |item| item.place(*one));
        let best = level.iter().map(place).min().unwrap_or(usize::MAX);
        let left: Vec<usize> = level.into_iter().filter(|at| place(at) == best).collect();
        match left.as_slice() {
            [choice] => Decision::Won { choice: *choice, by: DecidedBy::Weight },
            _ => Decision::Tied(left),
        }
    }

    /// What won; `None` where nothing did.
    pub(super) fn winner(&self) -> Option<&Value> {
        match &self.decision {
            Decision::Won { choice, .. } => self.choices.get(*choice).map(|choice| &choice.value),
            Decision::Tied(_) | Decision::NoMajority | Decision::NotUnanimous | Decision::NoQuorum { .. } => {
                None
            }
        }
    }

    /// The chance that the winner is right; `None` without a winner, and for rankings.
    pub(super) fn confidence(&self) -> Option<f64> {
        match &self.decision {
            Decision::Won { choice, .. } => self.chances.get(*choice).copied(),
            Decision::Tied(_) | Decision::NoMajority | Decision::NotUnanimous | Decision::NoQuorum { .. } => {
                None
            }
        }
    }

    /// True when several lead together and nothing breaks the tie.
    pub(super) fn is_tied(&self) -> bool {
        matches!(self.decision, Decision::Tied(_))
    }
}

/// What a voice says to the question; `None` when it says nothing.
fn said(vote: &Vote, voice: &Voice<'_>, pointer: &str) -> Option<Value> {
    if !pointer.is_empty() {
        return voice.at(pointer).cloned();
    }
    if vote.rule == Rule::Ranked {
        return Some(voice.data().cloned().unwrap_or_else(|| {
            let lines = voice.text().lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(|line| Value::String(line.to_owned())).collect()
        }));
    }
    let content = vote.normalize.content(voice);
    Some(content.as_str().map(|text| Value::String(text.trim().to_owned())).unwrap_or(content))
}

/// The error for a pointer at which no answer has anything: most likely it is misspelt.
fn nothing_said(vote: &Vote, pointer: &str, panel: &Panel<'_>) -> ReconcileError {
    let first = panel.voices.first();
    let there = match first.and_then(|voice| voice.data()).and_then(Value::as_object) {
        Some(fields) => {
            let names: Vec<String> = fields.keys().take(12).map(|name| format!("`/{name}`")).collect();
            format!("it has {}", names.join(", "))
        }
        None => "it is no JSON object; give the call `output: {format: json}`".to_owned(),
    };
    let of = counted(panel.voices.len(), "answer");
    let rule = if vote.on.len() > 1 { "one of the pointers of `on`" } else { "`on`" };
    ReconcileError::Answer {
        call: first.map(|voice| voice.call.clone()).unwrap_or_default(),
        message: format!("{there}; {rule} asks for `{pointer}`, and none of {of} has that"),
    }
}

/// The voices' instances, as text.
pub(super) fn calls(panel: &Panel<'_>, voices: &[usize]) -> Vec<String> {
    voices.iter().filter_map(|at| panel.voices.get(*at)).map(|voice| voice.call.clone()).collect()
}
