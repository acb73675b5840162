//! What tokens cost: what the plan says, else what a maintained data set says of the provider's host.
//!
//! Invariants: a price that is not known is `None` and never nothing; the data set, whose reading
//! takes tens of milliseconds and as many MiB, is read when the first price is asked for that
//! may be in it, or when somebody [prepares](prepare) for that.

use genai_prices::{Calculator, PriceRequest, UsageKey};

use crate::outcome::Usage;
use crate::plan::{Price, Provider};
use crate::unit::{Tokens, Usd};

/// The data set and its date, for people.
pub const SOURCE: &str = "genai-prices 0.2.1, October 2026";

/// What `usage` costs at `model` of `provider`.
pub fn cost(provider: &Provider, model: &str, usage: &Usage) -> Option<Usd> {
    let dollars = match provider.prices.iter().find(|(name, _)| name == model) {
        Some((_, price)) => of_plan(price, usage),
        None => of_data(provider, model, usage)?,
    };
    (dollars.is_finite() && dollars >= 0.0).then(|| Usd((dollars * 1e6).ceil() as u64))
}

/// The most that so many tokens cost: nothing of the input comes from a cache, all of it goes into one.
pub fn most(provider: &Provider, model: &str, input: Tokens, output: Tokens) -> Option<Usd> {
    let plain = Usage { input, output, ..Usage::default() };
    let written = Usage { cache_written: input, ..plain };
    let plain = cost(provider, model, &plain)?;
    Some(cost(provider, model, &written).map_or(plain, |written| written.max(plain)))
}

/// What reading from the cache has saved; `None` where no price is known.
pub fn saved(provider: &Provider, model: &str, usage: &Usage) -> Option<Usd> {
    let without = Usage { cached: Tokens(0), ..*usage };
    let (with, without) = (cost(provider, model, usage)?, cost(provider, model, &without)?);
    Some(Usd(without.0.saturating_sub(with.0)))
}

/// True where the price of a model of `provider` may have to be looked up in the data set.
pub fn may_be_listed(provider: &Provider) -> bool {
    let rest = provider.base_url.split_once("://").map_or(provider.base_url.as_str(), |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    // A list is of those who sell to everybody; they have names, and no local ones.
    let is_number = name.starts_with('[') || name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    !is_number && name.contains('.') && !name.ends_with(".localhost") && !name.ends_with(".local")
}

/// Reads the data set now, so that the first price takes no time.
pub fn prepare() {
    let _ = Calculator::bundled();
}

fn of_plan(price: &Price, usage: &Usage) -> f64 {
    let plain = usage.input.0.saturating_sub(usage.cached.0).saturating_sub(usage.cache_written.0);
    let parts = [
        (plain, price.input),
        (usage.cached.0, price.cached.unwrap_or(price.input)),
        (usage.cache_written.0, price.cache_written.unwrap_or(price.input)),
        (usage.output.0, price.output),
    ];
    parts.iter().map(|(tokens, millionth)| *tokens as f64 * millionth).sum::<f64>() / 1e6
}

fn of_data(provider: &Provider, model: &str, usage: &Usage) -> Option<f64> {
    if !may_be_listed(provider) {
        return None;
    }
    let cached = usage.cached.0.min(usage.input.0);
    let written = usage.cache_written.0.min(usage.input.0 - cached);
    let usage = genai_prices::Usage::from([
        (UsageKey::INPUT_TOKENS, usage.input.0 as f64),
        (UsageKey::OUTPUT_TOKENS, usage.output.0 as f64),
        (UsageKey::CACHE_READ_TOKENS, cached as f64),
        (UsageKey::CACHE_WRITE_TOKENS, written as f64),
    ]);
    let request = PriceRequest::new(model, &usage).with_provider_api_url(&provider.base_url);
    genai_prices::calculate(&request).ok().map(|price| price.total_price)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Api, DeclaredRate};

    fn provider(base_url: &str, prices: Vec<(String, Price)>) -> Provider {
        Provider {
            name: "p".into(),
            api: Api::OpenAiChat,
            base_url: base_url.into(),
            api_key_env: None,
            rate: DeclaredRate::default(),
            headers: Vec::new(),
            prices,
        }
    }

    fn usage(input: u64, cached: u64, output: u64) -> Usage {
        Usage { input: Tokens(input), cached: Tokens(cached), output: Tokens(output), ..Usage::default() }
    }

    #[test]
    fn the_plan_has_the_last_word_and_the_unknown_is_not_free() {
        let price = Price { input: 2.0, output: 10.0, cached: Some(0.5), cache_written: None };
        let lab = provider("http://10.0.0.5:8000/v1", vec![("qwen".into(), price)]);
        assert_eq!(cost(&lab, "qwen", &usage(1_000_000, 400_000, 100_000)), Some(Usd(2_400_000)));
        assert_eq!(saved(&lab, "qwen", &usage(1_000_000, 400_000, 100_000)), Some(Usd(600_000)));
        assert_eq!(cost(&lab, "llama", &usage(1, 0, 1)), None);
    }

    #[test]
    fn nobody_lists_the_prices_of_a_machine_of_ones_own() {
        let listed = |url: &str| may_be_listed(&provider(url, Vec::new()));
        for url in [
            "http://127.0.0.1:8000/v1",
            "http://[::1]:8000/v1",
            "http://localhost:11434",
            "http://me:secret@10.0.0.5",
            "http://gpu-box/v1?x=a.b",
            "http://box.local:80/v1",
        ] {
            assert!(!listed(url), "{url}");
        }
        for url in ["https://api.anthropic.com", "https://api.openai.com:443/v1", "api.x.ai/v1"] {
            assert!(listed(url), "{url}");
        }
    }

    #[test]
    fn known_hosts_have_known_prices() {
        let anthropic = provider("https://api.anthropic.com/v1", Vec::new());
        let whole = cost(&anthropic, "claude-sonnet-5", &usage(1_000_000, 0, 0)).unwrap();
        let cached = cost(&anthropic, "claude-sonnet-5", &usage(1_000_000, 1_000_000, 0)).unwrap();
        assert!(cached < whole && whole > Usd(0), "{cached} {whole}");
        assert!(most(&anthropic, "claude-sonnet-5", Tokens(1_000_000), Tokens(0)).unwrap() >= whole);
        assert_eq!(cost(&anthropic, "no-such-model", &usage(1, 0, 1)), None);
        // The same model somewhere else may cost anything.
        assert_eq!(
            cost(&provider("http://127.0.0.1:1/v1", Vec::new()), "claude-sonnet-5", &usage(1, 0, 1)),
            None
        );
    }
}
