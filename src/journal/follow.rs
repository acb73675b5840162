//! What a run does, for processes that only look on: who holds it, and when it lets go.
//!
//! Invariant: nobody polls, and nobody who looks on keeps the run from anybody.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::lock::{self, Holder};
use super::{JournalError, blob, outputs, writer};

/// The process that is at the run in `dir` now; `None` if there is none, or if it has not said yet
/// who it is.
pub fn holder(dir: &Path) -> Option<Holder> {
    lock::is_held(dir).then(|| lock::named(dir)).flatten()
}

/// Blocks until no process is at the run in `dir`; returns at once if there is none now.
///
/// # Errors
/// [`JournalError::Missing`] and [`JournalError::Unreadable`].
pub fn wait(dir: &Path) -> Result<(), JournalError> {
    let path = lock::path(dir);
    let unreadable = |source: io::Error| {
        if source.kind() == io::ErrorKind::NotFound {
            JournalError::Missing { dir: dir.to_owned() }
        } else {
            JournalError::Unreadable { path: path.clone(), source: Arc::new(source) }
        }
    };
    // The system wakes this up; the right to look on is given back at once.
    File::open(&path).and_then(|file| file.lock_shared()).map_err(unreadable)
}

/// Removes the run in `dir`, unless a process is at it.
///
/// # Errors
/// [`JournalError::Held`], and [`JournalError::Unreadable`] if not all of it could be removed.
pub fn remove(dir: &Path) -> Result<(), JournalError> {
    let run = crate::id::RunId::new(&dir.file_name().unwrap_or_default().to_string_lossy());
    if lock::is_held(dir) {
        return Err(JournalError::Held { run, by: lock::named(dir) });
    }
    let unreadable =
        |source: io::Error| JournalError::Unreadable { path: dir.to_owned(), source: Arc::new(source) };
    // The journal first: what is left of a removal that was cut short is no run.
    match std::fs::remove_file(dir.join(writer::FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unreadable(error)),
        Ok(()) | Err(_) => {}
    }
    for folder in [blob::FOLDER, outputs::FOLDER] {
        match std::fs::remove_dir_all(dir.join(folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unreadable(error)),
            Ok(()) | Err(_) => {}
        }
    }
    std::fs::remove_dir_all(dir).map_err(unreadable)
}
