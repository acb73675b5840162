//! `notify`: who hears of what.

use super::providers::{address, key_name};
use crate::plan::code;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::file::notify::{NotifyFile, TopicWord, WebhookUse};
use crate::plan::file::value::{CommandText, Text};
use crate::plan::load::Load;
use crate::plan::notify::{Address, Notify, Topic, Webhook};
use crate::plan::read::Key;

/// Checks `notify`.
pub(super) fn read(load: &mut Load<'_>, file: Key<NotifyFile>) -> Notify {
    let Some(field) = file else { return Notify::default() };
    let (at, NotifyFile { on, desktop, bell, command, webhook, .. }) = (field.key, field.value);
    let notify = Notify {
        on: on.map_or_else(|| Topic::ALL.to_vec(), |on| on.value.0.into_iter().map(topic).collect()),
        desktop: desktop.is_some_and(|desktop| desktop.value),
        bell: bell.is_some_and(|bell| bell.value),
        command: command.map(|command| program(load, command.value)),
        webhook: webhook.and_then(|webhook| match webhook.value {
            WebhookUse::Url(url) => {
                let field = crate::plan::read::Field { key: webhook.key, at: webhook.at, value: url };
                Some(Webhook { url: Address::Url(address(load, &field)), secret_env: None })
            }
            WebhookUse::Full(file) => {
                let secret_env = file.secret_env.and_then(|name| key_name(load, &name, "secret_env"));
                let url = match (file.url, file.url_env) {
                    (Some(url), None) => Address::Url(address(load, &url)),
                    (None, Some(name)) => Address::Env(key_name(load, &name, "url_env")?),
                    (Some(_), Some(name)) => {
                        let message = "`url` and `url_env` exclude each other";
                        load.fault(
                            Diagnostic::error(code::CONTRADICTION, name.key, message).help("remove one"),
                        );
                        return None;
                    }
                    (None, None) => {
                        let message = "the webhook has no address";
                        let fault = Diagnostic::error(code::MISSING_KEY, webhook.key, message);
                        load.fault(fault.help("add `url`, or `url_env` with the name of a variable"));
                        return None;
                    }
                };
                Some(Webhook { url, secret_env })
            }
        }),
    };
    if !notify.desktop && !notify.bell && notify.command.is_none() && notify.webhook.is_none() {
        let fault = Diagnostic::error(code::MISSING_KEY, at, "`notify` names nobody who would hear of it");
        load.fault(fault.help("add `bell: true`, `desktop: true`, `command` or `webhook`"));
    }
    notify
}

fn topic(word: TopicWord) -> Topic {
    match word {
        TopicWord::Run => Topic::Run,
        TopicWord::Background => Topic::Background,
        TopicWord::Conflict => Topic::Conflict,
        TopicWord::Question => Topic::Question,
        TopicWord::Blocked => Topic::Blocked,
        TopicWord::Budget => Topic::Budget,
    }
}

fn program(load: &mut Load<'_>, command: CommandText) -> Vec<String> {
    let mut plain = |text: Text| {
        if text.text.contains("{{") || text.text.contains("{%") {
            let message = "a template cannot stand here: what happened is on the command's standard input";
            let fault = Diagnostic::error(code::TEMPLATE_NOT_ALLOWED, text.at, message);
            load.fault(
                fault
                    .help("read the JSON there, or the variables FANOUT_NOTICE_TITLE and FANOUT_NOTICE_TEXT"),
            );
        }
        text.text.to_string()
    };
    match command {
        CommandText::Shell(text) => vec!["sh".to_owned(), "-c".to_owned(), plain(text)],
        CommandText::Argv(words) => words.value.into_iter().map(plain).collect(),
    }
}
