//! The shape of a plan file: every key of the language, with its type and its description.
//!
//! Invariant: this is what is written, not what is meant: names are not resolved,
//! defaults not filled in, nothing is refused that has the right shape.

pub(super) mod agent;
pub(super) mod call;
pub(super) mod notify;
pub(super) mod pattern;
pub(super) mod reconcile;
pub(super) mod value;
pub(super) mod workspace;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use self::agent::{AgentFile, AgentUse, McpFile, ProviderFile};
use self::call::CallFile;
use self::notify::NotifyFile;
use self::reconcile::ReconcileFile;
use self::value::{Data, Text, Time, TokenCount};
use super::Quantity;
use super::read::{At, Entries, OneOrMany, Read, Reader};
use super::record::{record, words};
use super::yaml::{Entry, Kind, Node};

record! {
    /// A plan: which agent calls to make, which of them need which others, and how the parent reconciles what comes back.
    #[extensions = true]
    struct PlanFile {
        /// Version of the language. Default: 1.
        version: u32,
        /// The run's name in every listing. Default: the file's stem.
        name: String,
        /// For people.
        description: String,
        /// What the parent is trying to decide; every parent step sees it.
        goal: Text,
        /// Files whose `providers`, `agents`, `vars` and `mcp` are merged in; nearest wins.
        include: OneOrMany<At<String>>,
        /// Names with defaults. `{required: true, description: …, type: …, enum: …}` has none. Set by `--var k=v`, `--vars-file`, `FANOUT_VAR_K`.
        vars: Entries<VarShape>,
        /// Where model calls go; the built-in providers need no entry.
        providers: Entries<ProviderFile>,
        /// Who makes a call: reusable agent types.
        agents: Entries<AgentFile>,
        /// Tool servers that agents may use.
        mcp: Entries<McpFile>,
        /// Who reasons for the parent: a name under `agents`, or the model, system prompt and settings. Default: the default model.
        parent: AgentUse,
        /// Any key of a call, for every call.
        defaults: CallFile,
        /// Bounds on the whole run.
        limits: LimitsFile,
        /// The agent calls, by id, in the order they are listed in outputs.
        calls: Entries<CallFile> = required,
        /// The parent's last step. Default: `{strategy: collect}`.
        reconcile: ReconcileFile,
        /// Files to write at the end.
        report: ReportFile,
        /// Who hears that the run, a background call or a conflict is there.
        notify: NotifyFile,
        /// What counts as a success of the run: `all`, a number, a share (`80%`), or a map of calls to those.
        require: RequireFile,
        /// An expression over the reconciled result; true makes the run fail.
        fail_on: Text,
    }
}

record! {
    /// What a plan can include.
    #[extensions = true]
    struct IncludeFile {
        /// More files.
        include: OneOrMany<At<String>>,
        /// Names with defaults.
        vars: Entries<VarShape>,
        /// Where model calls go.
        providers: Entries<ProviderFile>,
        /// Who makes a call.
        agents: Entries<AgentFile>,
        /// Tool servers.
        mcp: Entries<McpFile>,
    }
}

record! {
    /// A var without a default.
    struct VarFile {
        /// True where it must be given.
        required: bool,
        /// What it is for.
        description: String,
        /// What it must be.
        r#type: VarType,
        /// The values that it can have.
        r#enum: Vec<Data>,
        /// Its value where it is not given.
        default: Data,
    }
}

/// A var: a value, or what it must be given as.
#[derive(Debug, Clone)]
pub(crate) enum VarShape {
    /// A map of nothing but the keys of a declaration, `required` or `default` among them.
    Declared(Box<VarFile>),
    /// Anything else is its default.
    Default(Data),
}

impl Read for VarShape {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<VarShape> {
        match &node.kind {
            Kind::Map(entries) if declares(entries) => {
                <Box<VarFile>>::read(node, reader).map(VarShape::Declared)
            }
            Kind::Scalar(..) | Kind::List(_) | Kind::Map(_) | Kind::Shared(_) | Kind::Broken => {
                Data::read(node, reader).map(VarShape::Default)
            }
        }
    }
}

/// True where a map says what a var must be rather than what it is.
///
/// `required` alone says so, whatever stands beside it; `default` says so only where nothing else
/// does than a declaration may have, so that a var can still be a map with a `default` in it.
fn declares(entries: &[Entry<'_>]) -> bool {
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    let known = |key: &str| ["required", "description", "type", "enum", "default"].contains(&key);
    has("required") || (has("default") && entries.iter().all(|entry| known(&entry.key)))
}

impl JsonSchema for VarShape {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Var".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let declared = generator.subschema_for::<VarFile>();
        json_schema!({
            "if": { "type": "object", "required": ["required"] },
            "then": declared
        })
    }
}

words! {
    /// What a var must be.
    enum VarType("type") {
        /// A text.
        String = "string",
        /// A whole number.
        Integer = "integer",
        /// A number.
        Number = "number",
        /// `true` or `false`.
        Boolean = "boolean",
        /// A list.
        List = "list",
        /// A map.
        Map = "map",
    }
}

record! {
    /// Bounds on the whole run.
    struct LimitsFile {
        /// Calls at once. Default: 8.
        concurrency: u32,
        /// Calls in all. Default: 1000.
        calls: u32,
        /// Model tokens in all.
        tokens: TokenCount,
        /// Money in all, in US dollars.
        cost: f64,
        /// Time in all.
        time: Time,
        /// How deep subagents may start subagents. Default: 2.
        depth: u32,
        /// What the end of the run does with background calls that still run. Default: `wait`.
        background: AtEndWord,
    }
}

words! {
    /// What the end of the run does with background calls.
    enum AtEndWord("background") {
        /// Waits for them.
        Wait = "wait",
        /// Cancels them.
        Cancel = "cancel",
    }
}

record! {
    /// Files to write at the end, relative to the working directory.
    struct ReportFile {
        /// One page with everything.
        html: String,
        /// JUnit XML.
        junit: String,
        /// SARIF 2.1.0.
        sarif: String,
        /// Markdown.
        markdown: String,
        /// JSON.
        json: String,
    }
}

/// What counts as a success of the run.
#[derive(Debug, Clone)]
pub(crate) enum RequireFile {
    /// As a whole.
    Whole(RequireCount),
    /// Per call.
    PerCall(Entries<RequireCount>),
}

/// `all`, a number, or a share.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RequireCount {
    /// All of them.
    All,
    /// So many, or such a share.
    Some(Quantity),
}

impl Read for RequireCount {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<RequireCount> {
        match &node.kind {
            Kind::Scalar(text, _) if text == "all" => Some(RequireCount::All),
            Kind::Scalar(text, _) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                Quantity::read(node, reader).map(RequireCount::Some)
            }
            Kind::Scalar(..) | Kind::List(_) | Kind::Map(_) | Kind::Shared(_) | Kind::Broken => {
                reader.expected(node, "`all`, a number such as `2`, or a share such as `80%`")
            }
        }
    }
}

impl Read for RequireFile {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<RequireFile> {
        match &node.kind {
            Kind::Map(_) => Entries::read(node, reader).map(RequireFile::PerCall),
            Kind::Scalar(..) | Kind::List(_) | Kind::Shared(_) | Kind::Broken => {
                RequireCount::read(node, reader).map(RequireFile::Whole)
            }
        }
    }
}

impl JsonSchema for RequireCount {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "RequireCount".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let quantity = generator.subschema_for::<Quantity>();
        json_schema!({ "anyOf": [{ "const": "all" }, quantity] })
    }
}

impl JsonSchema for RequireFile {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Require".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let count = generator.subschema_for::<RequireCount>();
        json_schema!({ "anyOf": [count, { "type": "object", "additionalProperties": count }] })
    }
}
