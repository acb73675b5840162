//! The lint on agents that read what strangers wrote, reach secrets, and have a way out.
//!
//! Whoever writes what an agent reads may make it do anything that it can do: no prompt prevents that. Two of the
//! three are safe, all three on one path are not.
//!
//! Invariant: what is not known of a program is taken to be harmless here; the sandbox is what
//! protects, this only says where it is missing. One pass over the calls in the order of their turns.

use serde_json::Value;

use super::{UNTRUSTED_TO_OUTSIDE, agent_of};
use crate::graph::CallGraph;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::{Action, AgentKind, Call, Command, CommandAgent, ModelAgent, Plan, ToolGrant};

/// Programs, and the word after them, that bring in what others wrote.
const FETCH: &[(&str, &[&str])] = &[
    ("curl", &[]),
    ("wget", &[]),
    ("http", &[]),
    ("lynx", &[]),
    ("gh", &["api", "issue", "pr", "run", "search"]),
    ("glab", &["api", "issue", "mr"]),
    ("git", &["fetch", "clone", "pull"]),
];
/// Programs, and the word after them, that hand something out.
const SEND: &[(&str, &[&str])] = &[
    ("curl", &[]),
    ("wget", &[]),
    ("http", &[]),
    ("scp", &[]),
    ("rsync", &[]),
    ("ssh", &[]),
    ("sendmail", &[]),
    ("mail", &[]),
    ("gh", &["api", "issue", "pr", "release", "gist"]),
    ("glab", &["api", "issue", "mr"]),
    ("git", &["push"]),
    ("npm", &["publish"]),
    ("cargo", &["publish"]),
    ("docker", &["push"]),
];
/// Arguments with which a command-line agent reads the web or tool servers.
const READS_THE_WEB: &[&str] = &["WebFetch", "WebSearch", "--search", "--mcp-config"];
/// Parts of the names of variables that hold secrets.
const SECRETS: &[&str] = &["KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL"];
/// Places in a home that hold secrets.
const SECRET_PLACES: &[&str] =
    &[".ssh", ".aws", ".gnupg", ".netrc", ".config", ".kube", ".docker", ".npmrc", ".git-credentials"];

/// What is on the way to a call, each with the call that brought it.
#[derive(Debug, Clone, Copy, Default)]
struct Carried {
    untrusted: Option<usize>,
    secret: Option<usize>,
}

pub(super) fn lint(plan: &Plan, graph: &CallGraph, found: &mut Vec<Diagnostic>) {
    let mut carried = vec![Carried::default(); plan.calls.len()];
    for position in graph.order() {
        let Some(call) = plan.calls.get(position) else { continue };
        let mut mine = Carried::default();
        for need in call.needs.iter().filter(|need| need.data) {
            let Some(theirs) = carried.get(need.call).filter(|_| tells_freely(plan, need.call)) else {
                continue;
            };
            mine.untrusted = mine.untrusted.or(theirs.untrusted);
            mine.secret = mine.secret.or(theirs.secret);
        }
        if brings_in(call) {
            mine.untrusted = Some(position);
        }
        if reaches_secrets(call) && agent_of(call).is_some() {
            mine.secret = Some(position);
        }
        if let (Some(untrusted), Some(secret), true) = (mine.untrusted, mine.secret, has_a_way_out(call)) {
            found.push(finding(plan, call, untrusted, secret));
            // Said once for a path.
            mine = Carried::default();
        }
        if let Some(slot) = carried.get_mut(position) {
            *slot = mine;
        }
    }
}

fn finding(plan: &Plan, call: &Call, untrusted: usize, secret: usize) -> Diagnostic {
    let named = |position: usize| plan.calls.get(position).map_or("", |call| call.id.as_str());
    let message = format!(
        "`{}` has a way out, on a path with what strangers wrote (`{}`) and with secrets (`{}`)",
        call.id,
        named(untrusted),
        named(secret)
    );
    let mut warning = Diagnostic::warning(UNTRUSTED_TO_OUTSIDE, call.at, message)
        .label("whoever wrote that text may decide what goes out here")
        .help(
            "take one of the three away: `sandbox: workspace-write` (no network, no keys, no home), a tool or variable \
             less, or an `output: { schema: … }` without free text between them",
        );
    for (position, what) in
        [(untrusted, "what strangers wrote comes in here"), (secret, "this reaches secrets")]
    {
        if let Some(other) = plan.calls.get(position).filter(|other| other.id != call.id) {
            warning = warning.related(other.at, what);
        }
    }
    warning
}

/// True where the network is open to a call's programs.
fn is_online(call: &Call) -> bool {
    !call.sandbox.is_on() || call.sandbox.network
}

fn brings_in(call: &Call) -> bool {
    if let Action::Run(command) = &call.action {
        return is_online(call) && runs(command, FETCH);
    }
    match agent_of(call).map(|agent| &agent.kind) {
        Some(AgentKind::Model(model)) => uses_servers(model) || bash_reaches(call, model, FETCH),
        Some(AgentKind::Command(agent)) => is_online(call) && reads_the_web(agent),
        None => false,
    }
}

fn has_a_way_out(call: &Call) -> bool {
    if let Action::Run(command) = &call.action {
        return is_online(call) && runs(command, SEND);
    }
    match agent_of(call).map(|agent| &agent.kind) {
        Some(AgentKind::Model(model)) => uses_servers(model) || bash_reaches(call, model, SEND),
        Some(AgentKind::Command(_)) => is_online(call),
        None => false,
    }
}

/// An agent that is not confined reads what the person can; one that is has what the plan gives it.
fn reaches_secrets(call: &Call) -> bool {
    let is_program = agent_of(call).is_some_and(|agent| matches!(agent.kind, AgentKind::Command(_)));
    if is_program && !call.sandbox.is_on() {
        return true;
    }
    let is_secret = |name: &str| SECRETS.iter().any(|part| name.to_ascii_uppercase().contains(part));
    call.sandbox.env.iter().any(|name| is_secret(name))
        || call.env.iter().any(|(name, _)| is_secret(name))
        || call.sandbox.read.iter().chain(&call.sandbox.write).any(|path| {
            let place = path.strip_prefix("~/").unwrap_or_default();
            SECRET_PLACES.iter().any(|secret| place.starts_with(secret))
        })
}

fn uses_servers(model: &ModelAgent) -> bool {
    model.tools.iter().any(|tool| matches!(tool, ToolGrant::Mcp { .. }))
}

/// Whether an agent's commands reach the network: any, or one of `programs`.
fn bash_reaches(call: &Call, model: &ModelAgent, programs: &[(&str, &[&str])]) -> bool {
    call.sandbox.network
        && model.tools.iter().any(|tool| match tool {
            ToolGrant::Bash(None) | ToolGrant::BackgroundRun => true,
            ToolGrant::Bash(Some(pattern)) => {
                let words: Vec<&str> = pattern.words().iter().map(String::as_str).collect();
                is_one_of(&words, programs)
            }
            ToolGrant::Read
            | ToolGrant::Write
            | ToolGrant::Edit
            | ToolGrant::Grep
            | ToolGrant::Glob
            | ToolGrant::List
            | ToolGrant::CheckBackground
            | ToolGrant::Agent
            | ToolGrant::Mcp { .. } => false,
        })
}

fn reads_the_web(agent: &CommandAgent) -> bool {
    agent.argv.iter().skip(1).any(|argument| READS_THE_WEB.iter().any(|word| argument.contains(word)))
}

/// Whether one of the commands of a script or list is one of these.
fn runs(command: &Command, programs: &[(&str, &[&str])]) -> bool {
    match command {
        Command::Shell(text) => text.source.split([';', '|', '&', '\n', '(', ')', '`']).any(|part| {
            let words: Vec<&str> = part.split_whitespace().collect();
            is_one_of(&words, programs)
        }),
        Command::Argv(words) => {
            let words: Vec<&str> = words.iter().map(|word| word.source.as_ref()).collect();
            is_one_of(&words, programs)
        }
    }
}

fn is_one_of(words: &[&str], programs: &[(&str, &[&str])]) -> bool {
    let Some((first, rest)) = words.split_first() else { return false };
    programs.iter().any(|(name, parts)| {
        first == name
            && (parts.is_empty() || rest.first().is_some_and(|word| parts.contains(word) || *word == "*"))
    })
}

/// Whether what a call returns can be text of anybody's choice: not where a schema leaves only
/// numbers, truth values and words that it lists.
fn tells_freely(plan: &Plan, position: usize) -> bool {
    let schema = plan.calls.get(position).and_then(|call| call.output.schema.as_ref());
    schema.is_none_or(|schema| has_free_text(schema))
}

fn has_free_text(schema: &Value) -> bool {
    let Value::Object(keys) = schema else { return true };
    if keys.contains_key("enum") || keys.contains_key("const") {
        return false;
    }
    match keys.get("type").and_then(Value::as_str) {
        Some("number" | "integer" | "boolean" | "null") => false,
        Some("array") => keys.get("items").is_none_or(has_free_text),
        Some("object") => {
            let closed = keys.get("additionalProperties") == Some(&Value::Bool(false));
            let properties = keys.get("properties").and_then(Value::as_object);
            !closed || properties.is_none_or(|all| all.values().any(has_free_text))
        }
        Some(_) | None => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_of_numbers_and_listed_words_leaves_no_room_for_text() {
        let closed = json!({"type": "object", "additionalProperties": false, "properties": {
            "severity": {"enum": ["low", "high"]}, "lines": {"type": "array", "items": {"type": "integer"}}}});
        assert!(!has_free_text(&closed));
        for open in [
            json!({"type": "object", "properties": {"severity": {"enum": ["low"]}}}),
            json!({"type": "object", "additionalProperties": false, "properties": {"why": {"type": "string"}}}),
            json!({"type": "array"}),
            json!(true),
        ] {
            assert!(has_free_text(&open), "{open}");
        }
    }

    #[test]
    fn a_command_is_known_by_its_first_words_wherever_it_stands_in_a_script() {
        let is = |words: &[&str]| is_one_of(words, FETCH);
        assert!(is(&["curl", "-s"]) && is(&["git", "fetch"]) && is(&["gh", "pr", "view"]));
        assert!(!is(&["git", "log"]) && !is(&["echo", "curl"]) && !is(&[]));
    }
}
