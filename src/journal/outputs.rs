//! The outputs of calls as files for people, under `outputs/`.
//!
//! A file costs more than all else that is written down of a call, and holds up the syncs of the
//! journal that come with it. So the thread of the journal writes them when it has had nothing else to
//! do for a moment, and of thousands of short outputs only the first have one.
//!
//! Invariant: nothing needs them to be there. They are written after the record is durable, are
//! not synced, and can be made again from the journal at any time.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{Event, Record};
use crate::id::InstanceId;
use crate::outcome::{Outcome, Output};

use super::storage::{Fault, doing, private};

/// The folder's name in the run's directory.
pub(super) const FOLDER: &str = "outputs";

/// Tells whoever looks there that not all outputs have a file. No call has such a name.
const NOTE: &str = "(more).txt";

/// How many short outputs have a file.
const MOST_SHORT: usize = 100;
/// What is short, in bytes.
const SHORT: usize = 4096;

/// How long there must have been nothing else to do before a file is written.
const QUIET: Duration = Duration::from_millis(50);
/// How long a file waits for such a moment.
const PATIENCE: Duration = Duration::from_secs(1);

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

/// Makes sure that the file of an instance's output is there, and says which one it is.
///
/// # Errors
/// As the system says.
pub(super) fn on_demand(dir: &Path, instance: &InstanceId, output: &Output) -> Result<PathBuf, Fault> {
    let path = output_path(dir, instance, output);
    if !output.is_empty() && !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        write(&path, output).map_err(doing("write the output file", &path))?;
    }
    Ok(path)
}

/// What is to be written.
enum File {
    Output(Arc<Record>),
    /// That not all outputs have a file.
    Note,
}

/// Writes the files, one at a time.
pub(super) struct Outputs {
    dir: PathBuf,
    /// With the time since which it waits.
    waiting: VecDeque<(Instant, File)>,
    /// How many short ones there were so far.
    short: usize,
    /// There was nothing else to do for a moment, and has been nothing since.
    quiet: bool,
    /// One warning is enough.
    warned: bool,
    /// False where nothing of the run is kept.
    keeps: bool,
}

impl Outputs {
    pub(super) fn new(dir: &Path, keeps: bool) -> Outputs {
        Outputs {
            dir: dir.to_owned(),
            waiting: VecDeque::new(),
            short: 0,
            quiet: false,
            warned: false,
            keeps,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How long to wait for something better to do before the next file is written; `None` where there
    /// is none to be written.
    pub(super) fn due(&self) -> Option<Duration> {
        let (since, _) = self.waiting.front()?;
        let left = PATIENCE.saturating_sub(since.elapsed());
        Some(if self.quiet { Duration::ZERO } else { QUIET.min(left) })
    }

    /// Whether there was something better to do.
    pub(super) fn were_put_off(&mut self, put_off: bool) {
        self.quiet = !put_off;
    }

    /// Takes a durable record, if it has an output.
    pub(super) fn add(&mut self, record: Arc<Record>) {
        if self.wants(&record) {
            self.waiting.push_back((Instant::now(), File::Output(record)));
        }
    }

    /// Takes those of an earlier process whose files are missing.
    pub(super) fn catch_up(&mut self, records: &[Arc<Record>]) {
        for record in records {
            if self.wants(record) && self.file_of(record).is_some_and(|(path, _)| !path.exists()) {
                self.waiting.push_back((Instant::now(), File::Output(Arc::clone(record))));
            }
        }
    }

    /// Writes the next file. Of several errors only the first is reported.
    pub(super) fn write_next(&mut self) -> Result<(), Fault> {
        let Some((_, file)) = self.waiting.pop_front() else { return Ok(()) };
        let file = match file {
            File::Output(record) => self.file_of(&record),
            File::Note => Some((self.dir.join(FOLDER).join(NOTE), Output::text(self.note()))),
        };
        let Some((path, output)) = file else { return Ok(()) };
        match write(&path, &output) {
            Err(error) if !self.warned => {
                self.warned = true;
                Err(doing("write the output file", &path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether it has an output that is to have a file; counts the short ones.
    fn wants(&mut self, record: &Record) -> bool {
        if !self.keeps {
            return false;
        }
        let Event::CallFinished { outcome: Outcome { output, .. }, .. } = &record.event else {
            return matches!(&record.event, Event::Reconciled { text, .. } if !text.trim().is_empty());
        };
        let short = output.text.len() <= SHORT;
        self.short += usize::from(short && !output.is_empty());
        if self.short == MOST_SHORT + 1 && short && !output.is_empty() {
            self.waiting.push_back((Instant::now(), File::Note));
        }
        !output.is_empty() && (!short || self.short <= MOST_SHORT)
    }

    fn note(&self) -> String {
        let run = self.dir.file_name().unwrap_or_default().to_string_lossy();
        format!(
            "Of the outputs of this run those of more than {} KiB have a file here, and the first {MOST_SHORT} of \
             the others.\nAll of them: fanout show {run} CALL --raw, or fanout show {run} -o json.\n",
            SHORT / 1024
        )
    }

    fn file_of(&self, record: &Record) -> Option<(PathBuf, Output)> {
        if let Event::CallFinished { instance, outcome, .. } = &record.event {
            return Some((output_path(&self.dir, instance, &outcome.output), outcome.output.clone()));
        }
        if let Event::Reconciled { step, text, .. } = &record.event {
            let output = Output::text(text.as_str());
            return Some((path(&self.dir, step.as_str(), &output), output));
        }
        None
    }
}

/// Puts a file in the place of whatever has that name; follows no link.
fn write(path: &Path, output: &Output) -> io::Result<()> {
    match private().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Whole or not at all: somebody may be reading what is there.
            let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
            fill(file.as_file_mut(), output)?;
            file.persist(path).map(drop).map_err(|error| error.error)
        }
        file => fill(&mut file?, output),
    }
}

fn fill(file: &mut fs::File, output: &Output) -> io::Result<()> {
    match &output.json {
        Some(json) => {
            let mut text = serde_json::to_string_pretty(json)?;
            text.push('\n');
            file.write_all(text.as_bytes())
        }
        None => file.write_all(output.text.as_bytes()),
    }
}
