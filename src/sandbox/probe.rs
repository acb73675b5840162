//! Finds out what the system can enforce, by trying: a program in the sandbox that tries to get out.
//!
//! Invariant: a tier is only reported when every attempt was made and none succeeded; a system
//! that says it has something, and does not enforce it, has nothing.

use std::ffi::OsString;
use std::fmt;
use std::future::pending;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::launch::{Lacks, SETUP_FAILED};
use super::policy::{Mode, Policy};
use super::{SUBCOMMAND, Sandbox, Unavailable};
use crate::process::{self, Captured, Ended, Exit, Spec};

/// The word after the subcommand for the program that tries to get out.
pub(super) const TRY: &str = "--try";

/// Long enough for a machine under load; it takes some 20 ms.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a sandbox is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Landlock and seccomp, inside namespaces of its own.
    Namespaces,
    /// Landlock and seccomp alone, as in many containers.
    Kernel,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::Namespaces => "Landlock, seccomp and namespaces",
            Tier::Kernel => "Landlock and seccomp, without namespaces",
        })
    }
}

/// One attempt to get out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What was tried: `write a file outside`.
    pub what: String,
    /// True when it was refused.
    pub held: bool,
    /// What the system answered.
    pub answer: String,
}

/// What the system can enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The strongest that held; `None` where there is no sandbox.
    pub tier: Option<Tier>,
    /// What was tried against it, or against the last one that did not hold.
    pub attempts: Vec<Attempt>,
    /// What stands in the way of a stronger one, in sentences without a full stop.
    pub missing: Vec<String>,
    /// What would help; empty where nothing is missing.
    pub help: String,
    pub(super) lacks: Lacks,
}

impl Report {
    /// As the reason why a call is not started.
    pub fn unavailable(&self) -> Unavailable {
        Unavailable { problem: self.missing.join("; "), help: self.help.clone() }
    }
}

/// Tries what the system can enforce, with `exe` as in [`Sandbox::new`]. Never an error: where
/// nothing works, the report says so. Takes some 20 ms.
pub async fn available(exe: &Path) -> Report {
    let lacks = Lacks::pretended();
    let mut missing = Vec::new();
    let mut attempts = Vec::new();
    if !cfg!(target_os = "linux") {
        let missing = vec![format!("there is none for {} yet", std::env::consts::OS)];
        return Report { tier: None, attempts, missing, help: help(&[]), lacks };
    }
    for tier in [Tier::Namespaces, Tier::Kernel] {
        match attempt(exe, tier, lacks).await {
            Ok(tried) if tried.iter().all(|attempt| attempt.held) => {
                let help = if missing.is_empty() { String::new() } else { help(&missing) };
                return Report { tier: Some(tier), attempts: tried, missing, help, lacks };
            }
            Ok(tried) => {
                let open: Vec<&str> = tried.iter().filter(|it| !it.held).map(|it| it.what.as_str()).collect();
                missing.push(format!("with {tier} it is still possible to {}", open.join(", to ")));
                attempts = tried;
            }
            Err(problem) => missing.push(problem),
        }
    }
    missing.dedup();
    let help = help(&missing);
    Report { tier: None, attempts, missing, help, lacks }
}

/// What a person can do about it.
fn help(missing: &[String]) -> String {
    let about = |word: &str| missing.iter().any(|it| it.contains(word));
    let mut ways = Vec::new();
    if !cfg!(target_os = "linux") {
        ways.push("run fanout in a Linux container or virtual machine".to_owned());
    }
    if about("Landlock") {
        ways.push(
            "use a kernel from 6.2 on with Landlock switched on (`landlock` in `lsm=` of its command line), and a \
             container profile that lets its system calls through"
                .to_owned(),
        );
    }
    if about("namespace") {
        ways.push(
            "allow user namespaces (`sysctl kernel.apparmor_restrict_unprivileged_userns=0` on Ubuntu, \
             `kernel.unprivileged_userns_clone=1` on Debian, `user.max_user_namespaces` above 0; in a container \
             `--security-opt seccomp=unconfined`)"
                .to_owned(),
        );
    }
    ways.push("`--no-sandbox` runs without protection".to_owned());
    ways.join(", or ")
}

/// What the program inside is told of the outside.
#[derive(Debug, Serialize, Deserialize)]
struct Outside {
    file: PathBuf,
    folder: PathBuf,
    process: i32,
    port: u16,
}

/// Tries one tier. An error says why it could not be set up.
async fn attempt(exe: &Path, tier: Tier, lacks: Lacks) -> Result<Vec<Attempt>, String> {
    let private = |error: std::io::Error| format!("no temporary folder to try it in: {error}");
    let (workspace, outside) = (tempfile::tempdir().map_err(private)?, tempfile::tempdir().map_err(private)?);
    let file = outside.path().join("secret");
    std::fs::write(&file, "secret").map_err(private)?;
    // Where somebody listens, to be sure that it is the sandbox that refuses.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").ok();
    let port = listener.as_ref().and_then(|it| it.local_addr().ok()).map_or(9, |address| address.port());
    let told =
        Outside { file, folder: outside.path().to_owned(), process: std::process::id().cast_signed(), port };
    let told = serde_json::to_string(&told).map_err(|error| error.to_string())?;
    let report =
        Report { tier: Some(tier), attempts: Vec::new(), missing: Vec::new(), help: String::new(), lacks };
    let policy = Policy {
        mode: Mode::WorkspaceWrite,
        workspace: workspace.path().to_owned(),
        read: vec![exe.to_owned()],
        ..Policy::default()
    };
    let argv = [exe.into(), OsString::from(SUBCOMMAND), TRY.into(), told.into()];
    let spec = Spec { timeout: Some(PATIENCE), ..Spec::new(argv, workspace.path()) };
    let spec = Sandbox::new(exe.to_owned(), report).wrap(spec, &policy).map_err(|it| it.problem)?;
    let ended = process::run(spec, pending(), |_, _| {}).await.map_err(|error| error.to_string())?;
    judge(&ended, tier)
}

fn judge(ended: &Ended, tier: Tier) -> Result<Vec<Attempt>, String> {
    let said = |stream: &Captured| stream.text().trim().to_owned();
    if ended.exit == Exit::Code(0)
        && let Ok(attempts) = serde_json::from_str::<Vec<Attempt>>(&said(&ended.stdout))
        && !attempts.is_empty()
    {
        return Ok(attempts);
    }
    let why = said(&ended.stderr);
    let why = why.rsplit("could not be set up: ").next().unwrap_or_default();
    Err(match ended.exit {
        Exit::Code(code) if code == i32::from(SETUP_FAILED) => why.to_owned(),
        Exit::Code(_) | Exit::Signal(..) => format!("{tier} could not be tried ({:?}) {why}", ended.exit),
    })
}

/// The program inside: tries everything once and prints what came of it. Returns its exit status.
#[cfg(target_os = "linux")]
pub(super) fn inside(told: Option<OsString>) -> u8 {
    let told = told.and_then(|it| it.into_string().ok());
    let Some(outside) = told.and_then(|it| serde_json::from_str::<Outside>(&it).ok()) else { return 1 };
    let attempts = attempts(&outside);
    let printed = serde_json::to_string(&attempts).map(|text| std::io::stdout().write_all(text.as_bytes()));
    u8::from(!matches!(printed, Ok(Ok(()))))
}

#[cfg(target_os = "linux")]
fn attempts(outside: &Outside) -> Vec<Attempt> {
    use rustix::process::{Pid, test_kill_process};
    let parent = format!("/proc/{}", outside.process);
    let signal = || match Pid::from_raw(outside.process) {
        Some(pid) => test_kill_process(pid).map_err(std::io::Error::from),
        None => Ok(()),
    };
    let address = ("127.0.0.1", outside.port);
    vec![
        held("read a file outside", std::fs::read(&outside.file)),
        held("write a file outside", std::fs::write(outside.folder.join("planted"), "x")),
        held(
            "empty a file outside",
            rustix::fs::open(
                &outside.file,
                rustix::fs::OFlags::TRUNC | rustix::fs::OFlags::WRONLY,
                rustix::fs::Mode::empty(),
            )
            .map_err(Into::into),
        ),
        held("read the environment of fanout", std::fs::read(format!("{parent}/environ"))),
        held("read the memory of fanout", std::fs::File::open(format!("{parent}/mem"))),
        held("signal fanout", signal()),
        held("connect by TCP", std::net::TcpStream::connect(address)),
        held(
            "send by UDP",
            std::net::UdpSocket::bind("127.0.0.1:0").and_then(|it| it.send_to(b"x", address)),
        ),
        held("use a unix socket", std::os::unix::net::UnixDatagram::unbound()),
        held("make a namespace", rustix_unshare()),
        held("mount", rustix::mount::mount_bind("/", "/mnt").map_err(Into::into)),
    ]
}

#[cfg(target_os = "linux")]
fn rustix_unshare() -> std::io::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).map_err(std::io::Error::from)
}

#[cfg(target_os = "linux")]
fn held<T>(what: &str, tried: std::io::Result<T>) -> Attempt {
    let (held, answer) = match tried {
        Ok(_) => (false, "it worked".to_owned()),
        // Nobody there, refused, closed: each is a way of not getting out.
        Err(error) if error.kind() == ErrorKind::Interrupted => (false, error.to_string()),
        Err(error) => (true, error.to_string()),
    };
    Attempt { what: what.to_owned(), held, answer }
}
