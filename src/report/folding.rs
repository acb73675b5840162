//! Keeps the view of a run on a thread of its own, for whoever wants it at the end.
//!
//! Invariants: the listener never blocks, so a fold that takes its time (of a resumed run with
//! thousands of calls before it) holds up neither the journal nor the run; the thread has one
//! owner, the [`Folding`], which ends it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::fold::RunView;
use super::redact::Redactor;
use crate::event::Record;
use crate::report::live::Listener;

/// How many records are folded at a time while the run goes on. Nobody looks before its end, and to
/// wake a thread costs more than to fold a record.
const AT_A_TIME: usize = 256;

/// Owns the folding. Dropping it ends the thread without a view.
#[derive(Debug)]
pub struct Folding {
    heard: Arc<Heard>,
    thread: Option<JoinHandle<RunView>>,
}

/// What was heard and not folded yet.
#[derive(Debug, Default)]
struct Heard {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<Arc<Record>>,
    over: bool,
}

impl Folding {
    /// Starts with what earlier processes of the run have recorded, which is cleaned here; what the
    /// listener hears has to be clean.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn start(earlier: Vec<Arc<Record>>, redactor: Redactor) -> std::io::Result<(Folding, Listener)> {
        let heard = Arc::new(Heard::default());
        let inbox = Arc::clone(&heard);
        let thread = std::thread::Builder::new().name("view".to_owned()).spawn(move || {
            let mut view = RunView::default();
            for record in earlier {
                view.apply(&redactor.record(&record));
            }
            loop {
                let (records, over) = inbox.next();
                records.iter().for_each(|record| view.apply(record));
                if over {
                    return view;
                }
            }
        })?;
        let to = Arc::clone(&heard);
        let listener = move |record: &Arc<Record>| to.hear(record);
        Ok((Folding { heard, thread: Some(thread) }, Box::new(listener)))
    }

    /// The view of all that was heard; `None` if the folding itself has failed.
    pub fn finish(mut self) -> Option<RunView> {
        self.heard.end();
        self.thread.take()?.join().ok()
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        // Not waited for: it looks for this between two folds.
        self.heard.end();
    }
}

impl Heard {
    fn hear(&self, record: &Arc<Record>) {
        let mut waiting = self.lock();
        waiting.records.push(Arc::clone(record));
        if waiting.records.len() == AT_A_TIME {
            self.changed.notify_one();
        }
    }

    fn end(&self) {
        self.lock().over = true;
        self.changed.notify_one();
    }

    /// Waits until there is enough to do, or nothing more will come.
    fn next(&self) -> (Vec<Arc<Record>>, bool) {
        let too_few = |waiting: &mut Waiting| waiting.records.len() < AT_A_TIME && !waiting.over;
        let mut waiting =
            self.changed.wait_while(self.lock(), too_few).unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut waiting.records), waiting.over)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
