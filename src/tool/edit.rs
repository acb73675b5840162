//! `edit`: text in a file replaced by other text.
//!
//! Invariants: what is replaced stands in the file exactly as it was given, once unless all of it
//! is meant; a file that somebody else changed meanwhile is left as it is.

use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::beneath::Refused;
use super::blocking::{self, Stop};
use super::write::{target, writable};
use super::{Class, Ground, Heard, Said, Tool, ToolSpec, input};

/// Larger files are not edited, in bytes.
const MOST: u64 = 32 * 1024 * 1024;

/// Edits a file.
#[derive(Debug)]
pub(super) struct Edit {
    ground: Arc<Ground>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: PathBuf,
    old: String,
    new: String,
    #[serde(default)]
    replace_all: bool,
}

impl Edit {
    pub(super) fn new(ground: Arc<Ground>) -> Edit {
        Edit { ground }
    }
}

impl Tool for Edit {
    fn spec(&self) -> ToolSpec {
        input::spec(
            "edit",
            "Replaces text in a file of the workspace. `old` must stand in the file exactly, with its \
             indentation and without the line numbers of `read`, and only once: take in lines around it \
             until it does, or set `replace_all`. The file's mode and line endings are kept.",
            3,
            &[
                ("path", "string", "The file, relative to the workspace."),
                ("old", "string", "The text to replace."),
                ("new", "string", "The text to put there."),
                ("replace_all", "boolean", "Replace it wherever it stands. Default: false."),
            ],
        )
    }

    fn class(&self, _: &Value) -> Class {
        // A second time the old text is not there any more.
        Class::Unsafe
    }

    fn writes(&self, input: &Value) -> Option<PathBuf> {
        target(&self.ground, input)
    }

    fn call<'a>(&'a self, input: Value, _: &'a Heard<'a>) -> BoxFuture<'a, Said> {
        async move {
            let input: Input = match input::read(&self.spec(), input) {
                Ok(input) => input,
                Err(said) => return said,
            };
            let ground = Arc::clone(&self.ground);
            blocking::run(move |stop| edit(&ground, &input, stop)).await
        }
        .boxed()
    }
}

fn edit(ground: &Ground, input: &Input, stop: &Stop) -> Result<String, Said> {
    writable(ground)?;
    if input.old.is_empty() {
        return Err(Said::error("`old` is empty: to make a file or replace all of it use `write`"));
    }
    if input.old == input.new {
        return Err(Said::error("`old` and `new` are the same: nothing would change"));
    }
    let found = ground.files().find_to_write(&input.path, false)?;
    let given = found.given();
    let (file, seen) = found.read().map_err(|refused| match matches!(refused, Refused::Missing(_)) {
        true => Said::error(format!("there is no `{given}`: use `write` to make it")),
        false => refused.into(),
    })?;
    let fault = |error: std::io::Error| Said::error(format!("`{given}` cannot be read: {error}"));
    let size = file.metadata().map_err(fault)?.len();
    if size > MOST {
        return Err(Said::error(format!("`{given}` has {size} bytes; no more than {MOST} are edited")));
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, MOST), &mut bytes).map_err(fault)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let at = error.valid_up_to();
        Said::error(format!("`{given}` is no UTF-8 text (the byte at {at} is none), and is not edited"))
    })?;
    let (edited, count) =
        replaced(text, input).map_err(|problem| Said::error(format!("`{given}`: {problem}")))?;
    found.write(edited.as_bytes(), Some(seen), || stop.is_set())?;
    Ok(match count {
        1 => format!("edited: `{given}`, 1 place"),
        n => format!("edited: `{given}`, {n} places"),
    })
}

/// The text with its replacements and how many there were, or what is wrong.
fn replaced(text: &str, input: &Input) -> Result<(String, usize), String> {
    // A model writes `\n` whatever the file has.
    let crlf = has_crlf(text.as_bytes());
    let own = |part: &str| match crlf && !part.contains('\r') {
        true => part.replace('\n', "\r\n"),
        false => part.to_owned(),
    };
    let (old, new) = (own(&input.old), own(&input.new));
    let places: Vec<usize> = text.match_indices(&old).map(|(at, _)| line_of(text, at)).collect();
    match places.as_slice() {
        [] => Err(missing(text, &input.old)),
        [_] => Ok((text.replacen(&old, &new, 1), 1)),
        several if input.replace_all => Ok((text.replace(&old, &new), several.len())),
        several => {
            let mut shown: Vec<String> = several.iter().take(10).map(ToString::to_string).collect();
            if several.len() > 10 {
                shown.push(format!("{} more", several.len() - 10));
            }
            Err(format!(
                "`old` stands {} times, at lines {}: take in lines around the one that is meant, \
                 or set `replace_all`",
                several.len(),
                shown.join(", ")
            ))
        }
    }
}

/// Why the text is not there, as well as it can be told.
fn missing(text: &str, old: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted: Vec<String> = old.lines().map(words).filter(|line| !line.is_empty()).collect();
    let lines: Vec<(usize, String)> = (text.lines().enumerate())
        .map(|(at, line)| (at + 1, words(line)))
        .filter(|(_, line)| !line.is_empty())
        .collect();
    let same = |window: &[(usize, String)]| window.iter().map(|(_, line)| line).eq(wanted.iter());
    if let Some(window) = lines.windows(wanted.len().max(1)).find(|window| same(window)) {
        let at = window.first().map_or(1, |(at, _)| *at);
        return format!(
            "`old` stands at line {at} with other blanks or blank lines: read that line again and copy it exactly"
        );
    }
    let first = wanted.first().map(String::as_str).unwrap_or_default();
    match lines.iter().find(|(_, line)| line == first) {
        Some((at, _)) if wanted.len() > 1 => {
            format!("`old` does not stand in it; its first line does, at line {at}, but goes on differently")
        }
        Some(_) | None => {
            "`old` does not stand in it: read the file again and copy the text exactly".to_owned()
        }
    }
}

/// Whether every line of a text ends in CRLF, and there is one.
pub(super) fn has_crlf(bytes: &[u8]) -> bool {
    let mut before = b'\0';
    let mut ends = 0;
    for byte in bytes {
        if *byte == b'\n' {
            if before != b'\r' {
                return false;
            }
            ends += 1;
        }
        before = *byte;
    }
    ends > 0
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}
