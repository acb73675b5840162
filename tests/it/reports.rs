//! What a run leaves for people to look at and for CI to read.

use serde_json::Value;

use crate::support::Folder;

const PLAN: &str = r#"
name: reported
calls:
  good: { description: The good one, run: "printf '<script>alert(1)</script>]]>'", check: "true" }
  bad: { description: The bad one, run: "echo '::error::forged' >&2; exit 3" }
  late: { description: Needs the bad one, needs: [bad], run: echo never }
report: { html: out/report.html, junit: out/junit.xml, sarif: out/report.sarif, markdown: out/report.md, json: out/report.json }
"#;

#[test]
fn the_files_that_a_plan_names_are_there_and_are_the_same_later() {
    let folder = Folder::with_plan(PLAN);
    folder.run(&["run", "plan.yaml"]).expect_code(1);
    let formats = [
        ("html", "report.html"),
        ("junit", "junit.xml"),
        ("sarif", "report.sarif"),
        ("markdown", "report.md"),
        ("json", "report.json"),
    ];
    for (format, file) in formats {
        let written = folder.read(&format!("out/{file}"));
        assert!(written.contains("reported"), "{format}: {written}");
        assert!(
            !written.contains("<script>alert") || matches!(format, "markdown" | "json"),
            "{format}: {written}"
        );
        let later = folder.run(&["report", "last", "--format", format]).expect_code(0);
        assert_eq!(later.out, written, "{format}");
    }
    let junit = folder.read("out/junit.xml");
    assert!(junit.contains("tests=\"5\" failures=\"2\" errors=\"0\""), "{junit}");
    let sarif: Value = serde_json::from_str(&folder.read("out/report.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["invocations"][0]["exitCode"], 1);
}

#[test]
fn a_report_goes_to_the_file_that_is_asked_for() {
    let folder = Folder::with_plan("name: one\ncalls: { a: { run: echo x } }\n");
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    let ran = folder.run(&["report", "-o", "deep/page.html"]).expect_code(0);
    assert_eq!(ran.out, "");
    assert!(folder.read("deep/page.html").starts_with("<!DOCTYPE html>"));
    folder.run(&["report", "nothing-like-it"]).expect_code(2);
}

#[test]
fn under_github_actions_there_are_annotations_and_a_summary_and_no_forged_command() {
    let folder = Folder::with_plan(PLAN);
    let summary = folder.path().join("summary.md");
    let env = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    let ran = folder.run_with(&env, &["run", "plan.yaml"]).expect_code(1);
    let all = format!("{}\n{}", ran.out, ran.err);
    let commands: Vec<&str> = all.lines().filter(|line| line.trim_start().starts_with("::")).collect();
    assert!(
        commands.iter().any(|line| line.starts_with("::error file=plan.yaml,title=bad failed::")),
        "{all}"
    );
    assert!(!commands.iter().any(|line| line.contains("forged")), "{all}");
    assert!(folder.read("summary.md").contains("# reported"));
    let plain = folder.run(&["run", "plan.yaml"]).expect_code(1);
    assert!(!plain.err.contains("::error"), "{}", plain.err);
}

#[test]
fn a_secret_is_on_no_surface_in_any_encoding() {
    let canary = "sk-canary-7Q9x+/Zz-4242";
    let plan = "\
name: leaky
vars: { given: none }
calls:
  plain: { run: \"echo key $LAB_API_KEY; echo $LAB_API_KEY >&2\", env: { LAB_API_KEY: '{{ env.LAB_API_KEY }}' } }
  coded: { run: \"printf %s $LAB_API_KEY | base64; printf x%s $LAB_API_KEY | base64 -w 8; printf %s $LAB_API_KEY | od -An -tx1 | tr -d ' \\\\n'; printf %s $LAB_API_KEY | rev; exit 1\", env: { LAB_API_KEY: '{{ env.LAB_API_KEY }}' } }
  told: { run: \"echo {{ vars.given }}\", description: uses a key }
report: { html: out/report.html, junit: out/junit.xml, sarif: out/report.sarif, markdown: out/report.md, json: out/report.json }
";
    let folder = Folder::with_plan(plan);
    let env = [("LAB_API_KEY", canary)];
    let ran =
        folder.run_with(&env, &["run", "plan.yaml", "--var", &format!("given={canary}")]).expect_code(1);
    let mut surfaces = vec![ran.out, ran.err];
    for args in [
        &["show"][..],
        &["show", "--json"],
        &["show", "-o", "json"],
        &["show", "last", "plain"],
        &["show", "last", "coded", "--raw"],
        &["report", "-f", "comment"],
    ] {
        let ran = folder.run_with(&env, args).expect_code(0);
        surfaces.extend([ran.out, ran.err]);
    }
    for file in ["report.html", "junit.xml", "report.sarif", "report.md", "report.json"] {
        surfaces.push(folder.read(&format!("out/{file}")));
    }
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let reversed: String = canary.chars().rev().collect();
    for surface in &surfaces {
        // What `base64` makes of the middle of the canary, with nothing before it and with one byte before it.
        let joined = surface.replace(['\n', ' '], "");
        for form in [canary, &hex, &reversed, "c2stY2FuYXJ5LTdROX", "xNrLWNhbmFyeS03UTl4"] {
            assert!(!surface.contains(form) && !joined.contains(form), "{form} in {surface}");
        }
    }
    assert!(surfaces[0].contains("[secret:LAB_API_KEY]"), "{}", surfaces[0]);
}

#[test]
fn a_workflow_for_ci_names_the_plan_and_is_yaml() {
    let folder = Folder::new();
    folder.run(&["init", "--ci", "github", "plans/audit.yaml"]).expect_code(0);
    folder.run(&["init", "--ci", "gitlab", "plans/audit.yaml"]).expect_code(0);
    for file in [".github/workflows/fanout.yml", ".gitlab-ci.fanout.yml"] {
        let text = folder.read(file);
        assert!(text.contains("fanout run 'plans/audit.yaml'") && text.contains("fanout resume"), "{text}");
        assert!(!text.contains('@') || !text.contains("@PLAN@") && !text.contains("@VERSION@"), "{text}");
        let value: Value = fanout_yaml(&text);
        assert!(value.is_object(), "{file}");
    }
    let github: Value = fanout_yaml(&folder.read(".github/workflows/fanout.yml"));
    assert_eq!(github["permissions"], serde_json::json!({}));
    assert_eq!(github["jobs"]["fanout"]["permissions"]["contents"], "read");
    folder.run(&["init", "--ci", "github"]).expect_code(2);
    folder.run(&["init", "--ci", "github", "--force", "a';rm -rf x;'.yaml"]).expect_code(2);
}

fn fanout_yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}
