//! The keys of a call.
//!
//! Invariant: every key that the plan language gives a call is here, built or not.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::agent::AgentUse;
use super::reconcile::ReconcileFile;
use super::value::{ByteCount, CheckText, CommandText, Data, PromptText, Text, Time, TokenCount};
use super::workspace::{IsolationWord, WorkspaceFile};
use crate::plan::read::{At, Entries, OneOrMany, Read, Reader};
use crate::plan::record::{record, words};
use crate::plan::yaml::{Kind, Node};

record! {
    /// One call: what it does, and how.
    struct CallFile {
        /// A few words: shown on progress, in notifications and reports. Default: the id.
        description: String,

        /// An agent's task: text, or `{file: prompts/x.md}`. Results of other calls enter with `{{ calls.id.output }}`.
        prompt: PromptText,
        /// A command without a model: a text for `sh -c`, or a list run as it is. Template values reach the shell as variables.
        run: CommandText,
        /// Another plan file; its reconciled result is this call's output.
        plan: String,
        /// A parent step in the middle of the plan.
        reconcile: ReconcileFile,
        /// An expression, or a map of expressions: a computed value for later calls.
        value: Data,
        /// A question to a person at the terminal, answered also by `--answer id=…`.
        ask: Text,
        /// Ends the run early; usually with `when`.
        stop: StopFile,

        /// Values for the vars of the plan under `plan`.
        with: Entries<Data>,
        /// The answer to `ask` where nobody can be asked.
        default: String,

        /// Who makes the call: a name under `agents`, or an inline agent. Default: `defaults.agent`, then the model found in the environment.
        agent: AgentUse,
        /// Calls that must come first, beyond those that the templates mention: a list (each must succeed), or a map to `success` or `done`.
        needs: NeedsFile,
        /// So many of `needs` are enough.
        needs_at_least: u32,
        /// An expression; false skips the call.
        when: Text,
        /// A list, or an expression that gives one: one instance an item.
        for_each: ForEach,
        /// The item's name in templates. Default: `item`.
        r#as: String,
        /// Axes: one instance a combination, with `include` and `exclude` as in GitHub Actions.
        matrix: MatrixFile,
        /// The same call so many times.
        samples: u32,
        /// How many instances of an expanded call are enough: `all`, `any` or a number. The rest are cancelled.
        join: JoinFile,
        /// At most so many instances of this call at once.
        concurrency: u32,
        /// Start it and do not wait: its completion is a notification to the parent.
        background: bool,
        /// Where it works. Default: `shared`, and `read-only` for agents with no write tools.
        isolation: IsolationWord,
        /// How its own workspace is made, with `isolation: worktree` or `clone`.
        workspace: WorkspaceFile,
        /// What the system lets it touch. Default: `off`, and `workspace-write` for agents of this process that run commands or write.
        sandbox: SandboxFile,
        /// Working directory, relative to the plan's folder.
        cwd: Text,
        /// Environment variables for what it runs.
        env: Entries<Text>,
        /// Standard input of a command. Default: closed.
        stdin: Text,
        /// For the whole call, retries included. Default: 10m.
        timeout: Time,
        /// For silence: no byte and no event. Default: 5m for agents, none for `run`.
        idle_timeout: Time,
        /// How often a transient fault is tried again. Default: 3.
        retries: u32,
        /// Which other faults are tried again.
        retry_on: OneOrMany<RetryWord>,
        /// What a resumed run does with it when fanout was killed while it ran. Default: `retry`.
        on_interrupt: OnInterruptWord,
        /// What its failure means for the rest. Default: `continue`.
        on_error: OnErrorWord,
        /// The shape of its output: a format, or a map.
        output: OutputUse,
        /// A command run afterwards; the call fails unless it exits 0. Or `{ask: …}`.
        check: CheckText,
        /// With `check` or `output.schema`: tries with the failure fed back, the first included. Default: 1.
        attempts: u32,
        /// Run again until an expression holds.
        repeat: RepeatFile,
        /// Calls with the same name continue one agent conversation.
        session: String,
        /// How much of its output others get when they mention it.
        pass: PassFile,
        /// Reuse an earlier identical result.
        cache: CacheFile,
        /// What it may spend, all of its instances and attempts together.
        limits: CallLimitsFile,
        /// For `--only tag:x`.
        tags: OneOrMany<String>,
    }
}

record! {
    /// What one call may spend.
    struct CallLimitsFile {
        /// Model tokens, input and output together.
        tokens: TokenCount,
        /// Money, in US dollars.
        cost: f64,
    }
}

record! {
    /// Ends the run.
    struct StopFile {
        /// How the run ends.
        status: StopWord = required,
        /// Why; templates are allowed.
        reason: Text,
    }
}

words! {
    /// How a run ends early.
    enum StopWord("status") {
        /// The run succeeds.
        Success = "success",
        /// The run fails.
        Failure = "failure",
    }
}

record! {
    /// The shape of an output.
    struct OutputFile {
        /// How the text is read. Default: `text`, or `json` where there is a schema.
        format: FormatWord,
        /// A JSON Schema, or `{file: schemas/x.json}`.
        schema: Data,
        /// More than this is cut, with a visible mark. Default: 1MiB.
        max_bytes: ByteCount,
        /// Also written to this file, relative to the call's working directory.
        file: Text,
    }
}

words! {
    /// How an output's text is read.
    enum FormatWord("output format") {
        /// As it stands.
        Text = "text",
        /// As one JSON value.
        Json = "json",
        /// As a list of its lines.
        Lines = "lines",
    }
}

record! {
    /// Run again until it holds.
    struct RepeatFile {
        /// An expression over `output`, `json`, `status`, `previous` and `round`.
        until: Text = required,
        /// Reaching it is a failure. Default: 10.
        max: u32,
        /// True starts each round without the conversation of the last. Default: true.
        fresh: bool,
    }
}

record! {
    /// How much of an output is passed on.
    struct PassFile {
        /// Only these fields of a JSON output.
        fields: OneOrMany<String>,
        /// At most so many tokens. Default: 16k.
        max_tokens: TokenCount,
        /// Pasted, or as the path of a file. Default: `inline`.
        r#as: PassWord,
        /// What to do with more. Default: `truncate`.
        overflow: OverflowWord,
    }
}

words! {
    /// How an output is passed on.
    enum PassWord("way to pass an output on") {
        /// Pasted.
        Inline = "inline",
        /// As the path of a file.
        File = "file",
    }
}

words! {
    /// What happens to an output that is too long.
    enum OverflowWord("overflow") {
        /// The middle is left out, with a visible mark.
        Truncate = "truncate",
        /// The path of the file is given instead.
        File = "file",
        /// The call that mentions it fails.
        Fail = "fail",
    }
}

words! {
    /// A fault that can be tried again.
    enum RetryWord("fault to retry on") {
        /// Any failure.
        Error = "error",
        /// A time-out.
        Timeout = "timeout",
        /// An answer in the wrong shape.
        InvalidOutput = "invalid_output",
        /// A failed `check`.
        Check = "check",
    }
}

words! {
    /// What a resumed run does with an interrupted call.
    enum OnInterruptWord("on_interrupt") {
        /// Runs it again and says so.
        Retry = "retry",
        /// Fails it.
        Fail = "fail",
        /// Asks a person.
        Ask = "ask",
    }
}

words! {
    /// What a failure means for the rest.
    enum OnErrorWord("on_error") {
        /// Nothing more is started.
        Stop = "stop",
        /// The rest goes on; the run fails in the end.
        Continue = "continue",
        /// It does not count against the run.
        Ignore = "ignore",
    }
}

words! {
    /// What the system lets a call touch.
    enum SandboxWord("sandbox") {
        /// Everything.
        Off = "off",
        /// It may read.
        ReadOnly = "read-only",
        /// It may write in its workspace.
        WorkspaceWrite = "workspace-write",
    }
}

record! {
    /// What the system lets a call touch.
    struct SandboxRecord {
        /// The files. Default: `workspace-write`.
        mode: SandboxWord,
        /// The network. Default: false.
        network: bool,
        /// Beneath these it reads, too: absolute, from the plan's folder, or `~/…`.
        read: OneOrMany<At<String>>,
        /// Beneath these it writes, too.
        write: OneOrMany<At<String>>,
        /// Names of variables that it takes over from fanout's environment; `X_*` for all that begin so.
        env: OneOrMany<At<String>>,
    }
}

record! {
    /// What a cached result depends on.
    struct CacheInputs {
        /// Globs of files whose contents are part of the key.
        inputs: OneOrMany<At<String>> = required,
    }
}

/// A word, or a map with more.
macro_rules! either {
    ($(#[doc = $doc:literal])* $name:ident = $word:ident($word_type:ty) or $record:ident($record_type:ty)) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub(crate) enum $name {
            /// In short.
            $word($word_type),
            /// As a map.
            $record(Box<$record_type>),
        }

        impl Read for $name {
            fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<$name> {
                match &node.kind {
                    Kind::Map(_) => <Box<$record_type>>::read(node, reader).map($name::$record),
                    Kind::Scalar(..) | Kind::List(_) | Kind::Shared(_) | Kind::Broken => {
                        <$word_type>::read(node, reader).map($name::$word)
                    }
                }
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let word = generator.subschema_for::<$word_type>();
                let record = generator.subschema_for::<$record_type>();
                json_schema!({ "anyOf": [word, record] })
            }
        }
    };
}
pub(super) use either;

either! {
    /// `json`, or a map.
    OutputUse = Format(FormatWord) or Full(OutputFile)
}
either! {
    /// `off`, or a map.
    SandboxFile = Mode(SandboxWord) or Full(SandboxRecord)
}
either! {
    /// `false`, `true`, or a map.
    CacheFile = Switch(bool) or Inputs(CacheInputs)
}

/// What a call needs.
#[derive(Debug, Clone)]
pub(crate) enum NeedsFile {
    /// Each must succeed.
    List(Vec<At<String>>),
    /// Each with what is accepted.
    Map(Entries<AcceptWord>),
}

words! {
    /// What a need accepts.
    enum AcceptWord("outcome that a need accepts") {
        /// Only a success.
        Success = "success",
        /// Any outcome.
        Done = "done",
    }
}

impl Read for NeedsFile {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<NeedsFile> {
        match &node.kind {
            Kind::Map(_) => Entries::read(node, reader).map(NeedsFile::Map),
            Kind::Scalar(..) | Kind::List(_) | Kind::Shared(_) | Kind::Broken => {
                OneOrMany::read(node, reader).map(|OneOrMany(ids)| NeedsFile::List(ids))
            }
        }
    }
}

/// What a call is expanded over.
#[derive(Debug, Clone)]
pub(crate) enum ForEach {
    /// A list in the plan.
    List(Vec<Data>),
    /// An expression that gives a list.
    Expression(Text),
}

impl Read for ForEach {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<ForEach> {
        match &node.kind {
            Kind::List(_) => Vec::read(node, reader).map(ForEach::List),
            Kind::Scalar(..) => Text::read(node, reader).map(ForEach::Expression),
            Kind::Map(_) | Kind::Shared(_) | Kind::Broken => {
                reader.expected(node, "a list, or an expression that gives one")
            }
        }
    }
}

/// Axes with their values, and what is added and left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct MatrixFile {
    /// Each axis with its values; `None` for one whose values could not be read.
    pub(crate) axes: Vec<(At<String>, Option<Vec<Data>>)>,
    /// Combinations to add to, or to add.
    pub(crate) include: Vec<Data>,
    /// Combinations to leave out.
    pub(crate) exclude: Vec<Data>,
}

impl Read for MatrixFile {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<MatrixFile> {
        let Kind::Map(entries) = &node.kind else {
            return reader.expected(node, "a map of axes, each a list of values");
        };
        let mut matrix = MatrixFile::default();
        for entry in entries {
            let values = reader.read::<Vec<Data>>(&entry.value);
            match &*entry.key {
                "include" => matrix.include = values.unwrap_or_default(),
                "exclude" => matrix.exclude = values.unwrap_or_default(),
                axis => matrix.axes.push((At { at: entry.at, value: axis.to_owned() }, values)),
            }
        }
        Some(matrix)
    }
}

/// How many instances are enough.
#[derive(Debug, Clone, Copy)]
pub(crate) enum JoinFile {
    /// `all` or `any`.
    Word(JoinWord),
    /// So many.
    Count(u32),
}

words! {
    /// How many instances are enough.
    enum JoinWord("join") {
        /// All of them.
        All = "all",
        /// One.
        Any = "any",
    }
}

impl Read for JoinFile {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<JoinFile> {
        let Kind::Scalar(text, _) = &node.kind else {
            return reader.expected(node, "`all`, `any` or a number");
        };
        if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
            return u32::read(node, reader).map(JoinFile::Count);
        }
        JoinWord::read(node, reader).map(JoinFile::Word)
    }
}

macro_rules! schema {
    ($($type:ty: $name:literal, $generator:ident => $schema:expr;)*) => {
        $(impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        })*
    };
}

schema! {
    NeedsFile: "Needs", generator => {
        let accept = generator.subschema_for::<AcceptWord>();
        json_schema!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" } },
            { "type": "object", "additionalProperties": accept }
        ] })
    };
    ForEach: "ForEach", _generator => json_schema!({ "type": ["array", "string"] });
    MatrixFile: "Matrix", _generator => json_schema!({
        "type": "object",
        "properties": {
            "include": { "type": "array", "items": { "type": "object" }, "description": "Keys to add to combinations, or combinations to add." },
            "exclude": { "type": "array", "items": { "type": "object" }, "description": "Combinations to leave out." }
        },
        "additionalProperties": { "type": "array" }
    });
    JoinFile: "Join", _generator => json_schema!({ "anyOf": [{ "enum": ["all", "any"] }, { "type": "integer", "minimum": 1 }] });
}
