//! Vars: where their values come from, and which are refused.

use super::*;
use serde_json::{Value, json};

const VARS: &str = "vars:
  text: default
  number: 1
  flag: false
  list: [a]
  who: { required: true, type: string, enum: [ann, bob], description: whom to ask }
  count: { required: false, type: integer, default: 2 }
  free: { required: false }
calls: { a: { run: 'echo {{ vars.text }}' } }
";

fn with(vars: &[(&str, &str)], environment: &[(&str, &str)]) -> Loaded {
    let pairs = |list: &[(&str, &str)]| {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
    };
    let environment = Environment { vars: pairs(environment).into_iter().collect() };
    load_text(VARS, Path::new("plan.yaml"), &Given { vars: pairs(vars), environment, ..Given::default() })
}

#[test]
fn the_nearest_value_wins_and_has_the_type_of_the_default() {
    let plan = sound(with(
        &[
            ("who", "ann"),
            ("who", "bob"),
            ("text", "123"),
            ("number", "0x10"),
            ("list", "[x, 2]"),
            ("count", "7"),
        ],
        &[
            ("FANOUT_VAR_WHO", "ann"),
            ("FANOUT_VAR_FLAG", "true"),
            ("FANOUT_VAR_free", "1e3"),
            ("FANOUT_VAR_OTHER", "x"),
        ],
    ));
    let all = json!({
        "text": "123", "number": 16, "flag": true, "list": ["x", 2], "who": "bob", "count": 7, "free": 1000.0
    });
    assert_eq!(Value::Object(plan.vars.clone()), all);
    assert_eq!(plan.given_vars, plan.vars, "all of them came from outside");
    let few = sound(with(&[("who", "ann")], &[]));
    assert_eq!(Value::Object(few.given_vars), json!({"who": "ann"}));
    assert_eq!((&few.vars["count"], &few.vars["free"]), (&json!(2), &Value::Null));
}

#[test]
fn a_file_of_vars_stands_between_the_environment_and_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vars.yaml");
    std::fs::write(&file, "text: from file\nnumber: 5\nlist: [y]\nwho: ann\n").unwrap();
    let given = Given {
        vars: vec![("text".to_owned(), "from line".to_owned())],
        vars_files: vec![file.clone()],
        environment: Environment { vars: [("FANOUT_VAR_NUMBER".to_owned(), "9".to_owned())].into() },
        ..Given::default()
    };
    let plan = sound(load_text(VARS, Path::new("plan.yaml"), &given));
    assert_eq!((&plan.vars["text"], &plan.vars["number"]), (&json!("from line"), &json!(5)));
    std::fs::write(&file, "{\"who\": \"eve\", \"nubmer\": 1}").unwrap();
    let loaded = load_text(VARS, Path::new("plan.yaml"), &given);
    let shown: Vec<String> =
        lines(&loaded).iter().map(|line| line.replace(&file.display().to_string(), "F")).collect();
    assert_eq!(
        shown,
        [
            "F:1:9: E0304 the var `who` can be `ann` or `bob`; \"eve\" is not among them",
            "F:1:16: E0207 the plan has no var `nubmer` (did you mean `number`?)",
        ]
    );
}

#[test]
fn what_is_given_wrongly_is_shown_as_it_was_given() {
    assert_eq!(
        lines(&with(&[], &[])),
        [
            "6:3: E0208 the var `who` is required and was not given (give it with `--var who=…`, or set FANOUT_VAR_WHO)"
        ]
    );
    assert_eq!(
        lines(&with(&[("who", "ann"), ("txet", "x"), ("count", "many")], &[("FANOUT_VAR_FLAG", "x")])),
        [
            "--var:1:1: E0207 the plan has no var `txet` (did you mean `text`?)",
            "--var:1:7: E0304 the var `count` must be of type `integer`; \"many\" is not",
        ]
    );
}

#[test]
fn a_plan_that_is_only_looked_at_needs_no_values() {
    let given = Given { vars_may_be_missing: true, ..Given::default() };
    let plan = sound(load_text(VARS, Path::new("plan.yaml"), &given));
    assert_eq!(plan.vars["who"], Value::Null);
}

#[test]
fn a_declaration_is_checked_too() {
    let faults = |var: &str| faults(&format!("vars:\n  x: {var}\ncalls: {{ a: {{ run: x }} }}\n"));
    assert_eq!(faults("{ required: yes }"), ["2:18: E0107 expected `true` or `false`, found the text `yes`"]);
    assert_eq!(
        faults("{ required: false, default: 3, type: string }"),
        ["2:34: E0304 the var `x` must be of type `string`; 3 is not"]
    );
    assert_eq!(faults("{ required: false, defualt: 3 }"), ["2:25: E0105 unknown key `defualt`"]);
    assert_eq!(faults("{ type: string }"), Vec::<String>::new(), "without `required` it is a value");
    assert!(faults("{ required: true, default: 3 }")[1].contains("E0110"));
}
