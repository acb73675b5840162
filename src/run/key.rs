//! What makes one result as good as another: the content key of an instance's work.
//!
//! Invariant: the text that is hashed is the same from one version to the next, so that a run is
//! resumed by a newer fanout without doing anything again; nothing of position or time is in it.
//! It is written at once: every call of every run has one.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::level::{Level, Local};
use super::work::{Place, Work};
use crate::id::ContentKey;
use crate::plan::{AgentKind, Call, Check, Command, Sandbox, ToolGrant};

/// What is done. One of its kinds to a key, as it is in the map that is written.
#[derive(Serialize)]
#[serde(untagged)]
enum Done<'a> {
    Prompt { prompt: &'a str, system: Option<&'a str>, agent: Who<'a> },
    Run { run: &'a [String], variables: &'a [(String, String)], stdin: Option<ContentKey> },
    Ask { ask: &'a str },
    Plan { plan: Cow<'a, str>, vars: &'a serde_json::Map<String, Value> },
    Value { value: &'a Value },
    Stop { stop: bool, reason: &'a str },
    Other(&'static str),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Who<'a> {
    Model {
        models: Vec<String>,
        tools: &'a [ToolGrant],
        max_turns: u32,
        max_tokens: crate::unit::Tokens,
        temperature: Option<f64>,
        effort: Option<&'a str>,
    },
    Program {
        argv: &'a [String],
        model: Option<&'a str>,
        effort: Option<&'a str>,
        max_turns: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tools: Option<&'a [ToolGrant]>,
    },
}

/// What the result has to be like, and where it is made.
#[derive(Serialize)]
struct Shape<'a> {
    format: String,
    schema: Option<&'a Value>,
    check: Option<String>,
    sandbox: Option<&'a Sandbox>,
    workspace: Option<Own<'a>>,
    repeat: Option<&'a str>,
    /// Samples are told apart by nothing but their number.
    index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
}

/// A workspace of its own: how far apart, from where, what prepares it, what is copied in, what is put back.
type Own<'a> = (&'static str, &'a str, Option<String>, &'a [String], &'a [String]);

impl<'a> Done<'a> {
    fn of(work: &'a Work) -> Done<'a> {
        match work {
            Work::Prompt { prompt, system, agent } => Done::Prompt {
                prompt,
                system: system.as_deref(),
                agent: match &agent.kind {
                    AgentKind::Model(model) => Who::Model {
                        models: model.models.iter().map(ToString::to_string).collect(),
                        tools: &model.tools,
                        max_turns: model.max_turns,
                        max_tokens: model.max_tokens,
                        temperature: model.temperature,
                        effort: model.effort.as_deref(),
                    },
                    AgentKind::Command(command) => Who::Program {
                        argv: &command.argv,
                        model: command.model.as_deref(),
                        effort: command.effort.as_deref(),
                        max_turns: command.max_turns,
                        tools: command.tools.as_deref(),
                    },
                },
            },
            Work::Run(program) => Done::Run {
                run: &program.argv,
                variables: &program.variables,
                stdin: program.stdin.as_deref().map(|bytes| ContentKey::of([bytes])),
            },
            Work::Ask { question, .. } => Done::Ask { ask: question },
            Work::Plan { plan, vars } => Done::Plan { plan: plan.file.to_string_lossy(), vars },
            Work::Value(value) => Done::Value { value },
            Work::Stop { success, reason } => Done::Stop { stop: *success, reason },
            Work::Reconcile => Done::Other("reconcile"),
        }
    }
}

impl<'a> Shape<'a> {
    fn of(call: &'a Call, local: &Local) -> Shape<'a> {
        let own = &call.workspace;
        Shape {
            format: format!("{:?}", call.output.format),
            schema: call.output.schema.as_deref(),
            check: call.check.as_ref().map(|check| match check {
                Check::Ask(question) => format!("?{}", question.source),
                Check::Command(command) => source(command),
            }),
            sandbox: call.sandbox.is_on().then_some(&call.sandbox),
            workspace: own.isolation.is_own().then(|| {
                let setup = own.setup.as_ref().map(source);
                (own.isolation.as_str(), own.base.as_str(), setup, &*own.copy, &*own.protect)
            }),
            repeat: call.repeat.as_ref().map(|repeat| repeat.until.source.as_ref()),
            index: if local.item.is_none() { local.index } else { None },
            session: call.session.as_ref().map(|session| session.name.as_str()),
        }
    }
}

/// The content key: what the call is, its rendered inputs, who does it, the shape asked for, and
/// what the calls it waited for came to.
pub(super) fn of(level: &Level, call: &Call, local: &Local, work: &Work, place: &Place) -> ContentKey {
    let needs = call.needs.iter().filter_map(|need| level.store.get(need.call));
    let given: Vec<Vec<ContentKey>> = needs
        .map(|result| {
            let instances = result.instances.iter().map(|instance| &instance.outcome);
            instances
                .map(|it| ContentKey::of([it.output.text.as_bytes(), it.status.as_str().as_bytes()]))
                .collect()
        })
        .collect();
    let relative = place.cwd.strip_prefix(&level.plan.dir).unwrap_or(&place.cwd).to_string_lossy();
    let (done, shape) = (Done::of(work), Shape::of(call, local));
    hash(&(level.event_id(call), done, relative, &place.env, shape, given))
}

fn hash(parts: &impl Serialize) -> ContentKey {
    let mut text = Vec::with_capacity(256);
    // Texts, numbers and maps of them can always be written.
    let _ = serde_json::to_writer(&mut text, parts);
    ContentKey::of([text.as_slice()])
}

/// A command as it is written.
fn source(command: &Command) -> String {
    match command {
        Command::Shell(text) => text.source.to_string(),
        Command::Argv(words) => words.iter().map(|word| word.source.as_ref()).collect::<Vec<_>>().join("\0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::work::Program;

    fn text(part: &impl Serialize) -> String {
        serde_json::to_string(part).unwrap()
    }

    #[test]
    fn the_text_of_a_key_is_what_it_was() {
        let program = Program {
            argv: vec!["sh".to_owned(), "-c".to_owned(), "cat $A".to_owned()],
            shown: "cat {{ a }}".to_owned(),
            variables: vec![("A".to_owned(), "é\n".to_owned())],
            stdin: None,
        };
        assert_eq!(
            text(&Done::of(&Work::Run(program))),
            r#"{"run":["sh","-c","cat $A"],"variables":[["A","é\n"]],"stdin":null}"#
        );
        assert_eq!(text(&Done::of(&Work::Reconcile)), r#""reconcile""#);
        let stop = Work::Stop { success: true, reason: "no".to_owned() };
        assert_eq!(text(&Done::of(&stop)), r#"{"stop":true,"reason":"no"}"#);
        let model = Who::Model {
            models: vec!["p/m".to_owned()],
            tools: &[],
            max_turns: 3,
            max_tokens: crate::unit::Tokens(100),
            temperature: Some(0.2),
            effort: None,
        };
        assert_eq!(
            text(&Done::Prompt { prompt: "a", system: None, agent: model }),
            r#"{"prompt":"a","system":null,"agent":{"models":["p/m"],"tools":[],"max_turns":3,"max_tokens":100,"temperature":0.2,"effort":null}}"#
        );
        let program =
            Who::Program { argv: &[], model: Some("m"), effort: None, max_turns: None, tools: None };
        assert_eq!(text(&program), r#"{"argv":[],"model":"m","effort":null,"max_turns":null}"#);
        let shape = Shape {
            format: "Text".to_owned(),
            schema: None,
            check: None,
            sandbox: None,
            workspace: Some(("clone", "HEAD", None, &[], &[])),
            repeat: None,
            index: Some(1),
            session: None,
        };
        let written = r#"{"format":"Text","schema":null,"check":null,"sandbox":null,"workspace":["clone","HEAD",null,[],[]],"repeat":null,"index":1}"#;
        assert_eq!(text(&shape), written);
        let session = Shape { session: Some("s"), ..shape };
        assert_eq!(text(&session), written.replace("}", r#","session":"s"}"#));
    }
}
