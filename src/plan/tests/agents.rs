//! Who makes a call, with which model, at which address.

use super::*;
use crate::unit::Tokens;

fn in_environment(text: &str, environment: &[(&str, &str)]) -> Loaded {
    let vars = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    load_text(text, Path::new("plan.yaml"), &Given { environment: Environment { vars }, ..Given::default() })
}

fn models(plan: &Plan, call: usize) -> Vec<String> {
    let Action::Prompt { agent, .. } = &plan.calls[call].action else { panic!() };
    let AgentKind::Model(model) = &agent.kind else { panic!() };
    model.models.iter().map(ToString::to_string).collect()
}

#[test]
fn the_default_model_is_found_in_the_environment() {
    let text = "calls: { a: { prompt: hi } }";
    for (environment, model) in [
        (&[("FANOUT_MODEL", "ollama/qwen3"), ("ANTHROPIC_API_KEY", "x")][..], "ollama/qwen3"),
        (&[("OPENAI_API_KEY", "x"), ("ANTHROPIC_API_KEY", "x")], "anthropic/claude-sonnet-5"),
        (&[("OPENAI_API_KEY", "x")], "openai/gpt-5.5"),
        (&[("OPENROUTER_API_KEY", "x"), ("OPENAI_API_KEY", "")], "openrouter/anthropic/claude-sonnet-5"),
    ] {
        assert_eq!(models(&sound(in_environment(text, environment)), 0), [model]);
    }
    let wrong = in_environment(text, &[("FANOUT_MODEL", "claude-opus-5")]);
    assert_eq!(
        lines(&wrong),
        [
            "FANOUT_MODEL:1:1: E0307 `claude-opus-5` does not name a provider (write `anthropic/claude-opus-5`)"
        ]
    );
}

#[test]
fn that_no_model_is_configured_is_said_once_and_only_where_one_is_needed() {
    let text = "agents: { x: { system: s } }\ncalls: { a: { prompt: hi }, b: { prompt: hi }, c: { prompt: hi, agent: x } }";
    let found = lines(&in_environment(text, &[]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("E0206 no model is configured") && found[0].contains("ANTHROPIC_API_KEY"),
        "{found:?}"
    );
    sound(in_environment("calls: { a: { run: ls } }", &[]));
    sound(in_environment("calls: { a: { prompt: hi, agent: { command: [./agent] } } }", &[]));
}

#[test]
fn agents_are_named_inline_or_the_default() {
    let plan = plan(
        "agents:
  rev: { model: [anthropic/claude-opus-5, lab/qwen3-coder], max_turns: 3, max_tokens: 2k, temperature: 0, effort: high }
  own: { command: [python3, my_agent.py], args: [-v], input: arg, output: jsonl }
providers:
  lab: { api: openai-chat, base_url: 'http://10.0.0.5:8000/v1/', api_key_env: LAB_KEY, rate: { requests: 60/min, tokens: 200k/min, concurrency: 16 } }
defaults: { agent: rev }
calls:
  a: { prompt: hi }
  b: { prompt: hi, agent: own }
  c: { prompt: hi, agent: { model: lab/x/y } }
",
    );
    assert_eq!(models(&plan, 0), ["anthropic/claude-opus-5", "lab/qwen3-coder"]);
    assert_eq!(models(&plan, 2), ["lab/x/y"]);
    let AgentKind::Command(own) = &plan.agents["own"].kind else { panic!() };
    assert_eq!(own.argv, ["python3", "my_agent.py", "-v"]);
    assert_eq!((own.input, own.output), (CommandInput::Arg, CommandOutput::JsonLines));
    let AgentKind::Model(rev) = &plan.agents["rev"].kind else { panic!() };
    assert_eq!(
        (rev.max_turns, rev.max_tokens, rev.temperature, rev.effort.as_deref()),
        (3, Tokens(2_000), Some(0.0), Some("high"))
    );
    let lab = &plan.providers["lab"];
    assert_eq!(
        (lab.base_url.as_str(), lab.api_key_env.as_deref()),
        ("http://10.0.0.5:8000/v1", Some("LAB_KEY"))
    );
    assert_eq!(lab.rate.concurrency, Some(16));
    assert_eq!(plan.key_variables(), ["ANTHROPIC_API_KEY", "LAB_KEY"]);
}

#[test]
fn the_environment_says_where_the_built_in_providers_are() {
    let text = "calls: { a: { run: x } }";
    let plan = sound(in_environment(
        text,
        &[
            ("ANTHROPIC_BASE_URL", "http://localhost:9/"),
            ("OPENAI_BASE_URL", "http://localhost:8/v1"),
            ("OLLAMA_HOST", "box:1234"),
        ],
    ));
    let at = |name: &str| plan.providers[name].base_url.as_str();
    assert_eq!(
        (at("anthropic"), at("openai"), at("ollama")),
        ("http://localhost:9/v1", "http://localhost:8/v1", "http://box:1234/v1")
    );
    assert_eq!(plan.providers["openai"].api, Api::OpenAiResponses);
    assert_eq!(plan.providers["ollama"].api_key_env, None);
}

#[test]
fn gemini_is_found_by_the_variables_of_googles_own_sdk() {
    let text = "calls: { a: { prompt: hi, agent: { model: gemini/gemini-x } } }";
    let found = |environment: &[(&str, &str)]| {
        let plan = sound(in_environment(text, environment));
        let gemini = &plan.providers["gemini"];
        (gemini.api, gemini.base_url.clone(), gemini.api_key_env.clone().unwrap_or_default())
    };
    let own = "https://generativelanguage.googleapis.com/v1beta".to_owned();
    assert_eq!(found(&[]), (Api::Gemini, own.clone(), "GEMINI_API_KEY".to_owned()));
    let both = [("GEMINI_API_KEY", "a"), ("GOOGLE_API_KEY", "b")];
    assert_eq!(found(&both), (Api::Gemini, own, "GOOGLE_API_KEY".to_owned()));
    for address in ["http://localhost:9/", "http://localhost:9/v1beta"] {
        let base = "http://localhost:9/v1beta".to_owned();
        let expected = (Api::Gemini, base, "GEMINI_API_KEY".to_owned());
        assert_eq!(found(&[("GOOGLE_GEMINI_BASE_URL", address)]), expected);
    }
}

#[test]
fn a_built_in_key_is_not_sent_to_another_address_unless_it_is_named() {
    let text = |more: &str| {
        format!(
            "providers: {{ anthropic: {{ base_url: 'https://proxy.test/v1'{more} }} }}\ncalls: {{ a: {{ run: x }} }}"
        )
    };
    assert_eq!(plan(&text("")).providers["anthropic"].api_key_env, None);
    let named = plan(&text(", api_key_env: ANTHROPIC_API_KEY"));
    assert_eq!(named.providers["anthropic"].api_key_env.as_deref(), Some("ANTHROPIC_API_KEY"));
    let limited = plan("providers: { anthropic: { rate: { concurrency: 2 } } }\ncalls: { a: { run: x } }");
    assert_eq!(limited.providers["anthropic"].api_key_env.as_deref(), Some("ANTHROPIC_API_KEY"));
}

#[test]
fn what_agents_and_providers_cannot_be_is_named() {
    let agent = |agent: &str| faults(&format!("agents:\n  x: {agent}\ncalls: {{ a: {{ run: x }} }}\n"));
    assert_eq!(
        agent("{ model: claude-sonnet-5 }"),
        ["2:15: E0307 `claude-sonnet-5` does not name a provider"]
    );
    assert_eq!(agent("{ model: opnai/x }"), ["2:15: E0205 there is no provider `opnai`"]);
    assert_eq!(agent("{ model: [] }"), ["2:15: E0108 the list of models is empty"]);
    assert_eq!(
        agent("{ command: [x], max_turns: 3 }"),
        ["2:3: E0110 an agent with `command` has no `max_turns`"]
    );
    assert_eq!(agent("{ args: [x] }"), ["2:3: E0106 this agent has no `command`"]);
    assert_eq!(agent("{ command: python3 x.py }"), ["2:17: E0107 a program with arguments is a list"]);
    assert_eq!(agent("{ temperature: 3 }"), ["2:21: E0303 `temperature` must be between 0 and 2"]);
    let provider = |keys: &str| faults(&format!("providers:\n  x: {keys}\ncalls: {{ a: {{ run: x }} }}\n"));
    assert_eq!(provider("{ api: openai-chat }"), ["2:3: E0106 the provider `x` has no `base_url`"]);
    assert_eq!(
        provider("{ api: openai-chat, base_url: 'ftp://x' }"),
        ["2:36: E0308 `ftp://x` is no http or https address"]
    );
    assert_eq!(
        provider("{ api: openai-chat, base_url: 'https://u:p@x' }"),
        ["2:26: E0309 the address holds a name or password"]
    );
    assert_eq!(
        provider("{ api: openai-chat, base_url: 'https://x', headers: { Authorization: Bearer x } }"),
        ["2:60: E0309 the header `Authorization` carries a secret, which a plan must not hold"]
    );
    assert_eq!(
        provider("{ api: openai-chat, base_url: 'https://x', api_key_env: sk-123 }"),
        ["2:49: E0309 `api_key_env` is the name of a variable, not a key"]
    );
    assert_eq!(provider("{ api: openai }")[0], "2:3: E0106 the provider `x` has no `base_url`");
}

#[test]
fn a_known_program_by_name_has_what_it_can_keep() {
    let plan = plan(
        "agents:
  claude: { command: claude, args: [--bare], model: sonnet, effort: high, max_turns: 7, system: Be brief., denied: continue }
  codex: { command: codex, model: gpt-5.5 }
  spelt: { command: [claude, -p, --output-format, stream-json, --verbose], output: stream-json }
calls: { a: { prompt: hi, agent: claude }, b: { prompt: hi, agent: codex }, c: { prompt: hi, agent: spelt } }
",
    );
    let command = |name: &str| match &plan.agents[name].kind {
        AgentKind::Command(command) => command.clone(),
        AgentKind::Model(_) => panic!("{name}"),
    };
    let claude = command("claude");
    assert_eq!(
        (claude.program, claude.argv.as_slice()),
        (Some(Program::Claude), &["claude".to_owned(), "--bare".to_owned()][..])
    );
    assert_eq!(
        (claude.model.as_deref(), claude.effort.as_deref(), claude.max_turns, claude.denied),
        (Some("sonnet"), Some("high"), Some(7), Denied::Continue)
    );
    assert!(claude.system.is_some());
    assert_eq!(command("codex").keys(), ["OPENAI_API_KEY", "CODEX_API_KEY"]);
    assert_eq!((command("spelt").program, command("spelt").output), (None, CommandOutput::StreamJson));
}

#[test]
fn patterns_are_pointers_or_regular_expressions() {
    let plan = plan(
        "agents:
  own: { command: [./own], output: jsonl, inherit: LAB_KEY, patterns: { text: /message/text, error: 'Error: (.*)' } }
calls: { a: { prompt: hi, agent: own } }
",
    );
    let AgentKind::Command(own) = &plan.agents["own"].kind else { panic!() };
    assert!(matches!(&own.patterns.text, Some(Pattern::Pointer(text)) if text == "/message/text"));
    assert!(matches!(&own.patterns.error, Some(Pattern::Regex(_))));
    assert_eq!((own.keys(), plan.key_variables()), (vec!["LAB_KEY"], vec!["LAB_KEY"]));
}

#[test]
fn what_a_program_cannot_keep_is_refused() {
    let agent = |agent: &str| faults(&format!("agents:\n  x: {agent}\ncalls: {{ a: {{ run: x }} }}\n"));
    assert_eq!(
        agent("{ command: codex, max_turns: 3, temperature: 0 }"),
        ["2:3: E0110 `codex` has no way to be given `max_turns` and `temperature`"]
    );
    assert_eq!(
        agent("{ command: claude, output: json }"),
        ["2:3: E0110 `claude` is known: it takes no `output`"]
    );
    assert_eq!(agent("{ command: claude, model: [a, b] }"), ["2:32: E0107 a program takes one model"]);
    assert_eq!(
        agent("{ command: [x], inherit: [sk-123] }"),
        ["2:32: E0309 `inherit` holds names of variables, not values"]
    );
    let wrong = agent("{ command: [x], patterns: { text: '(' } }");
    assert!(wrong[0].starts_with("2:40: E0107 `"), "{wrong:?}");
    assert_eq!(
        agent("{ command: [x], patterns: { text: '(a)(b)' } }"),
        ["2:40: E0107 a pattern has at most one group, which is what counts"]
    );
}

#[test]
fn a_known_program_has_the_tools_that_it_can_be_kept_to() {
    let agent = |program: &str, tools: &str| {
        let text = format!(
            "mcp: {{ files: {{ command: [x] }} }}\nagents:\n  x: {{ command: {program}, tools: {tools} }}\ncalls: {{ a: {{ run: x }} }}\n"
        );
        faults(&text).first().map(|fault| fault.split_once(' ').unwrap().1.to_owned()).unwrap_or_default()
    };
    for (program, tools) in [
        ("claude", "[]"),
        ("claude", "[read, edit, 'bash(git * --stat)', agent]"),
        ("codex", "[read, grep]"),
        ("codex", "[read, write, edit, bash]"),
        ("gemini", "[write, 'bash(cargo test *)']"),
        ("opencode", "[read, write, edit, 'bash(git * --stat)', agent]"),
        ("goose", "[]"),
        ("goose", "[read, write, edit, bash]"),
    ] {
        assert_eq!(agent(program, tools), "", "{program} {tools}");
    }
    for (program, tools, fault) in [
        ("claude", "[reed]", "E0302 there is no tool `reed`"),
        (
            "claude",
            "['mcp(files)']",
            "E0110 `claude` cannot be given `mcp(files)`: that is a tool of agents in this process",
        ),
        (
            "codex",
            "[read, agent]",
            "E0110 `codex` cannot be given `agent`: that is a tool of agents in this process",
        ),
        ("codex", "[grep]", "E0110 `codex` cannot be kept to these tools"),
        ("codex", "[read, write]", "E0110 `codex` cannot be kept to these tools"),
        ("codex", "[read, 'bash(git log *)']", "E0110 `codex` cannot be kept to `bash"),
        ("gemini", "['bash(git log)']", "E0110 `gemini` cannot be kept to `bash"),
        ("opencode", "[edit]", "E0110 `opencode` cannot be kept to these tools"),
        ("goose", "[read]", "E0110 `goose` cannot be kept to these tools"),
        ("[my-agent]", "[read]", "E0110 an agent with `command` has no `tools`"),
    ] {
        let said = agent(program, tools);
        assert!(said.starts_with(fault), "{program} {tools}: {said}");
    }
}

#[test]
fn an_unknown_agent_says_what_there_is() {
    let text = "agents: { explore: { model: anthropic/x } }\ncalls:\n  a: { prompt: hi, agent: explorer }\n  b: { prompt: hi, agent: anthropic/x }\n";
    assert_eq!(
        lines(&read(text)),
        [
            "3:27: E0204 there is no agent `explorer` (did you mean `explore`?)",
            "4:27: E0204 there is no agent `anthropic/x` (to name a model, write `agent: { model: anthropic/x }`)",
        ]
    );
}
