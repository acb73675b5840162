//! One workspace: made, filled, looked at, taken away.
//!
//! Invariants: a workspace that holds something that is not written down elsewhere is not
//! taken away ([`Store::rescue`] first); what an agent put into its own `.git` is never
//! read by this program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::capture;
use super::files::{copy_all, is_folder, remove, write_durable};
use super::git::{Git, GitError};
use super::patch;
use super::repository::RepositoryError;
use super::store::{Start, Store, make, put, unique};
use crate::id::InstanceId;
use crate::outcome::Changes;
use crate::plan::workspace::{Base, Isolation};

/// How often git is asked again for what another process was just doing, too.
const TRIES: u32 = 8;

/// A workspace of one instance's own.
#[derive(Debug)]
pub struct Place {
    /// Its folder: a copy of the repository's files.
    pub root: PathBuf,
    name: String,
    /// What the call's change is counted from.
    start: Start,
    store: Arc<Store>,
}

/// What can be looked for in a workspace of its own that a killed process left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// The patch, in the run's folder.
    pub patch: PathBuf,
    /// The files that it changes.
    pub files: Vec<String>,
}

/// What is named after an instance: its folder and its branch. `x[2]` is `x+2`, `x[2].y` is `x+2+y`;
/// no call's own id has a `+`.
pub fn name_of(instance: &InstanceId) -> String {
    instance.to_string().replace(']', "").replace(['[', '.'], "+").replace(['(', ')'], "")
}

impl Store {
    /// Where the workspace of that name is.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        // The name of a worktree's folder is its name for git, too.
        self.dir.join("at").join(format!("{}-{name}", self.run))
    }

    fn index_of(&self, name: &str) -> PathBuf {
        self.dir.join("index").join(name)
    }

    /// The branch of a worktree.
    pub fn branch(&self, name: &str) -> String {
        format!("fanout/{}/{name}", self.run)
    }

    /// Makes a workspace and fills it with the files of `base`.
    ///
    /// What an earlier process left under the same name must be gone, see [`Store::rescue`].
    ///
    /// # Errors
    /// [`RepositoryError`] when git or the disk refuses.
    pub async fn make(
        self: &Arc<Self>,
        name: &str,
        isolation: Isolation,
        base: &Base,
        copy: &[String],
    ) -> Result<Place, RepositoryError> {
        let start = self.start(base).await?;
        let place = self.place(name, start);
        match isolation {
            Isolation::Worktree => place.add_worktree().await?,
            Isolation::Clone | Isolation::Shared | Isolation::ReadOnly => place.make_repository()?,
        }
        place.fill().await?;
        place.give_index(isolation).await?;
        place.copy_in(copy).await?;
        put(&place.mark("start"), &place.start.tree)?;
        Ok(place)
    }

    fn place(self: &Arc<Self>, name: &str, start: Start) -> Place {
        Place { root: self.folder(name), name: name.to_owned(), start, store: Arc::clone(self) }
    }

    /// The workspaces of which something is there, by name: a folder, or the mark of a branch that a
    /// kill left behind after its folder was gone.
    pub(super) fn names(&self) -> Vec<String> {
        let prefix = format!("{}-", self.run);
        let within = |folder: &str| {
            let entries = std::fs::read_dir(self.dir.join(folder)).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<String>>()
        };
        let (folders, marks) = (within("at"), within("index"));
        let folders = folders.iter().filter_map(|name| name.strip_prefix(&prefix));
        let marks = marks.iter().filter_map(|name| name.strip_suffix(".commit"));
        let names: BTreeSet<&str> = folders.chain(marks).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Saves what a killed process's workspace holds, then takes it away. `None` if there was nothing in it.
    ///
    /// # Errors
    /// [`RepositoryError`]; nothing was taken away then.
    pub async fn rescue(self: &Arc<Self>, name: &str) -> Result<Option<Rescued>, RepositoryError> {
        let mut saved = None;
        if let Some(place) = self.unrecorded(name) {
            let changes = place.changes(&[]).await?;
            if !changes.omitted.is_empty() {
                return Err(RepositoryError::Io {
                    path: place.root.join(changes.omitted.first().map_or("", String::as_str)),
                    message: "too large to be saved as a patch; move it away or remove it".to_owned(),
                });
            }
            if !changes.is_empty() {
                let file = self.dir.join("saved").join(format!("{name}-{}.patch", unique()));
                write_durable(&file, changes.patch.as_bytes()).map_err(RepositoryError::io(&file))?;
                let files = changes.files.iter().map(|file| file.path.clone()).collect();
                saved = Some(Rescued { patch: file, files });
            }
        }
        self.discard(name).await?;
        Ok(saved)
    }

    /// Takes a workspace away, with what git knows of it. A branch with commits of its own stays.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub(super) async fn discard(&self, name: &str) -> Result<(), RepositoryError> {
        let folder = self.folder(name);
        let admin = self.admin(name);
        if admin.exists() {
            // Its lock keeps `git worktree prune` from it; ours is the one who made it.
            remove(&admin).await?;
        }
        remove(&folder).await?;
        let reference = format!("refs/heads/{}", self.branch(name));
        let git = Git::at(self.root(), &self.owner);
        let base = std::fs::read_to_string(self.dir.join("index").join(format!("{name}.commit")));
        if let Ok(base) = base {
            let base = base.trim();
            // Only where it still is where it began: with the old value, git looks itself.
            let (there, tip) = git.ask(["rev-parse", "--verify", "--quiet", &reference]).await?;
            if there && String::from_utf8_lossy(&tip).trim() == base {
                // Git's own locks on references give up under many at once.
                let _one = self.adding.lock().await;
                again(|| git.run(["update-ref", "-d", &reference, base])).await?;
            }
        }
        for suffix in ["", ".start", ".commit", ".recorded", ".lock"] {
            let _ = std::fs::remove_file(self.dir.join("index").join(format!("{name}{suffix}")));
        }
        Ok(())
    }

    /// The files that a workspace has changed and that nobody has written down.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub(super) async fn unsaved(self: &Arc<Self>, name: &str) -> Result<Vec<String>, RepositoryError> {
        let Some(place) = self.unrecorded(name) else { return Ok(Vec::new()) };
        let changes = place.changes(&[]).await?;
        Ok(changes.files.into_iter().map(|file| file.path).chain(changes.omitted).collect())
    }

    /// A workspace in which somebody may have worked and that is written down nowhere.
    fn unrecorded(self: &Arc<Self>, name: &str) -> Option<Place> {
        let mark = |what: &str| self.dir.join("index").join(format!("{name}.{what}"));
        if !is_folder(&self.folder(name)) || mark("recorded").exists() {
            return None;
        }
        // Without that mark it was not filled yet: nobody has worked in it.
        let tree = std::fs::read_to_string(mark("start")).ok()?;
        // Left by a git that was killed with the rest.
        let _ = std::fs::remove_file(mark("lock"));
        let start = Start { commit: String::new(), tree: tree.trim().to_owned() };
        Some(self.place(name, start))
    }

    /// Removes the branches that the run's worktrees have left, but for one that is checked out.
    pub(super) async fn drop_branches(&self) {
        let git = Git::at(self.root(), &self.owner);
        let pattern = format!("refs/heads/fanout/{}/", self.run);
        let listed = git.line(["for-each-ref", "--format=%(refname:short)", &pattern]).await;
        for branch in listed.unwrap_or_default().lines() {
            // Git refuses where somebody works on it; then it is theirs.
            let _ = git.run(["branch", "-D", "--", branch]).await;
        }
    }

    fn admin(&self, name: &str) -> PathBuf {
        self.repository.common.join("worktrees").join(format!("{}-{name}", self.run))
    }

    /// The workspace of a call whose change is written down, as the call left it: for others to look at.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub async fn bring_back(self: &Arc<Self>, name: &str, changes: &Changes) -> Result<(), RepositoryError> {
        let tree = self.tree_with(&changes.base, &changes.patch).await?;
        let start = Start { commit: changes.commit.clone(), tree };
        self.pristine(name, start, &[]).await.map(drop)
    }

    /// The tree that a patch makes of another.
    ///
    /// # Errors
    /// [`GitError`] where it does not fit.
    pub(super) async fn tree_with(&self, base: &str, patch: &str) -> Result<String, GitError> {
        if patch.is_empty() {
            return Ok(base.to_owned());
        }
        let index = self.dir.join("index").join(format!("apply-{}", unique()));
        let git = self.git().index(&index);
        let made = async {
            git.run(["read-tree", base]).await?;
            let args = ["apply", "--cached", "--binary", "--unidiff-zero", "--whitespace=nowarn", "-"];
            git.feed(args, patch.as_bytes().to_vec()).await?;
            git.line(["write-tree"]).await
        };
        let made = made.await;
        let _ = std::fs::remove_file(&index);
        made
    }

    /// A folder filled with the files of a tree, with a repository of its own: for a check.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub(super) async fn pristine(
        self: &Arc<Self>,
        name: &str,
        start: Start,
        copy: &[String],
    ) -> Result<Place, RepositoryError> {
        self.discard(name).await?;
        let place = self.place(name, start);
        place.make_repository()?;
        place.fill().await?;
        place.give_index(Isolation::Clone).await?;
        place.copy_in(copy).await?;
        // Nobody's work: it is never saved.
        put(&place.mark("recorded"), "")?;
        Ok(place)
    }
}

impl Place {
    /// What it was made from.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The commit that it starts from.
    pub fn commit(&self) -> &str {
        &self.start.commit
    }

    /// Where a folder of the person's repository is in it; `None` for one outside.
    pub fn inside(&self, folder: &Path) -> Option<PathBuf> {
        // What is not there cannot be resolved; its parents may be links all the same.
        let real = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let rest = real.strip_prefix(self.store.root()).ok()?;
        Some(if rest.as_os_str().is_empty() { self.root.clone() } else { self.root.join(rest) })
    }

    fn mark(&self, what: &str) -> PathBuf {
        self.store.dir.join("index").join(format!("{}.{what}", self.name))
    }

    fn index(&self) -> PathBuf {
        self.store.index_of(&self.name)
    }

    fn git(&self) -> Git {
        self.store.git().tree(&self.root).index(&self.index())
    }

    async fn add_worktree(&self) -> Result<(), RepositoryError> {
        let branch = self.store.branch(&self.name);
        put(&self.mark("commit"), &self.start.commit)?;
        let reason = format!("fanout run {}", self.store.run);
        let root = self.root.as_os_str();
        let start: [&std::ffi::OsStr; 9] = [
            "worktree".as_ref(),
            "add".as_ref(),
            "--no-checkout".as_ref(),
            "--lock".as_ref(),
            "--reason".as_ref(),
            reason.as_ref(),
            "-B".as_ref(),
            branch.as_ref(),
            root,
        ];
        let args: Vec<&std::ffi::OsStr> = start.into_iter().chain([self.start.commit.as_ref()]).collect();
        let git = Git::at(self.store.root(), &self.store.owner);
        let _one = self.store.adding.lock().await;
        again(|| git.run(&args)).await?;
        Ok(())
    }

    /// A repository of its own that borrows the person's objects and shares nothing else.
    fn make_repository(&self) -> Result<(), RepositoryError> {
        let repository = &self.store.repository;
        let git = self.root.join(".git");
        for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
            make(&git.join(folder))?;
        }
        let version = u8::from(repository.format != "sha1");
        let mut config = format!(
            "[core]\n\trepositoryformatversion = {version}\n\tbare = false\n\tlogallrefupdates = true\n[gc]\n\tauto = 0\n"
        );
        if repository.format != "sha1" {
            config.push_str(&format!("[extensions]\n\tobjectFormat = {}\n", repository.format));
        }
        put(&git.join("config"), &config)?;
        put(&git.join("objects/info/alternates"), &format!("{}\n", repository.objects.display()))?;
        if let Some(shallow) = &repository.shallow {
            put(&git.join("shallow"), shallow)?;
        }
        let branch = self.store.branch(&self.name);
        let reference = git.join("refs/heads").join(&branch);
        if let Some(folder) = reference.parent() {
            make(folder)?;
        }
        put(&reference, &format!("{}\n", self.start.commit))?;
        put(&git.join("HEAD"), &format!("ref: refs/heads/{branch}\n"))
    }

    async fn fill(&self) -> Result<(), RepositoryError> {
        let _one = self.store.filling.acquire().await;
        let _ = std::fs::remove_file(self.index());
        self.git().run(["read-tree", "-m", "-u", &self.start.tree]).await?;
        Ok(())
    }

    /// Gives the workspace an index of its own, in which nothing is staged.
    async fn give_index(&self, isolation: Isolation) -> Result<(), RepositoryError> {
        let theirs = match isolation {
            Isolation::Worktree => self.store.admin(&self.name).join("index"),
            Isolation::Clone | Isolation::Shared | Isolation::ReadOnly => self.root.join(".git/index"),
        };
        if self.start.commit.is_empty() {
            return Ok(());
        }
        std::fs::copy(self.index(), &theirs).map_err(RepositoryError::io(&theirs))?;
        let git = self.store.git();
        let committed =
            git.line(["rev-parse", "--verify", &format!("{}^{{tree}}", self.start.commit)]).await?;
        if committed != self.start.tree {
            // What is the same keeps its times, so that nothing has to be read again.
            self.store.git().index(&theirs).run(["read-tree", "-m", "-i", &committed]).await?;
        }
        Ok(())
    }

    async fn copy_in(&self, paths: &[String]) -> Result<(), RepositoryError> {
        for path in paths {
            let (from, to) = (self.store.root().join(path), self.root.join(path));
            let said = from.clone();
            let copied = tokio::task::spawn_blocking(move || copy_all(&from, &to)).await;
            copied
                .unwrap_or_else(|error| Err(std::io::Error::other(error)))
                .map_err(RepositoryError::io(&said))?;
        }
        Ok(())
    }

    /// Counts what was done so far (copies, `setup`) as what the call starts from.
    ///
    /// # Errors
    /// [`RepositoryError`] when git fails.
    pub async fn begin(&mut self) -> Result<(), RepositoryError> {
        capture::take_in(&self.git(), &self.root).await?;
        self.start.tree = self.git().line(["write-tree"]).await?;
        put(&self.mark("start"), &self.start.tree)
    }

    /// What has changed in it since it began. What `protect` matches is told apart and not counted.
    ///
    /// # Errors
    /// [`RepositoryError`] when it is no longer a folder, or git fails.
    pub async fn changes(&self, protect: &[String]) -> Result<Changes, RepositoryError> {
        self.counted(protect).await.map(|(changes, _)| changes)
    }

    /// The same, with the tree in which only those changes are made.
    ///
    /// # Errors
    /// As above.
    pub(super) async fn counted(&self, protect: &[String]) -> Result<(Changes, String), RepositoryError> {
        if !is_folder(&self.root) {
            return Err(RepositoryError::Io {
                path: self.root.clone(),
                message: "the workspace is gone, or is no folder any more".to_owned(),
            });
        }
        let git = self.git();
        let omitted = capture::take_in(&git, &self.root).await?;
        let mut tree = git.line(["write-tree"]).await?;
        let mut protected = Vec::new();
        if !protect.is_empty() {
            (tree, protected) =
                super::protect::put_back(&self.store, &self.start.tree, &tree, protect).await?;
        }
        let patch = self.store.patch(&self.start.tree, &tree).await?;
        let files = patch::parse(&patch).into_iter().map(|file| file.change()).collect();
        let changes = Changes {
            repository: self.store.root().display().to_string(),
            workspace: self.root.display().to_string(),
            base: self.start.tree.clone(),
            commit: self.start.commit.clone(),
            patch: patch.into(),
            files,
            protected,
            omitted: omitted.iter().map(|path| path.display().to_string()).collect(),
        };
        Ok((changes, tree))
    }

    /// A copy in which only those changes are made that count: where a check runs.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub async fn pristine(
        &self,
        protect: &[String],
        copy: &[String],
    ) -> Result<(Place, Changes), RepositoryError> {
        let (changes, tree) = self.counted(protect).await?;
        let start = Start { commit: self.start.commit.clone(), tree };
        let place = self.store.pristine(&format!("{}+check", self.name), start, copy).await?;
        Ok((place, changes))
    }

    /// Says that what it holds is written down elsewhere: it may be taken away at any time.
    ///
    /// # Errors
    /// [`RepositoryError::Io`].
    pub fn recorded(&self) -> Result<(), RepositoryError> {
        put(&self.mark("recorded"), "")
    }

    /// Takes it away. What it holds must be written down elsewhere.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub async fn remove(&self) -> Result<(), RepositoryError> {
        self.store.discard(&self.name).await
    }
}

impl Store {
    /// The patch from one tree to another; text where all of it is UTF-8.
    pub(super) async fn patch(&self, from: &str, to: &str) -> Result<String, GitError> {
        let args = [
            "diff-tree",
            "-r",
            "-p",
            "--binary",
            "--full-index",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--ignore-submodules=all",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            from,
            to,
        ];
        match String::from_utf8(self.git().run(args).await?) {
            Ok(text) => Ok(text),
            // Latin-1 and the like: as bytes, nothing of it is lost.
            Err(_) => {
                let bytes = Git::private(&self.raw_dir(), &self.owner).run(args).await?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
        }
    }
}

/// Asks git again where another process was at the same thing.
async fn again<F, T>(mut ask: impl FnMut() -> F) -> Result<T, GitError>
where
    F: Future<Output = Result<T, GitError>>,
{
    let mut tries = 0;
    loop {
        match ask().await {
            Ok(done) => return Ok(done),
            Err(error) => {
                tries += 1;
                let busy = match &error {
                    GitError::Failed { message, .. } => ["lock", "commondir", "gitdir", "File exists"]
                        .iter()
                        .any(|word| message.contains(word)),
                    GitError::Spawn(_) => false,
                };
                if !busy || tries >= TRIES {
                    return Err(error);
                }
                let wait = std::time::Duration::from_millis(20 << tries.min(6));
                tokio::time::sleep(wait).await;
            }
        }
    }
}
