//! Who may write to a run: one process at a time.
//!
//! Invariant: the right to write is the system's lock on an open file, so it ends with
//! the process that had it, however that ended. What stands in the file is for the
//! message only.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::storage::private;

/// The file's name in the run's directory.
const FILE: &str = "lock";

/// The process that writes to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// The machine that it runs on.
    pub host: String,
    /// When it took the run.
    pub since: Timestamp,
}

/// The right to write to a run, until it is dropped.
///
/// The file is closed in every child that is started: none can inherit the right.
pub(super) struct Lock {
    _file: File,
}

/// Why the right was not given.
pub(super) enum Refused {
    /// Another process has it; `None` if that one has not said yet who it is.
    Held(Option<Holder>),
    /// The file cannot be used.
    Io(io::Error),
}

/// Takes the right to write to the run in `dir`.
pub(super) fn take(dir: &Path, now: Timestamp) -> Result<Lock, Refused> {
    let path = dir.join(FILE);
    let mut file =
        private().read(true).write(true).create(true).truncate(false).open(&path).map_err(Refused::Io)?;
    // A reader that looks whether the run is alive has the lock for some microseconds:
    // only one who keeps it is a holder.
    let mut tries = 0;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if tries < 20 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
                return Err(Refused::Held(holder));
            }
            Err(TryLockError::Error(error)) => return Err(Refused::Io(error)),
        }
    }
    let holder = Holder { pid: std::process::id(), host: host(), since: now };
    // Best effort: without it, only the message is poorer.
    let _ = file.set_len(0).and_then(|()| serde_json::to_writer(&file, &holder).map_err(io::Error::from));
    let _ = file.flush();
    Ok(Lock { _file: file })
}

/// Who the file says has the right to write to the run in `dir`: true only while somebody has it.
pub(super) fn named(dir: &Path) -> Option<Holder> {
    fs::read(path(dir)).ok().and_then(|text| serde_json::from_slice(&text).ok())
}

/// The file.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// True while a process has the right to write to the run in `dir`.
pub(super) fn is_held(dir: &Path) -> bool {
    File::open(dir.join(FILE))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The name of this machine, as it stands in a [`Holder`].
#[cfg(unix)]
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The name of this machine, as it stands in a [`Holder`].
#[cfg(not(unix))]
pub fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}
