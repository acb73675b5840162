//! Calls that work in one folder and write the same file: seen afterwards, with both versions kept.
//!
//! The folder is looked at when a call begins and when one ends. What changed between two
//! looks was changed by one of those that were at work then, or by somebody outside. A file that
//! only grew has lost nothing, and is told of by nobody: it was begun and then filled.
//!
//! Invariants: only files whose size, times or place on the disk changed are read; the folder
//! is never written to; a file that fanout's own output goes to is nobody's work. What cannot be
//! seen this way: which of several calls wrote a file that changed once, what was overwritten
//! between two looks, and what git ignores.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A folder with more files is not watched: looking would cost more than it tells.
const MOST_FILES: usize = 20_000;
/// Of a longer file only the hash is kept.
const LONGEST: u64 = 1 << 20;

/// Two calls that wrote one file while both were at work, or a call and somebody outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Race {
    /// The file, from the folder that was watched.
    pub path: String,
    /// Both sides, the earlier one first.
    pub sides: [RaceSide; 2],
}

/// One side of a race.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaceSide {
    /// Who was at work when it was written; empty where nobody of the run was.
    pub by: Vec<String>,
    /// Where the file is kept as it was then; `None` where it was removed or is too long.
    pub kept: Option<PathBuf>,
}

/// What is known of one folder.
#[derive(Debug)]
pub struct Watch {
    root: PathBuf,
    /// Where versions are kept.
    keep: PathBuf,
    /// Files that are passed over, by device and place.
    own: Vec<(u64, u64)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    looked: bool,
    off: bool,
    /// Counts what begins and ends.
    clock: u64,
    files: HashMap<PathBuf, Stamp>,
    /// When each call was at work; the end is missing while it is.
    times: HashMap<String, (u64, Option<u64>)>,
    writes: BTreeMap<PathBuf, Vec<Write>>,
}

/// What changes when a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    changed: (i64, i64),
    modified: (i64, i64),
    place: u64,
}

#[derive(Debug, Clone)]
struct Write {
    by: Vec<String>,
    size: usize,
    hash: Option<blake3::Hash>,
    kept: Option<PathBuf>,
    /// It begins with all that stood there before.
    grew: bool,
    told: bool,
}

impl Write {
    /// Whether nothing that was written here is lost in what stands there later.
    fn begins(&self, later: Option<&[u8]>) -> bool {
        let start = later.and_then(|bytes| bytes.get(..self.size)).map(blake3::hash);
        self.hash.is_some() && start == self.hash
    }
}

impl Watch {
    /// Watches the folder that a call works in: its repository, or itself.
    pub fn new(cwd: &Path, keep: PathBuf) -> Watch {
        Watch { root: root_of(cwd), keep, own: own_output(), state: Mutex::default() }
    }

    /// A call begins.
    pub fn enter(&self, who: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.look(&mut state);
        state.clock += 1;
        let now = state.clock;
        state.times.insert(who.to_owned(), (now, None));
    }

    /// A call ends: which files it may have written over, or others over its own.
    pub fn leave(&self, who: &str) -> Vec<Race> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.look(&mut state);
        state.clock += 1;
        let now = state.clock;
        if let Some((_, end)) = state.times.get_mut(who) {
            *end = Some(now);
        }
        let State { times, writes, .. } = &mut *state;
        writes.iter_mut().filter_map(|(path, writes)| race(path, writes, times)).collect()
    }

    /// Looks at the folder, and puts down to those at work what has changed.
    fn look(&self, state: &mut State) {
        if state.off {
            return;
        }
        let Some(now) = self.stamps() else {
            *state = State { off: true, ..State::default() };
            return;
        };
        if !std::mem::replace(&mut state.looked, true) {
            state.files = now;
            return;
        }
        let mut by: Vec<String> =
            state.times.iter().filter(|(_, (_, end))| end.is_none()).map(|(who, _)| who.clone()).collect();
        by.sort();
        let changed = now.iter().filter(|(path, stamp)| state.files.get(*path) != Some(stamp));
        let gone = state.files.keys().filter(|path| !now.contains_key(*path));
        let touched: Vec<PathBuf> = changed.map(|(path, _)| path).chain(gone).cloned().collect();
        for path in touched {
            let bytes = fs::read(self.root.join(&path)).ok();
            let hash = bytes.as_ref().map(|bytes| blake3::hash(bytes));
            let writes = state.writes.entry(path).or_default();
            if writes.last().is_some_and(|last| last.hash == hash) {
                continue;
            }
            let grew = writes.last().is_some_and(|last| last.begins(bytes.as_deref()));
            let size = bytes.as_ref().map_or(0, Vec::len);
            let kept =
                bytes.filter(|bytes| bytes.len() as u64 <= LONGEST).and_then(|bytes| self.keep(&bytes));
            writes.push(Write { by: by.clone(), size, hash, kept, grew, told: false });
        }
        state.files = now;
    }

    fn keep(&self, bytes: &[u8]) -> Option<PathBuf> {
        let file = self.keep.join(&blake3::hash(bytes).to_hex()[..16]);
        if !file.exists() {
            fs::create_dir_all(&self.keep).ok()?;
            fs::write(&file, bytes).ok()?;
        }
        Some(file)
    }

    /// Every file that git would know; `None` where there are too many.
    fn stamps(&self) -> Option<HashMap<PathBuf, Stamp>> {
        let mut files = HashMap::new();
        let walk = ignore::WalkBuilder::new(&self.root)
            .hidden(false)
            .parents(false)
            .require_git(false)
            .follow_links(false)
            .filter_entry(|entry| !matches!(entry.file_name().to_str(), Some(".git" | ".fanout")))
            .build();
        for entry in walk.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if !meta.is_file() || self.own.contains(&(meta.dev(), meta.ino())) {
                continue;
            }
            if files.len() >= MOST_FILES {
                return None;
            }
            let path = entry.path().strip_prefix(&self.root).unwrap_or(entry.path()).to_owned();
            let stamp = Stamp {
                size: meta.size(),
                changed: (meta.ctime(), meta.ctime_nsec()),
                modified: (meta.mtime(), meta.mtime_nsec()),
                place: meta.ino(),
            };
            files.insert(path, stamp);
        }
        Some(files)
    }
}

/// The files that this process's standard output and standard error go to: `fanout run … > out.txt`.
fn own_output() -> Vec<(u64, u64)> {
    let streams = ["/dev/stdout", "/dev/stderr"].into_iter().filter_map(|stream| fs::metadata(stream).ok());
    streams.map(|file| (file.dev(), file.ino())).collect()
}

/// The latest two writes of a file that were not both one call's, if they may have crossed.
fn race(path: &Path, writes: &mut [Write], times: &HashMap<String, (u64, Option<u64>)>) -> Option<Race> {
    let together = |a: &str, b: &str| match (times.get(a), times.get(b)) {
        (Some((a_begin, a_end)), Some((b_begin, b_end))) => {
            a_end.is_none_or(|end| end > *b_begin) && b_end.is_none_or(|end| end > *a_begin)
        }
        (Some(_) | None, _) => false,
    };
    let at = writes.len().checked_sub(2)?;
    let [earlier, later] = writes.get(at..)? else { return None };
    let crossed = earlier.by.iter().any(|a| later.by.iter().any(|b| a != b && together(a, b)));
    let outside = earlier.by.is_empty() != later.by.is_empty();
    if later.told || later.grew || !(crossed || outside) {
        return None;
    }
    let side = |write: &Write| RaceSide { by: write.by.clone(), kept: write.kept.clone() };
    let race = Race { path: path.display().to_string(), sides: [side(earlier), side(later)] };
    if let Some(later) = writes.last_mut() {
        later.told = true;
    }
    Some(race)
}

/// The folder to watch for a call that works in `cwd`.
pub fn root_of(cwd: &Path) -> PathBuf {
    let cwd = fs::canonicalize(cwd).unwrap_or_else(|_| cwd.to_owned());
    cwd.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&cwd).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder {
        dir: tempfile::TempDir,
        watch: Watch,
    }

    impl Folder {
        fn new() -> Folder {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(".gitignore"), "*.log\n").unwrap();
            let watch = Watch::new(dir.path(), dir.path().join(".git/kept"));
            fs::create_dir(dir.path().join(".git")).unwrap();
            Folder { dir, watch }
        }

        fn write(&self, text: &str) {
            fs::write(self.dir.path().join("f"), text).unwrap();
            fs::write(self.dir.path().join("f.log"), text).unwrap();
        }

        fn texts(races: &[Race]) -> Vec<(Vec<&str>, String)> {
            let sides = races.iter().flat_map(|race| &race.sides);
            sides
                .map(|side| {
                    let by = side.by.iter().map(String::as_str).collect();
                    (by, side.kept.as_ref().map(|file| fs::read_to_string(file).unwrap()).unwrap_or_default())
                })
                .collect()
        }
    }

    #[test]
    fn a_file_written_by_two_that_were_at_work_together_is_told_with_both_versions() {
        let folder = Folder::new();
        folder.watch.enter("a");
        folder.watch.enter("b");
        folder.write("one");
        assert_eq!(folder.watch.leave("a"), []);
        folder.write("two!");
        let races = folder.watch.leave("b");
        assert_eq!(
            Folder::texts(&races),
            [(vec!["a", "b"], "one".to_owned()), (vec!["b"], "two!".to_owned())]
        );
        assert_eq!(races[0].path, "f");
        folder.watch.enter("c");
        assert_eq!(folder.watch.leave("c"), [], "it is told once");
    }

    #[test]
    fn a_file_that_only_grew_has_lost_nothing() {
        let folder = Folder::new();
        folder.watch.enter("a");
        folder.watch.enter("b");
        folder.write("");
        folder.watch.enter("c");
        folder.write("one");
        assert_eq!(folder.watch.leave("a"), []);
        folder.write("one and more");
        assert_eq!(folder.watch.leave("b"), []);
        folder.write("one or more");
        assert_eq!(folder.watch.leave("c").len(), 1);
    }

    #[test]
    fn a_file_that_is_passed_over_is_nobodys() {
        let mut folder = Folder::new();
        folder.write("zero");
        let meta = fs::metadata(folder.dir.path().join("f")).unwrap();
        folder.watch.own.push((meta.dev(), meta.ino()));
        folder.watch.enter("a");
        folder.watch.enter("b");
        folder.write("one");
        assert_eq!(folder.watch.leave("a"), []);
        folder.write("two!");
        assert_eq!(folder.watch.leave("b"), []);
    }

    #[test]
    fn one_after_the_other_is_no_race_and_a_hand_from_outside_is_one() {
        let folder = Folder::new();
        folder.watch.enter("a");
        folder.write("one");
        assert_eq!(folder.watch.leave("a"), []);
        folder.watch.enter("b");
        folder.write("two!");
        assert_eq!(folder.watch.leave("b"), []);
        folder.write("three");
        folder.watch.enter("c");
        let races = folder.watch.leave("c");
        assert_eq!(Folder::texts(&races), [(vec!["b"], "two!".to_owned()), (vec![], "three".to_owned())]);
    }
}
