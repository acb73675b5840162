//! The outputs of calls as files for people, under `outputs/`.
//!
//! Invariant: nothing reads them back. They are written after the record is durable, are
//! not synced, and can be made again from the journal at any time.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::event::{Event, Record};
use crate::id::InstanceId;
use crate::outcome::Output;

use super::storage::{Fault, doing, private};

/// The folder's name in the run's directory.
pub(super) const FOLDER: &str = "outputs";

/// The file of an instance's output in the run's directory: `outputs/graph.txt`,
/// `outputs/review.3.json`. There is none for an output that is empty.
pub fn output_path(dir: &Path, instance: &InstanceId, output: &Output) -> PathBuf {
    let stem = match instance.index {
        Some(index) => format!("{}.{index}", instance.call),
        None => instance.call.to_string(),
    };
    path(dir, &stem, output)
}

fn path(dir: &Path, stem: &str, output: &Output) -> PathBuf {
    let kind = if output.json.is_some() { "json" } else { "txt" };
    dir.join(FOLDER).join(format!("{stem}.{kind}"))
}

/// Writes the files, one at a time.
pub(super) struct Outputs {
    dir: PathBuf,
    waiting: VecDeque<Arc<Record>>,
    /// One warning is enough.
    warned: bool,
    /// False where nothing of the run is kept.
    keeps: bool,
}

impl Outputs {
    pub(super) fn new(dir: &Path, keeps: bool) -> Outputs {
        Outputs { dir: dir.to_owned(), waiting: VecDeque::new(), warned: false, keeps }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes a durable record, if it has an output.
    pub(super) fn add(&mut self, record: Arc<Record>) {
        if self.file_of(&record).is_some() {
            self.waiting.push_back(record);
        }
    }

    /// Takes those of an earlier process whose files are missing.
    pub(super) fn catch_up(&mut self, records: &[Arc<Record>]) {
        for record in records {
            if self.file_of(record).is_some_and(|(path, _)| !path.exists()) {
                self.waiting.push_back(Arc::clone(record));
            }
        }
    }

    /// Writes the next file. Of several errors only the first is reported.
    pub(super) fn write_next(&mut self) -> Result<(), Fault> {
        let Some(record) = self.waiting.pop_front() else { return Ok(()) };
        let Some((path, output)) = self.file_of(&record) else { return Ok(()) };
        match write(&path, &output) {
            Err(error) if !self.warned => {
                self.warned = true;
                Err(doing("write the output file", &path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn file_of(&self, record: &Record) -> Option<(PathBuf, Output)> {
        if !self.keeps {
            return None;
        }
        if let Event::CallFinished { instance, outcome, .. } = &record.event
            && !outcome.output.is_empty()
        {
            return Some((output_path(&self.dir, instance, &outcome.output), outcome.output.clone()));
        }
        if let Event::Reconciled { step, text, .. } = &record.event
            && !text.trim().is_empty()
        {
            let output = Output::text(text.as_str());
            return Some((path(&self.dir, step.as_str(), &output), output));
        }
        None
    }
}

/// Puts a new file in the place of whatever has that name; follows no link.
fn write(path: &Path, output: &Output) -> io::Result<()> {
    let create = || private().write(true).create_new(true).open(path);
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()?
        }
        file => file?,
    };
    match &output.json {
        Some(json) => {
            let mut text = serde_json::to_string_pretty(json)?;
            text.push('\n');
            file.write_all(text.as_bytes())
        }
        None => file.write_all(output.text.as_bytes()),
    }
}
