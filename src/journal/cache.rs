//! Results that outlive their run, one file each, by content key.
//!
//! Invariants: only a durable success gets in; what is handed out is byte for byte what
//! was put in, or nothing; an entry is there whole or not at all, whoever is killed when.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Durable;
use crate::id::{ContentKey, InstanceId, RunId};
use crate::outcome::Outcome;

/// The version of the format; an entry of another one counts as absent.
const FORMAT: u32 = 1;

/// The cache of one root: `<root>/.fanout/cache`.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

/// One kept result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What was done, as a hash of its content.
    pub key: ContentKey,
    /// Who did it, in the run that did.
    pub instance: InstanceId,
    /// The call's few words for people.
    pub description: String,
    /// The run that did it.
    pub run: RunId,
    /// When it was kept.
    pub at: Timestamp,
    /// What came of it: a success.
    pub outcome: Outcome,
}

/// The first line of an entry's file.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: u32,
    /// BLAKE3 of all that follows the line.
    blake3: String,
}

/// One file of the cache, as it is listed.
#[derive(Debug)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// What is in it; `None` for one that is damaged or of another version, which is never handed out.
    pub entry: Option<Entry>,
}

impl Cache {
    /// The cache under a root. Nothing is made before something is kept.
    pub fn at(root: &Path) -> Cache {
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        Cache { dir: root.join(".fanout").join("cache") }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The kept result of the same work; `None` where there is none that is whole.
    pub fn find(&self, key: &ContentKey) -> Option<Entry> {
        read(&self.path(key)).filter(|entry| entry.key == *key && entry.outcome.is_ok())
    }

    /// Keeps a success. One that is there already under the same key is replaced.
    ///
    /// # Errors
    /// What the system said; nothing is changed then.
    pub fn keep(
        &self,
        key: &ContentKey,
        (instance, description): (&InstanceId, &str),
        run: &RunId,
        outcome: &Durable<Outcome>,
    ) -> io::Result<()> {
        if !outcome.is_ok() {
            return Ok(());
        }
        let entry = Entry {
            key: key.clone(),
            instance: instance.clone(),
            description: description.to_owned(),
            run: run.clone(),
            at: Timestamp::now(),
            outcome: Outcome::clone(outcome),
        };
        let body = serde_json::to_vec(&entry)?;
        let head = Head { format: FORMAT, blake3: blake3::hash(&body).to_hex().to_string() };
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(folder)?;
        // The owner's alone: it is made with mode 0600.
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec(&head)?)?;
        file.write_all(b"\n")?;
        file.write_all(&body)?;
        // Not synced: after a power cut the hash finds what is missing, and the work is done again.
        file.persist(path)?;
        Ok(())
    }

    /// Everything in it, the newest first; damaged entries last.
    ///
    /// # Errors
    /// What the system said when the folder, where there is one, cannot be listed.
    pub fn list(&self) -> io::Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for folder in entries(&self.dir)? {
            for path in entries(&folder)? {
                // Gone since: somebody cleared it.
                let Ok(meta) = fs::metadata(&path) else { continue };
                kept.push(Kept { bytes: meta.len(), entry: read(&path), path });
            }
        }
        kept.sort_by(|a, b| {
            let at = |kept: &Kept| kept.entry.as_ref().map(|entry| entry.at);
            at(b).cmp(&at(a)).then_with(|| a.path.cmp(&b.path))
        });
        Ok(kept)
    }

    fn path(&self, key: &ContentKey) -> PathBuf {
        let key = key.as_str();
        self.dir.join(key.get(..2).unwrap_or(key)).join(key)
    }
}

/// Removes one file of a cache; one that is gone already is no error.
///
/// # Errors
/// What the system said.
pub fn remove(kept: &Kept) -> io::Result<()> {
    match fs::remove_file(&kept.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> Option<Entry> {
    let bytes = fs::read(path).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, body) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    let head: Head = serde_json::from_slice(head).ok()?;
    let whole = head.format == FORMAT && head.blake3 == blake3::hash(body).to_hex().as_str();
    if whole { serde_json::from_slice(body).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::CallId;
    use crate::outcome::{Cause, Output, Status};

    fn key() -> ContentKey {
        ContentKey::of([b"the same work".as_slice()])
    }

    fn keep(cache: &Cache, outcome: Outcome) {
        let who = InstanceId::only(CallId::parse("sites").unwrap());
        cache.keep(&key(), (&who, "Call sites"), &RunId::new("r1"), &Durable::vouch(outcome)).unwrap();
    }

    #[test]
    fn a_kept_success_is_found_again_and_a_failure_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        assert_eq!(cache.find(&key()), None);
        keep(&cache, Outcome::ended(Status::Failed, Cause::new("exit_status", "exit status 1")));
        assert!(cache.list().unwrap().is_empty());
        keep(&cache, Outcome::ok(Output::text("three")));
        let found = cache.find(&key()).unwrap();
        assert_eq!((&*found.outcome.output.text, found.run.as_str()), ("three", "r1"));
        assert_eq!(cache.find(&ContentKey::of([b"other work".as_slice()])), None);
    }

    #[test]
    fn an_entry_with_any_byte_changed_or_cut_off_is_never_handed_out() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        keep(&cache, Outcome::ok(Output::text("three")));
        let path = cache.list().unwrap().remove(0).path;
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(cache.find(&key()), None, "byte {at} changed");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(cache.find(&key()), None, "cut at {at}");
        }
        assert!(cache.list().unwrap()[0].entry.is_none(), "a damaged entry is listed as one");
        keep(&cache, Outcome::ok(Output::text("three")));
        assert!(cache.find(&key()).is_some());
    }
}
