//! What is computed before a model is asked: which strategy, with which settings.
//!
//! Invariant: a step that asks is a step that does not, with one question more.

use serde_json::{Map, Value};

use super::super::compare::Compare;
use super::super::settings::SettingsError;
use super::super::{Missing, Panel, Strategy};

/// What a step that asks a model comes to.
#[derive(Debug)]
pub(in crate::reconcile) struct Task {
    /// The strategy that computes what can be computed.
    pub(in crate::reconcile) inner: &'static str,
    /// Its settings.
    pub(in crate::reconcile) settings: Map<String, Value>,
    pub(super) kind: Kind,
}

/// What is asked then.
#[derive(Debug)]
pub(super) enum Kind {
    /// Only about the conflicts that are open.
    Decide,
    /// For the whole answer.
    Synthesize {
        prompt: String,
        /// Whether it decides the conflicts, or only hears of them.
        decides: bool,
    },
}

const MERGE: [&str; 5] = ["items", "key", "similar", "conflicts", "keep"];
const VOTE: [&str; 5] = ["on", "rule", "quorum", "ties", "weights"];

impl Task {
    /// `None` for a step that asks nobody.
    pub(in crate::reconcile) fn of(
        strategy: &str,
        settings: &Map<String, Value>,
    ) -> Result<Option<Task>, SettingsError> {
        let decides = settings.get("on_conflict").is_some_and(|word| word == "decide");
        let mut inner = settings.clone();
        if decides {
            inner.remove("on_conflict");
        }
        let name = match strategy {
            "synthesize" => {
                let prompt = inner.remove("prompt").and_then(|prompt| prompt.as_str().map(str::to_owned));
                let reports = settings.get("on_conflict").is_some_and(|word| word == "report");
                let name = inner_of(&inner)?;
                let kind = Kind::Synthesize { prompt: prompt.unwrap_or_default(), decides: !reports };
                return Ok(Some(Task { inner: name, settings: inner, kind }));
            }
            "compare" if decides => "compare",
            "vote" if decides => "vote",
            "merge" if decides => "merge",
            _ => return Ok(None),
        };
        Ok(Some(Task { inner: name, settings: inner, kind: Kind::Decide }))
    }
}

impl Task {
    /// The strategy that computes what can be computed.
    pub(super) fn choose(&self) -> Result<Box<dyn Strategy>, SettingsError> {
        Ok(match (&self.kind, self.inner) {
            (Kind::Synthesize { .. }, "compare") => Box::new(Compare::of_texts(&self.settings)?),
            (_, inner) => super::super::choose(inner, &self.settings)?,
        })
    }
}

/// What `synthesize` computes first, as its keys say.
fn inner_of(settings: &Map<String, Value>) -> Result<&'static str, SettingsError> {
    let first = |keys: &[&str]| settings.keys().find(|key| keys.contains(&key.as_str())).cloned();
    match (first(&MERGE), first(&VOTE)) {
        (Some(merge), Some(vote)) => Err(SettingsError {
            key: vote,
            message: format!("`{merge}` says that items are merged first, and a vote is something else"),
            help: "take out the keys of one of them, or compute one in a step of its own before this one"
                .to_owned(),
        }),
        (Some(_), None) => Ok("merge"),
        (None, Some(_)) => Ok("vote"),
        (None, None) => Ok("compare"),
    }
}

/// How many answered, and what became of the others, without names.
pub(super) fn census(panel: &Panel<'_>) -> String {
    let census = &panel.census;
    let mut text = format!("{}.", census.headline());
    let why = |missing: &Missing| match &missing.cause {
        Some(cause) => format!("{} ({})", missing.status.words(), cause.code),
        None => missing.status.words().to_owned(),
    };
    if !census.missing.is_empty() {
        let whys: Vec<String> = census.missing.iter().take(12).map(why).collect();
        text.push_str(&format!(
            " Missing, so nothing is known of what they would have said: {}.",
            whys.join("; ")
        ));
    }
    if !census.empty.is_empty() {
        text.push_str(&format!(" {} said nothing, which is not agreement.", census.empty.len()));
    }
    text
}
