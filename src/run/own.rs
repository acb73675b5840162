//! An instance's own workspace: made before its first attempt, looked at after each answer, taken
//! away once what it holds is durable.
//!
//! Invariant: what a call did in a workspace of its own is in its outcome, however it
//! ended, or the workspace is still there and a warning says where.

use std::sync::Arc;

use tokio::time::Instant;

use super::attempt::{self, Bounds, Fault, Kind};
use super::instance::Instance;
use super::level::Level;
use super::work::{Job, Place, program, template_cause};
use crate::event::Event;
use crate::outcome::{Cause, Changes, Outcome, Status};
use crate::plan::{Call, Sandbox};
use crate::workspace::{self, RepositoryError, Store, name_of};

/// An instance's own workspace, shared by everything that is done in it.
pub(crate) type Own = Arc<workspace::Place>;

impl Instance<'_> {
    /// Makes the workspace, if the call has one of its own, and lets the work happen in it.
    ///
    /// # Errors
    /// The outcome, if it cannot be made or prepared.
    pub(super) async fn move_in(&mut self, job: &mut Job, began: Instant) -> Result<(), Outcome> {
        let call = self.call;
        if !call.workspace.isolation.is_own() {
            return Ok(());
        }
        let bounds = Bounds { deadline: began + call.timeout, timeout: call.timeout };
        let made = tokio::select! {
            biased;
            cause = self.ending() => Err(Fault::new(Status::Cancelled, Kind::Final, cause)),
            () = tokio::time::sleep_until(bounds.deadline) => {
                Err(Fault::new(Status::TimedOut, Kind::Timeout, bounds.exceeded()))
            }
            made = self.make(job) => made,
        };
        let own = async {
            let mut own = made?;
            let cwd = own.inside(&job.place.cwd).ok_or_else(|| outside(job, &own))?;
            job.place.cwd = cwd;
            prepare(self, job, &own, bounds).await?;
            if call.workspace.setup.is_some() || !call.workspace.copy.is_empty() {
                own.begin().await.map_err(|error| broken(&error))?;
            }
            Ok::<_, Fault>(own)
        };
        let own = own.await.map_err(|fault| Outcome::ended(fault.status, fault.cause))?;
        self.level.world.journal.note(Event::WorkspaceMade {
            instance: self.id.clone(),
            isolation: call.workspace.isolation.as_str().to_owned(),
            path: own.root.display().to_string(),
            commit: own.commit().to_owned(),
        });
        self.local.own = Some(Arc::new(own));
        Ok(())
    }

    async fn make(&self, job: &Job) -> Result<workspace::Place, Fault> {
        let (spec, name) = (&self.call.workspace, name_of(&self.id));
        let make = async {
            let store = store(self.level, job).await?;
            if let Some(saved) = store.rescue(&name).await? {
                tell_saved(self.level, &self.id.to_string(), &saved);
            }
            store.make(&name, spec.isolation, &spec.base, &spec.copy).await
        };
        make.await.map_err(|error| broken(&error))
    }

    /// What the instance has changed in its workspace, put into its outcome.
    pub(super) async fn take_stock(&self, outcome: Outcome) -> Outcome {
        let Some(own) = &self.local.own else { return outcome };
        match own.changes(&self.call.workspace.protect).await {
            Ok(changes) => {
                if let Some(file) = changes.omitted.first() {
                    let message = format!(
                        "`{}` changed {file}, which is too large to be taken over; its workspace {} was kept",
                        self.id, changes.workspace
                    );
                    self.warn("workspace_kept", message);
                }
                Outcome { changes: Some(Box::new(changes)), ..outcome }
            }
            Err(error) if outcome.is_ok() => {
                Outcome { status: Status::Failed, cause: Some(broken(&error).cause), ..outcome }
            }
            Err(error) => {
                self.warn("workspace_kept", format!("what `{}` changed cannot be seen: {error}", self.id));
                outcome
            }
        }
    }

    /// Takes the workspace away, now that its outcome is durable; what others may look at stays
    /// until the end of the run.
    pub(super) async fn move_out(&self, outcome: &Outcome) {
        let Some(own) = &self.local.own else { return };
        if outcome.changes.as_ref().is_none_or(|changes| !changes.omitted.is_empty()) {
            return;
        }
        let done = match own.recorded() {
            Ok(()) if self.is_looked_at() => return,
            Ok(()) => own.remove().await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.warn("workspace_kept", format!("the workspace of `{}` is still there: {error}", self.id));
        }
    }

    /// After a resume: a workspace that others may look at is there again, as it was left.
    pub(super) async fn bring_back(&self, outcome: &Outcome) {
        let wanted = self.is_looked_at() && self.level.world.acts();
        let Some(changes) = outcome.changes.as_ref().filter(|_| wanted) else { return };
        if std::path::Path::new(&changes.workspace).is_dir() {
            return;
        }
        let store = self.level.world.workspaces.of(std::path::Path::new(&changes.repository)).await;
        let made = match store {
            Ok(store) => store.bring_back(&name_of(&self.id), changes).await,
            Err(error) => Err(error),
        };
        if let Err(error) = made {
            self.warn(
                "workspace_kept",
                format!("the workspace of `{}` cannot be made again: {error}", self.id),
            );
        }
    }

    /// True where a later call or step may name the workspace.
    fn is_looked_at(&self) -> bool {
        let read = self.level.graph.consumers(self.position).next().is_some();
        read || self.level.plan.reconcile.strategy.command.is_some()
    }

    /// True where something was changed, so that saying nothing is an answer too.
    pub(super) async fn has_changed(&self) -> bool {
        match &self.local.own {
            Some(own) => own.changes(&[]).await.is_ok_and(|changes| !changes.is_empty()),
            None => false,
        }
    }

    pub(super) fn warn(&self, code: &str, message: String) {
        self.level.world.journal.note(Event::Warned { code: code.to_owned(), message });
    }
}

/// The place of a check: a copy of the call's workspace in which only what counts was changed.
#[derive(Debug)]
pub(crate) struct Pristine {
    own: workspace::Place,
    /// Where the check runs in it.
    pub(crate) place: Place,
    /// What counts.
    pub(crate) changes: Changes,
}

impl Pristine {
    /// Makes and prepares it; `None` for a call without a workspace of its own.
    ///
    /// # Errors
    /// A [`Fault`] when it cannot be made or prepared.
    pub(super) async fn of(
        instance: &Instance<'_>,
        job: &Job,
        bounds: Bounds,
    ) -> Result<Option<Pristine>, Fault> {
        let Some(own) = &instance.local.own else { return Ok(None) };
        let spec = &instance.call.workspace;
        let (copy, changes) =
            own.pristine(&spec.protect, &spec.copy).await.map_err(|error| broken(&error))?;
        let cwd = job.place.cwd.strip_prefix(&own.root).unwrap_or(std::path::Path::new(""));
        let cwd = if cwd.as_os_str().is_empty() { copy.root.clone() } else { copy.root.join(cwd) };
        let place = Place { cwd, ..job.place.clone() };
        let pristine = Pristine { own: copy, place, changes };
        match prepare_at(instance, job, &pristine.place, bounds).await {
            Ok(()) => Ok(Some(pristine)),
            Err(fault) => {
                pristine.remove(instance).await;
                Err(fault)
            }
        }
    }

    /// Takes it away.
    pub(super) async fn remove(self, instance: &Instance<'_>) {
        if let Err(error) = self.own.remove().await {
            instance.warn("workspace_kept", format!("the copy for a check is still there: {error}"));
        }
    }
}

/// The store for the repository that the work is in.
async fn store(level: &Level, job: &Job) -> Result<Arc<Store>, RepositoryError> {
    let folder = if job.place.cwd.is_dir() { &job.place.cwd } else { &level.plan.dir };
    level.world.workspaces.of(folder).await
}

async fn prepare(
    instance: &Instance<'_>,
    job: &Job,
    own: &workspace::Place,
    bounds: Bounds,
) -> Result<(), Fault> {
    if !job.place.cwd.is_dir() {
        let missing = job.place.cwd.strip_prefix(&own.root).unwrap_or(&job.place.cwd);
        let message = format!(
            "its working directory {} is not in the commit that its workspace starts from; commit it, or \
             write `workspace: {{ base: working-tree }}`",
            missing.display()
        );
        return Err(Fault::new(Status::Failed, Kind::Final, Cause::new("workspace", message)));
    }
    prepare_at(instance, job, &job.place, bounds).await
}

/// Runs `workspace.setup`, confined as the call is but for the network, which is what sets up need.
async fn prepare_at(instance: &Instance<'_>, job: &Job, place: &Place, bounds: Bounds) -> Result<(), Fault> {
    let Some(setup) = &instance.call.workspace.setup else { return Ok(()) };
    let program = program(setup, &job.scope)
        .map_err(|error| Fault::new(Status::Failed, Kind::Final, template_cause(&error)))?;
    let call: &Call = instance.call;
    let place = Place { sandbox: Sandbox { network: true, ..place.sandbox.clone() }, ..place.clone() };
    let run = attempt::Command { idle_timeout: None, ..attempt::Command::of(call, &program, &place, bounds) };
    match run.once(&instance.level.world, None, instance.ending()).await {
        Ok(_) => Ok(()),
        Err(fault) => match fault.status {
            Status::Cancelled | Status::TimedOut => Err(fault),
            Status::Ok
            | Status::Failed
            | Status::Blocked
            | Status::Refused
            | Status::InvalidOutput
            | Status::OverBudget
            | Status::Skipped => {
                let message = format!("the `setup` of its workspace failed: {}", fault.explained());
                Err(Fault { cause: Cause::new("workspace_setup", message), kind: Kind::Final, ..fault })
            }
        },
    }
}

fn outside(job: &Job, own: &workspace::Place) -> Fault {
    let message = format!(
        "its working directory {} is not in the repository {}",
        job.place.cwd.display(),
        own.store().root().display()
    );
    Fault::new(Status::Failed, Kind::Final, Cause::new("workspace", message))
}

fn broken(error: &RepositoryError) -> Fault {
    let message = format!("it has no workspace: {error}; {}", error.help());
    Fault::new(Status::Failed, Kind::Final, Cause::new("workspace", message))
}

/// Says where the work of a workspace is that a killed process left.
fn tell_saved(level: &Level, who: &str, saved: &workspace::Rescued) {
    let message = format!(
        "what `{who}` had changed when fanout was killed ({}) is saved in {}",
        saved.files.join(", "),
        saved.patch.display()
    );
    level.world.journal.note(Event::Warned { code: "workspace_saved".to_owned(), message });
}

/// At the end of a run: no workspace stays behind, and nothing that was done in one is lost.
pub(crate) async fn clear(level: &Level) {
    if !level.world.acts() {
        return;
    }
    let (saved, kept) = level.world.workspaces.clear().await;
    for (name, saved) in saved {
        tell_saved(level, &name, &saved);
    }
    for error in kept {
        let message = format!("a workspace of this run is still there: {error}");
        level.world.journal.note(Event::Warned { code: "workspace_kept".to_owned(), message });
    }
}
