//! `read`: the lines of a text file, numbered.
//!
//! Invariant: however large the file and its lines, what is held and what is said is bounded, and
//! what was left out is said.

use std::io::{BufRead, BufReader, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::beneath::Refused;
use super::blocking::{self, Stop};
use super::{Class, Ground, Heard, Said, Tool, ToolSpec, head, input};

/// Lines, where the call does not say how many.
const LINES: u64 = 2_000;
/// Bytes of one answer.
const MOST: usize = 100 * 1024;
/// Bytes of one line.
const LINE: usize = 2_000;
/// How much of a file is looked at to tell what it is.
const SNIFF: usize = 8 * 1024;
/// Up to this many bytes behind the last shown line are counted as lines.
const COUNTED: u64 = 64 * 1024 * 1024;

/// Reads a file.
#[derive(Debug)]
pub(super) struct Read {
    ground: Arc<Ground>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: PathBuf,
    #[serde(default)]
    offset: Option<u64>,
    #[serde(default)]
    limit: Option<u64>,
}

impl Read {
    pub(super) fn new(ground: Arc<Ground>) -> Read {
        Read { ground }
    }
}

impl Tool for Read {
    fn spec(&self) -> ToolSpec {
        input::spec(
            "read",
            "Reads a text file of the workspace. Each line comes with its number and a tab before it. \
             At most 2000 lines and 100 KiB at a time; what is left out is said at the end. \
             Images and other binary files are not shown.",
            1,
            &[
                ("path", "string", "The file, relative to the workspace."),
                ("offset", "integer", "The first line to show, counted from 1. Default: 1."),
                ("limit", "integer", "At most so many lines. Default: 2000."),
            ],
        )
    }

    fn class(&self, _: &Value) -> Class {
        Class::Pure
    }

    fn writes(&self, _: &Value) -> Option<PathBuf> {
        None
    }

    fn call<'a>(&'a self, input: Value, _: &'a Heard<'a>) -> BoxFuture<'a, Said> {
        async move {
            let input: Input = match input::read(&self.spec(), input) {
                Ok(input) => input,
                Err(said) => return said,
            };
            let ground = Arc::clone(&self.ground);
            blocking::run(move |stop| read(&ground, &input, stop)).await
        }
        .boxed()
    }
}

fn read(ground: &Ground, input: &Input, stop: &Stop) -> Result<String, Said> {
    let found = ground.files().find(&input.path)?;
    let given = found.given().to_owned();
    let (mut file, _) = found.read().map_err(|refused| match matches!(refused, Refused::Folder(_)) {
        true => Said::error(format!("`{given}` is a folder: use `list`")),
        false => refused.into(),
    })?;
    let fault = |error: std::io::Error| Said::error(format!("`{given}` cannot be read: {error}"));
    let size = file.metadata().map_err(fault)?.len();
    let mut start = Vec::with_capacity(SNIFF);
    std::io::Read::read_to_end(&mut std::io::Read::take(&mut file, SNIFF as u64), &mut start)
        .map_err(fault)?;
    if let Some(kind) = kind(&start) {
        return Err(Said::error(format!("`{given}` is {kind} of {size} bytes, which is not shown as text")));
    }
    if size == 0 {
        return Ok(format!("(`{given}` is empty)"));
    }
    file.rewind().map_err(fault)?;
    let first = input.offset.unwrap_or(1).max(1);
    let mut lines = Lines { file: BufReader::with_capacity(64 * 1024, file), buffer: Vec::new(), read: 0 };
    for _ in 1..first {
        if stop.is_set() || !lines.skip().map_err(fault)? {
            break;
        }
    }
    let mut text = String::new();
    let mut next = first;
    let last = first.saturating_add(input.limit.unwrap_or(LINES).max(1));
    while next < last && text.len() < MOST && !stop.is_set() {
        let Some(length) = lines.next().map_err(fault)? else { break };
        let line = String::from_utf8_lossy(&lines.buffer);
        let line = line.trim_end_matches(['\n', '\r']);
        let shown = head(line, LINE);
        text.push_str(&format!("{next:>6}\t{shown}"));
        if shown.len() < line.len() || length > lines.buffer.len() as u64 {
            text.push_str(&format!(
                " [… {} more bytes of this line …]",
                length.saturating_sub(shown.len() as u64 + 1)
            ));
        }
        text.push('\n');
        next += 1;
    }
    let begin = lines.read;
    let mut more = 0_u64;
    while lines.read - begin < COUNTED && !stop.is_set() && lines.skip().map_err(fault)? {
        more += 1;
    }
    if text.is_empty() {
        return Err(Said::error(format!("`{given}` has no line {first}: it ends before that")));
    }
    if more > 0 {
        let total = match lines.read < size {
            true => format!("more than {} lines ({size} bytes)", next - 1 + more),
            false => format!("{} lines", next - 1 + more),
        };
        text.push_str(&format!("[lines {first} to {} of {total}; go on with `offset: {next}`]\n", next - 1));
    }
    Ok(text)
}

/// Lines of any length, of which only the beginning is kept.
struct Lines<R> {
    file: R,
    buffer: Vec<u8>,
    /// Bytes read so far.
    read: u64,
}

impl<R: BufRead> Lines<R> {
    /// Puts the beginning of the next line into `buffer`; its length, or `None` at the end.
    fn next(&mut self) -> std::io::Result<Option<u64>> {
        self.buffer.clear();
        let (mut length, mut ended) = (0_u64, false);
        while !ended {
            let chunk = self.file.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            let end = chunk.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            ended = end.is_some();
            let taken = end.unwrap_or(chunk.len());
            let kept = taken.min((LINE + 4).saturating_sub(self.buffer.len()));
            self.buffer.extend_from_slice(&chunk[..kept]);
            length += taken as u64;
            self.file.consume(taken);
        }
        self.read += length;
        Ok((length > 0).then_some(length))
    }

    /// Passes over a line; false at the end.
    fn skip(&mut self) -> std::io::Result<bool> {
        let skipped = self.file.skip_until(b'\n')? as u64;
        self.read += skipped;
        Ok(skipped > 0)
    }
}

/// What a file is that is no text, as far as its beginning shows.
fn kind(start: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: &[(&[u8], &str)] = &[
        (b"\x89PNG\r\n\x1a\n", "an image (PNG)"),
        (b"\xff\xd8\xff", "an image (JPEG)"),
        (b"GIF87a", "an image (GIF)"),
        (b"GIF89a", "an image (GIF)"),
        (b"BM", "an image (BMP)"),
        (b"%PDF-", "a PDF document"),
        (b"\xff\xfe", "a text in UTF-16, and would have to be converted to UTF-8"),
        (b"\xfe\xff", "a text in UTF-16, and would have to be converted to UTF-8"),
    ];
    let known = BEGINNINGS.iter().find(|(bytes, _)| start.starts_with(bytes));
    let has_nul = start.contains(&0);
    match known {
        // Two letters and no NUL may well be a text.
        Some((b"BM", kind)) => has_nul.then_some(kind),
        Some((_, kind)) => Some(kind),
        None if start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP") => Some("an image (WebP)"),
        None => has_nul.then_some("a binary file"),
    }
}
