//! `bash`, and the command of a `background_run`: one command in the workspace.
//!
//! Invariants: what is not allowed is not started; a command has no input, no terminal and an end;
//! whatever it prints, what is held and said is bounded; nothing of it is left when it is over.

use std::ffi::OsString;
use std::future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::shell::{Allowed, only_reads};
use super::{Class, Ground, Heard, Said, Tool, ToolSpec, head, input};
use crate::process::{self, Ended, EndedBy, Exit, Keep, Spec};

/// How long a command may take where the call does not say.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The longest that a call can ask for.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);
/// What is kept of each stream: of a long output the beginning and the end say most.
const KEEP: Keep = Keep { head: 24 * 1024, tail: 24 * 1024 };
/// How long a command may clean up after its time is over.
const GRACE: Duration = Duration::from_secs(2);

/// How long a command in the background may take where the call does not say: it ends with its agent
/// in any case.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// The longest that a call can ask for there.
const MAX_BACKGROUND_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs commands.
#[derive(Debug)]
pub(super) struct Bash {
    ground: Arc<Ground>,
    allowed: Allowed,
    background: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    command: String,
    timeout_seconds: Option<u64>,
}

impl Bash {
    /// Commands that the agent waits for.
    pub(super) fn new(ground: Arc<Ground>, allowed: Allowed) -> Bash {
        Bash { ground, allowed, background: false }
    }

    /// Commands that it does not wait for: a call ends when its command does, all the same, and
    /// whoever makes the call sees to the rest.
    pub(super) fn background(ground: Arc<Ground>, allowed: Allowed) -> Bash {
        Bash { ground, allowed, background: true }
    }

    fn timeout(&self, seconds: Option<u64>) -> Duration {
        let (otherwise, most) = match self.background {
            true => (BACKGROUND_TIMEOUT, MAX_BACKGROUND_TIMEOUT),
            false => (TIMEOUT, MAX_TIMEOUT),
        };
        seconds.map_or(otherwise, |seconds| Duration::from_secs(seconds.max(1)).min(most))
    }
}

impl Tool for Bash {
    fn spec(&self) -> ToolSpec {
        let allowed = self.allowed.told();
        if self.background {
            let description = format!(
                "Starts a command with the shell in the workspace's root and answers its id at once. You are \
                 told when it has ended, with its output: go on with something else meanwhile. {allowed}"
            );
            let timeout = "It is ended after so many seconds. Default: 3600.";
            let properties = [("command", "string", "The command."), ("timeout_seconds", "integer", timeout)];
            return input::spec("background_run", &description, 1, &properties);
        }
        let description = format!(
            "Runs a command with the shell in the workspace's root and answers its output and exit status. It \
             has no input and no terminal; each call is a shell of its own. Of long output the beginning and \
             the end are shown. {allowed}"
        );
        let timeout = "It is ended after so many seconds, at most 600. Default: 120.";
        let properties = [("command", "string", "The command."), ("timeout_seconds", "integer", timeout)];
        input::spec("bash", &description, 1, &properties)
    }

    fn class(&self, input: &Value) -> Class {
        let line = input.get("command").and_then(Value::as_str).unwrap_or("");
        if line.is_empty() || only_reads(line) { Class::Pure } else { Class::Unsafe }
    }

    fn writes(&self, _: &Value) -> Option<PathBuf> {
        None
    }

    fn call<'a>(&'a self, input: Value, heard: &'a Heard<'a>) -> BoxFuture<'a, Said> {
        async move {
            let input: Input = match input::read(&self.spec(), input) {
                Ok(input) => input,
                Err(said) => return said,
            };
            let timeout = self.timeout(input.timeout_seconds);
            let spec = match command(&self.ground, &self.allowed, &input.command, timeout) {
                Ok(spec) => spec,
                Err(said) => return said,
            };
            let mut lines = Lines::default();
            match process::run(spec, future::pending(), |_, bytes| lines.hear(bytes, heard)).await {
                Ok(ended) => answer(&ended, timeout),
                Err(error) => Said::error(format!("the command could not be started: {error}")),
            }
        }
        .boxed()
    }
}

/// A shell with a command line, as the ground starts it; or why it is not started.
fn command(ground: &Ground, allowed: &Allowed, line: &str, timeout: Duration) -> Result<Spec, Said> {
    if line.trim().is_empty() {
        return Err(Said::error("there is no command"));
    }
    if line.contains('\0') {
        return Err(Said::error("the command holds a NUL character"));
    }
    allowed.check(line).map_err(Said::error)?;
    if ground.read_only && !ground.enforced && !only_reads(line) {
        return Err(Said::error(
            "nothing can be written here, and nothing keeps this command from writing: only commands that are \
             known to read (`ls`, `cat`, `git log`, …) are run",
        ));
    }
    let mut spec = Spec::new(["sh", "-c", line], ground.root());
    if let Some(bash) = ground.bash() {
        spec.argv = vec![bash.into(), "--noprofile".into(), "--norc".into(), "-c".into(), line.into()];
    }
    spec.env = ground.env.clone();
    for (name, value) in
        [("TERM", "dumb"), ("PAGER", "cat"), ("GIT_PAGER", "cat"), ("GIT_TERMINAL_PROMPT", "0")]
    {
        if !spec.env.set.iter().any(|(set, _)| set == name) {
            spec.env.set.push((OsString::from(name), OsString::from(value)));
        }
    }
    spec.timeout = Some(timeout);
    spec.grace = GRACE;
    spec.keep = KEEP;
    spec.marker.1.clone_from(&ground.run_id);
    spec.reaper.clone_from(&ground.reaper);
    (ground.wrap)(spec)
        .map_err(|problem| Said::error(format!("the command could not be confined: {problem}")))
}

/// What a command that has ended says.
fn answer(ended: &Ended, timeout: Duration) -> Said {
    let mut text = ended.stdout.text().trim_end().to_owned();
    let stderr = ended.stderr.text();
    if !stderr.trim().is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("[stderr]\n");
        text.push_str(stderr.trim_end());
    }
    let how = match (ended.ended_by, ended.exit) {
        (EndedBy::Timeout | EndedBy::Idle, _) => Some(format!(
            "ended after {} s, its timeout; for a longer one set `timeout_seconds`",
            timeout.as_secs()
        )),
        (EndedBy::Stopped, _) => Some("stopped".to_owned()),
        (EndedBy::Itself, Exit::Code(0)) => None,
        (EndedBy::Itself, Exit::Code(code)) => Some(format!("exit status {code}")),
        (EndedBy::Itself, Exit::Signal(_, name)) => Some(format!("killed by {name}")),
    };
    let failed = how.is_some();
    let left = match ended.leaked {
        0 => None,
        n => Some(format!("{n} processes that it left behind were ended")),
    };
    for line in [how, left].into_iter().flatten() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("[{line}]"));
    }
    if text.is_empty() {
        text.push_str("(no output)");
    }
    if failed { Said::error(text) } else { Said::done(text) }
}

/// Output as lines, for people who look on.
#[derive(Debug, Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// The most of a line that is told.
    const MOST: usize = 400;

    fn hear(&mut self, bytes: &[u8], heard: &Heard<'_>) {
        // A flood is told by its last line.
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            let room = Lines::MOST.saturating_sub(self.begun.len());
            self.begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
            return;
        };
        let (done, begun) = (&bytes[..end], &bytes[end + 1..]);
        let line = match done.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => done[at + 1..].to_vec(),
            None => [self.begun.as_slice(), done].concat(),
        };
        self.begun = begun[..begun.len().min(Lines::MOST)].to_vec();
        let line = String::from_utf8_lossy(&line[..line.len().min(Lines::MOST)]);
        let line = head(line.trim(), Lines::MOST);
        if !line.is_empty() {
            heard(line);
        }
    }
}
