//! The runs under a root: what is there, and which one a person means.
//!
//! Invariant: a run that cannot be read is listed as such and hides no other one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use crate::event::RunFinished;
use crate::id::RunId;
use crate::outcome::Usage;

use super::past::RunState;
use super::{JournalError, line, lock, past, writer};

/// Where the runs of `root` are: `<root>/.fanout/runs`.
pub fn folder(root: &Path) -> PathBuf {
    root.join(".fanout").join("runs")
}

/// One line of a listing.
#[derive(Debug)]
pub struct RunSummary {
    /// The run's own name.
    pub run: RunId,
    /// Its directory.
    pub dir: PathBuf,
    /// What it was, or why that cannot be told.
    pub glance: Result<Glance, JournalError>,
}

/// What a listing says about a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Glance {
    /// The plan's `name`.
    pub name: String,
    /// The plan's `description`.
    pub description: Option<String>,
    /// The plan file as the person named it.
    pub plan: String,
    /// When it began.
    pub started: Timestamp,
    /// When it last recorded something.
    pub last: Timestamp,
    /// Whether it goes on.
    pub state: RunState,
    /// How it ended, if it did.
    pub finished: Option<RunFinished>,
    /// How many instances have ended.
    pub ended: u32,
    /// What all of them used together, reused ones not counted.
    pub usage: Usage,
}

/// The runs under `root`, the newest first; none if nothing ever ran there.
///
/// Takes no lock and reads no blobs. Where records are damaged, the run's
/// [`glance`](RunSummary::glance) is the error.
///
/// # Errors
/// [`JournalError::Unreadable`] if the folder itself cannot be read.
pub fn list(root: &Path) -> Result<Vec<RunSummary>, JournalError> {
    let summaries = names(&folder(root))?.into_iter().map(|name| {
        let dir = folder(root).join(&name);
        RunSummary { run: RunId::new(&name), glance: glance(&dir), dir }
    });
    Ok(summaries.collect())
}

/// The directory names in `folder`, the newest run first.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, JournalError> {
    let unreadable =
        |source: io::Error| JournalError::Unreadable { path: folder.to_owned(), source: Arc::new(source) };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        if entry.path().is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

/// Why no run could be found for what a person gave.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There are no runs at all.
    #[error("there are no runs in {}", folder.display())]
    None {
        /// Where they would be.
        folder: PathBuf,
    },
    /// None has such a name.
    #[error("there is no run `{text}`; {}", did_you_mean(near))]
    Unknown {
        /// What was given.
        text: String,
        /// The most similar names, or else the newest; at most three.
        near: Vec<RunId>,
    },
    /// Several have such a name.
    #[error("`{text}` fits {} runs: {}", fitting.len(), join(fitting))]
    Ambiguous {
        /// What was given.
        text: String,
        /// Their names, the newest first.
        fitting: Vec<RunId>,
    },
    /// The folder cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

fn join(runs: &[RunId]) -> String {
    runs.iter().map(|run| format!("`{run}`")).collect::<Vec<_>>().join(", ")
}

fn did_you_mean(near: &[RunId]) -> String {
    format!("did you mean {}?", join(near))
}

/// The directory of the run that `text` means: its name, the beginning of it, its last four
/// digits, or `last` for the newest.
///
/// # Errors
/// [`FindError`], naming what there is.
pub fn find(root: &Path, text: &str) -> Result<PathBuf, FindError> {
    let folder = folder(root);
    let names = names(&folder)?;
    let ids = |names: Vec<&String>| names.into_iter().map(|name| RunId::new(name)).collect::<Vec<_>>();
    let Some(newest) = names.first() else { return Err(FindError::None { folder }) };
    if text == "last" {
        return Ok(folder.join(newest));
    }
    if names.iter().any(|name| name == text) {
        return Ok(folder.join(text));
    }
    let fits = |name: &&String| {
        !text.is_empty()
            && (name.starts_with(text) || name.rsplit_once('-').is_some_and(|(_, digits)| digits == text))
    };
    let fitting: Vec<&String> = names.iter().filter(fits).collect();
    match fitting.as_slice() {
        [one] => Ok(folder.join(one)),
        [] => {
            let mut near: Vec<(f64, &String)> =
                names.iter().map(|name| (strsim::jaro_winkler(name, text), name)).collect();
            // Stable: of equally similar ones, the newest come first.
            near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
            let near = near.into_iter().take(3).map(|(_, name)| name).collect();
            Err(FindError::Unknown { text: text.to_owned(), near: ids(near) })
        }
        _ => Err(FindError::Ambiguous { text: text.to_owned(), fitting: ids(fitting) }),
    }
}

/// What a listing needs of a record; everything else is skipped unread.
#[derive(Deserialize)]
struct Skimmed {
    at: Timestamp,
    r#type: String,
    #[serde(default)]
    outcome: Option<SkimmedOutcome>,
}

#[derive(Deserialize)]
struct SkimmedOutcome {
    #[serde(default)]
    usage: Usage,
    #[serde(default)]
    reused: bool,
}

#[derive(Deserialize)]
struct SkimmedHead {
    #[serde(default)]
    name: serde_json::Value,
    #[serde(default)]
    description: serde_json::Value,
    #[serde(default)]
    plan: serde_json::Value,
}

fn glance(dir: &Path) -> Result<Glance, JournalError> {
    let held = lock::is_held(dir);
    let file = dir.join(writer::FILE);
    let bytes = fs::read(&file).map_err(|error| past::unreadable(dir, &file, error))?;
    let mut glance: Option<Glance> = None;
    for piece in line::pieces(&bytes) {
        if !piece.ended && !line::hides_a_line(piece.bytes) {
            break;
        }
        // A full reading says best what is wrong.
        let whole = || past::read(dir).map(|_| JournalError::NeverBegan { dir: dir.to_owned() });
        if !line::is_sealed(piece.bytes) {
            return Err(whole().unwrap_or_else(|error| error));
        }
        let Ok(record) = serde_json::from_slice::<Skimmed>(piece.bytes) else {
            return Err(whole().unwrap_or_else(|error| error));
        };
        match &mut glance {
            Some(glance) => glance.take(&record, piece.bytes),
            None => {
                past::refuse_newer(dir, piece.bytes)?;
                glance = Glance::begin(&record, piece.bytes);
            }
        }
    }
    let mut glance = glance.ok_or_else(|| JournalError::NeverBegan { dir: dir.to_owned() })?;
    glance.state = RunState::of(held, glance.finished.is_some());
    Ok(glance)
}

impl Glance {
    fn begin(record: &Skimmed, line: &[u8]) -> Option<Glance> {
        let head: SkimmedHead = serde_json::from_slice(line).ok()?;
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        Some(Glance {
            name: text(&head.name).unwrap_or_default(),
            description: text(&head.description),
            plan: text(&head.plan).unwrap_or_default(),
            started: record.at,
            last: record.at,
            state: RunState::Interrupted,
            finished: None,
            ended: 0,
            usage: Usage::default(),
        })
    }

    fn take(&mut self, record: &Skimmed, line: &[u8]) {
        self.last = record.at;
        match &*record.r#type {
            "run_finished" => self.finished = serde_json::from_slice(line).ok(),
            "run_resumed" => self.finished = None,
            "call_finished" => {
                self.ended += 1;
                if let Some(outcome) = record.outcome.as_ref().filter(|outcome| !outcome.reused) {
                    self.usage.add(&outcome.usage);
                }
            }
            _ => {}
        }
    }
}
