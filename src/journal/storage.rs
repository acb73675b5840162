//! The few file operations that the journal's promises rest on, and the clock, as parameters.
//!
//! Invariant: nothing here retries, buffers or hides an error; what returned `Ok`
//! was done by the system. Reading is not here: it needs no promise.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// What the journal asks of a file system. [`Disk`] is the real one.
pub trait Storage: Send + Sync {
    /// Makes a directory that only its owner may enter; an error if there is one.
    ///
    /// # Errors
    /// Those of `mkdir`.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes an empty file that only its owner may read; an error if the name is taken.
    ///
    /// # Errors
    /// Those of `open`.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Opens a file to write at its end.
    ///
    /// # Errors
    /// Those of `open`.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Gives a file another name in one step, over whatever had that name.
    ///
    /// # Errors
    /// Those of `rename`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// Those of `open` and `fsync`.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// False for a storage that forgets what it is given, so that nothing else may change either.
    fn keeps(&self) -> bool {
        true
    }
}

/// One open file of a [`Storage`].
pub trait StoredFile: Send {
    /// Writes all the bytes at the end. After an error any part of them may be there.
    ///
    /// # Errors
    /// Those of `write`.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the contents durable. After an error the file must not be trusted or synced again.
    ///
    /// # Errors
    /// Those of `fdatasync`.
    fn sync(&mut self) -> io::Result<()>;

    /// Sets disk space aside up to byte `end` without growing the file; `false` where the
    /// file system cannot.
    ///
    /// # Errors
    /// Those of `fallocate`.
    fn reserve(&mut self, end: u64) -> io::Result<bool>;

    /// Cuts the file to `len` bytes and gives back what was set aside beyond.
    ///
    /// # Errors
    /// Those of `ftruncate`.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// An operation that the system refused.
#[derive(Debug)]
pub(super) struct Fault {
    /// What was being done, to be read after "could not".
    pub(super) doing: &'static str,
    /// To which file.
    pub(super) path: PathBuf,
    /// What the system said.
    pub(super) source: io::Error,
}

/// Names what was being done, for an error of it.
pub(super) fn doing(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Fault {
    move |source| Fault { doing, path: path.to_owned(), source }
}

/// The real file system.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Storage for Disk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(private().append(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(private().append(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    #[cfg(unix)]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // A file system that has no such thing says so by these.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    #[cfg(not(unix))]
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(()) // Directories cannot be opened there; the file system logs its names itself.
    }
}

impl StoredFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn reserve(&mut self, end: u64) -> io::Result<bool> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        loop {
            match fallocate(&*self, FallocateFlags::KEEP_SIZE, 0, end) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&mut self, _: u64) -> io::Result<bool> {
        Ok(false) // No other system sets space aside without growing the file.
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// Takes everything and keeps nothing: for a rehearsal of what a resume would do.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl Storage for Nowhere {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(Nowhere))
    }

    fn open(&self, _: &Path) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(Nowhere))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn keeps(&self) -> bool {
        false
    }
}

impl StoredFile for Nowhere {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reserve(&mut self, _: u64) -> io::Result<bool> {
        Ok(false)
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
}

/// How every file of a run is opened: for its owner alone, never through a link that
/// somebody left in its place.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options
}

/// The two clocks that stamp records.
pub trait Clock: Send + Sync {
    /// The time of day.
    fn wall(&self) -> Timestamp;

    /// Time since this process began the run; never goes back.
    fn elapsed(&self) -> Duration;
}

/// The system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    began: Instant,
}

impl SystemClock {
    /// A clock whose `elapsed` counts from now.
    pub fn start() -> SystemClock {
        SystemClock { began: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
