//! What the parent was told, asked and computed: notifications, questions, the reconciliation.

use serde_json::Value;

use super::block::{Blocks, Kind, mark};
use super::census;
use super::page::Page;
use crate::id::{CallId, InstanceId};
use crate::outcome::Status;
use crate::report::fold::{ReconciledView, RunView};
use crate::report::style::{Style, Tone};
use crate::unit::human_duration;

/// Lines shown of the parent's result: it is what the run was for.
const LINES: usize = 400;

/// Writes everything between the calls and the census.
pub(super) fn write(page: &mut Page<'_>, view: &RunView, run: &str) {
    notifications(page, view);
    questions(page, view);
    reconciliation(page, view, run);
}

fn notifications(page: &mut Page<'_>, view: &RunView) {
    if view.notifications.is_empty() {
        return;
    }
    page.heading((Tone::Dim, ""), "notifications", "");
    for (number, posted) in &view.notifications {
        let whose = posted.drained_by.as_ref();
        let to = whose.map_or_else(|| "handed to nobody".to_owned(), |by| format!("handed to {by}"));
        let lead = format!("{} {number}.", page.style.mark(posted.status));
        let (whose, word) = (&posted.instance, posted.status.words());
        let text = format!("{whose} {word} after {}, {to}", human_duration(posted.at));
        page.entry(2, Style::tone(posted.status), &lead, &text);
    }
}

fn questions(page: &mut Page<'_>, view: &RunView) {
    if view.questions.is_empty() {
        return;
    }
    page.heading((Tone::Dim, ""), "questions", "");
    for question in &view.questions {
        let by = question.answered_by.as_deref();
        let by = by.map_or_else(|| "not answered".to_owned(), |by| format!("answered by {by}"));
        page.sentence(2, 4, None, &format!("{}: {} ({by})", question.call, question.question));
    }
}

fn reconciliation(page: &mut Page<'_>, view: &RunView, run: &str) {
    let step = CallId::parent_step();
    let computed = view.reconciled.iter().find(|result| result.step == step);
    let strategy = computed.map_or("", ReconciledView::strategy);
    let failed = view.parent.as_ref().filter(|parent| parent.outcome.as_ref().is_some_and(|o| !o.is_ok()));
    if let Some(parent) = failed {
        page.heading(mark(parent, page.style), "reconcile", "the parent's last step did not succeed");
        Blocks { run, lines: LINES, open: view.open_word(), talk: false, calls: &[] }.instance(
            page,
            2,
            &InstanceId::only(step),
            parent,
            Kind::default(),
        );
    } else if strategy == "collect" {
        // The blocks above are what it collected.
        return;
    } else if computed.is_some() {
        if census::nobody_answered(&view.census()) {
            page.heading((Tone::Warn, "!"), "reconcile", strategy);
            page.sentence(2, 0, Some(Tone::Warn), "computed from no answers, because nobody answered:");
        } else {
            page.heading((Tone::Good, page.style.mark(Status::Ok)), "reconcile", strategy);
        }
    }
    if let Some(computed) = computed {
        let rest = format!("fanout show {run} '(reconcile)' --raw");
        self::computed(page, 2, (&computed.result, &computed.text), LINES, &rest);
    }
}

/// The result of a step, as JSON and as text, as its strategy is laid out; `rest` shows what does not fit.
pub(super) fn computed(
    page: &mut Page<'_>,
    indent: usize,
    (result, text): (&Value, &str),
    lines: usize,
    rest: &str,
) {
    let style = Style { width: page.style.width.saturating_sub(indent), ..*page.style };
    let rows = super::drawn::rows(result, text, &style);
    let shown = if rows.len() <= lines.saturating_add(1) { rows.len() } else { lines };
    for row in rows.iter().take(shown) {
        page.line(&format!("{}{row}", " ".repeat(indent)));
    }
    if rows.len() > shown {
        page.more(indent, &format!("{} more lines", rows.len() - shown), rest);
    }
}
