//! What CI reads is valid by its readers' own schemas, as `tests/setup/run` gets them, also where
//! models wrote whatever they liked.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::Folder;

/// A file that `tests/setup/run` has put there.
fn installed(path: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/setup").join(path);
    if file.exists() {
        return Some(file);
    }
    // Past the harness, which keeps what a test that passes prints to itself.
    let line = format!("SKIPPED: {} is not there; run tests/setup/run\n", file.display());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

/// A run with every outcome that commands have, and texts that would be markup, commands or controls.
fn hostile() -> Folder {
    let nasty = "]]>&<x a=\"b\">\\033[31m\\001\\0\\377::error::x\\r##[group]y \\342\\200\\256txet";
    let finding = r#"[{"file":"../x\u0000<&\"","line":3,"message":"]]></x>\u001b[0m\u202e","severity":"HIGH","rule":"a b]]>"},
        {"file":"src/ä b.rs","line":7,"endLine":9,"column":2,"message":"fine","severity":"nit"},
        {"file":"src/c.rs","line":"12","message":"","severity":null}]"#;
    let folder = Folder::with_plan(
        "name: \"hostile ]]> <&\\\"\"\ndescription: \"\\e[2J <b>\"\ncalls:\n  \
         good: { description: '<b>]]>', run: sh nasty.sh }\n  \
         bad: { run: 'sh nasty.sh >&2; exit 3', retries: 1 }\n  \
         late: { run: sleep 30, timeout: 200ms }\n  \
         after: { needs: [bad], run: echo never }\n  \
         each: { for_each: ['<a>', '\"]]>'], run: [printf, '%s', '{{ item }}'], check: 'true' }\n  \
         found: { run: cat findings.json, output: { format: json } }\n\
         reconcile: { strategy: merge, of: [found] }\n",
    );
    folder.write("nasty.sh", &format!("printf '{nasty}'"));
    folder.write("findings.json", finding);
    let ran = folder.run(&["run", "plan.yaml"]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    folder
}

#[test]
fn results_are_valid_by_their_own_schema() {
    let folder = hostile();
    let schema: Value =
        serde_json::from_str(&folder.run(&["schema", "--result"]).expect_code(0).out).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let result = folder.run(&["show", "-o", "json"]).expect_code(0).out;
    let result: Value = serde_json::from_str(&result).unwrap();
    let errors: Vec<String> = validator.iter_errors(&result).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(result["calls"].as_array().is_some_and(|calls| calls.len() == 6), "{result:#}");
}

/// The files of `fanout init --ci`, in a repository where one of them is included.
fn workflows() -> Folder {
    let folder = Folder::new();
    folder.run(&["init", "--ci", "github", "plans/audit.yaml"]).expect_code(0);
    folder.run(&["init", "--ci", "gitlab", "plans/audit.yaml"]).expect_code(0);
    folder
}

#[test]
fn workflows_for_ci_are_valid_by_the_schemas_of_github_and_gitlab() {
    let Some(check) = installed("python/bin/check-jsonschema") else { return };
    let folder = workflows();
    for (schema, file) in [
        ("vendor.github-workflows", ".github/workflows/fanout.yml"),
        ("vendor.gitlab-ci", ".gitlab-ci.fanout.yml"),
    ] {
        let check = |file: &str| {
            let mut command = Command::new(&check);
            command.args(["--builtin-schema", schema]).current_dir(folder.path());
            if schema == "vendor.gitlab-ci" {
                command.args(["--data-transform", "gitlab-ci"]);
            }
            let out = command.arg(file).output().unwrap();
            (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
        };
        let (valid, said) = check(file);
        assert!(valid, "{file}: {said}");
        folder.write("wrong.yml", &folder.read(file).replace("timeout", "timeoutt"));
        assert!(!check("wrong.yml").0, "{schema} sees nothing");
    }
}

#[test]
fn junit_is_valid_by_the_schema_of_jenkins() {
    let (Some(python), Some(schema)) =
        (installed("python/bin/python"), installed("schemas/jenkins-junit-10.xsd"))
    else {
        return;
    };
    let folder = hostile();
    folder.run(&["report", "-f", "junit", "-o", "junit.xml"]).expect_code(0);
    let program = "import sys; from lxml import etree\n\
        schema = etree.XMLSchema(etree.parse(sys.argv[1]))\n\
        schema.assertValid(etree.parse(sys.argv[2]))\n\
        print(len(etree.parse(sys.argv[2]).findall('.//testcase')))";
    let file = folder.path().join("junit.xml");
    let out = Command::new(python).args(["-c", program]).arg(schema).arg(&file).output().unwrap();
    let (said, error) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{error}\n{}", folder.read("junit.xml"));
    assert!(said.trim().parse::<u32>().unwrap() >= 9, "{said}");
}

#[test]
fn sarif_is_valid_by_the_schema_of_oasis() {
    let path = "node/node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json";
    let Some(schema) = installed(path) else { return };
    let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    // Its own pattern for this field is no regular expression: a bracket closes that none opened.
    for part in ["run", "toolComponent"] {
        schema["definitions"][part]["properties"]["language"].as_object_mut().unwrap().remove("pattern");
    }
    let validator = jsonschema::options().build(&schema).unwrap();
    let folder = hostile();
    let sarif: Value =
        serde_json::from_str(&folder.run(&["report", "-f", "sarif"]).expect_code(0).out).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&sarif).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{sarif:#}");
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 3, "{sarif:#}");
}
