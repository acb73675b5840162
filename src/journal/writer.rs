//! The one thread that writes: numbers, writes, syncs, and then tells.
//!
//! Invariant: nobody hears of a record before it is in the file, nor of one that
//! somebody waits for (or of any after it) before it is durable. After an error nothing is
//! tried again on the same file.

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::event::{Event, Record};

use super::blob::BlobStore;
use super::line;
use super::lock::Lock;
use super::outputs::Outputs;
use super::payload::INLINE;
use super::queue::{Pending, Queue, Reply, Work};
use super::spill::{Cause, Spill};
use super::storage::{Clock, Fault, Storage, StoredFile, doing};
use super::{JournalError, Listener};

/// The file's name in the run's directory.
pub(super) const FILE: &str = "journal.jsonl";
/// What is kept free for the last records, when the disk is full.
const RESERVE: u64 = 1024 * 1024;
/// How much more is set aside at a time.
const STEP: u64 = 256 * 1024;
/// The most records that share a write, to bound the memory it takes.
const MOST: usize = 1024;

/// Owns the file, the lock and everybody who listens.
pub(super) struct Writer {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    file: JournalFile,
    blobs: BlobStore,
    listeners: Vec<Listener>,
    outputs: Outputs,
    spill: Spill,
    lock: Option<Lock>,
    state: State,
    /// Of the last record in the file.
    seq: u64,
    /// Of the last durable record.
    saved: u64,
}

enum State {
    Open,
    /// There is no room but the reserve; only what cannot be had again is still written.
    Full(Arc<Cause>),
    /// The file cannot be trusted any more.
    Dead(Arc<Cause>),
}

/// A batch could not be written.
struct Broken {
    fault: Fault,
    /// True if the journal's file is as it was before: then the reserve can still be used.
    untouched: bool,
}

/// What [`Writer::new`] puts together.
pub(super) struct Parts {
    pub(super) dir: PathBuf,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) file: JournalFile,
    pub(super) listeners: Vec<Listener>,
    pub(super) spill: Spill,
    /// `None` where nothing is kept.
    pub(super) lock: Option<Lock>,
    /// Of the last record in the file; it is durable.
    pub(super) seq: u64,
}

impl Writer {
    pub(super) fn new(parts: Parts) -> Writer {
        Writer {
            outputs: Outputs::new(&parts.dir, parts.storage.keeps()),
            blobs: BlobStore::new(&parts.dir, parts.storage),
            dir: parts.dir,
            clock: parts.clock,
            file: parts.file,
            listeners: parts.listeners,
            spill: parts.spill,
            lock: parts.lock,
            state: State::Open,
            seq: parts.seq,
            saved: parts.seq,
        }
    }

    /// Writes some events on the calling thread and returns once they are durable.
    pub(super) fn write_now(&mut self, events: Vec<Event>) -> Result<Vec<Arc<Record>>, JournalError> {
        let (batch, replies): (Vec<_>, Vec<_>) = events
            .into_iter()
            .map(|event| {
                let (reply, answer) = oneshot::channel();
                (Pending::stamp(&*self.clock, event, Some(Reply::Durable(reply))), answer)
            })
            .unzip();
        self.write(batch);
        replies.into_iter().map(|mut answer| answer.try_recv().unwrap_or(Err(JournalError::Closed))).collect()
    }

    /// Has the files for people written of results that an earlier process recorded.
    pub(super) fn catch_up(&mut self, records: &[Arc<Record>]) {
        self.outputs.catch_up(records);
    }

    /// Works until the queue is closed and empty, then says how it ended and lets go of the run.
    pub(super) fn run(mut self, queue: &Queue, done: &watch::Sender<Option<Result<(), JournalError>>>) {
        loop {
            // The files for people are written when there is nothing better to do.
            let due = self.outputs.due();
            let (mut batch, last) = match queue.take(due) {
                Work::Write(batch) => (batch, false),
                Work::WriteLast(batch) => (batch, true),
            };
            let idle = batch.is_empty();
            while !batch.is_empty() {
                let rest = batch.split_off(batch.len().min(MOST));
                self.write(mem::replace(&mut batch, rest));
            }
            if last {
                break;
            }
            self.outputs.were_put_off(!idle);
            if idle || due == Some(Duration::ZERO) {
                self.write_output();
            }
        }
        while !self.outputs.is_empty() {
            self.write_output();
        }
        let end = self.finish();
        drop(self.lock);
        done.send_replace(Some(end));
    }

    fn write_output(&mut self) {
        if let Err(fault) = self.outputs.write_next() {
            let message = format!(
                "could not {} {}: {}; the journal has it all the same",
                fault.doing,
                fault.path.display(),
                fault.source
            );
            let event = Event::Warned { code: "output_file".to_owned(), message };
            self.write(vec![Pending::stamp(&*self.clock, event, None)]);
        }
    }

    /// Makes the records that nobody waited for durable and gives back what was set aside.
    fn finish(&mut self) -> Result<(), JournalError> {
        if let State::Open = self.state
            && let Err(fault) = self.sync().and_then(|()| self.file.trim())
        {
            self.state = State::Dead(Arc::new(fault.into()));
        }
        match &self.state {
            State::Open => Ok(()),
            State::Full(cause) | State::Dead(cause) => Err(self.failure(cause)),
        }
    }

    fn write(&mut self, mut batch: Vec<Pending>) {
        match &self.state {
            State::Open => match self.append(&mut batch) {
                Ok(()) => self.sync_and_tell(batch),
                Err(Broken { fault, untouched }) => {
                    let full = untouched && is_full(&fault.source);
                    let cause = Arc::new(fault.into());
                    self.state = if full { State::Full(cause) } else { State::Dead(cause) };
                    self.write(batch);
                }
            },
            State::Full(cause) => self.write_last_words(&Arc::clone(cause), batch),
            State::Dead(cause) => self.refuse(&Arc::clone(cause), batch),
        }
    }

    /// Writes all of it, unsynced.
    fn append(&mut self, batch: &mut [Pending]) -> Result<(), Broken> {
        let untouched = |fault| Broken { fault, untouched: true };
        let (mut page, mut blobs, mut seq) = (Vec::new(), Vec::new(), self.seq);
        for Pending { record, .. } in batch {
            let written = !record.event.is_volatile();
            seq += u64::from(written);
            record.seq = seq;
            if written {
                line::encode(record, INLINE, &mut page, &mut blobs)
                    .map_err(|error| untouched(self.file.fault("encode a record for", error)))?;
            }
        }
        self.blobs.store(&blobs).map_err(untouched)?;
        self.file.make_room(page.len() as u64).map_err(untouched)?;
        self.file.append(&page).map_err(|fault| Broken { fault, untouched: false })?;
        self.seq = seq;
        Ok(())
    }

    /// Tells of the records up to the first that has to be durable; of the others after a sync.
    fn sync_and_tell(&mut self, mut batch: Vec<Pending>) {
        for one in &mut batch {
            match one.reply.take() {
                Some(Reply::Written(to)) => drop(to.send(Ok(()))),
                other => one.reply = other,
            }
        }
        let first = batch.iter().position(|one| one.reply.is_some()).unwrap_or(batch.len());
        let waited_for = batch.split_off(first);
        self.tell(batch, |_| Ok(()));
        if waited_for.is_empty() {
            return;
        }
        match self.sync() {
            Ok(()) => self.tell(waited_for, |_| Ok(())),
            Err(fault) => {
                let cause = Arc::new(fault.into());
                self.state = State::Dead(Arc::clone(&cause));
                self.refuse(&cause, waited_for);
            }
        }
    }

    /// Answers those who wait and tells the listeners. All of it was stored as it had to be.
    fn tell(&mut self, batch: Vec<Pending>, answer: impl Fn(&Record) -> Result<(), JournalError>) {
        let mut records = Vec::with_capacity(batch.len());
        for Pending { record, reply } in batch {
            let record = Arc::new(record);
            // Nobody there any more: the record is written all the same.
            match reply {
                Some(Reply::Durable(to)) => drop(to.send(answer(&record).map(|()| Arc::clone(&record)))),
                Some(Reply::Written(to)) => drop(to.send(answer(&record))),
                None => {}
            }
            records.push(record);
        }
        for record in records {
            self.listeners.iter().for_each(|listener| listener(&record));
            self.outputs.add(record);
        }
    }

    /// Writes what cannot be had again into the reserve, whole, and refuses the rest.
    fn write_last_words(&mut self, cause: &Arc<Cause>, batch: Vec<Pending>) {
        let (mut page, mut seq) = (Vec::new(), self.seq);
        let (mut kept, mut refused) = (Vec::new(), Vec::new());
        for mut one in batch {
            let end = page.len();
            one.record.seq = seq + 1;
            if is_last_word(&one.record.event)
                && line::encode(&one.record, usize::MAX, &mut page, &mut Vec::new()).is_ok()
                && self.file.fits(page.len() as u64)
            {
                seq += 1;
                kept.push(one);
                continue;
            }
            page.truncate(end);
            one.record.seq = seq;
            if one.record.event.is_volatile() { kept.push(one) } else { refused.push(one) }
        }
        if !page.is_empty() {
            let appended = self.file.append(&page);
            self.seq = seq;
            if let Err(fault) = appended.and_then(|()| self.sync()) {
                let cause = Arc::new(fault.into());
                self.state = State::Dead(Arc::clone(&cause));
                kept.append(&mut refused);
                return self.refuse(&cause, kept);
            }
        }
        self.spill.save(refused.iter().map(|one| &one.record));
        // A result is safe, but the run must hear that it cannot go on; its end may just be told.
        let failure = self.failure(cause);
        self.tell(kept, |record| {
            let is_result =
                matches!(record.event, Event::CallFinished { .. } | Event::AttemptFinished { .. });
            if is_result { Err(failure.clone()) } else { Ok(()) }
        });
        refuse_all(refused, &failure);
    }

    fn refuse(&mut self, cause: &Arc<Cause>, batch: Vec<Pending>) {
        self.spill.save(batch.iter().map(|one| &one.record));
        refuse_all(batch, &self.failure(cause));
    }

    fn failure(&self, cause: &Arc<Cause>) -> JournalError {
        JournalError::Storage(Box::new(self.spill.failure(&self.dir, self.saved, cause)))
    }

    fn sync(&mut self) -> Result<(), Fault> {
        if self.saved < self.seq {
            self.file.sync()?;
            self.saved = self.seq;
        }
        Ok(())
    }
}

fn refuse_all(batch: Vec<Pending>, failure: &JournalError) {
    for reply in batch.into_iter().filter_map(|one| one.reply) {
        reply.refuse(failure.clone());
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// True for results and for how the run ended: the reserve is for them.
fn is_last_word(event: &Event) -> bool {
    match event {
        Event::CallFinished { .. }
        | Event::AttemptFinished { .. }
        | Event::ModelAnswered { .. }
        | Event::ToolEnded { .. }
        | Event::JobEnded { .. }
        | Event::SessionExtended { .. }
        | Event::Reconciled { .. }
        | Event::StopRequested { .. }
        | Event::Warned { .. }
        | Event::RunFinished(_) => true,
        Event::RunStarted(_)
        | Event::RunResumed { .. }
        | Event::ConflictsFound { .. }
        | Event::ResultsForgotten { .. }
        | Event::CallExpanded { .. }
        | Event::CallStarted { .. }
        | Event::CallProgressed { .. }
        | Event::CallWaiting { .. }
        | Event::RequestStarted(_)
        | Event::RequestFinished(_)
        | Event::AttemptFailed { .. }
        | Event::ModelAsked { .. }
        | Event::ToolStarted { .. }
        | Event::SubagentPlanned { .. }
        | Event::WorkspaceMade { .. }
        | Event::NotificationPosted { .. }
        | Event::NotificationsDrained { .. }
        | Event::NoticeDelivered { .. }
        | Event::QuestionAsked { .. }
        | Event::QuestionAnswered { .. } => false,
    }
}

/// The journal's file, and what is set aside for it on the disk.
pub(super) struct JournalFile {
    file: Box<dyn StoredFile>,
    path: PathBuf,
    len: u64,
    /// Up to which byte the disk space is sure; `None` where the file system cannot tell.
    sure: Option<u64>,
}

impl JournalFile {
    /// Takes over an open file of `len` bytes and sets its reserve aside.
    pub(super) fn new(dir: &Path, file: Box<dyn StoredFile>, len: u64) -> Result<JournalFile, Fault> {
        let mut file = JournalFile { file, path: dir.join(FILE), len, sure: Some(0) };
        file.make_room(0)?;
        Ok(file)
    }

    /// Sees to it that `more` bytes fit and leave the reserve untouched.
    fn make_room(&mut self, more: u64) -> Result<(), Fault> {
        let need = self.len + more + RESERVE;
        if self.sure.is_none_or(|sure| sure >= need) {
            return Ok(());
        }
        let (end, reserved) = match self.file.reserve(need + STEP) {
            Err(error) if is_full(&error) => (need, self.file.reserve(need)),
            result => (need + STEP, result),
        };
        let reserved = reserved.map_err(doing("set disk space aside for", &self.path))?;
        self.sure = reserved.then_some(end);
        Ok(())
    }

    /// True if `more` bytes fit into what was set aside.
    fn fits(&self, more: u64) -> bool {
        self.sure.is_none_or(|sure| self.len + more <= sure)
    }

    fn append(&mut self, page: &[u8]) -> Result<(), Fault> {
        if page.is_empty() {
            return Ok(());
        }
        self.file.append(page).map_err(doing("write", &self.path))?;
        self.len += page.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Fault> {
        self.file.sync().map_err(doing("sync", &self.path))
    }

    fn trim(&mut self) -> Result<(), Fault> {
        self.file.truncate(self.len).map_err(doing("trim", &self.path))
    }

    fn fault(&self, what: &'static str, error: impl Into<io::Error>) -> Fault {
        doing(what, &self.path)(error.into())
    }
}
