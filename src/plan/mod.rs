//! Text to checked plan: file shape, units, templates, checks, diagnostics.
//!
//! Invariants: a [`Plan`] that exists has passed every check, with every default
//! filled in and every name resolved; nothing that runs later needs to ask whether
//! a key was there. Reading a plan starts nothing and spends nothing. All faults of
//! a plan are found in one go.
//!
//! Inside, text flows one way: `yaml` (text to nodes with places) → `read` and `record`
//! (nodes to the typed shape of `file`, collecting every fault) → `check` (that shape to
//! [`Plan`], with `template` for every text). `load` is the way in, `diagnostic` what all
//! of them report in, with a code from `code`. Advice on a checked plan is given elsewhere.

mod check;
pub mod code;
pub mod diagnostic;
mod file;
mod files;
mod keys;
mod load;
pub mod notify;
mod program;
mod read;
mod record;
mod sandbox;
mod scalar;
mod schema;
mod suggest;
pub mod template;
mod tool;
mod unbuilt;
pub mod workspace;
pub mod yaml;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use crate::id::CallId;
use crate::unit::{Bytes, Rate, Tokens, Usd};
use diagnostic::Span;
pub use load::{
    Environment, Given, Loaded, MAX_PLAN_DEPTH, SettingsCheck, SettingsFault, WorkspaceCheck, load, load_text,
};
pub use program::{COMMON_VARIABLES, Program};
pub use sandbox::{Sandbox, SandboxMode};
pub use schema::schema;
use template::{Expression, Template};
pub use tool::{CommandPattern, McpServer, McpTransport, Setting, ToolGrant};
use workspace::Workspace;

/// A checked plan. Every default is filled in.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `name`, or the file's stem.
    pub name: String,
    /// `description`.
    pub description: Option<String>,
    /// `goal`; may mention `vars`.
    pub goal: Option<Template>,
    /// The file as the person named it.
    pub file: PathBuf,
    /// The folder of the plan file: base of `cwd`, `{file: …}` and the `read` filter. Absolute.
    pub dir: PathBuf,
    /// Every var with its value for this run.
    pub vars: serde_json::Map<String, Value>,
    /// Those of `vars` that were given from outside (`--var`, `--vars-file`, `FANOUT_VAR_*`).
    pub given_vars: serde_json::Map<String, Value>,
    /// `providers`, built-in ones included.
    pub providers: IndexMap<String, Provider>,
    /// `agents`, by name, those of `.claude/agents` that a call uses included.
    pub agents: IndexMap<String, Arc<Agent>>,
    /// `mcp`: tool servers, by name.
    pub mcp: IndexMap<String, McpServer>,
    /// Who reasons for the parent: `parent`, else the default model; `None` where no step of the parent asks a model.
    pub parent: Option<Arc<Agent>>,
    /// `limits`.
    pub limits: Limits,
    /// The calls, in plan order.
    pub calls: Vec<Call>,
    /// The parent's last step.
    pub reconcile: Reconcile,
    /// What counts as a success of the run.
    pub require: Require,
    /// True makes the run fail; sees `reconcile` and `calls`.
    pub fail_on: Option<Expression>,
    /// Files to write at the end, by format (`json`, `markdown`, …), relative to the working directory.
    pub report: IndexMap<String, PathBuf>,
    /// Who hears of it.
    pub notify: notify::Notify,
    /// Where those parts stand that carry no place themselves.
    pub places: Places,
}

impl Plan {
    /// The position of a call in `calls`.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.calls.iter().position(|call| call.id.as_str() == id)
    }
}

/// Where the parts of a plan stand that carry no place themselves: what advice points at.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Where each var is declared, included ones too.
    pub vars: IndexMap<String, Span>,
    /// Where each provider is declared, included ones too, built-in ones not.
    pub providers: IndexMap<String, Span>,
    /// Every include, of the plan itself and of what it includes.
    pub includes: Vec<Include>,
    /// Where top-level keys and those of `limits` stand: `require`, `limits.calls`, ….
    pub keys: IndexMap<String, Span>,
}

/// One line of `include`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// Where it is written; `at.file` is the file that includes.
    pub at: Span,
    /// The file that is included, as a number in the plan's sources.
    pub file: u16,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// Where its id stands in the plan.
    pub at: Span,
    /// `description`, or the id.
    pub description: String,
    /// What it does.
    pub action: Action,
    /// Everything that must end first: `needs` and the calls that its templates mention, in plan order.
    pub needs: Vec<Need>,
    /// How many of `needs` must be satisfied; `None` for all of them.
    pub needs_at_least: Option<u32>,
    /// False skips the call.
    pub when: Option<Expression>,
    /// What it is expanded over.
    pub expand: Option<Expand>,
    /// The item's name in templates.
    pub item_name: String,
    /// How many instances of an expanded call are enough.
    pub join: Join,
    /// At most so many instances of it at once.
    pub concurrency: Option<u32>,
    /// Started and not waited for by a turn.
    pub background: bool,
    /// Working directory, relative to the plan's folder.
    pub cwd: Option<Template>,
    /// What the system lets it touch.
    pub sandbox: Sandbox,
    /// Added to the environment of what it runs.
    pub env: Vec<(String, Template)>,
    /// Standard input of a command; closed when `None`.
    pub stdin: Option<Template>,
    /// For the whole call, retries included.
    pub timeout: Duration,
    /// For silence.
    pub idle_timeout: Option<Duration>,
    /// How many times a transient fault is tried again.
    pub retries: u32,
    /// Which faults count as transient beyond network faults and overload.
    pub retry_on: RetryOn,
    /// What a resumed run does with it if it was running when the process was killed.
    pub on_interrupt: OnInterrupt,
    /// What its failure means for the rest.
    pub on_error: OnError,
    /// The shape of its output.
    pub output: OutputSpec,
    /// Where it works.
    pub workspace: Workspace,
    /// What decides afterwards whether the answer is good enough.
    pub check: Option<Check>,
    /// How many times an answer that fails `check` or the schema is asked for again with the failure fed back, the first included.
    pub attempts: u32,
    /// Run again until an expression holds.
    pub repeat: Option<Repeat>,
    /// How much of its output others get when they mention it.
    pub pass: Pass,
    /// Whether an earlier run's identical result is taken.
    pub cache: Cache,
    /// What it may spend, all of its instances and attempts together.
    pub budget: Budget,
    /// For `--only tag:x`.
    pub tags: Vec<String>,
}

/// Whether the result of an earlier run with the same content is taken over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cache {
    /// No; a resumed run still takes over its own.
    #[default]
    Off,
    /// Yes.
    On,
    /// Yes, where these files are the same too: globs beneath the call's working directory.
    Inputs(Vec<String>),
}

/// What a call does.
#[derive(Debug, Clone)]
pub enum Action {
    /// One agent, one prompt.
    Prompt {
        /// The prompt.
        prompt: Template,
        /// Who answers it.
        agent: Arc<Agent>,
    },
    /// A command without a model.
    Run(Command),
    /// Another plan, already checked, with its own vars given as templates or expressions.
    Plan {
        /// The plan; its `vars` hold defaults, `with` overrides them at run time.
        plan: Arc<Plan>,
        /// Values for its vars.
        with: Vec<(String, Computed)>,
    },
    /// A parent step in the middle of the plan.
    Reconcile(Reconcile),
    /// A computed value.
    Value(Computed),
    /// A question to a person.
    Ask {
        /// The question.
        question: Template,
        /// The answer where nobody can be asked.
        default: Option<String>,
    },
    /// Ends the run early.
    Stop {
        /// True for `status: success`.
        success: bool,
        /// Why.
        reason: Template,
    },
}

impl Action {
    /// The key that it was written with.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::Prompt { .. } => "prompt",
            Action::Run(_) => "run",
            Action::Plan { .. } => "plan",
            Action::Reconcile(_) => "reconcile",
            Action::Value(_) => "value",
            Action::Ask { .. } => "ask",
            Action::Stop { .. } => "stop",
        }
    }
}

/// What decides whether an answer is good enough.
#[derive(Debug, Clone)]
pub enum Check {
    /// A command that must exit 0; it gets the answer on standard input.
    Command(Command),
    /// A question to the parent's model, which answers yes or no with the reason.
    Ask(Template),
}

/// A command, before its templates are rendered.
#[derive(Debug, Clone)]
pub enum Command {
    /// Run by `sh -c`; values reach it as shell variables, never as text.
    Shell(Template),
    /// Run as is; each element is one argument.
    Argv(Vec<Template>),
}

/// A value that is computed: data with expressions in it.
#[derive(Debug, Clone)]
pub enum Computed {
    /// One expression, its result kept as data.
    Expression(Expression),
    /// Plain data from the plan.
    Literal(Value),
    /// Each value computed on its own.
    Map(Vec<(String, Computed)>),
    /// Each element computed on its own.
    List(Vec<Computed>),
}

/// One call that another needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The position in [`Plan::calls`] of the call that must end first.
    pub call: usize,
    /// What it must have come to.
    pub accept: Accept,
    /// Where the need is written: under `needs`, or the template that mentions it.
    pub at: Span,
    /// True when a template or expression mentions it, so data flows along it.
    pub data: bool,
}

/// What a need accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// Only a success.
    Success,
    /// Any outcome.
    Done,
}

/// What a call is expanded over.
#[derive(Debug, Clone)]
pub enum Expand {
    /// A list that stands in the plan; its elements may hold templates over `vars`.
    List(Vec<Value>),
    /// An expression that gives a list at run time.
    Dynamic(Expression),
    /// The combinations of a matrix, already multiplied out, each a map of axis to value.
    Matrix(Vec<serde_json::Map<String, Value>>),
    /// The same call so many times.
    Samples(u32),
}

/// How many instances of an expanded call are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// All of them.
    All,
    /// So many successes; the rest are cancelled. `any` is `AtLeast(1)`.
    AtLeast(u32),
}

/// Which faults are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryOn {
    /// Any failure.
    pub error: bool,
    /// A time-out.
    pub timeout: bool,
    /// An answer in the wrong shape.
    pub invalid_output: bool,
    /// A failed `check`.
    pub check: bool,
}

/// What a resumed run does with a call that was running when the process was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInterrupt {
    /// Run it again and say so.
    Retry,
    /// Fail it.
    Fail,
    /// Ask a person.
    Ask,
}

/// What a failure means for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Nothing more is started.
    Stop,
    /// The rest goes on; the run fails in the end.
    Continue,
    /// It does not count against the run.
    Ignore,
}

/// The shape of an output.
#[derive(Debug, Clone)]
pub struct OutputSpec {
    /// How the text is read.
    pub format: Format,
    /// What the parsed output must satisfy.
    pub schema: Option<Arc<Value>>,
    /// More than this is cut, with a visible mark.
    pub max_bytes: Bytes,
    /// Also written to this file, relative to the call's working directory.
    pub file: Option<Template>,
}

/// How an output's text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As it stands.
    Text,
    /// As one JSON value; code fences around it are tolerated.
    Json,
    /// As a list of its non-empty lines.
    Lines,
}

/// Run again until it holds.
#[derive(Debug, Clone)]
pub struct Repeat {
    /// Sees `output`, `json`, `status` and `previous` of the round just done, and `round` (from 1).
    pub until: Expression,
    /// Reaching it without success is a failure.
    pub max: u32,
    /// True starts each round without the conversation of the last.
    pub fresh: bool,
}

/// How much of an output others get when they mention it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Only these top-level fields of a JSON output; empty for all.
    pub fields: Vec<String>,
    /// At most so many tokens (estimated at 4 bytes each).
    pub max_tokens: Tokens,
    /// Pasted, or as the path of a file.
    pub as_file: bool,
    /// What to do with more than `max_tokens`.
    pub overflow: Overflow,
}

/// What happens to an output that is too long to pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The middle is left out, with a visible mark.
    Truncate,
    /// The path of the file is given instead.
    File,
    /// The call that mentions it fails.
    Fail,
}

/// Who makes a call.
#[derive(Debug, Clone)]
pub struct Agent {
    /// Its name under `agents`, or `(inline)`.
    pub name: String,
    /// Where it is defined.
    pub at: Span,
    /// How it works.
    pub kind: AgentKind,
}

/// How an agent works.
#[derive(Debug, Clone)]
pub enum AgentKind {
    /// A model in this process.
    Model(ModelAgent),
    /// A program of its own.
    Command(CommandAgent),
}

/// A model with its settings.
#[derive(Debug, Clone)]
pub struct ModelAgent {
    /// The models, tried in order. Never empty.
    pub models: Vec<ModelName>,
    /// The system prompt.
    pub system: Option<Template>,
    /// What it may use, each once, in the order that it was written.
    pub tools: Vec<ToolGrant>,
    /// At most so many turns of the tool loop.
    pub max_turns: u32,
    /// At most so many output tokens a request.
    pub max_tokens: Tokens,
    /// Sampling temperature; sent only when set.
    pub temperature: Option<f64>,
    /// Reasoning effort; sent only when set.
    pub effort: Option<String>,
}

/// A program that answers prompts.
#[derive(Debug, Clone)]
pub struct CommandAgent {
    /// Set for one that is named and not spelt out: it is started and read as its adapter knows how,
    /// and `input`, `output` and `patterns` say nothing.
    pub program: Option<Program>,
    /// Program and arguments; behind a known one's name its additional arguments.
    pub argv: Vec<String>,
    /// How it gets the prompt.
    pub input: CommandInput,
    /// How its standard output is read.
    pub output: CommandOutput,
    /// Where its words stand in its output.
    pub patterns: Box<Patterns>,
    /// Variables that it takes over besides those that every program and this one has.
    pub inherit: Vec<String>,
    /// The system prompt.
    pub system: Option<Template>,
    /// The model, under the program's own name for it. Only of a known one, as are the next two.
    pub model: Option<String>,
    /// Reasoning effort.
    pub effort: Option<String>,
    /// At most so many turns.
    pub max_turns: Option<u32>,
    /// What happens when it is denied a permission that it asked for.
    pub denied: Denied,
}

impl CommandAgent {
    /// A program that is started as it stands, with everything else at its default.
    pub fn new(argv: Vec<String>, input: CommandInput, output: CommandOutput) -> CommandAgent {
        CommandAgent {
            program: None,
            argv,
            input,
            output,
            patterns: Box::default(),
            inherit: Vec::new(),
            system: None,
            model: None,
            effort: None,
            max_turns: None,
            denied: Denied::Block,
        }
    }

    /// A known program, driven by its adapter, with everything at its default.
    pub fn known(program: Program) -> CommandAgent {
        let argv = vec![program.name().to_owned()];
        let plain = CommandAgent::new(argv, CommandInput::Stdin, CommandOutput::StreamJson);
        CommandAgent { program: Some(program), ..plain }
    }

    /// The variables that hold keys which it gets: a known program's own, and those of `inherit`.
    pub fn keys(&self) -> Vec<&str> {
        let provider = self.model.as_deref().and_then(|model| Some(model.split_once('/')?.0));
        let own = self.program.or_else(|| Program::started_by(&self.argv));
        let own = own.map(|program| program.keys_for(provider)).unwrap_or_default();
        own.into_iter().chain(self.inherit.iter().map(String::as_str)).collect()
    }
}

/// Where a program's words stand in its output.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    /// The answer.
    pub text: Option<Pattern>,
    /// Why it failed.
    pub error: Option<Pattern>,
    /// A question or a permission that nobody can answer.
    pub blocked: Option<Pattern>,
    /// That a rate limit was hit, and until when, if it says so.
    pub rate_limited: Option<Pattern>,
    /// How many tokens it sent.
    pub input_tokens: Option<Pattern>,
    /// How many tokens it received.
    pub output_tokens: Option<Pattern>,
    /// What it cost, in USD.
    pub cost: Option<Pattern>,
    /// The name of its conversation.
    pub session: Option<Pattern>,
}

/// Where something stands.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// In each JSON value that is printed, as RFC 6901 says; begins with `/`.
    Pointer(String),
    /// In each line; of a match its group counts, where there is one.
    Regex(regex::Regex),
}

/// What happens when a program is denied a permission that it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The call ends as blocked.
    Block,
    /// The program goes on without it.
    Continue,
}

/// How a program gets the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandInput {
    /// On standard input.
    Stdin,
    /// As its last argument.
    Arg,
    /// As the path of a file, its last argument.
    File,
}

/// How a program's standard output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandOutput {
    /// The whole text is the answer.
    Text,
    /// One JSON object; `result`, `output`, `text` or `response` holds the answer.
    Json,
    /// One JSON object a line; the last that holds an answer counts.
    JsonLines,
    /// The event stream of a known command-line agent.
    StreamJson,
}

/// `provider/model`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelName {
    /// A key of [`Plan::providers`].
    pub provider: String,
    /// The model's own name; may hold slashes.
    pub model: String,
}

impl std::fmt::Display for ModelName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// Where model calls go.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// The dialect it speaks.
    pub api: Api,
    /// Everything before `/messages`, `/chat/completions` or `/responses`, without a slash at the end.
    pub base_url: String,
    /// The environment variable that holds the key; `None` for servers that need none.
    pub api_key_env: Option<String>,
    /// Declared limits.
    pub rate: DeclaredRate,
    /// Extra request headers (never secrets).
    pub headers: Vec<(String, String)>,
    /// What the plan says its models cost, by the provider's own name of the model.
    pub prices: Vec<(String, Price)>,
}

/// What a model costs, in US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Input.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Input that comes from the provider's prompt cache; like other input where it is not said.
    pub cached: Option<f64>,
    /// Input that goes into the provider's prompt cache; like other input where it is not said.
    pub cache_written: Option<f64>,
}

/// Limits declared for a provider.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeclaredRate {
    /// Requests per time.
    pub requests: Option<Rate>,
    /// Tokens per time.
    pub tokens: Option<Rate>,
    /// Requests at once.
    pub concurrency: Option<u32>,
}

/// A wire dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Responses.
    OpenAiResponses,
    /// OpenAI Chat Completions, also spoken by most others.
    OpenAiChat,
    /// Gemini generateContent.
    Gemini,
}

/// Bounds on the whole run.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls at once.
    pub concurrency: u32,
    /// Calls in all.
    pub calls: u32,
    /// Time for the whole run.
    pub time: Option<Duration>,
    /// Tokens and money for the whole run.
    pub budget: Budget,
    /// What the end of the run does with background calls that still run.
    pub background: AtEnd,
}

/// What may be spent; `None` for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Tokens, input and output together.
    pub tokens: Option<Tokens>,
    /// Money.
    pub cost: Option<Usd>,
}

impl Budget {
    /// True where nothing is bounded.
    pub fn is_none(&self) -> bool {
        *self == Budget::default()
    }
}

/// What the end of the run does with background calls that still run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// Waits for them.
    Wait,
    /// Cancels them.
    Cancel,
}

/// A parent step.
#[derive(Debug, Clone)]
pub struct Reconcile {
    /// Where it stands.
    pub at: Span,
    /// The calls it reads, as positions in [`Plan::calls`], in plan order.
    pub of: Vec<usize>,
    /// How.
    pub strategy: Strategy,
    /// How many answers are enough; below it the step fails.
    pub min: Option<Quantity>,
}

/// How results are reconciled, with the strategy's own settings.
///
/// The settings are those of the `reconcile` room; they stay plain data here so
/// that the plan does not depend on it.
#[derive(Debug, Clone)]
pub struct Strategy {
    /// `collect`, `compare`, `vote`, `merge`, `best`, `command`, ….
    pub name: String,
    /// Every other key of the step, with units and names checked.
    pub settings: serde_json::Map<String, Value>,
    /// The program of `strategy: command`.
    pub command: Option<Command>,
    /// What the parent's model is asked under `strategy: synthesize`.
    pub prompt: Option<Template>,
}

impl Strategy {
    /// True for a step that may ask the parent's model.
    pub fn asks(&self) -> bool {
        self.name == "synthesize" || self.settings.get("on_conflict").is_some_and(|word| word == "decide")
    }
}

/// So many, or such a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A number.
    Count(u32),
    /// A share, 0 to 1.
    Share(f64),
}

impl Quantity {
    /// How many of `total` it asks for; a share is rounded up.
    pub fn of(self, total: u32) -> u32 {
        match self {
            Quantity::Count(n) => n,
            Quantity::Share(share) => (share * f64::from(total)).ceil() as u32,
        }
    }
}

/// What counts as a success of the run.
#[derive(Debug, Clone, PartialEq)]
pub enum Require {
    /// Everything but calls with `on_error: ignore` and calls skipped by their own `when`.
    All,
    /// So many of those, or such a share.
    Some(Quantity),
    /// For each named call so many of its instances (`None` for all of them).
    PerCall(Vec<(usize, Option<Quantity>)>),
}

/// The keys that a step with a strategy of this name may have, but for those that every step has,
/// and the keys of all steps.
#[cfg(test)]
pub(crate) fn step_keys(strategy: &str) -> (&'static [&'static str], &'static [&'static str]) {
    use file::reconcile::{ReconcileFile, StrategyWord, keys_of};
    use record::{Record as _, Word as _};
    let word = StrategyWord::ALL.iter().find(|word| word.word() == strategy);
    (word.map_or(&[], |word| keys_of(*word)), ReconcileFile::KEYS)
}
