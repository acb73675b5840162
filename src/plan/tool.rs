//! What an agent may use: one checked entry of `tools`, and the servers under `mcp`.
//!
//! Invariant: an entry that exists can be granted: its name is a tool's, its command
//! pattern says what a command must be, its server is one that the plan defines.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::diagnostic::Span;

/// One entry of an agent's `tools`. Shown as it is written in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ToolGrant {
    /// Reads a file.
    Read,
    /// Writes a file.
    Write,
    /// Replaces text in a file.
    Edit,
    /// Searches in files.
    Grep,
    /// Finds files by name.
    Glob,
    /// Lists a folder.
    List,
    /// Runs commands: any, or those of a pattern.
    Bash(Option<CommandPattern>),
    /// Starts commands that it does not wait for.
    BackgroundRun,
    /// Looks at commands that were started so.
    CheckBackground,
    /// Starts subagents.
    Agent,
    /// The tools of a server under `mcp`.
    Mcp {
        /// A key of [`Plan::mcp`](super::Plan::mcp).
        server: String,
        /// Only this one of its tools; `None` for all.
        tool: Option<String>,
    },
}

impl ToolGrant {
    /// What an agent has where nothing is said: it can look, and change nothing.
    pub const DEFAULT: [ToolGrant; 4] = [ToolGrant::Read, ToolGrant::Grep, ToolGrant::Glob, ToolGrant::List];
}

impl fmt::Display for ToolGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ToolGrant::Read => f.write_str("read"),
            ToolGrant::Write => f.write_str("write"),
            ToolGrant::Edit => f.write_str("edit"),
            ToolGrant::Grep => f.write_str("grep"),
            ToolGrant::Glob => f.write_str("glob"),
            ToolGrant::List => f.write_str("list"),
            ToolGrant::Bash(None) => f.write_str("bash"),
            ToolGrant::Bash(Some(pattern)) => write!(f, "bash({pattern})"),
            ToolGrant::BackgroundRun => f.write_str("background_run"),
            ToolGrant::CheckBackground => f.write_str("check_background"),
            ToolGrant::Agent => f.write_str("agent"),
            ToolGrant::Mcp { server, tool: None } => write!(f, "mcp({server})"),
            ToolGrant::Mcp { server, tool: Some(tool) } => write!(f, "mcp({server}/{tool})"),
        }
    }
}

impl Serialize for ToolGrant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which commands `bash(…)` allows: the words that a command must consist of.
///
/// In a word `*` stands for any characters; a last word `*` for any further words, none included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandPattern {
    words: Vec<String>,
}

impl CommandPattern {
    /// Reads `git log *`. Nothing in it is quoted: words are what stands between blanks.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence without a full stop.
    pub fn parse(text: &str) -> Result<CommandPattern, String> {
        // `git log:*` is how others write it.
        let text = text.trim();
        let words = text.strip_suffix(":*").map_or_else(|| text.to_owned(), |start| format!("{start} *"));
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        match words.first() {
            None => Err("the pattern is empty".to_owned()),
            Some(program) if program.contains('*') => {
                Err(format!("`{program}` would allow more than one program"))
            }
            Some(_) => match words.iter().find_map(|word| word.chars().find(|c| UNUSABLE.contains(*c))) {
                Some(c) => Err(format!("`{c}` stands for itself nowhere in a command")),
                None => Ok(CommandPattern { words }),
            },
        }
    }

    /// The words that a command must begin with, where any may follow: `git log` of `git log *`. `None` for
    /// a pattern that says more than that.
    pub fn prefix(&self) -> Option<String> {
        let (last, first) = self.words.split_last()?;
        let plain = last == "*" && !first.is_empty() && !first.iter().any(|word| word.contains('*'));
        plain.then(|| first.join(" "))
    }

    /// Its words; the first names the program and holds no `*`.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// What a shell reads as more than a character, so that no word of a command could match it.
const UNUSABLE: &str = ";&|<>$`\\\"'(){}\n\r\0";

impl fmt::Display for CommandPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

/// A tool server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpServer {
    /// Its name under `mcp`: letters, digits, `_` and `-`.
    pub name: String,
    /// Where it is defined.
    pub at: Span,
    /// How it is spoken to.
    pub how: McpTransport,
    /// How long one call of its tools may take.
    pub timeout: Duration,
}

/// How a tool server is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McpTransport {
    /// A program that is started, over its standard input and output.
    Stdio {
        /// Program and arguments; never empty.
        argv: Vec<String>,
        /// Added to its environment.
        env: Vec<(String, Setting)>,
        /// The folder that it works in, relative to the workspace of the agent that uses it.
        cwd: PathBuf,
    },
    /// An address, over streamable HTTP.
    Http {
        /// The address.
        url: String,
        /// The environment variable that holds the bearer token.
        api_key_env: Option<String>,
        /// Added to every request.
        headers: Vec<(String, Setting)>,
    },
}

/// A value that stands in the plan, or in the environment of whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// The value itself; never a secret.
    Plain(String),
    /// The name of the variable that holds it.
    Variable(String),
}
