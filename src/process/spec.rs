//! What to start and under which bounds, as plain data.
//!
//! Invariant: nothing is decided here; a `Spec` that exists may still turn out
//! to name a program that does not.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::capture::Keep;
use super::reaper::Reaper;

/// The variable by which the processes of a run are known: its value is the run's name.
pub const RUN_ID: &str = "FANOUT_RUN_ID";

/// A program to run and the bounds that it runs under.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The program and its arguments. A name without `/` is looked up in the `PATH` that the
    /// program itself will see; a relative path is relative to `cwd`.
    pub argv: Vec<OsString>,
    /// The folder that it works in.
    pub cwd: PathBuf,
    /// The environment that it sees.
    pub env: Environment,
    /// What it reads on standard input.
    pub stdin: Input,
    /// It is ended this long after its start; `None` for no such bound.
    pub timeout: Option<Duration>,
    /// It is ended when neither stream carried a byte for this long; `None` for no such bound.
    pub idle_timeout: Option<Duration>,
    /// How long it may clean up, from SIGTERM to SIGKILL.
    pub grace: Duration,
    /// How much of each stream is kept.
    pub keep: Keep,
    /// A variable added to its environment that says which run it belongs to, as
    /// `("FANOUT_RUN_ID", id)`; an empty value adds none. See [`kill_marked`](super::kill_marked).
    pub marker: (String, String),
    /// Who ends it when this process is killed with SIGKILL; `None` leaves that case open.
    pub reaper: Option<Reaper>,
    /// Another program that starts this one. The program is looked for, and missed, as if there
    /// were none.
    pub wrapper: Option<Wrapper>,
    /// A folder of its own, removed when the program and its `Spec` are gone.
    pub scratch: Option<Arc<TempDir>>,
}

impl Spec {
    /// A program in a folder: inherited environment, no input, no deadlines, 5 s of grace,
    /// the first and last MiB of each stream kept, no marker, no reaper.
    pub fn new<A: Into<OsString>>(argv: impl IntoIterator<Item = A>, cwd: impl Into<PathBuf>) -> Spec {
        Spec {
            argv: argv.into_iter().map(Into::into).collect(),
            cwd: cwd.into(),
            env: Environment::default(),
            stdin: Input::Null,
            timeout: None,
            idle_timeout: None,
            grace: Duration::from_secs(5),
            keep: Keep::default(),
            marker: (RUN_ID.to_owned(), String::new()),
            reaper: None,
            wrapper: None,
            scratch: None,
        }
    }
}

/// A program that starts another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapper {
    /// The file of the wrapper, absolute, and its own arguments. It is started as `argv… FILE NAME
    /// ARGUMENT…`, where `FILE` is what the program's name was found to be, and ends as that ends.
    pub argv: Vec<OsString>,
    /// Whether one process of its own stays for as long as any that the program left.
    pub stays: bool,
}

/// What a program reads on its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Input {
    /// `/dev/null`: it sees the end at once.
    #[default]
    Null,
    /// These bytes, then the end. Written while the output is read, so that neither side waits
    /// for the other; what the program does not read is dropped.
    Bytes(Vec<u8>),
    /// A pipe that stays with the caller of [`Running::start`](super::Running::start). Under
    /// [`run`](super::run()), which has nothing to write, the program sees the end at once.
    Pipe,
}

/// The environment of a program: what it inherits, then what is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// What it takes over from this process.
    pub inherit: Inherit,
    /// Added afterwards; of two with one name the later one holds.
    pub set: Vec<(OsString, OsString)>,
}

/// Which variables of this process a program takes over.
///
/// A name that ends in `*` stands for all names that begin so: `LC_*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Inherit {
    /// All of them.
    #[default]
    All,
    /// All but the listed ones.
    AllBut(Vec<String>),
    /// The listed ones, and no others.
    Only(Vec<String>),
}

impl Environment {
    /// The value that a program will see under `name`, looked up in `own` where it inherits.
    pub(super) fn value(&self, name: &str, own: impl Fn(&str) -> Option<OsString>) -> Option<OsString> {
        let set = self.set.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        set.or_else(|| self.inherit.takes(OsStr::new(name)).then(|| own(name)).flatten())
    }
}

impl Inherit {
    /// Whether a variable of this name is taken over.
    pub(super) fn takes(&self, name: &OsStr) -> bool {
        let listed = |names: &[String]| names.iter().any(|pattern| stands_for(pattern, name));
        match self {
            Inherit::All => true,
            Inherit::AllBut(names) => !listed(names),
            Inherit::Only(names) => listed(names),
        }
    }
}

fn stands_for(pattern: &str, name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning.as_bytes()),
        None => name == pattern.as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allow_list_takes_names_and_beginnings_and_nothing_else() {
        let only = Inherit::Only(vec!["PATH".to_owned(), "LC_*".to_owned()]);
        let taken = |name: &str| only.takes(OsStr::new(name));
        assert!(taken("PATH") && taken("LC_ALL") && taken("LC_"));
        assert!(!taken("PATHS") && !taken("LANG") && !taken("ANTHROPIC_API_KEY"));
        assert!(!Inherit::AllBut(vec!["*_KEY".to_owned(), "A_*".to_owned()]).takes(OsStr::new("A_KEY")));
    }

    #[test]
    fn the_last_value_set_for_a_name_holds_over_the_inherited_one() {
        let own = |_: &str| Some(OsString::from("own"));
        let mut env = Environment { inherit: Inherit::Only(vec!["PATH".to_owned()]), set: Vec::new() };
        assert_eq!(env.value("PATH", own), Some("own".into()));
        assert_eq!(env.value("HOME", own), None);
        env.set = vec![("PATH".into(), "one".into()), ("PATH".into(), "two".into())];
        assert_eq!(env.value("PATH", own), Some("two".into()));
    }
}
