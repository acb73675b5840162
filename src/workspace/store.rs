//! What a run keeps for its workspaces: a git directory of its own beside the person's repository.
//!
//! It borrows the person's objects and has no configuration but what is written here, so
//! whatever reads an agent's files through it runs nothing that the agent could have planted.
//!
//! Invariants: the person's index, branches, stash and files are not touched; what a
//! workspace starts from is decided once a run and kept, so that a resumed run starts from
//! the same.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use super::git::{Git, Owner};
use super::repository::{Repository, RepositoryError};
use crate::plan::workspace::Base;

/// What a workspace starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The commit that is checked out.
    pub commit: String,
    /// The files; more than the commit's where uncommitted work was carried in.
    pub tree: String,
}

/// The workspaces of one run in one repository.
#[derive(Debug)]
pub struct Store {
    pub(super) repository: Repository,
    /// The run's own name.
    pub(super) run: String,
    /// `<run>/workspace/<n>`.
    pub(super) dir: PathBuf,
    pub(super) owner: Owner,
    starts: Mutex<HashMap<Base, Arc<OnceCell<Start>>>>,
    /// One at a time: git itself trips over its own half-made worktrees.
    pub(super) adding: tokio::sync::Mutex<()>,
    /// So many checkouts at once: more only wait for the disk together.
    pub(super) filling: Semaphore,
}

impl Store {
    /// The store of `repository` in `dir`, made if it is not there yet.
    ///
    /// # Errors
    /// [`RepositoryError::Io`].
    pub(super) fn open(
        repository: Repository,
        dir: PathBuf,
        run: &str,
        owner: Owner,
    ) -> Result<Store, RepositoryError> {
        let places = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let store = Store {
            repository,
            run: run.to_owned(),
            dir,
            owner,
            starts: Mutex::default(),
            adding: tokio::sync::Mutex::default(),
            filling: Semaphore::new((2 * places).max(4)),
        };
        let git = store.git_dir();
        let raw = store.raw_dir();
        if !store.dir.join(COMPLETE).exists() {
            for folder in ["index", "at", "saved"] {
                make(&store.dir.join(folder))?;
            }
            store.lay_out(&git, &[&store.repository.objects])?;
            store.lay_out(&raw, &[&git.join("objects")])?;
            put(&raw.join("info/attributes"), "* -diff -text\n")?;
            put(&store.dir.join(ROOT), &store.repository.root.to_string_lossy())?;
            put(&store.dir.join(COMPLETE), "")?;
        }
        Ok(store)
    }

    /// A git directory that knows nothing but objects.
    fn lay_out(&self, dir: &Path, borrowed: &[&Path]) -> Result<(), RepositoryError> {
        let repository = &self.repository;
        for folder in ["objects/info", "refs/heads", "info"] {
            make(&dir.join(folder))?;
        }
        put(&dir.join("HEAD"), "ref: refs/heads/none\n")?;
        let mut config = format!(
            "[core]\n\trepositoryformatversion = {}\n\tbare = false\n",
            u8::from(repository.format != "sha1")
        );
        if repository.sparse.is_some() {
            config.push_str("\tsparseCheckout = true\n");
            let cone = repository.sparse.as_ref().is_some_and(|(_, cone)| *cone);
            config.push_str(&format!("\tsparseCheckoutCone = {cone}\n"));
        }
        for (name, value) in &repository.settings {
            config.push_str(&format!("\t{} = {value}\n", name.trim_start_matches("core.")));
        }
        if repository.format != "sha1" {
            config.push_str(&format!("[extensions]\n\tobjectFormat = {}\n", repository.format));
        }
        put(&dir.join("config"), &config)?;
        let borrowed: String = borrowed.iter().map(|path| format!("{}\n", path.display())).collect();
        put(&dir.join("objects/info/alternates"), &borrowed)?;
        // The run's own folder can lie in the repository, and is not its content.
        put(&dir.join("info/exclude"), &format!("{}\n.fanout/\n", repository.excludes))?;
        if let Some((patterns, _)) = &repository.sparse {
            put(&dir.join("info/sparse-checkout"), patterns)?;
        }
        Ok(())
    }

    /// The git directory of ours.
    pub(super) fn git_dir(&self) -> PathBuf {
        self.dir.join("git")
    }

    /// Another one, for which every file is binary.
    pub(super) fn raw_dir(&self) -> PathBuf {
        self.dir.join("raw")
    }

    /// Git on the git directory of ours.
    pub(super) fn git(&self) -> Git {
        Git::private(&self.git_dir(), &self.owner)
    }

    /// The folder of the person's files.
    pub fn root(&self) -> &Path {
        &self.repository.root
    }

    /// What workspaces on this base start from: decided once, then kept with the run.
    ///
    /// # Errors
    /// [`RepositoryError`] when there is no such commit or git fails.
    pub(super) async fn start(&self, base: &Base) -> Result<Start, RepositoryError> {
        let cell = {
            let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(starts.entry(base.clone()).or_default())
        };
        let decided = cell.get_or_try_init(|| async {
            let name = blake3::hash(base.as_str().as_bytes()).to_hex();
            let file = self.dir.join(format!("base-{}", &name[..16]));
            if let Ok(kept) = std::fs::read_to_string(&file)
                && let [commit, tree] = kept.split_whitespace().collect::<Vec<_>>().as_slice()
            {
                return Ok(Start { commit: (*commit).to_owned(), tree: (*tree).to_owned() });
            }
            let start = self.decide(base).await?;
            let new = file.with_extension("new");
            put(&new, &format!("{} {}\n", start.commit, start.tree))?;
            std::fs::rename(&new, &file).map_err(RepositoryError::io(&file))?;
            Ok(start)
        });
        decided.await.cloned()
    }

    async fn decide(&self, base: &Base) -> Result<Start, RepositoryError> {
        let name = match base {
            Base::Head | Base::WorkingTree => "HEAD",
            Base::Revision(name) => name,
        };
        let git = Git::at(self.root(), &self.owner);
        let asked = format!("{name}^{{commit}}");
        let (found, commit) =
            git.ask(["rev-parse", "--verify", "--quiet", "--end-of-options", &asked]).await?;
        if !found {
            return Err(RepositoryError::NoSuchCommit {
                name: name.to_owned(),
                root: self.root().to_owned(),
            });
        }
        let commit = String::from_utf8_lossy(&commit).trim().to_owned();
        let tree = match base {
            Base::WorkingTree => self.persons_files().await?,
            Base::Head | Base::Revision(_) => {
                git.line(["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).await?
            }
        };
        Ok(Start { commit, tree })
    }

    /// The person's files as they are now, as a tree in the git directory of ours.
    ///
    /// # Errors
    /// [`RepositoryError`] when git fails.
    pub(super) async fn persons_files(&self) -> Result<String, RepositoryError> {
        let index = self.dir.join("index").join(format!("person-{}", unique()));
        let result = self.persons_files_in(&index).await;
        let _ = std::fs::remove_file(&index);
        result
    }

    /// The same, leaving the index of it in `index`.
    ///
    /// # Errors
    /// As above.
    pub(super) async fn persons_files_in(&self, index: &Path) -> Result<String, RepositoryError> {
        // A copy of the person's index knows which files are unchanged without reading them.
        let own = self.repository.git_dir.join("index");
        let copied = copy_with_its_time(&own, index).is_ok();
        let git = self.git().tree(self.root()).index(index);
        if !(copied && git.run(["diff-files", "--quiet", "--ignore-submodules=all"]).await.is_ok_or_differs())
        {
            let _ = std::fs::remove_file(index);
            let head =
                Git::at(self.root(), &self.owner).line(["rev-parse", "--verify", "HEAD^{tree}"]).await?;
            git.run(["read-tree", &head]).await?;
        }
        let left_out = super::capture::take_in(&git, self.root()).await?;
        if let Some(path) = left_out.first() {
            return Err(RepositoryError::Io {
                path: self.root().join(path),
                message: "too large to be carried along; commit it, ignore it, or write `base: HEAD`"
                    .to_owned(),
            });
        }
        Ok(git.line(["write-tree"]).await?)
    }
}

/// Whether a command answered, be it with no.
trait Answered {
    fn is_ok_or_differs(&self) -> bool;
}

impl Answered for Result<Vec<u8>, super::git::GitError> {
    fn is_ok_or_differs(&self) -> bool {
        match self {
            Ok(_) => true,
            // Exit status 1 without a word: there are differences.
            Err(super::git::GitError::Failed { message, .. }) => message.is_empty(),
            Err(super::git::GitError::Spawn(_)) => false,
        }
    }
}

/// The file that says that the rest is there.
const COMPLETE: &str = "complete";
/// The file that names the repository.
pub(super) const ROOT: &str = "repository";

/// A number that no other file of this process has.
pub(super) fn unique() -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("{}-{number}", std::process::id())
}

pub(super) fn make(folder: &Path) -> Result<(), RepositoryError> {
    std::fs::create_dir_all(folder).map_err(RepositoryError::io(folder))
}

pub(super) fn put(file: &Path, text: &str) -> Result<(), RepositoryError> {
    std::fs::write(file, text).map_err(RepositoryError::io(file))
}

/// Copies an index, its time included: by that git knows of which files it cannot tell without
/// reading them, since they were written in the same second as the index.
fn copy_with_its_time(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::copy(from, to)?;
    let time = std::fs::metadata(from)?.modified()?;
    std::fs::File::options().write(true).open(to)?.set_modified(time)
}
