//! `sandbox`: its default, what it may add, and that no plan switches off what protects people.

use std::path::Path;

use crate::plan::diagnostic::Diagnostic;
use crate::plan::file::call::{SandboxFile, SandboxRecord, SandboxWord};
use crate::plan::load::Load;
use crate::plan::read::{At, Key, OneOrMany};
use crate::plan::workspace::Isolation;
use crate::plan::{Action, AgentKind, Sandbox, SandboxMode, ToolGrant, code};

/// What a call may touch. An agent in this process that can change something is confined by default,
/// and so is what works in a repository of its own, since that is for those who are not trusted.
pub(super) fn read(
    load: &mut Load<'_>,
    file: Key<SandboxFile>,
    action: &Action,
    isolation: Isolation,
) -> Sandbox {
    let must = can_change(action);
    let read_only = isolation == Isolation::ReadOnly && (must || is_program(action));
    let Some(file) = file else {
        return if read_only {
            // Only its files are meant; whoever looks around may still ask elsewhere.
            Sandbox { network: !must, ..Sandbox::of(SandboxMode::ReadOnly) }
        } else if must || isolation == Isolation::Clone {
            Sandbox::of(SandboxMode::WorkspaceWrite)
        } else {
            Sandbox::off()
        };
    };
    let at = file.at;
    let sandbox = match file.value {
        SandboxFile::Mode(word) => Sandbox::of(mode(word)),
        SandboxFile::Full(record) => full(load, *record),
    };
    if read_only && sandbox.mode != SandboxMode::ReadOnly {
        let message = "`isolation: read-only` and this sandbox exclude each other";
        let fault = Diagnostic::error(code::CONTRADICTION, at, message);
        load.fault(fault.help("write `sandbox: read-only`, or remove one of them"));
        return Sandbox::of(SandboxMode::ReadOnly);
    }
    if sandbox.is_on() {
        return sandbox;
    }
    if must {
        let message = "a plan cannot switch the sandbox of an agent off that runs commands or writes";
        load.fault(Diagnostic::error(code::CONTRADICTION, at, message).help(
            "remove it, or write `sandbox: { network: true, write: […] }` to open more; the person who \
             starts the run can say `--no-sandbox`",
        ));
    }
    Sandbox::off()
}

/// True for a call that starts a program of its own.
fn is_program(action: &Action) -> bool {
    match action {
        Action::Run(_) => true,
        Action::Prompt { agent, .. } => match agent.kind {
            AgentKind::Command(_) => true,
            AgentKind::Model(_) => false,
        },
        Action::Plan { .. }
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => false,
    }
}

/// True for an agent of this process with tools that run commands or write files.
fn can_change(action: &Action) -> bool {
    let Action::Prompt { agent, .. } = action else { return false };
    let AgentKind::Model(model) = &agent.kind else { return false };
    model.tools.iter().any(|tool| match tool {
        // A subagent may have more than the agent that starts it, and works under the same policy.
        ToolGrant::Write
        | ToolGrant::Edit
        | ToolGrant::Bash(_)
        | ToolGrant::BackgroundRun
        | ToolGrant::Agent => true,
        ToolGrant::Read
        | ToolGrant::Grep
        | ToolGrant::Glob
        | ToolGrant::List
        | ToolGrant::CheckBackground
        | ToolGrant::Mcp { .. } => false,
    })
}

fn mode(word: SandboxWord) -> SandboxMode {
    match word {
        SandboxWord::Off => SandboxMode::Off,
        SandboxWord::ReadOnly => SandboxMode::ReadOnly,
        SandboxWord::WorkspaceWrite => SandboxMode::WorkspaceWrite,
    }
}

fn full(load: &mut Load<'_>, record: SandboxRecord) -> Sandbox {
    let SandboxRecord { mode: word, network, read, write, env, .. } = record;
    let mode = word.as_ref().map_or(SandboxMode::WorkspaceWrite, |word| mode(word.value));
    if mode == SandboxMode::Off {
        let extra =
            network.as_ref().map(|it| ("network", it.key)).or(read.as_ref().map(|it| ("read", it.key)));
        let extra =
            extra.or(write.as_ref().map(|it| ("write", it.key))).or(env.as_ref().map(|it| ("env", it.key)));
        if let Some((key, at)) = extra {
            let message = format!("`{key}` means nothing while the sandbox is `off`");
            let help = "write `mode: workspace-write` or `mode: read-only`, or remove it";
            load.fault(Diagnostic::error(code::CONTRADICTION, at, message).help(help));
        }
        return Sandbox::off();
    }
    Sandbox {
        mode,
        network: network.is_some_and(|network| network.value),
        read: folders(load, read),
        write: folders(load, write),
        env: variables(load, env),
    }
}

fn folders(load: &mut Load<'_>, list: Key<OneOrMany<At<String>>>) -> Vec<String> {
    let mut folders = Vec::new();
    for At { at, value } in list.map_or_else(Vec::new, |list| list.value.0) {
        // That would be no sandbox: whoever may have everything says so on the command line.
        let whole = Path::new(&value).components().count() < 2 && Path::new(&value).is_absolute();
        let home = value == "~" || value == "~/";
        if value.trim().is_empty() || whole || home {
            let message = format!("`{value}` would open everything");
            load.fault(
                Diagnostic::error(code::OUT_OF_RANGE, at, message)
                    .help("name the folder or file that is needed, such as `~/.npmrc` or `../shared`"),
            );
        } else if value.contains("{{") || value.contains("{%") {
            let message = "a template cannot say what is open";
            load.fault(Diagnostic::error(code::WRONG_TYPE, at, message).help("write the path itself"));
        }
        folders.push(value);
    }
    folders
}

fn variables(load: &mut Load<'_>, list: Key<OneOrMany<At<String>>>) -> Vec<String> {
    let mut names = Vec::new();
    for At { at, value } in list.map_or_else(Vec::new, |list| list.value.0) {
        let name = value.strip_suffix('*').unwrap_or(&value);
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            let message = format!("`{value}` is no name of variables");
            load.fault(
                Diagnostic::error(code::INVALID_ID, at, message)
                    .help("write names such as `NPM_TOKEN`, or `NPM_*` for all that begin so"),
            );
        }
        names.push(value);
    }
    names
}
