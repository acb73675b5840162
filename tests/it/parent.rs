//! The parent's own reasoning: decisions, syntheses and judgements, in one conversation, never twice.

use serde_json::{Value, json};

use crate::provider::{Provider, Script};
use crate::support::{Folder, Ran, outcomes, parse_lines};

/// A parent that is a program: it keeps each prompt and prints the answer of the same number.
const PARENT: &str = r#"
n=$(ls asked 2>/dev/null | wc -l)
mkdir -p asked
cat > asked/$n
[ -e "die-$n" ] && { rm "die-$n"; kill -9 $PPID; sleep 5; }
cat "answer-$n"
"#;

/// A folder with this plan, and what the parent answers, in order.
fn folder(plan: &str, answers: &[Value]) -> Folder {
    let folder = Folder::with_plan(&format!("parent: {{ command: [sh, parent.sh] }}\n{plan}"));
    folder.write("parent.sh", PARENT);
    for (number, answer) in answers.iter().enumerate() {
        folder.write(&format!("answer-{number}"), &answer.to_string());
    }
    folder
}

fn asked(folder: &Folder) -> usize {
    std::fs::read_dir(folder.path().join("asked")).map_or(0, Iterator::count)
}

fn decision(choice: u32, reason: &str) -> Value {
    json!({"decisions": [{"conflict": 1, "choice": choice, "reason": reason}]})
}

const VERDICTS: &str = r#"
goal: Is the release good to go?
calls:
  one: { run: "echo '{\"verdict\": \"ship\"}'", output: { format: json } }
  two: { run: "echo '{\"verdict\": \"hold\"}'", output: { format: json }, needs: { note: done } }
  dead: { run: "exit 3", on_error: ignore }
  note: { background: true, run: "echo generated 4 files" }
"#;

fn result(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}", ran.out))
}

#[test]
fn a_tie_is_decided_by_the_parent_and_the_vote_stays_as_it_was_counted() {
    let plan = format!(
        "{VERDICTS}reconcile: {{ of: [one, two, dead], strategy: vote, on: /verdict, on_conflict: decide }}\n"
    );
    let folder = folder(&plan, &[decision(1, "The reason.")]);
    let ran = folder.run(&["run", "plan.yaml", "-o", "json"]).expect_code(0);
    let whole = result(&ran);
    let json = &whole["reconcile"]["json"];
    assert_eq!((&json["winner"], &json["questions"][0]["outcome"]), (&Value::Null, &json!("tied")));
    assert_eq!(json["decisions"][0]["reason"], "The reason.");
    assert_eq!(json["conflicts"], json!([]));
    assert_eq!(json["asked"], json!({"agent": "sh", "answers": 1}));
    let prompt = folder.read("asked/0");
    for words in ["Is the release good to go?", "2 of 3 answered", "<background-results", "generated 4 files"]
    {
        assert!(prompt.contains(words), "{words}:\n{prompt}");
    }
}

#[test]
fn a_later_step_knows_what_an_earlier_one_decided() {
    let plan = format!(
        "{VERDICTS}  pick:\n    description: Ship or hold\n    reconcile: {{ of: [one, two], strategy: compare, on_conflict: decide }}\n\
         reconcile: {{ of: [pick], strategy: synthesize, prompt: Write the release note. }}\n"
    );
    let provider = Provider::start();
    provider.on("Open conflicts", Script::text(decision(1, "A flag protects it.").to_string()));
    let cites = json!([{"answer": "A", "quote": "A flag protects it."}]);
    let answer = json!({
        "answer": "We ship [@A].", "claims": [{"claim": "It is protected.", "cites": cites}], "unresolved": [],
    });
    provider.on("Write the release note", Script::text(answer.to_string()));
    let head = format!(
        "providers: {{ one: {{ api: anthropic, base_url: \"{}\", api_key_env: ONE_KEY }} }}\n\
         parent: {{ model: one/alpha, system: Prefer caution. }}\n",
        provider.base_url()
    );
    let folder = Folder::with_plan(&format!("{head}{plan}"));
    let ran = folder.run_with(&[("ONE_KEY", "k")], &["run", "plan.yaml"]).expect_code(0);
    assert!(ran.out.contains("We ship [pick]."), "{}", ran.out);
    let requests = provider.requests();
    let [first, second] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    let body = &second.json;
    let roles: Vec<&str> =
        body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    let said = body["messages"].to_string();
    assert!(said.contains("Ship or hold") && said.contains("A flag protects it."), "{said}");
    assert!(body["system"].to_string().contains("Prefer caution."), "{body}");
    assert_eq!(first.json["messages"].as_array().unwrap().len(), 1);
    // What it cost is counted.
    let shown = folder.run(&["show", "last", "-o", "json"]).expect_code(0);
    let shown = result(&shown);
    assert!(shown["usage"]["requests"].as_u64() >= Some(2), "{}", shown["usage"]);
}

#[test]
fn a_citation_of_nothing_is_asked_again_once_and_then_the_step_fails() {
    let wrong = json!({
        "answer": "It is fine [@Z].", "claims": [{"claim": "c", "cites": [{"answer": "A", "quote": "never said"}]}],
        "decisions": [{"conflict": 1, "choice": 1, "reason": "r"}], "unresolved": [],
    });
    let plan = format!("{VERDICTS}reconcile: {{ of: [one, two], strategy: synthesize }}\n");
    let folder = folder(&plan, &[wrong.clone(), wrong]);
    let ran = folder.run(&["run", "plan.yaml"]).expect_code(1);
    for words in ["twice", "@Z, which is not there", "never said"] {
        assert!(ran.out.contains(words), "{words}:\n{}", ran.out);
    }
    assert_eq!(asked(&folder), 2);
    assert!(folder.read("asked/1").contains("`answer` cites @Z, which is not there"));
}

#[test]
fn a_judgement_of_the_parent_feeds_the_next_attempt() {
    let plan = r#"
agents: { writer: { command: [sh, writer.sh] } }
calls:
  text: { prompt: Describe the cache., agent: writer, check: { ask: "Does it name the eviction policy?" }, attempts: 2 }
"#;
    let no = json!({"reason": "It does not name the eviction policy.", "verdict": "no"});
    let yes = json!({"reason": "It says LRU.", "verdict": "yes"});
    let folder = folder(plan, &[no, yes]);
    folder.write(
        "writer.sh",
        "tee -a written | grep -q 'does not name' && echo 'It is LRU.' || echo 'It is fast.'\n",
    );
    let (events, _) = folder.events(&[]);
    let text = &outcomes(&events)["text"];
    assert_eq!((&text["status"], &text["output"]["text"]), (&json!("ok"), &json!("It is LRU.")));
    assert!(folder.read("written").contains("its check said no: It does not name the eviction policy."));
    let prompt = folder.read("asked/0");
    for words in ["Describe the cache.", "It is fast.", "Does it name the eviction policy?"] {
        assert!(prompt.contains(words), "{words}:\n{prompt}");
    }
}

#[test]
fn a_call_that_the_parent_never_accepts_fails_with_its_reason() {
    let plan = "calls:\n  text: { run: echo hello, check: { ask: Is it polite? } }\n";
    let no = json!({"reason": "It says nothing kind.", "verdict": "no"});
    let folder = folder(plan, &[no]);
    let (events, _) = folder.events(&[]);
    let cause = &outcomes(&events)["text"]["cause"];
    assert_eq!(
        cause,
        &json!({"code": "check_failed", "message": "its check said no: It says nothing kind."})
    );
}

#[test]
fn what_the_parent_answered_before_a_kill_is_not_asked_again() {
    let many = |from: u32| -> Value {
        (0..30).map(|n| (format!("f{n}"), json!(from + n))).collect::<serde_json::Map<_, _>>().into()
    };
    let decisions = |count: u32| {
        let all: Vec<Value> =
            (1..=count).map(|n| json!({"conflict": n, "choice": 1, "reason": "first"})).collect();
        json!({ "decisions": all })
    };
    let plan = "calls:\n  a: { run: cat a.json, output: { format: json } }\n  b: { run: cat b.json, output: { format: json } }\n\
                reconcile: { strategy: compare, on_conflict: decide }\n";
    // The first question holds 25 of the 30 conflicts; the answer after the kill is a fresh file.
    let folder = folder(plan, &[decisions(25), decisions(5), decisions(5)]);
    folder.write("a.json", &many(0).to_string());
    folder.write("b.json", &many(100).to_string());
    folder.write("die-1", "");
    let killed = folder.run(&["run", "plan.yaml"]);
    assert_eq!((killed.code, asked(&folder)), (-1, 2), "{}", killed.err);
    let ran = folder.run(&["resume", "last", "-o", "json"]).expect_code(0);
    assert_eq!(asked(&folder), 3, "only the question that was cut off is put again");
    assert_eq!(folder.read("asked/1"), folder.read("asked/2"));
    assert_eq!(result(&ran)["reconcile"]["json"]["decisions"].as_array().unwrap().len(), 30);
}

#[test]
fn conflicts_are_news() {
    let plan = format!("{VERDICTS}reconcile: {{ of: [one, two], strategy: vote, on: /verdict }}\n");
    let folder = folder(&plan, &[]);
    let (events, ran) = folder.events(&[]);
    let found: Vec<&Value> = events.iter().filter(|event| event["type"] == "conflicts_found").collect();
    let [found] = found.as_slice() else { panic!("{}", ran.out) };
    assert_eq!((&found["step"], &found["count"]), (&json!("(reconcile)"), &json!(1)));
    assert!(found["messages"][0].as_str().unwrap().contains("tied between"), "{found}");
    assert_eq!(asked(&folder), 0);
}

#[test]
fn a_plan_whose_steps_ask_needs_a_model_and_one_whose_steps_do_not_needs_none() {
    let plan = format!(
        "{VERDICTS}reconcile: {{ of: [one, two], strategy: vote, on: /verdict, on_conflict: decide }}\n"
    );
    let folder = Folder::with_plan(&plan);
    let refused = folder.run(&["validate", "plan.yaml"]).expect_code(2);
    assert!(refused.err.contains("ANTHROPIC_API_KEY"), "{}", refused.err);
    let without = Folder::with_plan(&plan.replace(", on_conflict: decide", ""));
    without.run(&["validate", "plan.yaml"]).expect_code(0);
    let nothing = Folder::with_plan("calls:\n  a: { run: x }\nreconcile: { strategy: synthesize }\n");
    let refused = nothing.run(&["validate", "plan.yaml"]).expect_code(2);
    assert!(refused.err.contains("neither a `prompt` nor the plan's `goal`"), "{}", refused.err);
}

#[test]
fn events_of_a_run_with_decisions_are_one_stream() {
    let plan = format!(
        "{VERDICTS}reconcile: {{ of: [one, two], strategy: vote, on: /verdict, on_conflict: decide }}\n"
    );
    let folder = folder(&plan, &[decision(0, "Nothing tells.")]);
    let ran = folder.run(&["run", "plan.yaml", "--json"]).expect_code(0);
    let events = parse_lines(&ran.out);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let place = |kind: &str| {
        kinds.iter().position(|own| *own == kind).unwrap_or_else(|| panic!("no {kind}: {kinds:?}"))
    };
    assert!(place("attempt_finished") < place("conflicts_found"));
    assert!(place("conflicts_found") < place("reconciled"));
}
