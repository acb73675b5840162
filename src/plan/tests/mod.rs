//! What the plan room promises, seen from outside: a text in, a plan or diagnostics out.

use std::path::Path;

use super::*;
use crate::cli::diagnostics::{line, render};

mod agents;
mod big;
mod calls;
mod expansion;
mod files;
mod graph;
mod hostile;
mod keys;
mod reconcile;
mod sandbox;
mod sessions;
mod tour;
mod vars;

/// A key in the environment, so that every call has a model.
fn given() -> Given {
    let vars = [("ANTHROPIC_API_KEY".to_owned(), "set".to_owned())];
    Given { environment: Environment { vars: vars.into() }, ..Given::default() }
}

fn read(text: &str) -> Loaded {
    load_text(text, Path::new("plan.yaml"), &given())
}

/// The plan, which must have no faults.
fn plan(text: &str) -> Plan {
    sound(read(text))
}

fn sound(loaded: Loaded) -> Plan {
    let drawn = render(&loaded.diagnostics, &loaded.sources, false);
    loaded.plan.unwrap_or_else(|| panic!("{drawn}"))
}

/// Each fault in one line, without the name of the file and the help.
fn faults(text: &str) -> Vec<String> {
    lines(&read(text)).iter().map(|line| line.split(" (").next().unwrap_or("").to_owned()).collect()
}

/// Each fault in one line, help and all, without the name of the plan.
fn lines(loaded: &Loaded) -> Vec<String> {
    assert_eq!(
        loaded.plan.is_none(),
        loaded.has_errors(),
        "a plan is there exactly when nothing is an error"
    );
    let shown = loaded.diagnostics.iter().map(|fault| line(fault, &loaded.sources));
    shown
        .map(|line| line.replacen("plan.yaml:", "", 1).replacen(" error[", " ", 1).replacen("]:", "", 1))
        .collect()
}

/// A plan of one call with these keys, each on a line of its own.
fn call(keys: &str) -> String {
    let body: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    format!("calls:\n  one:\n{body}")
}
