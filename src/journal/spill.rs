//! What becomes of finished results when the journal can take no more.
//!
//! Invariant: a result that somebody paid for is written somewhere, or counted as lost
//! in the error; it never just disappears.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::event::{Event, Record};
use crate::id::RunId;

use super::line;
use super::payload::PayloadFault;
use super::storage::{Fault, private};

/// The journal could not be written. The run has to end; a resume can go on with it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("could not {doing} {}{}", path.display(), rest(self))]
pub struct StorageFailure {
    /// What was being done, to be read after "could not".
    pub doing: &'static str,
    /// To which file.
    pub path: PathBuf,
    /// The run's directory.
    pub dir: PathBuf,
    /// How many records are durable there; 0 if it failed before the first, or before a
    /// resumed run was opened.
    pub saved: u64,
    /// Where the finished results are that did not fit there; a resume looks into it.
    pub spilled: Option<PathBuf>,
    /// How many results that file holds.
    pub results: u32,
    /// How many finished results could be written nowhere.
    pub lost: u32,
    /// What the system said.
    #[source]
    pub source: Arc<io::Error>,
}

/// What is safe and where, as far as there is anything.
fn rest(failure: &StorageFailure) -> String {
    let mut text = String::new();
    if failure.saved > 0 {
        text += &format!("; {} safe in {}", are(failure.saved, "record"), failure.dir.display());
    }
    if let Some(path) = &failure.spilled {
        text +=
            &format!("; {} in {} instead", are(failure.results.into(), "finished result"), path.display());
    }
    if failure.lost > 0 {
        let lost = are(failure.lost.into(), "finished result");
        text += &format!("; {lost} lost: they could be written nowhere");
    }
    text
}

fn are(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what} is") } else { format!("{count} {what}s are") }
}

/// Takes in what the journal cannot.
pub(super) struct Spill {
    folder: PathBuf,
    run: RunId,
    open: Option<(File, PathBuf)>,
    results: u32,
    lost: u32,
}

impl Spill {
    /// Writes, if it comes to that, to a new file in `folder`.
    pub(super) fn new(folder: PathBuf, run: RunId) -> Spill {
        Spill { folder, run, open: None, results: 0, lost: 0 }
    }

    /// Saves those of the records that are results.
    pub(super) fn save<'a>(&mut self, records: impl Iterator<Item = &'a Record>) {
        let (mut page, mut count) = (Vec::new(), 0);
        for record in records.filter(|record| is_result(&record.event)) {
            // Nothing goes to blobs: the line holds all of it.
            match line::encode(record, usize::MAX, &mut page, &mut Vec::new()) {
                Ok(()) => count += 1,
                Err(_) => self.lost += 1,
            }
        }
        if count > 0 {
            match self.append(&page) {
                Ok(()) => self.results += count,
                Err(_) => self.lost += count,
            }
        }
    }

    fn append(&mut self, page: &[u8]) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(self.create()?);
        }
        let Some((file, _)) = &mut self.open else { return Ok(()) };
        file.write_all(page)?;
        file.sync_data()
    }

    fn create(&self) -> io::Result<(File, PathBuf)> {
        let mut number = 1;
        loop {
            let path = self.folder.join(format!("{}{number}.jsonl", prefix(&self.run)));
            match private().append(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 100 => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The error for whoever waits for a record that will not be written.
    pub(super) fn failure(&self, dir: &Path, saved: u64, fault: &Arc<Cause>) -> StorageFailure {
        StorageFailure {
            doing: fault.doing,
            path: fault.path.clone(),
            dir: dir.to_owned(),
            saved,
            spilled: self.open.as_ref().filter(|_| self.results > 0).map(|(_, path)| path.clone()),
            results: self.results,
            lost: self.lost,
            source: Arc::clone(&fault.source),
        }
    }
}

/// A [`Fault`] that is told to many.
#[derive(Debug)]
pub(super) struct Cause {
    doing: &'static str,
    path: PathBuf,
    source: Arc<io::Error>,
}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Cause {
        Cause { doing: fault.doing, path: fault.path, source: Arc::new(fault.source) }
    }
}

/// The results that earlier processes of this run spilled to `folder`, with the files that
/// they stand in. Lines that are not whole are left out.
pub(super) fn find(folder: &Path, run: &RunId) -> io::Result<(Vec<Event>, Vec<PathBuf>)> {
    let (mut events, mut paths) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.starts_with(&prefix(run)) && name.ends_with(".jsonl")) {
            continue;
        }
        // The folder may be everyone's: what another user put there is not read.
        let Ok(bytes) = open_own(&entry.path()).and_then(io::read_to_string) else { continue };
        paths.push(entry.path());
        let no_blobs = |hash: &str| Err(PayloadFault::Missing { hash: hash.to_owned() });
        let whole =
            line::pieces(bytes.as_bytes()).filter(|piece| piece.ended && line::is_sealed(piece.bytes));
        let records = whole.filter_map(|piece| line::decode(piece.bytes, &no_blobs).ok());
        events.extend(records.map(|record| record.event).filter(is_result));
    }
    paths.sort();
    Ok((events, paths))
}

fn prefix(run: &RunId) -> String {
    format!("fanout-{run}-spill-")
}

fn open_own(path: &Path) -> io::Result<File> {
    let file = private().read(true).open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
    }
    Ok(file)
}

/// True for what a resume can take over: a success that has a key, a step that came back.
fn is_result(event: &Event) -> bool {
    matches!(event, Event::CallFinished { key: Some(_), outcome, .. } if outcome.is_ok())
        || matches!(
            event,
            Event::AttemptFinished { .. }
                | Event::ModelAnswered { .. }
                | Event::ToolEnded { .. }
                | Event::JobEnded { .. }
                | Event::SessionExtended { .. }
        )
}
