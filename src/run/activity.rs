//! Passes on what a running instance is doing, seldom enough that watching costs nothing.
//!
//! Invariant: at most ten reports a second and instance, however much it prints.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::event::Event;
use crate::id::InstanceId;
use crate::journal::Journal;
use crate::unit::Tokens;

/// In milliseconds.
const EVERY: u64 = 100;
/// More of a line than any display shows.
const LONGEST: usize = 200;

/// The reporter of one instance.
#[derive(Debug)]
pub(crate) struct Activity {
    journal: Arc<Journal>,
    instance: InstanceId,
    began: Instant,
    /// When the next report is due, in milliseconds since `began`.
    next: AtomicU64,
    /// The end of what was printed: a line may come in pieces, and is shown as far as it is there.
    tail: Mutex<Vec<u8>>,
}

impl Activity {
    pub(crate) fn new(journal: Arc<Journal>, instance: InstanceId) -> Activity {
        Activity { journal, instance, began: Instant::now(), next: AtomicU64::new(0), tail: Mutex::default() }
    }

    /// The time, if a report is due.
    fn due(&self) -> Option<u64> {
        let now = u64::try_from(Duration::as_millis(&self.began.elapsed())).unwrap_or(u64::MAX);
        (now >= self.next.load(Ordering::Relaxed)).then_some(now)
    }

    /// Reports a line and the tokens received so far, unless one was reported just now.
    pub(crate) fn report(&self, line: &str, tokens: Tokens) {
        let Some(now) = self.due() else { return };
        self.next.store(now + EVERY, Ordering::Relaxed);
        self.tell(line, tokens);
    }

    /// The same, however soon after the last report.
    pub(crate) fn tell(&self, line: &str, tokens: Tokens) {
        let line = line.trim();
        let activity = match line.char_indices().nth(LONGEST) {
            Some((cut, _)) => line[..cut].to_owned(),
            None => line.to_owned(),
        };
        self.journal.note(Event::CallProgressed { instance: self.instance.clone(), activity, tokens });
    }

    /// Reports the last line of what was printed up to this piece of output.
    pub(crate) fn output(&self, bytes: &[u8]) {
        const KEPT: usize = 4 * LONGEST;
        let line = {
            let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend(&bytes[bytes.len().saturating_sub(KEPT)..]);
            let more = tail.len().saturating_sub(KEPT);
            tail.drain(..more);
            // Most pieces come too soon after the last.
            if self.due().is_none() {
                return;
            }
            let text = String::from_utf8_lossy(&tail);
            text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
        };
        if let Some(line) = line {
            self.report(&line, Tokens(0));
        }
    }
}
