//! The one way in which this program runs git.
//!
//! Invariant: a command from here runs git and nothing else. Hooks, file system monitors,
//! credential helpers, pagers, editors, signing and every transport are off; the person's
//! own configuration is read only where [`Git::persons`] says so; nothing is inherited
//! from the environment but where programs are found. Drivers (filters, external diffs, text
//! conversions) need a configuration that names them, and what reads or writes files goes
//! by a git directory of ours, which names none.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{self, Environment, Exit, Inherit, Input, Keep, Reaper, SpawnError, Spec};

/// Longer than any command here takes on a repository that can be worked with.
const TIMEOUT: Duration = Duration::from_secs(1800);
/// The most that a command may print: the patch of the largest change that is taken over.
const OUTPUT: usize = 512 << 20;

/// What holds against every configuration that an agent could have written.
const SETTINGS: [(&str, &str); 15] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.splitIndex", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.sshCommand", "false"),
    ("core.askPass", "false"),
    ("core.editor", "false"),
    ("core.pager", "cat"),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("submodule.recurse", "false"),
    ("commit.gpgSign", "false"),
    ("gc.auto", "0"),
];

/// How a git command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// It could not be started.
    #[error("git cannot be started: {0}")]
    Spawn(String),
    /// It said no.
    #[error("`git {command}` failed: {message}")]
    Failed {
        /// Its arguments.
        command: String,
        /// What it wrote on standard error.
        message: String,
    },
}

/// A git command in the making: which repository, which files, which index.
#[derive(Debug, Clone, Default)]
pub(super) struct Git {
    env: Vec<(OsString, OsString)>,
    at: Option<PathBuf>,
    persons: bool,
    owner: Owner,
}

/// Whose processes they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Owner {
    pub(super) run: String,
    pub(super) reaper: Option<Reaper>,
}

impl Git {
    /// Git in the repository that `folder` is in.
    pub(super) fn at(folder: &Path, owner: &Owner) -> Git {
        Git { at: Some(folder.to_owned()), owner: owner.clone(), ..Git::default() }
    }

    /// Git on a git directory of ours.
    pub(super) fn private(dir: &Path, owner: &Owner) -> Git {
        Git { owner: owner.clone(), ..Git::default() }.with("GIT_DIR", dir)
    }

    /// Lets it read the person's and the system's own configuration too, for what only they know.
    pub(super) fn persons(mut self) -> Git {
        self.persons = true;
        self
    }

    /// The folder whose files it reads or writes.
    pub(super) fn tree(self, folder: &Path) -> Git {
        self.with("GIT_WORK_TREE", folder)
    }

    /// The index that it reads or writes.
    pub(super) fn index(self, file: &Path) -> Git {
        self.with("GIT_INDEX_FILE", file)
    }

    /// One more variable.
    pub(super) fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Git {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Runs it and returns what it printed.
    pub(super) async fn run<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Vec<u8>, GitError> {
        self.feed(args, Vec::new()).await
    }

    /// Runs it and returns what it printed as text without white space at its ends.
    pub(super) async fn line<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.run(args).await?).trim().to_owned())
    }

    /// Runs it with `input` on its standard input.
    pub(super) async fn feed<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: Vec<u8>,
    ) -> Result<Vec<u8>, GitError> {
        let (code, out, command, message) = self.ended(args, input).await?;
        if code == 0 { Ok(out) } else { Err(GitError::Failed { command, message }) }
    }

    /// Runs it and returns its exit status, 0 or 1, with what it printed.
    pub(super) async fn ask<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<(bool, Vec<u8>), GitError> {
        let (code, out, command, message) = self.ended(args, Vec::new()).await?;
        if code <= 1 { Ok((code == 0, out)) } else { Err(GitError::Failed { command, message }) }
    }

    async fn ended<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: Vec<u8>,
    ) -> Result<(i32, Vec<u8>, String, String), GitError> {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let shown: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        let shown = shown.join(" ");
        let spec = self.spec(args, input);
        let ended = process::run(spec, std::future::pending(), |_, _| {})
            .await
            .map_err(|error: SpawnError| GitError::Spawn(error.to_string()))?;
        let said = ended.stderr.text();
        let said = said.trim().trim_start_matches("fatal: ").trim_start_matches("error: ").to_owned();
        let code = match ended.exit {
            Exit::Code(code) => code,
            Exit::Signal(number, _) => 128 + number,
        };
        if ended.stdout.dropped > 0 {
            let message = format!("it printed {} bytes, more than is taken over", ended.stdout.total());
            return Err(GitError::Failed { command: shown, message });
        }
        Ok((code, ended.stdout.head, shown, said))
    }

    fn spec(&self, args: Vec<OsString>, input: Vec<u8>) -> Spec {
        let mut argv: Vec<OsString> = vec!["git".into(), "--no-pager".into(), "--literal-pathspecs".into()];
        if let Some(at) = &self.at {
            argv.extend(["-C".into(), at.clone().into_os_string()]);
        }
        argv.extend(args);
        let mut set: Vec<(OsString, OsString)> = vec![
            ("LC_ALL".into(), "C".into()),
            ("GIT_TERMINAL_PROMPT".into(), "0".into()),
            ("GIT_OPTIONAL_LOCKS".into(), "0".into()),
            ("GIT_NO_LAZY_FETCH".into(), "1".into()),
            ("GIT_NO_REPLACE_OBJECTS".into(), "1".into()),
            ("GIT_ALLOW_PROTOCOL".into(), "".into()),
            ("GIT_ATTR_NOSYSTEM".into(), "1".into()),
        ];
        if !self.persons {
            set.push(("GIT_CONFIG_NOSYSTEM".into(), "1".into()));
            set.push(("GIT_CONFIG_GLOBAL".into(), "/dev/null".into()));
        }
        // Whose repository it is was looked at when it was opened, with the person's own settings.
        let trust = (!self.persons).then_some(("safe.directory", "*"));
        let mut count = 0_usize;
        // A question about the person's own settings must not be answered with ours.
        let ours = SETTINGS.iter().copied().filter(|(name, _)| !self.persons || *name != "core.excludesFile");
        for (name, value) in ours.chain(trust) {
            set.push((format!("GIT_CONFIG_KEY_{count}").into(), name.into()));
            set.push((format!("GIT_CONFIG_VALUE_{count}").into(), value.into()));
            count += 1;
        }
        set.push(("GIT_CONFIG_COUNT".into(), count.to_string().into()));
        set.extend(self.env.iter().cloned());
        let mut inherit = vec!["PATH".to_owned(), "TMPDIR".to_owned()];
        if self.persons {
            inherit.extend(["HOME".to_owned(), "XDG_CONFIG_HOME".to_owned()]);
        }
        // Never in a folder of the agent's: what stands there could be found before git is.
        let base = Spec::new(argv, "/");
        Spec {
            env: Environment { inherit: Inherit::Only(inherit), set },
            stdin: if input.is_empty() { Input::Null } else { Input::Bytes(input) },
            timeout: Some(TIMEOUT),
            keep: Keep { head: OUTPUT, tail: 4096 },
            marker: (base.marker.0.clone(), self.owner.run.clone()),
            reaper: self.owner.reaper.clone(),
            ..base
        }
    }
}
