//! What plans can come to.

use std::path::Path;

use super::*;
use crate::plan::{Environment, Given, load_text};

const HEAD: &str = "providers:
  lab: { api: openai-chat, base_url: \"http://10.0.0.5/v1\", prices: { priced: { input: 1, output: 10 } } }
agents:
  priced: { model: lab/priced, max_tokens: 1k, tools: [] }
  unpriced: { model: lab/other, max_tokens: 1k, tools: [] }
defaults: { retries: 0 }
";

fn plan(rest: &str) -> Plan {
    let given =
        Given { environment: Environment { vars: std::collections::HashMap::new() }, ..Given::default() };
    let loaded = load_text(&format!("{HEAD}{rest}"), Path::new("plan.yaml"), &given);
    loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn estimate(rest: &str) -> Estimate {
    let plan = plan(rest);
    of(&plan, &CallGraph::of(&plan))
}

#[test]
fn fan_out_attempts_and_retries_multiply_what_one_request_can_cost() {
    let one = estimate("calls: { a: { agent: priced, prompt: 0123456789012345 } }\n");
    assert_eq!(one.requests, Range::exactly(1));
    assert_eq!(one.tokens, Range { least: 5, most: Some(16 + 64 + 1_000) });
    assert_eq!(one.cost, Range { least: 14, most: Some(80 + 10_000) });
    let many = "calls: { a: { agent: priced, prompt: 0123456789012345, samples: 10, retries: 2, attempts: 2, \
                check: \"true\" } }\n";
    let many = estimate(many);
    assert_eq!(many.requests, Range { least: 10, most: Some(60) });
    assert_eq!(many.tokens.most, Some(60 * 1_080));
}

#[test]
fn a_budget_is_the_upper_end_and_an_unknown_price_is_named() {
    let capped =
        estimate("limits: { tokens: 2k }\ncalls: { a: { agent: unpriced, prompt: x, samples: 9 } }\n");
    assert_eq!(capped.tokens.most, Some(2_000));
    assert_eq!(capped.shown_cost(), "not known: no price for lab/other");
    let list =
        "calls: { l: { value: [1] }, a: { agent: priced, prompt: x, for_each: \"{{ calls.l.json }}\" } }\n";
    assert_eq!(estimate(list).shown_tokens(), "0 or more");
}

#[test]
fn a_limit_in_money_needs_a_price_or_a_limit_in_tokens() {
    let found = |rest: &str| unpriced(&plan(rest)).len();
    let call = |agent: &str| format!("calls: {{ a: {{ agent: {agent}, prompt: x }} }}\n");
    assert_eq!(found(&format!("limits: {{ cost: 1.0 }}\n{}", call("unpriced"))), 1);
    assert_eq!(found(&format!("limits: {{ cost: 1.0 }}\n{}", call("priced"))), 0);
    assert_eq!(found(&format!("limits: {{ cost: 1.0, tokens: 9k }}\n{}", call("unpriced"))), 0);
    assert_eq!(found(&call("unpriced")), 0);
    let own = "calls: { a: { agent: unpriced, prompt: x, limits: { cost: 1.0 } } }\n";
    assert_eq!(found(own), 1);
}
