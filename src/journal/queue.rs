//! From many senders to the one writer, in order.
//!
//! Invariant: what is pushed is taken once, in the order of the pushes, which is also the
//! order of the time stamps. A push never waits for the disk, and wakes the writer only where
//! that sleeps: to wake a thread costs more than to write a record.

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
    /// Where somebody waits for it.
    pub(super) reply: Option<Reply>,
}

/// Tells one sender how far its record has come, or why it has not.
pub(super) enum Reply {
    /// It is in the file: the end of this process cannot lose it.
    Written(oneshot::Sender<Result<(), JournalError>>),
    /// It is durable.
    Durable(oneshot::Sender<Result<Arc<Record>, JournalError>>),
}

impl Reply {
    /// Says that it will not come to that.
    pub(super) fn refuse(self, error: JournalError) {
        // Nobody there any more: whoever gave up does not need to hear it.
        match self {
            Reply::Written(to) => drop(to.send(Err(error))),
            Reply::Durable(to) => drop(to.send(Err(error))),
        }
    }
}

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
    /// The writer sleeps, and nobody has woken it since.
    asleep: bool,
}

/// What the writer has to do next.
pub(super) enum Work {
    /// These, in order; none, if nothing came in time.
    Write(Vec<Pending>),
    /// These, and then nothing more will ever come.
    WriteLast(Vec<Pending>),
}

impl Waiting {
    /// False for what is not taken.
    fn put(&mut self, clock: &dyn Clock, event: Event, reply: Option<Reply>) -> bool {
        if self.closed {
            return false;
        }
        // Too much of this is dropped.
        if !event.is_volatile() || self.records.len() < PLENTY {
            self.records.push(Pending::stamp(clock, event, reply));
        }
        true
    }
}

impl Queue {
    /// Puts an event at the end of the queue. Whoever waits is told if the queue is closed.
    pub(super) fn push(&self, clock: &dyn Clock, event: Event, reply: Option<Reply>) {
        let mut waiting = self.lock();
        let wake = waiting.put(clock, event, reply) && mem::take(&mut waiting.asleep);
        drop(waiting);
        if wake {
            self.changed.notify_one();
        }
    }

    /// The same for an event that its sender lets another one follow at once, or a
    /// [`wake`](Queue::wake): the writer is not woken before that.
    pub(super) fn push_before_more(&self, clock: &dyn Clock, event: Event, reply: Option<Reply>) {
        self.lock().put(clock, event, reply);
    }

    /// Wakes the writer if it sleeps and something waits for it.
    pub(super) fn wake(&self) {
        let mut waiting = self.lock();
        let wake = !waiting.records.is_empty() && mem::take(&mut waiting.asleep);
        drop(waiting);
        if wake {
            self.changed.notify_one();
        }
    }

    /// Takes everything that waits; if that is nothing, waits for something, at most so long.
    pub(super) fn take(&self, wait: Option<Duration>) -> Work {
        let mut waiting = self.lock();
        if waiting.records.is_empty() && !waiting.closed && wait != Some(Duration::ZERO) {
            waiting.asleep = true;
            let asleep = |waiting: &mut Waiting| waiting.asleep;
            waiting = match wait {
                None => self.changed.wait_while(waiting, asleep).unwrap_or_else(PoisonError::into_inner),
                Some(most) => {
                    let woken = self.changed.wait_timeout_while(waiting, most, asleep);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            waiting.asleep = false;
        }
        let records = mem::take(&mut waiting.records);
        if waiting.closed { Work::WriteLast(records) } else { Work::Write(records) }
    }

    /// Lets nothing more in.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        (waiting.closed, waiting.asleep) = (true, false);
        drop(waiting);
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
