//! Puts a plan's question to the person at the terminal.
//!
//! Invariant: a question that is taken back (its time is up, the run ends) reads nothing any more: the
//! next line that is typed is for whoever asks next.

use std::io::{PipeReader, Write};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::report::live::Handle;
use crate::report::sanitise;
use crate::report::style::{Style, Tone};
use crate::run::Asker;

/// The person at the terminal. One question at a time; progress makes room for it.
#[derive(Debug)]
pub struct Person {
    display: Arc<Mutex<Handle>>,
    style: Style,
    turn: tokio::sync::Mutex<()>,
}

impl Person {
    /// A person who sees this display.
    pub fn new(display: Arc<Mutex<Handle>>, style: Style) -> Person {
        Person { display, style, turn: tokio::sync::Mutex::new(()) }
    }
}

impl Asker for Person {
    fn ask<'a>(&'a self, question: &'a str, default: Option<&'a str>) -> BoxFuture<'a, Option<String>> {
        async move {
            // Two questions at once would mix up their answers.
            let _turn = self.turn.lock().await;
            let display = Arc::clone(&self.display);
            let mut prompt = self.style.paint(Tone::Strong, sanitise::text(question.trim_end(), &self.style));
            if let Some(default) = default {
                prompt.push_str(&format!(" [{}]", sanitise::line(default, &self.style)));
            }
            let default = default.map(str::to_owned);
            // Reading blocks, so it has a thread, which hears of it when the question is dropped.
            let (taken_back, asking) = std::io::pipe().ok()?;
            let read = tokio::task::spawn_blocking(move || {
                let display = display.lock().unwrap_or_else(PoisonError::into_inner);
                display.suspend(|| read_line(&prompt, &taken_back))
            });
            let line = read.await.ok()??;
            drop(asking);
            let answer = line.trim();
            if answer.is_empty() { default } else { Some(answer.to_owned()) }
        }
        .boxed()
    }
}

fn show(text: &str) -> Option<()> {
    // Let go of before reading: whoever is told to stop meanwhile has something to say.
    let mut err = std::io::stderr().lock();
    err.write_all(text.as_bytes()).and_then(|()| err.flush()).ok()
}

/// `None` at the end of input, and when the question is taken back.
///
/// Read past the buffer of the standard library: what that holds nobody else could wait for. A terminal
/// gives one line at a time.
#[cfg(unix)]
fn read_line(prompt: &str, taken_back: &PipeReader) -> Option<String> {
    use rustix::event::{PollFd, PollFlags, poll};
    show(&format!("{prompt}\n> "))?;
    let input = std::io::stdin();
    let mut line = Vec::new();
    loop {
        let mut either = [PollFd::new(&input, PollFlags::IN), PollFd::new(taken_back, PollFlags::IN)];
        match poll(&mut either, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return None,
        }
        if either.iter().skip(1).any(|pipe| !pipe.revents().is_empty()) {
            show("\n");
            return None;
        }
        let mut piece = [0; 4096];
        match rustix::io::read(&input, &mut piece) {
            Ok(0) => return None,
            Ok(read) => line.extend(piece.iter().take(read)),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
        if line.ends_with(b"\n") {
            return Some(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

/// `None` at the end of input.
#[cfg(not(unix))]
fn read_line(prompt: &str, _: &PipeReader) -> Option<String> {
    use std::io::BufRead as _;
    show(&format!("{prompt}\n> "))?;
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line),
    }
}
