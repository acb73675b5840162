//! Learns from questions whose answer is known what each voter's word is worth.
//!
//! The model is that of `confidence`, with one weight for each voter and one for
//! "nobody is right", fitted by maximum likelihood. Each parameter is drawn
//! towards what it would be without any labels (a ridge), so that a voter with few
//! rows weighs like an ordinary one, and never below nothing. Fitting all weights
//! together sees what counting each voter's right answers does not: two voters who
//! are wrong together are worth less than two who are wrong apart.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::ReconcileError;
use super::super::agreement;
use super::super::normalize::Normalize;
use super::super::wording::rounded;
use super::confidence::{NONE, VOTE, design_effect, softmax};

/// How strongly a parameter is drawn towards its value without labels, in rows.
const RIDGE: f64 = 2.0;
/// Steps of the fit. It is convex, and these are plenty for four digits.
const STEPS: usize = 400;
/// How much of a step is carried on into the next.
const MOMENTUM: f64 = 0.9;
/// Bins of the expected calibration error.
const BINS: usize = 10;

/// What was learned, as it stands in the result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Learned {
    /// The file.
    pub(super) from: String,
    /// Questions that were read.
    pub(super) rows: usize,
    /// Each voter, in the order of the file.
    pub(super) voters: IndexMap<String, Voter>,
    /// Evidence for an answer that nobody named.
    pub(super) none: f64,
    /// Share of those questions on which these weights pick the right answer.
    pub(super) accuracy: f64,
    /// Expected calibration error of the confidence on those questions: the mean distance of
    /// confidence and share right, over ten bins.
    pub(super) calibration_error: f64,
}

/// One voter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Voter {
    /// What its vote weighs.
    pub(super) weight: f64,
    /// Questions on which it was right.
    pub(super) right: usize,
    /// Questions that it answered.
    pub(super) of: usize,
}

/// One question: who named what, and which choice is right. Questions that look the same are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Row {
    /// Voters by choice.
    choices: Vec<Vec<usize>>,
    /// The right choice; `None` when nobody named it.
    right: Option<usize>,
}

/// Learns from the text of a labelled file.
///
/// Each line is a JSON object with `gold`, the right answer, and `answers`, a map of who said what.
/// With `on`, the same pointers are read in `gold` and in each answer, each a question.
pub(super) fn learn(
    from: &str,
    text: &str,
    on: &[String],
    normalize: &Normalize,
) -> Result<Learned, ReconcileError> {
    let mut voters: IndexMap<String, Voter> = IndexMap::new();
    let mut rows: IndexMap<Row, f64> = IndexMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let (gold, answers) = labelled(line).map_err(|problem| ReconcileError::Outside {
            message: format!(
                "`{from}`, line {}: {problem}; each line is `{{\"gold\": …, \"answers\": {{\"name\": …}}}}`",
                number + 1
            ),
        })?;
        let whole = [String::new()];
        for pointer in if on.is_empty() { &whole } else { on } {
            let Some(gold) = gold.pointer(pointer) else { continue };
            let gold = normalize.key(gold);
            let mut keyed = Vec::new();
            for (name, answer) in &answers {
                let Some(answer) = answer.pointer(pointer).filter(|answer| !answer.is_null()) else {
                    continue;
                };
                let entry = voters.entry(name.clone());
                let position = entry.index();
                let voter = entry.or_insert(Voter { weight: 0.0, right: 0, of: 0 });
                let key = normalize.key(answer);
                voter.of += 1;
                voter.right += usize::from(key == gold);
                keyed.push((position, key));
            }
            let groups = agreement::groups(keyed);
            let right = groups.iter().position(|group| group.key == gold);
            let choices: Vec<Vec<usize>> = groups.into_iter().map(|group| group.members).collect();
            if !choices.is_empty() {
                *rows.entry(Row { choices, right }).or_default() += 1.0;
            }
        }
    }
    if rows.is_empty() {
        let message = format!("`{from}` holds no labelled answer to learn from");
        return Err(ReconcileError::Outside { message });
    }
    let (weights, none) = fit(&rows, voters.len());
    for (voter, weight) in voters.values_mut().zip(&weights) {
        voter.weight = rounded(*weight);
    }
    let none = rounded(none);
    let (accuracy, calibration_error) = measure(&rows, &weights, none);
    let questions = rows.values().sum::<f64>() as usize;
    Ok(Learned { from: from.to_owned(), rows: questions, voters, none, accuracy, calibration_error })
}

fn labelled(line: &str) -> Result<(Value, Map<String, Value>), String> {
    let row: Value = serde_json::from_str(line).map_err(|error| format!("no JSON ({error})"))?;
    let gold = row.get("gold").ok_or("there is no `gold`")?;
    let answers = row.get("answers").and_then(Value::as_object).ok_or("there is no map `answers`")?;
    Ok((gold.clone(), answers.clone()))
}

/// The chance of each choice of a row.
fn chances(row: &Row, weights: &[f64], none: f64) -> Vec<f64> {
    let worth = |voters: &Vec<usize>| voters.iter().filter_map(|at| weights.get(*at)).sum::<f64>();
    softmax(row.choices.iter().map(worth), none)
}

/// Weights and the evidence for "nobody", of the highest likelihood under the ridge.
fn fit(rows: &IndexMap<Row, f64>, voters: usize) -> (Vec<f64>, f64) {
    let plain = VOTE / design_effect(voters);
    let (mut weights, mut none) = (vec![plain; voters], NONE);
    let (mut speed, mut none_speed) = (vec![0.0; voters], 0.0);
    let count: f64 = rows.values().sum();
    // The curvature is at most half the most votes on a row, plus the ridge.
    let votes = rows.keys().map(|row| row.choices.iter().map(Vec::len).sum::<usize>()).max().unwrap_or(1);
    let step = (1.0 - MOMENTUM) / (0.5 * (votes + 1) as f64 + RIDGE / count) * 4.0;
    for _ in 0..STEPS {
        let mut slope: Vec<f64> = weights.iter().map(|w| -RIDGE * (w - plain) / count).collect();
        let mut none_slope = -RIDGE * (none - NONE) / count;
        for (row, times) in rows {
            let chances = chances(row, &weights, none);
            let named: f64 = chances.iter().sum();
            none_slope += times * (f64::from(u8::from(row.right.is_none())) - (1.0 - named)) / count;
            for (number, (voters, chance)) in row.choices.iter().zip(&chances).enumerate() {
                let error = f64::from(u8::from(row.right == Some(number))) - chance;
                for voter in voters {
                    if let Some(slope) = slope.get_mut(*voter) {
                        *slope += times * error / count;
                    }
                }
            }
        }
        for ((weight, speed), slope) in weights.iter_mut().zip(&mut speed).zip(&slope) {
            *speed = MOMENTUM * *speed + step * slope;
            *weight = (*weight + *speed).max(0.0);
        }
        none_speed = MOMENTUM * none_speed + step * none_slope;
        none += none_speed;
    }
    (weights, none)
}

/// Share right and expected calibration error.
fn measure(rows: &IndexMap<Row, f64>, weights: &[f64], none: f64) -> (f64, f64) {
    let mut right = 0.0;
    let mut bins = [(0.0, 0.0); BINS];
    for (row, times) in rows {
        let chances = chances(row, weights, none);
        let best = (0..chances.len()).rev().max_by(|a, b| {
            let at = |n: &usize| chances.get(*n).copied().unwrap_or_default();
            at(a).total_cmp(&at(b))
        });
        let sure = best.and_then(|best| chances.get(best)).copied().unwrap_or_default();
        let hit = times * f64::from(u8::from(best.is_some() && best == row.right));
        right += hit;
        if let Some((confidence, hits)) = bins.get_mut(((sure * BINS as f64) as usize).min(BINS - 1)) {
            *confidence += times * sure;
            *hits += hit;
        }
    }
    let count: f64 = rows.values().sum();
    let error: f64 = bins.iter().map(|(confidence, hits)| (confidence - hits).abs()).sum();
    (rounded(right / count), rounded(error / count))
}
