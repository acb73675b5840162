//! Tells people what happened in a run, beyond the screen: desktop, terminal, a command, a webhook.
//!
//! ```text
//! records ─notice─▶ Notice ─▶ Inbox ─post─▶ bell | desktop | command | webhook ─▶ NoticeDelivered
//! ```
//!
//! Invariants: nothing here holds up or fails a run: the listener never blocks, and what
//! is not delivered [`PATIENCE`] after the run's end is given up. Every delivery, and every one
//! that failed, is in the journal. What a notice says has been through the redactor.

mod channels;
mod notice;
mod webhook;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use notice::Notice;

use crate::event::{Event, Record};
use crate::journal::{Journal, Listener};
use crate::outcome::Cause;
use crate::plan::notify::{Notify, Topic};
use crate::process::Reaper;
use notice::Watcher;

/// How long after the run's end deliveries may still take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How many notices are under way at once; the others wait.
const AT_ONCE: usize = 8;

/// Rings the terminal for a notice; false where there is none.
pub type Bell = Box<dyn Fn(&Notice) -> bool + Send + Sync>;

/// Looks up an environment variable.
pub type Variable = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What deliveries need from outside the plan.
pub struct Surroundings {
    /// Where deliveries are written down.
    pub journal: Arc<Journal>,
    /// Where a command works: the plan's folder.
    pub dir: PathBuf,
    /// Looks up an environment variable.
    pub variable: Variable,
    /// Ends a command when this process is killed.
    pub reaper: Option<Reaper>,
    /// The terminal.
    pub bell: Bell,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// What the run's records became, on its way out.
#[derive(Debug)]
pub struct Inbox(mpsc::UnboundedReceiver<Heard>);

#[derive(Debug)]
enum Heard {
    Notice(Arc<Notice>),
    /// The run has ended; nothing follows.
    End,
}

/// Listens to a run whose earlier records, if any, are these.
///
/// The inbox is not bounded, since the listener must not block; it holds a fraction of what the
/// journal has just written.
pub fn listen<'a>(
    settings: &Notify,
    earlier: impl IntoIterator<Item = &'a Arc<Record>>,
) -> (Listener, Inbox) {
    let (outbox, inbox) = mpsc::unbounded_channel();
    let mut watcher = Watcher::new(&settings.on);
    earlier.into_iter().for_each(|record| watcher.remember(record));
    let watcher = Mutex::new(watcher);
    let listener = Box::new(move |record: &Arc<Record>| {
        // Only the journal's thread is ever in here.
        let Ok(mut watcher) = watcher.lock() else { return };
        if let Some(notice) = watcher.hear(record) {
            let _ = outbox.send(Heard::Notice(Arc::new(notice)));
        }
        if let Event::RunFinished(_) = record.event {
            let _ = outbox.send(Heard::End);
        }
    });
    (listener, Inbox(inbox))
}

/// Delivers until the run has ended and everything is out, or [`PATIENCE`] after its end.
pub async fn post(settings: &Notify, surroundings: &Surroundings, Inbox(mut inbox): Inbox) {
    let (end, ended) = watch::channel(None::<Instant>);
    let post = channels::Post::new(settings, surroundings);
    let mut under_way = FuturesUnordered::new();
    let mut listening = true;
    while listening || !under_way.is_empty() {
        tokio::select! {
            heard = inbox.recv(), if listening && under_way.len() < AT_ONCE => match heard {
                Some(Heard::Notice(notice)) => {
                    for to in post.channels() {
                        under_way.push(deliver(&post, to, Arc::clone(&notice), ended.clone()));
                    }
                }
                Some(Heard::End) | None => {
                    listening = false;
                    end.send_replace(Some(Instant::now() + PATIENCE));
                }
            },
            Some(()) = under_way.next() => {}
        }
    }
}

/// Delivers one notice over one channel and writes down how that went.
async fn deliver(
    post: &channels::Post<'_>,
    to: channels::Channel,
    notice: Arc<Notice>,
    ended: watch::Receiver<Option<Instant>>,
) {
    let outcome = tokio::select! {
        delivered = post.send(to, &notice) => delivered,
        () = given_up(ended) => {
            let message = format!("given up {} s after the run's end", PATIENCE.as_secs());
            channels::Delivered { attempts: 0, cause: Some(Cause::new("given_up", message)) }
        }
    };
    post.surroundings.journal.note(Event::NoticeDelivered {
        topic: notice.topic.as_str().to_owned(),
        to: to.as_str().to_owned(),
        attempts: outcome.attempts,
        cause: outcome.cause,
    });
}

async fn given_up(mut ended: watch::Receiver<Option<Instant>>) {
    let until = match ended.wait_for(Option::is_some).await {
        Ok(until) => until.unwrap_or_else(Instant::now),
        // Its sender lives as long as the deliveries do.
        Err(_) => return,
    };
    tokio::time::sleep_until(until).await;
}

/// True when anybody wants to hear of this.
pub(crate) fn is_wanted(settings: &[Topic], topic: Topic) -> bool {
    settings.contains(&topic)
}
