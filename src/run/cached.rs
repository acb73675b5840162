//! Results of earlier runs: asked for before a place is taken, kept once they are durable.
//!
//! Invariant: only a call that says `cache` takes part, and a hit says which run it is from.

use super::instance::Instance;
use super::stop::Phase;
use super::{RunError, steps};
use crate::event::Event;
use crate::id::ContentKey;
use crate::journal::Durable;
use crate::journal::cache::Cache;
use crate::outcome::{Cause, Outcome, Status};
use crate::plan;

impl Instance<'_> {
    /// The cache, if this call takes part in it.
    fn cache(&self) -> Option<&Cache> {
        match self.call.cache {
            plan::Cache::Off => None,
            plan::Cache::On | plan::Cache::Inputs(_) => self.level.world.cache.as_ref(),
        }
    }

    /// What an earlier run made of the same work.
    ///
    /// # Errors
    /// [`RunError`] as the journal gives it.
    pub(super) async fn cached(&self) -> Result<Option<(ContentKey, Outcome)>, RunError> {
        let world = &self.level.world;
        let Some(cache) = self.cache().filter(|_| world.stop.phase() < Phase::Draining) else {
            return Ok(None);
        };
        // What cannot be rendered fails where it is done.
        let Ok(job) = self.first_job() else { return Ok(None) };
        let (cache, key) = (cache.clone(), job.key.clone());
        // Waited for here: a reader that outlives the call would only finish its read.
        let Ok(Some(entry)) = tokio::task::spawn_blocking(move || cache.find(&key)).await else {
            return Ok(None);
        };
        let mut outcome = Outcome { reused: true, cached_from: Some(entry.run), ..entry.outcome };
        if let Some(file) = self.call.output.file.as_ref().filter(|_| !world.rehearsal)
            && let Err(cause) = steps::write_file(file, &job, &job.place.cwd, &outcome.output)
        {
            outcome = Outcome { cause: Some(cause), status: Status::Failed, ..outcome };
        }
        Ok(Some((job.key, outcome)))
    }

    /// Keeps a durable result for later runs.
    pub(super) async fn keep_cached(&self, key: Option<ContentKey>, outcome: &Durable<Outcome>) {
        let world = &self.level.world;
        let (Some(cache), Some(key)) = (self.cache(), key) else { return };
        if outcome.reused || !outcome.is_ok() || world.rehearsal {
            return;
        }
        let (cache, run, outcome) = (cache.clone(), world.journal.run().clone(), outcome.clone());
        let (id, description) = (self.id.clone(), self.call.description.clone());
        let keep = move || cache.keep(&key, (&id, &description), &run, &outcome);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(keep).await {
            let message = format!("the result of `{}` could not be kept for later runs: {error}", self.id);
            world.journal.note(Event::Warned { code: "not_cached".to_owned(), message });
        }
    }
}

/// What the files that a call's `cache: {inputs: …}` names hold, as one hash.
///
/// # Errors
/// The sentence that says which glob could not be followed, or which file could not be read.
pub(super) fn inputs(globs: &[String], dir: &std::path::Path) -> Result<ContentKey, Cause> {
    let wrong = |message: String| Cause::new("cache_inputs", format!("`cache: {{inputs: …}}`: {message}"));
    let mut files = std::collections::BTreeSet::new();
    for glob in globs {
        files.extend(plan::template::matching_files(dir, glob).map_err(wrong)?);
    }
    let mut parts = Vec::with_capacity(files.len() * 2);
    for file in files {
        let mut hasher = blake3::Hasher::new();
        let path = dir.join(&file);
        let opened = std::fs::File::open(&path);
        opened
            .and_then(|content| hasher.update_reader(content).map(|_| ()))
            .map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))?;
        parts.push(file.into_bytes());
        parts.push(hasher.finalize().as_bytes().to_vec());
    }
    Ok(ContentKey::of(parts.iter().map(Vec::as_slice)))
}
