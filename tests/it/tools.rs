//! Agents that work: tools, background jobs and subagents, with the real program and a scripted server.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::provider::{Provider, Request, Script};
use crate::support::{Folder, Ran, outcomes, parse_lines};

/// A plan whose agent has these tools.
fn plan(api: &str, provider: &Provider, tools: &str, rest: &str) -> String {
    let base = provider.base_url();
    format!(
        "providers: {{ lab: {{ api: {api}, base_url: '{base}', api_key_env: LAB_KEY }} }}\n\
         agents:\n  worker: {{ model: lab/tiny, tools: {tools} }}\n  helper: {{ model: lab/tiny, tools: {tools}, description: Helps. }}\n\
         defaults: {{ agent: worker, timeout: 60s }}\n{rest}"
    )
}

fn run(folder: &Folder, args: &[&str]) -> (Vec<Value>, Ran) {
    let mut all = vec!["run", "plan.yaml", "--json"];
    all.extend_from_slice(args);
    let ran = folder.run_with(&[("LAB_KEY", "sk-x"), ("NO_PROXY", "127.0.0.1")], &all);
    (parse_lines(&ran.out), ran)
}

fn output(events: &[Value], instance: &str) -> Value {
    outcomes(events).get(instance).map(|outcome| outcome["output"]["text"].clone()).unwrap_or_default()
}

/// How many answers the conversation of a request already holds.
fn answers(request: &Request) -> usize {
    let is_answer = |message: &&Value| {
        message["role"] == "assistant" || message["role"] == "model" || message["type"] == "function_call"
    };
    let list = ["messages", "input", "contents"].iter().find_map(|key| request.json[*key].as_array());
    list.map_or(0, |list| list.iter().filter(is_answer).count())
}

/// A pipe in the folder: what reads it goes on when it is opened.
fn gate(folder: &Folder) -> PathBuf {
    let gate = folder.path().join("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    gate
}

fn open(gate: &Path) {
    // Waits for the reader, which is on its way.
    drop(std::fs::OpenOptions::new().write(true).open(gate).unwrap());
}

#[test]
fn a_whole_conversation_with_tools_in_every_dialect_with_calls_that_need_each_other_to_end() {
    for api in ["anthropic", "openai-chat", "openai-responses", "gemini"] {
        let provider = Provider::start();
        // Each of the two waits for the other: made in turn, neither would ever end.
        let left = json!({"command": "echo from-left > a; cat b"});
        let right = json!({"command": "cat a; echo from-right > b"});
        provider.in_turn([
            Script::text("I look.").call("bash", &json!({"command": "mkfifo a b"})),
            Script::text("").call("bash", &left).call("bash", &right).call("no_such_tool", &json!({})),
            Script::text("").call_with("read", "{\"path\":"),
            Script::text("").call("read", &json!({"path": "note.txt"})),
            Script::text("All done."),
        ]);
        let rest = "calls: { work: { prompt: Work. } }";
        let folder = Folder::with_plan(&plan(api, &provider, "[bash, read]", rest));
        folder.write("note.txt", "the note");
        let (events, ran) = run(&folder, &[]);
        assert_eq!(ran.code, 0, "{api}: {}\n{}", ran.out, ran.err);
        assert_eq!(output(&events, "work"), json!("All done."), "{api}");
        let prompts: Vec<String> = provider.requests().iter().map(Request::prompt).collect();
        assert_eq!(prompts.len(), 5, "{api}");
        assert!(
            prompts[2].contains("from-left") && prompts[2].contains("from-right"),
            "{api}: {}",
            prompts[2]
        );
        assert!(
            prompts[2].contains("there is no tool `no_such_tool`; the tools are bash, read"),
            "{api}: {}",
            prompts[2]
        );
        assert!(prompts[3].contains("the arguments are not"), "{api}: {}", prompts[3]);
        assert!(prompts[4].contains("the note"), "{api}: {}", prompts[4]);
    }
}

#[test]
fn the_end_of_a_background_job_is_told_once_also_when_the_request_that_told_it_had_to_be_retried() {
    let provider = Provider::start();
    let rest = "calls: { work: { prompt: Build. } }";
    let folder = Folder::with_plan(&plan("anthropic", &provider, "[background_run, check_background]", rest));
    let gate = gate(&folder);
    let command = "cat gate; echo built; echo '</background-results>'";
    let scripts = Mutex::new(VecDeque::from([
        Script::text("").call("background_run", &json!({"command": command})),
        Script::text("Nothing else to do."),
        Script::error(529, "overloaded_error", "later"),
        Script::text("").call("check_background", &json!({"id": "bg-1"})),
        Script::text("It is built."),
    ]));
    provider.answer(move |request| {
        // The job goes on once a request that cannot know its end has come.
        if answers(request) == 1 {
            open(&gate);
        }
        scripts.lock().unwrap().pop_front().unwrap()
    });
    let (events, ran) = run(&folder, &[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(output(&events, "work"), json!("It is built."));
    let requests = provider.requests();
    let told: Vec<usize> =
        requests.iter().map(|one| one.prompt().matches("<background-results>").count()).collect();
    assert_eq!(
        told,
        [0, 0, 1, 1, 1],
        "told in the request that failed, in the one that took its place, and never anew"
    );
    assert!(requests[3].prompt().contains("\n    </background-results>\n"), "{}", requests[3].prompt());
    assert_eq!(requests[2].json["messages"], requests[3].json["messages"]);
    let ends: Vec<&Value> = events.iter().filter(|event| event["type"] == "job_ended").collect();
    assert_eq!((ends.len(), &ends[0]["status"]), (1, &json!("completed")));
    let told = events
        .iter()
        .filter(|event| event["type"] == "model_answered" && event["answer"]["jobs"] == json!([1]));
    assert_eq!(told.count(), 1, "delivered once");
    let usage = &outcomes(&events)["work"]["usage"];
    assert_eq!(usage["requests"], json!(5), "each request is counted once: {usage}");
}

#[test]
fn a_job_that_outlasts_its_agent_ends_with_it_and_the_agent_is_told_before() {
    let provider = Provider::start();
    provider.in_turn([
        Script::text("").call("background_run", &json!({"command": "sleep 600"})),
        Script::text("I wait."),
        Script::text("It was not done in time."),
    ]);
    let rest = "calls: { work: { prompt: Build., timeout: 6s } }";
    let folder = Folder::with_plan(&plan("anthropic", &provider, "[background_run]", rest));
    let (events, ran) = run(&folder, &[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(output(&events, "work"), json!("It was not done in time."));
    assert!(
        provider.requests()[2].prompt().contains("bg-1 sleep 600"),
        "{}",
        provider.requests()[2].prompt()
    );
}

#[test]
fn a_subagent_in_the_background_and_a_job_of_its_own_are_each_told_once_over_retried_requests() {
    let provider = Provider::start();
    let rest = "calls: { work: { prompt: Build. } }";
    let folder = Folder::with_plan(&plan("anthropic", &provider, "[agent, background_run]", rest));
    let gate = gate(&folder);
    let wanted = json!({
        "subagent_type": "helper", "description": "Helps", "prompt": "Help with it.", "run_in_background": true,
    });
    let busy = || Script::error(529, "overloaded_error", "later");
    let scripts = Mutex::new([
        VecDeque::from([
            Script::text("").call("agent", &wanted),
            Script::text("Nothing else to do."),
            busy(),
            Script::text("It is built."),
        ]),
        VecDeque::from([
            Script::text("").call("background_run", &json!({"command": "cat gate; echo built"})),
            Script::text("It is being built."),
            busy(),
            Script::text("Helped."),
        ]),
    ]);
    let helps = |request: &Request| request.prompt().contains("Help with it.");
    provider.answer(move |request| {
        let whose = usize::from(helps(request));
        if whose == 1 && answers(request) == 1 {
            open(&gate);
        }
        scripts.lock().unwrap()[whose].pop_front().unwrap()
    });
    let (events, ran) = run(&folder, &[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(output(&events, "work"), json!("It is built."));
    let requests = provider.requests();
    for (helper, end) in [(false, "Helped."), (true, "built")] {
        let own: Vec<&Request> = requests.iter().filter(|request| helps(request) == helper).collect();
        let told: Vec<usize> =
            own.iter().map(|one| one.prompt().matches("<background-results>").count()).collect();
        assert_eq!(told, [0, 0, 1, 1], "helper: {helper}");
        assert!(own[3].prompt().contains(end), "helper: {helper}: {}", own[3].prompt());
        assert_eq!(own[2].json["messages"], own[3].json["messages"]);
    }
}

#[test]
fn a_background_command_that_failed_is_not_told_as_completed_and_one_that_is_not_allowed_never_starts() {
    let provider = Provider::start();
    let rest = "calls: { work: { prompt: Build. } }";
    let tools = "[background_run, 'bash(sh fail.sh)']";
    let folder = Folder::with_plan(&plan("anthropic", &provider, tools, rest));
    folder.write("fail.sh", "cat gate; echo broken; exit 3");
    let gate = gate(&folder);
    provider.answer(move |request| match answers(request) {
        0 => Script::text("")
            .call("background_run", &json!({"command": "sh fail.sh"}))
            .call("background_run", &json!({"command": "rm -rf x"})),
        1 => {
            open(&gate);
            Script::text("I wait.")
        }
        _ => Script::text("ok"),
    });
    let (_, ran) = run(&folder, &[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    let requests = provider.requests();
    let results = &requests[1].json["messages"][2]["content"];
    assert_eq!((&results[0]["is_error"], &results[1]["is_error"]), (&Value::Null, &json!(true)), "{results}");
    let told = requests[2].prompt();
    assert!(told.contains("[bg-1] failed after") && told.contains("    broken"), "{told}");
}

#[test]
fn two_subagents_of_one_message_overlap() {
    let provider = Provider::start();
    provider.answer(|request| {
        let prompt = request.prompt();
        match (prompt.contains("Left task"), prompt.contains("Right task"), answers(request)) {
            (false, false, 0) => Script::text("")
                .call(
                    "agent",
                    &json!({"subagent_type": "helper", "description": "left", "prompt": "Left task"}),
                )
                .call("agent", &json!({"description": "right", "prompt": "Right task"})),
            (true, false, 0) => Script::text("").call("bash", &json!({"command": "echo l > a; cat b"})),
            (false, true, 0) => Script::text("").call("bash", &json!({"command": "cat a; echo r > b"})),
            (true, false, _) => Script::text("left is done"),
            (false, true, _) => Script::text("right is done"),
            (false, false, _) | (true, true, _) => Script::text("both are done"),
        }
    });
    let rest = "calls: { work: { prompt: Share it. } }";
    let folder = Folder::with_plan(&plan("anthropic", &provider, "[bash, agent]", rest));
    let status = std::process::Command::new("mkfifo")
        .args([folder.path().join("a"), folder.path().join("b")])
        .status();
    assert!(status.unwrap().success());
    let (events, ran) = run(&folder, &[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    let last = provider.requests().last().unwrap().prompt();
    assert!(last.contains("left is done") && last.contains("right is done"), "{last}");
    assert_eq!(output(&events, "work.helper-1"), json!("left is done"));
    assert_eq!(output(&events, "work.agent-2"), json!("right is done"));
    let planned: Vec<&Value> = events.iter().filter(|event| event["type"] == "subagent_planned").collect();
    assert_eq!((planned.len(), &planned[0]["call"]["description"]), (2, &json!("left")));
}

#[test]
fn subagents_down_to_the_depth_work_with_one_place_and_deeper_ones_are_refused() {
    let provider = Provider::start();
    provider.answer(|request| {
        let prompt = request.prompt();
        let depth =
            ["level one", "level two", "level three"].iter().rposition(|level| prompt.contains(level));
        let next = |name: &str| Script::text("").call("agent", &json!({"description": name, "prompt": name}));
        match (depth, answers(request)) {
            (None, 0) => next("level one"),
            (Some(0), 0) => next("level two"),
            (Some(1), 0) => next("level three"),
            (_, _) => Script::text(prompt.lines().last().unwrap_or_default().to_owned()),
        }
    });
    let rest = "limits: { concurrency: 1, depth: 2 }\ncalls: { work: { prompt: Go down. } }";
    let folder = Folder::with_plan(&plan("openai-chat", &provider, "[agent]", rest));
    let (events, ran) = run(&folder, &[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(provider.count(), 6, "three conversations of two requests");
    let told = output(&events, "work");
    assert!(told.as_str().unwrap().contains("`limits.depth: 2`"), "{told}");
}

#[test]
fn subagents_count_under_the_limit_of_calls() {
    let provider = Provider::start();
    provider.in_turn([
        Script::text("").call("agent", &json!({"description": "x", "prompt": "one"})),
        Script::text("so be it"),
    ]);
    let rest = "limits: { calls: 1 }\ncalls: { work: { prompt: Share. } }";
    let folder = Folder::with_plan(&plan("anthropic", &provider, "[agent]", rest));
    let (events, ran) = run(&folder, &[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(output(&events, "work"), json!("so be it"));
    assert!(provider.requests()[1].prompt().contains("limits.calls"), "{}", provider.requests()[1].prompt());
}

#[test]
fn a_conversation_without_end_is_stopped_at_max_turns_and_goes_on_from_there() {
    let provider = Provider::start();
    provider.answer(|request| match answers(request) {
        0..=3 => Script::text("").call("list", &json!({})),
        _ => Script::text("enough"),
    });
    let text = plan("anthropic", &provider, "[list]", "calls: { work: { prompt: Look. } }");
    let folder = Folder::with_plan(
        &text.replace("tools: [list] }\n  helper", "tools: [list], max_turns: 2 }\n  helper"),
    );
    let (events, ran) = run(&folder, &[]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    let cause = &outcomes(&events)["work"]["cause"];
    assert_eq!(cause["code"], json!("max_turns"));
    assert!(cause["message"].as_str().unwrap().contains("after 2 turns (`max_turns`)"), "{cause}");
    folder.write("plan.yaml", &text);
    folder.run_with(&[("LAB_KEY", "sk-x"), ("NO_PROXY", "127.0.0.1")], &["resume", "-q"]).expect_code(0);
    assert_eq!(provider.count(), 5, "the first two requests were not made again");
}

#[test]
fn writes_to_one_file_in_one_message_are_made_in_their_order() {
    let provider = Provider::start();
    let mut first = Script::text("");
    for n in 0..20 {
        first = first.call("write", &json!({"path": "n.txt", "content": n.to_string()}));
    }
    provider.in_turn([first, Script::text("written")]);
    let folder =
        Folder::with_plan(&plan("anthropic", &provider, "[write]", "calls: { work: { prompt: Write. } }"));
    let (_, ran) = run(&folder, &[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(folder.read("n.txt"), "19");
}

#[test]
fn an_agents_commands_are_confined_unless_the_person_says_otherwise() {
    let outside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let there = outside.path().join("there");
    let command = format!("echo in > inside; echo out > {}; echo $LAB_KEY tried", there.display());
    for (options, confined) in [(&[][..], true), (&["--no-sandbox"][..], false)] {
        let provider = Provider::start();
        provider
            .in_turn([Script::text("").call("bash", &json!({"command": command})), Script::text("I tried.")]);
        let rest = "calls: { work: { prompt: Work. } }";
        let folder = Folder::with_plan(&plan("anthropic", &provider, "[bash]", rest));
        let (events, ran) = run(&folder, options);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(output(&events, "work"), "I tried.");
        assert_eq!(folder.read("inside"), "in\n", "its workspace is its own");
        assert_eq!(there.exists(), !confined, "{options:?}");
        let told = String::from_utf8(provider.requests()[1].body.clone()).unwrap();
        assert!(told.contains("tried") && !told.contains("sk-x"), "no key reaches a command: {told}");
    }
}
