//! The rows of one call: every key that means something for it, with its value.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::row::Row;
use super::{ids, step, unit};
use crate::graph::{CallGraph, Range};
use crate::plan::workspace::Base;
use crate::plan::{
    Accept, Action, Call, Check, Command, Computed, Expand, Format, Join, Need, OnError, OnInterrupt,
    OutputSpec, Overflow, Pass, Plan, RetryOn, Sandbox,
};

/// Everything about one call, in the order of the plan language's page.
pub(super) fn rows(
    plan: &Plan,
    graph: &CallGraph,
    position: usize,
    call: &Call,
    made: Option<Range>,
) -> Vec<Row> {
    let mut rows = vec![Row::new("turn", json!(graph.turn(position)))];
    rows.extend(made.map(|made| range("made", made).note(&product(call))));
    rows.push(
        Row::new("description", json!(call.description)).default_if(call.description == call.id.as_str()),
    );
    rows.extend(action(plan, call));
    rows.push(needs(plan, call));
    rows.push(Row::optional("needs_at_least", call.needs_at_least.map(Value::from)));
    rows.push(Row::optional("session", call.session.as_ref().map(|session| json!(session.name))));
    rows.push(Row::optional("when", call.when.as_ref().map(|when| json!(*when.source))));
    if let Some(expand) = &call.expand {
        rows.push(expansion(expand));
        rows.push(Row::new("as", json!(call.item_name)).default_if(call.item_name == "item"));
        rows.push(match call.join {
            Join::All => Row::new("join", json!("all")).default_if(true),
            Join::AtLeast(count) => Row::new("join", json!(count)),
        });
        rows.push(Row::optional("concurrency", call.concurrency.map(Value::from)));
    }
    rows.push(Row::new("background", json!(call.background)).default_if(!call.background));
    if works(call) {
        rows.push(Row::optional("cwd", call.cwd.as_ref().map(|cwd| json!(*cwd.source))));
        let env = call.env.iter().map(|(name, value)| Row::new(name, json!(*value.source)));
        rows.push(Row::map("env", env.collect()).default_if(call.env.is_empty()));
    }
    if matches!(call.action, Action::Run(_)) {
        rows.push(Row::optional("stdin", call.stdin.as_ref().map(|stdin| json!(*stdin.source))));
    }
    rows.extend(time_and_faults(call));
    rows.push(output(&call.output));
    rows.extend(workspace(call));
    rows.push(Row::optional("check", call.check.as_ref().map(check)));
    rows.push(Row::new("attempts", json!(call.attempts)).default_if(call.attempts == 1));
    rows.push(match &call.repeat {
        None => Row::optional("repeat", None),
        Some(repeat) => Row::map(
            "repeat",
            vec![
                Row::new("until", json!(*repeat.until.source)),
                Row::new("max", json!(repeat.max)).default_if(repeat.max == 10),
                Row::new("fresh", json!(repeat.fresh)).default_if(repeat.fresh),
            ],
        ),
    });
    if works(call) {
        rows.push(sandbox(&call.sandbox));
    }
    rows.push(pass(&call.pass));
    rows.push(Row::new("tags", json!(call.tags)).default_if(call.tags.is_empty()));
    rows
}

/// Where it works.
fn workspace(call: &Call) -> Vec<Row> {
    let workspace = &call.workspace;
    if !works(call) {
        return Vec::new();
    }
    let word = workspace.isolation.as_str();
    let mut rows = vec![Row::new("isolation", json!(word)).default_if(workspace.at.is_none())];
    if workspace.isolation.is_own() {
        let own = vec![
            Row::new("base", json!(workspace.base.as_str())).default_if(workspace.base == Base::Head),
            Row::optional("setup", workspace.setup.as_ref().map(command)),
            Row::new("copy", json!(workspace.copy)).default_if(workspace.copy.is_empty()),
        ];
        rows.push(Row::map("workspace", own));
        rows.push(Row::new("protect", json!(workspace.protect)).default_if(workspace.protect.is_empty()));
    }
    rows
}

/// How many: `least` and `most` for programs, `1 to 12` for people.
pub(super) fn range(key: &str, range: Range) -> Row {
    Row::new(key, json!({ "least": range.least, "most": range.most })).shown(range.to_string())
}

/// A command as it stands in the plan.
pub(super) fn command(command: &Command) -> Value {
    match command {
        Command::Shell(text) => json!(*text.source),
        Command::Argv(words) => words.iter().map(|word| json!(*word.source)).collect(),
    }
}

fn check(check: &Check) -> Value {
    match check {
        Check::Command(program) => command(program),
        Check::Ask(question) => json!({ "ask": *question.source }),
    }
}

/// What the upper end of `made` is multiplied from, where it is.
fn product(call: &Call) -> String {
    let mut factors = Vec::new();
    match &call.expand {
        None => {}
        Some(Expand::List(items)) => factors.push(format!("{} items", items.len())),
        Some(Expand::Dynamic(_)) => factors.push("items known at run time".to_owned()),
        Some(Expand::Matrix(combinations)) => factors.push(format!("{} combinations", combinations.len())),
        Some(Expand::Samples(count)) => factors.push(format!("{count} samples")),
    }
    factors.extend(call.repeat.as_ref().map(|repeat| format!("{} rounds", repeat.max)));
    factors.extend((call.attempts > 1).then(|| format!("{} attempts", call.attempts)));
    if matches!(call.action, Action::Plan { .. }) {
        factors.push("itself and the calls of its plan".to_owned());
    }
    factors.join(" × ")
}

fn action(plan: &Plan, call: &Call) -> Vec<Row> {
    let kind = call.action.kind();
    match &call.action {
        Action::Prompt { prompt, agent } => {
            vec![Row::new(kind, json!(*prompt.source)), Row::new("agent", json!(agent.name))]
        }
        Action::Run(run) => vec![Row::new(kind, command(run))],
        Action::Plan { plan, with } => {
            let with = with.iter().map(|(name, value)| Row::new(name, computed(value)));
            vec![Row::new(kind, json!(plan.file.to_string_lossy())), Row::map("with", with.collect())]
        }
        Action::Reconcile(reconcile) => vec![Row::map(kind, step(plan, reconcile))],
        Action::Value(value) => vec![Row::new(kind, computed(value))],
        Action::Ask { question, default } => {
            vec![
                Row::new(kind, json!(*question.source)),
                Row::optional("default", default.clone().map(Value::from)),
            ]
        }
        Action::Stop { success, reason } => {
            let status = if *success { "success" } else { "failure" };
            vec![Row::new(kind, json!({ "status": status, "reason": *reason.source }))]
        }
    }
}

fn computed(value: &Computed) -> Value {
    match value {
        Computed::Expression(expression) => json!(format!("{{{{ {} }}}}", expression.source)),
        Computed::Literal(value) => value.clone(),
        Computed::Map(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), computed(value))).collect())
        }
        Computed::List(items) => items.iter().map(computed).collect(),
    }
}

/// Written and mentioned needs alike, each with what it accepts.
fn needs(plan: &Plan, call: &Call) -> Row {
    let all_must_succeed = call.needs.iter().all(|need| need.accept == Accept::Success);
    let positions: BTreeSet<usize> = call.needs.iter().map(|need| need.call).collect();
    if all_must_succeed {
        let positions: Vec<usize> = positions.into_iter().collect();
        return Row::new("needs", ids(plan, &positions)).default_if(positions.is_empty());
    }
    let accept = |need: &Need| match need.accept {
        Accept::Success => json!("success"),
        Accept::Done => json!("done"),
    };
    let rows = call
        .needs
        .iter()
        .filter_map(|need| Some(Row::new(plan.calls.get(need.call)?.id.as_str(), accept(need))));
    Row::map("needs", rows.collect())
}

fn expansion(expand: &Expand) -> Row {
    match expand {
        Expand::List(items) => Row::new("for_each", json!(items)),
        Expand::Dynamic(list) => Row::new("for_each", json!(*list.source)),
        Expand::Matrix(combinations) => Row::new("matrix", json!(combinations)),
        Expand::Samples(count) => Row::new("samples", json!(count)),
    }
}

/// True for calls that work in a folder: commands, and agents.
fn works(call: &Call) -> bool {
    matches!(call.action, Action::Run(_) | Action::Prompt { .. })
}

fn time_and_faults(call: &Call) -> Vec<Row> {
    let idle_default = matches!(call.action, Action::Prompt { .. }).then(|| Duration::from_secs(300));
    let on_interrupt = match call.on_interrupt {
        OnInterrupt::Retry => "retry",
        OnInterrupt::Fail => "fail",
        OnInterrupt::Ask => "ask",
    };
    let on_error = match call.on_error {
        OnError::Stop => "stop",
        OnError::Continue => "continue",
        OnError::Ignore => "ignore",
    };
    let RetryOn { error, timeout, invalid_output, check } = call.retry_on;
    let words =
        [(error, "error"), (timeout, "timeout"), (invalid_output, "invalid_output"), (check, "check")];
    let retry_on: Vec<&str> = words.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect();
    vec![
        Row::new("timeout", unit::duration(call.timeout))
            .default_if(call.timeout == Duration::from_secs(600)),
        Row::optional("idle_timeout", call.idle_timeout.map(unit::duration))
            .default_if(call.idle_timeout == idle_default),
        Row::new("retries", json!(call.retries)).default_if(call.retries == 3),
        Row::new("retry_on", json!(retry_on)).default_if(retry_on.is_empty()),
        Row::new("on_interrupt", json!(on_interrupt)).default_if(call.on_interrupt == OnInterrupt::Retry),
        Row::new("on_error", json!(on_error)).default_if(call.on_error == OnError::Continue),
    ]
}

fn output(output: &OutputSpec) -> Row {
    let (format, default) = match output.format {
        Format::Text => ("text", output.schema.is_none()),
        Format::Json => ("json", output.schema.is_some()),
        Format::Lines => ("lines", false),
    };
    Row::map(
        "output",
        vec![
            Row::new("format", json!(format)).default_if(default),
            Row::optional("schema", output.schema.as_ref().map(|schema| (**schema).clone())),
            Row::new("max_bytes", unit::bytes(output.max_bytes)).default_if(output.max_bytes.0 == 1 << 20),
            Row::optional("file", output.file.as_ref().map(|file| json!(*file.source))),
        ],
    )
}

fn sandbox(sandbox: &Sandbox) -> Row {
    if !sandbox.is_on() {
        return Row::new("sandbox", json!("off")).default_if(true);
    }
    Row::map(
        "sandbox",
        vec![
            Row::new("mode", json!(sandbox.mode.as_str())),
            Row::new("network", json!(sandbox.network)).default_if(!sandbox.network),
            Row::new("read", json!(sandbox.read)).default_if(sandbox.read.is_empty()),
            Row::new("write", json!(sandbox.write)).default_if(sandbox.write.is_empty()),
            Row::new("env", json!(sandbox.env)).default_if(sandbox.env.is_empty()),
        ],
    )
}

fn pass(pass: &Pass) -> Row {
    let overflow = match pass.overflow {
        Overflow::Truncate => "truncate",
        Overflow::File => "file",
        Overflow::Fail => "fail",
    };
    Row::map(
        "pass",
        vec![
            Row::new("fields", json!(pass.fields)).default_if(pass.fields.is_empty()),
            Row::new("max_tokens", unit::tokens(pass.max_tokens)).default_if(pass.max_tokens.0 == 16_000),
            Row::new("as", json!(if pass.as_file { "file" } else { "inline" })).default_if(!pass.as_file),
            Row::new("overflow", json!(overflow)).default_if(pass.overflow == Overflow::Truncate),
        ],
    )
}
