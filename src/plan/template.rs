//! Templates and expressions: checked when the plan is read, rendered when a call starts.
//!
//! Invariants: a [`Template`] that exists mentions only names that are in its scope.
//! What a call returned is data, never template text: a rendered value is not
//! rendered again.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::Pass;
use super::diagnostic::Span;

/// A text with `{{ }}` in it, checked.
#[derive(Debug, Clone)]
pub struct Template {
    /// As it stands in the plan.
    pub source: Arc<str>,
    /// Where.
    pub at: Span,
}

/// An expression, checked.
#[derive(Debug, Clone)]
pub struct Expression {
    /// Without any `{{ }}` around it.
    pub source: Arc<str>,
    /// Where.
    pub at: Span,
}

/// What a template reads at run time; the run implements it.
pub trait Results: fmt::Debug + Send + Sync {
    /// The value of `calls.<id>`: a map-like value with `output`, `json`, `status`, ….
    fn call(&self, id: &str) -> Option<minijinja::Value>;
    /// How much of `<id>`'s output may be pasted into a prompt.
    fn pass(&self, id: &str) -> Option<Pass>;
    /// The file that holds the whole output of `<id>`.
    fn file(&self, id: &str) -> Option<PathBuf>;
}

/// Everything that is in scope for one rendering.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Names and values besides `calls`: `vars`, `goal`, `env`, `item` (under its own name),
    /// `matrix`, `index`, `run`, `notifications`, `previous`, ….
    pub names: Arc<Vec<(Arc<str>, minijinja::Value)>>,
    /// What `calls` holds.
    pub results: Arc<dyn Results>,
    /// Base of the filters `read` and `glob`.
    pub dir: Arc<PathBuf>,
}

/// Where a rendered text goes, which decides how values enter it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A prompt: what calls returned stands bounded and verbatim between markers.
    Prompt,
    /// A shell: each value becomes a variable, and the text only mentions it.
    Shell,
    /// Anything else (`stdin`, `env`, arguments): values enter as they are.
    Raw,
}

/// A rendered template.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// For [`Destination::Shell`]: the variables that the text mentions, with their values.
    pub variables: Vec<(String, String)>,
}

/// Why a template could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RenderError {
    /// What happened.
    pub message: String,
    /// The template.
    pub at: Span,
}

impl Template {
    /// Renders it.
    ///
    /// # Errors
    /// [`RenderError`] when a filter fails, a value is missing, or an output is longer than its
    /// `pass` allows under `overflow: fail`.
    pub fn render(&self, _scope: &Scope, _to: Destination) -> Result<Rendered, RenderError> {
        Err(RenderError { message: String::new(), at: self.at })
    }
}

impl Expression {
    /// Evaluates it to data.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn evaluate(&self, _scope: &Scope) -> Result<serde_json::Value, RenderError> {
        Err(RenderError { message: String::new(), at: self.at })
    }

    /// Evaluates it to true or false, by Jinja's rules of truth.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn holds(&self, _scope: &Scope) -> Result<bool, RenderError> {
        Err(RenderError { message: String::new(), at: self.at })
    }
}
