//! What is kept from every surface: secrets of the environment, and those that a run knew.
//!
//! Invariant: of a secret that the environment of a run held, only fingerprints are written
//! down, beside the run; whoever looks at the run later needs no environment to have its
//! secrets taken out.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::load;
use crate::event::Record;
use crate::journal::{Listener, Snapshot};
use crate::plan::{Action, Plan, Provider};
use crate::report::redact::{Key, Redactor, names_a_secret};

/// The fingerprints, in a run's folder.
const FILE: &str = "secrets.jsonl";

/// For whoever looks at the run in `dir`: what it knew, and what this process knows.
pub fn of_run(dir: &Path) -> Redactor {
    known(Key::default(), &[]).with(&kept(dir))
}

/// For a run of `plan`, which goes on in `dir` where there is an earlier one.
pub fn of_plan(plan: &Plan, dir: Option<&Path>) -> Redactor {
    let kept = dir.map(kept).unwrap_or_default();
    let mut keys: Vec<&str> =
        providers(plan).iter().filter_map(|provider| provider.api_key_env.as_deref()).collect();
    keys.extend(plan.key_variables());
    known(Redactor::key_of(&kept).unwrap_or_else(key), &keys).with(&kept)
}

/// The fingerprints as a file of a run that begins; none where there is no secret.
pub fn snapshot(redactor: &Redactor) -> Option<Snapshot> {
    redactor.kept().map(|text| Snapshot { name: FILE.to_owned(), bytes: text.into_bytes() })
}

/// Keeps the fingerprints beside a run that goes on.
///
/// # Errors
/// When the file cannot be written; what was there is still there.
pub fn keep(dir: &Path, redactor: &Redactor) -> std::io::Result<()> {
    match redactor.kept() {
        Some(text) if text != kept(dir) => {
            let mut file = tempfile::NamedTempFile::new_in(dir)?;
            std::io::Write::write_all(&mut file, text.as_bytes())?;
            file.persist(dir.join(FILE)).map(drop).map_err(|error| error.error)
        }
        Some(_) | None => Ok(()),
    }
}

/// Whoever shows a record gets it without the secrets that are known; it is looked through once.
pub fn redacted(redactor: &Redactor, listeners: Vec<Listener>) -> Listener {
    let redactor = redactor.clone();
    Box::new(move |record: &Arc<Record>| {
        let record = redactor.record(record);
        listeners.iter().for_each(|listener| listener(&record));
    })
}

/// The providers of a plan and of the plans that it runs.
pub fn providers(plan: &Plan) -> Vec<&Provider> {
    let inner = plan.calls.iter().flat_map(|call| match &call.action {
        Action::Plan { plan, .. } => providers(plan),
        Action::Prompt { .. }
        | Action::Run(_)
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => Vec::new(),
    });
    plan.providers.values().chain(inner).collect()
}

/// The values of environment variables that are secrets by their name, of those named here, and the
/// passwords of addresses.
fn known(key: Key, also: &[&str]) -> Redactor {
    let environment: HashMap<String, String> = load::environment();
    let secret = |name: &str| names_a_secret(name) || also.contains(&name);
    let secrets = environment.iter().filter(|(name, _)| secret(name));
    let secrets = secrets.map(|(name, value)| (name.as_str(), value.clone()));
    let passwords = environment.iter().filter_map(|(name, value)| Some((name.as_str(), password(value)?)));
    let all: Vec<(&str, String)> = secrets.chain(passwords).collect();
    Redactor::new(key, all.iter().map(|(name, value)| (*name, value.as_str())))
}

/// The password in an address, as in `HTTPS_PROXY=http://user:password@proxy:3128`.
fn password(value: &str) -> Option<String> {
    let (_, rest) = value.split_once("://")?;
    let (user, _) = rest.split('/').next()?.rsplit_once('@')?;
    Some(user.split_once(':')?.1.to_owned())
}

fn kept(dir: &Path) -> String {
    std::fs::read_to_string(dir.join(FILE)).unwrap_or_default()
}

/// A key that nobody else has. Where the system gives no random bytes, one that nobody else has by chance.
fn key() -> Key {
    let mut key = Key::default();
    if getrandom::fill(&mut key).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let chance = format!("{} {}", std::process::id(), now.as_nanos());
        key = *blake3::hash(chance.as_bytes()).as_bytes();
    }
    key
}
