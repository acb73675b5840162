//! Background jobs: work that an agent has started and does not wait for.
//!
//! Invariants: every job that is started is told of exactly once when it ends, in the order of
//! the ends; what is kept of a job is bounded; when [`Jobs`] is dropped every job ends.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use indexmap::IndexMap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Said, head};

/// Jobs of one agent that may run at once.
const MAX_RUNNING: usize = 16;
/// What is kept of the end of a running job's output, in bytes.
const TAIL: usize = 8 * 1024;
/// What is shown of a job's title, in bytes.
const TITLE: usize = 80;

/// The jobs of one agent. Dropping it ends them all.
#[derive(Debug)]
pub struct Jobs {
    table: Arc<Mutex<Table>>,
}

/// A way to start jobs and to look at them; keeps none alive.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    table: Arc<Mutex<Table>>,
}

/// A job that has ended. Of each job there is one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its id: `bg-1`, `bg-2`, … in the order of the starts.
    pub id: String,
    /// The command, or what else it was started as.
    pub title: String,
    /// What came of it; an error where it failed or its time was over.
    pub said: Said,
    /// From its start to its end.
    pub took: Duration,
}

#[derive(Debug)]
struct Table {
    jobs: IndexMap<String, Job>,
    tasks: JoinSet<()>,
    ended: mpsc::UnboundedSender<Finished>,
    /// True once the agent is done: nothing is started any more.
    closed: bool,
}

#[derive(Debug)]
struct Job {
    title: String,
    began: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Running { tail: Arc<Mutex<Tail>> },
    Ended { said: Said, took: Duration },
}

/// The end of what a job has printed so far.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    total: u64,
}

impl Tail {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.total += chunk.len() as u64;
        self.bytes.extend_from_slice(&chunk[chunk.len().saturating_sub(TAIL)..]);
        // Not at every line: moving the rest down costs as much as it holds.
        if self.bytes.len() > 2 * TAIL {
            self.bytes.drain(..self.bytes.len() - TAIL);
        }
    }

    fn text(&self) -> String {
        let shown = &self.bytes[self.bytes.len().saturating_sub(TAIL)..];
        let text = String::from_utf8_lossy(shown).trim_end().to_owned();
        match self.total - shown.len() as u64 {
            0 if text.is_empty() => "(no output yet)".to_owned(),
            0 => text,
            n => format!("[… {n} earlier bytes left out …]\n{text}"),
        }
    }
}

/// Who puts what a job prints into its tail.
pub(super) type Prints = Arc<Mutex<Tail>>;

impl Jobs {
    /// No jobs yet, and the queue on which each of them is told of when it has ended.
    ///
    /// The queue has no bound of its own: it holds one item a job at most.
    pub fn new() -> (Jobs, mpsc::UnboundedReceiver<Finished>) {
        let (ended, queue) = mpsc::unbounded_channel();
        let table = Table { jobs: IndexMap::new(), tasks: JoinSet::new(), ended, closed: false };
        (Jobs { table: Arc::new(Mutex::new(table)) }, queue)
    }

    /// How many run now.
    pub fn running(&self) -> usize {
        lock(&self.table).running()
    }

    /// Starts any other work as a job and returns its id.
    ///
    /// # Errors
    /// Words for a model: there are too many.
    pub fn start(&self, title: &str, work: BoxFuture<'static, Said>) -> Result<String, String> {
        self.desk().start(title, |_| work)
    }

    pub(super) fn desk(&self) -> Desk {
        Desk { table: Arc::clone(&self.table) }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        table.closed = true;
        table.tasks.abort_all();
    }
}

impl Desk {
    /// Starts a job and returns its id; `work` gets the place for what it prints.
    pub(super) fn start(
        &self,
        title: &str,
        work: impl FnOnce(Prints) -> BoxFuture<'static, Said>,
    ) -> Result<String, String> {
        let mut table = lock(&self.table);
        // Those that are over have nothing left to own.
        while table.tasks.try_join_next().is_some() {}
        if table.closed {
            return Err("the agent is done: nothing is started any more".to_owned());
        }
        if table.running() >= MAX_RUNNING {
            return Err(format!("{MAX_RUNNING} jobs run already: wait until one has ended"));
        }
        let id = format!("bg-{}", table.jobs.len() + 1);
        let tail = Prints::default();
        let work = work(Arc::clone(&tail));
        let job = Job { title: title.to_owned(), began: Instant::now(), state: State::Running { tail } };
        table.jobs.insert(id.clone(), job);
        // The table must not be kept by a task that it owns.
        let (weak, own) = (Arc::downgrade(&self.table), id.clone());
        table.tasks.spawn(async move {
            let said = work.await;
            if let Some(table) = weak.upgrade() {
                lock(&table).end(&own, said);
            }
        });
        Ok(id)
    }

    /// One job, or all of them in the order of their starts.
    pub(super) fn look(&self, id: Option<&str>) -> Result<String, String> {
        let table = lock(&self.table);
        let Some(id) = id else {
            let mut text = String::new();
            for (id, job) in &table.jobs {
                let _ = writeln!(text, "{id}: [{}] {}", job.status(), one_line(&job.title));
            }
            return Ok(if text.is_empty() { "no background jobs".to_owned() } else { text });
        };
        let Some(job) = table.jobs.get(id) else {
            let known: Vec<&str> = table.jobs.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
            return Err(format!("there is no background job `{id}`; the jobs: {known}"));
        };
        let text = match &job.state {
            State::Running { tail } => tail.lock().unwrap_or_else(PoisonError::into_inner).text(),
            State::Ended { said, .. } => said.text.clone(),
        };
        Ok(format!("[{}] {}\n{text}", job.status(), one_line(&job.title)))
    }
}

impl Table {
    fn running(&self) -> usize {
        self.jobs.values().filter(|job| matches!(job.state, State::Running { .. })).count()
    }

    fn end(&mut self, id: &str, said: Said) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let took = job.began.elapsed();
        job.state = State::Ended { said: said.clone(), took };
        let finished = Finished { id: id.to_owned(), title: job.title.clone(), said, took };
        // Nobody listens when the agent is done.
        let _ = self.ended.send(finished);
    }
}

impl Job {
    fn status(&self) -> String {
        match &self.state {
            State::Running { .. } => format!("running for {} s", self.began.elapsed().as_secs()),
            State::Ended { said, took } if said.is_error => format!("failed after {} s", took.as_secs()),
            State::Ended { took, .. } => format!("done after {} s", took.as_secs()),
        }
    }
}

fn lock(table: &Mutex<Table>) -> std::sync::MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The beginning of a title, on one line.
fn one_line(title: &str) -> String {
    let line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = head(&line, TITLE);
    if shown.len() < line.len() { format!("{shown}…") } else { line }
}
