//! `best`: every candidate ranked, with the reasons, and the first of them as the result.
//!
//! Invariants: criteria count in the order written, a later one only among equals
//! by the earlier ones; whoever has no value for a criterion comes after all that
//! have one; a candidate whose own `check` failed is listed and never wins; what
//! all criteria leave level stands in plan order, and the result says so.

mod consensus;
mod criterion;
mod cross_check;

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::settings::{Settings, SettingsError};
use super::wording::{counted, excerpt, one_line, rounded};
use super::{Answer, Findings, Needs, Panel, ReconcileError, Strategy};
use criterion::{Criterion, Score};
use cross_check::{Checked, CrossCheck};

/// Candidates listed in the text.
const LISTED: usize = 15;
/// Lines of the winner that the text quotes.
const LINES: usize = 20;
/// Characters of why a check failed.
const CAUSE: usize = 300;
/// The code of the cause with which a call fails whose `check` did not pass.
const CHECK_FAILED: &str = "check_failed";

/// The strategy with its settings.
#[derive(Debug)]
pub(super) struct Best {
    by: Vec<Criterion>,
    cross_check: Option<CrossCheck>,
}

/// One candidate.
#[derive(Debug)]
struct Candidate<'a> {
    answer: &'a Answer,
    name: String,
    /// Position among the panel's voices; `None` for one whose check failed.
    voice: Option<usize>,
    /// One score for each criterion.
    scores: Vec<Score>,
    /// How much it is like the others that behave as it does; 0 without a cross-check.
    typical: f64,
}

impl Best {
    /// Reads the settings.
    pub(super) fn read(settings: &Map<String, Value>) -> Result<Best, SettingsError> {
        let settings = Settings::new(settings, "", &["by", "cross_check"])?;
        let cross_check = CrossCheck::read(&settings)?;
        let mut by = Criterion::read(&settings)?;
        match (&cross_check, by.contains(&Criterion::CrossCheck)) {
            (Some(_), false) => by.insert(0, Criterion::CrossCheck),
            (None, true) => {
                let help =
                    "add `cross_check: {passes: /passes}`, or with a program `{candidates: …, tests: …}`";
                return Err(settings.error("by", "`cross_check` needs to know what passes what", help));
            }
            (Some(_), true) | (None, false) => {}
        }
        if by.is_empty() {
            let help = "write for example `by: [checks, cost]`, or `by: /score`";
            return Err(settings.error("by", "nothing says which candidate is better", help));
        }
        Ok(Best { by, cross_check })
    }
}

impl Strategy for Best {
    fn needs(&self) -> Needs {
        let program = self.cross_check.as_ref().is_some_and(CrossCheck::needs_program);
        Needs { program, ..Needs::default() }
    }

    fn program_input(&self, panel: &Panel<'_>) -> Result<Value, ReconcileError> {
        match &self.cross_check {
            Some(cross_check) => cross_check.program_input(panel),
            None => Ok(super::command::input(panel)),
        }
    }

    fn reconcile(&self, panel: &Panel<'_>) -> Result<Findings, ReconcileError> {
        let checked = self.cross_check.as_ref().map(|cross_check| cross_check.run(panel)).transpose()?;
        let mut candidates = self.candidates(panel, checked.as_ref())?;
        candidates.sort_by(|a, b| self.compare(a, b).0);
        let json = self.json(panel, &candidates, checked.as_ref());
        let text = self.text(panel, &candidates, checked.as_ref());
        Ok(Findings { json, text, ..Findings::default() })
    }
}

impl Best {
    /// The candidates in plan order with their scores.
    fn candidates<'a>(
        &self,
        panel: &'a Panel<'a>,
        checked: Option<&Checked>,
    ) -> Result<Vec<Candidate<'a>>, ReconcileError> {
        let mut candidates = Vec::new();
        let mut voices = panel.voices.iter().enumerate().peekable();
        for answer in &panel.inputs.answers {
            let here = voices.next_if(|(_, voice)| voice.answer.instance == answer.instance);
            let failed_check = answer.outcome.cause.as_ref().is_some_and(|cause| cause.code == CHECK_FAILED);
            let voice = here.map(|(position, _)| position);
            // A call that takes part with tests only is no candidate.
            let stands = match (voice, checked) {
                (Some(voice), Some(checked)) => checked.row(voice).is_some(),
                (Some(_), None) => true,
                (None, _) => failed_check,
            };
            if !stands {
                continue;
            }
            let row = voice.zip(checked).and_then(|(voice, checked)| checked.row(voice));
            let scores =
                self.by.iter().map(|by| by.score(answer, here.map(|(_, voice)| voice), row)).collect();
            candidates.push(Candidate {
                answer,
                name: panel.name(&answer.instance.to_string()).to_owned(),
                voice,
                scores,
                typical: row.map_or(0.0, |row| row.typical),
            });
        }
        for (at, by) in self.by.iter().enumerate() {
            let known =
                candidates.iter().any(|c| c.scores.get(at).is_some_and(|score| score.value.is_some()));
            if let (Criterion::Field { pointer, .. }, false, Some(first)) = (by, known, candidates.first()) {
                return Err(ReconcileError::Answer {
                    call: first.answer.instance.to_string(),
                    message: format!(
                        "`by` asks for a number at `{pointer}`, and none of {} has one",
                        counted(candidates.len(), "candidate")
                    ),
                });
            }
        }
        Ok(candidates)
    }

    /// Who comes first, and the position of the criterion that says so; `None` for a later reason.
    fn compare(&self, a: &Candidate<'_>, b: &Candidate<'_>) -> (Ordering, Option<usize>) {
        let eligible = b.voice.is_some().cmp(&a.voice.is_some());
        if eligible != Ordering::Equal {
            return (eligible, None);
        }
        for (at, by) in self.by.iter().enumerate() {
            let value = |candidate: &Candidate<'_>| candidate.scores.get(at).and_then(|score| score.value);
            let order = match (value(a), value(b)) {
                (Some(a), Some(b)) if by.wants_less() => a.total_cmp(&b),
                (Some(a), Some(b)) => b.total_cmp(&a),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            };
            if order != Ordering::Equal {
                return (order, Some(at));
            }
        }
        (b.typical.total_cmp(&a.typical), None)
    }

    /// Why `a` stands before `b`.
    fn because(&self, a: &Candidate<'_>, b: &Candidate<'_>) -> String {
        let reason = match self.compare(a, b) {
            (_, Some(at)) => match self.by.get(at) {
                Some(by) => format!("by {by}"),
                None => String::new(),
            },
            (Ordering::Equal, None) => "by plan order only".to_owned(),
            (_, None) if b.voice.is_none() => "as that one's check failed".to_owned(),
            (_, None) => "as the one most like the others that behave the same".to_owned(),
        };
        format!("ahead of {} {reason}", b.name)
    }

    fn value(&self, panel: &Panel<'_>, candidate: &Candidate<'_>) -> Value {
        let voice = candidate.voice.and_then(|at| panel.voices.get(at));
        match (voice, &self.cross_check) {
            (Some(voice), Some(cross_check)) => cross_check.candidate(voice),
            (Some(voice), None) => voice.value(),
            (None, _) => Value::Null,
        }
    }

    fn json(
        &self,
        panel: &Panel<'_>,
        ranking: &[Candidate<'_>],
        checked: Option<&Checked>,
    ) -> Map<String, Value> {
        let entries = ranking.iter().enumerate().map(|(at, candidate)| {
            let scores = self.by.iter().zip(&candidate.scores);
            let scores: Map<String, Value> =
                scores.map(|(by, score)| (by.to_string(), json!(score.value.map(rounded)))).collect();
            let mut entry = Map::new();
            entry.insert("rank".to_owned(), json!(at + 1));
            entry.insert("call".to_owned(), json!(candidate.answer.instance.to_string()));
            if let Some(label) = &candidate.answer.label {
                entry.insert("label".to_owned(), json!(label));
            }
            entry.insert("eligible".to_owned(), json!(candidate.voice.is_some()));
            entry.insert("scores".to_owned(), Value::Object(scores));
            entry.insert("reasons".to_owned(), json!(candidate.reasons()));
            if let Some(next) = ranking.get(at + 1) {
                entry.insert("because".to_owned(), json!(self.because(candidate, next)));
            }
            Value::Object(entry)
        });
        let winner = ranking.first().filter(|candidate| candidate.voice.is_some()).map(
            |candidate| json!({ "call": candidate.answer.instance.to_string(), "value": self.value(panel, candidate) }),
        );
        let by: Vec<String> = self.by.iter().map(Criterion::to_string).collect();
        let mut json = Map::new();
        json.insert("by".to_owned(), json!(by));
        json.insert("winner".to_owned(), json!(winner));
        json.insert("ranking".to_owned(), Value::Array(entries.collect()));
        if let Some(checked) = checked {
            json.insert("cross_check".to_owned(), checked.json(panel));
        }
        json
    }

    fn text(&self, panel: &Panel<'_>, ranking: &[Candidate<'_>], checked: Option<&Checked>) -> String {
        let by: Vec<String> = self.by.iter().map(Criterion::to_string).collect();
        let mut parts = vec![format!("{}; best by {}", panel.census.headline(), by.join(", then "))];
        if let Some(first) = ranking.first() {
            let lead = match ranking.get(1) {
                Some(second) => format!(", {}", self.because(first, second)),
                None => ", the only candidate".to_owned(),
            };
            let value = self.value(panel, first);
            let value = value.as_str().map_or_else(|| format!("{value:#}"), str::to_owned);
            parts.push(format!("{} is best{lead}\n{}", first.name, excerpt(&value, LINES, "   ")));
        }
        if let Some(note) = checked.and_then(Checked::note) {
            parts.push(note);
        }
        let mut list: Vec<String> = ranking
            .iter()
            .take(LISTED)
            .enumerate()
            .map(|(at, candidate)| format!("{:>3}. {}  {}", at + 1, candidate.name, candidate.reasons()))
            .collect();
        if ranking.len() > LISTED {
            list.push(format!("     … {}", counted(ranking.len() - LISTED, "more candidate")));
        }
        parts.push(list.join("\n"));
        parts.join("\n\n")
    }
}

impl Candidate<'_> {
    /// Its scores in words.
    fn reasons(&self) -> String {
        let mut reasons: Vec<String> = Vec::new();
        if let (None, Some(cause)) = (self.voice, &self.answer.outcome.cause) {
            reasons.push(one_line(&cause.message, CAUSE));
        }
        reasons.extend(self.scores.iter().map(|score| score.words.clone()).filter(|words| !words.is_empty()));
        reasons.join("; ")
    }
}

#[cfg(test)]
mod tests;
