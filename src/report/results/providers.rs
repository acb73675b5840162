//! What was asked of each provider: a line each under the census.
//!
//! Invariant: what nobody knows is left out, never shown as nothing.

use super::page::Page;
use crate::report::fold::{ProviderView, RunView};
use crate::report::style::Tone;
use crate::unit::human_duration;

/// Waits shorter than this are not worth a word.
const SHORT: std::time::Duration = std::time::Duration::from_millis(100);

/// Writes the lines; none for a run that asked nobody.
pub(super) fn write(page: &mut Page<'_>, view: &RunView) {
    for (name, provider) in view.providers.iter().filter(|(_, provider)| provider.requests > 0) {
        let mut facts = vec![(Some(Tone::Strong), name.clone())];
        facts.extend(figures(provider));
        page.facts(2, &facts);
    }
    let possibly = view.possibly_billed();
    if !possibly.is_none() {
        page.facts(2, &[(Some(Tone::Warn), format!("possibly billed besides: {}", possibly.sentence()))]);
    }
}

fn figures(provider: &ProviderView) -> Vec<(Option<Tone>, String)> {
    let ProviderView { requests, limited, failed, waited, usage, saved, .. } = provider;
    let mut facts = Vec::new();
    let mut say = |tone, text: String| facts.push((tone, text));
    say(None, format!("{requests} request{}", if *requests == 1 { "" } else { "s" }));
    if *limited > 0 {
        say(Some(Tone::Warn), format!("{limited} rate limited"));
    }
    if *failed > 0 {
        say(Some(Tone::Warn), format!("{failed} failed"));
    }
    if *waited >= SHORT {
        say(None, format!("waited {}", human_duration(*waited)));
    }
    if !(usage.input + usage.output).is_zero() {
        let cached =
            if usage.cached.is_zero() { String::new() } else { format!(" ({} cached)", usage.cached) };
        say(None, format!("{} in{cached}, {} out", usage.input, usage.output));
    }
    if let Some(cost) = usage.cost.filter(|cost| cost.0 > 0) {
        let saved = saved.filter(|saved| saved.0 > 0);
        let saved = saved.map(|saved| format!(" ({saved} saved by its cache)")).unwrap_or_default();
        say(None, format!("{cost}{saved}"));
    }
    facts
}
