//! Begins a run's journal, or goes on with one: folders, lock, repair, the first record.
//!
//! Invariant: when either returns, the run's directory holds a journal whose records are
//! all durable and whole, and no other process can write to it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::event::{Event, Record, RunStarted};
use crate::id::RunId;

use super::lock::{self, Lock, Refused};
use super::memo::Memo;
use super::past::{self, Past};
use super::spill::{self, Spill};
use super::storage::{Fault, Nowhere, Storage, StoredFile, doing};
use super::writer::{JournalFile, Parts, Writer};
use super::{Journal, JournalError, Listener, Options, Salvage, blob, line, outputs, runs, writer};

impl Journal {
    /// Begins a run under `root`: makes its directory `.fanout/runs/<id>`, takes the lock,
    /// stores the snapshots, and records what `make_head` gives for the new id.
    ///
    /// The head is durable when this returns. Blocks for a few syncs: call it before there
    /// is other work.
    ///
    /// # Errors
    /// [`JournalError::Storage`] if any of it cannot be written, [`JournalError::Snapshot`]
    /// for a snapshot without a plain name. Nothing must be started then.
    pub fn create(
        root: &Path,
        make_head: impl FnOnce(&RunId) -> RunStarted,
        listeners: Vec<Listener>,
        options: Options,
    ) -> Result<Journal, JournalError> {
        if let Some(bad) = options.snapshots.iter().find(|snapshot| !is_plain_name(&snapshot.name)) {
            return Err(JournalError::Snapshot { name: bad.name.clone() });
        }
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        let folder = runs::folder(root);
        let (run, dir) = make_folders(&*options.storage, root, &folder, options.clock.wall())
            .map_err(|fault| failed(&folder, &RunId::new(""), &options, fault))?;
        begin(root, &run, &dir, make_head, listeners, &options).inspect_err(|_| {
            // Nothing has begun and nobody else knows of it.
            let _ = fs::remove_dir_all(&dir);
        })
    }

    /// A journal that keeps nothing: its listeners hear what happens, and that is all. It goes by the
    /// name and the directory of the run that is played.
    ///
    /// # Errors
    /// [`JournalError::Storage`] if its thread cannot be started.
    pub fn unkept(dir: &Path, head: RunStarted, listeners: Vec<Listener>) -> Result<Journal, JournalError> {
        let options = Options { storage: Arc::new(Nowhere), ..Options::default() };
        let run = head.run.clone();
        let fail = |fault| failed(dir, &run, &options, fault);
        let file = JournalFile::new(dir, Box::new(Nowhere), 0).map_err(fail)?;
        let mut writer = writer_of(dir, &run, file, None, listeners, 0, &options);
        writer.write_now(vec![Event::RunStarted(head)])?;
        Journal::start(run.clone(), dir.to_owned(), writer, Memo::default(), &options).map_err(fail)
    }

    /// Goes on with the run in `dir`: takes the lock, repairs what a kill left behind, takes
    /// in spilled results, records that it was resumed, and returns what there is already.
    ///
    /// A torn tail is cut off ([`Past::notice`]). With [`Salvage::Yes`] in the options,
    /// damaged records are taken out ([`Past::damage`]) and the damaged file is kept beside
    /// the journal. The listeners hear what is recorded from here on; the past is theirs to
    /// read. Blocks for a few syncs.
    ///
    /// # Errors
    /// [`JournalError::Held`] while another process is at it, the errors of
    /// [`read`](super::read), and [`JournalError::Storage`].
    pub fn resume(
        dir: &Path,
        listeners: Vec<Listener>,
        options: Options,
    ) -> Result<(Journal, Past), JournalError> {
        let lock = hold(dir, &options)?;
        resume_held(dir, lock, listeners, &options)
    }

    /// The same with a run that was [read](super::read_with) before, which is not read again
    /// unless something was written since.
    ///
    /// # Errors
    /// As [`resume`](Journal::resume).
    pub fn resume_read(
        past: &Past,
        listeners: Vec<Listener>,
        options: Options,
    ) -> Result<Journal, JournalError> {
        let lock = hold(&past.dir, &options)?;
        if !past.damage.is_empty() || !past.is_current() {
            return Ok(resume_held(&past.dir, lock, listeners, &options)?.0);
        }
        let run = name(&past.dir);
        let file = repair(&past.dir, past, &options);
        let file = file.map_err(|fault| failed(&past.dir, &run, &options, fault))?;
        Ok(go_on(past, file, lock, listeners, &options)?.0)
    }
}

/// The name of the run in `dir`.
fn name(dir: &Path) -> RunId {
    RunId::new(&dir.file_name().unwrap_or_default().to_string_lossy())
}

/// Takes the lock of a run that is there.
fn hold(dir: &Path, options: &Options) -> Result<Lock, JournalError> {
    if !dir.is_dir() {
        return Err(JournalError::Missing { dir: dir.to_owned() });
    }
    take_lock(dir, &name(dir), options)
}

/// Reads, repairs and goes on.
fn resume_held(
    dir: &Path,
    lock: Lock,
    listeners: Vec<Listener>,
    options: &Options,
) -> Result<(Journal, Past), JournalError> {
    let past = past::read_held(dir, options.salvage, false)?;
    let file = repair(dir, &past, options).map_err(|fault| failed(dir, &name(dir), options, fault))?;
    let past = if past.damage.is_empty() || !options.storage.keeps() {
        past
    } else {
        past::read_held(dir, Salvage::No, false)?.after(past.notice, past.damage)
    };
    let (journal, more) = go_on(&past, file, lock, listeners, options)?;
    Ok((journal, past.and(more)))
}

/// Goes on behind what there is in a file that is whole; returns what it took in, too.
fn go_on(
    past: &Past,
    file: JournalFile,
    lock: Lock,
    listeners: Vec<Listener>,
    options: &Options,
) -> Result<(Journal, Vec<Arc<Record>>), JournalError> {
    let (dir, run) = (&past.dir, name(&past.dir));
    let seq = past.records.last().map_or(0, |last| last.seq);
    let mut writer = writer_of(dir, &run, file, lock, listeners, seq, options);
    writer.catch_up(&past.records);
    let resumed = Event::RunResumed { fanout: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id() };
    writer.write_now(vec![resumed])?;
    let more = take_in_spilled(&mut writer, &run, options)?;
    let memo = past.memo_with(&more);
    let journal = Journal::start(run.clone(), dir.clone(), writer, memo, options)
        .map_err(|fault| failed(dir, &run, options, fault))?;
    Ok((journal, more))
}

fn begin(
    root: &Path,
    run: &RunId,
    dir: &Path,
    make_head: impl FnOnce(&RunId) -> RunStarted,
    listeners: Vec<Listener>,
    options: &Options,
) -> Result<Journal, JournalError> {
    let storage = &*options.storage;
    let fail = |fault| failed(dir, run, options, fault);
    let lock = take_lock(dir, run, options)?;
    for folder in [blob::FOLDER, outputs::FOLDER].map(|name| dir.join(name)) {
        storage.create_dir(&folder).map_err(doing("make the folder", &folder)).map_err(fail)?;
    }
    for snapshot in &options.snapshots {
        store(storage, &dir.join(&snapshot.name), &snapshot.bytes).map_err(fail)?;
    }
    let path = dir.join(writer::FILE);
    let file = storage.create(&path).map_err(doing("create", &path)).map_err(fail)?;
    let file = JournalFile::new(dir, file, 0).map_err(fail)?;
    // From the run's directory up, so that its name is as durable as what is in it.
    for dir in dir.ancestors().take_while(|above| *above != root).chain([root]) {
        storage.sync_dir(dir).map_err(doing("sync", dir)).map_err(fail)?;
    }
    let head = make_head(run);
    let mut writer = writer_of(dir, run, file, lock, listeners, 0, options);
    writer.write_now(vec![Event::RunStarted(head)])?;
    Journal::start(run.clone(), dir.to_owned(), writer, Memo::default(), options).map_err(fail)
}

fn writer_of(
    dir: &Path,
    run: &RunId,
    file: JournalFile,
    lock: impl Into<Option<Lock>>,
    listeners: Vec<Listener>,
    seq: u64,
    options: &Options,
) -> Writer {
    Writer::new(Parts {
        dir: dir.to_owned(),
        storage: Arc::clone(&options.storage),
        clock: Arc::clone(&options.clock),
        file,
        listeners,
        spill: Spill::new(options.spill_dir(), run.clone()),
        lock: lock.into(),
        seq,
    })
}

fn failed(dir: &Path, run: &RunId, options: &Options, fault: Fault) -> JournalError {
    let spill = Spill::new(options.spill_dir(), run.clone());
    JournalError::Storage(Box::new(spill.failure(dir, 0, &Arc::new(fault.into()))))
}

/// A name for a file in the run's directory that none of the journal's own has.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let plain = matches!(parts.next(), Some(Component::Normal(part)) if part == name);
    plain && !name.starts_with("journal") && !["lock", blob::FOLDER, outputs::FOLDER].contains(&name)
}

/// Makes `.fanout`, `.fanout/runs` and a new directory for a run that begins now.
fn make_folders(
    storage: &dyn Storage,
    root: &Path,
    folder: &Path,
    now: Timestamp,
) -> Result<(RunId, PathBuf), Fault> {
    let make = |path: &Path| match storage.create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result.map_err(doing("make the folder", path)),
    };
    let hidden = folder.parent().unwrap_or(root);
    make(hidden)?;
    let ignore = hidden.join(".gitignore");
    if !ignore.exists() {
        let written = storage.create(&ignore).and_then(|mut file| file.append(b"*\n"));
        written.map_err(doing("write", &ignore))?;
    }
    make(folder)?;
    let local = now.to_zoned(time_zone());
    let mut tries: u16 = 0;
    loop {
        // The fraction of the second, so that runs sort by their start within it too.
        let fraction = (local.subsec_nanosecond() as u64 * 0x1_0000 / 1_000_000_000) as u16;
        let digits = fraction.saturating_add(tries);
        let run = RunId::new(&format!("{}-{digits:04x}", local.strftime("%Y%m%d-%H%M%S")));
        let dir = folder.join(run.as_str());
        match storage.create_dir(&dir) {
            Ok(()) => return Ok((run, dir)),
            // Two runs that began within the same fifteen microseconds.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 64 => tries += 1,
            Err(error) => return Err(doing("make the folder", &dir)(error)),
        }
    }
}

/// The system's time zone. Where the environment names none it is read from the one file that holds it:
/// finding it by its name would look through the whole folder of zones first.
fn time_zone() -> TimeZone {
    let own = std::env::var_os("TZ").is_none().then(|| fs::read("/etc/localtime").ok()).flatten();
    own.and_then(|file| TimeZone::tzif("Local", &file).ok()).unwrap_or_else(TimeZone::system)
}

fn take_lock(dir: &Path, run: &RunId, options: &Options) -> Result<Lock, JournalError> {
    lock::take(dir, options.clock.wall()).map_err(|refused| match refused {
        Refused::Held(by) => JournalError::Held { run: run.clone(), by },
        Refused::Io(error) => failed(dir, run, options, doing("lock the run in", dir)(error)),
    })
}

/// Stores a new file; its name is durable once its directory is synced.
fn store(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> Result<Box<dyn StoredFile>, Fault> {
    let mut file = storage.create(path).map_err(doing("create", path))?;
    file.append(bytes).map_err(doing("write", path))?;
    file.sync().map_err(doing("sync", path))?;
    Ok(file)
}

/// Makes the journal's file whole and durable and opens it at its end.
fn repair(dir: &Path, past: &Past, options: &Options) -> Result<JournalFile, Fault> {
    let storage = &*options.storage;
    let path = dir.join(writer::FILE);
    if storage.keeps() {
        blob::clear_temporary(dir).map_err(doing("clean up", dir))?;
    }
    if !past.damage.is_empty() {
        rewrite(storage, dir, &path, past)?;
    }
    let mut file = storage.open(&path).map_err(doing("open", &path))?;
    let mut len = fs::metadata(&path).map_err(doing("look at", &path))?.len();
    if let Some(torn) = past.notice.as_ref().filter(|_| past.damage.is_empty()) {
        len = torn.at;
        file.truncate(len).map_err(doing("cut the torn end of", &path))?;
    }
    // What was read may have been in memory only; from here on it counts as recorded.
    file.sync().map_err(doing("sync", &path))?;
    for dir in [dir.join(blob::FOLDER), dir.to_owned()] {
        storage.sync_dir(&dir).map_err(doing("sync", &dir))?;
    }
    JournalFile::new(dir, file, len)
}

/// Puts a journal of the records that could be read in the place of the damaged one, which
/// is kept under another name.
fn rewrite(storage: &dyn Storage, dir: &Path, path: &Path, past: &Past) -> Result<(), Fault> {
    let old = fs::read(path).map_err(doing("read", path))?;
    let free = |name: &dyn Fn(u32) -> String| (1..).map(|n| dir.join(name(n))).find(|path| !path.exists());
    let kept = free(&|n| format!("journal-damaged-{n}.jsonl")).unwrap_or_else(|| dir.join("journal-damaged"));
    let new = free(&|n| format!("journal-new-{n}.jsonl")).unwrap_or_else(|| dir.join("journal-new"));
    store(storage, &kept, &old)?;
    let sound = line::pieces(&old).filter(|piece| piece.ended && line::is_sealed(piece.bytes));
    let lines: HashMap<_, _> =
        sound.filter_map(|piece| Some((line::number(piece.bytes)?, piece.bytes))).collect();
    let mut page = Vec::new();
    for (record, seq) in past.records.iter().zip(1..) {
        let line = lines.get(&record.seq).and_then(|line| line::renumber(line, seq));
        page.extend(line.unwrap_or_default());
    }
    store(storage, &new, &page)?;
    storage.rename(&new, path).map_err(doing("replace", path))?;
    storage.sync_dir(dir).map_err(doing("sync", dir))
}

/// Records the results that an earlier process could only save elsewhere.
fn take_in_spilled(
    writer: &mut Writer,
    run: &RunId,
    options: &Options,
) -> Result<Vec<Arc<Record>>, JournalError> {
    // Where the folder is gone, there is nothing in it.
    let (events, files) = spill::find(&options.spill_dir(), run).unwrap_or_default();
    let records = writer.write_now(events)?;
    for file in files.iter().filter(|_| options.storage.keeps()) {
        // Left there, it would only be taken in once more, which changes nothing.
        let _ = fs::remove_file(file);
    }
    Ok(records)
}
