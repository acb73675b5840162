//! A terminal for `indicatif` on which frames survive a resize.
//!
//! Invariants: a frame is one write. Its lines end in real newlines and leave the last
//! column free, so that no terminal joins them when it grows; the cursor rests in the
//! first column of the last line, so that after a shrink it is known how far up the
//! frame begins: terminals fold lines that no longer fit, and each line is counted with
//! the rows that it takes now. (A terminal that cuts instead of folding loses a few of
//! the lines above the frame then; and rows that folding pushed out of the screen stay in
//! the terminal's history, where nobody can erase them.)
//!
//! `indicatif` itself draws lines filled up to the last column and steps back as many
//! rows as it drew, which is right only while the width stays. Its steps are therefore
//! taken as what they mean: lines, in pairs of text and filler, until a flush.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;

#[derive(Debug, Clone)]
pub(super) struct Screen {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    terminal: Box<dyn TermLike>,
    rows: u16,
    columns: u16,
    /// The lines of the frame that is being put together.
    lines: Vec<String>,
    /// True when the next text is the filler of the last line.
    filler: bool,
    /// The frame on the screen.
    shown: Vec<String>,
    shown_columns: u16,
    error: Option<io::ErrorKind>,
}

impl Screen {
    pub(super) fn new(terminal: Box<dyn TermLike>) -> Screen {
        let screen = Screen {
            inner: Arc::new(Mutex::new(Inner {
                terminal,
                rows: 0,
                columns: 0,
                lines: Vec::new(),
                filler: false,
                shown: Vec::new(),
                shown_columns: 0,
                error: None,
            })),
        };
        screen.measure();
        screen
    }

    /// Asks the terminal for its size, `(rows, columns)`, and keeps it for the next frame.
    pub(super) fn measure(&self) -> (usize, usize) {
        let mut inner = self.lock();
        // A terminal of no size is one that does not know; two columns keep a wide character drawable.
        inner.rows = match inner.terminal.height() {
            0 => 24,
            rows => rows,
        };
        inner.columns = match inner.terminal.width() {
            0 => 80,
            columns => columns.max(2),
        };
        (usize::from(inner.rows), usize::from(inner.columns))
    }

    /// The first error that writing met.
    pub(super) fn broken(&self) -> io::Result<()> {
        self.lock().error.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn flush(&mut self) -> io::Result<()> {
        let lines = std::mem::take(&mut self.lines);
        self.filler = false;
        if lines == self.shown && self.columns == self.shown_columns {
            return Ok(());
        }
        let columns = usize::from(self.columns);
        let (mut up, mut below) = (0, 0);
        if let Some((last, above)) = self.shown.split_last() {
            up = above.iter().map(|line| rows(line, columns)).sum();
            below = rows(last, columns);
        }
        let mut out = "\r".to_owned();
        let _ = rise(&mut out, up);
        if lines.is_empty() || self.columns != self.shown_columns {
            // Row by row: some terminals keep a screen that is cleared at one blow in their history,
            // and some remember that they folded a line until its rows are cleared.
            let height = up + below;
            for row in 0..height {
                out.push_str(if row > 0 { "\x1b[B\x1b[2K" } else { "\x1b[2K" });
            }
            let _ = rise(&mut out, height.saturating_sub(1));
        }
        for (n, line) in lines.iter().enumerate() {
            out.push_str(if n > 0 { "\r\n" } else { "" });
            out.push_str(line);
            out.push_str("\x1b[K");
        }
        if !lines.is_empty() {
            // From the cursor to the end of the screen: whatever an old, longer frame has there.
            out.push_str("\x1b[J\r");
        }
        self.shown = lines;
        self.shown_columns = self.columns;
        self.terminal.write_str(&out)?;
        self.terminal.flush()
    }
}

/// Moves the cursor up; no rows is no sequence, because terminals take a zero for a one.
fn rise(out: &mut String, rows: usize) -> std::fmt::Result {
    if rows == 0 { Ok(()) } else { write!(out, "\x1b[{rows}A") }
}

/// How many rows a line takes in so many columns.
fn rows(line: &str, columns: usize) -> usize {
    console::measure_text_width(line).div_ceil(columns.max(1)).max(1)
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.lock().columns
    }

    fn height(&self) -> u16 {
        self.lock().rows
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.lock().lines.push(line.to_owned());
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut inner = self.lock();
        if !inner.filler {
            inner.lines.push(text.to_owned());
        }
        inner.filler = !inner.filler;
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.error.is_some() {
            return Ok(());
        }
        let flushed = inner.flush();
        inner.error = flushed.as_ref().err().map(io::Error::kind);
        flushed
    }
}
