//! A test hook: kills this very process at the n-th boundary of the journal.
//!
//! `FANOUT_TEST_KILL_AT=n` makes a debug build end itself with SIGKILL at the n-th boundary:
//! before, in the middle of and after every write, before and after every sync, and around
//! every file that is made or renamed. A release build does not know the variable. What the
//! sweep of `tests/it/sweep/mod.rs` shows rests on this.

use std::sync::Arc;

use crate::journal::{Disk, Storage};

/// Where journals are written: the disk.
#[cfg(not(all(debug_assertions, unix)))]
pub fn storage() -> Arc<dyn Storage> {
    Arc::new(Disk)
}

/// Where journals are written: the disk, or one that ends this process where a test says.
#[cfg(all(debug_assertions, unix))]
pub fn storage() -> Arc<dyn Storage> {
    let at = std::env::var("FANOUT_TEST_KILL_AT").ok().and_then(|text| text.parse().ok());
    match at {
        Some(at) => Arc::new(hook::KillAt(hook::Count::new(at))),
        None => Arc::new(Disk),
    }
}

#[cfg(all(debug_assertions, unix))]
mod hook {
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use crate::journal::{Disk, Storage, StoredFile};

    /// How many boundaries are left.
    #[derive(Debug, Clone)]
    pub(super) struct Count(Arc<AtomicI64>);

    impl Count {
        pub(super) fn new(at: i64) -> Count {
            Count(Arc::new(AtomicI64::new(at)))
        }

        /// True at the one boundary that is meant.
        fn is_here(&self) -> bool {
            self.0.fetch_sub(1, Ordering::SeqCst) == 1
        }

        fn boundary(&self) {
            if self.is_here() {
                self.kill();
            }
        }

        fn kill(&self) -> ! {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            // It is on its way; nothing more may happen here.
            loop {
                std::thread::park();
            }
        }
    }

    /// The disk, with a count of its boundaries.
    pub(super) struct KillAt(pub(super) Count);

    impl KillAt {
        fn around<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
            self.0.boundary();
            let result = work();
            self.0.boundary();
            result
        }

        fn file(&self, inner: io::Result<Box<dyn StoredFile>>) -> io::Result<Box<dyn StoredFile>> {
            Ok(Box::new(File { inner: inner?, count: self.0.clone() }))
        }
    }

    impl Storage for KillAt {
        fn create_dir(&self, path: &Path) -> io::Result<()> {
            self.around(|| Disk.create_dir(path))
        }

        fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
            self.file(self.around(|| Disk.create(path)))
        }

        fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
            self.file(Disk.open(path))
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.around(|| Disk.rename(from, to))
        }

        fn sync_dir(&self, path: &Path) -> io::Result<()> {
            self.around(|| Disk.sync_dir(path))
        }
    }

    struct File {
        inner: Box<dyn StoredFile>,
        count: Count,
    }

    impl StoredFile for File {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.count.boundary();
            if self.count.is_here() {
                let _ = self.inner.append(bytes.get(..bytes.len() / 2).unwrap_or_default());
                self.count.kill();
            }
            self.inner.append(bytes)?;
            self.count.boundary();
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            self.count.boundary();
            self.inner.sync()?;
            self.count.boundary();
            Ok(())
        }

        fn reserve(&mut self, end: u64) -> io::Result<bool> {
            self.inner.reserve(end)
        }

        fn truncate(&mut self, len: u64) -> io::Result<()> {
            self.count.boundary();
            self.inner.truncate(len)?;
            self.count.boundary();
            Ok(())
        }
    }
}
