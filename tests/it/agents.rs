//! One prompt in, one answer out: models and programs.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanout::agent::{Agents, Answer, Ask, Earlier, Failure, Kind, Surroundings};
use fanout::model::{Class, Client, Keys, Settings};
use fanout::outcome::{Status, Usage};
use fanout::plan::{self, Api, CommandInput, CommandOutput};
use fanout::unit::Tokens;
use indexmap::IndexMap;
use serde_json::json;
use tokio::time::Instant;

use crate::models::at;
use crate::provider::{Provider, Script, ms};

fn agents() -> Agents {
    let keys = Keys::of([&at("", Api::Anthropic)], |_| Some("sk-x".to_owned()));
    let client = Client::new(keys, Settings { proxies: false, ..Settings::default() });
    Agents::new(client, Surroundings::default())
}

fn ask(prompt: &str) -> Ask {
    Ask {
        prompt: prompt.to_owned(),
        system: None,
        schema: None,
        before: Vec::new(),
        earlier: Vec::new(),
        deadline: Instant::now() + Duration::from_secs(60),
        idle_timeout: None,
        cwd: std::env::temp_dir(),
        policy: fanout::sandbox::Policy::default(),
        env: Vec::new(),
        thread: None,
        transcript: None,
        shared: None,
        last_try: false,
        access: Arc::default(),
        desk: None,
    }
}

async fn answer(agent: &plan::Agent, provider: Option<&Provider>, ask: Ask) -> Result<Answer, Box<Failure>> {
    let base = provider.map(Provider::base_url).unwrap_or_default();
    let named = [("one", Api::Anthropic), ("two", Api::OpenAiChat), ("three", Api::OpenAiResponses)];
    let providers: IndexMap<String, plan::Provider> = named
        .into_iter()
        .map(|(name, api)| (name.to_owned(), plan::Provider { name: name.to_owned(), ..at(&base, api) }))
        .collect();
    let agents = agents();
    agents.of(agent, &providers).answer(ask, &|_: &str, _| {}).await
}

fn agent(kind: plan::AgentKind) -> plan::Agent {
    plan::Agent { name: "a".to_owned(), description: None, at: plan::diagnostic::Span::default(), kind }
}

fn models(names: &[&str]) -> plan::Agent {
    let models = names
        .iter()
        .map(|provider| plan::ModelName { provider: (*provider).to_owned(), model: "m".to_owned() });
    agent(plan::AgentKind::Model(plan::ModelAgent {
        models: models.collect(),
        system: None,
        tools: Vec::new(),
        max_turns: 1,
        max_tokens: Tokens(500),
        temperature: Some(0.0),
        effort: None,
    }))
}

fn used(input: u64, output: u64, requests: u32) -> Usage {
    Usage { input: Tokens(input), output: Tokens(output), requests, ..Usage::default() }
}

#[tokio::test]
async fn a_model_answers_and_says_who_it_was() {
    let provider = Provider::start();
    let ask = Ask { system: Some("Be brief.".to_owned()), ..ask("hello") };
    let answer = answer(&models(&["one"]), Some(&provider), ask).await.unwrap();
    let expected = Answer {
        text: "ok".to_owned(),
        usage: used(10, 5, 1),
        agent: "one/m".to_owned(),
        request_id: Some("req_scripted".to_owned()),
        ..Answer::default()
    };
    assert_eq!(answer, expected);
    let body = &provider.requests()[0].json;
    assert_eq!(
        (&body["max_tokens"], &body["temperature"], &body["system"]),
        (&json!(500), &json!(0.0), &json!("Be brief."))
    );
}

#[tokio::test]
async fn the_next_model_answers_where_the_first_is_no_good() {
    let provider = Provider::start();
    provider.in_turn([
        Script::error(404, "not_found_error", "no such model"),
        Script::text("I would rather not").refusal(),
        Script::text("here you are"),
    ]);
    let answer = answer(&models(&["one", "two", "three"]), Some(&provider), ask("x")).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.agent.as_str()), ("here you are", "three/m"));
    assert_eq!(answer.usage, used(20, 10, 3), "what the others cost is counted");
    let [first, second] = answer.passed_over.as_slice() else { panic!("{:?}", answer.passed_over) };
    assert!(first.starts_with("one/m: one (") && first.contains("404: no such model"), "{first}");
    assert!(second.starts_with("two/m: ") && second.contains("m refused: I would rather not"), "{second}");
}

#[tokio::test]
async fn a_failure_that_may_pass_is_the_attempt_loops_until_the_last_try() {
    let provider = Provider::start();
    provider.in_turn([
        Script::error(529, "overloaded_error", "busy"),
        Script::error(529, "overloaded_error", "busy"),
    ]);
    let both = models(&["one", "two"]);
    let failure = answer(&both, Some(&provider), ask("x")).await.unwrap_err();
    assert!(failure.is_transient() && !failure.is_rate_limited(), "{failure}");
    assert_eq!((failure.kind, failure.agent.as_str()), (Kind::Model(Class::Overloaded), "one/m"));
    let last = answer(&both, Some(&provider), Ask { last_try: true, ..ask("x") }).await.unwrap();
    assert_eq!(last.agent, "two/m");
    assert_eq!(provider.count(), 3);
}

#[tokio::test]
async fn when_every_model_fails_each_reason_is_told() {
    let provider = Provider::start();
    provider.in_turn([
        Script::error(400, "invalid_request_error", "bad key"),
        Script::error(404, "e", "no model"),
    ]);
    let failure = answer(&models(&["one", "two"]), Some(&provider), ask("x")).await.unwrap_err();
    assert_eq!((failure.kind, failure.status()), (Kind::Model(Class::NotFound), Status::Failed));
    assert!(
        failure.message.contains("no model") && failure.message.contains("before that: one/m"),
        "{failure}"
    );
    assert!(failure.message.contains("bad key"), "{failure}");
}

#[tokio::test]
async fn a_rate_limit_is_told_apart_with_its_wait() {
    let provider = Provider::start();
    provider.answer(|_| Script::error(429, "rate_limit_error", "slow").header("retry-after", "3"));
    let failure = answer(&models(&["one"]), Some(&provider), ask("x")).await.unwrap_err();
    assert!(failure.is_rate_limited());
    assert_eq!(failure.retry_after, Some(ms(3000)));
    assert_eq!(failure.cause().code, "rate_limited");
}

#[tokio::test]
async fn an_empty_answer_and_a_refusal_have_statuses_of_their_own() {
    let provider = Provider::start();
    provider.in_turn([Script::text(" \n"), Script::text("no").refusal(), Script::text("half").truncated()]);
    let agent = models(&["two"]);
    let mut ends = Vec::new();
    for _ in 0..3 {
        let failure = answer(&agent, Some(&provider), ask("x")).await.unwrap_err();
        ends.push((failure.status(), failure.code(), failure.is_transient(), failure.usage));
    }
    let spent = used(10, 5, 1);
    assert_eq!(
        ends,
        [
            (Status::InvalidOutput, "empty_answer", false, spent),
            (Status::Refused, "refused", false, spent),
            (Status::InvalidOutput, "truncated", false, spent)
        ]
    );
}

#[tokio::test]
async fn a_schema_goes_where_the_provider_takes_it_and_into_the_prompt_where_it_may_not() {
    let provider = Provider::start();
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    for name in ["one", "two", "three"] {
        let ask = Ask { schema: Some(Arc::new(schema.clone())), ..ask("count") };
        answer(&models(&[name]), Some(&provider), ask).await.unwrap();
    }
    let requests = provider.requests();
    assert_eq!(requests[0].json["output_config"]["format"]["type"], json!("json_schema"));
    assert_eq!(requests[1].json["response_format"]["json_schema"]["strict"], json!(true));
    assert_eq!(requests[2].json["text"]["format"]["name"], json!("answer"));
    // Only the compatible server may ignore what it is sent.
    let in_words: Vec<_> = requests.iter().map(|request| request.prompt().contains("JSON Schema")).collect();
    assert_eq!(in_words, [false, true, false]);
}

#[tokio::test]
async fn what_was_wrong_with_earlier_answers_is_said_in_the_conversation() {
    let provider = Provider::start();
    let earlier = vec![
        Earlier { answer: "seven".to_owned(), complaint: "not a number".to_owned() },
        Earlier { answer: " ".to_owned(), complaint: "blank".to_owned() },
    ];
    answer(&models(&["one"]), Some(&provider), Ask { earlier, ..ask("count") }).await.unwrap();
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    let again = |complaint: &str| {
        said(
            "user",
            &format!("That answer was not accepted:\n{complaint}\nAnswer the whole of it again, corrected."),
        )
    };
    assert_eq!(
        provider.requests()[0].json["messages"],
        json!([
            said("user", "count"),
            said("assistant", "seven"),
            again("not a number"),
            said("assistant", "(no answer)"),
            again("blank")
        ])
    );
}

#[tokio::test]
async fn news_of_a_model_is_its_last_line() {
    let provider = Provider::start();
    provider.answer(|_| Script::text("first\nsecond line").pieces(1).pause(ms(1)));
    let providers = IndexMap::from([("one".to_owned(), at(&provider.base_url(), Api::Anthropic))]);
    let heard = Mutex::new(Vec::new());
    let news = |line: &str, tokens: Tokens| heard.lock().unwrap().push((line.to_owned(), tokens));
    agents().of(&models(&["one"]), &providers).answer(ask("x"), &news).await.unwrap();
    assert_eq!(heard.into_inner().unwrap(), [("second line".to_owned(), Tokens(4))]);
}

// Programs.

fn program(argv: &[&str], input: CommandInput, output: CommandOutput) -> plan::Agent {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    agent(plan::AgentKind::Command(plan::CommandAgent::new(argv, input, output)))
}

fn shell(script: &str, output: CommandOutput) -> plan::Agent {
    program(&["sh", "-c", script], CommandInput::Stdin, output)
}

async fn run(agent: &plan::Agent, ask: Ask) -> Result<Answer, Box<Failure>> {
    answer(agent, None, ask).await
}

#[tokio::test]
async fn a_prompt_reaches_a_program_verbatim_by_each_way() {
    let prompt = "$(touch x) `y` \"{{ z }}\"\n\n'é'";
    let ways = [
        (&["cat"][..], CommandInput::Stdin),
        (&["printf", "%s"][..], CommandInput::Arg),
        (&["cat"][..], CommandInput::File),
    ];
    for (argv, input) in ways {
        let answer = run(&program(argv, input, CommandOutput::Text), ask(prompt)).await.unwrap();
        assert_eq!(answer.text, prompt, "{input:?}");
        assert_eq!((answer.agent.as_str(), answer.exit, answer.usage), (argv[0], Some(0), Usage::default()));
    }
}

#[tokio::test]
async fn a_prompt_file_is_gone_when_the_program_has_ended() {
    let agent = program(&["sh", "-c", "echo \"$1\"", "sh"], CommandInput::File, CommandOutput::Text);
    let path = run(&agent, ask("x")).await.unwrap().text;
    assert!(path.contains("fanout-prompt-") && !Path::new(&path).exists(), "{path}");
}

#[tokio::test]
async fn a_prompt_that_looks_like_an_option_is_none() {
    let agent = program(&["printf", "%s"], CommandInput::Arg, CommandOutput::Text);
    assert_eq!(run(&agent, ask("--version")).await.unwrap().text, " --version");
}

#[tokio::test]
async fn a_program_sees_the_listed_variables_and_those_of_the_call() {
    let ask = Ask { env: vec![("MINE".to_owned(), "yes".to_owned())], ..ask("x") };
    let names = run(&shell("env | cut -d= -f1 | sort", CommandOutput::Text), ask).await.unwrap().text;
    let by_the_shell = ["TERM", "MINE", "PWD", "OLDPWD", "SHLVL", "_"];
    let patterns = ["LC_", "XDG_", "FANOUT_"];
    let listed = |name: &str| {
        by_the_shell.contains(&name)
            || plan::COMMON_VARIABLES.contains(&name)
            || patterns.iter().any(|start| name.starts_with(start))
    };
    let other: Vec<_> = names.lines().filter(|name| !listed(name)).collect();
    assert!(other.is_empty() && names.contains("MINE"), "{other:?} of {names}");
    let term = run(&shell("echo $TERM", CommandOutput::Text), self::ask("x")).await.unwrap().text;
    assert_eq!(term, "dumb");
}

#[tokio::test]
async fn a_program_gets_schema_and_earlier_answers_in_its_prompt() {
    let ask = Ask {
        schema: Some(Arc::new(json!({"type": "object"}))),
        earlier: vec![Earlier { answer: "[]\n".to_owned(), complaint: "not an object".to_owned() }],
        ..ask("Count.")
    };
    let prompt = run(&program(&["cat"], CommandInput::Stdin, CommandOutput::Text), ask).await.unwrap().text;
    assert!(prompt.starts_with("Count.\n\nAnswer with one JSON value"), "{prompt}");
    assert!(
        prompt.contains("<answer>\n[]\n</answer>\nThat answer was not accepted:\nnot an object\n"),
        "{prompt}"
    );
}

#[tokio::test]
async fn json_and_json_lines_are_read() {
    let json = shell(
        r#"echo '{"result": "a", "usage": {"input_tokens": 3, "output_tokens": 2}}'"#,
        CommandOutput::Json,
    );
    let answer = run(&json, ask("x")).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.usage), ("a", used(3, 2, 0)));
    let lines = shell(r#"echo '{"text": "a"}'; echo noise; echo '{"text": "b"}'"#, CommandOutput::JsonLines);
    assert_eq!(run(&lines, ask("x")).await.unwrap().text, "b");
}

#[tokio::test]
async fn every_way_a_program_can_fail_is_told_apart() {
    let cases = [
        ("echo out; echo err >&2; exit 3", CommandOutput::Text, Status::Failed, "exit_status", Some(3)),
        ("kill -SEGV $$", CommandOutput::Text, Status::Failed, "signal", Some(139)),
        ("true", CommandOutput::Text, Status::InvalidOutput, "empty_answer", Some(0)),
        ("echo hello", CommandOutput::Json, Status::InvalidOutput, "unreadable_output", Some(0)),
        ("echo hello", CommandOutput::JsonLines, Status::InvalidOutput, "unreadable_output", Some(0)),
        (
            r#"echo '{"is_error":true,"result":"401"}'"#,
            CommandOutput::Json,
            Status::Failed,
            "agent_failed",
            Some(0),
        ),
        (
            r#"echo '{"blocked":"Which branch?"}'; exit 1"#,
            CommandOutput::JsonLines,
            Status::Blocked,
            "blocked",
            Some(1),
        ),
    ];
    for (script, output, status, code, exit) in cases {
        let failure = run(&shell(script, output), ask("x")).await.unwrap_err();
        assert_eq!(
            (failure.status(), failure.code(), failure.exit),
            (status, code, exit),
            "{script}: {failure}"
        );
        assert!(!failure.is_transient(), "{script}");
    }
    let failure = run(&shell(cases[0].0, CommandOutput::Text), ask("x")).await.unwrap_err();
    assert_eq!((failure.partial.as_str(), failure.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(failure.message, "`sh` ended with exit status 3");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let agent = program(&["no-such-program-anywhere"], CommandInput::Stdin, CommandOutput::Text);
    let failure = run(&agent, ask("x")).await.unwrap_err();
    assert_eq!((failure.status(), failure.is_transient()), (Status::Failed, false));
    assert!(failure.message.contains("`no-such-program-anywhere` was not found"), "{failure}");
}

#[tokio::test]
async fn a_program_that_is_late_or_silent_is_ended() {
    let sleeper = shell("echo begun; exec sleep 600", CommandOutput::Text);
    let late = run(&sleeper, Ask { deadline: Instant::now() + ms(100), ..ask("x") }).await.unwrap_err();
    assert_eq!((late.status(), late.code()), (Status::TimedOut, "timeout"));
    let silent = run(&sleeper, Ask { idle_timeout: Some(ms(100)), ..ask("x") }).await.unwrap_err();
    assert_eq!((silent.status(), silent.code()), (Status::TimedOut, "idle_timeout"));
    assert_eq!(silent.partial, "begun\n");
}

#[tokio::test]
async fn news_of_a_program_is_its_last_line() {
    let heard = Mutex::new(Vec::new());
    let news = |line: &str, tokens: Tokens| heard.lock().unwrap().push((line.to_owned(), tokens));
    let agent = shell("printf 'first\\n second \\n\\n'", CommandOutput::Text);
    let (agents, providers) = (agents(), IndexMap::new());
    agents.of(&agent, &providers).answer(ask("x"), &news).await.unwrap();
    assert_eq!(heard.into_inner().unwrap(), [("second".to_owned(), Tokens(0))]);
}
