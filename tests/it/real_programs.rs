//! The real command-line agents, driven by a plan, against a scripted provider on loopback.
//!
//! They are looked for in `FANOUT_TEST_PROGRAMS`, in `target/setup/programs/node_modules/.bin`
//! (`tests/setup/run` puts them there) and in `PATH`. Without them nothing is shown, and
//! that is said.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::provider::{Provider, Script};
use crate::support::{Folder, outcomes, parse_lines, repository};

/// The folder that a program is in; says so where it is nowhere.
fn place(program: &str) -> Option<PathBuf> {
    let named = std::env::var_os("FANOUT_TEST_PROGRAMS").map(PathBuf::from);
    let ours = repository().join("target/setup/programs/node_modules/.bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = named.into_iter().chain([ours]).chain(std::env::split_paths(&path));
    let found = folders.find(|folder| folder.join(program).is_file());
    if found.is_none() {
        // Past the capture of tests: a test that shows nothing is not to look like one that does.
        let message = format!("SKIPPED: `{program}` is not installed; run tests/setup/run\n");
        let _ = std::io::stderr().write_all(message.as_bytes());
    }
    found
}

/// A folder with the plan, and the surroundings in which the programs find nothing but the provider.
fn surroundings(folder: &Folder, places: &[PathBuf], provider: &Provider) -> Vec<(String, String)> {
    let home = folder.path().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let home = home.to_string_lossy().into_owned();
    let own = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let path = std::env::join_paths(places.iter().chain(&own)).unwrap().into_string().unwrap();
    let pairs = [
        ("PATH", path),
        ("HOME", home.clone()),
        ("CODEX_HOME", home.clone()),
        ("CLAUDE_CONFIG_DIR", home.clone()),
        ("XDG_CONFIG_HOME", format!("{home}/config")),
        ("XDG_DATA_HOME", format!("{home}/data")),
        ("ANTHROPIC_BASE_URL", format!("http://{}", provider.host())),
        ("ANTHROPIC_API_KEY", "sk-scripted".to_owned()),
        ("CLAUDE_CODE_MAX_RETRIES", "0".to_owned()),
        ("OPENAI_API_KEY", "sk-scripted".to_owned()),
        ("GEMINI_API_KEY", "sk-scripted".to_owned()),
        ("GOOGLE_GEMINI_BASE_URL", format!("http://{}", provider.host())),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn run(folder: &Folder, surroundings: &[(String, String)], code: i32) -> Vec<Value> {
    let pairs: Vec<(&str, &str)> = surroundings.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    parse_lines(&folder.run_with(&pairs, &["run", "plan.yaml", "--json"]).expect_code(code).out)
}

/// What makes codex talk to the provider.
fn codex(provider: &Provider) -> String {
    let settings = [
        "model_provider=scripted".to_owned(),
        "model_providers.scripted.name=scripted".to_owned(),
        format!("model_providers.scripted.base_url=\"{}\"", provider.base_url()),
        "model_providers.scripted.env_key=\"OPENAI_API_KEY\"".to_owned(),
        "model_providers.scripted.wire_api=\"responses\"".to_owned(),
        "model_providers.scripted.request_max_retries=0".to_owned(),
        "model_providers.scripted.stream_max_retries=0".to_owned(),
    ];
    let args: Vec<String> = settings.iter().flat_map(|it| ["-c".to_owned(), it.clone()]).collect();
    serde_json::to_string(&args).unwrap()
}

#[test]
fn claude_and_codex_work_side_by_side_and_their_answers_are_compared() {
    let (Some(claude), Some(codex_place)) = (place("claude"), place("codex")) else { return };
    let provider = Provider::start();
    provider.answer(|request| {
        let answer = if request.path.contains("messages") { "It is 42." } else { "It is 42!" };
        Script::text(answer).usage(111, 7)
    });
    let folder = Folder::with_plan(&format!(
        "agents:\n  claude: {{ command: claude, model: claude-sonnet-5, args: [--bare] }}\n  codex: {{ command: codex, model: gpt-5.1, args: {} }}\n\
         defaults: {{ timeout: 2m, retries: 0 }}\n\
         calls:\n  one: {{ prompt: What is the answer?, agent: claude }}\n  two: {{ prompt: What is the answer?, agent: codex }}\n\
         reconcile: {{ strategy: compare, of: [one, two] }}\n",
        codex(&provider)
    ));
    let events = run(&folder, &surroundings(&folder, &[claude, codex_place], &provider), 0);
    let outcomes = outcomes(&events);
    let said = |call: &str| outcomes[call]["output"]["text"].as_str().unwrap().to_owned();
    assert_eq!((said("one"), said("two")), ("It is 42.".to_owned(), "It is 42!".to_owned()));
    assert_eq!(outcomes["one"]["usage"]["output"], 7);
    assert_eq!(outcomes["two"]["usage"]["output"], 7);
    assert!(outcomes["one"]["usage"]["cost"].is_number() && outcomes["two"]["usage"]["cost"].is_null());
    // They work at once: the second starts before the first ends.
    let at = |kind: &str, call: &str| crate::support::position(&events, kind, call);
    assert!(at("call_started", "two") < at("call_finished", "one"));
    // The keys that they were given are their own.
    for request in provider.requests().iter().filter(|request| request.method == "POST") {
        let key = request.header("x-api-key").or(request.header("authorization")).unwrap_or_default();
        assert!(key.ends_with("sk-scripted"), "{}", request.path);
    }
}

#[test]
fn a_wrong_key_is_told_as_such_by_each_of_them() {
    let (Some(claude), Some(codex_place)) = (place("claude"), place("codex")) else { return };
    let provider = Provider::start();
    provider.answer(|_| Script::error(401, "authentication_error", "invalid x-api-key"));
    let folder = Folder::with_plan(&format!(
        "agents:\n  claude: {{ command: claude, model: claude-sonnet-5, args: [--bare] }}\n  codex: {{ command: codex, model: gpt-5.1, args: {} }}\n\
         defaults: {{ timeout: 2m, retries: 0 }}\n\
         calls:\n  one: {{ prompt: What is the answer?, agent: claude }}\n  two: {{ prompt: What is the answer?, agent: codex }}\n",
        codex(&provider)
    ));
    let outcomes = outcomes(&run(&folder, &surroundings(&folder, &[claude, codex_place], &provider), 1));
    for call in ["one", "two"] {
        let outcome = &outcomes[call];
        assert_eq!(
            (&outcome["status"], &outcome["cause"]["code"]),
            (&"failed".into(), &"unauthorized".into()),
            "{outcome}"
        );
    }
}

/// Runs a conversation of two calls and looks whether the program told its model all of it.
fn converses(agent: &str, places: &[PathBuf], provider: &Provider, more: &[(&str, String)]) {
    provider.answer(|_| Script::text("It is 42.").usage(111, 7));
    let folder = Folder::with_plan(&format!(
        "agents:\n  it: {agent}\ndefaults: {{ agent: it, timeout: 2m, retries: 0, session: s }}\n\
         calls:\n  one: {{ prompt: Remember the number 4711. }}\n  two: {{ prompt: Which number was it? }}\n  \
         three: {{ prompt: And once more? }}\n"
    ));
    let key = r#"{"security": {"auth": {"selectedType": "gemini-api-key"}}}"#;
    folder.write("home/.gemini/settings.json", key);
    let mut around = surroundings(&folder, places, provider);
    around.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let outcomes = outcomes(&run(&folder, &around, 0));
    let asked = provider.requests();
    let last = asked.iter().rfind(|request| request.prompt().contains("And once more?"));
    let last = last.unwrap_or_else(|| panic!("{agent}: it was not asked")).prompt();
    for text in ["Remember the number 4711.", "Which number was it?"] {
        assert!(last.contains(text), "{agent}: «{text}» is not in\n{last}");
    }
    for call in ["one", "two", "three"] {
        assert_eq!(outcomes[call]["usage"]["output"], 7, "{agent}: {call}: {}", outcomes[call]["usage"]);
    }
}

#[test]
fn claude_goes_on_with_its_conversation_and_its_usage_is_that_of_each_call() {
    let Some(claude) = place("claude") else { return };
    let agent = "{ command: claude, model: claude-sonnet-5, args: [--bare] }";
    converses(agent, &[claude], &Provider::start(), &[]);
}

#[test]
fn codex_goes_on_with_its_conversation_and_its_usage_is_that_of_each_call() {
    let Some(place) = place("codex") else { return };
    let provider = Provider::start();
    let agent = format!("{{ command: codex, model: gpt-5.1, args: {} }}", codex(&provider));
    converses(&agent, &[place], &provider, &[]);
}

#[test]
fn opencode_goes_on_with_its_conversation_and_its_usage_is_that_of_each_call() {
    let Some(opencode) = place("opencode") else { return };
    let provider = Provider::start();
    let settings = scripted_for_opencode(&provider);
    converses(
        "{ command: opencode, model: scripted/m }",
        &[opencode],
        &provider,
        &[("OPENCODE_CONFIG_CONTENT", settings)],
    );
}

#[test]
fn gemini_goes_on_with_its_conversation_and_its_usage_is_that_of_each_call() {
    let Some(gemini) = place("gemini") else { return };
    converses("{ command: gemini, model: gemini-2.5-flash }", &[gemini], &Provider::start(), &[]);
}

/// Runs a call whose model asks for these tools once, and says which of the files are there then.
fn lets(
    agent: &str,
    (places, provider): (&[PathBuf], &Provider),
    asks: &[(&str, Value)],
    more: &[(&str, String)],
) -> [bool; 4] {
    let folder = Folder::new();
    let inside = folder.path().join("work");
    folder.write(
        "work/plan.yaml",
        &format!(
            "agents:\n  it: {agent}\ndefaults: {{ agent: it, timeout: 2m, retries: 0 }}\n\
             calls: {{ one: {{ prompt: Do it. }} }}\n"
        ),
    );
    folder
        .write("home/.gemini/settings.json", r#"{"security": {"auth": {"selectedType": "gemini-api-key"}}}"#);
    let asks: Vec<(String, Value)> = asks
        .iter()
        .map(|(name, input)| {
            let text = input.to_string().replace("IN/", &format!("{}/", inside.display()));
            let text = text.replace("OUT/", &format!("{}/", folder.path().display()));
            ((*name).to_owned(), serde_json::from_str(&text).unwrap())
        })
        .collect();
    provider.answer(move |request| {
        let answered = ["tool_result", "function_call_output", "functionResponse", "\"role\":\"tool\""];
        let body = String::from_utf8_lossy(&request.body);
        if answered.iter().any(|word| body.contains(word)) {
            return Script::text("done");
        }
        asks.iter().fold(Script::text(""), |script, (name, input)| script.call(name, input))
    });
    let mut around = surroundings(&folder, places, provider);
    around.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let pairs: Vec<(&str, &str)> = around.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let plan = inside.join("plan.yaml");
    let ran = folder.run_with(&pairs, &["run", plan.to_str().unwrap(), "--json"]);
    let outcome = outcomes(&parse_lines(&ran.out)).remove("one").unwrap();
    assert_eq!(outcome["output"]["text"], "done", "{agent}: {outcome}");
    let there = |path: &str| folder.path().join(path).exists();
    [there("work/written"), there("outside"), there("work/allowed"), there("work/forbidden")]
}

/// A program may write beneath its folder and run one command, as `tools` say, and nothing else.
const GRANTED: &str = "tools: [read, write, edit, 'bash(touch allowed *)'], denied: continue";

#[test]
fn claude_has_the_tools_that_it_is_granted() {
    let Some(claude) = place("claude") else { return };
    let asks = [
        ("Write", json!({"file_path": "IN/written", "content": "x"})),
        ("Write", json!({"file_path": "OUT/outside", "content": "x"})),
        ("Bash", json!({"command": "touch allowed too"})),
        ("Bash", json!({"command": "touch forbidden"})),
    ];
    let at = (&[claude][..], &Provider::start());
    let agent = format!("{{ command: claude, model: claude-sonnet-5, {GRANTED} }}");
    assert_eq!(lets(&agent, at, &asks, &[]), [true, false, true, false]);
    let agent = "{ command: claude, model: claude-sonnet-5, denied: continue }";
    assert_eq!(lets(agent, at, &asks, &[]), [false; 4], "it may look, where nothing is said");
}

#[test]
fn gemini_has_the_tools_that_it_is_granted() {
    let Some(gemini) = place("gemini") else { return };
    let asks = [
        ("write_file", json!({"file_path": "IN/written", "content": "x"})),
        ("write_file", json!({"file_path": "OUT/outside", "content": "x"})),
        ("run_shell_command", json!({"command": "touch allowed too"})),
        ("run_shell_command", json!({"command": "touch forbidden"})),
    ];
    let at = (&[gemini][..], &Provider::start());
    let agent = format!("{{ command: gemini, model: gemini-2.5-flash, {GRANTED} }}");
    assert_eq!(lets(&agent, at, &asks, &[]), [true, false, true, false]);
    let agent = "{ command: gemini, model: gemini-2.5-flash, denied: continue }";
    assert_eq!(lets(agent, at, &asks, &[]), [false; 4], "it may look, where nothing is said");
}

#[test]
fn opencode_has_the_tools_that_it_is_granted() {
    let Some(opencode) = place("opencode") else { return };
    let asks = [
        ("write", json!({"filePath": "IN/written", "content": "x"})),
        ("write", json!({"filePath": "OUT/outside", "content": "x"})),
        ("bash", json!({"command": "touch allowed too", "description": "x"})),
        ("bash", json!({"command": "touch forbidden", "description": "x"})),
    ];
    let provider = Provider::start();
    let settings = [("OPENCODE_CONFIG_CONTENT", scripted_for_opencode(&provider))];
    let at = (&[opencode][..], &provider);
    let agent = format!("{{ command: opencode, model: scripted/m, {GRANTED} }}");
    assert_eq!(lets(&agent, at, &asks, &settings), [true, false, true, false]);
    let agent = "{ command: opencode, model: scripted/m, denied: continue }";
    assert_eq!(lets(agent, at, &asks, &settings), [false; 4], "it may look, where nothing is said");
}

#[test]
fn codex_writes_where_it_works_or_nowhere() {
    let Some(place) = place("codex") else { return };
    let provider = Provider::start();
    let command = "touch IN/written; touch /usr/outside-of-codex; echo";
    let asks = [("exec_command", json!({"cmd": command}))];
    for (tools, writes) in [("[read, write, edit, bash]", true), ("[read]", false)] {
        let agent =
            format!("{{ command: codex, model: gpt-5.1, tools: {tools}, args: {} }}", codex(&provider));
        let made = lets(&agent, (std::slice::from_ref(&place), &provider), &asks, &[]);
        assert_eq!(made, [writes, false, false, false], "{tools}");
        assert!(!std::path::Path::new("/usr/outside-of-codex").exists());
    }
}

/// What makes opencode talk to the provider.
fn scripted_for_opencode(provider: &Provider) -> String {
    let settings = serde_json::json!({
        "provider": {"scripted": {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": provider.base_url(), "apiKey": "sk-scripted"},
            "models": {"m": {}},
        }},
    });
    settings.to_string()
}

#[test]
fn opencode_answers_through_its_adapter() {
    let Some(opencode) = place("opencode") else { return };
    let provider = Provider::start();
    provider.answer(|_| Script::text("It is 42.").usage(111, 7));
    let folder = Folder::with_plan(
        "agents:\n  it: { command: opencode, model: scripted/m }\n\
         calls:\n  one: { prompt: What is the answer?, agent: it, timeout: 2m, retries: 0 }\n",
    );
    let mut around = surroundings(&folder, &[opencode], &provider);
    around.push(("OPENCODE_CONFIG_CONTENT".to_owned(), scripted_for_opencode(&provider)));
    let outcomes = outcomes(&run(&folder, &around, 0));
    assert_eq!(outcomes["one"]["output"]["text"], "It is 42.", "{}", outcomes["one"]);
}

#[test]
fn gemini_answers_through_its_adapter() {
    let Some(gemini) = place("gemini") else { return };
    let provider = Provider::start();
    provider.answer(|_| Script::text("It is 42.").usage(111, 7));
    let folder = Folder::with_plan(
        "agents:\n  it: { command: gemini, model: gemini-2.5-flash }\n\
         calls:\n  one: { prompt: What is the answer?, agent: it, timeout: 2m, retries: 0 }\n",
    );
    let key = r#"{"security": {"auth": {"selectedType": "gemini-api-key"}}}"#;
    folder.write("home/.gemini/settings.json", key);
    let outcomes = outcomes(&run(&folder, &surroundings(&folder, &[gemini], &provider), 0));
    assert_eq!(outcomes["one"]["output"]["text"], "It is 42.", "{}", outcomes["one"]);
}
