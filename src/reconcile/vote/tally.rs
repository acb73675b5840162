//! Ballots to choices, and choices to a decision under a rule.
//!
//! Invariant: the votes of all choices add up to the ballots.

use serde_json::Value;

use super::super::agreement;
use super::{Rule, Ties};

/// Weights that differ by less than this are equal.
const HAIR: f64 = 1e-9;

/// One voice's answer to one question.
#[derive(Debug, Clone)]
pub(super) struct Ballot {
    /// Position among the panel's voices.
    pub(super) voice: usize,
    /// What it says.
    pub(super) value: Value,
    /// Its equality key.
    pub(super) key: String,
    /// What its vote weighs.
    pub(super) weight: f64,
}

/// One choice with who is for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// As the first who is for it put it.
    pub(super) value: Value,
    /// Positions of voices, in plan order. Never empty.
    pub(super) by: Vec<usize>,
    /// The sum of their weights.
    pub(super) weight: f64,
    /// The heaviest of them.
    pub(super) heaviest: f64,
}

/// What a question came to. Numbers are positions among the choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// One choice won.
    Won {
        /// Which.
        choice: usize,
        /// What decided.
        by: DecidedBy,
    },
    /// Several lead together.
    Tied(Vec<usize>),
    /// Nobody has more than half.
    NoMajority,
    /// Not everybody is for the same.
    NotUnanimous,
    /// Fewer voted than `quorum` asks for.
    NoQuorum {
        /// How many had to vote.
        needed: u32,
    },
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecidedBy {
    /// The votes.
    Votes,
    /// `ties: first`.
    First,
    /// `ties: weight`.
    Weight,
}

impl Choice {
    /// How many are for it.
    pub(super) fn votes(&self) -> usize {
        self.by.len()
    }

    /// The first who is for it.
    fn first(&self) -> usize {
        self.by.first().copied().unwrap_or(usize::MAX)
    }
}

/// The choices, heaviest first; equals in plan order of whoever named them first.
pub(super) fn count(ballots: &[Ballot]) -> Vec<Choice> {
    let groups = agreement::groups(ballots.iter().map(|ballot| ballot.key.clone()).enumerate());
    let mut choices: Vec<Choice> = groups
        .iter()
        .map(|group| {
            let members: Vec<&Ballot> = group.members.iter().filter_map(|at| ballots.get(*at)).collect();
            Choice {
                value: members.first().map(|ballot| ballot.value.clone()).unwrap_or_default(),
                by: members.iter().map(|ballot| ballot.voice).collect(),
                weight: members.iter().map(|ballot| ballot.weight).sum(),
                heaviest: members.iter().map(|ballot| ballot.weight).fold(0.0, f64::max),
            }
        })
        .collect();
    choices.sort_by(|a, b| match (a.weight - b.weight).abs() < HAIR {
        true => a.first().cmp(&b.first()),
        false => b.weight.total_cmp(&a.weight),
    });
    choices
}

/// Who has won among `choices`, which stand in the order of [`count`].
pub(super) fn decide(rule: Rule, ties: Ties, choices: &[Choice]) -> Decision {
    let best = choices.first().map_or(0.0, |choice| choice.weight);
    let total: f64 = choices.iter().map(|choice| choice.weight).sum();
    let leaders: Vec<usize> =
        (0..choices.len()).filter(|at| choices.get(*at).is_some_and(|c| best - c.weight < HAIR)).collect();
    let votes = Decision::Won { choice: 0, by: DecidedBy::Votes };
    match rule {
        Rule::Unanimity if choices.len() == 1 => votes,
        Rule::Unanimity => Decision::NotUnanimous,
        Rule::Majority if best > total / 2.0 + HAIR => votes,
        // A casting vote makes a majority only of two halves.
        Rule::Majority if leaders.len() != 2 || (best - total / 2.0).abs() >= HAIR => Decision::NoMajority,
        Rule::Plurality | Rule::Ranked if leaders.len() == 1 => votes,
        Rule::Majority | Rule::Plurality | Rule::Ranked => break_tie(ties, choices, leaders),
    }
}

fn break_tie(ties: Ties, choices: &[Choice], leaders: Vec<usize>) -> Decision {
    match ties {
        Ties::Report | Ties::Fail => Decision::Tied(leaders),
        Ties::First => {
            let first = leaders.iter().copied().min_by_key(|at| choices.get(*at).map(Choice::first));
            Decision::Won { choice: first.unwrap_or_default(), by: DecidedBy::First }
        }
        Ties::Weight => {
            let heaviest = |at: usize| choices.get(at).map_or(0.0, |choice| choice.heaviest);
            let most = leaders.iter().map(|at| heaviest(*at)).fold(0.0, f64::max);
            let left: Vec<usize> = leaders.into_iter().filter(|at| most - heaviest(*at) < HAIR).collect();
            match left.as_slice() {
                [one] => Decision::Won { choice: *one, by: DecidedBy::Weight },
                _ => Decision::Tied(left),
            }
        }
    }
}
