//! `cross_check`: which candidate passes which test, and what that says about each.
//!
//! The table comes from the answers themselves (`passes`), or from the step's
//! program, which gets all candidates and all tests and runs each on each
//! (docs/reconcile-command.md).

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::super::agreement::{self, Group};
use super::super::panel::{Voice, parse_json};
use super::super::settings::{Settings, SettingsError};
use super::super::similarity;
use super::super::wording::{counted, rounded};
use super::super::{Panel, ReconcileError};
use super::consensus::{self, Behaviour};
use super::criterion::{marks, passes};

/// Where the table comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CrossCheck {
    /// Each answer brings its own row: pass marks over the same tests.
    Passes(String),
    /// The step's program fills it in.
    Program {
        /// Pointer to the candidate in an answer; empty for the whole answer.
        candidates: String,
        /// Pointer to the tests in an answer: a list, or a text with one a line.
        tests: String,
    },
}

/// What was found about each candidate.
#[derive(Debug)]
pub(super) struct Checked {
    /// By position of the voice; `None` for one that is no candidate.
    rows: Vec<Option<Row>>,
    /// Candidates that behave the same, best first, with their score; members are voices.
    groups: Vec<(Group, Option<f64>)>,
    tests: usize,
}

/// What was found about one candidate.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// How likely the table is if it is right, as a logarithm.
    pub(super) score: Option<f64>,
    /// How much its text is like the others of its group; the higher, the more typical.
    pub(super) typical: f64,
    /// The same for people.
    pub(super) words: String,
}

const HELP: &str = "write `{passes: /passes}`, or with a `command` `{candidates: /solution, tests: /tests}`";

impl CrossCheck {
    /// Reads the key `cross_check`.
    pub(super) fn read(settings: &Settings<'_>) -> Result<Option<CrossCheck>, SettingsError> {
        let Some(map) = settings.map("cross_check", HELP)? else { return Ok(None) };
        let inner = Settings::new(map, "cross_check.", &["passes", "candidates", "tests"])?;
        let (candidates, tests) = (inner.pointer("candidates")?, inner.pointer("tests")?);
        match (inner.pointer("passes")?, candidates, tests) {
            (Some(pointer), None, None) => Ok(Some(CrossCheck::Passes(pointer))),
            (None, candidates, Some(tests)) => {
                Ok(Some(CrossCheck::Program { candidates: candidates.unwrap_or_default(), tests }))
            }
            (Some(_), _, _) => Err(settings.error(
                "cross_check",
                "`passes` says everything, so nothing else is needed",
                HELP,
            )),
            (None, _, None) => Err(settings.error("cross_check", "nothing says where the tests are", HELP)),
        }
    }

    /// True when the step's program has to fill in the table.
    pub(super) fn needs_program(&self) -> bool {
        matches!(self, CrossCheck::Program { .. })
    }

    /// What the program gets: all candidates, and all different tests with who wrote them.
    pub(super) fn program_input(&self, panel: &Panel<'_>) -> Result<Value, ReconcileError> {
        let CrossCheck::Program { tests, .. } = self else { return Ok(super::super::command::input(panel)) };
        let candidates: Vec<Value> = self
            .candidates(panel)
            .into_iter()
            .map(|(voice, value)| json!({ "call": call(panel, voice), "candidate": value }))
            .collect();
        let mut written: IndexMap<String, Vec<String>> = IndexMap::new();
        for voice in &panel.voices {
            for test in voice.at(tests).map(listed).unwrap_or_default() {
                let by = written.entry(test).or_default();
                if by.last() != Some(&voice.call) {
                    by.push(voice.call.clone());
                }
            }
        }
        if candidates.is_empty() || written.is_empty() {
            let what = if candidates.is_empty() { "candidate" } else { "test" };
            return Err(ReconcileError::Answer {
                call: call(panel, 0),
                message: format!("`cross_check` finds no {what} in it, nor in any other answer"),
            });
        }
        let tests: Vec<Value> =
            written.into_iter().map(|(test, by)| json!({ "test": test, "by": by })).collect();
        Ok(json!({
            "format": 1, "goal": panel.inputs.goal, "census": panel.census,
            "candidates": candidates, "tests": tests,
        }))
    }

    /// The candidate in an answer.
    pub(super) fn candidate(&self, voice: &Voice<'_>) -> Value {
        match self {
            CrossCheck::Program { candidates, .. } if !candidates.is_empty() => {
                voice.at(candidates).cloned().unwrap_or_default()
            }
            CrossCheck::Passes(_) | CrossCheck::Program { .. } => voice.value(),
        }
    }

    /// The voices that bring a candidate.
    fn candidates(&self, panel: &Panel<'_>) -> Vec<(usize, Value)> {
        let voices = panel.voices.iter().enumerate();
        voices.map(|(at, voice)| (at, self.candidate(voice))).filter(|(_, value)| !value.is_null()).collect()
    }

    /// Reads the table and scores it.
    pub(super) fn run(&self, panel: &Panel<'_>) -> Result<Checked, ReconcileError> {
        let table = match self {
            CrossCheck::Passes(pointer) => own_rows(panel, pointer)?,
            CrossCheck::Program { .. } => self.programs_rows(panel)?,
        };
        let tests = table.first().map_or(0, |(_, row)| row.len());
        let key = |row: &Vec<bool>| row.iter().map(|pass| if *pass { '1' } else { '0' }).collect::<String>();
        let mut groups = agreement::groups(table.iter().map(|(voice, row)| (*voice, key(row))));
        let behaviours: Vec<Behaviour> = groups
            .iter()
            .map(|group| Behaviour {
                size: group.members.len(),
                passes: group.key.bytes().map(|b| b == b'1').collect(),
            })
            .collect();
        let mut scored: Vec<(Group, Option<f64>)> =
            groups.drain(..).zip(consensus::scores(&behaviours)).collect();
        // A group without a score comes last; `None` is less than any number.
        scored.sort_by(|a, b| {
            let order = |score: Option<f64>| score.unwrap_or(f64::NEG_INFINITY);
            order(b.1).total_cmp(&order(a.1))
        });
        let mut rows: Vec<Option<Row>> = vec![None; panel.voices.len()];
        for (group, score) in &scored {
            let passed = group.key.bytes().filter(|b| *b == b'1').count();
            let words = match group.members.len() {
                1 => format!("behaves like no other; passes {passed} of {}", counted(tests, "test")),
                size => format!(
                    "behaves like {}; they pass {passed} of {}",
                    counted(size - 1, "other"),
                    counted(tests, "test")
                ),
            };
            for (voice, typical) in self.typical(panel, &group.members) {
                if let Some(row) = rows.get_mut(voice) {
                    *row = Some(Row { score: *score, typical, words: words.clone() });
                }
            }
        }
        Ok(Checked { rows, groups: scored, tests })
    }

    /// For each member how like the members it is, itself included. Equal texts are weighed once.
    fn typical(&self, panel: &Panel<'_>, members: &[usize]) -> Vec<(usize, f64)> {
        let text = |at: &usize| {
            let value = panel.voices.get(*at).map(|voice| self.candidate(voice)).unwrap_or_default();
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        };
        let same = agreement::groups(members.iter().map(|at| (*at, text(at))));
        let texts: Vec<&str> = same.iter().map(|group| group.key.as_str()).collect();
        let bags = similarity::bags(&texts);
        let mut typical = Vec::with_capacity(members.len());
        for (group, bag) in same.iter().zip(&bags) {
            let likeness =
                same.iter().zip(&bags).map(|(other, its)| other.members.len() as f64 * bag.likeness(its));
            // Rounded, so that the order of the sum cannot tell equals apart.
            let likeness = rounded(likeness.sum());
            typical.extend(group.members.iter().map(|voice| (*voice, likeness)));
        }
        typical
    }

    /// The table that the program printed, by voice.
    fn programs_rows(&self, panel: &Panel<'_>) -> Result<Vec<(usize, Vec<bool>)>, ReconcileError> {
        let outside = |message: String| ReconcileError::Outside { message };
        let input = self.program_input(panel)?;
        let tests = input.get("tests").and_then(Value::as_array).map_or(0, Vec::len);
        let candidates = self.candidates(panel);
        let printed = panel.inputs.program_output.as_deref();
        let printed = printed.ok_or_else(|| outside("the cross-check's program was not run".to_owned()))?;
        let shape = "it is to print `{\"passes\": [[true, false, …], …]}`, a row for each candidate";
        let parsed = parse_json(printed);
        let table = parsed.as_ref().and_then(|value| value.get("passes")).ok_or_else(|| {
            outside(format!("the cross-check's program printed something else than its table: {shape}"))
        })?;
        let mut rows = Vec::new();
        for (number, (voice, _)) in candidates.iter().enumerate() {
            let name = call(panel, *voice);
            let row = table.get(number).or_else(|| table.get(&name)).map(marks).unwrap_or_default();
            if row.len() != tests {
                return Err(outside(format!(
                    "the cross-check's program gave {} for `{name}`, and there are {}: {shape}",
                    counted(row.len(), "mark"),
                    counted(tests, "test")
                )));
            }
            rows.push((*voice, row));
        }
        Ok(rows)
    }
}

impl Checked {
    /// What was found about a voice; `None` when it is no candidate.
    pub(super) fn row(&self, voice: usize) -> Option<&Row> {
        self.rows.get(voice)?.as_ref()
    }

    /// What a reader has to know before trusting the ranking.
    pub(super) fn note(&self) -> Option<String> {
        let silent = self.groups.iter().all(|(_, score)| score.is_none());
        silent.then(|| "No candidate passes any test, so the cross-check says nothing.".to_owned())
    }

    /// The groups, best first.
    pub(super) fn json(&self, panel: &Panel<'_>) -> Value {
        let groups = self.groups.iter().map(|(group, score)| {
            let by: Vec<String> = group.members.iter().map(|voice| call(panel, *voice)).collect();
            let passed = group.key.bytes().filter(|b| *b == b'1').count();
            let mut entry = Map::new();
            entry.insert("size".to_owned(), json!(by.len()));
            entry.insert("tests_passed".to_owned(), json!(passed));
            entry.insert("score".to_owned(), json!(score.map(rounded)));
            entry.insert("by".to_owned(), json!(by));
            Value::Object(entry)
        });
        json!({ "tests": self.tests, "groups": groups.collect::<Vec<_>>() })
    }
}

/// The rows that the answers bring: marks in a list or a text of `0` and `1`, or a map by test.
fn own_rows(panel: &Panel<'_>, pointer: &str) -> Result<Vec<(usize, Vec<bool>)>, ReconcileError> {
    let found: Vec<(usize, &Value)> =
        panel.voices.iter().enumerate().filter_map(|(at, voice)| Some((at, voice.at(pointer)?))).collect();
    let fault = |voice: usize, message: String| ReconcileError::Answer { call: call(panel, voice), message };
    if found.is_empty() {
        return Err(fault(0, format!("it has no pass marks at `{pointer}`, nor has any other answer")));
    }
    let maps: Vec<_> = found.iter().filter_map(|(voice, value)| Some((*voice, value.as_object()?))).collect();
    if maps.len() == found.len() {
        // By name: a test that a candidate does not mention, it does not pass.
        let mut names: Vec<&String> = maps.iter().flat_map(|(_, map)| map.keys()).collect();
        names.sort();
        names.dedup();
        let row = |map: &Map<String, Value>| {
            names.iter().map(|name| map.get(*name).is_some_and(passes)).collect::<Vec<bool>>()
        };
        return Ok(maps.iter().map(|(voice, map)| (*voice, row(map))).collect());
    }
    let rows: Vec<(usize, Vec<bool>)> = found.iter().map(|(voice, value)| (*voice, marks(value))).collect();
    let length = rows.first().map_or(0, |(_, row)| row.len());
    match rows.iter().find(|(_, row)| row.len() != length) {
        None => Ok(rows),
        Some((voice, row)) => Err(fault(
            *voice,
            format!(
                "it has {} at `{pointer}` where `{}` has {length}; all have to be over the same tests, \
                 or be maps by the test's name",
                counted(row.len(), "pass mark"),
                call(panel, rows.first().map_or(0, |(voice, _)| *voice))
            ),
        )),
    }
}

/// The tests at a pointer: the items of a list, or the lines of a text.
fn listed(value: &Value) -> Vec<String> {
    let items: Vec<String> = match value.as_array() {
        Some(items) => {
            items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned)).collect()
        }
        None => value.as_str().unwrap_or_default().lines().map(str::to_owned).collect(),
    };
    items.iter().map(|test| test.trim().to_owned()).filter(|test| !test.is_empty()).collect()
}

fn call(panel: &Panel<'_>, voice: usize) -> String {
    panel.voices.get(voice).map(|voice| voice.call.clone()).unwrap_or_default()
}
