//! `write`: a whole file, new or in place of an old one.
//!
//! Invariant: the file is there with all of its new text or as it was.

use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::fs::FileType;
use serde::Deserialize;
use serde_json::Value;

use super::beneath::{Found, Refused, Seen};
use super::blocking::{self, Stop};
use super::edit::has_crlf;
use super::{Class, Ground, Heard, Said, Tool, ToolSpec, input};

/// Writes a file.
#[derive(Debug)]
pub(super) struct Write {
    ground: Arc<Ground>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: PathBuf,
    content: String,
}

impl Write {
    pub(super) fn new(ground: Arc<Ground>) -> Write {
        Write { ground }
    }
}

impl Tool for Write {
    fn spec(&self) -> ToolSpec {
        input::spec(
            "write",
            "Writes a text file of the workspace: makes it, with the folders on the way, or replaces all of \
             it. To change a part of a file use `edit`. A file that had CRLF line endings keeps them.",
            2,
            &[
                ("path", "string", "The file, relative to the workspace."),
                ("content", "string", "The whole new text."),
            ],
        )
    }

    fn class(&self, _: &Value) -> Class {
        Class::Idempotent
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
            blocking::run(move |stop| write(&ground, &input, stop)).await
        }
        .boxed()
    }
}

/// The file that a call with a `path` writes, without links.
pub(super) fn target(ground: &Ground, input: &Value) -> Option<PathBuf> {
    let path = PathBuf::from(input.get("path")?.as_str()?);
    // Where it cannot be found yet (a folder on the way is missing), its own words are its name.
    Some(ground.files().find(&path).map_or_else(|_| plain(&path), |found| found.inner))
}

/// A path without `.` and doubled slashes.
fn plain(path: &std::path::Path) -> PathBuf {
    path.components().filter(|part| *part != std::path::Component::CurDir).collect()
}

/// Refuses to write where nothing is to be written.
pub(super) fn writable(ground: &Ground) -> Result<(), Said> {
    match ground.read_only {
        true => Err(Said::error("nothing can be written here: the workspace is read-only for this agent")),
        false => Ok(()),
    }
}

/// What is there now: `None` for nothing.
pub(super) fn existing(found: &Found) -> Result<Option<Seen>, Refused> {
    match found.look()? {
        None => Ok(None),
        Some((FileType::RegularFile, seen)) => Ok(Some(seen)),
        Some((FileType::Directory, _)) => Err(Refused::Folder(found.given().to_owned())),
        Some(_) => Err(Refused::Special(found.given().to_owned())),
    }
}

fn write(ground: &Ground, input: &Input, stop: &Stop) -> Result<String, Said> {
    writable(ground)?;
    let found = ground.files().find_to_write(&input.path, true)?;
    let before = existing(&found)?;
    let mut bytes = input.content.as_bytes();
    let converted;
    let crlf = before.is_some() && !input.content.contains('\r') && had_crlf(&found)?;
    if crlf {
        converted = input.content.replace('\n', "\r\n");
        bytes = converted.as_bytes();
    }
    found.write(bytes, before, || stop.is_set())?;
    let done = if before.is_some() { "replaced" } else { "written" };
    let endings = if crlf { ", with its CRLF line endings" } else { "" };
    let lines = input.content.lines().count();
    Ok(format!("{done}: `{}` ({lines} lines, {} bytes{endings})", found.given(), bytes.len()))
}

/// Whether the lines of the file that is there end in CRLF, as far as its beginning shows.
fn had_crlf(found: &Found) -> Result<bool, Said> {
    let (file, _) = found.read()?;
    let mut start = Vec::new();
    // One that cannot be read has no endings to keep.
    let _ = std::io::Read::read_to_end(&mut std::io::Read::take(file, 64 * 1024), &mut start);
    Ok(has_crlf(&start))
}
