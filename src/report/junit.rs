//! JUnit XML (`report: {junit: …}`): a case for each instance, for each check and for the run's verdict.
//!
//! Invariants: `failed` is a failure, what never came to an answer is an error, what was
//! not started is skipped; no case is a success that the run does not count as one; what
//! others wrote is text, capped. The file fits the schema of Jenkins' xUnit plugin.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite, XmlString};

use super::fold::{CallView, InstanceView, RunView, State};
use super::sanitise;
use super::style::Style;
use crate::id::InstanceId;
use crate::outcome::{Outcome, Status};

/// Bytes kept of one text: its head and its end.
const TEXT: usize = 64 * 1024;

/// The document.
///
/// # Errors
/// Only what the XML writer gives; it has none of its own for text in memory.
pub fn render(view: &RunView) -> Result<String, quick_junit::SerializeError> {
    let name = view.head.as_ref().map_or("fanout", |head| head.name.as_str());
    let mut report = Report::new(line(name));
    let mut suite = TestSuite::new(line(name));
    for call in &view.calls {
        cases(&mut suite, name, call);
    }
    suite.add_test_case(verdict(view, name));
    suite.set_time(view.elapsed);
    report.set_time(view.elapsed);
    report.add_test_suite(suite);
    // The schema knows `skipped` on a suite and not on all of them. A name cannot hold this text:
    // its quotation marks are escaped.
    let mut xml = report.to_string()?;
    let counts = xml.find("<testsuites ").and_then(|root| Some((root, root + xml.get(root..)?.find('>')?)));
    let skipped = counts.and_then(|(root, end)| Some((root + xml.get(root..end)?.find(" skipped=\"")?, end)));
    if let Some((start, end)) = skipped
        && let Some(length) = xml.get(start + 10..end).and_then(|rest| rest.find('"'))
    {
        xml.replace_range(start..start + 11 + length, "");
    }
    Ok(xml)
}

fn cases(suite: &mut TestSuite, name: &str, call: &CallView) {
    let mut happened = false;
    for (id, view) in call.each().filter(|(_, view)| view.state != State::Waiting) {
        happened = true;
        let title = title(call, &id);
        let mut case = TestCase::new(line(&title), status(view));
        case.set_classname(line(&format!("{name}.{}", call.id())));
        if let Some(outcome) = &view.outcome {
            case.set_time(outcome.took);
            if !outcome.output.is_empty() {
                case.set_system_out(text(&outcome.output.text));
            }
            if !outcome.stderr.trim().is_empty() {
                case.set_system_err(text(&outcome.stderr));
            }
        }
        suite.add_test_case(case);
        if call.planned.check {
            let mut case = TestCase::new(line(&format!("{title} (check)")), check(view));
            case.set_classname(line(&format!("{name}.{}", call.id())));
            case.set_time(Duration::ZERO);
            suite.add_test_case(case);
        }
    }
    if !happened {
        let mut status = TestCaseStatus::skipped();
        status.set_type("never_reached").set_message("the run ended before it was reached");
        let mut case = TestCase::new(line(&title(call, &InstanceId::only(call.id().clone()))), status);
        case.set_classname(line(&format!("{name}.{}", call.id())));
        suite.add_test_case(case);
    }
}

/// `review[2] src/auth.ts`, `graph: Call graph of the failing test`.
fn title(call: &CallView, id: &InstanceId) -> String {
    match call.label(id.index) {
        Some(label) => format!("{id} {label}"),
        None if call.planned.description == call.id().as_str() => id.to_string(),
        None => format!("{id}: {}", call.planned.description),
    }
}

fn status(view: &InstanceView) -> TestCaseStatus {
    let Some(outcome) = &view.outcome else {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("unfinished").set_message("it did not end: the record ends while it was at work");
        return status;
    };
    let mut status = match outcome.status {
        Status::Ok => TestCaseStatus::success(),
        Status::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Skipped => TestCaseStatus::skipped(),
        Status::TimedOut
        | Status::Blocked
        | Status::Refused
        | Status::InvalidOutput
        | Status::OverBudget
        | Status::Cancelled => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if outcome.is_ok() {
        for attempt in view.attempts.iter().filter(|attempt| attempt.retry_in.is_some()) {
            let mut rerun = TestRerun::new(NonSuccessKind::Failure);
            rerun.set_type(line(&attempt.cause.code)).set_message(line(&attempt.cause.message));
            status.add_rerun(rerun);
        }
    } else {
        describe(&mut status, outcome);
    }
    status
}

fn describe(status: &mut TestCaseStatus, outcome: &Outcome) {
    let (code, message) = match &outcome.cause {
        Some(cause) => (cause.code.as_str(), cause.message.as_str()),
        None => ("", outcome.status.words()),
    };
    let code = if code.is_empty() {
        outcome.status.as_str().to_owned()
    } else {
        format!("{}.{code}", outcome.status)
    };
    status.set_type(line(&code)).set_message(line(message));
    status.set_description(text(message));
}

/// Whether the check let the answer pass. A call that failed before its check has none.
fn check(view: &InstanceView) -> TestCaseStatus {
    match &view.outcome {
        Some(outcome) if outcome.is_ok() => TestCaseStatus::success(),
        Some(outcome) if outcome.cause.as_ref().is_some_and(|cause| cause.code == "check") => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            describe(&mut status, outcome);
            status
        }
        Some(_) | None => {
            let mut status = TestCaseStatus::skipped();
            status.set_type("not_checked").set_message("there was no answer to check");
            status
        }
    }
}

/// What the run as a whole came to: `require`, `fail_on` and conflicts count here.
fn verdict(view: &RunView, name: &str) -> TestCase {
    let status = match &view.finish {
        Some(finish) if finish.success => TestCaseStatus::success(),
        Some(finish) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let reasons = finish.reasons.join("; ");
            status.set_type(format!("exit_status.{}", finish.exit)).set_message(line(&reasons));
            status.set_description(text(&reasons));
            status
        }
        None => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("unfinished").set_message("the run did not finish; nothing here is final");
            status
        }
    };
    let mut case = TestCase::new("the run's verdict", status);
    case.set_classname(line(name));
    let step = crate::id::CallId::parent_step();
    if let Some(computed) = view.reconciled.iter().find(|computed| computed.step == step)
        && computed.strategy() != "collect"
    {
        case.set_system_out(text(&computed.text));
    }
    case
}

fn line(raw: &str) -> XmlString {
    XmlString::new(sanitise::short(raw, 1_000, &Style::FILE))
}

fn text(raw: &str) -> XmlString {
    let clean = sanitise::text(raw, &Style::FILE);
    if clean.len() <= TEXT {
        return XmlString::new(clean);
    }
    let head = sanitise::prefix(&clean, TEXT / 2);
    let mut from = clean.len() - TEXT / 2;
    while !clean.is_char_boundary(from) {
        from += 1;
    }
    let end = clean.get(from..).unwrap_or_default();
    XmlString::new(format!("{head}\n… {} bytes left out …\n{end}", from - head.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PlannedCall;
    use crate::report::sample::{self, Script, planned};

    #[test]
    fn a_mixed_run_as_junit() {
        insta::assert_snapshot!(render(&RunView::of(&sample::mixed())).unwrap());
    }

    #[test]
    fn a_check_is_a_case_of_its_own() {
        let checked = |id| PlannedCall { check: true, ..planned(id, id) };
        let mut script = Script::planned("p", vec![checked("good"), checked("bad"), checked("dead")]);
        script.start("good").ok("good", "x").start("bad").bad(
            "bad",
            Status::Failed,
            "check",
            "`make test` failed",
        );
        script
            .start("dead")
            .bad("dead", Status::TimedOut, "timeout", "too late")
            .finish(false, &["2 failed"]);
        let xml = render(&RunView::of(&script.records)).unwrap();
        assert!(
            xml.contains("<testsuites name=\"p\" tests=\"7\" failures=\"3\" errors=\"1\" time=\"0.000\">"),
            "{xml}"
        );
        let case = |name: &str| {
            xml.split("<testcase ").find(|case| case.starts_with(&format!("name=\"{name}\""))).unwrap()
        };
        assert!(case("bad (check)").contains("type=\"failed.check\""), "{xml}");
        assert!(case("dead").contains("<error message=\"too late\" type=\"timed_out.timeout\""), "{xml}");
        assert!(case("dead (check)").contains("<skipped"), "{xml}");
        assert!(!case("good (check)").contains("<failure"), "{xml}");
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut script = Script::new("]]><x>&\"'", &["a"]);
        let nasty = "]]>]]&gt;<![CDATA[\u{0}\u{1b}[2J\u{ffff}</system-out><testcase name=\"fake\">\u{2028}";
        script.start("a").ok("a", &nasty.repeat(3_000)).finish(false, &[nasty]);
        let xml = render(&RunView::of(&script.records)).unwrap();
        assert_eq!(xml.matches("<testcase ").count(), 2, "{xml}");
        assert!(xml.len() < 2 * TEXT * 6, "{}", xml.len());
        assert!(!xml.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
    }
}
