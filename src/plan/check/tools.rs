//! The `tools` of an agent: names and patterns, read into grants.
//!
//! Invariant: a grant that exists can be given; a tool that there is not is an error in a plan, and
//! said aloud where the file of another program names it.

use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::load::Load;
use crate::plan::read::At;
use crate::plan::suggest::{choices, did_you_mean};
use crate::plan::{CommandPattern, ToolGrant, code};

/// The names of tools, as a plan writes them.
const NAMES: &[&str] = &[
    "read",
    "write",
    "edit",
    "grep",
    "glob",
    "list",
    "bash",
    "background_run",
    "check_background",
    "agent",
    "mcp",
];

/// What another program's agent files call our tools.
const FOREIGN: &[(&str, &str)] = &[
    ("Read", "read"),
    ("Write", "write"),
    ("Edit", "edit"),
    ("MultiEdit", "edit"),
    ("Grep", "grep"),
    ("Glob", "glob"),
    ("LS", "list"),
    ("Bash", "bash"),
    ("BashOutput", "check_background"),
    ("Task", "agent"),
    ("Agent", "agent"),
];

/// Reads the list of a plan's agent; each tool once.
///
/// `servers` are the names under `mcp`.
pub(super) fn grants(load: &mut Load<'_>, list: &[At<String>], servers: &[&str]) -> Vec<ToolGrant> {
    let mut grants = Vec::new();
    for word in list {
        if let Some(grant) = grant(load, &word.value, word.at, servers)
            && !grants.contains(&grant)
        {
            grants.push(grant);
        }
    }
    grants
}

/// Reads the list of a project's agent file, written for another program. What has no counterpart
/// here is left out, and a warning says so.
pub(super) fn foreign(load: &mut Load<'_>, list: &[String], at: Span, used: Span) -> Vec<ToolGrant> {
    let mut grants = Vec::new();
    let mut unknown = Vec::new();
    for word in list {
        let (name, inside) = split(word);
        let own = FOREIGN.iter().find(|(foreign, _)| *foreign == name).map(|(_, own)| *own);
        let grant = match (own, inside) {
            (Some("bash"), Some(pattern)) => {
                CommandPattern::parse(pattern).ok().map(|one| ToolGrant::Bash(Some(one)))
            }
            (Some(own), _) => plain(own),
            (None, _) => None,
        };
        match grant {
            Some(grant) if grants.contains(&grant) => {}
            Some(grant) => grants.push(grant),
            None => unknown.push(format!("`{word}`")),
        }
    }
    if !unknown.is_empty() {
        let message = format!("this agent works without {}: no such tool here", unknown.join(", "));
        let warning = Diagnostic::warning(code::UNKNOWN_WORD, at, message);
        load.fault(
            warning.help("give it what it needs under `agents`, or ignore this").related(used, "used here"),
        );
    }
    grants
}

fn grant(load: &mut Load<'_>, word: &str, at: Span, servers: &[&str]) -> Option<ToolGrant> {
    let (name, inside) = split(word);
    let wrong = |message: String| Diagnostic::error(code::UNKNOWN_WORD, at, message);
    let fault = match (name, inside) {
        ("bash", Some(pattern)) => match CommandPattern::parse(pattern) {
            Ok(pattern) => return Some(ToolGrant::Bash(Some(pattern))),
            Err(why) => wrong(format!("`{word}` allows no command: {why}")).help(
                "write the words of a command, `*` for any: `bash(cargo test *)`; a bare `bash` allows all",
            ),
        },
        ("mcp", None) => wrong("`mcp` does not say which server".to_owned())
            .help("write `mcp(server)` for all of its tools, or `mcp(server/tool)`"),
        ("mcp", Some(inside)) => {
            let (server, tool) = match inside.split_once('/') {
                Some((server, tool)) => (server.trim(), Some(tool.trim())),
                None => (inside.trim(), None),
            };
            if tool == Some("") {
                wrong(format!("`{word}` names no tool"))
                    .help(format!("write `mcp({server})` for all of its tools"))
            } else if servers.contains(&server) {
                let tool = tool.map(str::to_owned);
                return Some(ToolGrant::Mcp { server: server.to_owned(), tool });
            } else {
                let help = did_you_mean(server, servers.iter().copied()).unwrap_or_else(|| match servers {
                    [] => "the plan has no `mcp`; define the server there".to_owned(),
                    _ => format!("the servers are {}", choices(servers.iter().copied())),
                });
                wrong(format!("there is no tool server `{server}`")).help(help)
            }
        }
        (name, Some(_)) if NAMES.contains(&name) => {
            wrong(format!("`{name}` takes nothing in parentheses")).help(format!("write `{name}`"))
        }
        (name, None) => match plain(name) {
            Some(grant) => return Some(grant),
            None => wrong(format!("there is no tool `{name}`")).help(meant(name)),
        },
        (name, Some(_)) => wrong(format!("there is no tool `{name}`")).help(meant(name)),
    };
    load.fault(fault);
    None
}

fn meant(name: &str) -> String {
    let foreign = FOREIGN.iter().find(|(foreign, _)| foreign.eq_ignore_ascii_case(name));
    match foreign {
        Some((_, own)) => format!("here it is called `{own}`"),
        None => did_you_mean(name, NAMES.iter().copied())
            .unwrap_or_else(|| format!("the tools are {}", choices(NAMES.iter().copied()))),
    }
}

fn plain(name: &str) -> Option<ToolGrant> {
    Some(match name {
        "read" => ToolGrant::Read,
        "write" => ToolGrant::Write,
        "edit" => ToolGrant::Edit,
        "grep" => ToolGrant::Grep,
        "glob" => ToolGrant::Glob,
        "list" => ToolGrant::List,
        "bash" => ToolGrant::Bash(None),
        "background_run" => ToolGrant::BackgroundRun,
        "check_background" => ToolGrant::CheckBackground,
        "agent" => ToolGrant::Agent,
        _ => return None,
    })
}

/// `bash(git log *)` as its name and what stands in parentheses.
fn split(word: &str) -> (&str, Option<&str>) {
    let word = word.trim();
    match word.strip_suffix(')').and_then(|word| word.split_once('(')) {
        Some((name, inside)) => (name.trim(), Some(inside)),
        None => (word, None),
    }
}
