//! The lint on votes that no two answers can agree in.

use super::VOTE_ON_TEXT;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::{Action, Call, Format, Plan, Reconcile};

pub(super) fn lint(plan: &Plan, found: &mut Vec<Diagnostic>) {
    vote_on_text(plan, &plan.reconcile, found);
    for call in &plan.calls {
        if let Action::Reconcile(step) = &call.action {
            vote_on_text(plan, step, found);
        }
    }
}

fn vote_on_text(plan: &Plan, step: &Reconcile, found: &mut Vec<Diagnostic>) {
    let settings = &step.strategy.settings;
    if step.strategy.name != "vote" || ["on", "normalize"].iter().any(|key| settings.contains_key(*key)) {
        return;
    }
    let free = |call: &&Call| {
        matches!(call.action, Action::Prompt { .. })
            && call.output.format == Format::Text
            && call.output.schema.is_none()
    };
    let voters = step.of.iter().filter_map(|&position| plan.calls.get(position));
    if let Some(voter) = voters.into_iter().find(free) {
        found.push(
            Diagnostic::warning(
                VOTE_ON_TEXT,
                step.at,
                "a vote on free text, in which no two answers are the same",
            )
            .label("votes are counted by equal text")
            .help(format!("give `{}` an `output.schema` and vote on a field of it: `on: /verdict`", voter.id))
            .related(voter.at, format!("`{}` answers in free text", voter.id)),
        );
    }
}
