//! Tool servers: how each is started or reached, and which of them an agent may use.
//!
//! Invariants: a server is either a program or an address; a secret is known by the name of its
//! variable, never by its value.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use super::include::Named;
use super::providers::{address, key_name};
use crate::plan::diagnostic::Diagnostic;
use crate::plan::file::agent::{McpFile, SettingUse};
use crate::plan::load::Load;
use crate::plan::read::{At, Entries, Field};
use crate::plan::record::Record as _;
use crate::plan::suggest::list;
use crate::plan::{McpServer, McpTransport, Setting, code};

/// How long one call of a tool may take, where the plan says nothing.
const TIMEOUT: Duration = Duration::from_secs(120);
/// A server's name is part of the names of its tools, which providers take up to 64 letters long.
const MAX_NAME: usize = 32;
/// Keys that only a program has, and only an address.
const OF_PROGRAM: &[&str] = &["command", "args", "env", "cwd"];
const OF_ADDRESS: &[&str] = &["url", "api_key_env", "headers"];
/// Ends of names whose values are secrets.
const SECRET_ENDS: &[&str] = &["key", "token", "secret", "password", "authorization", "cookie"];

/// The servers that the plan and its includes define.
pub(super) fn all(load: &mut Load<'_>, files: Named<McpFile>) -> IndexMap<String, McpServer> {
    let mut servers = IndexMap::new();
    for (name, file) in files.into_values() {
        check_name(load, &name);
        let server = file.and_then(|file| one(load, &name, file));
        servers.extend(server.map(|server| (name.value, server)));
    }
    servers
}

fn check_name(load: &mut Load<'_>, name: &At<String>) {
    let text = &name.value;
    let letters = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !letters || text.is_empty() || text.len() > MAX_NAME {
        let message = format!("`{}` cannot be the name of a tool server", text.escape_debug());
        let help = format!("use letters, digits, `_` and `-`, at most {MAX_NAME} of them");
        load.fault(Diagnostic::error(code::INVALID_ID, name.at, message).help(help));
    }
}

fn one(load: &mut Load<'_>, name: &At<String>, file: McpFile) -> Option<McpServer> {
    let written =
        |keys: &[&'static str]| keys.iter().copied().filter(|key| file.wrote(key)).collect::<Vec<_>>();
    let (of_program, of_address) = (written(OF_PROGRAM), written(OF_ADDRESS));
    if let (Some(one), false) = (of_program.first(), of_address.is_empty()) {
        let quoted: Vec<String> = of_address.iter().map(|key| format!("`{key}`")).collect();
        let message = format!("a tool server with `{one}` has no {}", list(&quoted, "and"));
        let help = "a server is a program (`command`) or an address (`url`), not both";
        load.fault(Diagnostic::error(code::CONTRADICTION, name.at, message).help(help));
        return None;
    }
    let McpFile { command, args, env, cwd, url, api_key_env, headers, timeout, .. } = file;
    let timeout = timeout.map_or(TIMEOUT, |timeout| {
        if timeout.value.0.is_zero() {
            let message = "`timeout` must be more than nothing";
            load.fault(Diagnostic::error(code::OUT_OF_RANGE, timeout.at, message));
        }
        timeout.value.0
    });
    let how = match (command, url) {
        (Some(command), _) => {
            let mut argv = command.value.0;
            if argv.first().is_none_or(String::is_empty) {
                let fault = Diagnostic::error(code::NO_VALUE, command.at, "the command has no program");
                load.fault(fault.help("write `command: [npx, -y, package]`"));
                return None;
            }
            if let [one] = argv.as_slice()
                && one.contains(char::is_whitespace)
            {
                let words: Vec<&str> = one.split_whitespace().collect();
                let message = "a program with arguments is a list";
                let fault = Diagnostic::error(code::WRONG_TYPE, command.at, message);
                load.fault(fault.help(format!("write `command: [{}]`", words.join(", "))));
            }
            argv.extend(args.map_or_else(Vec::new, |args| args.value));
            let env = env.map_or_else(Vec::new, |env| settings(load, env.value, "variable"));
            McpTransport::Stdio { argv, env, cwd: cwd.map_or_else(PathBuf::new, |cwd| cwd.value.into()) }
        }
        (None, Some(url)) => McpTransport::Http {
            url: address(load, &url),
            api_key_env: api_key_env.and_then(|key| key_name(load, &key, "api_key_env")),
            headers: headers.map_or_else(Vec::new, |headers| settings(load, headers.value, "header")),
        },
        (None, None) => {
            let key = if of_address.is_empty() { "command" } else { "url" };
            let message = format!("the tool server `{}` has no `{key}`", name.value);
            let help = "add `command: [program, argument, …]`, or `url: https://host/mcp`";
            load.fault(Diagnostic::error(code::MISSING_KEY, name.at, message).help(help));
            return None;
        }
    };
    Some(McpServer { name: name.value.clone(), at: name.at, how, timeout })
}

/// Variables or headers, each a text or the name of the variable that holds it.
fn settings(load: &mut Load<'_>, entries: Entries<SettingUse>, what: &str) -> Vec<(String, Setting)> {
    let mut settings = Vec::new();
    for (name, value) in entries.0 {
        let Some(value) = value else { continue };
        let usable = match what {
            "header" => name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            _ => !name.value.contains(['=', '\0']),
        };
        if !usable || name.value.is_empty() {
            let message = format!("`{}` cannot be the name of a {what}", name.value.escape_debug());
            load.fault(Diagnostic::error(code::URL, name.at, message));
            continue;
        }
        let setting = match value {
            SettingUse::Text(text) => {
                let lower = name.value.to_ascii_lowercase();
                if !text.is_empty() && SECRET_ENDS.iter().any(|end| lower.ends_with(end)) {
                    let message =
                        format!("the {what} `{}` carries a secret, which a plan must not hold", name.value);
                    let help = format!("name the variable that holds it: `{}: {{ env: NAME }}`", name.value);
                    load.fault(Diagnostic::error(code::SECRET, name.at, message).help(help));
                }
                if text.contains(['\n', '\r', '\0']) {
                    let message = format!("the value of `{}` cannot be that of a {what}", name.value);
                    load.fault(Diagnostic::error(code::URL, name.at, message));
                }
                Setting::Plain(text)
            }
            SettingUse::Named(named) => {
                let Some(variable) =
                    named.env.and_then(|key: Box<Field<String>>| key_name(load, &key, "env"))
                else {
                    continue;
                };
                Setting::Variable(variable)
            }
        };
        settings.push((name.value, setting));
    }
    settings
}
