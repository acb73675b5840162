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

mod agent;
mod call;
mod check;
pub mod code;
pub mod diagnostic;
mod file;
mod files;
mod keys;
mod limits;
mod load;
pub mod notify;
mod program;
mod provider;
mod read;
mod reconcile;
mod record;
mod sandbox;
mod scalar;
mod schema;
mod suggest;
pub mod template;
mod tool;
pub mod workspace;
pub mod yaml;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

pub use agent::{
    Agent, AgentKind, CommandAgent, CommandInput, CommandOutput, Denied, ModelAgent, ModelName, Pattern,
    Patterns,
};
pub use call::{
    Accept, Action, Cache, Call, Check, Command, Computed, Expand, Format, Join, Need, OnError, OnInterrupt,
    OutputSpec, Overflow, Pass, Repeat, RetryOn, Session,
};
use diagnostic::Span;
pub use limits::{AtEnd, Budget, Limits};
pub use load::{
    Environment, Given, Loaded, MAX_PLAN_DEPTH, SettingsCheck, SettingsFault, WorkspaceCheck, load, load_text,
};
pub use program::{COMMON_VARIABLES, Program};
pub use provider::{Api, DeclaredRate, Price, Provider};
pub use reconcile::{Quantity, Reconcile, Strategy};
pub use sandbox::{Sandbox, SandboxMode};
pub use schema::schema;
use template::{Expression, Template};
pub use tool::{CommandPattern, McpServer, McpTransport, Setting, ToolGrant};

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
