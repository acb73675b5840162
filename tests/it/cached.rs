//! Results that outlive their run: what is taken over, what is not, and how it is seen.

use serde_json::Value;

use crate::support::{Folder, outcomes};

const PLAN: &str = r#"
vars: { topic: sites }
calls:
  search: { run: "echo search >> effects; echo {{ vars.topic }} $(cat src/*.txt)", cache: { inputs: "src/*.txt" } }
  plain:  { run: "echo plain >> effects; echo plain", cache: true }
  never:  { run: "echo never >> effects; echo never" }
  bad:    { run: "echo bad >> effects; exit 3", cache: true, on_error: ignore, retries: 0 }
"#;

fn folder() -> Folder {
    let folder = Folder::with_plan(PLAN);
    folder.write("src/a.txt", "one");
    folder
}

fn effects(folder: &Folder) -> Vec<String> {
    let mut lines: Vec<String> = folder.read("effects").lines().map(str::to_owned).collect();
    std::fs::remove_file(folder.path().join("effects")).unwrap();
    lines.sort();
    lines
}

fn run(folder: &Folder, more: &[&str]) -> std::collections::HashMap<String, Value> {
    outcomes(&folder.events(more).0)
}

#[test]
fn only_a_cached_success_with_the_same_content_and_files_is_taken_over() {
    let folder = folder();
    run(&folder, &[]);
    assert_eq!(effects(&folder), ["bad", "never", "plain", "search"]);
    let again = run(&folder, &[]);
    assert_eq!(effects(&folder), ["bad", "never"]);
    let listed: Value = serde_json::from_str(&folder.run(&["list", "--json"]).out).unwrap();
    let first = listed[1]["run"].clone();
    assert_eq!(again["search"]["cached_from"], first);
    assert_eq!(again["search"]["output"]["text"], "sites one");
    assert!(again["never"].get("cached_from").is_none());

    folder.write("src/a.txt", "two");
    assert_eq!(run(&folder, &[])["search"]["output"]["text"], "sites two");
    assert_eq!(effects(&folder), ["bad", "never", "search"]);
    assert_eq!(run(&folder, &["--var", "topic=flags"])["search"]["output"]["text"], "flags two");
    assert_eq!(effects(&folder), ["bad", "never", "search"]);
}

#[test]
fn a_hit_is_seen_as_one_and_writes_the_file_that_the_call_names() {
    let folder = Folder::with_plan(
        "calls:\n  a: { description: The sites, run: \"echo 1\", cache: true, output: { file: out/a.txt } }\n",
    );
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    std::fs::remove_file(folder.path().join("out/a.txt")).unwrap();
    let ran = folder.run(&["run", "plan.yaml"]).expect_code(0);
    assert!(ran.err.contains("cached from="), "{}", ran.err);
    assert!(ran.out.contains("cached, from"), "{}", ran.out);
    assert_eq!(folder.read("out/a.txt").trim_end(), "1");
    let result: Value = serde_json::from_str(&folder.run(&["show", "-o", "json"]).out).unwrap();
    assert!(result["calls"][0]["cached_from"].is_string(), "{result:#}");
}

#[test]
fn the_switch_on_the_command_line_neither_takes_nor_keeps() {
    let folder = folder();
    run(&folder, &["--no-cache"]);
    assert!(folder.run(&["cache"]).expect_code(0).out.is_empty());
    run(&folder, &[]);
    run(&folder, &["--no-cache"]);
    assert_eq!(effects(&folder).iter().filter(|effect| *effect == "plain").count(), 3);
}

#[test]
fn the_cache_is_listed_and_cleared_by_name_age_or_as_a_whole() {
    let folder = folder();
    run(&folder, &[]);
    let listed: Value = serde_json::from_str(&folder.run(&["cache", "--json"]).out).unwrap();
    let mut calls: Vec<&str> =
        listed.as_array().unwrap().iter().map(|e| e["call"].as_str().unwrap()).collect();
    calls.sort_unstable();
    assert_eq!(calls, ["plain", "search"]);
    let text = folder.run(&["cache"]).out;
    assert!(text.contains("plain") && text.contains("2 results"), "{text}");

    let wrong = folder.run(&["cache", "clear", "plane"]).expect_code(2);
    assert!(wrong.err.contains("no entry `plane`"), "{}", wrong.err);
    assert!(folder.run(&["cache", "clear", "--older-than", "1h"]).expect_code(0).err.contains("0 results"));
    assert!(folder.run(&["cache", "clear", "plain"]).expect_code(0).err.contains("1 result,"));
    let key =
        listed.as_array().unwrap().iter().find(|e| e["call"] == "search").unwrap()["key"].as_str().unwrap();
    folder.run(&["cache", "clear", &key[..8]]).expect_code(0);
    assert!(folder.run(&["cache"]).out.is_empty());
}

#[test]
fn a_damaged_entry_is_named_and_the_work_is_done_again() {
    let folder = Folder::with_plan("calls:\n  a: { run: \"echo a >> effects; echo 1\", cache: true }\n");
    run(&folder, &[]);
    let listed: Value = serde_json::from_str(&folder.run(&["cache", "--json"]).out).unwrap();
    std::fs::write(folder.path().join(listed[0]["path"].as_str().unwrap()), "{}\n{}").unwrap();
    assert!(folder.run(&["cache"]).out.contains("damaged"));
    run(&folder, &[]);
    assert_eq!(effects(&folder), ["a", "a"]);
    run(&folder, &[]);
    assert!(!folder.path().join("effects").exists(), "the good entry took the place of the damaged one");
}

#[test]
fn inputs_that_lead_out_of_the_folder_and_a_cache_on_what_is_never_repeated_are_refused() {
    for (plan, words) in [
        ("calls: { a: { run: x, cache: { inputs: \"../**\" } } }", "leads out of"),
        ("calls: { a: { value: \"1\", cache: true } }", "`cache` means nothing"),
        ("calls: { a: { run: x, cache: true, isolation: worktree } }", "`a` works in a worktree of its own"),
        ("calls: { a: { run: x, cache: { inputs: [x] }, isolation: clone } }", "not known to the cache"),
    ] {
        let ran = Folder::with_plan(plan).run(&["validate", "plan.yaml"]).expect_code(2);
        assert!(ran.err.contains(words), "{}", ran.err);
    }
}
