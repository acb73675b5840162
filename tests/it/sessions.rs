//! Sessions: several calls, one conversation; with models in this process and with programs.

use serde_json::{Value, json};

use crate::provider::{Provider, Request, Script};
use crate::support::{Folder, Ran, outcomes, parse_lines, repository};

fn run(folder: &Folder, args: &[&str]) -> (Vec<Value>, Ran) {
    let ran = folder.run_with(&[("LAB_KEY", "sk-x"), ("NO_PROXY", "127.0.0.1")], args);
    let events = if ran.out.starts_with('{') { parse_lines(&ran.out) } else { Vec::new() };
    (events, ran)
}

fn plan(api: &str, provider: &Provider, calls: &str) -> String {
    format!(
        "providers: {{ lab: {{ api: {api}, base_url: '{}', api_key_env: LAB_KEY }} }}\n\
         agents: {{ worker: {{ model: lab/tiny, tools: [read], system: Be brief. }} }}\n\
         defaults: {{ agent: worker, timeout: 60s, retries: 0 }}\ncalls:\n{calls}",
        provider.base_url()
    )
}

const THREE: &str = "  look: { prompt: Read the note., session: s }\n  beside: { prompt: Something else. }\n  \
                     mend: { prompt: Now mend it., session: s }\n  check: { prompt: Is it right?, session: s }\n";

/// The messages of a request, in any dialect.
fn messages(request: &Request) -> &[Value] {
    let list = ["messages", "input", "contents"].iter().find_map(|key| request.json[*key].as_array());
    list.map_or(&[], Vec::as_slice)
}

fn asked<'a>(requests: &'a [Request], last: &str) -> &'a Request {
    let holds = |request: &&Request| messages(request).last().is_some_and(|it| it.to_string().contains(last));
    requests.iter().find(holds).unwrap_or_else(|| panic!("nobody asked «{last}»"))
}

#[test]
fn a_later_call_goes_on_with_the_whole_conversation_in_every_dialect() {
    for api in ["anthropic", "openai-chat", "openai-responses", "gemini"] {
        let provider = Provider::start();
        provider.answer(|request| {
            let last = messages(request).last().unwrap().to_string();
            match () {
                () if last.contains("Read the note.") => {
                    Script::text("I read it.").call("read", &json!({"path": "note.txt"}))
                }
                () if last.contains("the note says") => Script::text("It is broken."),
                () if last.contains("Now mend it.") => Script::text("Mended."),
                () if last.contains("Is it right?") => Script::text("Yes."),
                () => Script::text("Other."),
            }
        });
        let folder = Folder::with_plan(&plan(api, &provider, THREE));
        folder.write("note.txt", "the note says hello");
        let (events, ran) = run(&folder, &["run", "plan.yaml", "--json"]);
        assert_eq!(ran.code, 0, "{api}: {}\n{}", ran.out, ran.err);
        assert_eq!(outcomes(&events)["check"]["output"]["text"], "Yes.", "{api}");
        let requests = provider.requests();
        // What was sent before stands at the beginning of what is sent later, tools and all.
        let (told, mend, check) = (
            asked(&requests, "the note says"),
            asked(&requests, "Now mend it."),
            asked(&requests, "Is it right?"),
        );
        let plain = |request: &Request| -> Vec<String> {
            // Marks for a provider's cache move with the end of the conversation.
            let unmarked =
                |it: &Value| it.to_string().replace(r#","cache_control":{"type":"ephemeral"}"#, "");
            messages(request).iter().map(unmarked).collect()
        };
        let (told, mend, check) = (plain(told), plain(mend), plain(check));
        assert!(mend.starts_with(&told) && mend.len() == told.len() + 2, "{api}: {told:?}\n{mend:?}");
        assert!(check.starts_with(&mend) && check.len() == mend.len() + 2, "{api}: {mend:?}\n{check:?}");
        let beside = asked(&requests, "Something else.").prompt();
        assert!(!beside.contains("Read the note."), "{api}: it is not in the session: {beside}");
        assert_eq!(requests.len(), 5, "{api}");
    }
}

#[test]
fn a_resumed_run_goes_on_with_the_conversation_and_asks_nothing_again() {
    let provider = Provider::start();
    provider.in_turn([
        Script::text("").call("read", &json!({"path": "note.txt"})),
        Script::text("It is broken."),
        Script::error(400, "invalid_request_error", "not today"),
        Script::text("Mended."),
    ]);
    let calls =
        "  look: { prompt: Read the note., session: s }\n  mend: { prompt: Now mend it., session: s }\n";
    let folder = Folder::with_plan(&plan("anthropic", &provider, calls));
    folder.write("note.txt", "the note says hello");
    let (_, ran) = run(&folder, &["run", "plan.yaml", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let (events, ran) = run(&folder, &["resume", "--json"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(outcomes(&events)["look"]["reused"], true);
    assert_eq!(outcomes(&events)["mend"]["output"]["text"], "Mended.");
    let requests = provider.requests();
    assert_eq!(requests.len(), 4, "what was answered was asked again");
    assert_eq!(requests[2].json["messages"], requests[3].json["messages"]);
    assert_eq!(messages(&requests[3]).len(), 5);
    // Another start of the first call is another conversation for the second.
    provider.in_turn([Script::text("It is fine."), Script::text("Nothing to mend.")]);
    let (events, ran) = run(&folder, &["resume", "--from", "look", "--json"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(outcomes(&events)["mend"]["output"]["text"], "Nothing to mend.");
    let last = provider.requests().pop().unwrap();
    assert!(
        last.prompt().contains("It is fine.") && !last.prompt().contains("It is broken."),
        "{}",
        last.prompt()
    );
}

#[test]
fn a_call_that_failed_is_no_part_of_the_conversation() {
    let provider = Provider::start();
    provider.on("Is it right?", Script::text("Yes."));
    provider.on("Now mend it.", Script::error(400, "invalid_request_error", "not today"));
    provider.on("Look.", Script::text("Seen."));
    let calls = "  look: { prompt: Look., session: s }\n  mend: { prompt: Now mend it., session: s, on_error: ignore }\n  \
                 check: { prompt: Is it right?, session: s, needs: { mend: done } }\n";
    let folder = Folder::with_plan(&plan("openai-chat", &provider, calls));
    let (events, ran) = run(&folder, &["run", "plan.yaml", "--json"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(outcomes(&events)["check"]["output"]["text"], "Yes.");
    let last = provider.requests().pop().unwrap();
    assert!(last.prompt().contains("Seen.") && !last.prompt().contains("Now mend it."), "{}", last.prompt());
}

#[test]
fn where_another_model_takes_over_it_is_told_what_was_said_and_not_sent_a_foreign_form() {
    let provider = Provider::start();
    let base = provider.base_url();
    provider.in_turn([
        Script::text("").call("read", &json!({"path": "note.txt"})),
        Script::text("It is broken."),
        Script::error(404, "not_found_error", "no such model"),
        Script::text("Mended."),
    ]);
    let folder = Folder::with_plan(&format!(
        "providers:\n  lab: {{ api: anthropic, base_url: '{base}', api_key_env: LAB_KEY }}\n  \
         den: {{ api: openai-chat, base_url: '{base}', api_key_env: LAB_KEY }}\n\
         agents: {{ worker: {{ model: [lab/tiny, den/small], tools: [read] }} }}\n\
         defaults: {{ agent: worker, session: s, retries: 0 }}\n\
         calls:\n  look: {{ prompt: Read the note. }}\n  mend: {{ prompt: Now mend it. }}\n"
    ));
    folder.write("note.txt", "the note says hello");
    let (events, ran) = run(&folder, &["run", "plan.yaml", "--json"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(outcomes(&events)["mend"]["agent"], "den/small");
    let last = provider.requests().pop().unwrap();
    let said: Vec<_> = messages(&last).iter().map(|it| (it["role"].clone(), it["content"].clone())).collect();
    let expected = [("user", "Read the note."), ("assistant", "It is broken."), ("user", "Now mend it.")];
    assert_eq!(said, expected.map(|(role, text)| (json!(role), json!(text))));
}

/// A `claude` that keeps what it was told under the name of the conversation, and counts its usage
/// over all of it, as the real one does.
const CLAUDE: &str = r#"#!/bin/sh
id=new
while [ $# -gt 0 ]; do
    case $1 in --resume) id=$2 ;; --no-session-persistence) id=none ;; esac
    shift
done
[ $id = new ] && id=s-$$ && : >"$KEEP/$id"
[ $id != none ] && [ ! -e "$KEEP/$id" ] && echo "No conversation found with session ID: $id" >&2 && exit 1
said=$(cat)
echo "$said" >>"$KEEP/$id"
turns=$(wc -l <"$KEEP/$id")
text=$(tr '\n' '|' <"$KEEP/$id")
printf '{"type":"system","subtype":"init","session_id":"%s"}\n' "$id"
printf '{"type":"result","subtype":"success","is_error":false,"result":"%s","session_id":"%s","num_turns":1,"total_cost_usd":%s,"modelUsage":{"m":{"inputTokens":%s,"outputTokens":%s}}}\n' "$text" "$id" "0.0$turns" "${turns}00" "${turns}0"
"#;

#[test]
fn a_program_is_told_to_go_on_with_its_own_conversation_and_what_it_used_before_is_taken_off() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::with_plan(
        "agents: { it: { command: claude } }\ndefaults: { agent: it, retries: 0 }\n\
         calls:\n  look: { prompt: one, session: s, env: { KEEP: keep } }\n  mend: { prompt: two, session: s, env: { KEEP: keep } }\n  \
         other: { prompt: alone, env: { KEEP: keep } }\n",
    );
    let path = folder.write("bin/claude", CLAUDE);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(folder.path().join("keep")).unwrap();
    let path = format!("{}:{}", folder.path().join("bin").display(), std::env::var("PATH").unwrap());
    let ran = folder.run_with(&[("PATH", &path)], &["run", "plan.yaml", "--json"]).expect_code(0);
    let outcomes = outcomes(&parse_lines(&ran.out));
    let text = |call: &str| outcomes[call]["output"]["text"].clone();
    assert_eq!(
        (text("look"), text("mend"), text("other")),
        (json!("one|"), json!("one|two|"), json!("alone|"))
    );
    for call in ["look", "mend"] {
        let usage = &outcomes[call]["usage"];
        assert_eq!((&usage["input"], &usage["output"]), (&json!(100), &json!(10)), "{call}: {usage}");
        assert_eq!(usage["cost"], json!(10_000), "{call}: {usage}");
    }
}

#[test]
fn a_program_that_keeps_no_conversation_is_told_what_was_said() {
    let folder = Folder::with_plan(
        "agents: { it: { command: [cat] } }\ndefaults: { agent: it, session: s }\n\
         calls:\n  look: { prompt: The first question. }\n  mend: { prompt: The second. }\n",
    );
    let (events, ran) = run(&folder, &["run", "plan.yaml", "--json"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    let text = outcomes(&events)["mend"]["output"]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("The first question.\n<answer>\nThe first question.\n</answer>"), "{text}");
    assert!(text.trim_end().ends_with("Now:\n\nThe second."), "{text}");
}

#[test]
fn the_shipped_conversation_is_one() {
    let folder = Folder::new();
    let plan = repository().join("plans/conversation.yaml");
    let (_, ran) = run(&folder, &["run", plan.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("3 questions so far"), "{}", ran.out);
}
