//! The repository that a folder is in, as far as workspaces need to know it.
//!
//! Invariant: looking at it changes nothing in it.

use std::path::{Path, PathBuf};

use super::git::{Git, GitError, Owner};

/// The person's repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The folder of its files, absolute and without links.
    pub root: PathBuf,
    /// The git directory of this working tree.
    pub(super) git_dir: PathBuf,
    /// The git directory that all its worktrees share.
    pub(super) common: PathBuf,
    /// Where its objects are.
    pub(super) objects: PathBuf,
    /// `sha1` or `sha256`.
    pub(super) format: String,
    /// The patterns of a sparse checkout, and whether they are folders only.
    pub(super) sparse: Option<(String, bool)>,
    /// What it ignores beyond the `.gitignore` files.
    pub(super) excludes: String,
    /// Settings that say how files are written: plain words, which run nothing.
    pub(super) settings: Vec<(String, String)>,
    /// Who the person is, as `Name <address>`.
    pub(super) identity: (String, String),
    /// The commits at which a shallow history ends.
    pub(super) shallow: Option<String>,
}

/// Why a call cannot have a workspace of its own.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RepositoryError {
    /// The folder is in no repository.
    #[error("{} is not in a git repository", dir.display())]
    None {
        /// The folder.
        dir: PathBuf,
    },
    /// There are no files to start from.
    #[error("{} is a bare repository: there are no files in it to work on", dir.display())]
    Bare {
        /// The folder.
        dir: PathBuf,
    },
    /// There is nothing to start from.
    #[error("the repository in {} has no commit yet", root.display())]
    NoCommit {
        /// The repository.
        root: PathBuf,
    },
    /// There is no such commit.
    #[error("there is no commit `{name}` in {}", root.display())]
    NoSuchCommit {
        /// The name.
        name: String,
        /// The repository.
        root: PathBuf,
    },
    /// Git could not say.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file could not be read or written.
    #[error("{}: {message}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
}

impl RepositoryError {
    /// An error of the file system about `path`.
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> RepositoryError {
        let path = path.to_owned();
        move |error| RepositoryError::Io { path, message: error.to_string() }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            RepositoryError::None { .. } => {
                "run it in a repository (`git init`, and a first commit), or remove `isolation`"
            }
            RepositoryError::Bare { .. } => "clone it and run fanout in the clone, or remove `isolation`",
            RepositoryError::NoCommit { .. } => "make a first commit, or remove `isolation`",
            RepositoryError::NoSuchCommit { .. } => {
                "write `HEAD`, `working-tree`, or a commit, branch or tag"
            }
            RepositoryError::Git(GitError::Spawn(_)) => "install git, or remove `isolation`",
            RepositoryError::Git(GitError::Failed { .. }) | RepositoryError::Io { .. } => {
                "see to what git says, or remove `isolation`"
            }
        }
    }
}

/// Settings that change which bytes a checked-out file has, and nothing else.
const PLAIN: [&str; 5] = ["core.autocrlf", "core.eol", "core.filemode", "core.symlinks", "core.ignorecase"];

impl Repository {
    /// Looks at the repository that `dir` is in.
    ///
    /// # Errors
    /// [`RepositoryError`] where a workspace cannot be made from it.
    pub(super) async fn open(dir: &Path, owner: &Owner) -> Result<Repository, RepositoryError> {
        let git = Git::at(dir, owner).persons();
        let kind = match git.line(["rev-parse", "--is-bare-repository", "--is-inside-work-tree"]).await {
            Ok(kind) => kind,
            Err(GitError::Failed { message, .. }) if message.contains("not a git repository") => {
                return Err(RepositoryError::None { dir: dir.to_owned() });
            }
            Err(error) => return Err(error.into()),
        };
        if kind.lines().next() == Some("true") {
            return Err(RepositoryError::Bare { dir: dir.to_owned() });
        }
        if kind.lines().nth(1) != Some("true") {
            return Err(RepositoryError::None { dir: dir.to_owned() });
        }
        let asked = [
            "rev-parse",
            "--path-format=absolute",
            "--show-object-format",
            "--show-toplevel",
            "--git-dir",
            "--git-common-dir",
            "--git-path",
            "objects",
            "--git-path",
            "info/exclude",
            "--git-path",
            "info/sparse-checkout",
            "--git-path",
            "shallow",
        ];
        let told = git.line(asked).await?;
        let lines: Vec<&str> = told.lines().collect();
        let [format, root, git_dir, common, objects, exclude, sparse, shallow] = lines.as_slice() else {
            let message = format!("it said {told:?}");
            return Err(GitError::Failed { command: "rev-parse".to_owned(), message }.into());
        };
        let head = git.ask(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).await?;
        if !head.0 {
            return Err(RepositoryError::NoCommit { root: root.into() });
        }
        let settings = git.run(["config", "-z", "--includes", "--list"]).await?;
        let settings = String::from_utf8_lossy(&settings).into_owned();
        let setting = |name: &str| {
            let one = settings.split('\0').rev().find_map(|entry| {
                let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
                (key == name).then(|| value.to_owned())
            });
            one.filter(|value| !value.contains('\n'))
        };
        let is_true = |name: &str| {
            setting(name).is_some_and(|value| matches!(value.as_str(), "true" | "1" | "yes" | "on"))
        };
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let root = std::fs::canonicalize(root).map_err(RepositoryError::io(Path::new(root)))?;
        Ok(Repository {
            git_dir: git_dir.into(),
            common: common.into(),
            objects: objects.into(),
            format: (*format).to_owned(),
            sparse: is_true("core.sparsecheckout")
                .then(|| (read(sparse), is_true("core.sparsecheckoutcone"))),
            excludes: format!("{}\n{}\n", read(exclude), global_excludes(setting("core.excludesfile"))),
            settings: PLAIN
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), setting(name)?)))
                .filter(|(_, value)| value.bytes().all(|b| b.is_ascii_alphanumeric()))
                .collect(),
            identity: (
                setting("user.name").unwrap_or_else(|| "fanout".to_owned()),
                setting("user.email").unwrap_or_else(|| "fanout@localhost".to_owned()),
            ),
            shallow: Some(read(shallow)).filter(|text| !text.is_empty()),
            root,
        })
    }
}

/// The person's own file of ignored names.
fn global_excludes(set: Option<String>) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = match (set, home) {
        (Some(path), Some(home)) => match path.strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None => PathBuf::from(path),
        },
        (Some(path), None) => PathBuf::from(path),
        (None, Some(home)) => std::env::var_os("XDG_CONFIG_HOME")
            .filter(|folder| !folder.is_empty())
            .map_or_else(|| home.join(".config"), PathBuf::from)
            .join("git/ignore"),
        (None, None) => return String::new(),
    };
    std::fs::read_to_string(path).unwrap_or_default()
}
