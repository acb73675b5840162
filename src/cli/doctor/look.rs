//! Looks at each thing: is it there, does it start, does it listen.
//!
//! Invariant: everything is looked at side by side and within its own bound; a thing that hangs is
//! not usable, and holds nobody up.

use std::ffi::OsStr;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use reqwest::Url;

use super::needs::Needs;
use super::{Finding, Kind};
use crate::cli::open_files;
use crate::cli::run::root;
use crate::cli::terminal::Terminal;
use crate::plan::{COMMON_VARIABLES, Plan, Program, Provider};
use crate::process::{self, EndedBy, Environment, Exit, Inherit, Spec};
use crate::sandbox;

/// How long a program may take to say its version: some start a runtime first.
const VERSION: Duration = Duration::from_secs(20);
/// How long a provider may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Looks at everything that is to be looked at, in the order of the listing.
pub(super) async fn look(needs: &Needs, terminal: &Terminal) -> Vec<Finding> {
    let programs = join_all(needs.programs.iter().map(|(name, needed)| program(name, *needed)));
    let providers = join_all(needs.providers.values().map(|(it, needed)| provider(it, *needed)));
    let machine = async {
        match needs.machine {
            true => Some(futures::join!(sandbox(), git())),
            false => None,
        }
    };
    let (programs, mut providers, machine) = futures::join!(programs, providers, machine);
    for group in &needs.either {
        let of_group = |finding: &&mut Finding| group.contains(&finding.name);
        if !providers.iter().any(|finding| finding.usable && group.contains(&finding.name)) {
            providers.iter_mut().filter(of_group).for_each(|finding| finding.needed = true);
        }
    }
    let mut findings = programs;
    findings.extend(needs.keys.iter().map(|(name, users)| key(name, users)));
    findings.extend(providers);
    findings.extend(machine.into_iter().flat_map(|(sandbox, git)| [sandbox, git]));
    findings.push(state());
    if needs.machine {
        findings.push(screen(terminal));
    }
    findings
}

async fn program(name: &str, needed: bool) -> Finding {
    let known = Program::started_by(&[name.to_owned()]);
    let finding = |usable, detail: String, help: String| Finding {
        kind: Kind::Program,
        name: name.to_owned(),
        usable,
        needed,
        detail,
        help,
    };
    let Some(path) = find(name) else {
        let help = match known {
            Some(program) => program.install().to_owned(),
            None => "install it, or correct the path in the plan".to_owned(),
        };
        return finding(false, "not found".to_owned(), help);
    };
    // An unknown program may do anything when it is asked for its version.
    if known.is_none() {
        return finding(true, path.display().to_string(), String::new());
    }
    match version(&path).await {
        Ok(version) => finding(true, format!("{version}  {}", path.display()), String::new()),
        Err(problem) => {
            let help = format!("run `{name} --version`, or install it again");
            finding(false, format!("{problem}  {}", path.display()), help)
        }
    }
}

/// The first line that a program says to `--version`, or why it says none.
async fn version(path: &Path) -> Result<String, String> {
    let base = Spec::new([path.as_os_str(), OsStr::new("--version")], std::env::temp_dir());
    let spec = Spec {
        env: Environment {
            inherit: Inherit::Only(COMMON_VARIABLES.iter().map(|name| (*name).to_owned()).collect()),
            set: Vec::new(),
        },
        timeout: Some(VERSION),
        grace: Duration::from_millis(500),
        ..base
    };
    let ended = process::run(spec, pending(), |_, _: &[u8]| {}).await.map_err(|error| error.to_string())?;
    let (out, err) = (ended.stdout.text(), ended.stderr.text());
    let first = |text: &str| text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
    match (ended.ended_by, ended.exit) {
        (EndedBy::Timeout, _) => Err(format!("does not answer within {} s", VERSION.as_secs())),
        (_, Exit::Code(0)) => Ok(first(&out).unwrap_or_else(|| "version unknown".to_owned())),
        (_, exit) => {
            let status = exit.status();
            Err(first(&err).unwrap_or_else(|| format!("`--version` ends with exit status {status}")))
        }
    }
}

/// Where a program is: a name in `PATH`, or a path.
fn find(name: &str) -> Option<PathBuf> {
    let usable = |path: &PathBuf| path.is_file() && executable(path);
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(usable);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(usable)
}

#[cfg(unix)]
fn executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn executable(_: &Path) -> bool {
    true
}

/// Keys of programs: they may be logged in without one.
fn key(name: &str, users: &str) -> Finding {
    let set = is_set(name);
    let detail = if set { format!("set; for {users}") } else { format!("not set; for {users}") };
    let help = if set { String::new() } else { format!("export {name}=…, or log in with the program") };
    Finding { kind: Kind::Key, name: name.to_owned(), usable: set, needed: false, detail, help }
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// A provider is usable when its key is set and its address accepts connections. Nothing is sent.
async fn provider(provider: &Provider, needed: bool) -> Finding {
    let finding = |usable, detail: String, help: String| Finding {
        kind: Kind::Provider,
        name: provider.name.clone(),
        usable,
        needed,
        detail,
        help,
    };
    let Some((host, port)) = address(&provider.base_url) else {
        return finding(
            false,
            format!("`{}` is no address", provider.base_url),
            "correct `base_url`".to_owned(),
        );
    };
    let place = format!("{host}:{port}");
    if let Some(key) = provider.api_key_env.as_deref().filter(|key| !is_set(key)) {
        return finding(false, format!("{key} is not set; {place}"), format!("export {key}=…"));
    }
    let key =
        provider.api_key_env.as_deref().map_or("no key needed".to_owned(), |key| format!("{key} is set"));
    if let Some(proxy) = crate::model::on_the_way(&provider.base_url) {
        return finding(true, format!("{key}; {place} through the proxy {proxy}, not tried"), String::new());
    }
    let connection = tokio::net::TcpStream::connect((host.trim_matches(['[', ']']), port));
    match tokio::time::timeout(CONNECT, connection).await {
        Ok(Ok(_)) => finding(true, format!("{key}; {place} accepts connections"), String::new()),
        Ok(Err(error)) => finding(
            false,
            format!("{key}; {place}: {error}"),
            "start the server, or correct its address".to_owned(),
        ),
        Err(_) => {
            let detail = format!("{key}; {place} does not answer within {} s", CONNECT.as_secs());
            finding(false, detail, "see whether the network reaches it".to_owned())
        }
    }
}

fn address(base_url: &str) -> Option<(String, u16)> {
    let url = Url::parse(base_url).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}

/// What keeps agents from what is not theirs.
async fn sandbox() -> Finding {
    let finding = |usable, detail: String, help: String| Finding {
        kind: Kind::Sandbox,
        name: "sandbox".to_owned(),
        usable,
        needed: false,
        detail,
        help,
    };
    let exe = match std::env::current_exe() {
        Ok(exe) => exe,
        Err(error) => return finding(false, format!("fanout does not find itself: {error}"), String::new()),
    };
    let report = sandbox::available(&exe).await;
    match report.tier {
        Some(tier) => finding(true, tier.to_string(), report.help),
        None => finding(false, report.missing.join("; "), report.help),
    }
}

async fn git() -> Finding {
    let finding = |usable, detail: String, help: &str| Finding {
        kind: Kind::Git,
        name: "git".to_owned(),
        usable,
        needed: false,
        detail,
        help: help.to_owned(),
    };
    match find("git") {
        None => {
            finding(false, "not found".to_owned(), "install git for calls that work in a worktree or clone")
        }
        Some(path) => match version(&path).await {
            Ok(version) => finding(true, version, ""),
            Err(problem) => finding(false, problem, "run `git --version`"),
        },
    }
}

/// The folder in which runs are kept.
fn state() -> Finding {
    let folder = root().join(".fanout");
    let there = folder.ancestors().find(|it| it.is_dir() || it.as_os_str().is_empty());
    let there = there.filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let tried = tempfile::tempfile_in(there);
    let (usable, detail, help) = match tried {
        Ok(_) => (true, format!("{} can be written", folder.display()), ""),
        Err(error) => {
            let detail = format!("{} cannot be written: {error}", folder.display());
            (false, detail, "set FANOUT_DIR to a folder that can")
        }
    };
    Finding {
        kind: Kind::State,
        name: "state".to_owned(),
        usable,
        needed: true,
        detail,
        help: help.to_owned(),
    }
}

/// Where fewer calls than the plan says can have their files open.
pub(super) fn files(plan: &Plan) -> Option<Finding> {
    let most = process::raise_open_files()?;
    let room = open_files::room(plan, Some(most));
    room.warning.is_some().then(|| Finding {
        kind: Kind::Limit,
        name: "open files".to_owned(),
        usable: false,
        needed: false,
        detail: format!("{most}, room for {} calls at once of {}", room.at_once, plan.limits.concurrency),
        help: open_files::HELP.to_owned(),
    })
}

/// Whether progress is drawn and questions can be asked.
fn screen(terminal: &Terminal) -> Finding {
    let detail = match (terminal.can_redraw(), terminal.can_ask()) {
        (true, true) => "progress is drawn, and questions can be answered",
        (true, false) => "progress is drawn; questions are answered by `--answer` only",
        (false, true) => "progress comes as plain lines; questions can be answered",
        (false, false) => {
            "none: progress comes as plain lines, and questions are answered by `--answer` only"
        }
    };
    let (name, detail) = ("terminal".to_owned(), detail.to_owned());
    Finding { kind: Kind::Terminal, name, usable: true, needed: false, detail, help: String::new() }
}
