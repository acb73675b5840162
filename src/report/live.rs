//! Carries records from the journal's listener to the thread that shows them.
//!
//! Invariants: the [`Listener`] never blocks and never fails, so neither a stalled
//! terminal nor a closed pipe can hold up or end a run; news that is written down is
//! never dropped on the way, volatile news is when the thread falls behind; the
//! thread has one owner, the [`Handle`], which ends it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::TermLike;

use super::json_lines::JsonLines;
use super::plain::Lines;
use super::progress::{Past, Progress};
use super::style::Style;
use crate::event::Record;

/// What the journal calls with every record, after it is durable. Never blocks.
pub type Listener = Box<dyn Fn(&Arc<Record>) + Send>;

/// How many undelivered records there may be before volatile ones are dropped.
const BACKLOG: usize = 1024;

/// How long records gather before a terminal is told of them: well under a frame, and to wake a thread
/// for each would cost more than showing it.
const NAP: Duration = Duration::from_millis(20);

/// How long the end of a run waits for a terminal that takes nothing more.
const STALL: Duration = Duration::from_secs(2);

/// Where live news goes.
pub enum Target {
    /// A terminal whose lines can be drawn again. Its size is asked for at every frame.
    Screen {
        /// `console::Term::buffered_stderr()`, or a terminal in memory.
        terminal: Box<dyn TermLike>,
        /// Colour and characters; width and height come from the terminal.
        style: Style,
        /// What earlier runs of the plan took, for an estimate of the time that is left.
        past: Past,
    },
    /// Anything that takes lines.
    Lines {
        /// Standard error.
        to: Box<dyn io::Write + Send>,
        /// Colour and characters.
        style: Style,
        /// Only problems.
        quiet: bool,
    },
    /// One JSON object a line: the records as they are.
    JsonLines {
        /// Standard output.
        to: Box<dyn io::Write + Send>,
    },
}

/// Whether everything was shown.
#[derive(Debug)]
pub enum End {
    /// Everything.
    Complete,
    /// Writing failed (a closed pipe, most often) and ended there; the run went on.
    WriteFailed(io::Error),
    /// A terminal took nothing more, and was given up.
    Stalled,
}

/// A surface that shows records; owned by one thread.
pub(super) trait Surface: Send {
    /// Takes a record of an earlier process of the run: known, but no news.
    fn remember(&mut self, _record: &Record) {}
    /// Takes one record. An error ends the showing for good.
    fn record(&mut self, record: &Arc<Record>) -> io::Result<()>;
    /// Brings out what is held back, because nothing more is waiting.
    fn flush(&mut self) -> io::Result<()>;
    /// When it wants to be drawn again whether something happens or not.
    fn next_draw(&self) -> Option<Instant>;
    /// Draws.
    fn draw(&mut self) -> io::Result<()>;
    /// Leaves the terminal to `others` until that returns.
    fn suspend(&mut self, others: &mut dyn FnMut());
    /// Takes its leave: leaves nothing behind that is not a line of news.
    fn finish(&mut self) -> io::Result<()>;
}

/// Starts showing on a thread of its own.
pub fn start(target: Target) -> (Listener, Handle) {
    let (surface, patience): (Box<dyn Surface>, _) = match target {
        Target::Screen { terminal, style, past } => {
            (Box::new(Progress::new(terminal, style, past)), Some(STALL))
        }
        Target::Lines { to, style, quiet } => (Box::new(Lines::new(to, style, quiet)), None),
        Target::JsonLines { to } => (Box::new(JsonLines::new(to)), None),
    };
    launch(surface, patience)
}

fn launch(surface: Box<dyn Surface>, patience: Option<Duration>) -> (Listener, Handle) {
    // Unbounded: the records live in the run anyway and are shared, and there are only so many
    // that are written down; the volatile ones are bounded by `BACKLOG`.
    let (outbox, inbox) = mpsc::channel();
    let (backlog, news) = (Arc::new(AtomicUsize::new(0)), Arc::<News>::default());
    let given_up = Arc::new(AtomicBool::new(false));
    let (ended, end) = mpsc::sync_channel(1);
    let thread = {
        let (backlog, given_up) = (Arc::clone(&backlog), Arc::clone(&given_up));
        // What has no patience is no terminal: there, every line is wanted as soon as it is there.
        let (news, nap) = (Arc::clone(&news), patience.map(|_| NAP));
        std::thread::Builder::new().name("report".to_owned()).spawn(move || {
            let result = Shower { surface, inbox, news, nap, backlog, given_up }.work();
            // Nobody listens any more when the handle gave up on a stalled terminal.
            let _ = ended.send(result);
        })
    };
    let listener = {
        let outbox = outbox.clone();
        Box::new(move |record: &Arc<Record>| {
            if record.event.is_volatile() && backlog.load(Ordering::Relaxed) >= BACKLOG {
                return;
            }
            backlog.fetch_add(1, Ordering::Relaxed);
            let mut waiting = news.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(Arc::clone(record));
            let first = waiting.len() == 1;
            drop(waiting);
            if first {
                // Fails only once the showing has ended.
                let _ = outbox.send(Message::News);
            }
        })
    };
    let (thread, refused) = match thread {
        Ok(thread) => (Some(thread), None),
        Err(error) => (None, Some(error)),
    };
    (listener, Handle { outbox, end, given_up, thread, refused, patience })
}

enum Message {
    /// Of an earlier process.
    Earlier(Arc<Record>),
    /// Records wait to be shown.
    News,
    /// Someone else needs the terminal: say when it is free, then wait until the other end is dropped.
    Suspend {
        free: SyncSender<()>,
        back: Receiver<()>,
    },
    Finish,
}

/// Owns the showing. Dropping it ends it like [`Handle::finish`].
#[derive(Debug)]
pub struct Handle {
    outbox: Sender<Message>,
    end: Receiver<io::Result<()>>,
    given_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    refused: Option<io::Error>,
    patience: Option<Duration>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Message::Earlier(_) => "Earlier",
            Message::News => "News",
            Message::Suspend { .. } => "Suspend",
            Message::Finish => "Finish",
        })
    }
}

impl Handle {
    /// Takes what earlier processes of the run recorded, before its own first record: nothing of it
    /// is shown as news, and everything is counted.
    pub fn remember(&self, records: &[Arc<Record>]) {
        for record in records {
            // Fails only once the showing has ended.
            let _ = self.outbox.send(Message::Earlier(Arc::clone(record)));
        }
    }

    /// Shows everything that happened before, leaves the terminal to `others`, and comes back.
    ///
    /// Blocks until `others` returns; call it where blocking is allowed.
    pub fn suspend<R>(&self, others: impl FnOnce() -> R) -> R {
        let (free, is_free) = mpsc::sync_channel(1);
        let (hold, back) = mpsc::channel::<()>();
        if self.outbox.send(Message::Suspend { free, back }).is_ok() {
            // Fails at once when the thread has ended: then the terminal is free.
            let _ = is_free.recv();
        }
        let result = others();
        drop(hold);
        result
    }

    /// Shows what is still waiting, cleans up and ends the thread.
    ///
    /// Waits for a pipe as long as it takes, for a stalled terminal two seconds.
    pub fn finish(mut self) -> End {
        self.end()
    }

    fn end(&mut self) -> End {
        if let Some(error) = self.refused.take() {
            return End::WriteFailed(error);
        }
        let Some(thread) = self.thread.take() else { return End::Complete };
        let _ = self.outbox.send(Message::Finish);
        let ended = match self.patience {
            Some(patience) => match self.end.recv_timeout(patience) {
                Ok(ended) => Some(ended),
                Err(RecvTimeoutError::Timeout) => {
                    // Others write there from now on: when the terminal wakes up, nothing may be
                    // drawn over what they wrote.
                    self.given_up.store(true, Ordering::Release);
                    return End::Stalled;
                }
                Err(RecvTimeoutError::Disconnected) => None,
            },
            None => self.end.recv().ok(),
        };
        let joined = thread.join();
        match (ended, joined) {
            (Some(Ok(())), Ok(())) => End::Complete,
            (Some(Err(error)), _) => End::WriteFailed(error),
            (None, _) | (_, Err(_)) => {
                End::WriteFailed(io::Error::other("the thread that shows progress died"))
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

struct Shower {
    surface: Box<dyn Surface>,
    inbox: Receiver<Message>,
    news: Arc<News>,
    /// How long news may gather.
    nap: Option<Duration>,
    backlog: Arc<AtomicUsize>,
    given_up: Arc<AtomicBool>,
}

/// Records that were heard and are not shown yet.
type News = Mutex<Vec<Arc<Record>>>;

impl Shower {
    fn work(mut self) -> io::Result<()> {
        let mut shown = Ok(());
        loop {
            let mut message = self.next(&mut shown);
            if let (Some(Message::News), Some(nap)) = (&message, self.nap) {
                // Whoever wants something else is not kept waiting.
                message = match self.inbox.recv_timeout(nap) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => Some(Message::Finish),
                };
            }
            if self.given_up.load(Ordering::Acquire) {
                return shown;
            }
            // What was heard before a message comes before what that asks for.
            self.show_news(&mut shown);
            match message {
                Some(Message::Earlier(record)) => self.surface.remember(&record),
                Some(Message::News) | None => {}
                Some(Message::Suspend { free, back }) => {
                    let mut others = || {
                        let _ = free.send(());
                        // Ends with an error when the holder is done: it sends nothing.
                        let _ = back.recv();
                    };
                    if shown.is_ok() { self.surface.suspend(&mut others) } else { others() }
                }
                Some(Message::Finish) => break,
            }
            if shown.is_ok() && self.surface.next_draw().is_some_and(|at| at <= Instant::now()) {
                shown = self.surface.draw();
            }
        }
        shown.and_then(|()| self.surface.finish())
    }

    fn show_news(&mut self, shown: &mut io::Result<()>) {
        let news = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
        for record in news {
            self.backlog.fetch_sub(1, Ordering::Relaxed);
            if shown.is_ok() && !self.given_up.load(Ordering::Acquire) {
                *shown = self.surface.record(&record);
            }
        }
    }

    /// The next message; `None` when it is time to draw before one came.
    fn next(&mut self, shown: &mut io::Result<()>) -> Option<Message> {
        match self.inbox.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Disconnected) => return Some(Message::Finish),
            Err(TryRecvError::Empty) => {}
        }
        if shown.is_ok() {
            *shown = self.surface.flush();
        }
        let Some(at) = self.surface.next_draw().filter(|_| shown.is_ok()) else {
            return Some(self.inbox.recv().unwrap_or(Message::Finish));
        };
        match self.inbox.recv_timeout(at.saturating_duration_since(Instant::now())) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Message::Finish),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Condvar, Mutex};

    use super::*;
    use crate::report::sample::Script;

    /// A writer that takes nothing until it is opened, and can be closed like a pipe.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<Inside>, Condvar)>);

    #[derive(Default)]
    struct Inside {
        open: bool,
        waiting: bool,
        closed: bool,
        text: Vec<u8>,
    }

    impl Gate {
        fn open(&self) {
            self.0.0.lock().unwrap().open = true;
            self.0.1.notify_all();
        }

        /// Returns once a write hangs.
        fn until_it_hangs(&self) {
            drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |inside| !inside.waiting).unwrap());
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.0.lock().unwrap().text.clone()).unwrap()
        }
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.0.lock().unwrap().waiting = true;
            self.0.1.notify_all();
            let mut inside = self.0.1.wait_while(self.0.0.lock().unwrap(), |inside| !inside.open).unwrap();
            if inside.closed {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            inside.text.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(gate: &Gate) -> (Listener, Handle) {
        start(Target::Lines { to: Box::new(gate.clone()), style: Style::plain(), quiet: false })
    }

    #[test]
    fn a_stalled_reader_does_not_hold_up_the_listener_and_loses_only_volatile_news() {
        let gate = Gate::default();
        let (listener, handle) = start(Target::JsonLines { to: Box::new(gate.clone()) });
        let mut script = Script::new("p", &["a"]);
        script.start("a");
        for n in 0..5_000 {
            script.progress("a", &format!("step {n}"), n);
        }
        for n in 0..3_000 {
            script.warn("w", &format!("warning {n}"));
        }
        // With a listener that blocks, this never returns: nothing is taken until the gate opens.
        for record in script.shared() {
            listener(&record);
        }
        gate.open();
        // When it has caught up, volatile news gets through again.
        handle.suspend(|| ());
        script.records.clear();
        for record in script.progress("a", "after the stall", 1).shared() {
            listener(&record);
        }
        assert!(matches!(handle.finish(), End::Complete));
        let text = gate.text();
        assert!(text.contains("after the stall"));
        assert_eq!(text.matches("\"type\":\"warned\"").count(), 3_000);
        assert_eq!(text.matches("\"type\":\"call_started\"").count(), 1);
        let progressed = text.matches("\"type\":\"call_progressed\"").count();
        assert!((1..5_000).contains(&progressed), "{progressed} of 5000 got through");
    }

    #[test]
    fn a_closed_pipe_ends_the_writing_and_says_so() {
        let gate = Gate::default();
        gate.0.0.lock().unwrap().closed = true;
        gate.open();
        let (listener, handle) = lines(&gate);
        for record in Script::new("p", &["a"]).start("a").ok("a", "x").shared() {
            listener(&record);
        }
        match handle.finish() {
            End::WriteFailed(error) => assert_eq!(error.kind(), io::ErrorKind::BrokenPipe),
            End::Complete | End::Stalled => panic!("it was closed"),
        }
        assert_eq!(gate.text(), "");
    }

    #[test]
    fn a_question_comes_after_the_lines_before_it_and_before_the_lines_after_it() {
        let gate = Gate::default();
        gate.open();
        let (listener, handle) = lines(&gate);
        let mut script = Script::new("p", &["a", "b"]);
        for record in script.start("a").shared() {
            listener(&record);
        }
        script.records.clear();
        let asked = handle.suspend(|| {
            for record in script.start("b").shared() {
                listener(&record);
            }
            gate.text()
        });
        assert!(asked.contains(" a ") && !asked.contains(" b "), "{asked}");
        assert!(matches!(handle.finish(), End::Complete));
        assert!(gate.text().contains(" b "));
    }

    #[test]
    fn suspending_after_the_thread_ended_asks_all_the_same() {
        struct Dead;
        impl Surface for Dead {
            fn record(&mut self, _: &Arc<Record>) -> io::Result<()> {
                panic!("on purpose")
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
            fn next_draw(&self) -> Option<Instant> {
                None
            }
            fn draw(&mut self) -> io::Result<()> {
                Ok(())
            }
            fn suspend(&mut self, others: &mut dyn FnMut()) {
                others();
            }
            fn finish(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (listener, handle) = launch(Box::new(Dead), None);
        for record in Script::new("p", &[]).shared() {
            listener(&record);
        }
        assert_eq!(handle.suspend(|| 7), 7);
        assert!(matches!(handle.finish(), End::WriteFailed(_)));
    }

    #[test]
    fn a_stalled_terminal_is_given_up_at_the_end() {
        let gate = Gate::default();
        let surface = Lines::new(Box::new(gate.clone()), Style::plain(), false);
        let (listener, handle) = launch(Box::new(surface), Some(Duration::from_millis(20)));
        for record in Script::new("p", &["a"]).start("a").shared() {
            listener(&record);
        }
        // More news waits behind the write that hangs.
        gate.until_it_hangs();
        for record in Script::new("p", &["late"]).start("late").shared() {
            listener(&record);
        }
        let end = Arc::downgrade(&handle.given_up);
        assert!(matches!(handle.finish(), End::Stalled));
        gate.open();
        // The thread lets go of the flag when it ends.
        while end.strong_count() > 0 {
            std::thread::yield_now();
        }
        assert!(!gate.text().contains("late"), "{}", gate.text());
    }
}
