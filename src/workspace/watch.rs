//! Calls that work in one folder and write the same file: seen afterwards, with both versions kept.
//!
//! The folder is looked at when a call begins and when one ends. What changed between two
//! looks was changed by one of those that were at work then, or by somebody outside. A file that
//! only grew has lost nothing, and is told of by nobody: it was begun and then filled.
//!
//! Invariants: only files whose size, times or place on the disk changed are read, and of none more
//! than a bounded part; the folder is never written to; a file that fanout's own output goes to is
//! nobody's work; calls that begin or end while a look is taken share the next one. What cannot be
//! seen this way: which of several calls wrote a file that changed once, what was overwritten
//! between two looks, and what git ignores.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{Read as _, Take};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

use super::listing::Listing;

/// Of a longer file only the hash is kept.
const LONGEST: u64 = 1 << 20;
/// A longer file is not read: whatever changed it without making it longer has written it.
const MOST_READ: u64 = 64 << 20;

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
    /// Who waits for the next look.
    waiting: Mutex<Vec<(Turn, oneshot::Sender<Vec<Race>>)>>,
    /// One looks at a time.
    looking: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    off: bool,
    /// What the last look saw.
    seen: Option<Listing>,
    /// Counts what begins and ends.
    clock: u64,
    at_work: BTreeSet<String>,
    /// When each call was at work; the end is missing while it is.
    times: HashMap<String, (u64, Option<u64>)>,
    writes: BTreeMap<PathBuf, Vec<Write>>,
    /// Files written since races were last told.
    fresh: BTreeSet<PathBuf>,
    #[cfg(test)]
    looks: u32,
}

/// A call begins or ends.
#[derive(Debug)]
enum Turn {
    Begins(String),
    Ends(String),
}

#[derive(Debug, Clone)]
struct Write {
    by: Vec<String>,
    content: Content,
    kept: Option<PathBuf>,
    /// It begins with all that stood there before.
    grew: bool,
    told: bool,
}

/// What stood in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Gone,
    Read { size: u64, hash: blake3::Hash },
    TooLong { size: u64 },
}

impl Watch {
    /// Watches a folder; see [`root_of`].
    pub fn new(root: PathBuf, keep: PathBuf) -> Watch {
        let (state, waiting, looking) = (Mutex::default(), Mutex::default(), Semaphore::new(1));
        Watch { root, keep, own: own_output(), state, waiting, looking }
    }

    /// The folder that is watched.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A call begins.
    pub async fn enter(self: &Arc<Self>, who: String) {
        self.take(Turn::Begins(who)).await;
    }

    /// A call ends: which files it may have written over, or others over its own.
    pub async fn leave(self: &Arc<Self>, who: String) -> Vec<Race> {
        self.take(Turn::Ends(who)).await
    }

    async fn take(self: &Arc<Self>, turn: Turn) -> Vec<Race> {
        let turn = match self.at_once(turn) {
            Ok(races) => return races,
            Err(turn) => turn,
        };
        let (reply, mut answer) = oneshot::channel();
        lock(&self.waiting).push((turn, reply));
        // Whoever comes to it looks for all who wait by then, and most of those find it done.
        let one = self.looking.acquire().await;
        if let Ok(races) = answer.try_recv() {
            return races;
        }
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        if !waiting.is_empty() {
            let watch = Arc::clone(self);
            // It answers each of them; one that is gone by then is no reason to stop.
            drop(spawn_blocking(move || watch.look_for(waiting)));
        }
        let races = answer.await.unwrap_or_default();
        drop(one);
        races
    }

    /// Gives the turn back where the folder is to be looked through.
    fn at_once(&self, turn: Turn) -> Result<Vec<Race>, Turn> {
        let Ok(mut state) = self.state.try_lock() else { return Err(turn) };
        if !state.off && !state.seen.as_ref().is_some_and(Listing::is_soon_seen_unchanged) {
            return Err(turn);
        }
        Ok(state.turn(turn))
    }

    /// Takes one look for all of these.
    fn look_for(&self, waiting: Vec<(Turn, oneshot::Sender<Vec<Race>>)>) {
        let mut state = lock(&self.state);
        self.look(&mut state);
        // Nobody who begins now was at work together with one who has ended.
        let (ending, beginning): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(turn, _)| matches!(turn, Turn::Ends(_)));
        for (turn, reply) in ending.into_iter().chain(beginning) {
            let _ = reply.send(state.turn(turn));
        }
    }

    /// Looks at the folder, and puts down to those at work what has changed.
    fn look(&self, state: &mut State) {
        if state.off {
            return;
        }
        #[cfg(test)]
        (state.looks += 1);
        let again = state.seen.as_ref().and_then(Listing::again);
        let Some(now) = again.or_else(|| Listing::of(&self.root, &self.own)) else {
            *state = State { off: true, ..State::default() };
            return;
        };
        let Some(before) = state.seen.take() else {
            state.seen = Some(now);
            return;
        };
        let changed = now.files.iter().filter(|(path, stamp)| before.files.get(*path) != Some(stamp));
        let gone = before.files.keys().filter(|path| !now.files.contains_key(*path));
        for path in changed.map(|(path, _)| path).chain(gone) {
            self.written(path, state);
        }
        state.seen = Some(now);
    }

    /// A file has changed, or at least its times have.
    fn written(&self, path: &Path, state: &mut State) {
        let writes = state.writes.entry(path.to_owned()).or_default();
        let last = writes.last().map(|last| last.content);
        let (content, grew, bytes) = read(&self.root.join(path), last);
        if last == Some(content) && !matches!(content, Content::TooLong { .. }) {
            return;
        }
        let kept = bytes.and_then(|bytes| self.keep(&bytes));
        let by = state.at_work.iter().cloned().collect();
        writes.push(Write { by, content, kept, grew, told: false });
        state.fresh.insert(path.to_owned());
    }

    fn keep(&self, bytes: &[u8]) -> Option<PathBuf> {
        let file = self.keep.join(&blake3::hash(bytes).to_hex()[..16]);
        if !file.exists() {
            fs::create_dir_all(&self.keep).ok()?;
            fs::write(&file, bytes).ok()?;
        }
        Some(file)
    }
}

impl State {
    /// Somebody begins or ends, after a look: at the end, which races there were.
    fn turn(&mut self, turn: Turn) -> Vec<Race> {
        self.clock += 1;
        let now = self.clock;
        match turn {
            Turn::Begins(who) => {
                self.at_work.insert(who.clone());
                self.times.insert(who, (now, None));
                Vec::new()
            }
            Turn::Ends(who) => {
                self.at_work.remove(&who);
                if let Some((_, end)) = self.times.get_mut(&who) {
                    *end = Some(now);
                }
                let State { times, writes, fresh, .. } = self;
                let fresh = std::mem::take(fresh);
                fresh.iter().filter_map(|path| race(path, writes.get_mut(path)?, times)).collect()
            }
        }
    }
}

/// What stands in a file now, whether it begins with all of what stood there `before`, and the bytes
/// where they are few enough to be kept.
fn read(path: &Path, before: Option<Content>) -> (Content, bool, Option<Vec<u8>>) {
    let Ok(file) = File::open(path) else { return (Content::Gone, false, None) };
    let size = file.metadata().map_or(0, |meta| meta.len());
    if size > MOST_READ {
        let grew = match before {
            Some(Content::Read { size: before, .. } | Content::TooLong { size: before }) => before < size,
            Some(Content::Gone) | None => false,
        };
        return (Content::TooLong { size }, grew, None);
    }
    // No more than was there when it was asked: somebody may write to it without an end.
    let mut reading =
        Reading { rest: file.take(size), hasher: blake3::Hasher::new(), read: 0, bytes: Some(Vec::new()) };
    let grew = match before {
        Some(Content::Read { size, hash }) => {
            reading.go_on(size);
            reading.read == size && reading.hasher.finalize() == hash
        }
        Some(Content::Gone | Content::TooLong { .. }) | None => false,
    };
    reading.go_on(u64::MAX);
    let content = Content::Read { size: reading.read, hash: reading.hasher.finalize() };
    (content, grew, reading.bytes)
}

/// A file that is being read.
struct Reading {
    rest: Take<File>,
    hasher: blake3::Hasher,
    read: u64,
    /// `None` once they are too many to be kept.
    bytes: Option<Vec<u8>>,
}

impl Reading {
    /// Reads so many bytes more, or what there is.
    fn go_on(&mut self, most: u64) {
        let mut part = (&mut self.rest).take(most);
        let mut chunk = [0; 16 << 10];
        while let Ok(count @ 1..) = part.read(&mut chunk) {
            let chunk = chunk.get(..count).unwrap_or_default();
            self.hasher.update(chunk);
            self.read += chunk.len() as u64;
            match &mut self.bytes {
                Some(bytes) if self.read <= LONGEST => bytes.extend_from_slice(chunk),
                _ => self.bytes = None,
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        watch: Arc<Watch>,
    }

    impl Folder {
        fn new() -> Folder {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(".gitignore"), "*.log\n").unwrap();
            let watch = Arc::new(Watch::new(dir.path().to_owned(), dir.path().join(".git/kept")));
            fs::create_dir(dir.path().join(".git")).unwrap();
            Folder { dir, watch }
        }

        fn write(&self, text: &str) {
            fs::write(self.dir.path().join("f"), text).unwrap();
            fs::write(self.dir.path().join("f.log"), text).unwrap();
        }

        async fn enter(&self, who: &str) {
            self.watch.enter(who.to_owned()).await;
        }

        async fn leave(&self, who: &str) -> Vec<Race> {
            self.watch.leave(who.to_owned()).await
        }

        /// As if the folder had been left alone for a while.
        fn settle(&self) {
            self.watch.state.lock().unwrap().seen.as_mut().unwrap().settle();
        }

        fn looks(&self) -> u32 {
            self.watch.state.lock().unwrap().looks
        }
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

    #[tokio::test]
    async fn a_file_written_by_two_that_were_at_work_together_is_told_with_both_versions() {
        let folder = Folder::new();
        folder.enter("a").await;
        folder.enter("b").await;
        folder.write("one");
        assert_eq!(folder.leave("a").await, []);
        folder.write("two!");
        let races = folder.leave("b").await;
        assert_eq!(texts(&races), [(vec!["a", "b"], "one".to_owned()), (vec!["b"], "two!".to_owned())]);
        assert_eq!(races[0].path, "f");
        folder.enter("c").await;
        assert_eq!(folder.leave("c").await, [], "it is told once");
    }

    #[tokio::test]
    async fn a_file_that_only_grew_has_lost_nothing() {
        let folder = Folder::new();
        folder.enter("a").await;
        folder.enter("b").await;
        folder.write("");
        folder.enter("c").await;
        folder.write("one");
        assert_eq!(folder.leave("a").await, []);
        folder.write("one and more");
        assert_eq!(folder.leave("b").await, []);
        folder.write("one or more");
        assert_eq!(folder.leave("c").await.len(), 1);
    }

    #[tokio::test]
    async fn a_file_too_long_to_be_read_is_written_over_by_whoever_changes_it_without_making_it_longer() {
        let folder = Folder::new();
        let file = File::create(folder.dir.path().join("f")).unwrap();
        folder.enter("a").await;
        folder.enter("b").await;
        for size in [MOST_READ + 1, MOST_READ + 2] {
            file.set_len(size).unwrap();
            folder.enter("c").await;
        }
        assert_eq!(folder.leave("a").await, []);
        file.set_len(MOST_READ + 1).unwrap();
        assert_eq!(
            texts(&folder.leave("b").await),
            [(vec!["a", "b", "c"], String::new()), (vec!["b", "c"], String::new())]
        );
        // Of one that can be read again, no more is known than that.
        file.set_len(MOST_READ).unwrap();
        assert_eq!(folder.leave("c").await.len(), 1);
    }

    #[tokio::test]
    async fn a_file_that_is_passed_over_is_nobodys() {
        let mut folder = Folder::new();
        folder.write("zero");
        let meta = fs::metadata(folder.dir.path().join("f")).unwrap();
        Arc::get_mut(&mut folder.watch).unwrap().own.push((meta.dev(), meta.ino()));
        folder.enter("a").await;
        folder.enter("b").await;
        folder.write("one");
        assert_eq!(folder.leave("a").await, []);
        folder.write("two!");
        assert_eq!(folder.leave("b").await, []);
    }

    #[tokio::test]
    async fn one_after_the_other_is_no_race_and_a_hand_from_outside_is_one() {
        let folder = Folder::new();
        folder.enter("a").await;
        folder.write("one");
        assert_eq!(folder.leave("a").await, []);
        folder.enter("b").await;
        folder.write("two!");
        assert_eq!(folder.leave("b").await, []);
        folder.write("three");
        folder.enter("c").await;
        let races = folder.leave("c").await;
        assert_eq!(texts(&races), [(vec!["b"], "two!".to_owned()), (vec![], "three".to_owned())]);
    }

    #[tokio::test]
    async fn calls_that_begin_or_end_at_the_same_time_share_a_look() {
        let folder = Folder::new();
        let names: Vec<String> = (0..50).map(|at| format!("c{at}")).collect();
        futures::future::join_all(names.iter().map(|name| folder.enter(name))).await;
        // One is under way when the others come, and the next one is for all of them, or for those that
        // have come by then.
        assert!(folder.looks() <= 5, "{}", folder.looks());
        folder.write("one");
        let ended = futures::future::join_all(names.iter().map(|name| folder.leave(name))).await;
        assert_eq!(ended.concat(), []);
        assert!(folder.looks() <= 10, "{}", folder.looks());
        let state = folder.watch.state.lock().unwrap();
        assert!(state.at_work.is_empty(), "{state:?}");
        assert_eq!(state.writes.values().flatten().map(|write| write.by.len()).collect::<Vec<_>>(), [50]);
    }

    #[tokio::test]
    async fn who_begins_while_another_ends_was_not_at_work_with_it() {
        let folder = Folder::new();
        folder.enter("a").await;
        folder.write("one");
        let (races, ()) = futures::join!(folder.leave("a"), folder.enter("b"));
        assert_eq!(races, []);
        folder.write("two!");
        assert_eq!(folder.leave("b").await, []);
    }

    #[tokio::test]
    async fn a_folder_in_which_nothing_has_changed_is_not_looked_through() {
        let folder = Folder::new();
        folder.enter("a").await;
        folder.enter("b").await;
        folder.settle();
        let looks = folder.looks();
        folder.enter("c").await;
        assert_eq!((folder.leave("c").await, folder.looks()), (Vec::new(), looks));
        folder.write("one");
        assert_eq!((folder.leave("a").await, folder.looks()), (Vec::new(), looks + 1));
        folder.write("two!");
        assert_eq!(folder.leave("b").await.len(), 1);
    }
}
