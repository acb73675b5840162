//! Each lint where it must speak and where it must not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::graph::sample::{self, Sample, command_agent, model_agent, span, strategy};
use crate::plan::code::IMPOSSIBLE;
use crate::plan::{
    Accept, AgentKind, Check, Command, Environment, Expand, Format, Given, Include, OnError, Quantity,
    Repeat, Require, Strategy, load_text,
};
use crate::unit::{Bytes, Tokens};

fn findings(plan: &Plan, ci: bool) -> Vec<Diagnostic> {
    lint(plan, &CallGraph::of(plan), &LintContext { ci })
}

/// The codes of what is said about a plan on a person's own machine.
fn codes(sample: Sample) -> Vec<&'static str> {
    findings(&sample.build(), false).iter().map(|found| found.code).collect()
}

fn codes_in_ci(sample: Sample) -> Vec<&'static str> {
    findings(&sample.build(), true).iter().map(|found| found.code).collect()
}

const NOTHING: [&str; 0] = [];

/// An agent with write tools.
fn writer() -> Agent {
    model_agent("writer", &["read", "edit"])
}

fn writers(sample: Sample, ids: &[&str]) -> Sample {
    ids.iter().fold(sample.agent(writer()), |sample, id| sample.prompt(id, "Do it.").by(id, "writer"))
}

/// Samples start with an agent; plans without prompts would be told that it is not used.
fn bare() -> Sample {
    Sample::new().with(|plan| plan.agents.clear())
}

// The language's own examples.

#[test]
fn the_smallest_plan_gets_no_advice() {
    let plan = Sample::new()
        .prompt("sites", "List every call site of `legacyClient.fetch`.")
        .prompt("migrations", "Classify every file under db/migrations/.")
        .prompt("flags", "Map every use of `growthbook`.");
    assert_eq!(codes_in_ci(plan), NOTHING);
}

#[test]
fn the_tour_gets_no_advice() {
    let tools = ["read", "grep", "glob", "bash(git log *)", "bash(git diff *)"];
    let plan = Sample::new()
        .with(|plan| {
            plan.vars.insert("good".to_owned(), json!("a3f2b1"));
            plan.limits.concurrency = 5;
            plan.limits.time = Some(Duration::from_secs(1200));
        })
        .agent(model_agent("explore", &tools))
        .run("client", "npm run generate-client")
        .background("client")
        .prompt("graph", "Map the call graph of the path that auth/login.test.ts:42 exercises.")
        .prompt("history", "Summarise every commit since {{ vars.good }} that touches auth/.")
        .prompt(
            "diff",
            "Given this call graph:\n{{ calls.graph.output }}\ndiff each function against {{ vars.good }} and report which changed.",
        )
        .with(|plan| {
            plan.reconcile.strategy = strategy("synthesize");
            let prompt = "Name the breaking change, quote the evidence, say revert or fix forward.";
            plan.reconcile.strategy.settings.insert("prompt".to_owned(), json!(prompt));
        });
    assert_eq!(codes_in_ci(plan), NOTHING);
}

// W0301

#[test]
fn a_background_call_that_the_next_turn_waits_for_is_pointed_out() {
    let plan = Sample::new()
        .run("build", "make")
        .background("build")
        .prompt("read", "{{ calls.build.output }}")
        .build();
    let found = findings(&plan, false);
    assert_eq!(found, [Diagnostic {
        code: BACKGROUND_AWAITED,
        severity: Severity::Warning,
        at: span(0),
        message: "`build` runs in the background, but `read` waits for it at once".to_owned(),
        label: "started here, without waiting".to_owned(),
        help: Some(
            "leave out `background: true`: `read` starts when `build` is done either way; or let a later call need it"
                .to_owned()
        ),
        related: vec![(span(10), "`read` is in the very next turn".to_owned())],
    }]);
}

#[test]
fn a_background_call_that_is_needed_later_or_by_another_in_the_background_is_fine() {
    let later = Sample::new()
        .run("build", "make")
        .background("build")
        .prompt("look", "Look.")
        .prompt("think", "{{ calls.look.output }}")
        .prompt("use", "{{ calls.build.output }} {{ calls.think.output }}");
    assert_eq!(codes(later), NOTHING);
    let both = bare().run("build", "make").background("build").run("test", "true").needs("test", "build");
    assert_eq!(codes(both.background("test")), NOTHING);
}

// W0302

fn two_reports() -> Sample {
    Sample::new().prompt("a", "Report on a/.").prompt("b", "Report on b/.")
}

#[test]
fn an_agent_that_only_merges_is_sent_to_the_parent() {
    let plan = two_reports()
        .prompt("all", "Merge these reports into one:\n{{ calls.a.output }}\n---\n{{ calls.b.output }}\n");
    assert_eq!(codes(plan), [MERGE_BY_PROMPT]);
    let expanded = Sample::new()
        .prompt("a", "Report.")
        .edit("a", |call| call.expand = Some(Expand::List(vec![json!(1), json!(2)])))
        .prompt("all", "Synthesize:{% for r in calls.a.outputs %}{{ r.output }}{% endfor %}");
    assert_eq!(codes(expanded), [MERGE_BY_PROMPT]);
}

#[test]
fn an_agent_that_works_on_what_others_found_is_no_merge() {
    let works = two_reports().prompt(
        "all",
        "Compare {{ calls.a.output }} with {{ calls.b.output }} and verify each claim against the code.",
    );
    assert_eq!(codes(works), NOTHING);
    let one = two_reports().prompt("all", "Summarise {{ calls.a.output }} for a person.");
    assert_eq!(codes(one), NOTHING);
    let writes = two_reports()
        .agent(writer())
        .prompt("all", "Merge {{ calls.a.output }} and {{ calls.b.output }}.")
        .by("all", "writer");
    assert_eq!(codes(writes), NOTHING);
    let judges = two_reports()
        .prompt("all", "Compare {{ calls.a.output }} and {{ calls.b.output }}.")
        .edit("all", |call| call.expand = Some(Expand::Samples(3)));
    assert_eq!(codes(judges), NOTHING);
    let commands = Sample::new()
        .run("before", "cargo bench")
        .run("after", "cargo bench")
        .prompt("read", "Compare {{ calls.before.output }} and {{ calls.after.output }}.");
    assert_eq!(codes(commands), NOTHING);
}

// W0303

#[test]
fn an_order_that_nothing_asks_for_is_pointed_out() {
    let plan =
        Sample::new().prompt("a", "Look at src/a.rs.").prompt("b", "Look at src/b.rs.").needs("b", "a");
    let found = findings(&plan.build(), false);
    assert_eq!(
        found.iter().map(|found| (found.code, found.at)).collect::<Vec<_>>(),
        [(ORDER_WITHOUT_REASON, span(17))]
    );
}

#[test]
fn an_order_with_a_reason_is_fine() {
    let common = Sample::new().prompt("a", "Look at src/a.rs.").prompt("b", "Look at src/.").needs("b", "a");
    assert_eq!(codes(common), NOTHING);
    let writes = writers(Sample::new(), &["a"]).prompt("b", "Look.").needs("b", "a");
    assert_eq!(codes(writes), NOTHING);
    let command = Sample::new().run("build", "make").prompt("b", "Look.").needs("b", "build");
    assert_eq!(codes(command), NOTHING);
    let data = Sample::new().prompt("a", "Look.").prompt("b", "{{ calls.a.output }}").needs("b", "a");
    assert_eq!(codes(data), NOTHING);
    let gate = Sample::new()
        .prompt("a", "Look.")
        .edit("a", |call| call.check = Some(Check::Command(Command::Argv(vec![sample::template("true")]))))
        .prompt("b", "Look.")
        .needs("b", "a");
    assert_eq!(codes(gate), NOTHING);
    let conditional = Sample::new()
        .prompt("a", "Look.")
        .edit("a", |call| call.when = Some(sample::expression("calls.size.json.large")))
        .prompt("b", "Look.")
        .needs("b", "a")
        .prompt("c", "Look.")
        .needs("c", "b");
    assert_eq!(codes(conditional), NOTHING);
    let news = Sample::new()
        .prompt("a", "Look.")
        .prompt("b", "{% for n in notifications %}{{ n.output }}{% endfor %}")
        .needs("b", "a");
    assert_eq!(codes(news), NOTHING);
}

// W0304

#[test]
fn two_writers_side_by_side_are_pointed_out_once() {
    let plan = writers(bare(), &["a", "b"]).build();
    let found = findings(&plan, false);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, SHARED_WRITERS);
    assert_eq!(found[0].message, "`a` and `b` may write in the same folder at the same time");
    assert_eq!(found[0].related, [(span(0), "`a` works there too".to_owned())]);
    let programs = bare()
        .agent(command_agent("own", &["./agent.sh"]))
        .with(|plan| {
            let own = Arc::clone(&plan.agents["own"]);
            plan.agents.insert("explore".to_owned(), own);
        })
        .prompt("a", "Do it.")
        .prompt("b", "Do it.");
    assert_eq!(codes(programs), [SHARED_WRITERS]);
}

#[test]
fn many_instances_of_one_writer_are_pointed_out() {
    let many = writers(bare(), &["a"]).edit("a", |call| call.expand = Some(Expand::Samples(2)));
    assert_eq!(codes(many), [SHARED_WRITERS]);
    let one_by_one = writers(bare(), &["a"]).edit("a", |call| {
        call.expand = Some(Expand::Samples(2));
        call.concurrency = Some(1);
    });
    assert_eq!(codes(one_by_one), NOTHING);
    let own_folders = writers(bare(), &["a"]).edit("a", |call| {
        call.expand = Some(Expand::List(vec![json!("x"), json!("y")]));
        call.cwd = Some(sample::template("packages/{{ item }}"));
    });
    assert_eq!(codes(own_folders), NOTHING);
}

#[test]
fn writers_in_order_in_other_folders_or_one_at_a_time_are_fine() {
    let ordered = writers(bare(), &["a", "b", "c"]).needs("b", "a").needs("c", "b");
    assert_eq!(codes(ordered), NOTHING);
    let upstream = writers(bare(), &["a", "b"]).needs("a", "b");
    assert_eq!(codes(upstream), NOTHING);
    let folders = writers(bare(), &["a", "b"]).edit("a", |call| call.cwd = Some(sample::template("api")));
    assert_eq!(codes(folders), NOTHING);
    let either = ["a", "b"].iter().fold(writers(bare(), &["a", "b"]), |sample, id| {
        sample.edit(id, |call| call.when = Some(sample::expression("calls.size.json.small")))
    });
    assert_eq!(codes(either), NOTHING);
    let reader = writers(Sample::new(), &["a"]).prompt("b", "Look.");
    assert_eq!(codes(reader), NOTHING);
    let commands = bare().run("lint", "make lint").run("test", "make test");
    assert_eq!(codes(commands), NOTHING);
}

#[test]
fn writers_are_compared_across_a_long_way() {
    // a → x0 → … → x99 → b are in order, c is not.
    let mut plan = writers(bare(), &["a"]);
    for n in 0..100 {
        let before = if n == 0 { "a".to_owned() } else { format!("x{}", n - 1) };
        plan = plan.run(&format!("x{n}"), "true").needs(&format!("x{n}"), &before);
    }
    let ordered = writers(plan, &["b"]).needs("b", "x99");
    let found = findings(&writers(ordered, &["c"]).build(), false);
    assert_eq!(
        found.iter().map(|found| found.message.as_str()).collect::<Vec<_>>(),
        ["`a` and `c` may write in the same folder at the same time"]
    );
}

// W0305

#[test]
fn outputs_that_no_context_holds_are_pointed_out() {
    let raised = Sample::new()
        .prompt("a", "Look.")
        .edit("a", |call| {
            call.pass.max_tokens = Tokens(120_000);
            call.output.max_bytes = Bytes(1 << 20);
        })
        .prompt("b", "Explain {{ calls.a.output }}");
    assert_eq!(codes(raised), [LARGE_PASTE]);
    let many = Sample::new()
        .prompt("a", "Look.")
        .edit("a", |call| call.expand = Some(Expand::Samples(12)))
        .prompt("b", "Rank:{% for r in calls.a.outputs %}{{ r.output }}{% endfor %}");
    assert_eq!(codes(many), [LARGE_PASTE]);
}

#[test]
fn outputs_that_are_bounded_somewhere_are_fine() {
    let raised = |change: fn(&mut Call)| {
        Sample::new()
            .prompt("a", "Look.")
            .edit("a", |call| call.pass.max_tokens = Tokens(120_000))
            .edit("a", change)
            .prompt("b", "Explain {{ calls.a.output }}")
    };
    assert_eq!(codes(raised(|call| call.output.max_bytes = Bytes(64 * 1024))), NOTHING);
    assert_eq!(codes(raised(|call| call.pass.as_file = true)), NOTHING);
    let filtered = Sample::new()
        .prompt("a", "Look.")
        .edit("a", |call| call.pass.max_tokens = Tokens(120_000))
        .prompt("b", "Explain {{ calls.a.output | truncate_tokens(4000) }}");
    assert_eq!(codes(filtered), NOTHING);
    let few = Sample::new()
        .prompt("a", "Look.")
        .edit("a", |call| call.expand = Some(Expand::Samples(9)))
        .prompt("b", "Rank:{% for r in calls.a.outputs %}{{ r.output }}{% endfor %}");
    assert_eq!(codes(few), NOTHING);
    let status = Sample::new()
        .prompt("a", "Look.")
        .edit("a", |call| call.pass.max_tokens = Tokens(120_000))
        .prompt("b", "It came to {{ calls.a.status }}");
    assert_eq!(codes(status), NOTHING);
}

// E0310

#[test]
fn more_instances_than_the_limit_are_an_error_when_they_are_certain() {
    let plan = bare()
        .run("each", "true")
        .edit("each", |call| call.expand = Some(Expand::Samples(1001)))
        .with(|plan| {
            plan.places.keys.insert("limits.calls".to_owned(), span(500));
        })
        .build();
    let found = findings(&plan, false);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].code, found[0].severity, found[0].at), (IMPOSSIBLE, Severity::Error, span(500)));
    assert_eq!(found[0].message, "the plan makes 1001 calls, and `limits.calls` allows 1000");
}

#[test]
fn more_calls_than_the_limit_are_an_error_when_they_are_possible() {
    let says = |plan: Sample| {
        let found = findings(&plan.build(), false);
        let only = found.iter().all(|found| (found.code, found.severity) == (IMPOSSIBLE, Severity::Error));
        assert!(only && found.len() == 1, "{found:?}");
        found[0].message.clone()
    };
    let allows = |count: u32| format!("the plan can make {count} calls, and `limits.calls` allows 1000");
    let repeated = bare().run("each", "true").edit("each", |call| {
        call.expand = Some(Expand::Samples(400));
        call.repeat = Some(Repeat { until: sample::expression("status == 'ok'"), max: 3, fresh: false });
    });
    assert_eq!(says(repeated), allows(1200));
    let conditional = bare().run("each", "true").edit("each", |call| {
        call.expand = Some(Expand::Samples(1001));
        call.when = Some(sample::expression("vars.deep"));
    });
    assert_eq!(says(conditional), allows(1001));
    let stopped =
        bare().run("each", "true").edit("each", |call| call.expand = Some(Expand::Samples(1001))).stop("end");
    assert_eq!(says(stopped), allows(1002));
    // What is known counts, though beside it there is a list that is not.
    let beside = bare().run("list", "ls").run("each", "true").run("more", "true");
    let beside = beside
        .edit("each", |call| call.expand = Some(Expand::Dynamic(sample::expression("calls.list.lines"))))
        .edit("more", |call| {
            call.expand = Some(Expand::Samples(600));
            call.attempts = 2;
        });
    assert_eq!(says(beside), allows(1201));
}

#[test]
fn calls_within_the_limit_and_lists_of_unknown_length_are_fine() {
    let full = bare().run("each", "true").edit("each", |call| call.expand = Some(Expand::Samples(1000)));
    assert_eq!(codes(full), NOTHING);
    let dynamic = bare()
        .run("list", "ls")
        .run("each", "true")
        .edit("each", |call| call.expand = Some(Expand::Dynamic(sample::expression("calls.list.lines"))));
    assert_eq!(codes(dynamic), NOTHING);
}

#[test]
fn a_plan_inside_is_linted_too_and_once() {
    let inner = bare().run("each", "true").edit("each", |call| call.expand = Some(Expand::Samples(600)));
    let inner = Arc::new(inner.with(|plan| plan.limits.calls = 10).build());
    let plan = bare().plan("one", Arc::clone(&inner)).plan("two", inner).build();
    let found = findings(&plan, false);
    assert_eq!(
        found.iter().map(|found| found.message.as_str()).collect::<Vec<_>>(),
        [
            "the plan makes 1202 calls, and `limits.calls` allows 1000",
            "the plan makes 600 calls, and `limits.calls` allows 10",
        ]
    );
}

#[test]
fn a_plan_that_is_read_twice_or_shared_deeply_says_everything_once() {
    let small = || {
        let plan = bare().run("each", "true").edit("each", |call| call.expand = Some(Expand::Samples(600)));
        Arc::new(plan.with(|plan| plan.limits.calls = 10).build())
    };
    let plan = bare().plan("one", small()).plan("two", small()).with(|plan| plan.limits.calls = 9999).build();
    assert_eq!(findings(&plan, false).len(), 1);
    let mut nested = small();
    for _ in 0..40 {
        let twice = bare().plan("a", Arc::clone(&nested)).plan("b", nested);
        nested =
            Arc::new(twice.with(|plan| plan.calls.iter_mut().for_each(|call| call.at = span(77))).build());
    }
    // Two to the 40 ways lead to the innermost plan.
    let messages: HashSet<String> = findings(&nested, false)
        .into_iter()
        .filter(|found| found.at == span(0))
        .map(|found| found.message)
        .collect();
    assert_eq!(
        messages,
        HashSet::from(["the plan makes 600 calls, and `limits.calls` allows 10".to_owned()])
    );
}

// W0307

fn at_temperature(temperature: Option<f64>) -> Agent {
    let mut agent = model_agent("cold", &["read"]);
    if let AgentKind::Model(model) = &mut agent.kind {
        model.temperature = temperature;
    }
    agent
}

#[test]
fn samples_at_temperature_zero_are_pointed_out() {
    let sampled = |temperature, count| {
        bare()
            .agent(at_temperature(temperature))
            .with(|plan| {
                let cold = Arc::clone(&plan.agents["cold"]);
                plan.agents.insert("explore".to_owned(), cold);
            })
            .prompt("a", "How many?")
            .edit("a", |call| call.expand = Some(Expand::Samples(count)))
    };
    assert_eq!(codes(sampled(Some(0.0), 5)), [SAMPLES_AT_ZERO]);
    assert_eq!(codes(sampled(Some(0.7), 5)), NOTHING);
    assert_eq!(codes(sampled(None, 5)), NOTHING);
    assert_eq!(codes(sampled(Some(0.0), 1)), NOTHING);
}

// W0308

fn one_call_by(argv: &[&str]) -> Sample {
    let agent = Agent { name: "explore".to_owned(), ..command_agent("", argv) };
    Sample::new().agent(agent).prompt("a", "Do it.")
}

#[test]
fn a_program_that_would_ask_is_pointed_out() {
    for argv in [
        vec!["claude"],
        vec!["/usr/local/bin/claude", "--max-turns", "20"],
        vec!["claude", "--permission-mode", "default"],
        vec!["codex", "--json"],
        vec!["gemini", "-o", "json"],
        vec!["opencode", "run"],
        vec!["goose", "run"],
    ] {
        assert_eq!(codes(one_call_by(&argv)), [ASKS_PERMISSION], "{argv:?}");
    }
}

#[test]
fn a_program_that_was_told_what_it_may_do_is_fine() {
    for argv in [
        vec!["claude", "--permission-mode", "dontAsk"],
        vec!["claude", "--permission-mode=plan"],
        vec!["claude", "--allowedTools", "Read"],
        vec!["claude", "--dangerously-skip-permissions"],
        vec!["codex", "exec", "--json"],
        vec!["codex", "--sandbox", "read-only"],
        vec!["gemini", "--approval-mode=auto_edit"],
        vec!["opencode", "run", "--auto"],
        vec!["python3", "my_agent.py"],
    ] {
        assert_eq!(codes(one_call_by(&argv)), NOTHING, "{argv:?}");
    }
    let goose = one_call_by(&["goose", "run"])
        .edit("a", |call| call.env.push(("GOOSE_MODE".to_owned(), sample::template("auto"))));
    assert_eq!(codes(goose), NOTHING);
}

// W0309

#[test]
fn a_model_without_a_version_is_pointed_out_in_ci_only() {
    let named = |model: &str| {
        let mut agent = model_agent("explore", &["read"]);
        if let AgentKind::Model(settings) = &mut agent.kind {
            settings.models[0].model = model.to_owned();
        }
        Sample::new().agent(agent).prompt("a", "Look.")
    };
    for alias in ["claude-sonnet", "opus", "mistral-large-latest", "llama3:latest"] {
        assert_eq!(codes_in_ci(named(alias)), [UNPINNED_MODEL], "{alias}");
        assert_eq!(codes(named(alias)), NOTHING, "{alias}");
    }
    for version in ["claude-sonnet-5", "gpt-5.2", "qwen3-coder", "claude-haiku-4-5-20251001"] {
        assert_eq!(codes_in_ci(named(version)), NOTHING, "{version}");
    }
    let claude = one_call_by(&["claude", "--permission-mode", "plan", "--model", "opus"]);
    assert_eq!(codes_in_ci(claude), [UNPINNED_MODEL]);
}

// W0310

fn vote(settings: serde_json::Value) -> Strategy {
    Strategy { settings: settings.as_object().unwrap().clone(), ..strategy("vote") }
}

#[test]
fn a_vote_on_free_text_is_pointed_out() {
    let last = two_reports().with(|plan| plan.reconcile.strategy = vote(json!({})));
    assert_eq!(codes(last), [VOTE_ON_TEXT]);
    let middle = two_reports().reconcile("v", &["a", "b"], vote(json!({"quorum": 2})));
    assert_eq!(codes(middle), [VOTE_ON_TEXT]);
}

#[test]
fn a_vote_on_fields_or_on_parsed_answers_is_fine() {
    let on = two_reports().with(|plan| plan.reconcile.strategy = vote(json!({"on": "/verdict"})));
    assert_eq!(codes(on), NOTHING);
    let normal = two_reports().with(|plan| plan.reconcile.strategy = vote(json!({"normalize": ["lower"]})));
    assert_eq!(codes(normal), NOTHING);
    let parsed = ["a", "b"]
        .iter()
        .fold(two_reports(), |sample, id| sample.edit(id, |call| call.output.format = Format::Json));
    assert_eq!(codes(parsed.with(|plan| plan.reconcile.strategy = vote(json!({})))), NOTHING);
    let commands = bare().run("a", "echo yes").run("b", "echo yes");
    assert_eq!(codes(commands.with(|plan| plan.reconcile.strategy = vote(json!({})))), NOTHING);
    assert_eq!(codes(two_reports()), NOTHING);
}

// W0311, W0312, W0313

#[test]
fn an_agent_that_no_call_uses_is_pointed_out() {
    assert_eq!(codes(Sample::new().run("a", "true")), [UNUSED_AGENT]);
    let spare = Sample::new().prompt("a", "Look.").agent(model_agent("spare", &[]));
    assert_eq!(codes(spare), [UNUSED_AGENT]);
}

#[test]
fn an_agent_that_is_included_named_or_may_be_started_is_fine() {
    let included = Agent { at: Span { file: 1, start: 0, end: 1 }, ..model_agent("spare", &[]) };
    assert_eq!(codes(Sample::new().prompt("a", "Look.").agent(included)), NOTHING);
    let preferred = Sample::new().prompt("a", "Look.").agent(model_agent("spare", &[])).with(|plan| {
        plan.reconcile.strategy.settings.insert("on_conflict".to_owned(), json!({"prefer": ["spare"]}));
    });
    assert_eq!(codes(preferred), NOTHING);
    let started = Sample::new()
        .agent(model_agent("explore", &["read", "agent"]))
        .prompt("a", "Look.")
        .agent(model_agent("spare", &[]));
    assert_eq!(codes(started), NOTHING);
}

#[test]
fn a_var_that_nothing_mentions_is_pointed_out() {
    let plan = Sample::new()
        .with(|plan| {
            plan.vars.insert("good".to_owned(), json!(1));
            plan.vars.insert("goo".to_owned(), json!(2));
            plan.places.vars.insert("goo".to_owned(), span(600));
        })
        .prompt("a", "Since {{ vars.good }}.");
    let found = findings(&plan.build(), false);
    assert_eq!(
        found.iter().map(|found| (found.code, found.at)).collect::<Vec<_>>(),
        [(UNUSED_VAR, span(600))]
    );
}

#[test]
fn a_var_counts_as_used_wherever_it_is_mentioned() {
    let uses: Vec<fn(Sample) -> Sample> = vec![
        |sample| sample.edit("a", |call| call.when = Some(sample::expression("vars['x'] == 1"))),
        |sample| sample.edit("a", |call| call.env.push(("X".to_owned(), sample::template("{{ vars.x }}")))),
        |sample| sample.edit("a", |call| call.cwd = Some(sample::template("{{ vars.x }}"))),
        |sample| sample.edit("a", |call| call.stdin = Some(sample::template("{{ vars | json }}"))),
        |sample| sample.edit("a", |call| call.stdin = Some(sample::template("{{ env.x }}"))),
        |sample| {
            sample.edit("a", |call| call.expand = Some(Expand::List(vec![json!({"k": "{{ vars.x }}"})])))
        },
        |sample| {
            sample.edit("a", |call| {
                call.check = Some(Check::Command(Command::Shell(sample::template("{{ vars.x }}"))))
            })
        },
        |sample| sample.with(|plan| plan.goal = Some(sample::template("{{ vars.x }}"))),
        |sample| sample.with(|plan| plan.fail_on = Some(sample::expression("vars.x"))),
        |sample| {
            sample.with(|plan| {
                plan.reconcile.strategy.settings.insert("prompt".to_owned(), json!("About {{ vars.x }}"));
            })
        },
    ];
    let plan = || {
        bare().run("a", "true").with(|plan| {
            plan.vars.insert("x".to_owned(), json!(1));
        })
    };
    assert_eq!(codes(plan()), [UNUSED_VAR]);
    for (number, add) in uses.into_iter().enumerate() {
        assert_eq!(codes(add(plan())), NOTHING, "use {number}");
    }
}

#[test]
fn an_include_of_which_nothing_is_used_is_pointed_out() {
    let here = |file, start| Span { file, start, end: start + 1 };
    let plan = |agent_file| {
        let agent = Agent { at: here(agent_file, 3), ..model_agent("explore", &["read"]) };
        Sample::new().agent(agent).prompt("a", "Look.").with(|plan| {
            plan.vars.insert("x".to_owned(), json!(1));
            plan.places.vars.insert("x".to_owned(), here(1, 5));
            // The plan includes file 1, which includes file 2.
            plan.places.includes =
                vec![Include { at: here(0, 700), file: 1 }, Include { at: here(1, 0), file: 2 }];
        })
    };
    assert_eq!(codes(plan(0)), [UNUSED_INCLUDE]);
    assert_eq!(codes(plan(1)), NOTHING);
    assert_eq!(codes(plan(2)), NOTHING);
    let provider = plan(0).with(|plan| {
        plan.places.providers.insert("anthropic".to_owned(), here(2, 9));
    });
    assert_eq!(codes(provider), NOTHING);
    let var = plan(0).with(|plan| plan.goal = Some(sample::template("{{ vars.x }}")));
    assert_eq!(codes(var), NOTHING);
}

// W0314

#[test]
fn an_idle_timeout_beyond_the_timeout_is_pointed_out() {
    let timed = |timeout, idle| {
        bare().run("a", "true").edit("a", |call| {
            call.timeout = Duration::from_secs(timeout);
            call.idle_timeout = Some(Duration::from_secs(idle));
        })
    };
    assert_eq!(codes(timed(60, 90)), [IDLE_BEYOND_TIMEOUT]);
    assert_eq!(codes(timed(60, 60)), NOTHING);
    assert_eq!(codes(timed(60, 30)), NOTHING);
    // What agents get when the plan says nothing.
    assert_eq!(codes(timed(60, 300)), NOTHING);
}

// W0319

#[test]
fn a_timeout_that_leaves_no_time_for_another_try_is_pointed_out() {
    let tried = |idle: Option<u64>| {
        bare().run("a", "true").edit("a", |call| {
            call.timeout = Duration::from_secs(60);
            call.idle_timeout = idle.map(Duration::from_secs);
            call.retry_on.timeout = true;
        })
    };
    assert_eq!(codes(tried(None)), [TIMEOUT_IS_FINAL]);
    assert_eq!(codes(tried(Some(60))), [TIMEOUT_IS_FINAL]);
    assert_eq!(codes(tried(Some(20))), NOTHING);
}

// W0315

#[test]
fn one_call_at_a_time_is_pointed_out_where_more_could_run() {
    let one = |sample: Sample| sample.with(|plan| plan.limits.concurrency = 1);
    assert_eq!(codes(one(two_reports())), [ONE_AT_A_TIME]);
    let samples = bare().run("a", "true").edit("a", |call| call.expand = Some(Expand::Samples(2)));
    assert_eq!(codes(one(samples)), [ONE_AT_A_TIME]);
    let chain = bare().run("a", "true").run("b", "true").needs("b", "a");
    assert_eq!(codes(one(chain)), NOTHING);
    assert_eq!(codes(two_reports()), NOTHING);
}

// W0316

#[test]
fn a_require_that_cannot_be_missed_or_met_is_pointed_out() {
    let requiring = |require| two_reports().with(|plan| plan.require = require);
    for quantity in [Quantity::Count(0), Quantity::Share(0.0), Quantity::Count(3), Quantity::Share(1.5)] {
        assert_eq!(codes(requiring(Require::Some(quantity))), [EMPTY_REQUIRE], "{quantity:?}");
    }
    for quantity in [Quantity::Count(1), Quantity::Count(2), Quantity::Share(0.01), Quantity::Share(1.0)] {
        assert_eq!(codes(requiring(Require::Some(quantity))), NOTHING, "{quantity:?}");
    }
    let per_call = |quantity| requiring(Require::PerCall(vec![(0, quantity), (1, None)]));
    assert_eq!(codes(per_call(Some(Quantity::Count(2)))), [EMPTY_REQUIRE]);
    assert_eq!(codes(per_call(Some(Quantity::Count(1)))), NOTHING);
    assert_eq!(codes(per_call(None)), NOTHING);
    let unknown = requiring(Require::Some(Quantity::Count(50)))
        .edit("a", |call| call.expand = Some(Expand::Dynamic(sample::expression("vars.list"))));
    assert_eq!(codes(unknown), NOTHING);
}

// W0317

#[test]
fn insisting_on_a_call_whose_failure_is_ignored_is_pointed_out() {
    let plan = || {
        bare()
            .run("a", "true")
            .edit("a", |call| call.on_error = OnError::Ignore)
            .run("b", "true")
            .needs("b", "a")
    };
    assert_eq!(codes(plan()), [IGNORED_BUT_NEEDED]);
    let done = plan().edit("b", |call| call.needs[0].accept = Accept::Done);
    assert_eq!(codes(done), NOTHING);
    let some = plan().edit("b", |call| call.needs_at_least = Some(1));
    assert_eq!(codes(some), NOTHING);
    let both = plan().edit("b", |call| call.on_error = OnError::Ignore);
    assert_eq!(codes(both), NOTHING);
}

// All of them.

#[test]
fn a_flood_of_one_lint_is_counted() {
    let ids: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let found = findings(&writers(bare(), &ids).build(), false);
    assert_eq!(found.len(), 21);
    assert_eq!(
        found[20].message,
        "79 more places like the ones before: concurrent calls that write in one workspace"
    );
}

#[test]
fn codes_are_unique_and_in_order() {
    assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
    assert!(ALL.iter().all(|row| row.code.starts_with("W03")));
}

#[test]
fn docs_and_table_tell_the_same_lints() {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lints.md"));
    let headings: Vec<(&str, &str)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## W"))
        .filter_map(|rest| rest.split_once(": "))
        .collect();
    let table: Vec<(&str, &str)> = ALL.iter().map(|row| (&row.code[1..], row.title)).collect();
    assert_eq!(headings, table);
}

/// What is said in CI about a plan text, next to a file `team-agents.yaml`.
fn said_about(text: &str) -> Vec<Diagnostic> {
    let folder = tempfile::tempdir().unwrap();
    let team = "agents: { reviewer: { model: anthropic/claude-sonnet-5 } }\nvars: { depth: 3 }\n";
    std::fs::write(folder.path().join("team-agents.yaml"), team).unwrap();
    let key = ("ANTHROPIC_API_KEY".to_owned(), "x".to_owned());
    let given = Given { environment: Environment { vars: [key].into() }, ..Given::default() };
    let loaded = load_text(text, &folder.path().join("plan.yaml"), &given);
    let plan = loaded.plan.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.diagnostics));
    findings(&plan, true)
}

#[test]
fn the_tour_as_people_write_it_gets_no_advice() {
    let found = said_about(
        r#"
version: 1
name: failing-login-test
goal: Find which change broke auth/login.test.ts:42 and whether to revert it.
vars:
  good: a3f2b1
agents:
  explore:
    model: anthropic/claude-sonnet-5
    system: You investigate code. Report file names and line numbers, no advice.
defaults: { agent: explore, timeout: 5m, retries: 2 }
limits: { concurrency: 5, time: 20m }
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
"#,
    );
    assert_eq!(found, []);
}

#[test]
fn every_example_of_the_docs_is_as_wrong_and_as_right_as_it_says() {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lints.md"));
    for (section, row) in page.split("\n## ").skip(1).zip(ALL) {
        let examples: Vec<&str> =
            section.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        let [wrong, right] = examples[..] else { panic!("{} has {} examples", row.code, examples.len()) };
        assert!(wrong.starts_with("# wrong\n") && right.starts_with("# right\n"), "{}", row.code);
        let found = said_about(wrong);
        assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), [row.code], "{wrong}");
        assert_eq!(said_about(right), [], "{right}");
    }
}

#[test]
fn a_large_plan_is_linted_without_a_second_look_at_each_pair() {
    let mut plan = writers(bare(), &["a"]).build();
    let first = plan.calls[0].clone();
    plan.calls = (0..20_000)
        .map(|n| Call {
            id: crate::id::CallId::parse(&format!("c{n}")).unwrap(),
            at: span(n as u32),
            needs: (n > 0)
                .then(|| crate::plan::Need { call: n - 1, accept: Accept::Success, at: span(0), data: false })
                .into_iter()
                .collect(),
            ..first.clone()
        })
        .collect();
    // Twenty thousand writers one after the other: never two at once.
    plan.limits.calls = 100_000;
    assert_eq!(findings(&plan, false), []);
}
