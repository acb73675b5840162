//! `grep`: lines of the workspace's files that match a regular expression.
//!
//! Invariants: what git ignores and what is binary is not searched; matches come in the order of
//! paths and lines; what is said is bounded and says what was left out.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkFinish, SinkMatch};
use serde::Deserialize;
use serde_json::Value;

use super::blocking::{self, Stop};
use super::glob::matcher;
use super::{Class, Ground, Heard, Said, Tool, ToolSpec, head, input, walk};

/// Matching lines, where the call does not say how many.
const MATCHES: usize = 200;
/// The most that a call can ask for.
const MAX_MATCHES: usize = 2_000;
/// Bytes of one line that are shown.
const LINE: usize = 500;
/// Bytes of one answer.
const MOST: usize = 64 * 1024;
/// Matches behind the last shown one are counted up to this many.
const MAX_COUNTED: usize = 100_000;
/// Lines longer than this are not searched, in bytes.
const MAX_HELD: usize = 16 * 1024 * 1024;
/// The most lines around a match.
const MAX_AROUND: usize = 20;

/// Searches in files.
#[derive(Debug)]
pub(super) struct Grep {
    ground: Arc<Ground>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    pattern: String,
    #[serde(default)]
    path: PathBuf,
    glob: Option<String>,
    #[serde(default)]
    ignore_case: bool,
    #[serde(default)]
    literal: bool,
    #[serde(default)]
    files_only: bool,
    #[serde(default)]
    context: usize,
    limit: Option<usize>,
}

impl Grep {
    pub(super) fn new(ground: Arc<Ground>) -> Grep {
        Grep { ground }
    }
}

impl Tool for Grep {
    fn spec(&self) -> ToolSpec {
        input::spec(
            "grep",
            "Searches the workspace's files for a regular expression, line by line, as ripgrep does. \
             Answers `path:line:text`, ordered by path. What .gitignore names, binary files and `.git` are \
             left out; hidden files are not.",
            1,
            &[
                ("pattern", "string", "The regular expression (Rust syntax, no look-around)."),
                ("path", "string", "A file or folder to search in. Default: the whole workspace."),
                ("glob", "string", "Only files that match this, as `glob` takes it: `*.rs`, `src/**/*.ts`."),
                ("ignore_case", "boolean", "Whether upper and lower case are the same. Default: false."),
                ("literal", "boolean", "Whether `pattern` is plain text. Default: false."),
                ("files_only", "boolean", "Only the paths of the files that match. Default: false."),
                ("context", "integer", "Lines to show before and after each match, at most 20. Default: 0."),
                ("limit", "integer", "At most so many matching lines or files, up to 2000. Default: 200."),
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
            blocking::run(move |stop| grep(&ground, &input, stop)).await
        }
        .boxed()
    }
}

fn grep(ground: &Ground, input: &Input, stop: &Stop) -> Result<String, Said> {
    let pattern = RegexMatcherBuilder::new()
        .case_insensitive(input.ignore_case)
        .fixed_strings(input.literal)
        .line_terminator(Some(b'\n'))
        .build(&input.pattern)
        .map_err(|error| {
            let help = "escape what is meant as it stands, or set `literal`";
            Said::error(format!("the pattern cannot be used: {error}\n{help}"))
        })?;
    let only = input.glob.as_deref().map(matcher).transpose()?;
    let around = input.context.min(MAX_AROUND);
    let mut searcher = SearcherBuilder::new()
        .binary_detection(BinaryDetection::quit(0))
        .heap_limit(Some(MAX_HELD))
        .before_context(around)
        .after_context(around)
        .build();
    let limit = input.limit.unwrap_or(MATCHES).clamp(1, MAX_MATCHES);
    let mut answer = Answer { text: String::new(), limit, shown: 0, files: 0, unshown: 0 };
    let mut unsearched = 0;
    let left_out = walk::files(ground, &input.path, stop, |path, found| {
        if only.as_ref().is_some_and(|only| !only.is_match(path)) {
            return true;
        }
        match found.read().map(|(file, _)| {
            search(&mut searcher, &pattern, &file, path, input.files_only, around > 0, &mut answer, stop)
        }) {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => unsearched += 1,
        }
        answer.unshown < MAX_COUNTED
    })?;
    Ok(answer.finish(input, unsearched + left_out.unreadable, left_out.cut))
}

/// What has been found so far.
struct Answer {
    text: String,
    limit: usize,
    /// Matching lines (or files) in `text`.
    shown: usize,
    /// Files that match.
    files: usize,
    /// Matching lines (or files) that are not in `text`.
    unshown: usize,
}

impl Answer {
    fn is_full(&self) -> bool {
        self.shown >= self.limit || self.text.len() >= MOST
    }

    fn finish(self, input: &Input, unsearched: usize, cut: bool) -> String {
        let Answer { mut text, shown, files, unshown, .. } = self;
        let what = if input.files_only { "files" } else { "matching lines" };
        if files == 0 {
            text.push_str("no matches");
            if let Some(glob) = &input.glob {
                let _ = write!(text, " in files that match `{glob}`");
            }
            text.push('\n');
        }
        if unshown > 0 {
            let more = if cut { "more than " } else { "" };
            let of = if input.files_only { String::new() } else { format!(" in {files} files") };
            let total = shown + unshown;
            let _ = writeln!(
                text,
                "[the first {shown} of {more}{total} {what}{of}; narrow `pattern`, `path` or `glob`]"
            );
        } else if cut {
            text.push_str("[the search was given up before its end: narrow `path` or `glob`]\n");
        }
        if unsearched > 0 {
            let _ = writeln!(text, "[{unsearched} files or folders could not be read]");
        }
        text
    }
}

#[expect(clippy::too_many_arguments, reason = "one call, of parts that have nothing else in common")]
fn search(
    searcher: &mut Searcher,
    pattern: &RegexMatcher,
    file: &std::fs::File,
    path: &Path,
    files_only: bool,
    blocks: bool,
    answer: &mut Answer,
    stop: &Stop,
) -> io::Result<()> {
    // A link's or file's name may hold anything but NUL.
    let path = path.to_string_lossy().replace(['\n', '\r'], "?");
    let room = if answer.is_full() { 0 } else { answer.limit - answer.shown };
    let space = MOST.saturating_sub(answer.text.len());
    let mut hits = Hits {
        path: &path,
        text: String::new(),
        room,
        space,
        shown: 0,
        matches: 0,
        files_only,
        binary: false,
        apart: false,
        stop,
    };
    let outcome = searcher.search_file(pattern, file, &mut hits);
    if hits.binary || hits.matches == 0 {
        return outcome;
    }
    answer.files += 1;
    if files_only {
        match answer.is_full() {
            true => answer.unshown += 1,
            false => {
                let _ = writeln!(answer.text, "{path}");
                answer.shown += 1;
            }
        }
        return outcome;
    }
    if blocks && !answer.text.is_empty() && !hits.text.is_empty() {
        answer.text.push_str("--\n");
    }
    answer.text.push_str(&hits.text);
    answer.shown += hits.shown;
    answer.unshown += hits.matches - hits.shown;
    outcome
}

/// The matches of one file.
struct Hits<'a> {
    path: &'a str,
    text: String,
    /// How many matches may still be shown.
    room: usize,
    /// How many bytes may still be shown.
    space: usize,
    shown: usize,
    matches: usize,
    files_only: bool,
    binary: bool,
    /// Whether lines were passed over since the last one.
    apart: bool,
    stop: &'a Stop,
}

impl Hits<'_> {
    fn line(&mut self, number: Option<u64>, mark: char, bytes: &[u8]) {
        if std::mem::take(&mut self.apart) && !self.text.is_empty() {
            self.text.push_str("--\n");
        }
        let line = String::from_utf8_lossy(bytes.get(..bytes.len().min(4 * LINE)).unwrap_or(bytes));
        let line = line.trim_end_matches(['\n', '\r']);
        let shown = head(line, LINE);
        let cut = if shown.len() < line.len() || bytes.len() > 4 * LINE { " […]" } else { "" };
        let _ = writeln!(self.text, "{}{mark}{}{mark}{shown}{cut}", self.path, number.unwrap_or(0));
    }

    fn has_room(&self) -> bool {
        self.shown < self.room && self.text.len() < self.space
    }
}

impl Sink for Hits<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        self.matches += 1;
        if !self.files_only && self.has_room() {
            self.line(found.line_number(), ':', found.bytes());
            self.shown += 1;
        }
        Ok(!self.files_only && self.matches < MAX_COUNTED && !self.stop.is_set())
    }

    fn context(&mut self, _: &Searcher, found: &SinkContext<'_>) -> io::Result<bool> {
        if !self.files_only && self.has_room() {
            self.line(found.line_number(), '-', found.bytes());
        }
        Ok(!self.stop.is_set())
    }

    fn context_break(&mut self, _: &Searcher) -> io::Result<bool> {
        self.apart = true;
        Ok(true)
    }

    fn finish(&mut self, _: &Searcher, finish: &SinkFinish) -> io::Result<()> {
        self.binary = finish.binary_byte_offset().is_some();
        Ok(())
    }
}
