//! A command that may take long, run to its end: what whoever keeps background jobs runs them with.
//!
//! Invariant: allowed, confined and bounded like one of `bash`; what is not allowed is refused at once.

use std::future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::bash::{answer, command};
use super::kit::allowed;
use super::shell::Allowed;
use super::{Class, Ground, Heard, Said, Tool, ToolSpec, input};
use crate::plan::ToolGrant;
use crate::process;

/// How long it may take where the call does not say: it ends with its agent in any case.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Runs a command to its end, under the name `background_run`.
#[derive(Debug)]
struct Lasting {
    ground: Arc<Ground>,
    allowed: Allowed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    command: String,
    timeout_seconds: Option<u64>,
}

/// The tool with which the background commands of an agent with these grants are run: its call
/// comes back when the command has ended.
pub fn lasting(grants: &[ToolGrant], ground: Arc<Ground>) -> Arc<dyn Tool> {
    Arc::new(Lasting { ground, allowed: allowed(grants) })
}

impl Tool for Lasting {
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

    fn call<'a>(&'a self, input: Value, heard: &'a Heard<'a>) -> BoxFuture<'a, Said> {
        let start = || -> Result<_, Said> {
            let Start { command: line, timeout_seconds } = input::read(&self.spec(), input)?;
            let timeout = timeout_seconds.map_or(TIMEOUT, |n| Duration::from_secs(n.max(1)));
            Ok((command(&self.ground, &self.allowed, &line, Some(timeout))?, timeout))
        };
        match start() {
            Err(said) => future::ready(said).boxed(),
            Ok((spec, timeout)) => async move {
                let print = |_, bytes: &[u8]| heard(&String::from_utf8_lossy(bytes));
                match process::run(spec, future::pending(), print).await {
                    Ok(ended) => answer(&ended, timeout),
                    Err(error) => Said::error(format!("the command could not be started: {error}")),
                }
            }
            .boxed(),
        }
    }
}
