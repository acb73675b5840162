//! `fanout doctor`: what is usable here, told without a value of any key.

use std::path::Path;

use serde_json::Value;

use crate::provider::Provider;
use crate::support::{Folder, Ran};

/// Runs it where the only programs are those in `bin`.
fn doctor(folder: &Folder, env: &[(&str, &str)], args: &[&str]) -> Ran {
    let bin = folder.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let bin = bin.to_string_lossy().into_owned();
    let mut all = vec![("PATH", bin.as_str()), ("OLLAMA_HOST", "127.0.0.1:1")];
    all.extend_from_slice(env);
    folder.run_with(&all, &[&["doctor"], args].concat())
}

fn program(folder: &Folder, name: &str, script: &str) {
    let path = folder.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
    executable(&path);
}

#[cfg(unix)]
fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn found<'a>(report: &'a Value, kind: &str, name: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|it| it["kind"] == kind && it["name"] == name)
        .unwrap_or_else(|| panic!("{kind} {name}"))
}

#[test]
fn nobody_who_could_answer_is_exit_status_6_with_what_to_do() {
    let folder = Folder::new();
    let ran = doctor(&folder, &[], &[]).expect_code(6);
    assert!(ran.out.contains("npm install -g @anthropic-ai/claude-code"), "{}", ran.out);
    assert!(ran.out.contains("ANTHROPIC_API_KEY is not set"), "{}", ran.out);
    assert!(ran.out.contains("there is nobody to answer a prompt"), "{}", ran.out);
}

#[test]
fn programs_are_found_with_their_version_and_keys_are_told_by_name() {
    let folder = Folder::new();
    program(&folder, "claude", "echo '2.1.329 (Claude Code)'");
    program(&folder, "codex", "echo 'its runtime is missing' >&2; exit 1");
    let ran = doctor(&folder, &[("ANTHROPIC_API_KEY", "sk-very-secret")], &["--json"]).expect_code(0);
    assert!(!ran.out.contains("very-secret") && !ran.err.contains("very-secret"));
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["usable"], true);
    let claude = found(&report, "program", "claude");
    assert!(
        claude["usable"] == true && claude["detail"].as_str().unwrap().starts_with("2.1.329 (Claude Code)")
    );
    let codex = found(&report, "program", "codex");
    assert!(
        codex["usable"] == false && codex["detail"].as_str().unwrap().starts_with("its runtime is missing")
    );
    assert_eq!(found(&report, "key", "ANTHROPIC_API_KEY")["detail"], "set; for claude");
    assert_eq!(found(&report, "key", "OPENAI_API_KEY")["usable"], false);
    assert_eq!(found(&report, "state", "state")["usable"], true);
    assert_eq!(found(&report, "git", "git")["usable"], false);
}

#[test]
fn with_a_plan_only_what_it_needs_is_looked_at() {
    let provider = Provider::start();
    let folder = Folder::with_plan(&format!(
        "providers:\n  lab: {{ api: openai-chat, base_url: '{}', api_key_env: LAB_KEY }}\n\
         agents: {{ own: {{ command: [./own] }} }}\n\
         calls: {{ a: {{ prompt: x, agent: {{ model: lab/m }} }}, b: {{ prompt: x, agent: own }} }}\n",
        provider.base_url()
    ));
    let ran = doctor(&folder, &[], &["plan.yaml"]).expect_code(6);
    assert!(
        ran.out.contains("the plan needs what is not usable here: program `./own`, provider `lab`"),
        "{}",
        ran.out
    );
    executable(&folder.write("own", "#!/bin/sh\ncat\n"));
    let ran = doctor(&folder, &[("LAB_KEY", "k")], &["plan.yaml", "--json"]).expect_code(0);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let names: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["./own", "lab", "state"]);
    assert_eq!(provider.count(), 0, "nothing is sent");
}

#[test]
fn of_models_that_stand_in_for_each_other_one_is_enough() {
    let provider = Provider::start();
    let plan = |first: &str| {
        Folder::with_plan(&format!(
            "providers:\n  here: {{ api: openai-chat, base_url: '{}' }}\n  gone: {{ api: openai-chat, base_url: 'http://127.0.0.1:1/v1' }}\n\
             calls: {{ a: {{ prompt: x, agent: {{ model: [{first}, gone/m] }} }} }}\n",
            provider.base_url()
        ))
    };
    doctor(&plan("here/m"), &[], &["plan.yaml"]).expect_code(0);
    doctor(&plan("gone/n"), &[], &["plan.yaml"]).expect_code(6);
}
