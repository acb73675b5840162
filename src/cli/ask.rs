//! Puts a plan's question to the person at the terminal.

use std::io::{BufRead, Write};
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
            // Reading blocks, so it has a thread; a dropped question leaves that thread to the end
            // of the process, which does not wait for it.
            let read = tokio::task::spawn_blocking(move || {
                let display = display.lock().unwrap_or_else(PoisonError::into_inner);
                display.suspend(|| read_line(&prompt))
            });
            let line = read.await.ok()??;
            let answer = line.trim();
            if answer.is_empty() { default } else { Some(answer.to_owned()) }
        }
        .boxed()
    }
}

/// `None` at the end of input.
fn read_line(prompt: &str) -> Option<String> {
    {
        // Let go of before reading: whoever is told to stop meanwhile has something to say.
        let mut err = std::io::stderr().lock();
        write!(err, "{prompt}\n> ").and_then(|()| err.flush()).ok()?;
    }
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line),
    }
}
