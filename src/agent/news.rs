//! Passes on what an agent is doing, seldom enough that it costs nothing.
//!
//! Invariant: at most ten times a second, however fast the text comes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::News;
use crate::unit::Tokens;

const EVERY: Duration = Duration::from_millis(100);

/// How much of a line is passed on, in characters.
const LONGEST: usize = 200;

/// A reporter for one ask.
pub(super) struct Seldom<'a> {
    news: &'a News<'a>,
    began: Instant,
    /// When the next report is due, in milliseconds since it began.
    due: AtomicU64,
}

impl<'a> Seldom<'a> {
    pub(super) fn new(news: &'a News<'a>) -> Seldom<'a> {
        Seldom { news, began: Instant::now(), due: AtomicU64::new(0) }
    }

    /// Reports the last line of a text, unless something was reported just now.
    pub(super) fn text(&self, text: &str, tokens: Tokens) {
        if !self.is_due() {
            return;
        }
        let text = text.trim_end();
        let line = text.rsplit('\n').next().unwrap_or(text);
        let from = line.char_indices().rev().nth(LONGEST - 1).map_or(0, |(at, _)| at);
        (self.news)(line.get(from..).unwrap_or(line), tokens);
    }

    fn is_due(&self) -> bool {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = self.due.load(Ordering::Relaxed);
        let next = now.saturating_add(EVERY.as_millis() as u64);
        now >= due && self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn news_comes_at_most_ten_times_a_second() {
        let heard = Mutex::new(Vec::new());
        let news = |line: &str, tokens: Tokens| heard.lock().unwrap().push((line.to_owned(), tokens.0));
        let seldom = Seldom::new(&news);
        for step in 0..250_u64 {
            seldom.text(&format!("first\nline {step}\n"), Tokens(step));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let heard = heard.lock().unwrap();
        assert_eq!(*heard, [("line 0".into(), 0), ("line 100".into(), 100), ("line 200".into(), 200)]);
    }
}
