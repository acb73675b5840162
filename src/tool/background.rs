//! `background_run` and `check_background`: commands that an agent does not wait for.
//!
//! Invariant: a command in the background is allowed, confined and bounded like one in the foreground.

use std::future;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::bash::{answer, command};
use super::jobs::Desk;
use super::shell::Allowed;
use super::{Class, Ground, Heard, Said, Tool, ToolSpec, input};
use crate::process;

/// How long a job may take where the call does not say: it ends with its agent in any case.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Starts a command.
#[derive(Debug)]
pub(super) struct BackgroundRun {
    ground: Arc<Ground>,
    allowed: Allowed,
    desk: Desk,
}

/// Looks at what was started.
#[derive(Debug)]
pub(super) struct CheckBackground {
    desk: Desk,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    command: String,
    timeout_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    id: Option<String>,
}

impl BackgroundRun {
    pub(super) fn new(ground: Arc<Ground>, allowed: Allowed, desk: Desk) -> BackgroundRun {
        BackgroundRun { ground, allowed, desk }
    }
}

impl CheckBackground {
    pub(super) fn new(desk: Desk) -> CheckBackground {
        CheckBackground { desk }
    }
}

impl Tool for BackgroundRun {
    fn spec(&self) -> ToolSpec {
        let description = format!(
            "Starts a command with the shell in the workspace's root and answers its id at once. You are told \
             when it has ended, with its output: go on with something else meanwhile, there is no need to ask. \
             {}",
            self.allowed.told()
        );
        input::spec(
            "background_run",
            &description,
            1,
            &[
                ("command", "string", "The command."),
                ("timeout_seconds", "integer", "It is ended after so many seconds. Default: 3600."),
            ],
        )
    }

    fn class(&self, _: &Value) -> Class {
        Class::Unsafe
    }

    fn writes(&self, _: &Value) -> Option<PathBuf> {
        None
    }

    fn call<'a>(&'a self, input: Value, _: &'a Heard<'a>) -> BoxFuture<'a, Said> {
        let start = || -> Result<String, Said> {
            let Start { command: line, timeout_seconds } = input::read(&self.spec(), input)?;
            let timeout = timeout_seconds.map_or(TIMEOUT, |n| Duration::from_secs(n.max(1)));
            let spec = command(&self.ground, &self.allowed, &line, Some(timeout))?;
            let id = self.desk.start(&line, |prints| {
                async move {
                    let print =
                        |_, bytes: &[u8]| prints.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
                    match process::run(spec, future::pending(), print).await {
                        Ok(ended) => answer(&ended, timeout),
                        Err(error) => Said::error(format!("the command could not be started: {error}")),
                    }
                }
                .boxed()
            });
            let id = id.map_err(Said::error)?;
            Ok(format!("started as `{id}`"))
        };
        let said = start().map_or_else(|said| said, Said::done);
        future::ready(said).boxed()
    }
}

impl Tool for CheckBackground {
    fn spec(&self) -> ToolSpec {
        input::spec(
            "check_background",
            "Says how a background job stands and what it has printed so far; without an id lists all jobs.",
            0,
            &[("id", "string", "The job's id, as `background_run` answered it. Default: all jobs.")],
        )
    }

    fn class(&self, _: &Value) -> Class {
        Class::Pure
    }

    fn writes(&self, _: &Value) -> Option<PathBuf> {
        None
    }

    fn call<'a>(&'a self, input: Value, _: &'a Heard<'a>) -> BoxFuture<'a, Said> {
        let look = || -> Result<String, Said> {
            let Look { id } = input::read(&self.spec(), input)?;
            self.desk.look(id.as_deref()).map_err(Said::error)
        };
        future::ready(look().map_or_else(|said| said, Said::done)).boxed()
    }
}
