//! Reads a run back: its records in order, or where and why they cannot be trusted.
//!
//! Invariant: what is read is what was written. A line that was cut short at the end is
//! left out with a notice; anything else that is not as it was written is refused by name,
//! unless the reader asked to salvage the rest.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;

use crate::event::{Event, FORMAT, Record, RunFinished, RunStarted};
use crate::id::{ContentKey, InstanceId};
use crate::outcome::Outcome;

use super::line::{self, Piece, Undecodable};
use super::memo::Memo;
use super::payload::PayloadFault;
use super::{JournalError, Salvage, blob, lock, writer};

/// A run as its journal has it.
#[derive(Debug)]
pub struct Past {
    /// The run's directory.
    pub dir: PathBuf,
    /// How it began.
    pub head: RunStarted,
    /// Everything that was written down, in order, the head first.
    pub records: Vec<Arc<Record>>,
    /// There if the journal ends in the middle of a record: of a killed run, or of one that
    /// is writing right now.
    pub notice: Option<TornTail>,
    /// What was lost; empty unless it was read with [`Salvage::Yes`].
    pub damage: Vec<Damage>,
    /// Whether it goes on.
    pub state: RunState,
    /// The file as it was read.
    read: Option<Stamp>,
    memo: Memo,
}

/// What changes with every write to a file: its length and the time of the write.
type Stamp = (u64, SystemTime);

/// The end of a record that was never completed, and so never counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// Where the record begins in the file.
    pub at: u64,
    /// How many bytes of it there are.
    pub bytes: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the journal ends in the middle of a record at byte {} ({} bytes left out)",
            self.at, self.bytes
        )
    }
}

/// An instance that had begun when a process of the run was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOff {
    /// Which one.
    pub instance: InstanceId,
    /// True if that was the last process so far, false for one before it.
    pub by_the_last: bool,
}

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// A process is at it.
    Running,
    /// It ended by itself and said how.
    Finished,
    /// Its process ended without a word; a resume goes on with it.
    Interrupted,
}

impl RunState {
    /// From whether a process holds the run, and whether its last word is that it ended.
    pub(super) fn of(held: bool, ended: bool) -> RunState {
        match (ended, held) {
            (true, _) => RunState::Finished,
            (false, true) => RunState::Running,
            (false, false) => RunState::Interrupted,
        }
    }
}

/// Something in the journal that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record at byte {at} of {} is damaged ({fault}), {follow} valid records follow", file.display())]
pub struct Damage {
    /// The journal.
    pub file: PathBuf,
    /// Where the record begins in it.
    pub at: u64,
    /// What is wrong.
    pub fault: DamageFault,
    /// How many records behind it are as they were written.
    pub follow: usize,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DamageFault {
    /// The bytes are not those that were written.
    #[error("its checksum does not match")]
    Checksum,
    /// A record before it is missing, or it stands in the wrong place, or twice.
    #[error("record {expected} should be here, and it is record {found}")]
    Order {
        /// The number that comes next.
        expected: u64,
        /// The number that it has.
        found: u64,
    },
    /// A long part of it, in a file of its own, is not there.
    #[error("{0}")]
    Payload(PayloadFault),
    /// It is sound, but not of a kind that this version knows.
    #[error("{0}")]
    Unknown(String),
}

/// Reads the run in `dir`. Takes no lock, changes nothing, and works while the run goes on.
///
/// # Errors
/// [`JournalError::Missing`], [`NeverBegan`](JournalError::NeverBegan),
/// [`Newer`](JournalError::Newer), [`Damaged`](JournalError::Damaged) or
/// [`Unreadable`](JournalError::Unreadable).
pub fn read(dir: &Path) -> Result<Past, JournalError> {
    read_with(dir, Salvage::No)
}

/// Like [`read`]; with [`Salvage::Yes`], damaged records count as never written and are
/// listed in [`Past::damage`].
///
/// # Errors
/// As [`read`]; a damaged first record is an error in any case.
pub fn read_with(dir: &Path, salvage: Salvage) -> Result<Past, JournalError> {
    // Asked first: a run that ends in between has then ended, not been interrupted.
    let held = lock::is_held(dir);
    read_held(dir, salvage, held)
}

/// Like [`read_with`], where it is known whether a process is at the run.
pub(super) fn read_held(dir: &Path, salvage: Salvage, held: bool) -> Result<Past, JournalError> {
    let file = dir.join(writer::FILE);
    // Before its content: what is written in between makes it look older than it is.
    let stamp = stamp(dir);
    let bytes = fs::read(&file).map_err(|error| unreadable(dir, &file, error))?;
    let mut reader = Reader { dir, records: Vec::new(), sound: Vec::new(), faults: Vec::new(), torn: None };
    reader.read(&bytes)?;
    let Reader { mut records, sound, faults, torn, .. } = reader;
    let damage: Vec<Damage> = faults
        .into_iter()
        .map(|(at, fault)| {
            let follow = sound.len() - sound.partition_point(|other| *other <= at);
            Damage { file: file.clone(), at, fault, follow }
        })
        .collect();
    records.sort_by_key(|record| record.seq);
    records.dedup_by_key(|record| record.seq);
    let head = records
        .first()
        .and_then(|first| if let Event::RunStarted(head) = &first.event { Some(head.clone()) } else { None });
    let past =
        |head, records, damage| Past { read: stamp, ..Past::new(dir, held, head, records, torn, damage) };
    match (head, damage.first()) {
        (Some(head), None) => Ok(past(head, records, damage)),
        (Some(head), Some(_)) if salvage == Salvage::Yes => Ok(past(head, records, damage)),
        (_, Some(first)) => Err(JournalError::Damaged(Box::new(first.clone()))),
        (None, None) => Err(JournalError::NeverBegan { dir: dir.to_owned() }),
    }
}

/// The journal's file as it is now; `None` where the system does not say.
fn stamp(dir: &Path) -> Option<Stamp> {
    let about = fs::metadata(dir.join(writer::FILE)).ok()?;
    Some((about.len(), about.modified().ok()?))
}

pub(super) fn unreadable(dir: &Path, file: &Path, error: io::Error) -> JournalError {
    if error.kind() != io::ErrorKind::NotFound {
        return JournalError::Unreadable { path: file.to_owned(), source: Arc::new(error) };
    }
    let dir = dir.to_owned();
    if dir.is_dir() { JournalError::NeverBegan { dir } } else { JournalError::Missing { dir } }
}

/// Goes through the lines of a journal.
struct Reader<'a> {
    dir: &'a Path,
    records: Vec<Arc<Record>>,
    /// Where the lines begin that are as they were written.
    sound: Vec<u64>,
    faults: Vec<(u64, DamageFault)>,
    torn: Option<TornTail>,
}

impl Reader<'_> {
    fn read(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        // `None` behind damage: numbers are missing there, which is known already.
        let mut expected = Some(1);
        for piece in line::pieces(bytes) {
            if piece.ended && line::is_sealed(piece.bytes) {
                if piece.at == 0 {
                    refuse_newer(self.dir, piece.bytes)?;
                }
                self.sound.push(piece.at);
                expected = self.take(piece, expected);
            } else if piece.ended || line::hides_a_line(piece.bytes) {
                self.faults.push((piece.at, DamageFault::Checksum));
                expected = None;
            } else {
                self.torn = Some(TornTail { at: piece.at, bytes: piece.bytes.len() as u64 });
            }
        }
        Ok(())
    }

    /// Takes a sound line in and returns the number of the next one.
    fn take(&mut self, piece: Piece<'_>, expected: Option<u64>) -> Option<u64> {
        match line::decode(piece.bytes, &|hash| blob::load(self.dir, hash)) {
            Ok(record) => {
                let found = record.seq;
                if let Some(expected) = expected.filter(|expected| *expected != found) {
                    self.faults.push((piece.at, DamageFault::Order { expected, found }));
                }
                self.records.push(Arc::new(record));
                Some(found + 1)
            }
            Err(error) => {
                let fault = match error {
                    Undecodable::Payload(fault) => DamageFault::Payload(fault),
                    Undecodable::Json(error) => DamageFault::Unknown(error),
                };
                self.faults.push((piece.at, fault));
                expected.map(|expected| expected + 1)
            }
        }
    }
}

/// Refuses what a later version wrote, before any more of it is looked at.
pub(super) fn refuse_newer(dir: &Path, first: &[u8]) -> Result<(), JournalError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
        fanout: String,
    }
    match serde_json::from_slice(first) {
        Ok(Version { format, fanout }) if format > FORMAT => {
            Err(JournalError::Newer { dir: dir.to_owned(), format, fanout })
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

impl Past {
    fn new(
        dir: &Path,
        held: bool,
        head: RunStarted,
        records: Vec<Arc<Record>>,
        notice: Option<TornTail>,
        damage: Vec<Damage>,
    ) -> Past {
        let memo = Memo::of(&records);
        let dir = dir.to_owned();
        let state = RunState::Interrupted;
        let mut past = Past { dir, head, records, notice, damage, state, read: None, memo };
        past.state = RunState::of(held, past.finished().is_some());
        past
    }

    /// How it ended, if it ended by itself and nobody has gone on with it since.
    pub fn finished(&self) -> Option<&RunFinished> {
        let mut end = None;
        for record in &self.records {
            if let Event::RunFinished(finished) = &record.event {
                end = Some(finished);
            } else if let Event::RunResumed { .. } = record.event {
                end = None;
            }
        }
        end
    }

    /// The result that a resume would reuse first for work with this key; failures are none.
    pub fn recall(&self, key: &ContentKey) -> Option<&Outcome> {
        self.memo.peek(key)
    }

    /// What has begun and not ended since, in the order in which it began.
    pub fn cut_off(&self) -> Vec<CutOff> {
        let mut open = HashMap::new();
        let mut process = 0;
        for record in &self.records {
            if let Event::CallStarted { instance, .. } = &record.event {
                open.insert(instance, (record.seq, process));
            } else if let Event::CallFinished { instance, .. } = &record.event {
                open.remove(instance);
            } else if let Event::RunResumed { .. } = &record.event {
                process += 1;
            }
        }
        let mut open: Vec<_> = open.into_iter().collect();
        open.sort_unstable_by_key(|(_, (seq, _))| *seq);
        let cut_off = |(instance, (_, when)): (&InstanceId, (u64, u32))| CutOff {
            instance: instance.clone(),
            by_the_last: when == process,
        };
        open.into_iter().map(cut_off).collect()
    }

    /// This past, as what is left after a repair.
    pub(super) fn after(self, notice: Option<TornTail>, damage: Vec<Damage>) -> Past {
        Past { notice, damage, ..self }
    }

    /// This past and some more that was written since.
    pub(super) fn and(mut self, more: Vec<Arc<Record>>) -> Past {
        if !more.is_empty() {
            self.records.extend(more);
            self.memo = Memo::of(&self.records);
        }
        self
    }

    /// True if nothing was written since it was read.
    pub(super) fn is_current(&self) -> bool {
        self.read.is_some() && self.read == stamp(&self.dir)
    }

    /// All that can be reused, and what these records add.
    pub(super) fn memo_with(&self, more: &[Arc<Record>]) -> Memo {
        let mut memo = self.memo.clone();
        more.iter().for_each(|record| memo.hear(record));
        memo
    }
}
