//! The examples of the plan language's own page.

use std::time::Duration;

use super::*;
use crate::unit::Tokens;

#[test]
fn the_smallest_plan_has_every_default() {
    let plan = plan(
        "calls:
  sites:      { prompt: \"List every call site of `legacyClient.fetch`.\" }
  migrations: { prompt: \"Classify every file under db/migrations/.\" }
  flags:      { prompt: \"Map every use of `growthbook`.\" }
",
    );
    assert_eq!(plan.name, "plan");
    assert_eq!((plan.limits.concurrency, plan.limits.calls, plan.limits.time), (8, 1000, None));
    assert_eq!(plan.reconcile.of, [0, 1, 2]);
    assert_eq!(plan.reconcile.strategy.name, "collect");
    assert_eq!(plan.require, Require::All);
    let sites = &plan.calls[0];
    assert_eq!((sites.id.as_str(), sites.description.as_str()), ("sites", "sites"));
    assert_eq!(
        (sites.timeout, sites.idle_timeout),
        (Duration::from_secs(600), Some(Duration::from_secs(300)))
    );
    assert_eq!((sites.retries, sites.attempts, sites.background), (3, 1, false));
    assert_eq!(
        (sites.on_error, sites.on_interrupt, sites.join),
        (OnError::Continue, OnInterrupt::Retry, Join::All)
    );
    assert_eq!((sites.output.format, sites.output.schema.is_none()), (Format::Text, true));
    let pass =
        Pass { fields: vec![], max_tokens: Tokens(16_000), as_file: false, overflow: Overflow::Truncate };
    assert_eq!(sites.pass, pass);
    let Action::Prompt { prompt, agent } = &sites.action else { panic!("{:?}", sites.action) };
    assert_eq!(&*prompt.source, "List every call site of `legacyClient.fetch`.");
    let AgentKind::Model(model) = &agent.kind else { panic!("{agent:?}") };
    assert_eq!(model.models[0].to_string(), "anthropic/claude-sonnet-5");
}

/// The second example, without its tools and its strategy.
const TOUR: &str = "version: 1
name: failing-login-test
goal: Find which change broke auth/login.test.ts:42 since {{ vars.good }} and whether to revert it.

vars:
  good: a3f2b1

agents:
  explore:
    model: anthropic/claude-sonnet-5
    system: You investigate code. Report file names and line numbers, no advice.

defaults: { agent: explore, timeout: 5m, retries: 2 }
limits:   { concurrency: 5, time: 20m }

calls:
  client:
    description: Regenerate the API client
    background: true
    run: npm run generate-client

  graph:
    description: Call graph of the failing test
    prompt: Map the call graph of the path that auth/login.test.ts:42 exercises.

  history:
    description: Recent changes to auth/
    prompt: Summarise every commit since {{ vars.good }} that touches auth/.

  diff:
    description: What changed in the call graph
    prompt: |
      Given this call graph:
      {{ calls.graph.output }}
      diff each function against {{ vars.good }} and report which changed.

reconcile:
  strategy: compare
";

#[test]
fn dependencies_are_read_from_the_prompts() {
    let plan = plan(TOUR);
    let ids: Vec<&str> = plan.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["client", "graph", "history", "diff"]);
    let needs: Vec<(usize, Accept, bool)> =
        plan.calls[3].needs.iter().map(|need| (need.call, need.accept, need.data)).collect();
    assert_eq!(needs, [(1, Accept::Success, true)]);
    assert!(plan.calls[..3].iter().all(|call| call.needs.is_empty()));
    let at = plan.calls[3].needs[0].at;
    assert_eq!(&TOUR[at.start as usize..at.end as usize], "calls.graph.output");
    assert_eq!(plan.reconcile.of, [2, 3], "what nothing else consumes, but for what runs in the background");
    assert!(plan.calls[0].background && plan.calls[0].retries == 2);
    assert_eq!(plan.calls[0].idle_timeout, None, "a command may be silent");
    assert_eq!(plan.vars["good"], "a3f2b1");
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    let plain = plan(TOUR);
    let windows = plan(&format!("\u{feff}{}", TOUR.replace('\n', "\r\n")));
    let prompts = |plan: &Plan| -> Vec<String> {
        let prompts = plan.calls.iter().filter_map(|call| {
            let Action::Prompt { prompt, .. } = &call.action else { return None };
            Some(prompt.source.to_string())
        });
        prompts.collect()
    };
    assert_eq!(prompts(&plain), prompts(&windows));
    let columns = |text: &str| faults(&text.replace("calls.graph.output", "calls.grph.output"));
    assert_eq!(columns(&TOUR.replace('\n', "\r\n")), columns(TOUR));
    assert_eq!(columns(TOUR), ["34:16: E0403 there is no call `grph`"]);
}

#[test]
fn columns_are_counted_in_characters() {
    let text = "calls:\n  one: { description: \"éé日本\", promt: x }\n";
    assert_eq!(faults(text), ["2:31: E0105 unknown key `promt`"]);
}
