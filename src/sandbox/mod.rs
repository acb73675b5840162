//! What the system lets a program touch: files, network, other processes, secrets.
//!
//! ```text
//! Policy ─wrap─▶ process::Spec ─start─▶ fanout __sandbox ─▶ (namespaces) ─▶ Landlock + seccomp ─▶ the program
//! ```
//!
//! Invariants: a wrapped program runs under its whole policy or not at all; what is
//! confined is a new process, which gives up its rights before it becomes the program
//! and can never have them back; a policy only says what is allowed, everything else
//! is not. Whether the system can enforce that is found out by trying ([`available`]).

#[cfg(target_os = "linux")]
mod confine;
mod launch;
mod left;
mod policy;
mod probe;
mod surroundings;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use launch::SUBCOMMAND;
pub use left::left_over;
pub use policy::{Mode, Policy, Roots};
pub use probe::{Attempt, Report, Tier, available};

use crate::process::{Environment, Inherit, Spec, Wrapper};
use launch::Launch;

/// Why a program is not started under a policy: what is missing, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox cannot be had here: {problem}; {help}")]
pub struct Unavailable {
    /// What is missing.
    pub problem: String,
    /// What to do.
    pub help: String,
}

/// Who puts programs under their policies; a cheap handle.
#[derive(Debug, Clone)]
pub struct Sandbox(Arc<How>);

#[derive(Debug)]
enum How {
    /// The person accepted that nothing is enforced.
    Off,
    /// Nobody found out what the system can.
    Untried,
    /// Through this program, as the report says that the system can.
    On { exe: PathBuf, report: Report },
}

impl Sandbox {
    /// One that confines with `exe`, a program that calls [`main`] for its subcommand
    /// [`SUBCOMMAND`] (in general this one), as strongly as `report` found to work.
    pub fn new(exe: PathBuf, report: Report) -> Sandbox {
        Sandbox(Arc::new(How::On { exe, report }))
    }

    /// One that confines nothing: for a person who said so, never for a plan.
    pub fn off() -> Sandbox {
        Sandbox(Arc::new(How::Off))
    }

    /// One that starts nothing that is to be confined: for whoever has nothing of that kind, or did
    /// not find out whether it can be had.
    pub fn untried() -> Sandbox {
        Sandbox(Arc::new(How::Untried))
    }

    /// False where nothing is enforced because the person said so.
    pub fn is_on(&self) -> bool {
        !matches!(&*self.0, How::Off)
    }

    /// The same program, started under a policy.
    ///
    /// What it takes over from this process's environment is the policy's business from then on; what
    /// the spec itself sets stays set. Its standard streams are the only descriptors that it gets.
    /// It has a home and a folder for temporary files of its own, gone when it is.
    ///
    /// # Errors
    /// [`Unavailable`] when the system cannot enforce the policy. Nothing was started.
    pub fn wrap(&self, mut spec: Spec, policy: &Policy) -> Result<Spec, Unavailable> {
        if policy.mode == Mode::Off {
            return Ok(spec);
        }
        let (exe, report) = match &*self.0 {
            How::Off => return Ok(spec),
            How::Untried => {
                return Err(Unavailable {
                    problem: "nobody found out whether it can".to_owned(),
                    help: "this program has to ask `sandbox::available` first".to_owned(),
                });
            }
            How::On { exe, report } => (exe, report),
        };
        let tier = report.tier.ok_or_else(|| report.unavailable())?;
        let protect = policy.protected();
        if let Some(link) = protect.iter().find(|path| path.is_symlink()) {
            return Err(Unavailable {
                problem: format!("`{}` has to stay as it is, and a link cannot be protected", link.display()),
                help: "give the call `isolation: clone` or `sandbox: read-only`".to_owned(),
            });
        }
        if let (Some(first), Tier::Kernel) = (protect.first(), tier) {
            return Err(Unavailable {
                problem: format!(
                    "`{}` has to stay as it is inside a folder that may be written, which needs namespaces{}",
                    first.display(),
                    report.missing.iter().map(|it| format!(" ({it})")).collect::<String>()
                ),
                help: "give the call `isolation: clone` or `sandbox: read-only`, or allow user namespaces; \
                       `--no-sandbox` runs it without protection"
                    .to_owned(),
            });
        }
        let scratch = tempfile::Builder::new().prefix(&left::prefix()).tempdir();
        let scratch = scratch.map_err(|error| Unavailable {
            problem: format!("no private folder in {}: {error}", std::env::temp_dir().display()),
            help: "set TMPDIR to a folder that can be written".to_owned(),
        })?;
        let own = |name: &str| std::env::var_os(name);
        let roots = policy.roots(&own);
        let places = surroundings::furnish(scratch.path(), &roots, &own).map_err(|error| Unavailable {
            problem: format!("its private home cannot be made: {error}"),
            help: "set TMPDIR to a folder that can be written".to_owned(),
        })?;
        let launch = Launch {
            read: roots.read,
            write: roots.write.into_iter().chain([scratch.path().to_owned()]).collect(),
            protect,
            network: policy.network,
            namespaces: tier == Tier::Namespaces,
            lacks: report.lacks,
        };
        let set = surroundings::environment(&spec.env, policy, &places, &own);
        spec.env = Environment { inherit: Inherit::Only(Vec::new()), set: launch::hidden(set) };
        spec.wrapper = Some(Wrapper {
            argv: vec![exe.into(), SUBCOMMAND.into(), launch.to_argument()?],
            stays: launch.namespaces,
        });
        spec.scratch = Some(Arc::new(scratch));
        Ok(spec)
    }
}

/// What `fanout __sandbox` does with the `arguments` after that word. It returns only when the
/// program did not take its place: the exit status to end with.
pub fn main(arguments: impl Iterator<Item = OsString>) -> u8 {
    #[cfg(target_os = "linux")]
    {
        confine::main(arguments.collect())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = arguments.count();
        launch::SETUP_FAILED
    }
}

/// Keeps other processes of this user from reading this one's memory and environment, where its keys are
/// (Linux; root without restrictions still can).
pub fn hide_own_memory() {
    #[cfg(target_os = "linux")]
    {
        // Nothing else depends on it: where it fails, the sandbox alone keeps them out.
        let not = rustix::process::DumpableBehavior::NotDumpable;
        let _ = rustix::process::set_dumpable_behavior(not);
    }
}

/// The file itself, wherever links lead; as it was named where there is none.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
