//! `tools` of a known program: what it can be kept to.
//!
//! Invariant: a program that is given a list has what the list names and nothing else, or the list
//! is refused with one that it can have.

use super::tools;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::load::Load;
use crate::plan::read::{At, Field, OneOrMany};
use crate::plan::{Program, ToolGrant, code};

/// The tools of a known program.
pub(super) fn of(
    load: &mut Load<'_>,
    program: Program,
    written: &Field<OneOrMany<At<String>>>,
    servers: &[&str],
) -> Vec<ToolGrant> {
    let before = load.faults.len();
    let grants = tools::grants(load, &written.value.0, servers);
    if load.faults.len() == before
        && let Some((message, help)) = refusal(program, &grants)
    {
        load.fault(Diagnostic::error(code::CONTRADICTION, written.at, message).help(help));
    }
    grants
}

/// Why a program cannot be kept to a list, and what to write instead.
fn refusal(program: Program, list: &[ToolGrant]) -> Option<(String, String)> {
    let name = program.name();
    let has = |grants: &[ToolGrant]| grants.iter().filter(|grant| list.contains(grant)).count();
    let foreign = list.iter().find(|grant| match grant {
        ToolGrant::BackgroundRun | ToolGrant::CheckBackground | ToolGrant::Mcp { .. } => true,
        ToolGrant::Agent => !matches!(program, Program::Claude | Program::OpenCode),
        ToolGrant::Read
        | ToolGrant::Write
        | ToolGrant::Edit
        | ToolGrant::Grep
        | ToolGrant::Glob
        | ToolGrant::List
        | ToolGrant::Bash(_) => false,
    });
    if let Some(grant) = foreign {
        let message = format!("`{name}` cannot be given `{grant}`: that is a tool of agents in this process");
        return Some((
            message,
            "take it out; `args` takes the program's own flags for what it has".to_owned(),
        ));
    }
    let pattern = list.iter().find(|grant| match (grant, program) {
        (ToolGrant::Bash(Some(_)), Program::Codex | Program::Goose) => true,
        (ToolGrant::Bash(Some(pattern)), Program::Gemini) => pattern.prefix().is_none(),
        _ => false,
    });
    match (program, pattern) {
        (Program::Gemini, Some(pattern)) => {
            let message =
                format!("`{name}` cannot be kept to `{pattern}`: it tells commands by how they begin");
            return Some((message, "end it with `*`, such as `bash(git log *)`".to_owned()));
        }
        (_, Some(pattern)) => {
            let message = format!("`{name}` cannot be kept to `{pattern}`: it runs any command or none");
            return Some((message, "write `bash`, or leave it out".to_owned()));
        }
        (_, None) => {}
    }
    let changes = [ToolGrant::Write, ToolGrant::Edit, ToolGrant::Bash(None)];
    let what = match program {
        Program::Claude | Program::Gemini => return None,
        Program::OpenCode if has(&changes[..2]) == 1 => {
            "`write` and `edit` are one permission there: write both, or none of them"
        }
        Program::OpenCode => return None,
        Program::Codex if has(&[ToolGrant::Read]) == 0 => {
            "it reads whatever it works on: write `[read]`, or `[read, write, edit, bash]`"
        }
        Program::Codex if ![0, 3].contains(&has(&changes)) => {
            "it changes files with commands: write `write`, `edit` and `bash`, or none of them"
        }
        Program::Codex => return None,
        Program::Goose if list.is_empty() || has(&[ToolGrant::Read]) + has(&changes) == 4 => return None,
        Program::Goose => "it has all of its tools or none: write `[read, write, edit, bash]`, or `[]`",
    };
    Some((format!("`{name}` cannot be kept to these tools"), what.to_owned()))
}
