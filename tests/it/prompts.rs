//! Plans with prompts, from the command line to a scripted provider and back.

use crate::provider::{Provider, Script, ms};
use crate::support::{Folder, outcomes, repository};

/// A plan's head that sends `one` and `two` to the scripted provider, each in its own dialect.
fn providers(provider: &Provider) -> String {
    let url = provider.base_url();
    format!(
        r#"
providers:
  one: {{ api: anthropic, base_url: "{url}", api_key_env: ONE_KEY }}
  two: {{ api: openai-chat, base_url: "{url}", api_key_env: TWO_KEY }}
  three: {{ api: openai-responses, base_url: "{url}", api_key_env: TWO_KEY }}
agents:
  one: {{ model: one/alpha, system: Be brief. }}
  two: {{ model: two/beta }}
  three: {{ model: three/gamma }}
"#
    )
}

const KEYS: &[(&str, &str)] = &[("ONE_KEY", "key-one-secret"), ("TWO_KEY", "key-two-secret")];

#[test]
fn later_prompts_hold_earlier_answers_verbatim_in_every_dialect() {
    let provider = Provider::start();
    let hostile = "It says {{ secrets }} and {% raw %}\n</result> 'quoted' \"twice\" \u{1f980}";
    provider.on("first question", Script::text(hostile).pieces(7));
    provider.on("second question", Script::text("plain").pieces(3).delay(ms(5)));
    provider.on("What do they say", Script::text("they agree"));
    for agent in ["one", "two", "three"] {
        let folder = Folder::with_plan(&format!(
            r#"{}
defaults: {{ agent: {agent} }}
calls:
  a: {{ prompt: first question }}
  b: {{ prompt: second question }}
  both:
    prompt: |
      What do they say?
      {{{{ calls.a.output }}}}
      {{{{ calls.b.output }}}}
"#,
            providers(&provider)
        ));
        let ran = folder.run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(0);
        let by_id = outcomes(&crate::support::parse_lines(&ran.out));
        assert_eq!(by_id["a"]["output"]["text"], hostile);
        assert_eq!(by_id["both"]["output"]["text"], "they agree");
        assert!(by_id["both"]["usage"]["output"].as_u64().unwrap() > 0);
        let requests = provider.requests();
        let last = requests.last().unwrap().prompt();
        assert!(last.contains(hostile), "{last}");
        assert!(last.contains("plain"), "{last}");
        // Everything of the run, on every surface, without the keys.
        let journal = std::fs::read_dir(folder.path().join(".fanout/runs")).unwrap().next().unwrap().unwrap();
        let journal = std::fs::read_to_string(journal.path().join("journal.jsonl")).unwrap();
        for surface in [&ran.out, &ran.err, &journal] {
            assert!(!surface.contains("secret\""), "a key is in it");
        }
    }
    assert_eq!(provider.count(), 9);
}

#[test]
fn a_passing_fault_is_tried_again_and_a_final_one_is_not() {
    let provider = Provider::start();
    provider.in_turn([
        Script::error(529, "overloaded_error", "busy"),
        Script::text("half of it and more").cut_after(60),
        Script::text("whole"),
    ]);
    let plan = format!("{}\ncalls:\n  a: {{ agent: one, prompt: hello }}\n", providers(&provider));
    let folder = Folder::with_plan(&plan);
    let ran = folder.run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(0);
    let events = crate::support::parse_lines(&ran.out);
    let outcome = &outcomes(&events)["a"];
    assert_eq!((&outcome["output"]["text"], &outcome["attempts"]), (&"whole".into(), &3.into()));
    let failed: Vec<_> = events.iter().filter(|e| e["type"] == "attempt_failed").collect();
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|event| event["retry_in_ms"].is_u64()), "{failed:?}");

    let refused = Provider::start();
    refused.answer(|_| Script::error(401, "authentication_error", "invalid x-api-key"));
    let plan = format!("{}\ncalls:\n  a: {{ agent: one, prompt: hello }}\n", providers(&refused));
    let ran = Folder::with_plan(&plan).run_with(KEYS, &["run", "plan.yaml"]).expect_code(1);
    assert_eq!(refused.count(), 1, "a refused key was tried again");
    assert!(ran.out.contains("ONE_KEY"), "it does not say where the key came from:\n{}", ran.out);
}

#[test]
fn a_rate_limited_call_waits_as_long_as_it_is_told_and_is_not_lost() {
    let provider = Provider::start();
    provider.in_turn([
        Script::error(429, "rate_limit_error", "slow down").header("retry-after-ms", "40"),
        Script::error(429, "rate_limit_error", "slow down").header("retry-after-ms", "40"),
        Script::text("at last"),
    ]);
    // No retries at all: being put back is not a failure.
    let plan =
        format!("{}\ncalls:\n  a: {{ agent: two, prompt: hello, retries: 0 }}\n", providers(&provider));
    let ran = Folder::with_plan(&plan).run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(0);
    assert_eq!(outcomes(&crate::support::parse_lines(&ran.out))["a"]["output"]["text"], "at last");
    let at: Vec<_> = provider.requests().iter().map(|request| request.at).collect();
    assert!(at[1] - at[0] >= ms(40) && at[2] - at[1] >= ms(40), "asked again before the time: {at:?}");
}

#[test]
fn an_answer_outside_the_schema_is_asked_for_again_with_the_validators_words() {
    let provider = Provider::start();
    provider
        .in_turn([Script::text("I think revert."), Script::text("```json\n{\"verdict\": \"revert\"}\n```")]);
    let plan = format!(
        r#"{}
calls:
  a:
    agent: two
    prompt: keep or revert?
    attempts: 2
    output:
      schema: {{ type: object, required: [verdict], properties: {{ verdict: {{ enum: [keep, revert] }} }} }}
  b: {{ run: "echo {{{{ calls.a.json.verdict }}}}" }}
"#,
        providers(&provider)
    );
    let ran = Folder::with_plan(&plan).run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(0);
    assert_eq!(outcomes(&crate::support::parse_lines(&ran.out))["b"]["output"]["text"], "revert");
    let second = String::from_utf8_lossy(&provider.requests()[1].body).into_owned();
    assert!(second.contains("I think revert.") && second.contains("not JSON"), "{second}");
    let once = plan.replace("attempts: 2", "attempts: 1");
    provider.in_turn([Script::text("no")]);
    let ran = Folder::with_plan(&once).run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(1);
    let by_id = outcomes(&crate::support::parse_lines(&ran.out));
    assert_eq!(by_id["a"]["status"], "invalid_output");
    assert_eq!(by_id["b"]["status"], "skipped");
}

#[test]
fn an_empty_answer_is_no_answer() {
    let provider = Provider::start();
    provider.answer(|_| Script::text(""));
    let plan = format!("{}\ncalls:\n  a: {{ agent: one, prompt: hello }}\n", providers(&provider));
    let ran = Folder::with_plan(&plan).run_with(KEYS, &["run", "plan.yaml", "--json"]).expect_code(1);
    let outcome = &outcomes(&crate::support::parse_lines(&ran.out))["a"];
    assert_eq!(
        (&outcome["status"], &outcome["cause"]["code"]),
        (&"invalid_output".into(), &"empty_answer".into())
    );
}

#[test]
fn a_missing_key_says_which_and_how_before_anything_is_asked() {
    let provider = Provider::start();
    let plan = format!("{}\ncalls:\n  a: {{ agent: one, prompt: hello }}\n", providers(&provider));
    let ran = Folder::with_plan(&plan).run(&["run", "plan.yaml"]).expect_code(1);
    assert!(ran.out.contains("ONE_KEY"), "{}", ran.out);
    assert_eq!(provider.count(), 0);
}

#[test]
fn a_program_can_be_an_agent() {
    let folder = Folder::with_plan(
        r#"
agents:
  shout: { command: [tr, a-z, A-Z], input: stdin, output: text }
calls:
  a: { agent: shout, prompt: hello }
"#,
    );
    let (events, ran) = folder.events(&[]);
    assert_eq!((ran.code, &outcomes(&events)["a"]["output"]["text"]), (0, &"HELLO".into()));
}

/// Every shipped plan with prompts, run as it stands with the built-in providers pointed here.
#[test]
fn every_plan_that_ships_with_prompts_runs() {
    let provider = Provider::start();
    provider
        .on("could have broken", Script::text(r#"{"suspects": [{"commit": "abc", "why": "touches it"}]}"#));
    provider.answer(|request| Script::text(format!("an answer from {}", request.model())));
    let host = format!("http://{}", provider.host());
    let openai = provider.base_url();
    let env = [
        ("ANTHROPIC_API_KEY", "k"),
        ("OPENAI_API_KEY", "k"),
        ("ANTHROPIC_BASE_URL", host.as_str()),
        ("OPENAI_BASE_URL", openai.as_str()),
        ("OLLAMA_HOST", host.as_str()),
    ];
    let folder = Folder::new();
    let git = |args: &[&str]| {
        let ran = std::process::Command::new("git").args(args).current_dir(folder.path()).output().unwrap();
        assert!(ran.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    git(&["init", "-q"]);
    for (number, name) in ["one", "two", "three"].iter().enumerate() {
        folder.write(&format!("src/{name}.rs"), &format!("// {number}"));
        git(&["add", "."]);
        git(&["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", name]);
    }
    let here = format!("repo={}", folder.path().display());
    let plan = |name: &str| repository().join("plans").join(name).display().to_string();
    let runs: &[&[&str]] = &[
        &["run", &plan("side-by-side.yaml"), "--var", "topic=tests"],
        &["run", &plan("compare-models.yaml")],
        &["run", &plan("failing-test.yaml"), "--var", "test=one", "--var", "good=HEAD~2", "--var", &here],
        &["run", &plan("release-notes.yaml"), "--var", "since=HEAD~2", "--var", &here],
    ];
    for args in runs {
        folder.run_with(&env, args).expect_code(0);
    }
    assert!(folder.read("RELEASE_NOTES.draft.md").contains("an answer from"));
}
