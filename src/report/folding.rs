//! Keeps the view of a run on a thread of its own, for whoever wants it at the end.
//!
//! Invariants: the listener never blocks, so a fold that takes its time (of a resumed run with
//! thousands of calls before it) holds up neither the journal nor the run; the thread has one
//! owner, the [`Folding`], which ends it.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use super::fold::RunView;
use super::redact::Redactor;
use crate::event::Record;
use crate::report::live::Listener;

/// Owns the folding. Dropping it ends the thread without a view.
#[derive(Debug)]
pub struct Folding {
    outbox: Sender<Option<Arc<Record>>>,
    thread: Option<JoinHandle<RunView>>,
}

impl Folding {
    /// Starts with what earlier processes of the run have recorded, which is cleaned here; what the
    /// listener hears has to be clean.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn start(earlier: Vec<Arc<Record>>, redactor: Redactor) -> std::io::Result<(Folding, Listener)> {
        // Unbounded: the records live in the view anyway, and share their texts with it.
        let (outbox, inbox) = mpsc::channel::<Option<Arc<Record>>>();
        let thread = std::thread::Builder::new().name("view".to_owned()).spawn(move || {
            let mut view = RunView::default();
            for record in earlier {
                view.apply(&redactor.record(&record));
            }
            while let Ok(Some(record)) = inbox.recv() {
                view.apply(&record);
            }
            view
        })?;
        let to = outbox.clone();
        let listener = move |record: &Arc<Record>| {
            // Fails only once nobody wants the view any more.
            let _ = to.send(Some(Arc::clone(record)));
        };
        Ok((Folding { outbox, thread: Some(thread) }, Box::new(listener)))
    }

    /// The view of all that was heard; `None` if the folding itself has failed.
    pub fn finish(mut self) -> Option<RunView> {
        let _ = self.outbox.send(None);
        self.thread.take()?.join().ok()
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        // Not waited for: it looks for this between two records.
        let _ = self.outbox.send(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::redact::Key;
    use crate::report::sample;

    #[test]
    fn what_was_before_and_what_is_heard_make_one_view_without_secrets() {
        let records: Vec<Arc<Record>> = sample::mixed().into_iter().map(Arc::new).collect();
        let redactor = Redactor::new(Key::default(), [("LAB_API_KEY", "auth/login.test.ts")]);
        let (before, after) = records.split_at(records.len() / 2);
        let (folding, listener) = Folding::start(before.to_vec(), redactor.clone()).unwrap();
        after.iter().for_each(|record| listener(&redactor.record(record)));
        let clean: Vec<Arc<Record>> = records.iter().map(|record| redactor.record(record)).collect();
        assert_eq!(folding.finish().unwrap(), RunView::of(clean.iter().map(AsRef::as_ref)));
    }
}
