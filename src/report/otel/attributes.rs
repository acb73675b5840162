//! Names and values of the GenAI conventions, which the conventions' own crate does not have any more.

use opentelemetry::KeyValue;

use crate::outcome::Usage;

pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const PROVIDER: &str = "gen_ai.provider.name";
pub(super) const MODEL: &str = "gen_ai.request.model";
pub(super) const ERROR: &str = "error.type";
pub(super) const TOKEN_TYPE: &str = "gen_ai.token.type";

/// A number of tokens, or of anything.
pub(super) fn number(key: &'static str, value: u64) -> KeyValue {
    KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX))
}

/// The convention's name of a provider that has one; the plan's own name of any other.
pub(super) fn provider(name: &str) -> String {
    let known = match name {
        "google" | "gemini" => "gcp.gemini",
        "vertex" => "gcp.vertex_ai",
        "bedrock" => "aws.bedrock",
        "azure" => "azure.ai.openai",
        "mistral" => "mistral_ai",
        "xai" | "grok" => "x_ai",
        other => other,
    };
    known.to_owned()
}

/// What was used, as far as it is known.
pub(super) fn usage(usage: &Usage) -> Vec<KeyValue> {
    let mut attributes = vec![
        number("gen_ai.usage.input_tokens", usage.input.0),
        number("gen_ai.usage.output_tokens", usage.output.0),
    ];
    let parts = [
        ("gen_ai.usage.cache_read.input_tokens", usage.cached),
        ("gen_ai.usage.cache_creation.input_tokens", usage.cache_written),
        ("gen_ai.usage.reasoning.output_tokens", usage.reasoning),
    ];
    attributes.extend(parts.iter().filter(|(_, n)| !n.is_zero()).map(|(key, n)| number(key, n.0)));
    if let Some(cost) = usage.cost {
        attributes.push(KeyValue::new("fanout.cost_usd", cost.0 as f64 / 1e6));
    }
    attributes
}
