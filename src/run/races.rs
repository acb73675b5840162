//! Calls that work in one shared folder: whoever may write there is looked after.
//!
//! Invariant: it only looks, and tells; nothing is kept from anybody.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::instance::Instance;
use super::work::Job;
use crate::id::InstanceId;
use crate::plan::workspace::Isolation;
use crate::plan::{Action, AgentKind, Call, Plan};
use crate::reconcile::{Answer, Conflict, Side};
use crate::workspace::watch::{Race, RaceSide, Watch, root_of};

/// The watched folders of a run.
#[derive(Debug, Default)]
pub struct Races {
    /// By the folder that a call works in; several can be in one repository.
    open: Mutex<HashMap<PathBuf, Arc<Watch>>>,
    /// What was seen, with the sub-plan that it was seen in.
    seen: Mutex<Vec<(Option<InstanceId>, Race)>>,
}

impl Races {
    /// Who watches the folder around this one.
    fn watch(&self, cwd: &Path, keep: impl FnOnce() -> PathBuf) -> Arc<Watch> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = open.get(cwd) {
            return Arc::clone(watch);
        }
        let root = root_of(cwd);
        let same = open.values().find(|watch| watch.root() == root).map(Arc::clone);
        let watch = same.unwrap_or_else(|| Arc::new(Watch::new(root, keep())));
        open.insert(cwd.to_owned(), Arc::clone(&watch));
        watch
    }

    /// Files that these calls of one level and others have both written, as conflicts: one of the two
    /// writes was surely one of theirs, and whoever wrote first may have ended when the second came.
    /// A file that several changed while all were at work is only warned of: one may have done it all.
    pub(super) fn among(&self, within: Option<&InstanceId>, answers: &[Answer]) -> Vec<Conflict> {
        let names: HashSet<String> = answers.iter().map(|answer| answer.instance.to_string()).collect();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let here = seen.iter().filter(|(level, _)| level.as_ref() == within).map(|(_, race)| race);
        let mut here: Vec<&Race> = here
            .filter(|race| race.sides.iter().any(|side| is_of(side, &names)) && may_be_lost(race))
            .collect();
        // Whoever left first saw it first, and that is no order to tell it in.
        here.sort_by(|a, b| a.path.cmp(&b.path));
        here.into_iter().map(conflict).collect()
    }
}

fn is_of(side: &RaceSide, names: &HashSet<String>) -> bool {
    !side.by.is_empty() && side.by.iter().all(|by| names.contains(by))
}

fn may_be_lost(race: &Race) -> bool {
    let [earlier, later] = &race.sides;
    earlier.by.is_empty() || earlier.by.iter().any(|by| !later.by.contains(by))
}

fn conflict(race: &Race) -> Conflict {
    let side = |side: &RaceSide| Side { value: json!({ "kept": side.kept }), by: side.by.clone() };
    Conflict {
        pointer: String::new(),
        about: race.path.clone(),
        sides: race.sides.iter().map(side).collect(),
        message: sentence(race),
    }
}

/// A call that is looked after until it leaves.
#[derive(Debug)]
pub(crate) struct Watched(Arc<Watch>);

impl Instance<'_> {
    /// Looks at the folder before the call works in it, where it may meet others there.
    pub(super) async fn watch(&self, job: &Job) -> Option<Watched> {
        let world = &self.level.world;
        if world.rehearsal || !writes(self.call) || !may_meet(&self.level.plan) {
            return None;
        }
        let watch = world.races.watch(&job.place.cwd, || world.journal.dir().join("versions"));
        watch.enter(self.id.to_string()).await;
        Some(Watched(watch))
    }

    /// Looks again, and tells which files it and others have both written.
    pub(super) async fn unwatch(&self, watched: Option<Watched>) {
        let Some(Watched(watch)) = watched else { return };
        for race in watch.leave(self.id.to_string()).await {
            self.warn("file_race", sentence(&race));
            let mut seen = self.level.world.races.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push((self.level.within.clone(), race));
        }
    }
}

fn sentence(race: &Race) -> String {
    let Race { path, sides: [earlier, later] } = race;
    let who = |side: &RaceSide| match side.by.as_slice() {
        [] => "somebody outside of this run".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or "),
    };
    let kept = |side: &RaceSide| match &side.kept {
        Some(file) => format!("kept in {}", file.display()),
        None => "gone, or too long to be kept".to_owned(),
    };
    format!(
        "`{path}` was written by {} ({}) and then by {} ({}), and one may not have known of the other; \
         give them `isolation: worktree`, or let one need the other",
        who(earlier),
        kept(earlier),
        who(later),
        kept(later),
    )
}

/// True for a call that can change files where others work.
fn writes(call: &Call) -> bool {
    let works = match &call.action {
        Action::Run(_) => true,
        Action::Prompt { agent, .. } => match &agent.kind {
            AgentKind::Command(_) => true,
            AgentKind::Model(_) => call.workspace.isolation != Isolation::ReadOnly,
        },
        Action::Plan { .. }
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => false,
    };
    works && call.workspace.isolation == Isolation::Shared
}

/// True where more than one such call can be at work.
fn may_meet(plan: &Plan) -> bool {
    let mut writers = plan.calls.iter().filter(|call| writes(call));
    let many = |call: &Call| call.expand.is_some() && call.concurrency != Some(1);
    plan.limits.concurrency > 1 && writers.next().is_some_and(|first| many(first) || writers.next().is_some())
}
