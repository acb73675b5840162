//! `--help`, the pages under `docs/` and the code say the same.

use clap::CommandFactory;
use fanout::cli::{args::Cli, exit};

use crate::support::{Folder, repository};

fn page(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).unwrap()
}

#[test]
fn the_page_of_exit_statuses_and_the_help_show_the_table() {
    let rows: Vec<String> =
        exit::TABLE.iter().map(|(code, meaning)| format!("| {code} | {meaning} |")).collect();
    let page = page("docs/exit-codes.md");
    let told: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| status")).collect();
    let told: Vec<&str> = told.into_iter().filter(|line| !line.starts_with("| ---")).collect();
    assert_eq!(told, rows);
    let help = Folder::new().run(&["--help"]).expect_code(0).out;
    for (code, meaning) in exit::TABLE {
        // The help wraps where the terminal ends, so the beginning has to do.
        let start: String = meaning.chars().take(30).collect();
        assert!(help.contains(&start), "{code} is missing:\n{help}");
    }
}

#[test]
fn every_subcommand_is_in_readme_and_in_the_help() {
    let readme = page("README.md");
    let help = Folder::new().run(&["--help"]).expect_code(0).out;
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        assert!(
            readme.contains(&format!("fanout {name}")) || readme.contains(&format!("`{name}`")),
            "README: {name}"
        );
        assert!(help.contains(name), "{name}:\n{help}");
        assert!(command.get_about().is_some(), "{name} says nothing of itself");
    }
}

#[test]
fn what_readme_shows_of_a_run_is_what_a_run_shows() {
    let readme = page("README.md");
    let mut blocks = readme.split("```text\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    for plan in ["plans/merge-findings.yaml", "plans/vote.yaml"] {
        let plan = repository().join(plan);
        let ran = Folder::new().run_with(&[("COLUMNS", "80")], &["run", plan.to_str().unwrap()]);
        let shown = ran.out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        let block = blocks.next().expect("README shows it");
        assert!(shown.contains(block), "{block}\n\nis not in\n\n{shown}");
    }
    assert_eq!(blocks.next(), None);
}

#[test]
fn every_option_says_what_it_does() {
    let mut open: Vec<clap::Command> = vec![Cli::command()];
    while let Some(command) = open.pop() {
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let built_in = ["help", "version"].contains(&argument.get_id().as_str());
            assert!(
                built_in || argument.get_help().is_some(),
                "{}: {}",
                command.get_name(),
                argument.get_id()
            );
        }
        open.extend(command.get_subcommands().filter(|inner| !inner.is_hide_set()).cloned());
    }
}

#[test]
fn completions_come_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(Folder::new().run(&["completions", shell]).expect_code(0).out.contains("fanout"));
    }
}

#[test]
fn every_key_of_a_call_and_of_a_plan_is_in_the_page_and_in_the_schema() {
    let page = page("docs/plan-language.md");
    let schema: serde_json::Value = serde_json::from_str(&Folder::new().run(&["schema"]).out).unwrap();
    let top: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert!(top.len() >= 15, "{top:?}");
    for key in top {
        assert!(page.contains(&format!("`{key}")), "the page does not name `{key}`");
    }
    let call = schema["$defs"]
        .as_object()
        .unwrap()
        .values()
        .find(|shape| {
            shape["properties"].get("prompt").is_some() && shape["properties"].get("needs").is_some()
        })
        .unwrap();
    for key in call["properties"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{key}")), "the page does not name `{key}`");
    }
}

#[test]
fn every_dependency_has_its_line() {
    let manifest = page("Cargo.toml");
    let told = page("docs/dependencies.md");
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.contains("dependencies")
            && let Some((name, _)) = line.split_once(" = ")
        {
            assert!(told.contains(name), "docs/dependencies.md does not say why `{name}` is there");
        }
    }
}

#[test]
fn every_fault_names_tests_that_exist() {
    let page = page("docs/faults.md");
    let (mut faults, mut missing) = (Vec::new(), Vec::new());
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        if row.starts_with("| ---") || row.starts_with("| | ") {
            continue;
        }
        let id = row.trim_start_matches("| ").split(' ').next().unwrap();
        let shown_by = row.rsplit(" | ").next().unwrap();
        let mut tests = 0;
        for link in shown_by.split('[').skip(1) {
            let (name, rest) = link.split_once("](../").unwrap();
            let path = rest.split(')').next().unwrap();
            let source = std::fs::read_to_string(repository().join(path)).unwrap_or_default();
            if !source.contains(&format!("fn {name}(")) {
                missing.push(format!("{id}: {name} in {path}"));
            }
            tests += 1;
        }
        if tests == 0 {
            missing.push(format!("{id}: no test"));
        }
        faults.push(id);
    }
    assert_eq!(missing, [""; 0]);
    let mut unique = faults.clone();
    unique.dedup();
    assert_eq!(unique, faults, "a fault has one number");
    assert!(faults.len() >= 60, "{} faults", faults.len());
    for section in ["## Network", "## Streams", "## Gates and budgets", "## Processes"] {
        assert!(page.contains(section), "{section}");
    }
}
