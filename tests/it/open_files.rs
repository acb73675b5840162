//! As many calls at once as the plan says, however few files a shell lets its programs open.

use std::process::Command;

use crate::provider::{Provider, Script, ms};
use crate::support::{Folder, Ran, outcomes, parse_lines};

/// So many requests to models, all at once, and a command that says what it may open.
fn plan(provider: &Provider, calls: usize) -> Folder {
    let url = provider.base_url();
    Folder::with_plan(&format!(
        "providers: {{ lab: {{ api: openai-chat, base_url: '{url}', rate: {{ concurrency: 500 }} }} }}\n\
         agents: {{ a: {{ model: lab/tiny, tools: [] }} }}\n\
         limits: {{ concurrency: 500 }}\n\
         calls:\n  many: {{ prompt: hello, agent: a, samples: {calls}, retries: 0, needs: [limit] }}\n  \
         limit: {{ run: ulimit -Sn }}\n"
    ))
}

/// The program, under limits of a shell.
fn under(limits: &str, folder: &Folder, args: &[&str]) -> Ran {
    let program = folder.fanout(args);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit {limits} && exec \"$0\" \"$@\"")]).arg(program.get_program());
    shell.args(program.get_args()).current_dir(folder.path());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Ran::of(shell.output().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_low_soft_limit_holds_up_no_call_and_programs_keep_it() {
    let provider = Provider::start();
    provider.on("hello", Script::text("done").delay(ms(300)));
    let folder = plan(&provider, 400);
    let ran = under("-Sn 300", &folder, &["run", "plan.yaml", "--json"]).expect_code(0);
    let events = parse_lines(&ran.out);
    let ends = outcomes(&events);
    assert_eq!(ends["limit"]["output"]["text"], "300", "{:?}", ends["limit"]);
    assert_eq!(provider.count(), 400);
    assert!(!ran.out.contains("open_files"), "{}", ran.out);
}

#[test]
fn a_low_hard_limit_holds_up_calls_instead_of_failing_them_and_is_told() {
    let provider = Provider::start();
    provider.on("hello", Script::text("done").delay(ms(20)));
    let folder = plan(&provider, 200);
    let ran = under("-n 192", &folder, &["run", "plan.yaml", "--json"]).expect_code(0);
    let warned: Vec<_> =
        parse_lines(&ran.out).into_iter().filter(|event| event["code"] == "open_files").collect();
    assert_eq!(warned.len(), 1, "{warned:?}");
    let message = warned[0]["message"].as_str().unwrap();
    assert!(message.contains("192 files open") && message.contains("no more than 8"), "{message}");
    assert_eq!(provider.count(), 200);
    let doctor = under("-n 192", &folder, &["doctor", "plan.yaml"]).expect_code(0);
    assert!(doctor.out.contains("room for 8 calls at once of 500"), "{}", doctor.out);
    assert!(doctor.out.contains("ulimit -Hn"), "{}", doctor.out);
}
