//! Puts back what a call must not judge itself by.
//!
//! Invariant: in the tree that comes out, everything that the globs match is as it was
//! before, and everything else is as the call left it.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::git::GitError;
use super::store::{Store, unique};

/// The tree with the protected files as they were in `before`, and which of them the call had changed.
///
/// # Errors
/// [`GitError`] as git gives it.
pub(super) async fn put_back(
    store: &Store,
    before: &str,
    after: &str,
    globs: &[String],
) -> Result<(String, Vec<String>), GitError> {
    let set = set(globs);
    let args = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", before, after];
    let raw = store.git().run(args).await?;
    let mut fields = raw.split(|byte| *byte == 0);
    let mut entries = Vec::new();
    let mut protected = Vec::new();
    while let (Some(meta), Some(path)) = (fields.next(), fields.next()) {
        let meta = String::from_utf8_lossy(meta);
        let words: Vec<&str> = meta.trim_start_matches(':').split(' ').collect();
        let [mode, _, id, ..] = words.as_slice() else { break };
        let name = String::from_utf8_lossy(path);
        if !set.is_match(&*name) {
            continue;
        }
        // Mode 0 takes the entry away: it was not there before.
        entries.extend_from_slice(format!("{mode} {id}\t").as_bytes());
        entries.extend_from_slice(path);
        entries.push(0);
        protected.push(name.into_owned());
    }
    if protected.is_empty() {
        return Ok((after.to_owned(), protected));
    }
    let index = store.dir.join("index").join(format!("protect-{}", unique()));
    let git = store.git().index(&index);
    let made = async {
        git.run(["read-tree", after]).await?;
        // A file or link that now stands where a folder was makes way for what was in it.
        git.feed(["update-index", "-z", "--replace", "--index-info"], entries).await?;
        git.line(["write-tree"]).await
    };
    let made = made.await;
    let _ = std::fs::remove_file(&index);
    Ok((made?, protected))
}

fn set(globs: &[String]) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        // The plan was checked, so each of them is one.
        if let Ok(glob) = GlobBuilder::new(glob).literal_separator(true).build() {
            builder.add(glob);
        }
    }
    builder.build().unwrap_or_else(|_| GlobSet::empty())
}
