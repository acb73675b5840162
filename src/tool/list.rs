//! `list`: what is in one folder.
//!
//! Invariant: names come in order, folders marked; what is left out is counted or named.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::fs::{AtFlags, Dir, FileType, statat};
use serde::Deserialize;
use serde_json::Value;

use super::blocking;
use super::{Class, Ground, Heard, Said, Tool, ToolSpec, input, walk};

/// Names in one answer.
const MOST: usize = 1_000;
/// Ignored names in one answer.
const MOST_IGNORED: usize = 20;

/// Lists a folder.
#[derive(Debug)]
pub(super) struct List {
    ground: Arc<Ground>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    path: PathBuf,
}

impl List {
    pub(super) fn new(ground: Arc<Ground>) -> List {
        List { ground }
    }
}

impl Tool for List {
    fn spec(&self) -> ToolSpec {
        input::spec(
            "list",
            "Lists one folder of the workspace: each name on a line, folders with a `/` at the end, links \
             with an `@`, files with their size in bytes. What .gitignore names is only mentioned at the end.",
            0,
            &[("path", "string", "The folder. Default: the workspace's root.")],
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
            blocking::run(move |_| list(&ground, &input)).await
        }
        .boxed()
    }
}

fn list(ground: &Ground, input: &Input) -> Result<String, Said> {
    let found = ground.files().find(&input.path)?;
    let folder = found.folder()?;
    let fault = |error: rustix::io::Errno| {
        Said::error(format!("`{}` cannot be listed: {}", found.given(), std::io::Error::from(error)))
    };
    let kept: std::collections::HashSet<OsString> = walk::names(ground, &found).into_iter().collect();
    let mut names = Vec::new();
    for entry in Dir::read_from(&folder).map_err(fault)? {
        let name = OsString::from_vec(entry.map_err(fault)?.file_name().to_bytes().to_vec());
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort();
    let (shown, ignored): (Vec<OsString>, Vec<OsString>) =
        names.into_iter().partition(|name| kept.contains(name));
    let mut text = String::new();
    for name in shown.iter().take(MOST) {
        let plain = name.to_string_lossy().replace(['\n', '\r'], "?");
        let _ = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Gone in between.
            Err(_) => Ok(()),
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => writeln!(text, "{plain}/"),
                FileType::Symlink => writeln!(text, "{plain}@"),
                FileType::RegularFile => writeln!(text, "{plain}\t{}", stat.st_size),
                FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => writeln!(text, "{plain} (neither a file nor a folder)"),
            },
        };
    }
    if shown.is_empty() {
        text.push_str("(empty)\n");
    }
    if shown.len() > MOST {
        let _ = writeln!(text, "[{} more left out: use `glob`]", shown.len() - MOST);
    }
    let ignored: Vec<String> =
        ignored.iter().map(|name| name.to_string_lossy().replace(['\n', '\r'], "?")).collect();
    if !ignored.is_empty() {
        let named = ignored.iter().take(MOST_IGNORED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = match ignored.len().saturating_sub(MOST_IGNORED) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let _ = writeln!(text, "[ignored: {named}{more}]");
    }
    Ok(text)
}
