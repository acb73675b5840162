//! What has been written down and synced, as a type.
//!
//! Invariant: a [`Durable`] exists only for something that a completed sync covers.
//! Whoever shows a result, or starts work on one, asks for it by this type, and so
//! cannot come before the journal.

use std::ops::Deref;

/// Something that survives the death of this process and of the machine.
///
/// Only the journal makes one: [`Journal::commit`](super::Journal::commit) and
/// [`Journal::finish`](super::Journal::finish) after the sync, and
/// [`Journal::recall`](super::Journal::recall) from what an earlier process synced.
///
/// ```no_run
/// use fanout::id::{CallId, InstanceId};
/// use fanout::journal::{Durable, Journal, JournalError};
/// use fanout::outcome::{Outcome, Output};
///
/// fn show(outcome: &Durable<Outcome>) {}
///
/// async fn end(journal: &Journal, id: InstanceId) -> Result<(), JournalError> {
///     let outcome = Outcome::ok(Output::text("42"));
///     show(&journal.finish(id, None, outcome).await?);
///     Ok(())
/// }
/// ```
///
/// Showing it first does not compile:
///
/// ```compile_fail
/// use fanout::journal::Durable;
/// use fanout::outcome::{Outcome, Output};
///
/// fn show(outcome: &Durable<Outcome>) {}
///
/// show(&Outcome::ok(Output::text("42")));
/// ```
///
/// and nobody else can vouch for it:
///
/// ```compile_fail
/// use fanout::journal::Durable;
/// use fanout::outcome::{Outcome, Output};
///
/// let forged = Durable(Outcome::ok(Output::text("42")));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// To be called where a sync that covers `value` has just succeeded, and nowhere else.
    pub(super) fn vouch(value: T) -> Durable<T> {
        Durable(value)
    }

    /// The value, from here on without the proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Durable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
