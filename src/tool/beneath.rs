//! Files beneath a folder, reached only through its open handle.
//!
//! Invariants: a path is walked one name at a time, each name opened relative to the handle of
//! the folder before it and never through a link, so that nobody who moves, renames or links
//! anything meanwhile can lead the walk out; links are read and walked by the same rules;
//! nothing inside a `.git`, `.fanout` or `.claude` is written.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{self, Access, AtFlags, FileType, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;

/// As many links as Linux follows.
const MAX_LINKS: u32 = 40;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder that nothing leads out of.
#[derive(Debug)]
pub(super) struct Beneath {
    /// Where it is: absolute paths beneath it are taken as relative ones.
    path: PathBuf,
    folder: OwnedFd,
}

/// Folders in which nothing is written, wherever they are: what stands there is run or believed by others.
const KEPT: &[&str] = &[".git", ".fanout", ".claude"];

/// Why a path cannot be used. Each names the path as it was given.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("`{0}` is outside the workspace: name a path inside it, relative to its root")]
    Outside(String),
    #[error("`{0}` is inside `{1}`, which no tool writes to")]
    Kept(String, &'static str),
    #[error("there is no `{0}`")]
    Missing(String),
    #[error("`{0}` is a folder")]
    Folder(String),
    #[error("`{0}` is no folder")]
    NoFolder(String),
    #[error("`{0}` is no regular file")]
    Special(String),
    #[error("`{0}` is read-only")]
    ReadOnly(String),
    #[error("`{0}` was changed by somebody else meanwhile: read it again")]
    Changed(String),
    #[error("`{0}` leads through more than 40 links")]
    Links(String),
    #[error("`{0}`: {1}")]
    Io(String, io::Error),
}

/// Where a path leads: a folder that is open, and a name in it.
#[derive(Debug)]
pub(super) struct Found {
    /// As it was given, for messages.
    given: String,
    /// The folder.
    folder: OwnedFd,
    /// The name; `None` where the path is the folder itself.
    name: Option<OsString>,
    /// The path without links, relative to the top: the same for the same file.
    pub(super) inner: PathBuf,
}

/// What a file was when it was looked at, to see whether it has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    inode: u64,
    size: i64,
    changed: (i64, i128),
    mode: RawMode,
}

impl Seen {
    fn of(stat: &Stat) -> Seen {
        Seen {
            inode: stat.st_ino,
            size: stat.st_size,
            changed: (stat.st_mtime, i128::from(stat.st_mtime_nsec)),
            mode: stat.st_mode,
        }
    }
}

impl Beneath {
    /// Opens a folder by its canonical path.
    pub(super) fn open(path: &Path) -> io::Result<Beneath> {
        Ok(Beneath { path: path.to_owned(), folder: fs::open(path, FOLDER, Mode::empty())? })
    }

    /// Where a path leads; its last name need not be there.
    pub(super) fn find(&self, path: &Path) -> Result<Found, Refused> {
        self.walk(path, Purpose::Look)
    }

    /// The same for a file that is to be written; `make` makes the folders on the way.
    pub(super) fn find_to_write(&self, path: &Path, make: bool) -> Result<Found, Refused> {
        self.walk(path, Purpose::Write { make })
    }

    fn walk(&self, path: &Path, purpose: Purpose) -> Result<Found, Refused> {
        let given = path.display().to_string();
        let io = |errno: Errno| Refused::Io(given.clone(), errno.into());
        let mut ahead: VecDeque<OsString> = VecDeque::new();
        self.queue(path, &mut ahead).ok_or_else(|| Refused::Outside(given.clone()))?;
        // The folders from the top to here, the top itself not.
        let mut way: Vec<(OwnedFd, OsString)> = Vec::new();
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                way.pop().ok_or_else(|| Refused::Outside(given.clone()))?;
                continue;
            }
            let is_kept = |kept: &&&str| name.eq_ignore_ascii_case(kept);
            if let Some(kept) = KEPT.iter().find(is_kept).filter(|_| purpose.writes()) {
                return Err(Refused::Kept(given, kept));
            }
            let here = way.last().map_or(self.folder.as_fd(), |(folder, _)| folder.as_fd());
            let link = match fs::readlinkat(here, &name, Vec::new()) {
                Ok(target) => Some(PathBuf::from(OsString::from_vec(target.into_bytes()))),
                Err(_) => None,
            };
            if let Some(target) = link {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Refused::Links(given));
                }
                if target.is_absolute() {
                    way.clear();
                }
                self.queue(&target, &mut ahead).ok_or_else(|| Refused::Outside(given.clone()))?;
                continue;
            }
            if ahead.is_empty() {
                return self.found(given, &way, Some(name)).map_err(io_of(path));
            }
            let folder = match fs::openat(here, &name, FOLDER, Mode::empty()) {
                Err(Errno::NOENT) if purpose.makes() => {
                    match fs::mkdirat(here, &name, Mode::from_raw_mode(0o777)) {
                        Ok(()) | Err(Errno::EXIST) => fs::openat(here, &name, FOLDER, Mode::empty()),
                        Err(errno) => Err(errno),
                    }
                }
                opened => opened,
            };
            match folder {
                Ok(folder) => way.push((folder, name)),
                Err(Errno::NOENT) => return Err(Refused::Missing(given)),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    let so_far: PathBuf = way.iter().map(|(_, name)| name).chain([&name]).collect();
                    return Err(Refused::NoFolder(so_far.display().to_string()));
                }
                Err(errno) => return Err(io(errno)),
            }
        }
        self.found(given, &way, None).map_err(io_of(path))
    }

    fn found(&self, given: String, way: &[(OwnedFd, OsString)], name: Option<OsString>) -> io::Result<Found> {
        let folder = way.last().map_or(&self.folder, |(folder, _)| folder).try_clone()?;
        let inner = way.iter().map(|(_, name)| name).chain(name.as_ref()).collect();
        Ok(Found { given, folder, name, inner })
    }

    /// Puts the names of a path in front of those that are still ahead. `None` for one that
    /// begins elsewhere.
    fn queue(&self, path: &Path, ahead: &mut VecDeque<OsString>) -> Option<()> {
        let inside = if path.is_absolute() { path.strip_prefix(&self.path).ok()? } else { path };
        for part in inside.components().rev() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => ahead.push_front("..".into()),
                Component::Normal(name) => ahead.push_front(name.to_owned()),
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        Some(())
    }
}

fn io_of(path: &Path) -> impl Fn(io::Error) -> Refused {
    let given = path.display().to_string();
    move |error| Refused::Io(given.clone(), error)
}

#[derive(Debug, Clone, Copy)]
enum Purpose {
    Look,
    Write { make: bool },
}

impl Purpose {
    fn writes(self) -> bool {
        match self {
            Purpose::Look => false,
            Purpose::Write { .. } => true,
        }
    }

    fn makes(self) -> bool {
        match self {
            Purpose::Look => false,
            Purpose::Write { make } => make,
        }
    }
}

impl Found {
    /// The path as it was given, or `.`.
    pub(super) fn given(&self) -> &str {
        if self.given.is_empty() { "." } else { &self.given }
    }

    fn fault(&self, errno: Errno) -> Refused {
        let given = self.given().to_owned();
        match errno {
            Errno::NOENT => Refused::Missing(given),
            Errno::ISDIR => Refused::Folder(given),
            Errno::NOTDIR => Refused::NoFolder(given),
            // It was no link when it was looked at.
            Errno::LOOP => Refused::Changed(given),
            other => Refused::Io(given, other.into()),
        }
    }

    /// What it is; `None` where there is nothing.
    pub(super) fn look(&self) -> Result<Option<(FileType, Seen)>, Refused> {
        let stat = match &self.name {
            Some(name) => fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW),
            None => fs::fstat(&self.folder),
        };
        match stat {
            Ok(stat) => Ok(Some((FileType::from_raw_mode(stat.st_mode), Seen::of(&stat)))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.fault(errno)),
        }
    }

    /// Opens a regular file for reading. Never waits, whatever it is.
    pub(super) fn read(&self) -> Result<(File, Seen), Refused> {
        let Some(name) = &self.name else { return Err(Refused::Folder(self.given().to_owned())) };
        let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match fs::openat(&self.folder, name, how, Mode::empty()) {
            Ok(file) => file,
            // A socket, or a device without its driver.
            Err(Errno::NXIO) => return Err(Refused::Special(self.given().to_owned())),
            Err(errno) => return Err(self.fault(errno)),
        };
        let stat = fs::fstat(&file).map_err(|errno| self.fault(errno))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((File::from(file), Seen::of(&stat))),
            FileType::Directory => Err(Refused::Folder(self.given().to_owned())),
            FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Err(Refused::Special(self.given().to_owned())),
        }
    }

    /// Opens a folder.
    pub(super) fn folder(&self) -> Result<OwnedFd, Refused> {
        let opened = match &self.name {
            Some(name) => fs::openat(&self.folder, name, FOLDER, Mode::empty()),
            None => fs::openat(&self.folder, OsStr::new("."), FOLDER, Mode::empty()),
        };
        opened.map_err(|errno| self.fault(errno))
    }

    /// Replaces the file, or makes it: who reads it meanwhile sees the old text or the new one.
    ///
    /// Its mode is kept. `before` is what was there when its new text was made, `None` for
    /// nothing: another file than that is not replaced. `stop` is asked before anything is seen.
    pub(super) fn write(
        &self,
        bytes: &[u8],
        before: Option<Seen>,
        stop: impl Fn() -> bool,
    ) -> Result<(), Refused> {
        let Some(name) = &self.name else { return Err(Refused::Folder(self.given().to_owned())) };
        if before.is_some() && fs::accessat(&self.folder, name, Access::WRITE_OK, AtFlags::empty()).is_err() {
            return Err(Refused::ReadOnly(self.given().to_owned()));
        }
        let temporary = Temporary::make(self.folder.as_fd()).map_err(|errno| self.fault(errno))?;
        let io = |error: io::Error| Refused::Io(self.given().to_owned(), error);
        let mut file = &temporary.file;
        file.write_all(bytes).map_err(io)?;
        if let Some(before) = before {
            let mode = Mode::from_raw_mode(before.mode & 0o7777);
            fs::fchmod(&temporary.file, mode).map_err(|errno| self.fault(errno))?;
        }
        temporary.file.sync_all().map_err(io)?;
        if self.look()?.map(|(_, now)| now) != before || stop() {
            return Err(Refused::Changed(self.given().to_owned()));
        }
        temporary.keep_as(name).map_err(|errno| self.fault(errno))
    }
}

/// A file that is gone when it is dropped, unless it was given its name.
struct Temporary<'f> {
    folder: BorrowedFd<'f>,
    name: String,
    file: File,
    kept: bool,
}

impl<'f> Temporary<'f> {
    fn make(folder: BorrowedFd<'f>) -> Result<Temporary<'f>, Errno> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let how = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let name = format!(".fanout-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            match fs::openat(folder, &name, how, Mode::from_raw_mode(0o666)) {
                Ok(file) => return Ok(Temporary { folder, name, file: File::from(file), kept: false }),
                // One that a killed process of this number left.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn keep_as(mut self, name: &OsStr) -> Result<(), Errno> {
        fs::renameat(self.folder, &self.name, self.folder, name)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}
