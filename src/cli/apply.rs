//! `fanout apply`: what a call of a run changed becomes part of the person's own files.
//!
//! Invariant: it takes what is written down in the run, so it can be done long after the
//! workspace is gone; a refusal names every file and writes nothing.

use serde_json::Value;

use super::Complaint;
use super::past::{find, no_such_call};
use super::run::journal_complaint;
use super::terminal::Terminal;
use crate::journal;
use crate::outcome::{ChangeKind, Changes, Outcome};
use crate::report::fold::RunView;
use crate::report::style::Style;
use crate::workspace::{RepositoryError, TakeError, Taken, Target, Workspaces};

/// Exit status when the change and the person's files contradict each other.
const CONFLICT: u8 = 3;

/// The arguments of `fanout apply`.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// The run: its name, the start of it, or `last`.
    #[arg(value_name = "RUN")]
    pub run: String,
    /// The call (`fix`, `fix[2]`), or a `reconcile` call; what the run's last step chose where none is given.
    #[arg(value_name = "CALL")]
    pub call: Option<String>,
    /// Make a new branch from HEAD with one commit instead of changing files.
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// `fanout apply`.
///
/// # Errors
/// [`Complaint`] when there is no such run or call, nothing to apply in it, or it is refused.
pub fn apply(options: &Apply, terminal: &Terminal) -> Result<u8, Complaint> {
    let dir = find(Some(&options.run))?;
    let past = journal::read(&dir).map_err(|error| journal_complaint(&error))?;
    let view = RunView::of(past.records.iter().map(AsRef::as_ref));
    let run = past.head.run.clone();
    let chosen = choose(&view, options.call.as_deref())?;
    if let Some(note) = &chosen.note {
        terminal.err(&format!("note: {note}\n"));
    }
    let target = options.branch.clone().map_or(Target::Files, Target::Branch);
    let workspaces = Workspaces::new(&dir, run.as_str(), None);
    let message = format!("{}\n\nfanout run {run}, {}", chosen.about, chosen.name);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Complaint { code: super::exit::BUG, message: format!("cannot start: {error}") })?;
    let taken = runtime.block_on(workspaces.take_over(&chosen.changes, &target, options.dry_run, &message));
    match taken {
        Ok(taken) => {
            let text = told(&taken, &chosen, options, &terminal.out_style());
            terminal.out(&text).map_err(|error| Complaint::output(&error))?;
            Ok(0)
        }
        Err(error) => Err(refused(&chosen.name, &error)),
    }
}

/// What is to be applied.
#[derive(Debug)]
struct Chosen {
    /// The call, or the step and what it rests on.
    name: String,
    /// A few words about it.
    about: String,
    changes: Changes,
    note: Option<String>,
}

fn choose(view: &RunView, call: Option<&str>) -> Result<Chosen, Complaint> {
    if let Some(name) = call {
        return named(view, name);
    }
    let step = view.reconciled.iter().find(|result| result.step.is_parent_step());
    if let Some(chosen) = step.and_then(|step| decided(view, &step.result)) {
        return chosen;
    }
    let all: Vec<(String, &Outcome)> = changed(view).filter(|(_, outcome)| outcome.is_ok()).collect();
    match all.as_slice() {
        [(name, _)] => named(view, name),
        [] => Err(Complaint::usage(
            "no call of this run has changed anything in a workspace of its own; there is nothing to apply",
        )),
        many => {
            let names: Vec<&str> = many.iter().map(|(name, _)| name.as_str()).collect();
            Err(Complaint::usage(format!(
                "{} calls have changed something and no step chose between them; name one: {}",
                many.len(),
                names.join(", ")
            )))
        }
    }
}

/// Every instance that has changed something.
fn changed(view: &RunView) -> impl Iterator<Item = (String, &Outcome)> {
    let instances = view.calls.iter().flat_map(crate::report::fold::CallView::each);
    instances.filter_map(|(id, instance)| {
        let outcome = instance.outcome.as_ref()?;
        let some = outcome.changes.as_ref().is_some_and(|changes| !changes.is_empty());
        some.then(|| (id.to_string(), outcome))
    })
}

fn named(view: &RunView, name: &str) -> Result<Chosen, Complaint> {
    let call_of = |id: &crate::id::InstanceId| id.to_string() == name || id.call.as_str() == name;
    let all =
        || view.calls.iter().flat_map(crate::report::fold::CallView::each).filter(|(id, _)| call_of(id));
    let outcomes: Vec<_> =
        all().filter_map(|(id, instance)| Some((id, instance.outcome.as_ref()?))).collect();
    let with: Vec<_> = outcomes
        .iter()
        .filter_map(|(id, outcome)| Some((id, outcome, outcome.changes.as_deref()?)))
        .collect();
    match with.as_slice() {
        [(id, _, changes)] if changes.is_empty() => {
            Err(Complaint::usage(format!("`{id}` has changed nothing; there is nothing to apply")))
        }
        [(id, outcome, changes)] => Ok(Chosen {
            name: id.to_string(),
            about: about(view, &id.call),
            changes: Changes::clone(changes),
            note: (!outcome.is_ok()).then(|| {
                let why =
                    outcome.cause.as_ref().map(|cause| format!(" ({})", cause.code)).unwrap_or_default();
                format!("`{id}` ended as {}{why}", outcome.status.words())
            }),
        }),
        [] => {
            let step = outcomes.first().and_then(|(_, outcome)| outcome.output.json.as_ref());
            if let Some(chosen) = step.and_then(|json| decided(view, json)) {
                return chosen;
            }
            let ids: Vec<&str> = view.calls.iter().map(|call| call.id().as_str()).collect();
            if ids.contains(&name) || !outcomes.is_empty() {
                return Err(Complaint::usage(format!(
                    "`{name}` had no workspace of its own (`isolation: worktree` or `clone`); what it changed is in place"
                )));
            }
            Err(no_such_call(&ids, name))
        }
        many => {
            let names: Vec<String> = many.iter().map(|(id, _, _)| id.to_string()).collect();
            Err(Complaint::usage(format!(
                "`{name}` has {} instances; name one: {}",
                many.len(),
                names.join(", ")
            )))
        }
    }
}

/// What a step decided on: the winner of `best`, or the merged change of `patch`.
fn decided(view: &RunView, result: &Value) -> Option<Result<Chosen, Complaint>> {
    match result["strategy"].as_str()? {
        "best" => match result["winner"]["call"].as_str() {
            Some(winner) => Some(named(view, winner)),
            None => Some(Err(Complaint::usage("no candidate won; name a call to apply it all the same"))),
        },
        "patch" => {
            let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
            let patch = text("patch");
            let used: Vec<&str> = result["applied"].as_array()?.iter().filter_map(Value::as_str).collect();
            if patch.is_empty() {
                return Some(Err(Complaint::usage("the merged change is empty; there is nothing to apply")));
            }
            let left: Vec<&str> = result["left_out"].as_array()?.iter().filter_map(Value::as_str).collect();
            Some(Ok(Chosen {
                name: used.join(" + "),
                about: view.head.as_ref().map(|head| head.name.clone()).unwrap_or_default(),
                changes: Changes {
                    repository: text("repository"),
                    base: text("base"),
                    patch: patch.into(),
                    ..Changes::default()
                },
                note: (!left.is_empty())
                    .then(|| format!("left out because of conflicts: {}", left.join(", "))),
            }))
        }
        _ => None,
    }
}

fn about(view: &RunView, call: &crate::id::CallId) -> String {
    view.call(call).map_or_else(|| call.to_string(), |call| call.planned.description.clone())
}

/// Files that tools act on by themselves: whoever takes them over should look.
fn acts(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name, ".gitattributes" | ".gitmodules" | ".envrc" | ".npmrc")
        || path.starts_with(".github/")
        || path.starts_with(".vscode/")
        || path.starts_with(".claude/")
        || path.starts_with(".husky/")
        || path.starts_with(".cargo/")
}

fn told(taken: &Taken, chosen: &Chosen, options: &Apply, style: &Style) -> String {
    let clean = |text: &str| crate::report::sanitise::line(text, style);
    if taken.files.is_empty() {
        return format!("all that {} changed is there already\n", chosen.name);
    }
    let mut text = String::new();
    for file in &taken.files {
        let letter = match file.kind {
            ChangeKind::Added => 'A',
            ChangeKind::Modified => 'M',
            ChangeKind::Deleted => 'D',
        };
        let counts =
            if file.binary { "binary".to_owned() } else { format!("+{} -{}", file.added, file.removed) };
        text.push_str(&format!("  {letter} {}  {counts}\n", clean(&file.path)));
    }
    let acting: Vec<&str> =
        taken.files.iter().map(|file| file.path.as_str()).filter(|path| acts(path)).collect();
    if !acting.is_empty() {
        text.push_str(&format!(
            "look at these before you go on, tools act on them: {}\n",
            clean(&acting.join(", "))
        ));
    }
    let would = if options.dry_run { "would be " } else { "" };
    match &options.branch {
        Some(branch) => {
            text.push_str(&format!("{} {would}committed on the new branch {branch}\n", chosen.name))
        }
        None => text.push_str(&format!(
            "{} {would}applied to {}, not staged\n",
            chosen.name,
            taken.root.display()
        )),
    }
    text
}

fn refused(name: &str, error: &TakeError) -> Complaint {
    let list = |files: &[String]| files.iter().map(|file| format!("\n  {file}")).collect::<String>();
    let complaint = |code, message| Complaint { code, message };
    let nothing = "nothing was changed";
    match error {
        TakeError::Conflicts { files } => complaint(
            CONFLICT,
            format!(
                "{name} is not applied: since it began, the same lines were changed in{}\n{nothing}; `--branch NAME` works on HEAD alone, `fanout show RUN {name} --diff` prints the change",
                list(files)
            ),
        ),
        TakeError::Dirty { files } => complaint(
            CONFLICT,
            format!(
                "{name} is not applied: it changes files in which you have uncommitted work{}\n{nothing}; commit or stash them, or use `--branch NAME`",
                list(files)
            ),
        ),
        TakeError::Links { files } => complaint(
            super::exit::FAILED,
            format!(
                "{name} is not applied: it makes links that lead out of the repository{}\n{nothing}",
                list(files)
            ),
        ),
        TakeError::Branch { .. } => complaint(super::exit::USAGE, error.to_string()),
        TakeError::Base(_) => complaint(
            super::exit::FAILED,
            format!("{name} is not applied: {error}; `fanout show RUN {name} --diff` prints the change"),
        ),
        TakeError::Repository(cause) => {
            let help = match cause {
                RepositoryError::None { .. }
                | RepositoryError::Bare { .. }
                | RepositoryError::NoCommit { .. } => {
                    "; the repository is not where it was when the run was made"
                }
                RepositoryError::NoSuchCommit { .. }
                | RepositoryError::Git(_)
                | RepositoryError::Io { .. } => "",
            };
            complaint(super::exit::FAILED, format!("{name} is not applied: {cause}{help}"))
        }
    }
}
