//! Tokens, cost and time by agent.

use std::time::Duration;

use indexmap::IndexMap;

use super::markup::{Attr, Html, class};
use super::{Context, section};
use crate::outcome::Usage;

#[derive(Default)]
struct Spent {
    calls: u32,
    took: Duration,
    usage: Option<Usage>,
}

/// Writes the section.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let mut agents: IndexMap<&str, Spent> = IndexMap::new();
    let parent = context.view.parent.iter();
    let instances = context.view.calls.iter().flat_map(|call| call.each().map(|(_, instance)| instance));
    for instance in instances.chain(parent) {
        let Some(outcome) = instance.outcome.as_ref().filter(|outcome| outcome.attempts > 0) else {
            continue;
        };
        let agent = outcome.agent.as_deref().or(instance.agent.as_deref()).unwrap_or("(none)");
        let spent = agents.entry(agent).or_default();
        spent.calls += 1;
        spent.took += outcome.took;
        match &mut spent.usage {
            Some(usage) => usage.add(&outcome.usage),
            None => spent.usage = Some(outcome.usage),
        }
    }
    section(html, "spending", "Tokens and cost", |html| {
        if agents.is_empty() {
            html.leaf("p", "dim", "Nobody was asked.");
            return;
        }
        html.tag("div", &[class("scroll"), Attr::Fixed("tabindex", "0")], |html| {
            html.tag("table", &[class("figures")], |html| {
                html.literal(
                    "<thead><tr><th>agent</th><th>calls</th><th>requests</th><th>tokens in</th><th>of them cached</th>\
                     <th>tokens out</th><th>of them reasoning</th><th>cost</th><th>time</th></tr></thead>",
                );
                html.tag("tbody", &[], |html| {
                    for (agent, spent) in &agents {
                        let usage = spent.usage.unwrap_or_default();
                        row(html, agent, spent.calls, &usage, spent.took);
                    }
                });
                if agents.len() > 1 {
                    html.tag("tfoot", &[], |html| {
                        let calls = agents.values().map(|spent| spent.calls).sum();
                        let took = agents.values().map(|spent| spent.took).sum();
                        row(html, "all", calls, &context.view.usage(), took);
                    });
                }
            });
        });
        html.leaf("p", "dim", "Failed attempts count. An unknown cost is not the same as none.");
    });
}

fn row(html: &mut Html, agent: &str, calls: u32, usage: &Usage, took: Duration) {
    html.tag("tr", &[], |html| {
        html.leaf("th", "", agent);
        let mut cell = |text: String| html.leaf("td", "", &text);
        cell(calls.to_string());
        cell(usage.requests.to_string());
        cell(usage.input.to_string());
        cell(usage.cached.to_string());
        cell(usage.output.to_string());
        cell(usage.reasoning.to_string());
        cell(match usage.cost {
            Some(cost) => cost.to_string(),
            None if usage.requests == 0 => String::new(),
            None => "unknown".to_owned(),
        });
        cell(super::time(took));
    });
}
