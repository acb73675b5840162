//! What agents may do to files, as far as a plan shows it: tools of models, flags of known programs.
//!
//! Invariant: no program is run and no file is read; a program that is not known is taken to write.

use crate::plan::{Agent, AgentKind, CommandAgent, CommandPattern, Program, ToolGrant};

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

/// The environment variable that answers for a program, where there is one.
pub(super) fn permission_env(program: Program) -> Option<&'static str> {
    match program {
        Program::Goose => Some("GOOSE_MODE"),
        Program::Claude | Program::Codex | Program::Gemini | Program::OpenCode => None,
    }
}

/// What to write so that it does not ask, where its command line is spelt out.
pub(super) fn advice(program: Program) -> &'static str {
    match program {
        Program::Claude => {
            "`--permission-mode dontAsk --allowedTools Read,Grep,Glob`, or `--permission-mode acceptEdits`"
        }
        Program::Codex => "`--sandbox workspace-write`, or `--sandbox read-only`",
        Program::Gemini => "`--approval-mode auto_edit`, or `--approval-mode plan`",
        Program::OpenCode => "`--auto`",
        Program::Goose => "`env: {GOOSE_MODE: auto}` on its calls",
    }
}

/// True if the program's own arguments say what it may do without asking.
pub(super) fn is_told(known: Program, agent: &CommandAgent) -> bool {
    // Its adapter starts it so that it does not ask.
    if agent.program.is_some() {
        return true;
    }
    let flags = Flags(&agent.argv);
    match known {
        Program::Claude => {
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
        Program::Codex => {
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
        Program::Gemini => {
            flags.value("--approval-mode").is_some_and(|mode| mode != "default")
                || flags.any(&["--yolo", "-y", "--allowed-tools", "--policy"])
        }
        Program::OpenCode => flags.any(&["--auto"]),
        Program::Goose => false,
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
    if agent.program.is_some() {
        return agent.tools.iter().flatten().any(tool_writes);
    }
    let flags = Flags(&agent.argv);
    match Program::started_by(&agent.argv) {
        Some(Program::Claude) => flags.value("--permission-mode") != Some("plan"),
        Some(Program::Codex) => {
            let sandbox = flags.value("--sandbox").or(flags.value("-s"));
            let exec = agent.argv.iter().skip(1).any(|word| word == "exec" || word == "e");
            let free = flags.any(&["--full-auto", "--yolo", "--dangerously-bypass-approvals-and-sandbox"]);
            free || sandbox.map_or(!exec, |sandbox| sandbox != "read-only")
        }
        Some(Program::Gemini) => flags.value("--approval-mode") != Some("plan"),
        Some(Program::OpenCode | Program::Goose) | None => true,
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
    Program::started_by(&agent.argv)?;
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
