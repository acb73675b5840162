//! What a call makes its requests with: its seat under the limits, its accounts, and who
//! hears of what becomes of them.
//!
//! Invariant: every request of a call is charged to all of the call's accounts, whoever
//! makes it inside.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;

use crate::event::{Event, Millis, RequestFinished, RequestStarted};
use crate::id::{CallId, InstanceId};
use crate::limits::budget::{Account, Ledger, Notice};
use crate::limits::gate::{Waiting, Why};
use crate::limits::seat::Seat;

/// Who writes down what becomes of requests.
pub trait Book: Send + Sync {
    /// Writes it down some time soon.
    fn note(&self, event: Event);

    /// Writes it down with the next one, which follows at once.
    fn note_before_more(&self, event: Event);

    /// Writes it down, and is done when the end of this process cannot lose it; or says why it cannot.
    fn write(&self, event: Event) -> BoxFuture<'_, Result<(), String>>;

    /// Writes it down, and is done when it is durable; or says why it cannot.
    fn commit(&self, event: Event) -> BoxFuture<'_, Result<(), String>>;
}

/// What one call makes its requests with.
pub struct Access {
    /// Who asks.
    pub instance: InstanceId,
    /// Its places under the limits; given back while it waits.
    pub seat: Seat,
    /// How long the longest way behind the call is: longer goes first.
    pub ahead: u32,
    /// The accounts of the run.
    pub ledger: Arc<Ledger>,
    /// Those that it is charged to.
    pub accounts: Vec<Account>,
    /// Who hears of it; `None` for nobody.
    pub book: Option<Arc<dyn Book>>,
    /// Counts its requests.
    pub made: AtomicU64,
}

impl Default for Access {
    /// Bounded by nothing and heard by nobody.
    fn default() -> Access {
        Access {
            instance: InstanceId::only(CallId::parent_step()),
            seat: Seat::default(),
            ahead: 0,
            ledger: Arc::default(),
            accounts: Vec::new(),
            book: None,
            made: AtomicU64::new(0),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl Access {
    /// True when a budget bounds its requests.
    pub fn is_bounded(&self) -> bool {
        self.ledger.bounds(&self.accounts)
    }

    /// The number of its next request.
    pub(super) fn next(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// It waits, for a gate or a budget.
    pub fn waits(&self, on: &str, reason: &str, left: Option<Duration>) {
        self.note(Event::CallWaiting {
            instance: self.instance.clone(),
            on: on.to_owned(),
            reason: reason.to_owned(),
            left: left.map(Millis),
        });
    }

    /// It waits for a gate.
    pub fn waits_at(&self, on: &str, waiting: Waiting) {
        let reason = match waiting.why {
            None => "queue",
            Some(Why::Announced) => "rate_limit",
            Some(Why::Paused) => "overload",
            Some(Why::Rate) => "rate",
        };
        let left = waiting.until.map(|until| until.saturating_duration_since(tokio::time::Instant::now()));
        self.waits(on, reason, left);
    }

    /// A request is about to be made. That is written down first, so that a kill cannot hide what may be
    /// billed; with a budget it is durable as well.
    pub(super) async fn starts(&self, request: RequestStarted) -> Result<(), String> {
        let Some(book) = &self.book else { return Ok(()) };
        let event = Event::RequestStarted(request);
        if self.is_bounded() { book.commit(event).await } else { book.write(event).await }
    }

    /// A request is over. After one that was answered, what comes of it follows at once.
    pub(super) fn ends(&self, request: RequestFinished) {
        let answered = request.failure.is_none();
        let event = Event::RequestFinished(request);
        match &self.book {
            Some(book) if answered => book.note_before_more(event),
            Some(book) => book.note(event),
            None => {}
        }
    }

    /// Says that budgets near their end.
    pub(super) fn tell(&self, notices: Vec<Notice>) {
        for notice in notices {
            self.warns("budget", notice.to_string());
        }
    }

    /// Says something that people should know.
    pub(super) fn warns(&self, code: &str, message: String) {
        self.note(Event::Warned { code: code.to_owned(), message });
    }

    fn note(&self, event: Event) {
        if let Some(book) = &self.book {
            book.note(event);
        }
    }
}
