//! Who makes a call: a model with tools in this process, or a program of its own.

use super::diagnostic::Span;
use super::template::Template;
use super::{Program, ToolGrant};
use crate::unit::Tokens;

/// Who makes a call.
#[derive(Debug, Clone)]
pub struct Agent {
    /// Its name under `agents`, or `(inline)`.
    pub name: String,
    /// `description`: what it is for.
    pub description: Option<String>,
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
    /// What it may use, each once; only of a known one, and only what that one can be kept to. `None`
    /// where nothing is said: it may look, and change nothing.
    pub tools: Option<Vec<ToolGrant>>,
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
            tools: None,
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
    /// A key of [`Plan::providers`](super::Plan::providers).
    pub provider: String,
    /// The model's own name; may hold slashes.
    pub model: String,
}

impl std::fmt::Display for ModelName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}
