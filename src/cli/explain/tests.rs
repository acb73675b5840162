//! What an explanation says, and that both of its forms say the same.

use std::path::Path;

use super::*;
use crate::graph::sample::{self, Sample, command_agent};
use crate::plan::{Environment, Expand, Given, Repeat, load_text};

fn tour() -> Plan {
    Sample::new()
        .run("client", "npm run generate-client")
        .background("client")
        .prompt("graph", "Map the call graph.\n  With indentation.")
        .prompt("diff", "Given {{ calls.graph.output }} diff each function.")
        .edit("diff", |call| {
            call.expand = Some(Expand::Samples(5));
            call.attempts = 2;
            call.repeat = Some(Repeat { until: sample::expression("json.ok"), max: 3, fresh: true });
            call.timeout = std::time::Duration::from_secs(90);
        })
        .with(|plan| {
            plan.goal = Some(sample::template("Find: the #change."));
            plan.vars.insert("good".to_owned(), json!("a3f2b1"));
            plan.given_vars.insert("good".to_owned(), json!("a3f2b1"));
        })
        .build()
}

fn said(plan: &Plan) -> String {
    explain(plan, &CallGraph::of(plan))
}

#[test]
fn the_listing_shows_every_value_and_marks_the_defaults() {
    insta::assert_snapshot!(said(&tour()));
}

#[test]
fn the_machine_form_lists_the_paths_of_defaults() {
    let plan = tour();
    let json = explain_json(&plan, &CallGraph::of(&plan));
    assert_eq!(json["turns"], json!([["client", "graph"], ["diff"]]));
    assert_eq!(json["critical_path"], json!(["graph", "diff"]));
    assert_eq!(json["calls_made"], json!({ "least": 7, "most": 32 }));
    assert_eq!(json["keys"], json!({ "ANTHROPIC_API_KEY": ["anthropic"] }));
    assert_eq!(json["calls"]["diff"]["timeout"], json!("1m30s"));
    assert_eq!(json["calls"]["graph"]["prompt"], json!("Map the call graph.\n  With indentation."));
    let defaults = json["defaults"].as_array().unwrap();
    for path in ["limits.concurrency", "calls.client.timeout", "calls.diff.output.format", "require"] {
        assert!(defaults.contains(&json!(path)), "{path}");
    }
    for path in ["calls.diff.timeout", "calls.client.background", "calls.diff.attempts"] {
        assert!(!defaults.contains(&json!(path)), "{path}");
    }
}

#[test]
fn the_listing_is_yaml_whatever_people_write() {
    let hostile = "a: b # c\n\"d\" 'e' \\ {f} [g] \u{1b}[2J \u{202e} - ? | > & * ! % @ ` 0x1f 1e3 no";
    let plan = Sample::new()
        .run("a", hostile)
        .edit("a", |call| {
            call.description = hostile.to_owned();
            call.env.push(("NO".to_owned(), sample::template(hostile)));
            call.tags = vec!["yes".to_owned(), "1e3".to_owned(), "0x1f".to_owned(), "1_000".to_owned()];
        })
        .run("no", &"x".repeat(5000))
        .with(|plan| {
            plan.name = "null".to_owned();
            plan.vars.insert("on".to_owned(), json!({ "k: v": [1, "two, three", null, true] }));
        })
        .build();
    let text = said(&plan);
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    assert!(text.lines().all(|line| line.chars().count() < 240), "{text}");
    let read: Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(read["name"], json!("null"));
    assert_eq!(read["calls"]["a"]["tags"], json!(["yes", "1e3", "0x1f", "1_000"]));
    assert_eq!(read["vars"]["on"], json!({ "k: v": [1, "two, three", "none", true] }));
    let description = read["calls"]["a"]["description"].as_str().unwrap();
    assert!(description.starts_with("a: b # c\n\"d\" 'e' \\ {f} [g] "), "{description}");
}

#[test]
fn both_forms_have_the_same_keys() {
    let plan = tour();
    let mut json = explain_json(&plan, &CallGraph::of(&plan));
    json.as_object_mut().unwrap().shift_remove("defaults");
    let yaml: Value = serde_yaml::from_str(&said(&plan)).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&json), keys(&yaml));
    for call in ["client", "graph", "diff"] {
        assert_eq!(keys(&json["calls"][call]), keys(&yaml["calls"][call]));
    }
}

#[test]
fn a_program_needs_no_key_and_the_plans_inside_bring_theirs() {
    let program = Agent { name: "explore".to_owned(), ..command_agent("", &["claude"]) };
    let outer = Sample::new().agent(program).prompt("a", "Look.");
    let json = |plan: &Plan| explain_json(plan, &CallGraph::of(plan));
    let plan = outer.build();
    assert_eq!(json(&plan)["keys"], json!({}));
    assert_eq!(json(&plan)["agents"]["explore"]["command"], json!(["claude"]));
    let inner = Arc::new(Sample::new().prompt("x", "Look.").build());
    let plan = Sample::new().plan("sub", inner).build();
    assert_eq!(json(&plan)["keys"], json!({ "ANTHROPIC_API_KEY": ["anthropic"] }));
    assert_eq!(json(&plan)["calls_made"], json!({ "least": 2, "most": 2 }));
}

#[test]
fn what_a_plan_does_not_say_is_marked_as_a_default() {
    let plan = |text: &str| {
        let environment = Environment { vars: [("ANTHROPIC_API_KEY".to_owned(), "x".to_owned())].into() };
        let loaded = load_text(text, Path::new("/plan.yaml"), &Given { environment, ..Given::default() });
        loaded.plan.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
    };
    let plan = plan(
        "agents: { a: { model: anthropic/claude-sonnet-5 }, b: { command: [cat] } }
calls:
  one: { prompt: Look., agent: a }
  two: { prompt: Look., agent: b, samples: 2 }
  three: { run: make, repeat: { until: json.ok } }
  four: { run: make, output: { schema: { type: object } } }
",
    );
    let json = explain_json(&plan, &CallGraph::of(&plan));
    let mut said: Vec<String> = Vec::new();
    leaves(&json, "", &mut said);
    let defaults: HashSet<&str> =
        json["defaults"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    said.retain(|path| !defaults.iter().any(|known| path == known || path.starts_with(&format!("{known}."))));
    said.retain(|path| {
        path.split('.').next().is_some_and(|top| ["agents", "limits", "calls"].contains(&top))
    });
    said.retain(|path| !path.contains(".made.") && !path.ends_with(".turn") && !path.ends_with(".answers"));
    assert_eq!(
        said,
        [
            "agents.a.model",
            "agents.b.command",
            "calls.one.prompt",
            "calls.one.agent",
            "calls.two.prompt",
            "calls.two.agent",
            "calls.two.samples",
            "calls.three.run",
            "calls.three.repeat.until",
            "calls.four.run",
            "calls.four.output.schema.type",
        ]
    );
}

/// The paths of everything in an object that is no object itself.
fn leaves(value: &Value, path: &str, to: &mut Vec<String>) {
    let Some(entries) = value.as_object() else { return to.push(path.to_owned()) };
    for (key, value) in entries {
        leaves(value, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, to);
    }
}
