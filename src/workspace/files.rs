//! Folders as a whole: copied, written for good, removed with whatever stands in the way.
//!
//! Invariant: no link is followed.

use std::path::Path;

use super::repository::RepositoryError;

/// True for a real folder, not a link to one.
pub(super) fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// Removes a folder with everything in it, also where its rights were taken away.
///
/// # Errors
/// [`RepositoryError::Io`].
pub(super) async fn remove(folder: &Path) -> Result<(), RepositoryError> {
    let path = folder.to_owned();
    let removed = tokio::task::spawn_blocking(move || {
        match std::fs::symlink_metadata(&path) {
            Err(_) => return Ok(()),
            Ok(meta) if !meta.is_dir() => return std::fs::remove_file(&path),
            Ok(_) => {}
        }
        std::fs::remove_dir_all(&path).or_else(|_| {
            open_up(&path);
            std::fs::remove_dir_all(&path)
        })
    });
    let removed = removed.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    removed.map_err(RepositoryError::io(folder))
}

/// Gives the owner the right to remove what is in a folder.
fn open_up(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let _ = std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700));
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        open.extend(entries.map(|entry| entry.path()).filter(|path| is_folder(path)));
    }
}

/// Copies a file, a link as a link, or a folder with everything in it.
pub(super) fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut open = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = open.pop() {
        let meta = std::fs::symlink_metadata(&from)?;
        if meta.is_dir() {
            std::fs::create_dir_all(&to)?;
            for entry in std::fs::read_dir(&from)? {
                let entry = entry?;
                open.push((entry.path(), to.join(entry.file_name())));
            }
            continue;
        }
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if meta.is_symlink() {
            let _ = std::fs::remove_file(&to);
            std::os::unix::fs::symlink(std::fs::read_link(&from)?, &to)?;
        } else {
            std::fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Writes a file so that it is there after a power cut, too.
pub(super) fn write_durable(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut open = std::fs::File::create(file)?;
    open.write_all(bytes)?;
    open.sync_all()?;
    if let Some(folder) = file.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}
