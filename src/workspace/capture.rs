//! What a workspace holds, taken into git's objects without running anything of the workspace's own.
//!
//! Invariant: nothing is followed out of the folder: links are taken as links, nested
//! repositories as plain files, and pipes, sockets and devices not at all.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::git::{Git, GitError};

/// A larger file is left out, and the workspace kept.
pub(super) const LARGEST: u64 = 256 << 20;

/// Brings the index up to the files of `root`; returns what was too large to be taken.
///
/// # Errors
/// [`GitError`] as git gives it.
pub(super) async fn take_in(git: &Git, root: &Path) -> Result<Vec<PathBuf>, GitError> {
    let changed =
        git.run(["diff-files", "-z", "--name-only", "--no-renames", "--ignore-submodules=all"]).await?;
    let untracked = git.run(["ls-files", "-z", "--others", "--exclude-standard"]).await?;
    let mut gone = Vec::new();
    let mut there = Vec::new();
    let mut left_out = Vec::new();
    let mut open: Vec<PathBuf> = names(&changed).chain(names(&untracked)).collect();
    while let Some(path) = open.pop() {
        let whole = root.join(&path);
        match fs::symlink_metadata(&whole) {
            Ok(meta) if meta.is_file() && meta.len() > LARGEST => left_out.push(path),
            Ok(meta) if meta.is_file() || meta.is_symlink() => push(&mut there, &path),
            // A repository inside: its files count, its history is its own.
            Ok(meta) if meta.is_dir() => {
                push(&mut gone, &path);
                let entries = fs::read_dir(&whole).into_iter().flatten().flatten();
                let inside = entries.map(|entry| entry.file_name()).filter(|name| name != ".git");
                open.extend(inside.map(|name| path.join(name)));
            }
            Ok(_) | Err(_) => push(&mut gone, &path),
        }
    }
    if !gone.is_empty() {
        git.feed(["update-index", "--force-remove", "-z", "--stdin"], gone).await?;
    }
    if !there.is_empty() {
        git.feed(["update-index", "--add", "--replace", "-z", "--stdin"], there).await?;
    }
    Ok(left_out)
}

fn names(list: &[u8]) -> impl Iterator<Item = PathBuf> {
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| PathBuf::from(OsStr::from_bytes(name.strip_suffix(b"/").unwrap_or(name))))
}

fn push(list: &mut Vec<u8>, path: &Path) {
    list.extend_from_slice(path.as_os_str().as_bytes());
    list.push(0);
}
