//! `isolation`, `workspace` and what `check` protects.
//!
//! Invariant: only what is written is looked at; nothing here opens a folder.

use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::file::call::CallFile;
use crate::plan::file::value::CheckText;
use crate::plan::file::workspace::IsolationWord;
use crate::plan::load::Load;
use crate::plan::read::At;
use crate::plan::record::Record as _;
use crate::plan::template::{Destination, Mention, Names};
use crate::plan::workspace::{Base, Isolation, Workspace};
use crate::plan::{Action, Check, code};

/// Takes the keys of a call that say where it works.
///
/// `protect` are the globs of its `check`.
pub(super) fn read(
    load: &mut Load<'_>,
    file: &mut CallFile,
    name: &At<String>,
    protect: Vec<At<String>>,
    names: &Names<'_>,
    mentions: &mut Vec<Mention>,
) -> Workspace {
    let wrote = (file.wrote("isolation"), file.wrote("workspace"));
    let written = file.isolation.take();
    let isolation = match written.as_ref().map(|word| word.value) {
        None | Some(IsolationWord::Shared) => Isolation::Shared,
        Some(IsolationWord::ReadOnly) => Isolation::ReadOnly,
        Some(IsolationWord::Worktree) => Isolation::Worktree,
        Some(IsolationWord::Clone) => Isolation::Clone,
    };
    let works = file.prompt.is_some() || file.run.is_some() || file.wrote("prompt") || file.wrote("run");
    let at = written.as_ref().map(|word| word.at);
    if !works {
        for (key, wrote) in [("isolation", wrote.0), ("workspace", wrote.1)] {
            if wrote {
                let place = file.places(key).map_or(at.unwrap_or(name.at), |(key, _)| key);
                let message = format!(
                    "`{key}` means nothing in `{}`: it belongs to a call with `prompt` or `run`",
                    name.value
                );
                load.fault(Diagnostic::error(code::CONTRADICTION, place, message).help("remove it"));
            }
        }
        file.workspace = None;
        return Workspace::default();
    }
    if !isolation.is_own() {
        needs_its_own(load, file.places("workspace").map(|(key, _)| key).filter(|_| wrote.1), "workspace");
        needs_its_own(load, protect.first().map(|glob| glob.at), "protect");
    }
    let mut workspace = Workspace { isolation, at, ..Workspace::default() };
    if let Some(own) = file.workspace.take().filter(|_| isolation.is_own()) {
        workspace.base = own.value.base.map_or(Base::Head, |base| start(load, &base.value));
        workspace.setup = own.value.setup.map(|setup| load.command(&setup.value, names, mentions));
        let copy = own.value.copy.map_or_else(Vec::new, |copy| copy.value.0);
        workspace.copy = copy.into_iter().filter_map(|path| inside(load, path)).collect();
    }
    workspace.protect = protect.into_iter().filter_map(|glob| pattern(load, glob)).collect();
    workspace
}

/// True for a call that asks for a workspace of its own.
pub(super) fn is_own(file: &CallFile) -> bool {
    let word = file.isolation.as_ref().map(|word| word.value);
    matches!(word, Some(IsolationWord::Worktree | IsolationWord::Clone))
}

/// Asks whoever makes workspaces whether this one can be made from the repository that `dir` is in.
pub(super) fn survey(load: &mut Load<'_>, workspace: &Workspace, dir: &std::path::Path) {
    let (Some(check), Some(at), true) =
        (load.given.workspace_check, workspace.at, workspace.isolation.is_own())
    else {
        return;
    };
    if !load.surveyed.insert((dir.to_owned(), workspace.base.clone())) {
        return;
    }
    if let Err(fault) = check(dir, &workspace.base) {
        let message = format!("no workspace can be made: {}", fault.message);
        load.fault(Diagnostic::error(code::WORKSPACE, at, message).help(fault.help));
    }
}

/// Fills in the default, which is known once it is known who works.
pub(super) fn settle(workspace: &mut Workspace, action: &Action) {
    if let (Action::Prompt { agent, .. }, None) = (action, workspace.at) {
        workspace.isolation = Isolation::of(agent);
    }
}

/// Takes the check's command and what it protects.
pub(super) fn check(
    load: &mut Load<'_>,
    check: CheckText,
    names: &Names<'_>,
    mentions: &mut Vec<Mention>,
) -> (Option<Check>, Vec<At<String>>) {
    let full = match check {
        CheckText::Command(command) => {
            return (Some(Check::Command(load.command(&command, names, mentions))), Vec::new());
        }
        CheckText::Full(full) => *full,
    };
    match (&full.command, &full.ask) {
        (Some(_), Some(ask)) => {
            let message = "a check is a `command` or a question, not both";
            load.fault(Diagnostic::error(code::CONTRADICTION, ask.key, message).help("remove one of them"));
        }
        (None, Some(ask)) if ask.value.text.trim().is_empty() => {
            load.fault(Diagnostic::error(code::NO_VALUE, ask.at, "the question is empty"));
            return (None, Vec::new());
        }
        (None, Some(ask)) => {
            let question = load.template(&ask.value, names, Destination::Prompt, mentions);
            return (Some(Check::Ask(question)), Vec::new());
        }
        (None, None) if !full.wrote("command") && !full.wrote("ask") => {
            let fault = Diagnostic::error(code::MISSING_KEY, full.place, "a check needs a `command`");
            load.fault(fault.help("add `command: …`"));
        }
        (Some(_) | None, None) => {}
    }
    let protect = full.protect.map_or_else(Vec::new, |globs| globs.value.0);
    let command = full.command.map(|command| Check::Command(load.command(&command.value, names, mentions)));
    (command, protect)
}

fn needs_its_own(load: &mut Load<'_>, at: Option<Span>, key: &str) {
    if let Some(at) = at {
        let message = format!("`{key}` belongs to a call with a workspace of its own");
        let fault = Diagnostic::error(code::CONTRADICTION, at, message);
        load.fault(fault.help("add `isolation: worktree` or `isolation: clone`, or remove it"));
    }
}

fn start(load: &mut Load<'_>, base: &At<String>) -> Base {
    match base.value.as_str() {
        "HEAD" => Base::Head,
        "working-tree" => Base::WorkingTree,
        name => {
            let wrong = name.is_empty()
                || name.starts_with('-')
                || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':');
            if wrong {
                let message = format!("`{}` cannot be the name of a commit", name.escape_debug());
                let fault = Diagnostic::error(code::UNKNOWN_WORD, base.at, message);
                load.fault(fault.help("write `HEAD`, `working-tree`, or a commit, branch or tag"));
            }
            Base::Revision(name.to_owned())
        }
    }
}

fn inside(load: &mut Load<'_>, path: At<String>) -> Option<String> {
    use std::path::{Component, Path};
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.value.is_empty() && Path::new(&path.value).components().all(plain) {
        return Some(path.value);
    }
    let message = format!("`{}` leaves the repository", path.value);
    let fault = Diagnostic::error(code::OUTSIDE, path.at, message);
    load.fault(fault.help("write a path from the repository's root, without `..`"));
    None
}

fn pattern(load: &mut Load<'_>, glob: At<String>) -> Option<String> {
    match globset::Glob::new(&glob.value) {
        Ok(_) => Some(glob.value),
        Err(error) => {
            let message = format!("`{}` is no glob: {}", glob.value, error.kind());
            let fault = Diagnostic::error(code::WRONG_TYPE, glob.at, message);
            load.fault(fault.help("write for example `tests/**`"));
            None
        }
    }
}
