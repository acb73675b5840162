//! Which commands an agent may run, and which of them only look.
//!
//! Invariant: a command line is allowed when every simple command in it matches a pattern, word by
//! word; what cannot be taken apart is not allowed.

use super::{Word, simple_commands};
use crate::plan::CommandPattern;

/// The commands that an agent may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tool) enum Allowed {
    /// Any.
    Any,
    /// Those that match one of these.
    Matching(Vec<CommandPattern>),
}

impl Allowed {
    /// Whether a command line may be run; else why not, in words for a model.
    pub(in crate::tool) fn check(&self, line: &str) -> Result<(), String> {
        let Allowed::Matching(patterns) = self else { return Ok(()) };
        let commands = simple_commands(line)
            .map_err(|unclear| format!("not allowed: the command holds {unclear}. {}", self.told()))?;
        for words in commands {
            if !patterns.iter().any(|pattern| matches(pattern.words(), &words)) {
                let shown: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
                return Err(format!("not allowed: `{}`. {}", shown.join(" "), self.told()));
            }
        }
        Ok(())
    }

    /// What is allowed, in words for a model.
    pub(in crate::tool) fn told(&self) -> String {
        let Allowed::Matching(patterns) = self else { return "Any command is allowed.".to_owned() };
        let shown: Vec<String> = patterns.iter().map(|pattern| format!("`{pattern}`")).collect();
        format!(
            "Allowed are {} (`*` at the end stands for any further words), and lists of these with `;`, `&&`, \
             `||` and `|`, `2>&1` and `>/dev/null`; no variables, substitutions, groups or other redirections.",
            shown.join(", ")
        )
    }
}

/// Whether the words of a command are those of a pattern.
fn matches(pattern: &[String], words: &[Word]) -> bool {
    let (fixed, open) = match pattern.split_last() {
        Some((last, fixed)) if last == "*" => (fixed, true),
        Some(_) | None => (pattern, false),
    };
    let enough = if open { words.len() >= fixed.len() } else { words.len() == fixed.len() };
    enough && fixed.iter().zip(words).all(|(pattern, word)| !word.loose && covers(pattern, &word.text))
}

/// Whether a pattern, in which `*` stands for any characters, covers all of a text.
fn covers(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or("");
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(end)
}

/// Programs that only look, whatever their arguments.
const LOOKS: &[&str] = &[
    "basename",
    "cat",
    "cksum",
    "cmp",
    "cut",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "false",
    "file",
    "grep",
    "head",
    "ls",
    "md5sum",
    "nl",
    "printf",
    "pwd",
    "readlink",
    "realpath",
    "sha256sum",
    "stat",
    "tr",
    "true",
    "uname",
    "wc",
    "which",
];

/// What of git only looks, unless an option says where to write or what to start.
const GIT_LOOKS: &[&str] = &[
    "blame",
    "cat-file",
    "describe",
    "diff",
    "log",
    "ls-files",
    "ls-tree",
    "merge-base",
    "name-rev",
    "rev-list",
    "rev-parse",
    "shortlog",
    "show",
    "status",
];

/// Whether a command line changes nothing, as far as the names in it say: it can be run again.
pub(in crate::tool) fn only_reads(line: &str) -> bool {
    simple_commands(line).is_ok_and(|commands| commands.iter().all(|words| looks(words)))
}

fn looks(words: &[Word]) -> bool {
    let mut texts = words.iter().map(|word| word.text.as_str());
    let has_glob = words.first().is_none_or(|word| word.loose);
    let harmless = |mut rest: std::slice::Iter<'_, Word>| {
        rest.all(|word| {
            !word.loose
                && !["--output", "--ext-diff", "--textconv"].iter().any(|flag| word.text.starts_with(flag))
        })
    };
    match (texts.next(), texts.next()) {
        _ if has_glob => false,
        (Some("git"), Some(part)) => GIT_LOOKS.contains(&part) && harmless(words.iter()),
        (Some("rg"), _) => harmless(words.iter()) && !words.iter().any(|word| word.text.starts_with("--pre")),
        (Some(program), _) => LOOKS.contains(&program),
        (None, _) => false,
    }
}
