//! What stands in a folder, by the stamps of its files: looked at again without walking through it anew.
//!
//! Invariants: the files are those that git would know; as long as no folder has changed there is
//! no file to be added or taken away, so it is enough to ask for the stamps of those that are known.
//! A folder that changed just before it was read is read again: the clock of a file system stands
//! still for some milliseconds, and what came in the meantime would have the same time.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A folder with more files is not watched: looking would cost more than it tells.
const MOST_FILES: usize = 20_000;
/// With no more files and folders a look takes less than to have another thread take it.
const FEW: usize = 100;
/// How long the clock of a file system may stand still.
const TICK: Duration = Duration::from_millis(20);
/// The same where it counts in whole seconds.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// What changes when a file is written, or the names in a folder are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    changed: (i64, i64),
    modified: (i64, i64),
    place: u64,
}

impl Stamp {
    fn of(meta: &Metadata) -> Stamp {
        Stamp {
            size: meta.size(),
            changed: (meta.ctime(), meta.ctime_nsec()),
            modified: (meta.mtime(), meta.mtime_nsec()),
            place: meta.ino(),
        }
    }

    /// Whether there may be a later change with the same stamp, for one that was read at this time.
    fn may_be_stale(&self, read: SystemTime) -> bool {
        let (seconds, nanos) = self.changed;
        let tick = if nanos == 0 { COARSE_TICK } else { TICK };
        let since = Duration::new(seconds.try_into().unwrap_or(0), nanos.try_into().unwrap_or(0));
        SystemTime::UNIX_EPOCH + since + tick >= read
    }
}

/// The files of a folder.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    root: PathBuf,
    /// From the root.
    pub(super) files: HashMap<PathBuf, Stamp>,
    /// Whatever decides which files there are: the folders, and what names files to be passed over.
    decisive: Vec<(PathBuf, Option<Stamp>)>,
    /// A folder may have changed since, with nothing to be seen of it.
    stale: bool,
}

impl Listing {
    /// Every file that git would know but those of `own` (device and place); `None` where there are
    /// too many.
    pub(super) fn of(root: &Path, own: &[(u64, u64)]) -> Option<Listing> {
        let mut listing =
            Listing { root: root.to_owned(), files: HashMap::new(), decisive: Vec::new(), stale: false };
        let began = SystemTime::now();
        listing.decides(root.join(".git/info/exclude"));
        // Before what is in it, so that what comes in the meantime shows as a change.
        listing.decides(root.to_owned());
        let walk = ignore::WalkBuilder::new(root)
            .hidden(false)
            .parents(false)
            .require_git(false)
            .follow_links(false)
            .filter_entry(|entry| !matches!(entry.file_name().to_str(), Some(".git" | ".fanout")))
            .build();
        for entry in walk.flatten() {
            if entry.depth() > 0 && entry.file_type().is_some_and(|kind| kind.is_dir()) {
                listing.decides(entry.into_path());
                continue;
            }
            let Ok(meta) = entry.metadata() else { continue };
            if !meta.is_file() || own.contains(&(meta.dev(), meta.ino())) {
                continue;
            }
            if listing.files.len() >= MOST_FILES {
                return None;
            }
            if matches!(entry.file_name().to_str(), Some(".gitignore" | ".ignore")) {
                listing.decisive.push((entry.path().to_owned(), Some(Stamp::of(&meta))));
            }
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned();
            listing.files.insert(path, Stamp::of(&meta));
        }
        let young = |(_, stamp): &(PathBuf, Option<Stamp>)| stamp.is_some_and(|it| it.may_be_stale(began));
        listing.stale = listing.decisive.iter().any(young);
        Some(listing)
    }

    /// As if nobody had changed a folder for a while.
    #[cfg(test)]
    pub(super) fn settle(&mut self) {
        self.stale = false;
    }

    fn decides(&mut self, path: PathBuf) {
        let stamp = stamp(&path);
        self.decisive.push((path, stamp));
    }

    /// The same, now; `None` where files may have come or gone, which only a walk can tell.
    pub(super) fn again(&self) -> Option<Listing> {
        self.has_same_files().then_some(())?;
        let mut now = self.clone();
        for (path, stamp) in &mut now.files {
            *stamp = self.stamp(path)?;
        }
        Some(now)
    }

    /// Whether all is as it was, if that is told quickly.
    pub(super) fn is_soon_seen_unchanged(&self) -> bool {
        let few = self.files.len() + self.decisive.len() <= FEW;
        few && self.has_same_files()
            && self.files.iter().all(|(path, stamp)| self.stamp(path).is_some_and(|now| now == *stamp))
    }

    fn has_same_files(&self) -> bool {
        !self.stale && self.decisive.iter().all(|(path, then)| stamp(path) == *then)
    }

    fn stamp(&self, path: &Path) -> Option<Stamp> {
        fs::symlink_metadata(self.root.join(path)).ok().filter(Metadata::is_file).map(|meta| Stamp::of(&meta))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    fs::symlink_metadata(path).ok().map(|meta| Stamp::of(&meta))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder whose listing is old enough to be trusted, without having waited for that.
    fn settled(root: &Path) -> Listing {
        Listing { stale: false, ..Listing::of(root, &[]).unwrap() }
    }

    fn names(listing: &Listing) -> Vec<&str> {
        let mut names: Vec<&str> = listing.files.keys().filter_map(|path| path.to_str()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_changed_in_a_known_file_is_seen_without_a_walk_and_what_came_or_went_asks_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("deep/down")).unwrap();
        fs::write(at("deep/down/f"), "one").unwrap();
        fs::write(at(".gitignore"), "*.log\nout/\n").unwrap();
        fs::create_dir(at("out")).unwrap();
        let listing = settled(dir.path());
        assert_eq!(names(&listing), [".gitignore", "deep/down/f"]);
        assert!(listing.is_soon_seen_unchanged());

        fs::write(at("out/artifact"), "nobody's").unwrap();
        assert!(listing.is_soon_seen_unchanged(), "in a folder that is passed over");

        fs::write(at("deep/down/f"), "longer").unwrap();
        assert!(!listing.is_soon_seen_unchanged());
        let now = listing.again().unwrap();
        assert_eq!(now.files[Path::new("deep/down/f")].size, 6);
        assert!(now.is_soon_seen_unchanged());

        fs::write(at("deep/down/g"), "").unwrap();
        assert!(now.again().is_none() && !now.is_soon_seen_unchanged(), "one more");
        let now = settled(dir.path());
        assert_eq!(names(&now), [".gitignore", "deep/down/f", "deep/down/g"]);
        fs::remove_file(at("deep/down/f")).unwrap();
        assert!(now.again().is_none() && !now.is_soon_seen_unchanged(), "one less");

        let now = settled(dir.path());
        fs::write(at(".gitignore"), "*.log\n").unwrap();
        assert!(now.again().is_none(), "what is passed over has changed");
        assert_eq!(names(&settled(dir.path())), [".gitignore", "deep/down/g", "out/artifact"]);
    }

    #[test]
    fn a_folder_that_changed_in_the_moment_in_which_it_was_read_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "").unwrap();
        let listing = Listing::of(dir.path(), &[]).unwrap();
        assert!(listing.stale && listing.again().is_none() && !listing.is_soon_seen_unchanged());
        let stamp = Stamp { size: 0, changed: (1000, 5_000_000), modified: (1000, 0), place: 1 };
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        assert!(stamp.may_be_stale(at(1_000_025)) && !stamp.may_be_stale(at(1_000_026)));
        let coarse = Stamp { changed: (1000, 0), ..stamp };
        assert!(coarse.may_be_stale(at(1_002_000)) && !coarse.may_be_stale(at(1_002_001)));
    }
}
