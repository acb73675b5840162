//! The files of a workspace as a person would list them: what git ignores is left out.
//!
//! Invariants: links are not followed; whatever the walk says is there, is looked up again beneath
//! the workspace before anybody hears of it, so that a folder that is swapped for a link
//! meanwhile shows nothing of what it leads to; the order is that of the paths.

use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};
use rustix::fs::FileType;

use super::beneath::Found;
use super::blocking::Stop;
use super::{Ground, Said};

/// More entries than this are not walked.
const MAX_ENTRIES: usize = 1_000_000;

/// What a walk left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Folders and files that this user may not read.
    pub(super) unreadable: usize,
    /// Whether it was given up before its end.
    pub(super) cut: bool,
}

/// Shows every regular file beneath `start` to `see`, in order, until it says false.
///
/// It gets the file's path relative to the workspace, and a way to open it.
pub(super) fn files(
    ground: &Ground,
    start: &Path,
    stop: &Stop,
    mut see: impl FnMut(&Path, &Found) -> bool,
) -> Result<LeftOut, Said> {
    let found = ground.files().find(start)?;
    let Some((kind, _)) = found.look()? else {
        return Err(Said::error(format!("there is no `{}`", found.given())));
    };
    let mut left_out = LeftOut::default();
    if kind == FileType::RegularFile {
        see(&found.inner, &found);
        return Ok(left_out);
    }
    for (count, entry) in builder(ground, &found.inner).build().enumerate() {
        if stop.is_set() || count >= MAX_ENTRIES {
            left_out.cut = true;
            break;
        }
        let Ok(entry) = entry else {
            left_out.unreadable += 1;
            continue;
        };
        let Some(path) = inside(ground, &entry) else { continue };
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let Ok(found) = ground.files().find(&path) else { continue };
        // A link on the way would make it another path.
        let same = found.inner == path;
        if same && matches!(found.look(), Ok(Some((FileType::RegularFile, _)))) && !see(&path, &found) {
            left_out.cut = true;
            break;
        }
    }
    Ok(left_out)
}

/// The names of one folder that git does not ignore.
pub(super) fn names(ground: &Ground, folder: &Found) -> Vec<std::ffi::OsString> {
    let here = ground.root().join(&folder.inner);
    let depth = here.components().count() - ground.root().components().count() + 1;
    let walk = builder(ground, &folder.inner).max_depth(Some(depth)).build();
    let entries = walk.filter_map(Result::ok).filter(|entry| entry.path().parent() == Some(&here));
    entries.map(|entry| entry.file_name().to_owned()).collect()
}

fn inside(ground: &Ground, entry: &DirEntry) -> Option<PathBuf> {
    Some(entry.path().strip_prefix(ground.root()).ok()?.to_owned())
}

fn builder(ground: &Ground, start: &Path) -> WalkBuilder {
    let start = ground.root().join(start);
    let repository = ground.root().ancestors().any(|folder| folder.join(".git").exists());
    // Outside a repository the ignore files of a workspace hold all the same, but those of the
    // folders around it are somebody else's: the walk begins at its root and goes straight to `start`.
    let mut builder = WalkBuilder::new(if repository { &start } else { ground.root() });
    builder
        .standard_filters(false)
        .ignore(true)
        .git_ignore(true)
        .git_exclude(true)
        .parents(repository)
        .require_git(repository)
        .follow_links(false)
        .sort_by_file_path(Path::cmp)
        .filter_entry(move |entry| {
            let path = entry.path();
            let on_the_way = path.starts_with(&start) || start.starts_with(path);
            on_the_way && !entry.file_name().eq_ignore_ascii_case(".git")
        });
    builder
}
