//! The room as a whole: read, checked, rendered. What stands beside the code tests its parts.

mod check;
mod expression;
mod prompt;
mod shell;

use std::collections::BTreeMap;

use minijinja::value::{Serde, Value};
use serde_json::json;

use super::*;
use crate::plan::Overflow;
use crate::unit::Tokens;

/// Results that a test made up.
#[derive(Debug, Default)]
struct Made {
    calls: BTreeMap<String, serde_json::Value>,
    passes: BTreeMap<String, Pass>,
    files: BTreeMap<String, PathBuf>,
}

impl Results for Made {
    fn call(&self, id: &str) -> Option<Value> {
        self.calls.get(id).map(|value| Value::from(Serde(value)))
    }
    fn pass(&self, id: &str) -> Option<Pass> {
        self.passes.get(id).cloned()
    }
    fn file(&self, id: &str) -> Option<PathBuf> {
        self.files.get(id).cloned()
    }
}

fn known() -> Known {
    let mut known = Known::new();
    for var in ["good", "text", "list", "count", "api-key"] {
        known.add_var(var);
    }
    known.add_call("graph", CallShape::Single);
    known.add_call("history", CallShape::Single);
    known.add_call("call-sites", CallShape::Single);
    known.add_call("review", CallShape::Expanded);
    known
}

/// Everything is in scope.
fn all_names(known: &Known) -> Names<'_> {
    Names {
        item: Some("item"),
        axes: vec!["os", "node-version"],
        env: vec!["HOME"],
        also: vec![Also::Goal, Also::Run, Also::Notifications, Also::Index, Also::Previous, Also::Round],
        ..Names::call(known)
    }
}

fn scope(names: serde_json::Value, results: Made) -> Scope {
    let serde_json::Value::Object(names) = names else { panic!("names are a map") };
    let names = names.into_iter().map(|(name, value)| (name.as_str().into(), Value::from(Serde(value))));
    Scope { names: Arc::new(names.collect()), results: Arc::new(results), dir: Arc::new(PathBuf::from(".")) }
}

/// A scalar of which text and file are the same.
fn plain(text: &str) -> ScalarText<'_> {
    let at = Span { file: 0, start: 0, end: u32::try_from(text.len()).unwrap() };
    ScalarText { text, at, raw: text, style: Style::Literal }
}

/// Reads a template that has to be right.
fn read(text: &str, to: Destination) -> Template {
    let known = known();
    let mut faults = Vec::new();
    let template = template(&plain(text), &all_names(&known), to, &mut faults);
    assert_eq!(faults, [], "{text}");
    template
}

fn read_expression(text: &str) -> Expression {
    let known = known();
    let mut faults = Vec::new();
    let expression = expression(&plain(text), &all_names(&known), &mut faults);
    assert_eq!(faults, [], "{text}");
    expression
}

/// The faults of a template: code, what is underlined, message and help.
fn faults(text: &str, to: Destination) -> Vec<String> {
    let known = known();
    let mut faults = Vec::new();
    template(&plain(text), &all_names(&known), to, &mut faults);
    shown(text, &faults)
}

fn shown(text: &str, faults: &[Diagnostic]) -> Vec<String> {
    let one = |fault: &Diagnostic| {
        let under = &text[fault.at.start as usize..fault.at.end as usize];
        let help = fault.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{} [{under}] {}{help}", fault.code, fault.message)
    };
    faults.iter().map(one).collect()
}

/// One call, `graph`, that said this.
fn graph(output: serde_json::Value) -> Made {
    let mut made = Made::default();
    made.calls.insert("graph".to_owned(), output);
    made
}

fn said(text: &str) -> Made {
    graph(json!({"output": text, "status": "ok"}))
}

fn pass(max_tokens: u64, overflow: Overflow) -> Pass {
    Pass { fields: Vec::new(), max_tokens: Tokens(max_tokens), as_file: false, overflow }
}
