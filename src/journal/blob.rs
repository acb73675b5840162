//! Long payloads as files under `blobs/`, each named by the hash of what is in it.
//!
//! Invariant: a name under `blobs/` that is a hash exists only once its content is
//! durable; [`BlobStore::store`] returns once the name is durable too.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::payload::{Blob, PayloadFault};
use super::storage::{Fault, Storage, doing};

/// The folder's name in the run's directory.
pub(super) const FOLDER: &str = "blobs";

/// Writes blobs.
pub(super) struct BlobStore {
    folder: PathBuf,
    storage: Arc<dyn Storage>,
    /// Those that this process made durable. One that an earlier process left is written
    /// again: it may have been harmed since.
    known: HashSet<blake3::Hash>,
    temporary: u64,
}

impl BlobStore {
    /// For the run in `dir`.
    pub(super) fn new(dir: &Path, storage: Arc<dyn Storage>) -> BlobStore {
        BlobStore { folder: dir.join(FOLDER), storage, known: HashSet::new(), temporary: 0 }
    }

    /// Makes all of them durable: the contents one by one, then the names with one sync.
    pub(super) fn store(&mut self, blobs: &[Blob]) -> Result<(), Fault> {
        let mut written = Vec::new();
        for blob in blobs {
            // After an error no blob is written any more, so it does no harm to know it early.
            if self.known.insert(blob.hash) {
                written.push((blob.hash, self.write(blob.bytes.as_bytes())?));
            }
        }
        for (hash, temporary) in &written {
            let path = self.folder.join(hash.to_hex().as_str());
            self.storage.rename(temporary, &path).map_err(doing("name a blob", &path))?;
        }
        if !written.is_empty() {
            self.storage.sync_dir(&self.folder).map_err(doing("sync", &self.folder))?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<PathBuf, Fault> {
        self.temporary += 1;
        let path = self.folder.join(format!(".new-{}-{}", std::process::id(), self.temporary));
        let written = self.storage.create(&path).and_then(|mut file| {
            file.append(bytes)?;
            file.sync()
        });
        match written {
            Ok(()) => Ok(path),
            Err(error) => {
                // Gives the space back to what is more urgent now. If that fails too, a
                // resume clears it away.
                let _ = fs::remove_file(&path);
                Err(doing("write a blob", &path)(error))
            }
        }
    }
}

/// Clears away what a killed process was in the middle of writing.
pub(super) fn clear_temporary(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir.join(FOLDER))? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".new-") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The content of a blob of the run in `dir`, checked against its name.
pub(super) fn load(dir: &Path, hash: &str) -> Result<String, PayloadFault> {
    let expected =
        blake3::Hash::from_hex(hash).map_err(|_| PayloadFault::Malformed(format!("`{hash}` is no hash")))?;
    let name = expected.to_hex();
    let bytes = fs::read(dir.join(FOLDER).join(name.as_str()))
        .map_err(|_| PayloadFault::Missing { hash: name.to_string() })?;
    if blake3::hash(&bytes) != expected {
        return Err(PayloadFault::Damaged { hash: name.to_string() });
    }
    String::from_utf8(bytes).map_err(|_| PayloadFault::Damaged { hash: name.to_string() })
}
