//! From many senders to the one writer, in order.
//!
//! Invariant: what is pushed is taken once, in the order of the pushes, which is also the
//! order of the time stamps. A push never waits for the disk.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::event::{Event, Record};

use super::JournalError;
use super::storage::Clock;

/// Above so many waiting records, progress is dropped: the next one replaces it anyway.
const PLENTY: usize = 4096;

/// A record on its way to the file.
pub(super) struct Pending {
    /// Without its number yet.
    pub(super) record: Record,
    /// Where somebody waits for it to be durable.
    pub(super) reply: Option<Reply>,
}

/// Tells one sender that its record is durable, or why not.
pub(super) type Reply = oneshot::Sender<Result<Arc<Record>, JournalError>>;

impl Pending {
    /// Stamps an event with the current time, in whole milliseconds as they are written.
    pub(super) fn stamp(clock: &dyn Clock, event: Event, reply: Option<Reply>) -> Pending {
        let wall = clock.wall();
        let at = Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall);
        let elapsed = Duration::from_millis(u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX));
        Pending { record: Record { seq: 0, at, elapsed, event }, reply }
    }
}

/// What is waiting for the writer.
///
/// Unbounded, because senders must not wait for the disk here: those whose record matters
/// wait for its sync, so there are no more of those than running calls, and each call
/// makes few others.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    records: Vec<Pending>,
    closed: bool,
}

/// What the writer has to do next.
pub(super) enum Work {
    /// These, in order; possibly none, if it did not want to wait.
    Write(Vec<Pending>),
    /// These, and then nothing more will ever come.
    WriteLast(Vec<Pending>),
}

impl Queue {
    /// Puts an event at the end of the queue. `false` if the queue is closed.
    pub(super) fn push(&self, clock: &dyn Clock, event: Event, reply: Option<Reply>) -> bool {
        let mut waiting = self.lock();
        if waiting.closed {
            return false;
        }
        if event.is_volatile() && waiting.records.len() >= PLENTY {
            return true;
        }
        waiting.records.push(Pending::stamp(clock, event, reply));
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// Takes everything that waits; if that is nothing and `wait`, waits for something.
    pub(super) fn take(&self, wait: bool) -> Work {
        let mut waiting = self.lock();
        while wait && waiting.records.is_empty() && !waiting.closed {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let records = mem::take(&mut waiting.records);
        if waiting.closed { Work::WriteLast(records) } else { Work::Write(records) }
    }

    /// Lets nothing more in.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Lets nothing more in and forgets what waits; whoever waits for it is told.
    pub(super) fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.records.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
