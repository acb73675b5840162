//! `.claude/agents/*.md` of the plan's project: a team's existing subagents, under their own names.
//!
//! Invariants: only the files of the agents that a call names have any effect; what
//! stands below the front matter is text, never a template.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::plan::code;
use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::load::Load;
use crate::plan::read::At;

/// More files than this are not looked at.
const MAX_FILES: usize = 1_000;
/// Longer files are not looked at when a name is searched.
const MAX_BYTES: u64 = 256 * 1024;

/// Where an agent is defined.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    path: PathBuf,
}

/// What the file of an agent says.
#[derive(Debug)]
pub(super) struct Found {
    /// The whole file.
    pub(super) at: Span,
    /// What stands below the front matter.
    pub(super) system: String,
    /// The model, as `provider/model`; `None` for the default one.
    pub(super) model: Option<At<String>>,
    /// What it is for.
    pub(super) description: Option<String>,
    /// Its tools as written there, if any are named, and where.
    pub(super) tools: Option<(Vec<String>, Span)>,
}

#[derive(Debug, Deserialize)]
struct FrontMatter {
    name: Option<String>,
    description: Option<String>,
    model: Option<String>,
    tools: Option<Tools>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Tools {
    Words(String),
    List(Vec<String>),
}

/// The agents of the nearest `.claude/agents` from `dir` up to `root`, by name.
pub(super) fn definitions(dir: &Path, root: &Path) -> HashMap<String, Definition> {
    let mut found = HashMap::new();
    let inside = dir.ancestors().take_while(|folder| folder.starts_with(root));
    let Some(folder) = inside.map(|folder| folder.join(".claude/agents")).find(|folder| folder.is_dir())
    else {
        return found;
    };
    let Ok(entries) = folder.read_dir() else { return found };
    let mut paths: Vec<PathBuf> =
        entries.take(MAX_FILES).filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let is_text = path.extension().is_some_and(|extension| extension == "md");
        let small = path.metadata().is_ok_and(|data| data.is_file() && data.len() <= MAX_BYTES);
        if !is_text || !small {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = front_matter(&text).and_then(|(front, _)| front.ok()?.name).or(stem);
        if let Some(name) = name {
            found.entry(name).or_insert(Definition { path });
        }
    }
    found
}

/// Reads the agent that a call uses.
pub(super) fn read(load: &mut Load<'_>, definition: &Definition, root: &Path, used: Span) -> Option<Found> {
    let shown = definition.path.strip_prefix(root).unwrap_or(&definition.path);
    let number = load.files.open(&definition.path, shown, Some(used), &mut load.faults)?;
    let text = load.files.text(number);
    let at = load.whole(number);
    let (front, body) = match front_matter(&text) {
        None => (None, &*text),
        Some((Ok(front), body)) => (Some(front), body),
        Some((Err(problem), _)) => {
            let fault =
                Diagnostic::error(code::SYNTAX, at, format!("the front matter is not YAML: {problem}"));
            load.fault(fault.related(used, "used here"));
            return None;
        }
    };
    let place = |word: &str| find(&text, word).map_or(at, |start| span(number, start, word.len()));
    let model = front.as_ref().and_then(|front| front.model.as_deref());
    let model = model.filter(|model| !model.is_empty() && *model != "inherit").map(|model| {
        let name = match model {
            "sonnet" => "anthropic/claude-sonnet-5".to_owned(),
            "opus" => "anthropic/claude-opus-5".to_owned(),
            "haiku" => "anthropic/claude-haiku-4-5-20251001".to_owned(),
            other if other.contains('/') => other.to_owned(),
            other => format!("anthropic/{other}"),
        };
        At { at: place("model:"), value: name }
    });
    let description = front.as_ref().and_then(|front| front.description.clone());
    let tools = front.and_then(|front| front.tools).map(|tools| match tools {
        Tools::Words(words) => words.split(',').map(|word| word.trim().to_owned()).collect(),
        Tools::List(words) => words,
    });
    let tools = tools.map(|words: Vec<String>| words.into_iter().filter(|word| !word.is_empty()).collect());
    let tools = tools.filter(|words: &Vec<String>| !words.is_empty()).map(|words| (words, place("tools:")));
    Some(Found { at, system: body.trim().to_owned(), description, model, tools })
}

/// The front matter, read, and what stands below it; `None` where there is none.
fn front_matter(text: &str) -> Option<(Result<FrontMatter, String>, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rest = text.strip_prefix("---")?.trim_start_matches([' ', '\t', '\r']).strip_prefix('\n')?;
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            let (front, body) = (rest.get(..end)?, rest.get(end + line.len()..)?);
            let read = serde_yaml::from_str(front).map_err(|error| error.to_string().replace('\n', "; "));
            return Some((read, body));
        }
        end += line.len();
    }
    None
}

fn find(text: &str, word: &str) -> Option<usize> {
    if text.starts_with(word) { Some(0) } else { text.find(&format!("\n{word}")).map(|at| at + 1) }
}

fn span(file: u16, start: usize, length: usize) -> Span {
    let place = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { file, start: place(start), end: place(start + length) }
}
