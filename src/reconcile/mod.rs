//! Outcomes to one result, computed in the parent: agreement, conflicts, provenance.
//!
//! Invariants: reconciling is a pure function of the answers, in plan order, and
//! the step's settings; the order in which calls finished cannot be seen here. No
//! model, no process, no file, no clock: what a strategy needs from outside it
//! names in [`Needs`], and the caller hands it in. Every result says who was
//! asked, who answered, who is missing and why; a call that did not succeed is an
//! abstention, and an empty answer agrees with nobody.
//!
//! Inside: `settings` reads a step's keys into a [`Strategy`], `panel` makes
//! voices out of answers and counts the rest into a `census`, and each strategy
//! has a file or a folder of its own. `asked` says what a model is asked about what they leave
//! open, and checks what it says. `normalize` and `similarity` say when two
//! answers are the same and how close they are otherwise.

pub mod census;
pub mod settings;

mod agreement;
pub mod asked;
mod best;
mod collect;
mod command;
mod compare;
#[cfg(test)]
mod fixture;
mod merge;
mod normalize;
mod number;
mod panel;
mod patch;
#[cfg(test)]
mod properties;
mod similarity;
mod vote;
mod wording;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::id::InstanceId;
use crate::outcome::Outcome;
use crate::plan::Quantity;
use asked::Inquiry;
use census::{Census, Missing};
pub use panel::{Panel, Voice};
pub use settings::SettingsError;

/// The strategies that this room computes, as they are written in a plan.
pub const STRATEGIES: [&str; 8] =
    ["collect", "compare", "vote", "merge", "best", "patch", "command", "synthesize"];

/// One instance of a call that the step reads, with how it ended.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Which instance.
    pub instance: InstanceId,
    /// The item or combination that an instance of an expanded call stands for.
    pub label: Option<String>,
    /// The call's description.
    pub description: String,
    /// Who was asked: the plan's name for the agent, else the model or program.
    pub agent: Option<String>,
    /// How it ended and what it produced.
    pub outcome: Outcome,
}

/// Everything that a step reads.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The plan's goal.
    pub goal: Option<String>,
    /// The answers in plan order, instances of a call by index.
    pub answers: Vec<Answer>,
    /// How many of them are enough; below it the step fails.
    pub min: Option<Quantity>,
    /// For `normalize: [{expression: …}]`: what the expression gave for each of `answers`, by
    /// position. Entries of answers that did not succeed are not read.
    pub normalized: Option<Vec<String>>,
    /// Contents of the files that [`Needs::files`] names, by the name as written.
    pub files: BTreeMap<String, Arc<str>>,
    /// Other names for `answers`, by position: what a model is told, which must not know who they are.
    pub blind: Option<Vec<String>>,
    /// What the program printed, where [`Needs::program`] asks for one.
    pub program_output: Option<Arc<str>>,
}

/// What a strategy needs from outside before it can reconcile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files to read, as written in the plan, relative to its folder.
    pub files: Vec<String>,
    /// An expression to evaluate for each answer, with `output`, `json`, `call` and `index` in
    /// scope; its result as text goes into [`Inputs::normalized`].
    pub expression: Option<String>,
    /// True when the step's `command` is to be run with [`program_input`] on standard input;
    /// what it prints goes into [`Inputs::program_output`].
    pub program: bool,
    /// True when a model may have to be asked: [`begin`] says what.
    pub model: bool,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconciled {
    /// An object: `strategy` and `census` first, then what the strategy computed, then `conflicts`.
    pub json: Value,
    /// The same for people; several lines, no trailing newline, not sanitised.
    pub text: String,
    /// What the answers disagree on and the strategy did not settle.
    pub conflicts: Vec<Conflict>,
}

impl Reconciled {
    /// Adds what is in dispute beside the answers: what those who gave them did to each other's work.
    pub fn also(&mut self, more: Vec<Conflict>) {
        if more.is_empty() {
            return;
        }
        let lines = more.iter().map(|conflict| format!("\n  {}", conflict.message));
        self.text = format!("{}\n\nIn dispute besides:{}", self.text, lines.collect::<String>());
        self.conflicts.extend(more);
        if let Value::Object(map) = &mut self.json {
            map.insert("conflicts".to_owned(), json!(self.conflicts));
        }
    }
}

/// One thing on which the answers disagree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conflict {
    /// JSON pointer of the field in dispute; empty for the whole answer.
    pub pointer: String,
    /// What it is about, in a few words for people.
    pub about: String,
    /// Each value with who says so; the most widely held first.
    pub sides: Vec<Side>,
    /// One sentence that says what is in dispute and who is on which side.
    pub message: String,
}

/// One side of a conflict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// What they say.
    pub value: Value,
    /// The instances that say so, in plan order: `review[2]`.
    pub by: Vec<String>,
}

/// A way to reconcile, with its settings read and checked.
///
/// An implementor is pure and keeps nothing between calls. It leaves `strategy`,
/// `census` and `conflicts` out of its findings: [`reconcile`] adds them to every
/// result, so that no strategy can forget who is missing.
pub trait Strategy: fmt::Debug {
    /// What it needs from outside.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// What the step's program gets on standard input, where [`Needs::program`] asks for one.
    ///
    /// # Errors
    /// [`ReconcileError::Answer`] when the answers do not have the shape that the settings say.
    fn program_input(&self, panel: &Panel<'_>) -> Result<Value, ReconcileError> {
        Ok(command::input(panel))
    }

    /// How many answers it cannot do without when the plan gives no `min`.
    fn least(&self) -> u32 {
        1
    }

    /// Computes the result.
    ///
    /// # Errors
    /// As [`reconcile`].
    fn reconcile(&self, panel: &Panel<'_>) -> Result<Findings, ReconcileError>;
}

/// What a strategy computed, before it is made into a [`Reconciled`].
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The strategy's own part of the JSON.
    pub json: Map<String, Value>,
    /// The strategy's own part of the text.
    pub text: String,
    /// What is still in dispute.
    pub conflicts: Vec<Conflict>,
    /// Set when the settings make the step fail on what was found; the sentence says why.
    pub failure: Option<String>,
}

/// Why a step came to no result that may be used.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Fewer answered than `min` asks for.
    #[error("{}", census.too_few(*needed))]
    TooFew {
        /// How many were needed.
        needed: u32,
        /// Who answered and who did not.
        census: Box<Census>,
    },
    /// The answers disagree, and the settings say that this is a failure (`on_conflict: fail`, `ties: fail`).
    #[error("{message}")]
    Conflict {
        /// What is in dispute.
        message: String,
        /// What was computed all the same.
        result: Box<Reconciled>,
    },
    /// An answer does not have the shape that the settings say.
    #[error("`{call}` cannot be used: {message}")]
    Answer {
        /// The instance.
        call: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A file or a program's output, handed in by the caller, is missing or not in the documented shape.
    #[error("{message}")]
    Outside {
        /// What is wrong and what would be right.
        message: String,
    },
}

/// Reconciles the answers of `inputs`.
///
/// # Errors
/// [`ReconcileError::Settings`] for what [`check_settings`] refuses; `TooFew` when fewer than
/// `min` answered; `Conflict` when the settings make a disagreement a failure, with the result;
/// `Answer` and `Outside` for material in the wrong shape, and `Outside` for a step that has to ask a model.
pub fn reconcile(
    strategy: &str,
    settings: &Map<String, Value>,
    inputs: &Inputs,
) -> Result<Reconciled, ReconcileError> {
    match begin(strategy, settings, inputs)? {
        Begun::Done(result) => Ok(result),
        Begun::Asks(_) => {
            let message = format!("the step `{strategy}` has something to ask a model; take it from `begin`");
            Err(ReconcileError::Outside { message })
        }
    }
}

/// A step as far as it can be computed.
#[derive(Debug)]
pub enum Begun {
    /// There is nothing to ask.
    Done(Reconciled),
    /// A model is to be asked before there is a result.
    Asks(Box<Inquiry>),
}

/// Reconciles the answers of `inputs` as far as that goes without a model.
///
/// # Errors
/// As [`reconcile`].
pub fn begin(
    strategy: &str,
    settings: &Map<String, Value>,
    inputs: &Inputs,
) -> Result<Begun, ReconcileError> {
    Ok(match Inquiry::begin(strategy, settings, inputs)? {
        Ok(result) => Begun::Done(result),
        Err(inquiry) => Begun::Asks(Box::new(inquiry)),
    })
}

/// Computes a result that needs no model.
fn compute(strategy: &str, chosen: &dyn Strategy, inputs: &Inputs) -> Result<Reconciled, ReconcileError> {
    let panel = Panel::new(inputs)?;
    let needed = inputs.min.map_or(chosen.least(), |min| min.of(panel.census.asked));
    if panel.census.answered < needed {
        return Err(ReconcileError::TooFew { needed, census: Box::new(panel.census) });
    }
    let Findings { json: own, mut text, conflicts, failure } = chosen.reconcile(&panel)?;
    if let Some(absent) = panel.census.absences() {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&absent);
    }
    let mut json = Map::new();
    json.insert("strategy".to_owned(), json!(strategy));
    json.insert("census".to_owned(), json!(panel.census));
    json.extend(own.into_iter().filter(|(key, _)| key != "strategy" && key != "census"));
    json.insert("conflicts".to_owned(), json!(conflicts));
    let result = Reconciled { json: Value::Object(json), text, conflicts };
    match failure {
        None => Ok(result),
        Some(message) => Err(ReconcileError::Conflict { message, result: Box::new(result) }),
    }
}

/// Checks a step's settings without any answers.
///
/// # Errors
/// [`SettingsError`] names the key, what is wrong with it and what to write instead.
pub fn check_settings(strategy: &str, settings: &Map<String, Value>) -> Result<(), SettingsError> {
    if asked::check(strategy, settings)? {
        return Ok(());
    }
    choose(strategy, settings).map(drop)
}

/// What the caller has to hand in beside the answers.
///
/// # Errors
/// As [`check_settings`].
pub fn needs(strategy: &str, settings: &Map<String, Value>) -> Result<Needs, SettingsError> {
    if let Some(task) = asked::Task::of(strategy, settings)? {
        let needs = choose(task.inner, &task.settings)?.needs();
        return Ok(Needs { model: true, ..needs });
    }
    choose(strategy, settings).map(|chosen| chosen.needs())
}

/// What the step's program gets on standard input; docs/reconcile-command.md gives the format.
///
/// # Errors
/// As [`reconcile`], `Conflict` excepted.
pub fn program_input(
    strategy: &str,
    settings: &Map<String, Value>,
    inputs: &Inputs,
) -> Result<Value, ReconcileError> {
    choose(strategy, settings)?.program_input(&Panel::new(inputs)?)
}

/// The strategy of that name with these settings.
fn choose(strategy: &str, settings: &Map<String, Value>) -> Result<Box<dyn Strategy>, SettingsError> {
    Ok(match strategy {
        "collect" => Box::new(collect::Collect::read(settings)?),
        "compare" => Box::new(compare::Compare::read(settings)?),
        "vote" => Box::new(vote::Vote::read(settings)?),
        "merge" => Box::new(merge::Merge::read(settings)?),
        "best" => Box::new(best::Best::read(settings)?),
        "patch" => Box::new(patch::Patch::read(settings)?),
        "command" => Box::new(command::Command::read(settings)?),
        unknown => return Err(SettingsError::unknown_strategy(unknown, &STRATEGIES)),
    })
}
