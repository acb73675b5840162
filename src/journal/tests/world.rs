//! A file system that remembers every operation, fails where it is told to, and can show
//! what would be left after a crash at any point.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::journal::{Disk, Options, Storage, StoredFile};

pub(super) type Inode = usize;

/// One operation that went well (of an append, the part that did).
#[derive(Debug, Clone)]
pub(super) enum Op {
    Mkdir(PathBuf),
    Create(PathBuf, Inode),
    Append(Inode, Vec<u8>),
    Truncate(Inode, u64),
    Sync(Inode),
    Reserve,
    Rename(PathBuf, PathBuf),
    SyncDir(PathBuf),
    Failed,
}

impl Op {
    /// The file whose content it is about.
    pub(super) fn content_of(&self) -> Option<Inode> {
        match self {
            Op::Append(inode, _) | Op::Truncate(inode, _) | Op::Sync(inode) => Some(*inode),
            Op::Mkdir(_) | Op::Create(..) | Op::Reserve | Op::Rename(..) | Op::SyncDir(_) | Op::Failed => {
                None
            }
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    /// The operation with this number fails with this error; of an append, half is done.
    Once(usize, io::ErrorKind),
    /// From this number on there is no free space; what was set aside can be used.
    FullFrom(usize),
}

/// Passes everything on to the disk, but for syncs, and keeps a log.
#[derive(Clone, Default)]
pub(super) struct World(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Default)]
struct Inner {
    log: Vec<Op>,
    trouble: Option<Trouble>,
    gate_closed: bool,
    syncs: usize,
    inodes: HashMap<PathBuf, Inode>,
    sizes: HashMap<Inode, u64>,
    reserved: HashMap<Inode, u64>,
}

impl World {
    pub(super) fn with(trouble: Trouble) -> World {
        let world = World::default();
        world.lock().trouble = Some(trouble);
        world
    }

    /// From now on there is no free space.
    pub(super) fn fill(&self) {
        self.lock().trouble = Some(Trouble::FullFrom(0));
    }

    pub(super) fn options(&self, spill_dir: &Path) -> Options {
        Options {
            storage: Arc::new(self.clone()),
            spill_dir: Some(spill_dir.to_owned()),
            ..Options::default()
        }
    }

    /// How many operations there were.
    pub(super) fn count(&self) -> usize {
        self.lock().log.len()
    }

    pub(super) fn log(&self) -> Vec<Op> {
        self.lock().log.clone()
    }

    /// How many files were synced.
    pub(super) fn syncs(&self) -> usize {
        self.lock().syncs
    }

    /// Lets every sync wait until the gate is opened.
    pub(super) fn close_gate(&self) {
        self.lock().gate_closed = true;
    }

    pub(super) fn open_gate(&self) {
        self.lock().gate_closed = false;
        self.0.1.notify_all();
    }

    /// Returns once so many operations have been logged.
    pub(super) fn wait_for(&self, count: usize) {
        let mut inner = self.lock();
        while inner.log.len() < count {
            inner = self.0.1.wait(inner).unwrap();
        }
    }

    /// The journal's file.
    pub(super) fn journal_inode(&self) -> Option<Inode> {
        self.log().iter().find_map(|op| {
            if let Op::Create(path, inode) = op {
                path.ends_with("journal.jsonl").then_some(*inode)
            } else {
                None
            }
        })
    }

    /// What of the journal is written, and what is durable.
    pub(super) fn journal(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut written, mut durable) = (Vec::new(), Vec::new());
        let journal = self.journal_inode();
        for op in self.log().into_iter().filter(|op| op.content_of() == journal) {
            if let Op::Append(_, bytes) = op {
                written.extend(bytes);
            } else if let Op::Sync(_) = op {
                durable.clone_from(&written);
            }
        }
        (written, durable)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.0.lock().unwrap()
    }

    /// Logs an operation after doing it, unless it is to fail.
    fn step<T>(
        &self,
        needs_space: bool,
        done: impl FnOnce() -> io::Result<T>,
        op: impl FnOnce(&mut Inner) -> Op,
    ) -> io::Result<T> {
        let mut inner = self.lock();
        let number = inner.log.len();
        let failure = match inner.trouble {
            Some(Trouble::Once(at, kind)) if at == number => Some(kind),
            Some(Trouble::FullFrom(at)) if number >= at && needs_space => Some(io::ErrorKind::StorageFull),
            _ => None,
        };
        if let Some(kind) = failure {
            inner.log.push(Op::Failed);
            return Err(kind.into());
        }
        let result = done()?;
        let op = op(&mut inner);
        inner.log.push(op);
        self.0.1.notify_all();
        Ok(result)
    }

    fn file(&self, inode: Inode, file: Box<dyn StoredFile>) -> Box<dyn StoredFile> {
        Box::new(WorldFile { world: self.clone(), inode, file })
    }
}

impl Storage for World {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.step(true, || Disk.create_dir(path), |_| Op::Mkdir(path.to_owned()))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let mut inode = 0;
        let file = self.step(
            true,
            || Disk.create(path),
            |inner| {
                inode = inner.log.len() + 1;
                inner.inodes.insert(path.to_owned(), inode);
                Op::Create(path.to_owned(), inode)
            },
        )?;
        Ok(self.file(inode, file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let mut inner = self.lock();
        let new = inner.log.len() + 1;
        let inode = *inner.inodes.entry(path.to_owned()).or_insert(new);
        drop(inner);
        Ok(self.file(inode, Disk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(
            false,
            || Disk.rename(from, to),
            |inner| {
                let inode = inner.inodes.remove(from).unwrap();
                inner.inodes.insert(to.to_owned(), inode);
                Op::Rename(from.to_owned(), to.to_owned())
            },
        )
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step(false, || Ok(()), |_| Op::SyncDir(path.to_owned()))
    }
}

struct WorldFile {
    world: World,
    inode: Inode,
    file: Box<dyn StoredFile>,
}

impl StoredFile for WorldFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let inode = self.inode;
        let (size, reserved) = {
            let inner = self.world.lock();
            let of = |sizes: &HashMap<Inode, u64>| sizes.get(&inode).copied().unwrap_or(0);
            (of(&inner.sizes) + bytes.len() as u64, of(&inner.reserved))
        };
        let file = &mut self.file;
        let result = self.world.step(
            size > reserved,
            || file.append(bytes),
            |inner| {
                inner.sizes.insert(inode, size);
                Op::Append(inode, bytes.to_owned())
            },
        );
        if result.is_err() {
            let half = &bytes[..bytes.len() / 2];
            self.file.append(half).unwrap();
            *self.world.lock().log.last_mut().unwrap() = Op::Append(inode, half.to_owned());
        }
        result
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut inner = self.world.lock();
        inner.syncs += 1;
        while inner.gate_closed {
            inner = self.world.0.1.wait(inner).unwrap();
        }
        drop(inner);
        self.world.step(false, || Ok(()), |_| Op::Sync(self.inode))
    }

    fn reserve(&mut self, end: u64) -> io::Result<bool> {
        let inode = self.inode;
        let had = self.world.lock().reserved.get(&inode).copied().unwrap_or(0);
        self.world.step(
            end > had,
            || Ok(true),
            |inner| {
                inner.reserved.insert(inode, end);
                Op::Reserve
            },
        )
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let file = &mut self.file;
        self.world.step(false, || file.truncate(len), |_| Op::Truncate(self.inode, len))
    }
}

/// How much of what was not synced is still there after the crash.
pub(super) trait Fate {
    /// Of so many unsynced changes of names in one folder, how many of the first happened.
    fn names(&mut self, pending: usize) -> usize;
    /// Of a page of so many unsynced bytes, how many of the first are there.
    fn bytes(&mut self, written: usize) -> usize;
}

/// The process dies, the machine lives: everything is there, the last write maybe in part.
pub(super) struct Killed;

impl Fate for Killed {
    fn names(&mut self, pending: usize) -> usize {
        pending
    }
    fn bytes(&mut self, written: usize) -> usize {
        written
    }
}

/// The power goes, and nothing is there that was not synced.
pub(super) struct PowerCut;

impl Fate for PowerCut {
    fn names(&mut self, _: usize) -> usize {
        0
    }
    fn bytes(&mut self, _: usize) -> usize {
        0
    }
}

/// The power goes, and of what was not synced any part is there, in any order.
pub(super) struct Reordered(pub(super) u64);

impl Reordered {
    fn draw(&mut self, below: usize) -> usize {
        // xorshift64*: small, seeded, good enough to choose.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % below
    }
}

impl Fate for Reordered {
    fn names(&mut self, pending: usize) -> usize {
        self.draw(pending + 1)
    }
    fn bytes(&mut self, written: usize) -> usize {
        match self.draw(3) {
            0 => 0,
            1 => written,
            _ => self.draw(written + 1),
        }
    }
}

/// What a disk writes or does not write; real ones are larger, but so are real journals.
const PAGE: usize = 256;

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    /// Changes since the last sync.
    pending: Vec<Change>,
}

enum Change {
    Append(Vec<u8>),
    Truncate(u64),
}

/// Puts the state of `from` after the first operations of `log` and a crash under `to`.
pub(super) fn crash(log: &[Op], fate: &mut dyn Fate, from: &Path, to: &Path) {
    let mut files: BTreeMap<Inode, File> = BTreeMap::new();
    let mut names: BTreeMap<PathBuf, Option<Inode>> = BTreeMap::new();
    let mut pending: BTreeMap<PathBuf, Vec<&Op>> = BTreeMap::new();
    let parent = |path: &Path| path.parent().unwrap().to_owned();
    for op in log {
        match op {
            Op::Mkdir(path) => pending.entry(parent(path)).or_default().push(op),
            Op::Create(path, inode) => {
                files.insert(*inode, File::default());
                pending.entry(parent(path)).or_default().push(op);
            }
            Op::Rename(path, _) => pending.entry(parent(path)).or_default().push(op),
            Op::Append(inode, bytes) => {
                files.get_mut(inode).unwrap().pending.push(Change::Append(bytes.clone()));
            }
            Op::Truncate(inode, len) => files.get_mut(inode).unwrap().pending.push(Change::Truncate(*len)),
            Op::Sync(inode) => files.get_mut(inode).unwrap().settle(&mut Killed),
            Op::SyncDir(dir) => {
                pending.remove(dir).unwrap_or_default().into_iter().for_each(|op| rename(&mut names, op));
            }
            Op::Reserve | Op::Failed => {}
        }
    }
    for ops in pending.into_values() {
        let happened = fate.names(ops.len());
        ops.into_iter().take(happened).for_each(|op| rename(&mut names, op));
    }
    files.values_mut().for_each(|file| file.settle(fate));
    let rebase = |path: &Path| to.join(path.strip_prefix(from).unwrap());
    for (path, _) in names.iter().filter(|(_, inode)| inode.is_none()) {
        // A folder whose own parent is not there is not reachable.
        let _ = fs::create_dir(rebase(path));
    }
    for (path, inode) in &names {
        if let Some(inode) = inode {
            let _ = fs::write(rebase(path), &files[inode].durable);
        }
    }
}

fn rename(names: &mut BTreeMap<PathBuf, Option<Inode>>, op: &Op) {
    match op {
        Op::Mkdir(path) => drop(names.insert(path.clone(), None)),
        Op::Create(path, inode) => drop(names.insert(path.clone(), Some(*inode))),
        Op::Rename(from, to) => {
            let inode = names.remove(from).unwrap();
            names.insert(to.clone(), inode);
        }
        Op::Append(..) | Op::Truncate(..) | Op::Sync(_) | Op::Reserve | Op::SyncDir(_) | Op::Failed => {
            unreachable!("no change of names")
        }
    }
}

impl File {
    fn settle(&mut self, fate: &mut dyn Fate) {
        // What lies before a part that made it to the disk, and did not itself, is zeros.
        let mut end = self.durable.len();
        for change in self.pending.drain(..) {
            match change {
                Change::Append(bytes) => {
                    for page in bytes.chunks(PAGE) {
                        let kept = fate.bytes(page.len());
                        if kept > 0 {
                            self.durable.resize(end, 0);
                            self.durable.extend_from_slice(&page[..kept]);
                        }
                        end += page.len();
                    }
                }
                Change::Truncate(len) => {
                    self.durable.truncate(usize::try_from(len).unwrap());
                    end = usize::try_from(len).unwrap();
                }
            }
        }
    }
}
