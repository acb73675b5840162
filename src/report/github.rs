//! What GitHub Actions reads: annotations in the log, and the summary of the step.
//!
//! Invariants: an annotation is one line, its parts escaped as GitHub documents it, so no
//! text of a model can end it or begin another; at most ten of a kind, because GitHub drops
//! more from one step; the summary is Markdown under the size that GitHub takes.

use std::fmt::Write as _;

use super::fold::RunView;
use super::markdown;
use super::sanitise;
use super::sarif::{self, Level};
use super::style::Style;
use crate::outcome::Status;

/// Annotations of one kind that GitHub shows of one step.
const EACH: usize = 10;
/// What the summary of a step may have: 1 MiB, with room for what other programs write there.
const SUMMARY: usize = 1000 * 1024;

/// The annotations of a run, a line each: its findings, the calls that did not succeed, its conflicts.
pub fn annotations(view: &RunView) -> String {
    let mut out = Annotations::default();
    let plan = view.head.as_ref().map_or("", |head| head.plan.as_str());
    if let Some(finish) = view.finish.as_ref().filter(|finish| !finish.success) {
        out.add("error", plan, None, "fanout failed", &finish.reasons.join("; "));
    }
    let success = view.finish.as_ref().is_some_and(|finish| finish.success);
    for (id, instance) in view.calls.iter().flat_map(|call| call.each()) {
        let Some(outcome) = instance.outcome.as_ref().filter(|outcome| !outcome.is_ok()) else { continue };
        let kind = if outcome.status == Status::Skipped {
            "notice"
        } else if success {
            "warning"
        } else {
            "error"
        };
        let why = outcome.cause.as_ref().map_or("", |cause| cause.message.as_str());
        out.add(kind, plan, None, &format!("{id} {}", outcome.status.words()), why);
    }
    for finding in sarif::findings(view) {
        let kind = match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        let file = finding.file.as_deref().unwrap_or(plan);
        out.add(kind, file, finding.line.filter(|_| finding.file.is_some()), &finding.rule, &finding.message);
    }
    out.text
}

/// The summary of a step, under 1 MiB.
pub fn summary(view: &RunView) -> String {
    markdown::within(view, SUMMARY)
}

#[derive(Default)]
struct Annotations {
    text: String,
    errors: usize,
    warnings: usize,
    notices: usize,
}

impl Annotations {
    fn add(&mut self, kind: &'static str, file: &str, line: Option<u64>, title: &str, message: &str) {
        let count = match kind {
            "error" => &mut self.errors,
            "warning" => &mut self.warnings,
            _ => &mut self.notices,
        };
        *count += 1;
        if *count > EACH {
            return;
        }
        let at = line.map_or_else(String::new, |line| format!(",line={line}"));
        let message = sanitise::text(sanitise::prefix(message, 4_000), &Style::FILE);
        let message = if message.trim().is_empty() { sanitise::text(title, &Style::FILE) } else { message };
        let _ = writeln!(
            self.text,
            "::{kind} file={}{at},title={}::{}",
            property(&sanitise::short(file, 500, &Style::FILE)),
            property(&sanitise::short(title, 200, &Style::FILE)),
            data(&message),
        );
    }
}

/// The message of a workflow command, escaped.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command, escaped.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, Script};

    #[test]
    fn a_mixed_run_as_annotations() {
        insta::assert_snapshot!(annotations(&RunView::of(&sample::mixed())));
    }

    #[test]
    fn no_text_ends_an_annotation_or_begins_another() {
        let nasty = "a,line=1::b%0A\r\n::error::forged\n##[error]x\u{2028}::add-mask::y";
        let mut script = Script::new("p", &["a"]);
        script.start("a").bad("a", Status::Failed, "x", nasty);
        let item = serde_json::json!({ "file": nasty, "line": 3, "message": nasty, "rule": nasty });
        script.reconciled(serde_json::json!({ "items": [item] }), "").finish(false, &[nasty]);
        let text = annotations(&RunView::of(&script.records));
        assert_eq!(text.lines().count(), 3, "{text}");
        for line in text.lines() {
            assert!(line.starts_with("::error file=") || line.starts_with("::warning file="), "{line}");
            let (properties, message) = line[2..].split_once("::").unwrap();
            assert!(properties.matches(',').count() <= 2, "{line}");
            assert!(message.contains("%250A") && message.contains("%0A"), "{line}");
        }
    }

    #[test]
    fn ten_of_a_kind_are_enough() {
        let ids: Vec<String> = (0..30).map(|n| format!("c{n}")).collect();
        let mut script = Script::new("p", &ids.iter().map(String::as_str).collect::<Vec<_>>());
        for id in &ids {
            script.start(id).bad(id, Status::Failed, "x", "y");
        }
        assert_eq!(annotations(&RunView::of(&script.finish(false, &["z"]).records)).lines().count(), 10);
    }
}
