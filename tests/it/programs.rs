//! Command-line agents under the real program: whatever they do, the call ends and nothing is left.

use std::path::Path;

use crate::support::{Folder, eventually, outcomes};

/// An agent whose program is this script; the prompt is its argument, so standard input is closed.
fn plan(script: &str, call: &str) -> Folder {
    let folder = Folder::with_plan(&format!(
        "agents: {{ it: {{ command: [sh, it.sh], input: arg }} }}\ncalls:\n  a: {{ prompt: hello, agent: it, {call} }}\n"
    ));
    folder.write("it.sh", script);
    folder
}

/// Whether a process that wrote its number to this file is there.
fn lives(folder: &Folder, file: &str) -> bool {
    let Ok(pid) = std::fs::read_to_string(folder.path().join(file)) else { return false };
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    // A zombie is nobody's process any more.
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn ended(folder: &Folder, code: i32) -> serde_json::Value {
    let (events, ran) = folder.events(&[]);
    ran.expect_code(code);
    outcomes(&events).remove("a").unwrap()
}

#[test]
fn a_program_that_reads_where_nothing_comes_sees_the_end_at_once() {
    let folder = plan("read line || echo nothing to read", "timeout: 1m");
    assert_eq!(ended(&folder, 0)["output"]["text"], "nothing to read");
}

#[test]
fn a_program_that_waits_at_a_question_is_blocked_and_the_question_is_quoted() {
    let folder = plan("printf 'Allow edit of a.txt? [y/N] '; exec sleep 600", "timeout: 5m");
    let outcome = ended(&folder, 1);
    assert_eq!(outcome["status"], "blocked");
    let message = outcome["cause"]["message"].as_str().unwrap();
    assert!(
        message.ends_with("needs an answer that nobody can give: Allow edit of a.txt? [y/N]"),
        "{message}"
    );
}

#[test]
fn a_program_that_ends_saying_that_it_needs_approval_is_blocked() {
    let folder = plan("echo 'Tool approval required in non-interactive mode' >&2; exit 1", "timeout: 5m");
    assert_eq!(ended(&folder, 1)["status"], "blocked");
}

#[cfg(target_os = "linux")]
#[test]
fn a_grandchild_in_a_session_of_its_own_ends_with_its_program_and_holds_nothing_up() {
    let script = "setsid sh -c 'echo $$ > grandchild; exec sleep 600' & \n\
                  while [ ! -s grandchild ]; do sleep 0.01; done; echo done";
    let folder = plan(script, "timeout: 5m");
    assert_eq!(ended(&folder, 0)["output"]["text"], "done");
    assert!(!lives(&folder, "grandchild"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_ignores_the_request_to_end_is_killed() {
    let script = "trap '' TERM\necho $$ > self\nwhile :; do sleep 1; done";
    let folder = plan(script, "timeout: 1s");
    let outcome = ended(&folder, 1);
    assert_eq!((&outcome["status"], &outcome["cause"]["code"]), (&"timed_out".into(), &"timeout".into()));
    assert!(!lives(&folder, "self"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_gigabyte_of_output_takes_no_memory() {
    let folder = Folder::with_plan(
        "agents:\n  text: { command: [sh, it.sh, '1000000000'], input: arg }\n  events: { command: [sh, it.sh, '100000000'], input: arg, output: stream-json }\n\
         calls:\n  a: { prompt: hello, agent: text, timeout: 5m, output: { max_bytes: 1KiB } }\n  b: { prompt: hello, agent: events, timeout: 5m }\n",
    );
    folder.write("it.sh", "head -c \"$1\" /dev/zero | tr '\\0' x\n");
    let nowhere = std::process::Stdio::null;
    let mut child = folder.fanout(&["run", "plan.yaml"]).stdout(nowhere()).stderr(nowhere()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0_u64;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kilobytes.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let shown = folder.run(&["show", "--json"]).out;
    let outcomes = outcomes(&crate::support::parse_lines(&shown));
    assert_eq!(
        (&outcomes["a"]["status"], &outcomes["b"]["status"]),
        (&"ok".into(), &"invalid_output".into())
    );
    assert_eq!(outcomes["b"]["cause"]["code"], "unreadable_output");
    // 64 MiB of it are kept for the file of the output; three gigabytes take as much.
    assert!(peak < 200_000, "{peak} kB");
}

#[cfg(target_os = "linux")]
#[test]
fn after_fanout_itself_is_killed_no_agent_and_nothing_of_it_is_left() {
    let folder = Folder::with_plan(
        "agents: { it: { command: [sh, it.sh], input: arg } }\ndefaults: { agent: it }\n\
         calls: { reader: { prompt: reader }, session: { prompt: session }, printer: { prompt: printer }, stubborn: { prompt: stubborn } }\n",
    );
    folder.write(
        "it.sh",
        "trap '' TERM\necho $$ > \"pid-$1\"\ncase $1 in\n\
         reader) exec sleep 600 ;;\n\
         session) setsid sh -c 'echo $$ > pid-grandchild; exec sleep 600' & wait ;;\n\
         printer) exec yes ;;\n\
         stubborn) while :; do sleep 1; done ;;\nesac\n",
    );
    let files = ["pid-reader", "pid-session", "pid-grandchild", "pid-printer", "pid-stubborn"];
    let mut child = folder.start(&["run", "plan.yaml"]);
    eventually("all of them run", || files.iter().all(|file| lives(&folder, file)));
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("none of them runs", || !files.iter().any(|file| lives(&folder, file)));
}

#[test]
fn keys_of_others_are_not_in_a_programs_environment() {
    let folder = Folder::with_plan(
        "agents:\n  claude: { command: [./claude], input: arg }\n  own: { command: [./own], input: arg, inherit: [LAB_KEY] }\n\
         calls: { a: { prompt: x, agent: claude }, b: { prompt: x, agent: own } }\n",
    );
    for name in ["claude", "own"] {
        let path = folder.write(name, "#!/bin/sh\nenv | grep -o '^[A-Z_]*_KEY' | sort\n");
        executable(&path);
    }
    let keys = [("ANTHROPIC_API_KEY", "k-1"), ("OPENAI_API_KEY", "k-2"), ("LAB_KEY", "k-3")];
    let ran = folder.run_with(&keys, &["run", "plan.yaml", "--json"]).expect_code(0);
    let outcomes = outcomes(&crate::support::parse_lines(&ran.out));
    assert_eq!(outcomes["a"]["output"]["text"], "ANTHROPIC_API_KEY");
    assert_eq!(outcomes["b"]["output"]["text"], "LAB_KEY");
}

/// Each known program, played by a script that prints what the real one printed.
#[test]
fn a_known_program_is_judged_by_what_it_says() {
    let recorded = |name: &str| {
        let path = crate::support::repository().join("tests/fixtures/programs").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let cases = [
        ("claude", "claude/tool-stream", 0, "ok", ""),
        ("claude", "claude/err-ERR401-json", 1, "failed", "unauthorized"),
        ("claude", "claude/maxturns-json", 1, "failed", "agent_failed"),
        ("claude", "claude/signal-INT", 0, "invalid_output", "unreadable_output"),
        ("codex", "codex/tool-json", 0, "ok", ""),
        ("codex", "codex/err-ERR401-json", 1, "failed", "unauthorized"),
        ("gemini", "gemini/tool-stream", 0, "ok", ""),
        ("gemini", "gemini/err-ERR401-stream", 145, "failed", "unauthorized"),
        ("opencode", "opencode/tool-json", 0, "ok", ""),
        ("opencode", "opencode/err-ERR401-json", 1, "failed", "unauthorized"),
    ];
    for (program, file, exit, status, code) in cases {
        let folder = Folder::with_plan(&format!(
            "agents: {{ it: {{ command: {program} }} }}\ncalls: {{ a: {{ prompt: hello, agent: it, retries: 0 }} }}\n"
        ));
        folder.write("out", &recorded(&format!("{file}.out")));
        // It has to read the prompt, and to be started with its own flags.
        let script = "#!/bin/sh\necho \"$@\" > arguments; cat > prompt; cat out; exit ";
        executable(&folder.write(&format!("bin/{program}"), &format!("{script}{exit}\n")));
        let path = format!("{}:{}", folder.path().join("bin").display(), std::env::var("PATH").unwrap());
        let ran = folder.run_with(&[("PATH", &path)], &["run", "plan.yaml", "--json"]);
        let outcome = outcomes(&crate::support::parse_lines(&ran.out)).remove("a").unwrap();
        assert_eq!(outcome["status"], status, "{file}: {outcome}");
        if status == "ok" {
            assert_eq!(outcome["output"]["text"], "The secret word is ALBATROSS.", "{file}");
            assert!(outcome["usage"]["input"].as_u64().unwrap() >= 222, "{outcome}");
        } else {
            assert_eq!(outcome["cause"]["code"], code, "{file}: {outcome}");
        }
        assert_eq!(folder.read("prompt"), "hello", "{file}");
        assert!(!folder.read("arguments").contains("hello"), "the prompt is no argument");
    }
}

#[cfg(unix)]
fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn programs_that_report_a_rate_limit_wait_together_and_one_goes_first() {
    // The first six are turned away, whenever they come.
    let script = "echo begin >> log
if [ \"$(grep -c begin log)\" -le 6 ]; then sleep 0.3; echo turned away; exit 1; fi
sleep 0.3; echo end >> log; echo fine";
    let folder = Folder::with_plan(
        "agents: { it: { command: [sh, it.sh], input: arg, patterns: { rate_limited: turned away } } }
calls: { a: { prompt: hello, agent: it, samples: 6, retries: 0 } }
",
    );
    folder.write("it.sh", script);
    let (events, ran) = folder.events(&[]);
    ran.expect_code(0);
    assert!(outcomes(&events).values().all(|outcome| outcome["output"]["text"] == "fine"));
    let log = folder.read("log");
    let after: Vec<&str> = log.lines().skip(6).collect();
    assert_eq!(after.iter().filter(|line| **line == "begin").count(), 6, "{log}");
    assert_eq!(after[..2], ["begin", "end"], "one goes first, and the others when it was answered: {log}");
    let waits = |event: &serde_json::Value| event["type"] == "call_waiting" && event["on"] == "sh";
    assert!(events.iter().any(waits), "nobody hears that it waits");
}
