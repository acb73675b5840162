//! What each voice's vote weighs: the same, as declared, or as learned from labelled rows.
//!
//! Invariant: a name that weighs something and belongs to nobody who was asked is an error.

use serde_json::Value;

use super::super::normalize::Normalize;
use super::super::settings::{Settings, SettingsError, kind};
use super::super::wording::names;
use super::super::{Answer, Panel, ReconcileError};
use super::confidence::Model;
use super::learned::{self, Learned};

/// The setting `weights`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Weights {
    /// Everybody the same.
    Equal,
    /// By name, in the order written; whoever is not named weighs 1.
    Declared(Vec<(String, f64)>),
    /// From a file of questions whose answer is known.
    Learned {
        /// The file, as written.
        from: String,
    },
}

/// The weights of a panel's voices.
#[derive(Debug)]
pub(super) struct Scale {
    /// By position of the voice.
    pub(super) weights: Vec<f64>,
    /// How sure a vote with these weights is.
    pub(super) model: Model,
    /// What was learned.
    pub(super) learned: Option<Learned>,
}

const HELP: &str = "write names with numbers, such as `{claude: 2, codex: 1}`, or `{from: labelled.jsonl}`";

impl Weights {
    /// Reads the key `weights`.
    pub(super) fn read(settings: &Settings<'_>) -> Result<Weights, SettingsError> {
        let Some(map) = settings.map("weights", HELP)? else { return Ok(Weights::Equal) };
        if let Some(Value::String(from)) = map.get("from") {
            Settings::new(map, "weights.", &["from"])?;
            return Ok(Weights::Learned { from: from.clone() });
        }
        let mut declared = Vec::new();
        for (name, value) in map {
            match value.as_f64().filter(|weight| weight.is_finite() && *weight >= 0.0) {
                Some(weight) => declared.push((name.clone(), weight)),
                None => {
                    let message = format!("{} is no weight", kind(value));
                    return Err(settings.error(
                        &format!("weights.{name}"),
                        message,
                        "write a number from 0 up",
                    ));
                }
            }
        }
        Ok(if declared.is_empty() { Weights::Equal } else { Weights::Declared(declared) })
    }

    /// What the voices of `panel` weigh.
    pub(super) fn scale(
        &self,
        panel: &Panel<'_>,
        on: &[String],
        normalize: &Normalize,
    ) -> Result<Scale, ReconcileError> {
        match self {
            Weights::Equal => {
                let weights = vec![1.0; panel.voices.len()];
                Ok(Scale { weights, model: Model::default(), learned: None })
            }
            Weights::Declared(declared) => {
                let unknown =
                    declared.iter().find(|(name, _)| !panel.inputs.answers.iter().any(|a| a.is_called(name)));
                if let Some((name, _)) = unknown {
                    return Err(ReconcileError::Settings(SettingsError {
                        key: format!("weights.{name}"),
                        message: format!("nobody here is called `{name}`"),
                        help: format!(
                            "write an agent, model, call or label; here are {}",
                            panel.who_is_here()
                        ),
                    }));
                }
                let weight = |answer: &Answer| weight_of(answer, declared).unwrap_or(1.0);
                let weights = panel.voices.iter().map(|voice| weight(voice.answer)).collect();
                Ok(Scale { weights, model: Model::default(), learned: None })
            }
            Weights::Learned { from } => {
                let Some(text) = panel.inputs.files.get(from) else {
                    let message = format!("`{from}`, from which weights are to be learned, was not read");
                    return Err(ReconcileError::Outside { message });
                };
                let learned = learned::learn(from, text, on, normalize)?;
                let known: Vec<(String, f64)> =
                    learned.voters.iter().map(|(name, voter)| (name.clone(), voter.weight)).collect();
                if !panel.voices.is_empty()
                    && !panel.voices.iter().any(|voice| weight_of(voice.answer, &known).is_some())
                {
                    let there: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
                    let message = format!(
                        "`{from}` knows {} and none of them is here; here are {}",
                        names(&there),
                        panel.who_is_here()
                    );
                    return Err(ReconcileError::Outside { message });
                }
                let mean = known.iter().map(|(_, weight)| weight).sum::<f64>() / known.len().max(1) as f64;
                let weight = |answer: &Answer| weight_of(answer, &known).unwrap_or(mean);
                let weights = panel.voices.iter().map(|voice| weight(voice.answer)).collect();
                let model = Model { vote: 1.0, none: learned.none, voters: known.len() };
                Ok(Scale { weights, model, learned: Some(learned) })
            }
        }
    }
}

/// What an answer weighs: by its most particular name that weighs something.
fn weight_of(answer: &Answer, weights: &[(String, f64)]) -> Option<f64> {
    answer
        .names()
        .iter()
        .find_map(|own| weights.iter().find(|(name, _)| name == own).map(|(_, weight)| *weight))
}
