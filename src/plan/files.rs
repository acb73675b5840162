//! The files that make up a plan: opened once, numbered, and only where they may be.
//!
//! Invariants: a path written in a plan never leads out of the folder that it must stay
//! in, not by `..`, not by a symlink; nothing is ever fetched from a network.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::code;
use super::diagnostic::{Diagnostic, Sources, Span};
use super::read::At;
use super::yaml::MAX_BYTES;

/// The texts, by number.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// What was opened, in order.
    pub(super) sources: Sources,
    numbers: HashMap<PathBuf, u16>,
}

impl Files {
    /// Adds a text under a name. `None` when there are more files than spans can tell apart.
    pub(super) fn add(&mut self, name: PathBuf, text: impl Into<Arc<str>>) -> Option<u16> {
        let number = u16::try_from(self.sources.files.len()).ok()?;
        self.sources.files.push((name, text.into()));
        Some(number)
    }

    /// The text of a file.
    pub(super) fn text(&self, number: u16) -> Arc<str> {
        self.sources.files.get(usize::from(number)).map_or_else(|| "".into(), |(_, text)| Arc::clone(text))
    }

    /// The bytes of a place.
    pub(super) fn slice(text: &str, at: Span) -> &str {
        text.get(at.start as usize..at.end as usize).unwrap_or("")
    }

    /// The place, widened to whole characters and cut at the end of its file.
    pub(super) fn whole_characters(&self, at: Span) -> Span {
        let Some((_, text)) = self.sources.files.get(usize::from(at.file)) else { return at };
        let (mut start, mut end) = ((at.start as usize).min(text.len()), (at.end as usize).min(text.len()));
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let place = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { file: at.file, start: place(start), end: place(end.max(start)) }
    }

    /// Reads a file, once. `at` is the place that asks for it, where there is one.
    pub(super) fn open(
        &mut self,
        path: &Path,
        shown: &Path,
        at: Option<Span>,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<u16> {
        if let Some(number) = self.numbers.get(path) {
            return Some(*number);
        }
        let bytes = read(path);
        let (bytes, problem) = match bytes {
            Ok(bytes) if bytes.len() > MAX_BYTES => {
                let problem = format!("`{}` is larger than {MAX_BYTES} bytes", shown.display());
                (Vec::new(), Some((code::TOO_BIG, problem)))
            }
            Ok(bytes) => (bytes, None),
            Err(error) => {
                let problem = format!("`{}` cannot be read: {}", shown.display(), plain(&error));
                (Vec::new(), Some((code::UNREADABLE, problem)))
            }
        };
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = u32::try_from(error.utf8_error().valid_up_to()).unwrap_or(u32::MAX);
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let number = self.add(shown.to_owned(), text)?;
                let place = Span { file: number, start: valid, end: valid + 3 };
                let fault = Diagnostic::error(code::UNREADABLE, place, "this is not UTF-8");
                faults.push(fault.help("save the file as UTF-8"));
                return None;
            }
        };
        let number = match (problem.is_some(), at) {
            // A file that cannot be read is no source, unless there is no other place to point at.
            (true, Some(at)) => at.file,
            (true, None) | (false, _) => match self.add(shown.to_owned(), text) {
                Some(number) => number,
                None => {
                    let message = "the plan is made of more than 65,535 files";
                    faults.push(Diagnostic::error(code::TOO_BIG, at.unwrap_or_default(), message));
                    return None;
                }
            },
        };
        if let Some((code, problem)) = problem {
            let place = at.unwrap_or(Span { file: number, start: 0, end: 0 });
            faults.push(Diagnostic::error(code, place, problem));
            return None;
        }
        self.numbers.insert(path.to_owned(), number);
        Some(number)
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the system says, in words where they are better than its own.
#[expect(clippy::wildcard_enum_match_arm, reason = "the system has too many kinds of errors to name")]
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

/// Finds the file that a plan names, seen from `base`, which it must not leave upwards past `root`.
///
/// Both folders are canonical. `None` when the path was refused and the reason reported under `code`.
pub(super) fn find(
    written: &At<String>,
    base: &Path,
    root: &Path,
    code: &'static str,
    faults: &mut Vec<Diagnostic>,
) -> Option<PathBuf> {
    let path = Path::new(&written.value);
    let mut refuse = |code: &'static str, problem: String, help: String| {
        faults.push(Diagnostic::error(code, written.at, problem).help(help));
        None
    };
    if written.value.contains("://") {
        return refuse(
            code,
            format!("`{}` is an address; only files can be named here", written.value),
            "download the file and name it by its path".to_owned(),
        );
    }
    let odd = written.value.is_empty() || written.value.contains('\0') || written.value.starts_with('~');
    let absolute = path.is_absolute() || path.components().any(|part| matches!(part, Component::Prefix(_)));
    if odd || absolute {
        return refuse(
            code::OUTSIDE,
            format!("`{}` is no path relative to this file", written.value.escape_debug()),
            "write a path relative to the folder of this file".to_owned(),
        );
    }
    let joined = base.join(path);
    // What does not exist is judged by its parts, what exists by where it really is.
    let real = joined.canonicalize().unwrap_or_else(|_| flatten(&joined));
    if !real.starts_with(root) {
        return refuse(
            code::OUTSIDE,
            format!("`{}` leads out of `{}`", written.value, root.display()),
            "move the file there".to_owned(),
        );
    }
    Some(real)
}

/// The path without `.` and `..`.
fn flatten(path: &Path) -> PathBuf {
    let mut flat = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(flat.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => flat.push(part),
        }
    }
    flat
}

/// The folder of the project that `dir` belongs to: the nearest with `.git`, else the nearest with
/// `.claude`, else `dir` itself.
pub(super) fn project_root(dir: &Path) -> PathBuf {
    let nearest = |name: &str| dir.ancestors().find(|folder| folder.join(name).exists());
    nearest(".git").or_else(|| nearest(".claude")).unwrap_or(dir).to_owned()
}
