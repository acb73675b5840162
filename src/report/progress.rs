//! Live progress on a terminal: a header, a line per running call, the latest trouble, a total.
//!
//! Invariants: at most ten frames a second, however many records come; a frame is
//! one write, fits the terminal, and erases the one before it, after a resize too; at
//! the end nothing is left on the screen.

mod frame;
mod remaining;
mod screen;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

use super::fold::RunView;
use super::live::Surface;
use super::style::Style;
use crate::event::{Event, Record};
use frame::{Frame, Trouble};
pub use remaining::Past;
use screen::Screen;

/// The least time between two frames.
const FRAME: Duration = Duration::from_millis(100);
/// The most time between two frames: the clock ticks, and the terminal may have been resized.
const IDLE_FRAME: Duration = Duration::from_millis(250);
/// How many troubles stay in sight.
const TROUBLES: usize = 2;

pub(super) struct Progress {
    view: RunView,
    style: Style,
    screen: Screen,
    bar: ProgressBar,
    shown: Arc<Mutex<Frame>>,
    troubles: VecDeque<Trouble>,
    past: Past,
    /// When the process began the run, as far as the records tell.
    origin: Option<Instant>,
    drawn: Instant,
    changed: bool,
}

impl Progress {
    pub(super) fn new(terminal: Box<dyn TermLike>, style: Style, past: Past) -> Progress {
        let screen = Screen::new(terminal);
        // No rate limit of its own: frames are paced here, and each `update` is one.
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let bar = ProgressBar::with_draw_target(Some(0), target);
        Progress {
            view: RunView::default(),
            style,
            screen,
            bar,
            shown: Arc::default(),
            troubles: VecDeque::new(),
            past,
            origin: None,
            drawn: Instant::now(),
            changed: false,
        }
    }

    fn frame(&mut self, now: Instant) {
        let (height, width) = self.screen.measure();
        let style = Style { width, height, ..self.style };
        let elapsed = self.origin.map_or(Duration::ZERO, |origin| now.saturating_duration_since(origin));
        let now = self.view.time(elapsed);
        let left = remaining::estimate(&self.view, &self.past, now);
        let frame = frame::draw(&self.view, &self.troubles, &style, (now, left));
        let bar_style = bar_style(&frame, &style, &self.shown);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = frame;
        self.bar.set_style(bar_style);
        let (done, planned) = (u64::from(self.view.tally.done), u64::from(self.view.tally.planned));
        self.bar.update(|state| {
            state.set_len(planned);
            state.set_pos(done);
        });
    }
}

/// The bar's own line with everything else above and beside it. Built per frame, because the
/// width of a bar is part of its template.
fn bar_style(frame: &Frame, style: &Style, shown: &Arc<Mutex<Frame>>) -> ProgressStyle {
    let bar = match (frame.bar_width, style.color) {
        (0, _) => String::new(),
        (width, true) => format!("\x1b[32m{{bar:{width}}}\x1b[0m "),
        (width, false) => format!("{{bar:{width}}} "),
    };
    let piece = |pick: fn(&Frame) -> &str| {
        let shown = Arc::clone(shown);
        move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let frame = shown.lock().unwrap_or_else(PoisonError::into_inner);
            // Writing to a string does not fail.
            let _ = out.write_str(pick(&frame));
        }
    };
    ProgressStyle::with_template(&format!("{{rows}}\n{bar}{{totals}}"))
        // The template above is well-formed; a bar of another look is better than no progress.
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars(style.pick("━╸─", "=>-"))
        .with_key("rows", piece(|frame| &frame.rows))
        .with_key("totals", piece(|frame| &frame.totals))
}

impl Surface for Progress {
    fn remember(&mut self, record: &Record) {
        self.view.apply(record);
    }

    fn record(&mut self, record: &Arc<Record>) -> io::Result<()> {
        if let Event::RunResumed { .. } = record.event {
            self.origin = None;
        }
        // Records come a little late, never early: the earliest begin that one implies is the truest.
        if let Some(begin) = Instant::now().checked_sub(record.elapsed) {
            self.origin = Some(self.origin.map_or(begin, |origin| origin.min(begin)));
        }
        self.view.apply(record);
        if let Some(trouble) = Trouble::of(&record.event) {
            self.troubles.push_back(trouble);
            if self.troubles.len() > TROUBLES {
                self.troubles.pop_front();
            }
        }
        self.changed = true;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn next_draw(&self) -> Option<Instant> {
        self.view.head.as_ref()?;
        Some(self.drawn + if self.changed { FRAME } else { IDLE_FRAME })
    }

    fn draw(&mut self) -> io::Result<()> {
        let now = Instant::now();
        self.frame(now);
        self.drawn = now;
        self.changed = false;
        self.screen.broken()
    }

    fn suspend(&mut self, others: &mut dyn FnMut()) {
        self.bar.suspend(others);
    }

    fn finish(&mut self) -> io::Result<()> {
        self.bar.finish_and_clear();
        self.screen.broken()
    }
}

#[cfg(test)]
mod tests;
