//! The run as it is written down: append, sync, read back, repair.
//!
//! ```text
//! many senders ─note/commit─▶ queue ─▶ one writer thread ─▶ blobs ─▶ journal.jsonl ─▶ fdatasync
//!                                                                        │                │
//!                                              listeners of passing news ◀┘                ├─▶ Durable<…>
//!                                                                                         └─▶ listeners
//! ```
//!
//! A run *is* its journal: whoever shows a run, live or past, folds its records, and a
//! resumed run asks it for each result by content key before doing the work again.
//! docs/journal.md has the format and what is promised.
//!
//! Invariant: durable before visible. A [`Durable`] comes from here and nowhere else.

mod blob;
pub mod cache;
mod durable;
mod follow;
mod line;
mod lock;
mod memo;
mod open;
mod outputs;
mod past;
mod payload;
mod queue;
mod recording;
mod runs;
mod spill;
mod storage;
mod tail;
mod talk;
#[cfg(test)]
mod tests;
mod took;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use crate::event::{Event, Exchanged, Record};
use crate::id::{AttemptNo, CallId, ContentKey, InstanceId, RunId};
use crate::outcome::{Outcome, Output};

use memo::Memo;
use queue::{Queue, Reply};
use storage::Fault;
use writer::Writer;

pub use durable::Durable;
pub use follow::{holder, remove, wait};
pub use lock::{Holder, host as this_host};
pub use outputs::output_path;
pub use past::{CutOff, Damage, DamageFault, Past, RunState, TornTail, read, read_with};
pub use payload::PayloadFault;
pub use recording::{Answered, Recording, StepAnswered};
pub use runs::{FindError, Glance, RunSummary, find, folder, list};
pub use spill::StorageFailure;
pub use storage::{Clock, Disk, Nowhere, Storage, StoredFile, SystemClock};
pub use tail::Tail;
pub use talk::Part;
pub use took::{Took, took};

/// Hears of records, in order, on the writer's thread.
///
/// It must not block: while it runs nothing is written. A record that somebody waits for
/// is heard once it is durable; one that was only noted once it is in the file; volatile
/// ones in between, in their place.
pub type Listener = Box<dyn Fn(&Arc<Record>) + Send>;

/// What a journal needs besides its run.
#[derive(Clone)]
pub struct Options {
    /// Where it writes; [`Disk`] but for tests.
    pub storage: Arc<dyn Storage>,
    /// What stamps the records.
    pub clock: Arc<dyn Clock>,
    /// Where finished results go that the run's disk has no room for; `None` for the
    /// system's folder for temporary files.
    pub spill_dir: Option<PathBuf>,
    /// Files to keep with the run, durable before its first record: the plan as it was.
    pub snapshots: Vec<Snapshot>,
    /// What to do about damage when a run is resumed.
    pub salvage: Salvage,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            storage: Arc::new(Disk),
            clock: Arc::new(SystemClock::start()),
            spill_dir: None,
            snapshots: Vec::new(),
            salvage: Salvage::No,
        }
    }
}

impl Options {
    fn spill_dir(&self) -> PathBuf {
        self.spill_dir.clone().unwrap_or_else(std::env::temp_dir)
    }
}

/// A file as it was when the run began, kept in the run's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// A plain file name, such as `plan.yaml`; none of the journal's own.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What to do about a journal that is damaged in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Salvage {
    /// Refuse it, naming the damage.
    #[default]
    No,
    /// Go on without the damaged records: what they said counts as not done.
    Yes,
}

/// Why a journal cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The disk is full or broken: the run has to end. What is safe, and where, is in it.
    #[error(transparent)]
    Storage(Box<StorageFailure>),
    /// Another process is at this run.
    #[error("run {run} is in use{}", held_by(by.as_ref()))]
    Held {
        /// The run.
        run: RunId,
        /// The process, where it has said so.
        by: Option<Holder>,
    },
    /// Something in it is not as it was written.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// It is in a format that this version does not know.
    #[error(
        "the run in {} was written by fanout {fanout} (format {format}); this is fanout {}, which reads formats up to {}",
        dir.display(), env!("CARGO_PKG_VERSION"), crate::event::FORMAT
    )]
    Newer {
        /// The run's directory.
        dir: PathBuf,
        /// The format.
        format: u32,
        /// The version that wrote it, and can read it.
        fanout: String,
    },
    /// There is no such run.
    #[error("there is no run in {}", dir.display())]
    Missing {
        /// Where it should be.
        dir: PathBuf,
    },
    /// Its process ended before the first record: nothing was started.
    #[error("the run in {} never began: it was stopped before its first record", dir.display())]
    NeverBegan {
        /// The run's directory.
        dir: PathBuf,
    },
    /// A file of it cannot be read.
    #[error("could not read {}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A snapshot must have a plain name that is none of the journal's own.
    #[error("`{name}` cannot be the name of a file in a run's directory")]
    Snapshot {
        /// The name that was given.
        name: String,
    },
    /// It was closed, or its thread has died: a bug, here or in a listener.
    #[error("the journal is closed")]
    Closed,
}

fn held_by(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { pid, host, since }) => format!(" by process {pid} on {host} since {since:.0}"),
        None => " by another process".to_owned(),
    }
}

/// The journal of a run in progress; see [`Journal::create`] and [`Journal::resume`].
///
/// Everything in it takes `&self`: it is shared by all calls of the run. Dropping it
/// waits until what was sent is written.
pub struct Journal {
    run: RunId,
    dir: PathBuf,
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    /// False where nothing of the run is kept.
    keeps: bool,
    memo: Mutex<Memo>,
    done: watch::Receiver<Option<Result<(), JournalError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    fn start(
        run: RunId,
        dir: PathBuf,
        writer: Writer,
        memo: Memo,
        options: &Options,
    ) -> Result<Journal, Fault> {
        let queue = Arc::new(Queue::default());
        let (tell, done) = watch::channel(None);
        let inner = Arc::clone(&queue);
        // Deep values are packed by recursion; memory that is not used costs nothing.
        let thread = std::thread::Builder::new().name("journal".to_owned()).stack_size(16 << 20);
        let thread = thread.spawn(move || {
            // If a listener panics, nobody must wait for an answer that cannot come.
            let abandoned = AbandonOnDrop(inner);
            writer.run(&abandoned.0, &tell);
        });
        let thread = thread.map_err(storage::doing("start the writer of", &dir))?;
        let clock = Arc::clone(&options.clock);
        let keeps = options.storage.keeps();
        Ok(Journal { run, dir, queue, clock, keeps, memo: Mutex::new(memo), done, thread: Some(thread) })
    }

    /// The run's own name.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The run's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Records an event, in its place, without waiting. It becomes durable with the next one
    /// that somebody waits for; after a storage failure it is dropped.
    pub fn note(&self, event: Event) {
        self.queue.push(&*self.clock, event, None);
    }

    /// The same for an event that its sender lets another one follow at once. Until that comes, the
    /// writer need not be woken, and both share a write.
    pub fn note_before_more(&self, event: Event) {
        self.queue.push_before_more(&*self.clock, event, None);
    }

    /// Records an event and waits until it is in the file, with all before it. From then on the end of
    /// this process cannot lose it; that of the machine can, until something after it is durable.
    ///
    /// # Errors
    /// As [`commit`](Journal::commit).
    pub async fn write(&self, event: Event) -> Result<(), JournalError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push_before_more(&*self.clock, event, Some(Reply::Written(reply)));
        // Whoever else is about to begin at this moment shares the write.
        tokio::task::yield_now().await;
        self.queue.wake();
        answer.await.unwrap_or(Err(JournalError::Closed))
    }

    /// Records an event and waits until it is durable.
    ///
    /// All that wait at the same time share a sync. If the wait is given up, the event is
    /// recorded all the same.
    ///
    /// # Errors
    /// [`JournalError::Storage`] once the disk has failed: the run has to end. The error
    /// says what is safe. [`JournalError::Closed`] after [`close`](Journal::close).
    pub async fn commit(&self, event: Event) -> Result<Durable<Arc<Record>>, JournalError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(&*self.clock, event, Some(Reply::Durable(reply)));
        match answer.await {
            Ok(result) => result.map(Durable::vouch),
            Err(_) => Err(JournalError::Closed),
        }
    }

    /// Records how an instance ended, and returns the outcome as one that may be seen.
    ///
    /// # Errors
    /// As [`commit`](Journal::commit).
    pub async fn finish(
        &self,
        instance: InstanceId,
        key: Option<ContentKey>,
        outcome: Outcome,
    ) -> Result<Durable<Outcome>, JournalError> {
        let seen = outcome.clone();
        self.commit(Event::CallFinished { instance: instance.clone(), key, outcome }).await?;
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).talks.end(&instance, seen.status);
        Ok(Durable::vouch(seen))
    }

    /// The recorded success of the same work, marked as reused; `None` if it has to be done.
    ///
    /// Each is handed out once: an instance gets its own one, else the earliest that is
    /// left. It is durable already; noting it again as a `CallFinished` is for those who
    /// listen.
    pub fn recall(&self, key: &ContentKey, instance: &InstanceId) -> Option<Durable<Outcome>> {
        let mut memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        memo.take(key, instance).map(Durable::vouch)
    }

    /// How those subagents of an instance that has ended, and theirs, ended in an earlier process and
    /// not in this one; each is told once.
    pub fn take_beneath(&self, instance: &InstanceId) -> Vec<Outcome> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).take_beneath(instance)
    }

    /// Records one of several steps of an instance, and returns once it is durable.
    ///
    /// # Errors
    /// As [`commit`](Journal::commit).
    pub async fn keep_step(
        &self,
        instance: InstanceId,
        attempt: AttemptNo,
        key: ContentKey,
        outcome: Outcome,
    ) -> Result<(), JournalError> {
        self.commit(Event::AttemptFinished { instance, attempt, key, outcome }).await.map(|_| ())
    }

    /// The recorded step of this instance under this key that comes next; each is handed out once.
    pub fn recall_step(&self, key: &ContentKey, instance: &InstanceId) -> Option<Durable<Outcome>> {
        let mut memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        memo.take_step(key, instance).map(Durable::vouch)
    }

    /// Records a part of an agent's conversation, and returns once it is durable. From then on
    /// [`part_of_talk`](Journal::part_of_talk) knows it.
    ///
    /// # Errors
    /// As [`commit`](Journal::commit).
    pub async fn keep_part(&self, event: Event) -> Result<(), JournalError> {
        self.commit(event.clone()).await?;
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).talks.hear(&event);
        Ok(())
    }

    /// The same without waiting: for what nothing depends on before the next thing that is kept.
    pub fn note_part(&self, event: Event) {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).talks.hear(&event);
        self.note(event);
    }

    /// A part of an instance's conversation, as this process or an earlier one recorded it.
    pub fn part_of_talk(&self, instance: &InstanceId, part: Part, key: &ContentKey) -> Option<Arc<Event>> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).talks.part(instance, part, key)
    }

    /// The file of an instance's output, which is there when this returns: for whoever is told of its
    /// path instead of its text.
    pub fn output_file(&self, instance: &InstanceId, output: &Output) -> PathBuf {
        if !self.keeps {
            return output_path(&self.dir, instance, output);
        }
        outputs::on_demand(&self.dir, instance, output).unwrap_or_else(|fault| {
            let message = format!("could not {} {}: {}", fault.doing, fault.path.display(), fault.source);
            self.note(Event::Warned { code: "output_file".to_owned(), message });
            output_path(&self.dir, instance, output)
        })
    }

    /// True where any part of an instance's conversation is on record.
    pub fn has_talk(&self, instance: &InstanceId) -> bool {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).talks.has(instance)
    }

    /// What an instance left for the next call of its session, as this process or an earlier one recorded
    /// it with [`keep_part`](Journal::keep_part).
    pub fn exchanged(&self, instance: &InstanceId) -> Option<Arc<Exchanged>> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).talks.exchanged(instance)
    }

    /// How many starts of this work were cut off by a kill; 0 once it has ended since.
    pub fn cut_off(&self, key: &ContentKey, instance: &InstanceId) -> u32 {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).cut_off(key, instance)
    }

    /// Sees to it that nothing of these calls is recalled, now or by a later process.
    pub fn forget(&self, calls: Vec<CallId>) {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).forget(&calls);
        self.note(Event::ResultsForgotten { calls });
    }

    /// Writes what was sent, makes all of it durable, and lets go of the run.
    ///
    /// When this returns, the listeners have heard everything. What is sent later is refused.
    ///
    /// # Errors
    /// [`JournalError::Storage`] if not everything that was sent could be kept,
    /// [`JournalError::Closed`] if the writer's thread has died.
    pub async fn close(&self) -> Result<(), JournalError> {
        self.queue.close();
        let mut done = self.done.clone();
        match done.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(Err(JournalError::Closed)),
            Err(_) => Err(JournalError::Closed),
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported already, to those who waited.
            let _ = thread.join();
        }
    }
}

struct AbandonOnDrop(Arc<Queue>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
