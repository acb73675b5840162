//! The top of the page: what the run was, its verdict, the census, and who did not come to an answer.

use super::Context;
use super::markup::{Anchor, Attr, Html, class};
use crate::outcome::{Outcome, Status};
use crate::report::advice;
use crate::report::fold::{RunView, State};
use crate::report::style::{Style, Tone};

/// Names listed of those who came to the same end for the same reason.
const NAMES: usize = 60;
/// Different reasons listed.
const REASONS: usize = 40;

/// The title of the page.
pub(super) fn title(html: &mut Html, view: &RunView) {
    let word = match &view.finish {
        None if view.running_now() => "running",
        None => "unfinished",
        Some(finish) if finish.success => "success",
        Some(_) => "failure",
    };
    html.short(&format!("{word}: {}", name(view)), 200);
}

fn name(view: &RunView) -> &str {
    view.head.as_ref().map_or("a run without a head", |head| head.name.as_str())
}

/// Writes the top of the page.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let view = context.view;
    html.leaf("h1", "", name(view));
    let head = view.head.as_ref();
    if let Some(description) = head.and_then(|head| head.description.as_ref()) {
        html.leaf("p", "", description);
    }
    if let Some(goal) = head.and_then(|head| head.goal.as_ref()) {
        html.tag("p", &[class("goal")], |html| {
            html.leaf("b", "", "Goal ");
            html.text(goal);
        });
    }
    verdict(html, view);
    census(html, context);
    fates(html, context);
    for warning in &view.warnings {
        note(html, "Warning: ", &warning.message);
    }
    if let Some(stop) = &view.stop {
        note(html, "Stopped early: ", &stop.message);
    }
    for advice in advice::of(view) {
        html.tag("p", &[class("note")], |html| {
            html.leaf("b", "", "Advice: ");
            html.text(&advice.message);
        });
    }
    facts(html, context);
    contents(html, context);
}

fn verdict(html: &mut Html, view: &RunView) {
    let census = view.census();
    let nobody = census.planned > 0 && census.of(Status::Ok) == census.empty;
    let (of_class, text) = match &view.finish {
        None if view.running_now() => {
            ("verdict warn", "This run is still going on; nothing here is final.".to_owned())
        }
        None => ("verdict warn", "This run did not finish; nothing here is final.".to_owned()),
        Some(finish) if finish.success => ("verdict good", format!("✓ Success, exit status {}", finish.exit)),
        Some(finish) => ("verdict bad", format!("✗ Failure, exit status {}", finish.exit)),
    };
    html.tag("div", &[class(of_class)], |html| {
        html.leaf("strong", "", &text);
        if view.finish.is_some() && nobody {
            html.leaf("p", "", "Nobody answered. An absence of results is not a result.");
        }
        for reason in view.finish.iter().flat_map(|finish| &finish.reasons) {
            html.leaf("p", "", reason);
        }
    });
}

fn census(html: &mut Html, context: &Context<'_>) {
    let census = context.view.census();
    html.tag("ul", &[class("census"), Attr::Fixed("aria-label", "Census")], |html| {
        let mut figure = |of_class: &'static str, count: String, word: &str| {
            html.tag("li", &[class(of_class)], |html| {
                html.leaf("b", "", &count);
                html.text(" ");
                html.leaf("span", "", word);
            });
        };
        figure("", census.planned.to_string(), "planned");
        for status in Status::ALL {
            let count = census.of(status);
            if count > 0 || status == Status::Ok {
                let zero = status == Status::Ok && count == 0;
                figure(if zero { "bad" } else { tone(status) }, count.to_string(), status.words());
            }
        }
        if census.empty > 0 {
            figure("warn", census.empty.to_string(), "ok but empty");
        }
        if census.reused > 0 {
            figure("", census.reused.to_string(), "reused");
        }
        let ended: u32 = census.by_status.values().sum();
        if census.planned > ended {
            let word = match context.view.running_now() {
                true => "not done yet",
                false if context.view.finish.is_some() => "never started",
                false => "did not end",
            };
            figure("warn", (census.planned - ended).to_string(), word);
        }
        figure("", super::time(context.view.elapsed), "in all");
        let usage = context.view.usage();
        let tokens = usage.input + usage.output;
        if !tokens.is_zero() {
            figure("", tokens.to_string(), "tokens");
        }
        if let Some(cost) = usage.cost.filter(|cost| cost.0 > 0) {
            figure("", cost.to_string(), "cost");
        }
    });
}

/// A status, why, and the names of all who share it.
type Fate<'a> = ((&'static str, &'static str, &'a str), Vec<String>);

/// Everyone who came to no answer, by reason.
fn fates(html: &mut Html, context: &Context<'_>) {
    let mut fates: Vec<Fate<'_>> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for (id, instance) in context.view.calls.iter().flat_map(|call| call.each()) {
        let key = match &instance.outcome {
            Some(outcome) if outcome.is_ok() && !outcome.is_empty_success() => continue,
            Some(outcome) if outcome.is_ok() => ("warn", "ok but empty", ""),
            Some(outcome) => {
                let why = outcome.cause.as_ref().map_or("", |cause| cause.message.as_str());
                (tone(outcome.status), outcome.status.words(), why)
            }
            None if instance.state == State::Running => ("warn", context.view.open_word(), ""),
            None => continue,
        };
        let at = *known.entry(key).or_insert_with(|| {
            fates.push((key, Vec::new()));
            fates.len() - 1
        });
        if let Some((_, who)) = fates.get_mut(at) {
            who.push(id.to_string());
        }
    }
    if fates.is_empty() {
        return;
    }
    html.tag("ul", &[class("fates")], |html| {
        for ((of_class, word, why), who) in fates.iter().take(REASONS) {
            html.tag("li", &[], |html| {
                html.leaf("b", of_class, word);
                html.text(" ");
                for (n, name) in who.iter().take(NAMES).enumerate() {
                    html.text(if n > 0 { ", " } else { "" });
                    context.names.write(html, name);
                }
                if who.len() > NAMES {
                    html.text(&format!(" and {} more", who.len() - NAMES));
                }
                if !why.is_empty() {
                    html.text(": ");
                    html.short(why, 1000);
                }
            });
        }
        if fates.len() > REASONS {
            html.leaf("li", "", &format!("{} more reasons, in the calls below", fates.len() - REASONS));
        }
    });
}

fn note(html: &mut Html, lead: &str, text: &str) {
    html.tag("p", &[class("note")], |html| {
        html.leaf("b", "warn", lead);
        html.text(text);
    });
}

fn facts(html: &mut Html, context: &Context<'_>) {
    let view = context.view;
    html.tag("p", &[class("dim")], |html| {
        let mut facts = Vec::new();
        if let Some(head) = &view.head {
            facts.push(format!("run {}", head.run));
            facts.push(format!("plan {}", head.plan));
        }
        if let Some(began) = view.began {
            facts.push(format!("began {}", began.strftime("%Y-%m-%d %H:%M:%S UTC")));
        }
        if view.resumed > 0 {
            facts.push(format!("resumed {} times", view.resumed));
        }
        html.text(&facts.join(" · "));
    });
}

fn contents(html: &mut Html, context: &Context<'_>) {
    html.tag("nav", &[Attr::Fixed("aria-label", "Sections")], |html| {
        let mut link = |name: &'static str, title: &'static str| {
            html.tag("a", &[Attr::To(Anchor::Section(name))], |html| html.text(title));
            html.text(" ");
        };
        if super::reconciled::has(context) {
            link("reconciliation", "Reconciliation");
        }
        link("timeline", "Timeline");
        link("graph", "Graph");
        if super::differences::has(context) {
            link("results", "Side by side");
        }
        link("spending", "Tokens and cost");
        link("calls", "Calls");
    });
}

/// The class of a status.
pub(super) fn tone(status: Status) -> &'static str {
    match Style::tone(status) {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Warn => "warn",
        Tone::Dim | Tone::Strong | Tone::Info | Tone::Emphasis | Tone::Strike => "dim",
    }
}

/// The mark, the class and the word of how an instance ended.
pub(super) fn ending(
    view: &RunView,
    outcome: Option<&Outcome>,
) -> (&'static str, &'static str, &'static str) {
    match outcome {
        None => (open_mark(view), "warn", view.open_word()),
        Some(outcome) if outcome.is_empty_success() => ("✓", "warn", "ok but empty"),
        Some(outcome) => {
            let status = outcome.status;
            (Style::FILE.mark(status), tone(status), status.words())
        }
    }
}

/// One column for what has no outcome: it goes on, or nobody knows.
pub(super) fn open_mark(view: &RunView) -> &'static str {
    if view.running_now() { "…" } else { "?" }
}
