//! What agents may do to files, as far as a plan shows it: tools of models, flags of known programs.
//!
//! Invariant: no program is run and no file is read; a program that is not known is taken to write.

use std::path::Path;

use crate::plan::{Agent, AgentKind, CommandAgent, CommandPattern, ToolGrant};

/// Commands that leave files alone, or only fill build folders, by first word and, for some, second.
const READERS: &[&str] = &[
    "basename", "cat", "cut", "date", "df", "diff", "dirname", "du", "echo", "env", "file", "grep", "head",
    "jq", "ls", "nl", "printf", "ps", "pwd", "realpath", "rg", "sort", "stat", "tail", "tree", "uname",
    "uniq", "wc", "which", "pytest", "tsc",
];
const READING_PARTS: &[(&str, &[&str])] = &[
    (
        "git",
        &[
            "blame",
            "cat-file",
            "describe",
            "diff",
            "grep",
            "log",
            "ls-files",
            "ls-tree",
            "merge-base",
            "rev-list",
            "rev-parse",
            "shortlog",
            "show",
            "status",
        ],
    ),
    ("cargo", &["bench", "build", "check", "clippy", "metadata", "test", "tree"]),
    ("go", &["build", "list", "test", "vet"]),
    ("npm", &["ls", "test"]),
    ("gh", &["api", "issue", "pr", "run", "search"]),
];

/// A program that is known to ask for permission unless it is told what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Claude,
    Codex,
    Gemini,
    OpenCode,
    Goose,
}

impl Known {
    /// Recognised by the program's file name.
    pub(super) fn of(agent: &CommandAgent) -> Option<Known> {
        match Path::new(agent.argv.first()?).file_stem()?.to_str()? {
            "claude" => Some(Known::Claude),
            "codex" => Some(Known::Codex),
            "gemini" => Some(Known::Gemini),
            "opencode" => Some(Known::OpenCode),
            "goose" => Some(Known::Goose),
            _ => None,
        }
    }

    /// The environment variable that answers for it, where there is one.
    pub(super) fn permission_env(self) -> Option<&'static str> {
        match self {
            Known::Goose => Some("GOOSE_MODE"),
            Known::Claude | Known::Codex | Known::Gemini | Known::OpenCode => None,
        }
    }

    /// What to write so that it does not ask.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Known::Claude => {
                "`--permission-mode dontAsk --allowedTools Read,Grep,Glob`, or `--permission-mode acceptEdits`"
            }
            Known::Codex => "`--sandbox workspace-write`, or `--sandbox read-only`",
            Known::Gemini => "`--approval-mode auto_edit`, or `--approval-mode plan`",
            Known::OpenCode => "`--auto`",
            Known::Goose => "`env: {GOOSE_MODE: auto}` on its calls",
        }
    }
}

/// True if the program's own arguments say what it may do without asking.
pub(super) fn is_told(known: Known, agent: &CommandAgent) -> bool {
    let flags = Flags(&agent.argv);
    match known {
        Known::Claude => {
            flags.value("--permission-mode").is_some_and(|mode| !["default", "manual"].contains(&mode))
                || flags.any(&[
                    "--dangerously-skip-permissions",
                    "--allowedTools",
                    "--allowed-tools",
                    "--permission-prompts",
                    "--permission-prompt-tool",
                    "--settings",
                    "--tools",
                ])
        }
        // `codex exec` never asks: it declines what its sandbox forbids.
        Known::Codex => {
            agent.argv.iter().skip(1).any(|word| word == "exec" || word == "e")
                || flags.any(&[
                    "-s",
                    "--sandbox",
                    "-a",
                    "--ask-for-approval",
                    "--full-auto",
                    "--approve-for-me",
                    "--dangerously-bypass-approvals-and-sandbox",
                    "--yolo",
                    "-p",
                    "--profile",
                    "-c",
                    "--config",
                ])
        }
        Known::Gemini => {
            flags.value("--approval-mode").is_some_and(|mode| mode != "default")
                || flags.any(&["--yolo", "-y", "--allowed-tools", "--policy"])
        }
        Known::OpenCode => flags.any(&["--auto"]),
        Known::Goose => false,
    }
}

/// True if an agent may change files where it works.
pub(super) fn writes(agent: &Agent) -> bool {
    match &agent.kind {
        AgentKind::Model(model) => model.tools.iter().any(tool_writes),
        AgentKind::Command(command) => program_writes(command),
    }
}

fn tool_writes(tool: &ToolGrant) -> bool {
    match tool {
        ToolGrant::Write | ToolGrant::Edit | ToolGrant::Bash(None) | ToolGrant::BackgroundRun => true,
        ToolGrant::Bash(Some(pattern)) => !pattern_reads(pattern),
        // What a server's tools do is not known; what subagents do is theirs.
        ToolGrant::Read
        | ToolGrant::Grep
        | ToolGrant::Glob
        | ToolGrant::List
        | ToolGrant::CheckBackground
        | ToolGrant::Agent
        | ToolGrant::Mcp { .. } => false,
    }
}

/// True if every command that a `bash(…)` pattern allows leaves files alone.
fn pattern_reads(pattern: &CommandPattern) -> bool {
    let mut words = pattern.words().iter().map(String::as_str);
    let Some(program) = words.next() else { return false };
    let part = words.next().unwrap_or("*");
    READERS.contains(&program)
        || READING_PARTS.iter().any(|(name, parts)| *name == program && parts.contains(&part))
}

fn program_writes(agent: &CommandAgent) -> bool {
    let flags = Flags(&agent.argv);
    match Known::of(agent) {
        Some(Known::Claude) => flags.value("--permission-mode") != Some("plan"),
        Some(Known::Codex) => {
            let sandbox = flags.value("--sandbox").or(flags.value("-s"));
            let exec = agent.argv.iter().skip(1).any(|word| word == "exec" || word == "e");
            let free = flags.any(&["--full-auto", "--yolo", "--dangerously-bypass-approvals-and-sandbox"]);
            free || sandbox.map_or(!exec, |sandbox| sandbox != "read-only")
        }
        Some(Known::Gemini) => flags.value("--approval-mode") != Some("plan"),
        Some(Known::OpenCode | Known::Goose) | None => true,
    }
}

/// A program's arguments, read as `--flag value` and `--flag=value`.
struct Flags<'a>(&'a [String]);

impl<'a> Flags<'a> {
    fn any(&self, names: &[&str]) -> bool {
        self.0.iter().skip(1).any(|word| {
            let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
            names.contains(&name)
        })
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|word| {
            word == name || word.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
        })?;
        match self.0.get(at)?.split_once('=') {
            Some((_, value)) => Some(value),
            None => self.0.get(at + 1).map(String::as_str),
        }
    }
}

/// The model that a program's arguments name, where they do.
pub(super) fn model_flag(agent: &CommandAgent) -> Option<&str> {
    Known::of(agent)?;
    let flags = Flags(&agent.argv);
    flags.value("--model").or(flags.value("-m"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::sample::{command_agent, model_agent};

    #[test]
    fn tools_that_only_read_are_told_from_those_that_write() {
        for (tool, writes_files) in [
            ("read", false),
            ("grep", false),
            ("write", true),
            ("edit", true),
            ("bash", true),
            ("bash(git log *)", false),
            ("bash(git log:*)", false),
            ("bash(git *)", true),
            ("bash(git commit *)", true),
            ("bash(cargo test *)", false),
            ("bash(rg *)", false),
            ("bash(sed -i *)", true),
            ("mcp(files)", false),
        ] {
            assert_eq!(writes(&model_agent("a", &[tool])), writes_files, "{tool}");
        }
    }

    #[test]
    fn programs_that_only_read_are_told_from_those_that_write() {
        for (argv, writes_files) in [
            (vec!["claude"], true),
            (vec!["claude", "--permission-mode", "plan"], false),
            (vec!["/usr/bin/claude", "--permission-mode=plan"], false),
            (vec!["codex", "exec"], false),
            (vec!["codex", "exec", "-s", "workspace-write"], true),
            (vec!["codex", "-s", "read-only"], false),
            (vec!["codex", "exec", "--full-auto"], true),
            (vec!["gemini", "--approval-mode", "plan"], false),
            (vec!["python3", "my_agent.py"], true),
        ] {
            assert_eq!(writes(&command_agent("a", &argv)), writes_files, "{argv:?}");
        }
    }
}
