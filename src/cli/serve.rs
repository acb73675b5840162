//! `fanout serve`: a run's page in the browser, kept up while the run goes on.
//!
//! Invariants: it listens on this machine alone and answers nobody who has not the
//! address that it printed; it takes no lock and changes nothing; what it shows has
//! passed the redactor. It learns of news from the system, as `logs --follow` does,
//! and it ends with Ctrl-C, not with the run.

mod http;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::args::Serve;
use super::follow::follow;
use super::past::find;
use super::run::journal_complaint;
use super::terminal::Terminal;
use super::{Complaint, exit, secrets};
use crate::event::Record;
use crate::journal::{self, RunState};
use crate::report::fold::RunView;
use crate::report::html;
use http::{Answer, Asked, Refused};

/// Connections at a time: a browser opens six.
const CONNECTIONS: usize = 32;
/// Between two signs of life on a stream of news, so that one that nobody reads is found out.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How long a peer may take for its request, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the page is made of, and who is told when it changes.
struct Shown {
    view: Mutex<RunView>,
    version: watch::Sender<u64>,
}

impl Shown {
    fn view(&self) -> MutexGuard<'_, RunView> {
        // The fold is total: a panic in it would be a bug, and what it left can still be shown.
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `fanout serve`.
///
/// # Errors
/// [`Complaint`] when the run cannot be read or the address cannot be had.
pub fn serve(options: &Serve, terminal: &Terminal) -> Result<u8, Complaint> {
    let dir = find(options.run.as_deref())?;
    let past = journal::read(&dir).map_err(|error| journal_complaint(&error))?;
    let (run, state) = (past.head.run.clone(), past.state);
    drop(past);
    let bug = |what: &str| Complaint { code: exit::BUG, message: format!("cannot start: {what}") };
    let token = token().map_err(|error| bug(&error.to_string()))?;
    let mut view = RunView::default();
    view.live = state == RunState::Running;
    let shown = Arc::new(Shown { view: Mutex::new(view), version: watch::Sender::new(0) });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| bug(&error.to_string()))?;
    runtime.block_on(async {
        let asked = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port.unwrap_or(0)));
        let refused =
            |error| Complaint { code: exit::FAILED, message: format!("cannot listen on {asked}: {error}") };
        let listener = TcpListener::bind(asked).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        // Listened for before anybody can know that there is something to end.
        let _ = futures::poll!(&mut interrupt);
        // Read whole before the address is known to anybody.
        let (ready, first) = tokio::sync::oneshot::channel();
        watch_run(dir, Arc::clone(&shown), ready);
        first.await.map_err(|_| bug("the run cannot be followed"))??;
        let out = |text: &str| terminal.out(text).map_err(|error| Complaint::output(&error));
        out(&format!("http://{address}/{token}/\n"))?;
        terminal
            .err(&format!("{run} is shown there until Ctrl-C; the address is a key, keep it to yourself\n"));
        let front = Arc::new(http::Front { port: address.port(), token });
        tokio::select! {
            () = answer_all(&listener, &front, &shown) => {}
            _ = &mut interrupt => {}
        }
        Ok(0)
    })
}

/// 128 random bits from the system, as text that fits into an address.
fn token() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Keeps the view up with the run, on a thread of its own that ends with the process.
fn watch_run(dir: PathBuf, shown: Arc<Shown>, ready: tokio::sync::oneshot::Sender<Result<(), Complaint>>) {
    let redactor = secrets::of_run(&dir);
    let mut ready = Some(ready);
    std::thread::spawn(move || {
        let mut news = |records: &[Arc<Record>]| {
            {
                let mut view = shown.view();
                records.iter().for_each(|record| view.apply(&redactor.record(record)));
            }
            match ready.take() {
                Some(ready) => {
                    let _ = ready.send(Ok(()));
                }
                None if records.is_empty() => {}
                None => shown.version.send_modify(|version| *version += 1),
            }
            Ok(())
        };
        let ended = follow(&dir, true, &mut news);
        // Whatever ended it, nobody is known to be at the run any more.
        shown.view().live = false;
        shown.version.send_modify(|version| *version += 1);
        if let (Err(complaint), Some(ready)) = (ended, ready) {
            let _ = ready.send(Err(complaint));
        }
    });
}

async fn answer_all(listener: &TcpListener, front: &Arc<http::Front>, shown: &Arc<Shown>) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        if open.len() >= CONNECTIONS {
            open.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let (front, shown) = (Arc::clone(front), Arc::clone(shown));
                open.spawn(async move { answer(stream, &front, &shown).await });
            }
            // Out of files, most often: what is open has to end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Answers one connection. What goes wrong with it is the peer's affair.
async fn answer(mut stream: TcpStream, front: &http::Front, shown: &Shown) {
    let Ok(Ok(head)) = tokio::time::timeout(PATIENCE, http::head(&mut stream)).await else { return };
    let (answer, with_body) = match front.asked(&head) {
        Ok((asked, with_body)) => match asked {
            Asked::Page => {
                let mut view = shown.view();
                view.tick(jiff::Timestamp::now());
                (Answer::page(html::render_live(&view)), with_body)
            }
            Asked::News if with_body => return tell(stream, shown).await,
            Asked::News => (Answer::news(), false),
        },
        Err(refused) => (Answer::refusal(refused), refused != Refused::Nonsense),
    };
    let _ = tokio::time::timeout(PATIENCE, http::write(&mut stream, &answer, with_body)).await;
}

/// Tells a page of every change, until it is closed.
async fn tell(mut stream: TcpStream, shown: &Shown) {
    let mut version = shown.version.subscribe();
    let head = Answer::news();
    let first = http::write(&mut stream, &head, true);
    if !matches!(tokio::time::timeout(PATIENCE, first).await, Ok(Ok(()))) {
        return;
    }
    // What changed between the page and this stream is news, too.
    let mut text = format!("data: {}\n\n", *version.borrow_and_update());
    loop {
        let sent = http::send(&mut stream, &text);
        if !matches!(tokio::time::timeout(PATIENCE, sent).await, Ok(Ok(()))) {
            return;
        }
        text = tokio::select! {
            changed = version.changed() => match changed {
                Ok(()) => format!("data: {}\n\n", *version.borrow_and_update()),
                Err(_) => return,
            },
            () = tokio::time::sleep(HEARTBEAT) => ": still there\n\n".to_owned(),
            () = http::closed(&stream) => return,
        };
    }
}
