//! What the parent computed: conflicts first, the result, who said what.

use serde_json::{Map, Value};

use super::drawn::Drawn;
use super::markup::{Attr, Html, class};
use super::{Context, fold, section, value};
use crate::id::CallId;
use crate::outcome::Outcome;
use crate::report::computed;
use crate::report::fold::ReconciledView;

/// Conflicts shown one by one.
const CONFLICTS: usize = 100;

/// The strategy's own figures that a reader gets another way: beside it, above it, or not at all.
const ELSEWHERE: [&str; 8] =
    ["strategy", "conflicts", "diff", "similarity", "results", "text", "patch", "answer"];

/// True when there is something to say.
pub(super) fn has(context: &Context<'_>) -> bool {
    !context.view.reconciled.is_empty() || failed(context).is_some() || !context.view.questions.is_empty()
}

fn failed<'a>(context: &Context<'a>) -> Option<&'a Outcome> {
    context.view.parent.as_ref()?.outcome.as_ref().filter(|outcome| !outcome.is_ok())
}

/// Writes the section.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    if !has(context) {
        return;
    }
    section(html, "reconciliation", "Reconciliation", |html| {
        if let Some(outcome) = failed(context) {
            html.tag("p", &[class("verdict bad")], |html| {
                html.leaf("b", "", "The parent's last step did not succeed: ");
                html.text(
                    outcome.cause.as_ref().map_or(outcome.status.words(), |cause| cause.message.as_str()),
                );
            });
        }
        // The plan's last step is what the run was for.
        let (last, steps): (Vec<_>, Vec<_>) =
            context.view.reconciled.iter().partition(|computed| computed.step == CallId::parent_step());
        for computed in last {
            step(html, &Drawn { context, heading: "h3" }, computed);
        }
        for computed in steps {
            html.leaf("h3", "step-name", computed.step.as_str());
            step(html, &Drawn { context, heading: "h4" }, computed);
        }
        questions(html, context);
        notifications(html, context);
    });
}

fn step(html: &mut Html, drawn: &Drawn<'_>, step: &ReconciledView) {
    let context = drawn.context;
    match computed::of(&step.result) {
        Some(shown) => drawn.shown(html, step.strategy(), &shown),
        None => {
            html.tag("p", &[], |html| {
                html.text("Strategy ");
                html.leaf("b", "", step.strategy());
            });
            conflicts(html, context, step.conflicts());
            // What `collect` collects stands below, call by call.
            if step.strategy() != "collect" && !step.text.trim().is_empty() {
                html.leaf("pre", "answer", &step.text);
            }
            computed::absent(&step.result).iter().for_each(|part| drawn.part(html, part));
        }
    }
    if let Some(fields) = step.result.as_object() {
        let own = fields.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str()));
        let own: Map<String, Value> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        if own.keys().any(|name| name != "census") {
            fold(html, "All of it, as data", false, |html| {
                value::write(html, &context.names, &Value::Object(own));
            });
        }
    }
}

fn conflicts(html: &mut Html, context: &Context<'_>, conflicts: &[Value]) {
    if conflicts.is_empty() {
        return;
    }
    let noun = if conflicts.len() == 1 { "conflict" } else { "conflicts" };
    html.leaf("h3", "warn", &format!("{} {noun}", conflicts.len()));
    for conflict in conflicts.iter().take(CONFLICTS) {
        let text = |name: &str| conflict.get(name).and_then(Value::as_str).unwrap_or_default();
        html.tag("div", &[class("conflict")], |html| {
            let about = match (text("about"), text("pointer")) {
                ("", pointer) => pointer,
                (about, _) => about,
            };
            html.tag("p", &[], |html| {
                html.leaf("b", "", about);
                html.text(if about.is_empty() || text("message").is_empty() { "" } else { ": " });
                html.text(text("message"));
            });
            let sides = conflict.get("sides").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if sides.is_empty() && about.is_empty() && text("message").is_empty() {
                // Not in the shape of our own strategies: shown as it is.
                value::write(html, &context.names, conflict);
            }
            if !sides.is_empty() {
                html.tag("div", &[class("scroll"), Attr::Fixed("tabindex", "0")], |html| {
                    html.tag("table", &[], |html| {
                        html.literal("<thead><tr><th>who</th><th>says</th></tr></thead>");
                        html.tag("tbody", &[], |html| {
                            sides.iter().for_each(|side| self::side(html, context, side));
                        });
                    });
                });
            }
        });
    }
    if conflicts.len() > CONFLICTS {
        html.leaf(
            "p",
            "dim",
            &format!("… {} more conflicts, in the JSON result", conflicts.len() - CONFLICTS),
        );
    }
}

fn side(html: &mut Html, context: &Context<'_>, side: &Value) {
    html.tag("tr", &[], |html| {
        html.tag("td", &[], |html| {
            value::write(html, &context.names, side.get("by").unwrap_or(&Value::Null));
        });
        html.tag("td", &[], |html| {
            value::write(html, &context.names, side.get("value").unwrap_or(&Value::Null));
        });
    });
}

fn questions(html: &mut Html, context: &Context<'_>) {
    if context.view.questions.is_empty() {
        return;
    }
    html.leaf("h3", "", "Questions to people");
    html.tag("ul", &[], |html| {
        for question in &context.view.questions {
            html.tag("li", &[], |html| {
                context.names.write(html, question.call.as_str());
                html.text(": ");
                html.text(&question.question);
                let by = question.answered_by.as_deref();
                let by = by.map_or_else(|| " (not answered)".to_owned(), |by| format!(" (answered by {by})"));
                html.leaf("span", "dim", &by);
            });
        }
    });
}

fn notifications(html: &mut Html, context: &Context<'_>) {
    if context.view.notifications.is_empty() {
        return;
    }
    html.leaf("h3", "", "Notifications of background calls");
    html.tag("ol", &[], |html| {
        for posted in context.view.notifications.values() {
            html.tag("li", &[], |html| {
                context.names.write(html, &posted.instance.to_string());
                let after = super::time(posted.at);
                html.text(&format!(" {} after {after}, ", posted.status.words()));
                match &posted.drained_by {
                    None => html.leaf("span", "warn", "handed to nobody"),
                    Some(by) => {
                        html.text("handed to ");
                        context.names.write(html, by.as_str());
                    }
                }
            });
        }
    });
}
