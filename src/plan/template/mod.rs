//! Templates and expressions: checked when the plan is read, rendered when a call starts.
//!
//! Invariants: a [`Template`] that exists mentions only names that are in its scope.
//! What a call returned is data, never template text: a rendered value is not
//! rendered again.

mod check;
mod emit;
mod files;
mod filters;
mod insertion;
mod names;
mod place;
mod reach;
mod render;
mod resolve;
mod scope;
mod shape;
mod shell;
mod syntax;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::Pass;
use super::diagnostic::{Diagnostic, Span};

use check::Check;
use emit::Emit;
use place::Places;

pub(crate) use files::glob as matching_files;
pub use names::{Also, CallShape, Known, Names};

/// How a scalar is written in YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// `'…'`.
    SingleQuoted,
    /// `"…"`.
    DoubleQuoted,
    /// `|`.
    Literal,
    /// `>`.
    Folded,
}

/// One scalar of a plan, with what is needed to find a place inside it.
#[derive(Debug, Clone, Copy)]
pub struct ScalarText<'a> {
    /// The text that it stands for.
    pub text: &'a str,
    /// The whole scalar in its file.
    pub at: Span,
    /// The bytes of `at`, as they stand in the file.
    pub raw: &'a str,
    /// How it is written.
    pub style: Style,
}

/// A text with `{{ }}` in it, checked.
#[derive(Debug, Clone)]
pub struct Template {
    /// As it stands in the plan.
    pub source: Arc<str>,
    /// Where.
    pub at: Span,
    facts: Option<Arc<Facts>>,
}

/// An expression, checked.
#[derive(Debug, Clone)]
pub struct Expression {
    /// Without any `{{ }}` around it.
    pub source: Arc<str>,
    /// Where.
    pub at: Span,
    facts: Arc<Facts>,
}

/// One place where a call is mentioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The call's id.
    pub call: Arc<str>,
    /// What of it: `output`, `json`, `status`, …; `None` for the call as a whole.
    pub attribute: Option<&'static str>,
    /// Where.
    pub at: Span,
}

/// What was found when the text was read.
#[derive(Debug, Default)]
struct Facts {
    /// The text with the places routed where values enter it, once it is rendered; `None` where it can
    /// stay as it is.
    routed: OnceLock<Option<Box<str>>>,
    mentions: Box<[Mention]>,
    vars: Box<[Arc<str>]>,
    emits: Box<[Emit]>,
    /// Expressions of the text, and where they stand in the file.
    spots: Box<[(Range<u32>, Span)]>,
}

/// Reads and checks a template. A text without `{{`, `{%` and `{#` costs next to nothing.
///
/// Every fault is added to `faults`; a template with faults must not be rendered. What is
/// rendered for a shell must have been read for one.
pub fn template(text: &ScalarText, names: &Names, to: Destination, faults: &mut Vec<Diagnostic>) -> Template {
    let literal = Template::literal(text.text, text.at);
    if syntax::is_plain(text.text) {
        return literal;
    }
    let places = Places::new(*text);
    let tree = match syntax::read_template(text.text) {
        Ok(tree) => tree,
        Err(fault) => {
            fault.report(&places, 0, faults);
            return literal;
        }
    };
    let minijinja::machinery::ast::Stmt::Template(root) = &tree else { return literal };
    let mut check = Check::new(text.text, 0, names, &places, faults);
    check.template(&root.children, to == Destination::Shell);
    Template { facts: Some(Arc::new(check.finish())), ..literal }
}

/// Reads and checks an expression, written `a == b` or `{{ a == b }}`.
///
/// Every fault is added to `faults`; an expression with faults must not be evaluated.
pub fn expression(text: &ScalarText, names: &Names, faults: &mut Vec<Diagnostic>) -> Expression {
    let places = Places::new(*text);
    let mut found = Expression { source: text.text.into(), at: text.at, facts: Arc::default() };
    let inner = match syntax::unwrapped(text.text) {
        Ok(inner) => inner,
        Err(fault) => {
            fault.report(&places, 0, faults);
            return found;
        }
    };
    let source = text.text.get(inner.clone()).unwrap_or(text.text);
    found.source = source.into();
    match syntax::read_expression(source) {
        Err(fault) => fault.report(&places, inner.start, faults),
        Ok(tree) => {
            let mut check = Check::new(source, inner.start, names, &places, faults);
            check.expression(&tree);
            found.facts = Arc::new(check.finish());
        }
    }
    found
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
    /// A text with no templates in it: `{{` in it is only text.
    pub fn literal(text: impl Into<Arc<str>>, at: Span) -> Template {
        Template { source: text.into(), at, facts: None }
    }

    /// True when it is only text.
    pub fn is_literal(&self) -> bool {
        self.facts.is_none()
    }

    /// The calls that it mentions, in the order they are written; one call may be there several times.
    pub fn mentions(&self) -> &[Mention] {
        self.facts.as_ref().map_or(&[], |facts| &facts.mentions)
    }

    /// The names of `vars` that it mentions, each once.
    pub fn vars(&self) -> &[Arc<str>] {
        self.facts.as_ref().map_or(&[], |facts| &facts.vars)
    }

    /// Renders it.
    ///
    /// # Errors
    /// [`RenderError`] when a filter fails, a value is missing, or an output is longer than its
    /// `pass` allows under `overflow: fail`.
    pub fn render(&self, scope: &Scope, to: Destination) -> Result<Rendered, RenderError> {
        match &self.facts {
            None => Ok(Rendered { text: self.source.as_ref().to_owned(), variables: Vec::new() }),
            Some(facts) => render::render(self, facts, scope, to),
        }
    }
}

impl Expression {
    /// The calls that it mentions, in the order they are written; one call may be there several times.
    pub fn mentions(&self) -> &[Mention] {
        &self.facts.mentions
    }

    /// The names of `vars` that it mentions, each once.
    pub fn vars(&self) -> &[Arc<str>] {
        &self.facts.vars
    }

    /// Evaluates it to data.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn evaluate(&self, scope: &Scope) -> Result<serde_json::Value, RenderError> {
        let value = render::evaluate(self, scope)?;
        render::to_json(&value).map_err(|error| RenderError {
            message: error.detail().unwrap_or("this is not JSON").to_owned(),
            at: self.at,
        })
    }

    /// Evaluates it to true or false, by Jinja's rules of truth.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn holds(&self, scope: &Scope) -> Result<bool, RenderError> {
        render::evaluate(self, scope).map(|value| value.is_true())
    }
}
