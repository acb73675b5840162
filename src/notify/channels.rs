//! The ways out: terminal, desktop, a command, a webhook.
//!
//! Invariant: a way out that is not there says so; it is never an error of the run.

use std::time::Duration;

use super::webhook::Hook;
use super::{Notice, Surroundings};
use crate::outcome::Cause;
use crate::plan::notify::Notify;
use crate::process::{self, Input, Spec};

/// How long a program may take to pass a notice on.
const PROGRAM: Duration = Duration::from_secs(10);

/// One way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Bell,
    Desktop,
    Command,
    Webhook,
}

impl Channel {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Channel::Bell => "bell",
            Channel::Desktop => "desktop",
            Channel::Command => "command",
            Channel::Webhook => "webhook",
        }
    }
}

/// How a delivery went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivered {
    pub(super) attempts: u32,
    pub(super) cause: Option<Cause>,
}

impl Delivered {
    fn once(result: Result<(), Cause>) -> Delivered {
        Delivered { attempts: 1, cause: result.err() }
    }
}

/// The ways out of one run.
pub(super) struct Post<'a> {
    settings: &'a Notify,
    pub(super) surroundings: &'a Surroundings,
    hook: Option<Hook>,
}

impl<'a> Post<'a> {
    pub(super) fn new(settings: &'a Notify, surroundings: &'a Surroundings) -> Post<'a> {
        let hook = settings.webhook.as_ref().map(|webhook| Hook::new(webhook, &*surroundings.variable));
        Post { settings, surroundings, hook }
    }

    /// The ways out that the plan names.
    pub(super) fn channels(&self) -> impl Iterator<Item = Channel> + use<> {
        [
            (Channel::Bell, self.settings.bell),
            (Channel::Desktop, self.settings.desktop),
            (Channel::Command, self.settings.command.is_some()),
            (Channel::Webhook, self.settings.webhook.is_some()),
        ]
        .into_iter()
        .filter_map(|(channel, wanted)| wanted.then_some(channel))
    }

    /// Sends a notice one way.
    pub(super) async fn send(&self, to: Channel, notice: &Notice) -> Delivered {
        match to {
            Channel::Bell => {
                let rang = (self.surroundings.bell)(notice);
                let cause = || Cause::new("no_terminal", "standard error is no terminal");
                Delivered::once(if rang { Ok(()) } else { Err(cause()) })
            }
            Channel::Desktop => Delivered::once(self.desktop(notice).await),
            Channel::Command => {
                let argv = self.settings.command.clone().unwrap_or_default();
                Delivered::once(self.program(argv, notice).await)
            }
            Channel::Webhook => match &self.hook {
                Some(hook) => hook.send(notice).await,
                None => Delivered { attempts: 0, cause: None },
            },
        }
    }

    async fn desktop(&self, notice: &Notice) -> Result<(), Cause> {
        let has = |name: &str| (self.surroundings.variable)(name).is_some_and(|value| !value.is_empty());
        let Notice { title, text, .. } = notice;
        let argv = if cfg!(target_os = "macos") {
            let script =
                "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run";
            ["osascript", "-e", script, title, text].map(str::to_owned).to_vec()
        } else if has("DISPLAY") || has("WAYLAND_DISPLAY") {
            ["notify-send", "--app-name=fanout", "--", title, text].map(str::to_owned).to_vec()
        } else {
            return Err(Cause::new(
                "no_desktop",
                "there is no desktop here: neither DISPLAY nor WAYLAND_DISPLAY is set",
            ));
        };
        self.program(argv, notice).await
    }

    /// Runs a program with the message on its standard input.
    async fn program(&self, argv: Vec<String>, notice: &Notice) -> Result<(), Cause> {
        let shown = argv.first().cloned().unwrap_or_default();
        let base = Spec::new(argv, &self.surroundings.dir);
        let set = [
            ("FANOUT_NOTICE", notice.topic.as_str()),
            ("FANOUT_NOTICE_TITLE", &notice.title),
            ("FANOUT_NOTICE_TEXT", &notice.text),
        ];
        let spec = Spec {
            stdin: Input::Bytes(notice.json().to_string().into_bytes()),
            timeout: Some(PROGRAM),
            env: process::Environment {
                set: set.map(|(name, value)| (name.into(), value.replace('\0', "").into())).to_vec(),
                ..process::Environment::default()
            },
            marker: (base.marker.0.clone(), self.surroundings.journal.run().to_string()),
            reaper: self.surroundings.reaper.clone(),
            ..base
        };
        let ended = process::run(spec, std::future::pending(), |_, _| {}).await;
        let ended = ended.map_err(|error| Cause::new(error.code(), error.to_string()))?;
        match ended.ended_by {
            process::EndedBy::Timeout | process::EndedBy::Idle | process::EndedBy::Stopped => {
                let message = format!("`{shown}` took longer than {} s", PROGRAM.as_secs());
                Err(Cause::new("timeout", message))
            }
            process::EndedBy::Itself if ended.exit.is_success() => Ok(()),
            process::EndedBy::Itself => {
                let said = ended.stderr.text();
                let said: String = said.trim().chars().take(200).collect();
                let message = format!("`{shown}` ended with status {}: {said}", ended.exit.status());
                Err(Cause::new("exit_status", message.trim_end_matches([':', ' ']).to_owned()))
            }
        }
    }
}
