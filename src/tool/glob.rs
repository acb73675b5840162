//! `glob`: the workspace's files by name.
//!
//! Invariant: paths come in their order; what is left out is counted.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;
use serde_json::Value;

use super::blocking::{self, Stop};
use super::{Class, Ground, Heard, Said, Tool, ToolSpec, input, walk};

/// Paths in one answer.
const MOST: usize = 1_000;

/// Finds files by name.
#[derive(Debug)]
pub(super) struct Glob {
    ground: Arc<Ground>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    pattern: String,
    #[serde(default)]
    path: PathBuf,
}

impl Glob {
    pub(super) fn new(ground: Arc<Ground>) -> Glob {
        Glob { ground }
    }
}

impl Tool for Glob {
    fn spec(&self) -> ToolSpec {
        input::spec(
            "glob",
            "Finds files of the workspace by name: `*.rs` (in any folder), `src/**/*.ts`, `{a,b}/*.json`. \
             Answers their paths in order, at most 1000. What .gitignore names and `.git` are left out; \
             hidden files are not.",
            1,
            &[
                (
                    "pattern",
                    "string",
                    "`*` and `?` stay within a name, `**` is any folders. Without a `/` it is matched against \
                     the name alone, else against the path from the workspace's root.",
                ),
                ("path", "string", "A folder to look in. Default: the whole workspace."),
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
            blocking::run(move |stop| glob(&ground, &input, stop)).await
        }
        .boxed()
    }
}

fn glob(ground: &Ground, input: &Input, stop: &Stop) -> Result<String, Said> {
    let matcher = matcher(&input.pattern)?;
    let (mut text, mut found) = (String::new(), 0_usize);
    let left_out = walk::files(ground, &input.path, stop, |path, _| {
        if matcher.is_match(path) {
            found += 1;
            if found <= MOST {
                let _ = writeln!(text, "{}", path.to_string_lossy().replace(['\n', '\r'], "?"));
            }
        }
        true
    })?;
    if found == 0 {
        let _ = writeln!(text, "no file matches `{}`", input.pattern);
    }
    if found > MOST {
        let _ = writeln!(text, "[{} more left out: narrow `pattern` or `path`]", found - MOST);
    }
    if left_out.cut {
        text.push_str("[the search was given up before its end: narrow `path`]\n");
    }
    if left_out.unreadable > 0 {
        let _ = writeln!(text, "[{} folders could not be read]", left_out.unreadable);
    }
    Ok(text)
}

/// A pattern for paths from the workspace's root.
pub(super) fn matcher(pattern: &str) -> Result<GlobMatcher, Said> {
    let pattern = pattern.trim_start_matches("./");
    let anywhere = if pattern.contains('/') { pattern.to_owned() } else { format!("**/{pattern}") };
    let glob = GlobBuilder::new(anywhere.trim_start_matches('/')).literal_separator(true).build();
    let glob = glob.map_err(|error| Said::error(format!("the pattern cannot be used: {error}")))?;
    Ok(glob.compile_matcher())
}
