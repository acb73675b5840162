//! `fanout rm` and `fanout gc`: runs that nobody needs any more.
//!
//! Invariant: a run that a process is at is never removed.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::args::{Gc, Rm};
use super::past::find;
use super::run::{journal_complaint, root};
use super::terminal::Terminal;
use super::{Complaint, exit};
use crate::journal::{self, RunState, RunSummary};
use crate::unit;
use crate::workspace::Workspaces;

/// What `gc` keeps where the person does not say: the runs of a month.
const DAYS: u64 = 30;

/// `fanout rm`.
///
/// # Errors
/// [`Complaint`] when there is no such run, or a process is at it; those before it are gone by then.
pub fn rm(options: &Rm, terminal: &Terminal) -> Result<u8, Complaint> {
    // All are looked up first: a typing error removes nothing.
    let dirs: Vec<_> = options.runs.iter().map(|run| find(Some(run))).collect::<Result<_, _>>()?;
    for dir in dirs {
        let held = leave(&dir, options.force)?;
        if let Some(held) = held {
            return Err(Complaint::usage(format!(
                "{held}; `fanout resume` saves it, `fanout rm --force` removes it"
            )));
        }
        journal::remove(&dir).map_err(|error| journal_complaint(&error))?;
        terminal.err(&format!("removed {}\n", dir.file_name().unwrap_or_default().to_string_lossy()));
    }
    Ok(0)
}

/// `fanout gc`.
///
/// # Errors
/// [`Complaint`] when a run could not be removed, or `--older-than` is no length of time.
pub fn gc(options: &Gc, terminal: &Terminal) -> Result<u8, Complaint> {
    let older_than = match (&options.older_than, options.keep) {
        (Some(text), _) => Some(length(text)?),
        (None, Some(_)) => None,
        (None, None) => Some(Duration::from_secs(DAYS * 86_400)),
    };
    let runs = journal::list(&root()).map_err(|error| journal_complaint(&error))?;
    let old = old(&runs, older_than, options.keep, Timestamp::now());
    for run in &old {
        if let Some(held) = if options.dry_run { None } else { leave(&run.dir, false)? } {
            terminal.err(&format!("kept {}: {held}\n", run.run));
            continue;
        }
        if !options.dry_run {
            journal::remove(&run.dir).map_err(|error| journal_complaint(&error))?;
        }
        let word = if options.dry_run { "would remove" } else { "removed" };
        terminal.err(&format!("{word} {}\n", run.run));
    }
    let left = left_over(options.dry_run, terminal);
    if old.is_empty() && left == 0 {
        terminal.err("nothing to remove\n");
    }
    Ok(0)
}

/// Takes away private folders of programs whose fanout was killed, and says how many there were.
fn left_over(dry_run: bool, terminal: &Terminal) -> usize {
    let left = crate::sandbox::left_over();
    for folder in &left {
        let gone = if dry_run { Ok(()) } else { std::fs::remove_dir_all(folder) };
        let said = match gone {
            Ok(()) if dry_run => format!("would remove {}\n", folder.display()),
            Ok(()) => format!("removed {}, which a killed run had left\n", folder.display()),
            Err(error) => format!("{} could not be removed: {error}\n", folder.display()),
        };
        terminal.err(&said);
    }
    left.len()
}

/// Takes away what a run has left in the person's repository; says what may not be lost, if there is such.
fn leave(dir: &Path, force: bool) -> Result<Option<String>, Complaint> {
    let run = dir.file_name().unwrap_or_default().to_string_lossy();
    if journal::holder(dir).is_some() || !dir.join("workspace").exists() {
        return Ok(None);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Complaint { code: exit::BUG, message: format!("cannot start: {error}") })?;
    let workspaces = Workspaces::new(dir, &run, None);
    match runtime.block_on(workspaces.leave(force)) {
        Ok(()) => Ok(None),
        Err(held) => Ok(Some(held.to_string())),
    }
}

/// A length of time, in days too.
pub(super) fn length(text: &str) -> Result<Duration, Complaint> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok());
    match days {
        Some(days) => Ok(Duration::from_secs(days.saturating_mul(86_400))),
        None => unit::duration(text).map_err(|error| Complaint::usage(format!("--older-than: {error}"))),
    }
}

/// Of the runs, the newest first: those that are beyond `keep`, or older than that, and not running.
fn old(
    runs: &[RunSummary],
    older_than: Option<Duration>,
    keep: Option<usize>,
    now: Timestamp,
) -> Vec<&RunSummary> {
    let kept = keep.unwrap_or(0);
    let is_old = |run: &RunSummary| match &run.glance {
        Ok(glance) if glance.state == RunState::Running => false,
        Ok(glance) => older_than.is_none_or(|least| {
            Duration::try_from(now.duration_since(glance.last)).is_ok_and(|age| age > least)
        }),
        // What cannot be read may be worth a look; only a person removes it.
        Err(_) => false,
    };
    runs.iter().skip(kept).filter(|run| is_old(run)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RunId;
    use crate::journal::{Glance, JournalError};
    use crate::outcome::Usage;

    fn run(name: &str, days: i64, state: RunState) -> RunSummary {
        let last = Timestamp::from_second(2_000_000_000 - days * 86_400).unwrap();
        let glance = Glance {
            name: name.into(),
            description: None,
            plan: "plan.yaml".into(),
            started: last,
            last,
            state,
            finished: None,
            ended: 0,
            usage: Usage::default(),
        };
        RunSummary { run: RunId::new(name), dir: "/nowhere".into(), glance: Ok(glance) }
    }

    #[test]
    fn old_runs_go_and_new_running_and_unreadable_ones_stay() {
        let broken = RunSummary {
            run: RunId::new("broken"),
            dir: "/nowhere".into(),
            glance: Err(JournalError::NeverBegan { dir: "/nowhere".into() }),
        };
        let runs = [
            run("new", 1, RunState::Finished),
            run("old", 40, RunState::Finished),
            run("busy", 50, RunState::Running),
            run("cut", 60, RunState::Interrupted),
            broken,
        ];
        let names = |age: Option<u64>, keep| {
            let now = Timestamp::from_second(2_000_000_000).unwrap();
            let age = age.map(|days| Duration::from_secs(days * 86_400));
            old(&runs, age, keep, now).into_iter().map(|run| run.run.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(Some(30), None), ["old", "cut"]);
        assert_eq!(names(None, Some(1)), ["old", "cut"]);
        assert_eq!(names(Some(30), Some(2)), ["cut"]);
        assert_eq!(names(Some(100), None), [""; 0]);
    }

    #[test]
    fn days_are_a_length_of_time_here() {
        assert_eq!(length("30d").unwrap(), Duration::from_secs(30 * 86_400));
        assert_eq!(length("12h").unwrap(), Duration::from_secs(12 * 3600));
        assert!(length("30").is_err() && length("soon").is_err());
    }
}
