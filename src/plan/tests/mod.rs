//! What the plan room promises, seen from outside: a text in, a plan or diagnostics out.

use std::path::Path;

use super::*;

mod keys;
mod tour;

/// Reads a plan with a key in the environment, so that every call has a model.
fn read(text: &str) -> Loaded {
    load_text(text, Path::new("plan.yaml"), &given())
}

fn given() -> Given {
    let vars = [("ANTHROPIC_API_KEY".to_owned(), "set".to_owned())];
    Given { environment: Environment { vars: vars.into() }, ..Given::default() }
}

/// The plan, which must have no faults.
fn plan(text: &str) -> Plan {
    let loaded = read(text);
    let drawn = crate::cli::diagnostics::render(&loaded.diagnostics, &loaded.sources, false);
    loaded.plan.unwrap_or_else(|| panic!("{drawn}"))
}

/// Each fault in one line.
fn faults(text: &str) -> Vec<String> {
    let loaded = read(text);
    assert_eq!(
        loaded.plan.is_none(),
        loaded.has_errors(),
        "a plan is there exactly when nothing is an error"
    );
    loaded.diagnostics.iter().map(|fault| crate::cli::diagnostics::line(fault, &loaded.sources)).collect()
}
