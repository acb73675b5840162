//! The codes of what can be wrong with a template, and the one way to report it.
//!
//! Invariant: a code keeps its meaning; docs/diagnostics.md lists them.

use crate::plan::diagnostic::{Diagnostic, Severity, Span};

/// It cannot be read: a tag that is not closed, a stray brace, an unknown statement.
pub(super) const SYNTAX: &str = "E0401";
/// A name that does not exist, or not here.
pub(super) const NAME: &str = "E0402";
/// `calls.<id>` of a call that does not exist.
pub(super) const CALL: &str = "E0403";
/// Something that a call, an instance, a run or a loop does not have.
pub(super) const ATTRIBUTE: &str = "E0404";
/// `vars.<name>` of a var that does not exist.
pub(super) const VAR: &str = "E0405";
/// A filter, test or function that does not exist.
pub(super) const FILTER: &str = "E0406";
/// `calls[…]` with anything but a name in quotes.
pub(super) const DYNAMIC: &str = "E0407";
/// A value where a shell would not keep it apart from its own text.
pub(super) const SHELL: &str = "E0408";
/// A part of Jinja that this language leaves out.
pub(super) const LEFT_OUT: &str = "E0409";
/// A part of the plan language that is not built yet.
pub(super) const NOT_BUILT: &str = "E0501";

/// Adds an error. `label` may be empty.
pub(super) fn report(
    faults: &mut Vec<Diagnostic>,
    code: &'static str,
    at: Span,
    message: impl Into<String>,
    label: impl Into<String>,
    help: Option<String>,
) {
    faults.push(Diagnostic {
        code,
        severity: Severity::Error,
        at,
        message: message.into(),
        label: label.into(),
        help,
        related: Vec::new(),
    });
}
