//! Brings what a call changed into the person's own files, or onto a branch.
//!
//! Invariants: three-way, against what the call started from; all or nothing: what would
//! overwrite work that is written down nowhere, or lead out of the repository, is
//! refused before the first file is written; the person's index is not touched.

use std::collections::BTreeSet;
use std::path::{Component, Path};
use std::sync::Arc;

use super::git::{Git, GitError};
use super::repository::RepositoryError;
use super::store::{Store, unique};
use super::{Workspaces, patch};
use crate::outcome::{Changes, FileChange};

/// Where a change goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Into the person's files, not staged.
    Files,
    /// Onto a new branch of this name, from the commit that is checked out.
    Branch(String),
}

/// What was brought over, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The folder of the repository.
    pub root: std::path::PathBuf,
    /// The files that are written; none where all of it is there already.
    pub files: Vec<FileChange>,
}

/// Why a change is not brought over. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Both sides changed the same lines since the call began.
    #[error("it conflicts with what is there now")]
    Conflicts {
        /// The files.
        files: Vec<String>,
    },
    /// The person has changes there that are not committed.
    #[error("these files have changes of yours that are not committed")]
    Dirty {
        /// The files.
        files: Vec<String>,
    },
    /// It makes links that lead out of the repository.
    #[error("it makes links that lead out of the repository")]
    Links {
        /// Each with where it leads.
        files: Vec<String>,
    },
    /// There is such a branch already, or it cannot have that name.
    #[error("there cannot be a new branch `{name}`: {message}")]
    Branch {
        /// The name.
        name: String,
        /// Why.
        message: String,
    },
    /// What the call started from is not known any more.
    #[error("what the call started from cannot be found any more: {0}")]
    Base(GitError),
    /// The repository cannot be used.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl From<GitError> for TakeError {
    fn from(error: GitError) -> TakeError {
        TakeError::Repository(error.into())
    }
}

impl Workspaces {
    /// Brings a change over; only looks where `dry` is true.
    ///
    /// # Errors
    /// [`TakeError`]; nothing was written then.
    pub async fn take_over(
        &self,
        changes: &Changes,
        target: &Target,
        dry: bool,
        message: &str,
    ) -> Result<Taken, TakeError> {
        let store = self.of(Path::new(&changes.repository)).await?;
        let links = links_out(&changes.patch);
        if !links.is_empty() {
            return Err(TakeError::Links { files: links });
        }
        let theirs = store.tree_with(&changes.base, &changes.patch).await.map_err(TakeError::Base)?;
        match target {
            Target::Files => {
                let index = store.dir.join("index").join(format!("take-{}", unique()));
                let taken = into_files(&store, &changes.base, &theirs, dry, &index).await;
                let _ = std::fs::remove_file(&index);
                taken
            }
            Target::Branch(name) => onto_branch(&store, &changes.base, &theirs, dry, (name, message)).await,
        }
    }
}

async fn into_files(
    store: &Arc<Store>,
    base: &str,
    theirs: &str,
    dry: bool,
    index: &Path,
) -> Result<Taken, TakeError> {
    let ours = store.persons_files_in(index).await?;
    let merged = merge(store, base, &ours, theirs).await?;
    let files = delta(store, &ours, &merged).await?;
    let head = Git::at(store.root(), &store.owner).line(["rev-parse", "--verify", "HEAD^{tree}"]).await?;
    // What was carried into the workspace is part of what it was merged with.
    let uncommitted = names(store, &ours, &head).await?;
    let own = names(store, &ours, base).await?;
    let dirty: Vec<String> = (files.iter().map(|file| &file.path))
        .filter(|path| uncommitted.contains(*path) && own.contains(*path))
        .cloned()
        .collect();
    if !dirty.is_empty() {
        return Err(TakeError::Dirty { files: dirty });
    }
    if !dry && !files.is_empty() {
        // Git itself looks once more that nothing has changed meanwhile and nothing is in the way.
        let git = store.git().tree(store.root()).index(index);
        if let Err(error) = git.run(["read-tree", "-m", "-u", &ours, &merged]).await {
            let GitError::Failed { message, .. } = &error else { return Err(error.into()) };
            let named = |line: &str| line.split('\'').nth(1).map(str::to_owned);
            let files: Vec<String> = message.lines().filter_map(named).collect();
            return Err(if files.is_empty() { error.into() } else { TakeError::Dirty { files } });
        }
    }
    Ok(Taken { root: store.root().to_owned(), files })
}

async fn onto_branch(
    store: &Arc<Store>,
    base: &str,
    theirs: &str,
    dry: bool,
    (name, message): (&str, &str),
) -> Result<Taken, TakeError> {
    let git = Git::at(store.root(), &store.owner);
    let refused = |message: &str| TakeError::Branch { name: name.to_owned(), message: message.to_owned() };
    let reference = format!("refs/heads/{name}");
    if name.starts_with('-') || !git.ask(["check-ref-format", &reference]).await?.0 {
        return Err(refused("no branch can have this name"));
    }
    if git.ask(["show-ref", "--verify", "--quiet", &reference]).await?.0 {
        return Err(refused("there is one already"));
    }
    let head = git.line(["rev-parse", "--verify", "HEAD^{commit}"]).await?;
    let ours = git.line(["rev-parse", "--verify", &format!("{head}^{{tree}}")]).await?;
    let merged = merge(store, base, &ours, theirs).await?;
    let files = delta(store, &ours, &merged).await?;
    if !dry {
        let (person, address) = &store.repository.identity;
        let commit = commit(store, &merged, &[&head], message, (person, address)).await?;
        let wanted = format!("{commit}\n^{head}\n").into_bytes();
        let args = ["pack-objects", "--quiet", "--revs", "--stdout"];
        let pack = store.git().feed(args, wanted).await?;
        git.feed(["unpack-objects", "-q"], pack).await?;
        let none = "0".repeat(commit.len());
        git.run(["update-ref", &reference, &commit, &none]).await?;
    }
    Ok(Taken { root: store.root().to_owned(), files })
}

/// The tree that has both changes, with `base` as what they have in common.
async fn merge(store: &Store, base: &str, ours: &str, theirs: &str) -> Result<String, TakeError> {
    let nobody = ("fanout", "fanout@localhost");
    let root = commit(store, base, &[], "base", nobody).await?;
    let ours = commit(store, ours, &[&root], "ours", nobody).await?;
    let theirs = commit(store, theirs, &[&root], "theirs", nobody).await?;
    let args = ["merge-tree", "--write-tree", "--no-messages", "--name-only", "-z", &ours, &theirs];
    let (clean, told) = store.git().ask(args).await?;
    let told = String::from_utf8_lossy(&told);
    let mut parts = told.split('\0');
    let tree = parts.next().unwrap_or_default().trim().to_owned();
    if clean {
        return Ok(tree);
    }
    let files: BTreeSet<String> = parts.filter(|file| !file.is_empty()).map(str::to_owned).collect();
    Err(TakeError::Conflicts { files: files.into_iter().collect() })
}

async fn commit(
    store: &Store,
    tree: &str,
    parents: &[&str],
    message: &str,
    (name, address): (&str, &str),
) -> Result<String, GitError> {
    let mut git = store.git();
    for who in ["AUTHOR", "COMMITTER"] {
        git = git.with(&format!("GIT_{who}_NAME"), name).with(&format!("GIT_{who}_EMAIL"), address);
    }
    let parents = parents.iter().flat_map(|parent| ["-p", parent]);
    let args: Vec<&str> = ["commit-tree", tree].into_iter().chain(parents).collect();
    Ok(String::from_utf8_lossy(&git.feed(args, format!("{message}\n").into_bytes()).await?).trim().to_owned())
}

async fn delta(store: &Store, from: &str, to: &str) -> Result<Vec<FileChange>, GitError> {
    let patch = store.patch(from, to).await?;
    Ok(patch::parse(&patch).iter().map(patch::FilePatch::change).collect())
}

async fn names(store: &Store, from: &str, to: &str) -> Result<BTreeSet<String>, GitError> {
    let args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--ignore-submodules=all", from, to];
    let told = store.git().run(args).await?;
    let told = String::from_utf8_lossy(&told);
    Ok(told.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// The links of a patch that lead out of the repository, each with where to.
fn links_out(patch: &str) -> Vec<String> {
    let files = patch::parse(patch);
    let links = files.iter().filter_map(|file| Some((file, file.link()?)));
    let out = links.filter(|(file, target)| leads_out(&file.path, target));
    out.map(|(file, target)| format!("{} -> {target}", file.path)).collect()
}

/// True for a target that, seen from the link, is not below the root.
fn leads_out(link: &str, target: &str) -> bool {
    let mut depth = Path::new(link).components().count().saturating_sub(1);
    for part in Path::new(target).components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return true,
        }
    }
    target.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_lead_anywhere_in_the_repository_and_nowhere_else() {
        for (link, target) in [("a", "b"), ("d/a", "../b"), ("d/e/a", "../../x/../y"), ("a", "./d/../b")] {
            assert!(!leads_out(link, target), "{link} -> {target}");
        }
        for (link, target) in
            [("a", "/etc/passwd"), ("a", "../b"), ("d/a", "../../b"), ("d/a", "x/../../../b")]
        {
            assert!(leads_out(link, target), "{link} -> {target}");
        }
    }
}
