//! Where calls work when they are not to trip over each other: workspaces, made, looked at, taken away.
//!
//! ```text
//! the person's repository ─▶ Store (one a run: a git directory of ours, which borrows objects)
//!                              ├─ Place: worktree or clone ─▶ Changes ─▶ the journal
//!                              └─ a pristine Place with only those changes ─▶ check
//! Changes + the person's files ─▶ three-way ─▶ Taking over
//! ```
//!
//! Invariants: the person's index, files and branches are not touched, but for the branch of
//! a worktree and by taking over; what an agent could have planted (hooks, configuration,
//! filters, links, nested repositories) is neither run nor followed; work that is not written
//! down elsewhere is never deleted.

mod capture;
mod files;
mod git;
mod listing;
pub mod patch;
mod place;
mod protect;
mod repository;
mod store;
mod takeover;
pub mod watch;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

pub use git::GitError;
pub use place::{Place, Rescued, name_of};
pub use repository::{Repository, RepositoryError};
pub use store::{Start, Store};
pub use takeover::{TakeError, Taken, Target};

use crate::plan::workspace::Base;
use crate::process::Reaper;
use git::Owner;

/// The folder of a run in which its workspaces are.
const FOLDER: &str = "workspace";

/// All workspaces of one run.
#[derive(Debug, Default)]
pub struct Workspaces {
    dir: PathBuf,
    owner: Owner,
    open: Mutex<HashMap<PathBuf, Arc<Store>>>,
}

impl Workspaces {
    /// The workspaces of the run in `dir`.
    pub fn new(dir: &Path, run: &str, reaper: Option<Reaper>) -> Workspaces {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let dir = std::fs::canonicalize(&dir).unwrap_or(dir);
        Workspaces { dir, owner: Owner { run: run.to_owned(), reaper }, open: Mutex::default() }
    }

    /// The store for the repository that `folder` is in.
    ///
    /// # Errors
    /// [`RepositoryError`] where no workspace can be made there.
    pub async fn of(&self, folder: &Path) -> Result<Arc<Store>, RepositoryError> {
        // Held while it is opened: who comes at the same time finds it open.
        let mut open = self.open.lock().await;
        if let Some(store) = open.get(folder) {
            return Ok(Arc::clone(store));
        }
        let repository = Repository::open(folder, &self.owner).await?;
        if let Some(store) = open.get(&repository.root).map(Arc::clone) {
            open.insert(folder.to_owned(), Arc::clone(&store));
            return Ok(store);
        }
        let name = blake3::hash(repository.root.as_os_str().as_encoded_bytes()).to_hex();
        let dir = self.dir.join(FOLDER).join(&name[..8]);
        let root = repository.root.clone();
        let store = Arc::new(Store::open(repository, dir, &self.owner.run, self.owner.clone())?);
        open.insert(root, Arc::clone(&store));
        open.insert(folder.to_owned(), Arc::clone(&store));
        Ok(store)
    }

    /// The repositories that the run has made workspaces from, this process or an earlier one.
    async fn stores(&self) -> Vec<Result<Arc<Store>, RepositoryError>> {
        let entries = std::fs::read_dir(self.dir.join(FOLDER)).into_iter().flatten().flatten();
        let roots = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join(store::ROOT)).ok());
        let mut stores = Vec::new();
        for root in roots {
            stores.push(self.of(Path::new(root.trim_end_matches('\n'))).await);
        }
        stores
    }

    /// Takes away every workspace that is left. What one holds that nobody has written down is saved
    /// first, and told.
    ///
    /// # Errors
    /// What could not be taken away, each with the reason; the rest is gone.
    pub async fn clear(&self) -> (Vec<(String, Rescued)>, Vec<RepositoryError>) {
        let (mut saved, mut kept) = (Vec::new(), Vec::new());
        for store in self.stores().await {
            let store = match store {
                Ok(store) => store,
                Err(error) => {
                    kept.push(error);
                    continue;
                }
            };
            for name in store.names() {
                match store.rescue(&name).await {
                    Ok(Some(rescued)) => saved.push((name, rescued)),
                    Ok(None) => {}
                    Err(error) => kept.push(error),
                }
            }
        }
        (saved, kept)
    }
}

/// Work that is written down nowhere but in a workspace.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unsaved {
    /// A workspace of a killed process holds changes.
    #[error("{workspace} holds changes that are written down nowhere else: {}", files.join(", "))]
    Changes {
        /// Its folder.
        workspace: PathBuf,
        /// The files.
        files: Vec<String>,
    },
    /// It cannot be seen whether one does.
    #[error("it cannot be seen what its workspaces hold: {0}")]
    Unknown(RepositoryError),
}

impl Workspaces {
    /// Takes away everything that the run has made in the person's repository, branches included,
    /// before the run itself is removed.
    ///
    /// # Errors
    /// [`Unsaved`] where something would be lost; never under `force`.
    pub async fn leave(&self, force: bool) -> Result<(), Unsaved> {
        for store in self.stores().await {
            let store = match store {
                Ok(store) => store,
                Err(error) if !force && self.any_left() => return Err(Unsaved::Unknown(error)),
                Err(_) => continue,
            };
            for name in store.names() {
                match store.unsaved(&name).await {
                    Ok(files) if files.is_empty() || force => {}
                    Ok(files) => return Err(Unsaved::Changes { workspace: store.folder(&name), files }),
                    Err(_) if force => {}
                    Err(error) => return Err(Unsaved::Unknown(error)),
                }
            }
            for name in store.names() {
                store
                    .discard(&name)
                    .await
                    .or_else(|error| if force { Ok(()) } else { Err(Unsaved::Unknown(error)) })?;
            }
            store.drop_branches().await;
        }
        Ok(())
    }

    fn any_left(&self) -> bool {
        let folders = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten();
        folders(self.dir.join(FOLDER)).any(|store| folders(store.path().join("at")).next().is_some())
    }
}

/// Whether workspaces can be made on this base from the repository that `folder` is in.
///
/// # Errors
/// [`RepositoryError`] with what stands in the way.
pub async fn survey(folder: &Path, base: &Base) -> Result<(), RepositoryError> {
    let owner = Owner::default();
    let repository = Repository::open(folder, &owner).await?;
    if let Base::Revision(name) = base {
        let git = git::Git::at(&repository.root, &owner);
        let asked = format!("{name}^{{commit}}");
        if !git.ask(["rev-parse", "--verify", "--quiet", "--end-of-options", &asked]).await?.0 {
            return Err(RepositoryError::NoSuchCommit { name: name.clone(), root: repository.root });
        }
    }
    Ok(())
}
