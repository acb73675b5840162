//! What is wrong with a plan: a stable code, a place, a sentence and what to write instead.
//!
//! Invariant: plain data; drawing it on a terminal is the command line's business.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

/// A stretch of bytes in one of the files that make up a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Span {
    /// Which file: an index into [`Sources`]; 0 is the plan itself.
    pub file: u16,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// The files that a plan was read from, in the order they were opened.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Path as named, and text.
    pub files: Vec<(PathBuf, Arc<str>)>,
}

impl Sources {
    /// Line and column (in characters) of a span's start, both from 1.
    pub fn position(&self, span: Span) -> (usize, usize) {
        let Some((_, text)) = self.files.get(usize::from(span.file)) else { return (1, 1) };
        let mut start = (span.start as usize).min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The plan does not run.
    Error,
    /// The plan runs; with `--strict` it does not.
    Warning,
}

/// One fault or piece of advice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable and documented in docs/diagnostics.md: `E0103`, `W0301`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub at: Span,
    /// What is wrong: one sentence, lowercase, no full stop.
    pub message: String,
    /// A few words under the underlined place; may be empty.
    pub label: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Other places that belong to it, each with a few words.
    pub related: Vec<(Span, String)>,
}

impl Diagnostic {
    /// An error at a place, so far without label, help and related places.
    pub fn error(code: &'static str, at: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            at,
            message: message.into(),
            label: String::new(),
            help: None,
            related: Vec::new(),
        }
    }

    /// A warning at a place.
    pub fn warning(code: &'static str, at: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, at, message) }
    }

    /// With a few words under the underlined place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// With what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// With what to write instead, where that is known.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Diagnostic {
        self.help = help.or(self.help);
        self
    }

    /// With another place that belongs to it.
    #[must_use]
    pub fn related(mut self, at: Span, words: impl Into<String>) -> Diagnostic {
        self.related.push((at, words.into()));
        self
    }
}
