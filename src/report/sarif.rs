//! SARIF 2.1.0 (`report: {sarif: …}`): the findings that the parent merged, else its conflicts.
//!
//! Invariants: a result says where, as far as a finding says it; a path never leads out
//! of the source tree; the fingerprint of a finding does not depend on its line, so it is
//! known again after an edit above it; `rank` is the share of those asked who found it.

mod document;
mod finding;

use super::fold::RunView;
pub use document::{Place, place};
pub use finding::{Finding, Level, findings};

/// The document as text, with a newline at its end.
///
/// # Errors
/// Only for values that have no JSON form, which none of a finding's have by construction.
pub fn render(view: &RunView) -> serde_json::Result<String> {
    let document = document::Document::of(view, &findings(view));
    let mut text = super::sanitise::json(&serde_json::to_string_pretty(&document)?).into_owned();
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests;
