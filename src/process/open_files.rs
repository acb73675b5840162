//! How many files this process may have open: as many as the system allows it, while the programs
//! that it starts get the limit that it was given itself.
//!
//! Many programs fare badly with a high limit (`select` ends at 1,024, and some close every
//! descriptor up to the limit when they start); a run of a thousand calls fares badly with a low one.
//! Invariant: no program of a run sees a higher limit than this process did.

use std::io;

use rustix::process::Pid;

/// Raises the soft limit of this process to its hard one, and says how many files may be open from
/// then on; `None` where there is no limit. To be called before the first program is started.
///
/// Only on Linux, where the programs can be given the old limit back. Elsewhere the limit stays.
pub fn raise_open_files() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        linux::raise()
    }
    #[cfg(not(target_os = "linux"))]
    {
        rustix::process::getrlimit(rustix::process::Resource::Nofile).current
    }
}

/// Starts a program under the limit that this process was given. To be called by one thread at a time.
///
/// There is no way to say it in between without code that is not safe, so this process itself goes
/// back to the old limit for the moment that it takes. Where it has too many files open for that, the
/// program is given its limit right after its start instead.
///
/// # Errors
/// As starting it gives.
pub(super) fn start<T>(spawn: impl FnOnce() -> io::Result<T>, pid: impl FnOnce(&T) -> Pid) -> io::Result<T> {
    #[cfg(target_os = "linux")]
    {
        linux::start(spawn, pid)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        spawn()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::AsRawFd as _;
    use std::sync::OnceLock;

    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

    /// How many files other threads may open in the moment that a start takes.
    const MEANWHILE: u64 = 256;

    /// What this process was given, where it has raised that.
    static GIVEN: OnceLock<Rlimit> = OnceLock::new();

    pub(super) fn raise() -> Option<u64> {
        let given = getrlimit(Resource::Nofile);
        if given.current == given.maximum {
            return given.current;
        }
        // As it was, where it cannot be raised.
        if setrlimit(Resource::Nofile, raised(given)).is_err() {
            return given.current;
        }
        let _ = GIVEN.set(given);
        given.maximum
    }

    fn raised(given: Rlimit) -> Rlimit {
        Rlimit { current: given.maximum, maximum: given.maximum }
    }

    pub(super) fn start<T>(
        spawn: impl FnOnce() -> io::Result<T>,
        pid: impl FnOnce(&T) -> Pid,
    ) -> io::Result<T> {
        let Some(given) = GIVEN.get() else { return spawn() };
        if has_room(given.current) && setrlimit(Resource::Nofile, *given).is_ok() {
            let child = spawn();
            let _ = setrlimit(Resource::Nofile, raised(*given));
            return child;
        }
        let child = spawn()?;
        // Fails where it has ended already, and where it has other rights than this process.
        let _ = prlimit(Some(pid(&child)), Resource::Nofile, *given);
        Ok(child)
    }

    /// Whether so few files are open that the limit can be lower for a moment. The next one gets the
    /// lowest number that is free.
    fn has_room(limit: Option<u64>) -> bool {
        let Some(limit) = limit else { return true };
        let next = rustix::io::dup(rustix::stdio::stderr());
        next.is_ok_and(|next| u64::try_from(next.as_raw_fd()).is_ok_and(|next| next + MEANWHILE < limit))
    }
}
