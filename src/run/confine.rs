//! From what a plan says of a call's sandbox to the policy that its programs are started under.
//!
//! Invariant: the policy follows the place that the work is done in, wherever that is made.

use std::path::{Path, PathBuf};

use super::World;
use super::work::Place;
use crate::outcome::{Cause, Status};
use crate::plan::SandboxMode;
use crate::plan::workspace::Isolation;
use crate::process::Spec;
use crate::sandbox::{Mode, Policy, Unavailable};

use super::attempt::{Fault, Kind};

/// The code of the cause when a call was refused because nothing could confine it.
pub(crate) const NO_SANDBOX: &str = "sandbox_unavailable";

/// The policy of work in a place.
pub(crate) fn policy(world: &World, place: &Place) -> Policy {
    let said = &place.sandbox;
    let home = world.environment.get("HOME").map(String::as_str).unwrap_or_default();
    let path = |text: &String| match text.strip_prefix("~/") {
        Some(rest) => Path::new(home).join(rest),
        None => place.dir.join(text),
    };
    let mut read: Vec<PathBuf> = said.read.iter().map(path).collect();
    let mut write: Vec<PathBuf> = said.write.iter().map(path).collect();
    let mut workspace = place.cwd.clone();
    read.push(place.dir.clone());
    let around = repository(&place.cwd, Path::new(home));
    if let Some(top) = around.first().filter(|_| place.isolation.is_own()) {
        workspace.clone_from(top);
        // A repository of its own is its own as a whole: nobody else runs git there.
        write.extend((place.isolation == Isolation::Clone).then(|| top.join(".git")));
    }
    read.extend(around);
    // Outputs that are passed as files.
    read.push(world.journal.dir().to_owned());
    Policy {
        mode: match said.mode {
            SandboxMode::Off => Mode::Off,
            SandboxMode::ReadOnly => Mode::ReadOnly,
            SandboxMode::WorkspaceWrite => Mode::WorkspaceWrite,
        },
        network: said.network,
        workspace,
        read,
        write,
        protect: world.journal.dir().parent().map(Path::to_owned).into_iter().collect(),
        env: said.env.clone(),
    }
}

/// The same program under the policy of its place.
///
/// # Errors
/// A [`Fault`] that refuses the call, for good.
pub(crate) fn wrap(world: &World, place: &Place, spec: Spec) -> Result<Spec, Fault> {
    if !place.sandbox.is_on() {
        // What would be open is not worth finding out.
        return Ok(spec);
    }
    world.sandbox.wrap(spec, &policy(world, place)).map_err(|error| refused(&error))
}

fn refused(error: &Unavailable) -> Fault {
    Fault::new(Status::Refused, Kind::Final, Cause::new(NO_SANDBOX, error.to_string()))
}

/// The repository around a folder, and where git keeps it if that is elsewhere (a worktree).
fn repository(cwd: &Path, home: &Path) -> Vec<PathBuf> {
    let below_home = cwd.ancestors().take_while(|folder| folder.parent().is_some() && *folder != home);
    let Some(top) = below_home.into_iter().find(|folder| folder.join(".git").exists()) else {
        return Vec::new();
    };
    let mut found = vec![top.to_owned()];
    // `gitdir: PATH`, as git-worktree(1) writes it; its `commondir` names what all worktrees share.
    let elsewhere = std::fs::read_to_string(top.join(".git")).ok();
    if let Some(folder) = elsewhere.as_deref().and_then(|text| text.trim().strip_prefix("gitdir: ")) {
        let folder = top.join(folder);
        let common = std::fs::read_to_string(folder.join("commondir")).ok();
        found.extend(common.map(|text| folder.join(text.trim())));
        found.push(folder);
    }
    // Objects that it borrows (gitrepository-layout(5)).
    let borrowed: Vec<PathBuf> =
        (found.iter().map(|folder| folder.join(".git")).chain(found.iter().cloned()))
            .filter_map(|folder| std::fs::read_to_string(folder.join("objects/info/alternates")).ok())
            .flat_map(|text| text.lines().map(PathBuf::from).collect::<Vec<_>>())
            .collect();
    found.extend(borrowed);
    found
}
