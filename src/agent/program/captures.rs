//! What real programs really printed is understood, however its bytes come.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use super::fault::Fault;
use super::listener::{Listener, Stuck};
use super::{End, Told};
use crate::agent::answer;
use crate::model::Class;
use crate::outcome::Usage;
use crate::plan::{CommandAgent, CommandInput, CommandOutput, Denied, Program};
use crate::process::Stream;
use crate::unit::{Tokens, Usd};

fn fixture(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/programs").join(name);
    std::fs::read(path).ok()
}

/// As a plan has it that spells out the program's command line.
fn spelt_out(output: CommandOutput) -> CommandAgent {
    let agent = CommandAgent::new(vec!["wrapper".to_owned()], CommandInput::Stdin, output);
    CommandAgent { denied: Denied::Continue, ..agent }
}

fn told(settings: &CommandAgent, pieces: &[&[u8]]) -> Told {
    let listener = Listener::new(settings, None, &|_: &str, _| {});
    for piece in pieces {
        listener.hear(Stream::Stdout, piece);
    }
    let whole = pieces.concat();
    let whole = String::from_utf8_lossy(&whole);
    listener.told(&whole, || answer::read(&whole, settings.output))
}

fn answer(text: &str) -> End {
    End::Answer(text.to_owned())
}

fn failed(class: Option<Class>, message: &str, wait: Option<u64>) -> End {
    let retry_after = wait.map(Duration::from_millis);
    End::Failed(Fault { class, message: message.to_owned(), retry_after, retryable: None })
}

fn used(input: u64, output: u64, requests: u32, cost: Option<u64>) -> Usage {
    let cost = cost.map(Usd);
    Usage { input: Tokens(input), output: Tokens(output), requests, cost, ..Usage::default() }
}

const PONG: &str = "PONG from the fake model.";
const ALBATROSS: &str = "The secret word is ALBATROSS.";

/// Every recorded output, with what it came to.
fn table() -> Vec<(&'static str, End, Usage)> {
    let refused = "unexpected status 401 Unauthorized: invalid x-api-key, url: http://127.0.0.1:4010/v1/responses, \
                   request id: req-GrzaJ58PF_MDGXyM";
    let limited = "API Error: Request rejected (429) · Number of request tokens has exceeded your per-minute rate limit";
    let gemini_refused = "[API Error: {\"error\":{\"code\":401,\"message\":\"invalid x-api-key\",\"status\":\
                          \"authentication_error\"}}]";
    let denied =
        End::Failed(Fault { retryable: Some(false), ..Fault::of(Class::Unauthorized, "invalid x-api-key") });
    vec![
        // A success that is none.
        (
            "claude/err-ERR401-json",
            failed(Some(Class::Unauthorized), "Invalid API key · Fix external API key", None),
            used(0, 0, 1, Some(0)),
        ),
        (
            "claude/err-ERR429-stream",
            failed(Some(Class::RateLimited), limited, Some(1207)),
            used(0, 0, 1, Some(0)),
        ),
        (
            "claude/maxturns-json",
            failed(None, "Reached maximum number of turns (3)", None),
            used(0, 0, 4, Some(0)),
        ),
        ("claude/oneshot-json", answer(PONG), used(111, 7, 1, Some(730))),
        ("claude/oneshot-stream", answer(PONG), used(111, 7, 1, Some(730))),
        ("claude/schema-json", answer(r#"{"answer":"ALBATROSS","confidence":0.9}"#), used(0, 0, 2, Some(0))),
        // No structured output, though one was asked for: the text, which no schema will take.
        ("claude/schemabad-json", answer("default reply"), used(111, 7, 2, Some(730))),
        ("claude/signal-INT", End::Unfinished("one two three four f".to_owned()), Usage::default()),
        ("claude/tool-stream", answer(ALBATROSS), used(222, 9, 2, Some(1335))),
        ("codex/err-ERR401-json", failed(Some(Class::Unauthorized), refused, None), Usage::default()),
        ("codex/oneshot-json", answer(PONG), used(111, 7, 1, None)),
        ("codex/schemabad-json", answer(PONG), used(111, 7, 1, None)),
        ("codex/tool-json", answer(ALBATROSS), used(222, 9, 1, None)),
        (
            "gemini/err-ERR401-stream",
            failed(Some(Class::Unauthorized), gemini_refused, None),
            used(0, 0, 1, None),
        ),
        ("gemini/oneshot-json", answer(PONG), used(111, 7, 1, None)),
        ("gemini/oneshot-stream", answer(PONG), used(111, 7, 1, None)),
        ("gemini/tool-stream", answer(ALBATROSS), used(222, 9, 1, None)),
        ("opencode/err-ERR401-json", denied, Usage::default()),
        ("opencode/oneshot-json", answer(PONG), used(111, 7, 1, None)),
        ("opencode/tool-json", answer(ALBATROSS), used(3257, 22, 2, None)),
    ]
}

/// Gemini's `json` is a document of many lines; what the others call so is a line.
fn form(name: &str) -> CommandOutput {
    if name == "gemini/oneshot-json" { CommandOutput::Json } else { CommandOutput::StreamJson }
}

#[test]
fn every_capture_comes_to_what_it_is() {
    let recorded = ["claude", "codex", "gemini", "opencode"].map(|program| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/programs").join(program);
        let outs = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|file| file.unwrap().file_name().into_string().ok());
        outs.filter(|name| name.ends_with(".out")).count()
    });
    let table = table();
    assert_eq!(table.len(), recorded.iter().sum::<usize>(), "every one is in the table");
    for (name, end, usage) in table {
        let out = fixture(&format!("{name}.out")).unwrap();
        let told = told(&spelt_out(form(name)), &[&out]);
        assert_eq!((&told.end, told.usage), (&end, usage), "{name}");
        assert!(told.session.is_some() && told.denied.is_empty(), "{name}: {told:?}");
    }
}

#[test]
fn every_capture_comes_to_the_same_at_every_byte_split() {
    for (name, ..) in table() {
        let out = fixture(&format!("{name}.out")).unwrap();
        let settings = spelt_out(form(name));
        let whole = told(&settings, &[&out]);
        for at in 0..=out.len() {
            let (head, tail) = out.split_at(at);
            assert_eq!(told(&settings, &[head, tail]), whole, "{name} at {at}");
        }
        let bytes: Vec<&[u8]> = out.chunks(1).collect();
        assert_eq!(told(&settings, &bytes), whole, "{name} byte by byte");
    }
}

#[test]
fn an_exit_status_says_success_only_where_the_stream_does() {
    for (name, end, _) in table() {
        let Some(status) = fixture(&format!("{name}.rc")) else { continue };
        let status: i32 = String::from_utf8(status).unwrap().trim().parse().unwrap();
        assert_eq!(status == 0, matches!(end, End::Answer(_)), "{name}");
    }
    // 145 is no signal.
    let settings = CommandAgent::known(Program::Gemini);
    let listener = Listener::new(&settings, None, &|_: &str, _| {});
    assert_eq!(listener.exit(145).unwrap().class, Some(Class::Unauthorized));
    assert_eq!(listener.exit(173).unwrap().class, Some(Class::RateLimited));
    assert_eq!((listener.exit(55).unwrap().class, listener.exit(1)), (None, None));
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_hears_what_it_does() {
    let heard = |name: &str| {
        let out = String::from_utf8(fixture(&format!("{name}.out")).unwrap()).unwrap();
        async move {
            let heard = Mutex::new(Vec::new());
            let news = |line: &str, _: Tokens| heard.lock().unwrap().push(line.to_owned());
            let settings = spelt_out(CommandOutput::StreamJson);
            let listener = Listener::new(&settings, None, &news);
            for line in out.lines() {
                listener.hear(Stream::Stdout, format!("{line}\n").as_bytes());
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            heard.into_inner().unwrap()
        }
    };
    let read = "Read /home/user/real/ws/notes.txt";
    assert_eq!(heard("claude/tool-stream").await, ["I will read the file.", read, ALBATROSS]);
    assert_eq!(
        heard("claude/err-ERR429-stream").await[..2],
        ["rate limit, asking again in 1 s (1/2)", "rate limit, asking again in 1 s (2/2)"]
    );
    assert_eq!(heard("codex/tool-json").await[1..], ["/bin/bash -lc 'cat notes.txt'", ALBATROSS]);
    assert_eq!(
        heard("gemini/tool-stream").await,
        ["read_file /home/user/real/ws/notes.txt", "The secret word is A", "LBATROSS."]
    );
    assert_eq!(heard("opencode/tool-json").await, ["read /home/user/real/ws/notes.txt", ALBATROSS]);
}

/// A line of a stream, and what the listener makes of it at once.
fn stuck(settings: &CommandAgent, lines: &[&str]) -> (Option<Stuck>, Told) {
    let listener = Listener::new(settings, None, &|_: &str, _| {});
    for line in lines {
        listener.hear(Stream::Stdout, format!("{line}\n").as_bytes());
    }
    (listener.stuck(), listener.told("", Told::default))
}

#[test]
fn a_denied_permission_ends_it_at_once_unless_it_may_go_on() {
    let events = [
        (
            Program::Claude,
            r#"{"type":"system","subtype":"permission_denied","tool_name":"Bash","tool_input":{"command":"npm test"},"session_id":"s"}"#,
            "Bash(npm test)",
        ),
        (
            Program::Claude,
            r#"{"type":"result","subtype":"success","is_error":false,"result":"I could not.","session_id":"s","permission_denials":[{"tool_name":"Write","tool_use_id":"t","tool_input":{"file_path":"/x"}}]}"#,
            "Write(/x)",
        ),
        (
            Program::Codex,
            r#"{"type":"item.completed","item":{"id":"item_1","type":"command_execution","command":"rm -rf x","status":"declined"}}"#,
            "shell(rm -rf x)",
        ),
        (
            Program::OpenCode,
            r#"{"type":"tool_use","sessionID":"ses_1","part":{"tool":"bash","callID":"c","state":{"status":"error","input":{"command":"ls"},"error":"The user rejected permission to use this specific tool call."}}}"#,
            "bash(ls)",
        ),
    ];
    for (program, event, what) in events {
        let settings = CommandAgent::known(program);
        let (blocked, told) = stuck(&settings, &[event]);
        assert_eq!(blocked, Some(Stuck::Blocked(what.to_owned())), "{program:?}");
        assert_eq!(told.denied, [what], "{program:?}");
        let settings = CommandAgent { denied: Denied::Continue, ..settings };
        let (blocked, told) = stuck(&settings, &[event]);
        assert_eq!((blocked, told.denied), (None, vec![what.to_owned()]), "{program:?}");
    }
}

#[test]
fn what_goose_calls_a_text_may_be_an_error() {
    let said = |text: &str| {
        let message = serde_json::json!({"type": "message", "message":
            {"role": "assistant", "content": [{"type": "text", "text": text}]}});
        let complete = r#"{"type":"complete","total_tokens":18,"input_tokens":11,"output_tokens":7}"#;
        stuck(&CommandAgent::known(Program::Goose), &[&message.to_string(), complete]).1
    };
    assert_eq!((said("done").end, said("done").usage), (answer("done"), used(11, 7, 1, None)));
    let error = said("Ran into this error: Authentication failed: status 401.\n\nPlease retry.").end;
    let End::Failed(fault) = error else { panic!("{error:?}") };
    assert_eq!(fault.class, Some(Class::Unauthorized));
    assert!(matches!(said("I've reached the maximum number of actions I can do").end, End::Failed(_)));
}

#[test]
fn the_last_result_of_several_counts_and_the_last_that_has_words() {
    let result = |text: &str, turns: u32| {
        format!(
            r#"{{"type":"result","subtype":"success","is_error":false,"num_turns":{turns},"result":"{text}","session_id":"s"}}"#
        )
    };
    let lines = [result("started", 1), result("final words", 2), result("", 0)];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(stuck(&CommandAgent::known(Program::Claude), &lines).1.end, answer("final words"));
}

#[tokio::test(start_paused = true)]
async fn silence_counts_only_while_no_tool_runs() {
    let settings = CommandAgent::known(Program::Codex);
    let idle = Some(Duration::from_secs(300));
    let item = |phase: &str| {
        format!(
            "{{\"type\":\"item.{phase}\",\"item\":{{\"id\":\"i\",\"type\":\"command_execution\",\"command\":\"make\",\"status\":\"x\"}}}}\n"
        )
    };
    let listener = Listener::new(&settings, idle, &|_: &str, _| {});
    listener.hear(Stream::Stdout, item("started").as_bytes());
    let waited = tokio::time::timeout(Duration::from_secs(3600), listener.until_stuck()).await;
    assert!(waited.is_err(), "its tool runs");
    listener.hear(Stream::Stdout, item("completed").as_bytes());
    let began = tokio::time::Instant::now();
    listener.until_stuck().await;
    assert_eq!((listener.stuck(), began.elapsed()), (Some(Stuck::Idle), Duration::from_secs(300)));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_stays_unanswered_ends_it_and_is_quoted() {
    let settings = spelt_out(CommandOutput::Text);
    for stream in [Stream::Stdout, Stream::Stderr] {
        let listener = Listener::new(&settings, Some(Duration::from_secs(300)), &|_: &str, _| {});
        listener.hear(stream, b"looking around\nAllow edit of a.txt? [y/N] ");
        listener.until_stuck().await;
        assert_eq!(listener.stuck(), Some(Stuck::Blocked("Allow edit of a.txt? [y/N]".to_owned())));
    }
    // Text that goes on was no question.
    let listener = Listener::new(&settings, None, &|_: &str, _| {});
    listener.hear(Stream::Stdout, b"Continue? (y/n)");
    listener.hear(Stream::Stdout, b" was what it asked\n");
    let waited = tokio::time::timeout(Duration::from_secs(60), listener.until_stuck()).await;
    assert!(waited.is_err());
}
