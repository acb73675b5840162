//! One key in many places and many encodings: on no surface that a run leaves.
//!
//! The journal itself is no such surface: it keeps outputs as they are (docs/journal.md).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::provider::{Provider, Script};
use crate::support::Folder;

const CANARY: &str = "sk-canary/7Q9x+Zz\"42\\42%_wörds-0815";

/// The key in every form that counts, with the form's name.
fn forms() -> Vec<(&'static str, String)> {
    let bytes = CANARY.as_bytes();
    let apart =
        |between: &str| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between);
    let hex = apart("");
    let sixteen = |bytes: fn(u16) -> [u8; 2]| CANARY.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let percent: String = bytes.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    });
    let json = serde_json::to_string(CANARY).unwrap();
    // The key in a longer text that is encoded.
    let inside = |before: &str| STANDARD.encode(format!("{before}{CANARY}"));
    vec![
        ("plain", CANARY.to_owned()),
        ("base64", STANDARD.encode(bytes)),
        ("base64url", URL_SAFE_NO_PAD.encode(bytes)),
        ("base64, one byte in", inside("x")),
        ("base64, two bytes in", inside("xy")),
        ("hex", hex.clone()),
        ("HEX", hex.to_uppercase()),
        ("HeX", hex.replace('a', "A").replace('c', "C")),
        ("hex with colons", apart(":")),
        ("hex with dashes", apart("-").to_uppercase()),
        ("hex with spaces", apart(" ")),
        ("hex of UTF-16", sixteen(u16::to_be_bytes).iter().map(|byte| format!("{byte:02x}")).collect()),
        ("base64 of UTF-16, the low byte first", STANDARD.encode(sixteen(u16::to_le_bytes))),
        ("base64 of UTF-16, the high byte first", STANDARD.encode(sixteen(u16::to_be_bytes))),
        ("percent", percent),
        ("json", json.trim_matches('"').to_owned()),
        ("reversed", CANARY.chars().rev().collect()),
    ]
}

#[track_caller]
fn assert_clean(name: &str, surface: &str) {
    // Lines may have been wrapped or broken anywhere.
    let joined: String = surface.chars().filter(|c| !c.is_whitespace()).collect();
    for (form, text) in forms() {
        // White space that is part of a form is not in what was joined.
        let without: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        for (how, surface) in [("", surface), (" (joined)", &joined)] {
            // Of the key in a longer text, the groups at its ends belong to both.
            let text = if how.is_empty() { text.as_str() } else { without.as_str() };
            let text = if form.ends_with(" in") { &text[4..text.len() - 4] } else { text };
            if let Some(at) = surface.find(text) {
                let from = surface.floor_char_boundary(at.saturating_sub(80));
                panic!("{name}: the key as {form}{how} in …{}", &surface[from..at + text.len()]);
            }
        }
    }
}

#[test]
fn a_key_in_fifty_places_and_every_form_is_on_no_surface() {
    let provider = Provider::start();
    let all = forms().iter().map(|(_, form)| form.as_str()).collect::<Vec<_>>().join("\n");
    // Split where the stream is cut, too.
    provider.on("say it", Script::text(format!("I found {all}.")).pieces(97));
    provider.on("fail with it", Script::error(400, "invalid_request_error", &format!("bad key {CANARY}")));
    let values: Vec<String> = forms().into_iter().map(|(_, form)| form).collect();
    let keyed: serde_json::Map<String, serde_json::Value> =
        values.iter().enumerate().map(|(n, form)| (form.clone(), n.into())).collect();
    let finding = serde_json::json!([{ "file": format!("src/{CANARY}.rs"), "line": 3, "message": all, "rule": CANARY, "severity": "high" }]);
    let folder = Folder::with_plan(&format!(
        r#"
name: leaky
goal: "keep {{{{ vars.given }}}} to yourself"
vars: {{ given: none, items: [] }}
providers:
  lab: {{ api: anthropic, base_url: "{url}", api_key_env: LAB_API_KEY }}
agents:
  lab: {{ model: lab/alpha, system: "the key is {{{{ vars.given }}}}" }}
defaults: {{ agent: lab }}
notify: {{ command: 'cat >> told', on: [run, background, conflict] }}
calls:
  out: {{ run: cat forms.txt }}
  err: {{ run: "cat forms.txt >&2; exit 3", on_error: ignore }}
  env: {{ run: 'printf "%s" "$LAB_API_KEY$OWN"', env: {{ OWN: "{{{{ vars.given }}}}", LAB_API_KEY: "{{{{ env.LAB_API_KEY }}}}" }} }}
  wrapped: {{ run: 'printf %s "$LAB_API_KEY" | base64 -w 8; printf %s "$LAB_API_KEY" | od -An -tx1; printf %s "$LAB_API_KEY" | od -An -tx1 | tr a-f A-F; printf %s "$LAB_API_KEY" | iconv -t UTF-16LE | base64', env: {{ LAB_API_KEY: "{{{{ env.LAB_API_KEY }}}}" }} }}
  json: {{ run: cat forms.json, output: {{ format: json }} }}
  keys: {{ run: cat keys.json, output: {{ format: json }} }}
  each: {{ for_each: "{{{{ vars.items }}}}", run: [printf, '%s', "{{{{ item }}}}"] }}
  said: {{ prompt: "say it: {{{{ vars.given }}}}" }}
  refused: {{ prompt: "fail with it: {{{{ vars.given }}}}", on_error: ignore }}
  job: {{ background: true, run: cat forms.txt }}
  asked: {{ ask: "Is it {{{{ vars.given }}}}?", default: "{canary_yaml}" }}
  found: {{ run: cat finding.json, output: {{ format: json }} }}
  bad: {{ needs: [out], run: [sh, -c, 'echo "$0" >&2; exit 4', "{{{{ calls.out.output }}}}"], retries: 1 }}
reconcile: {{ strategy: merge, of: [found] }}
report: {{ html: out/report.html, junit: out/junit.xml, sarif: out/report.sarif, markdown: out/report.md, json: out/report.json }}
"#,
        url = provider.base_url(),
        canary_yaml = CANARY.replace('\\', "\\\\").replace('"', "\\\""),
    ));
    folder.write("forms.txt", &all);
    folder.write("forms.json", &serde_json::to_string(&values).unwrap());
    folder.write("keys.json", &serde_json::to_string(&keyed).unwrap());
    folder.write("finding.json", &finding.to_string());
    folder.write("vars.json", &serde_json::json!({ "given": CANARY, "items": values }).to_string());
    let summary = folder.path().join("summary.md");
    let env = [
        ("LAB_API_KEY", CANARY),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
    ];
    let mut surfaces = Vec::new();
    for more in [&[][..], &["--json"], &["-o", "yaml", "--quiet"], &["--color", "always"]] {
        let mut args = vec!["run", "plan.yaml", "--vars-file", "vars.json", "--no-input"];
        args.extend(more);
        let ran = folder.run_with(&env, &args).expect_code(1);
        surfaces.extend([(format!("{args:?} out"), ran.out), (format!("{args:?} err"), ran.err)]);
    }
    assert!(surfaces[0].1.contains("[secret:LAB_API_KEY]"), "{}", surfaces[0].1);
    let show = ["text", "json", "yaml", "markdown"].map(|form| vec!["show", "-o", form]);
    let report = ["html", "junit", "sarif", "codequality", "markdown", "comment", "json"]
        .map(|form| vec!["report", "-f", form]);
    let calls = ["out", "err", "wrapped", "json", "keys", "each", "said", "refused", "bad"];
    let one = calls.map(|call| vec!["show", "last", call]);
    let raw = calls.map(|call| vec!["show", "last", call, "--raw"]);
    let more = [
        vec!["show", "--json"],
        vec!["logs"],
        vec!["logs", "last", "bad"],
        vec!["list"],
        vec!["list", "--json"],
    ];
    // Whoever looks at it later need not have the key.
    for (at, args) in show.iter().chain(&report).chain(&one).chain(&raw).chain(&more).enumerate() {
        let env = if at % 8 == 0 { &env[..] } else { &[] };
        let ran = folder.run_with(env, args).expect_code(0);
        surfaces.extend([(format!("{args:?} out"), ran.out), (format!("{args:?} err"), ran.err)]);
    }
    for file in ["report.html", "junit.xml", "report.sarif", "report.md", "report.json"] {
        surfaces.push((file.to_owned(), folder.read(&format!("out/{file}"))));
    }
    surfaces.push(("the step summary".to_owned(), folder.read("summary.md")));
    surfaces.push(("the notices".to_owned(), folder.read("told")));
    for run in std::fs::read_dir(folder.path().join(".fanout/runs")).unwrap() {
        let file = run.unwrap().path().join("secrets.jsonl");
        surfaces.push(("the fingerprints".to_owned(), std::fs::read_to_string(file).unwrap()));
    }
    for (name, surface) in &surfaces {
        assert_clean(name, surface);
    }
    assert!(surfaces.len() > 60 && folder.read("told").contains("leaky"));
    let marks: usize =
        surfaces.iter().map(|(_, surface)| surface.matches("[secret:LAB_API_KEY]").count()).sum();
    assert!(marks > 50, "only {marks} places were reached");
}

#[test]
fn a_key_that_comes_in_pieces_is_on_no_live_surface_either() {
    let folder = Folder::with_plan(
        r#"
calls:
  slow:
    run: |
      for piece in 'the key: sk-canary/7Q' '9x+Zz"42\42' '%_wörds-0815' ' it was'; do
        printf '%s' "$piece"
        sleep 0.3
      done
"#,
    );
    let env = [("LAB_API_KEY", CANARY)];
    let ran = folder.run_with(&env, &["run", "plan.yaml", "--json"]).expect_code(0);
    let seen = crate::support::parse_lines(&ran.out);
    let activities: Vec<&str> = seen.iter().filter_map(|event| event["activity"].as_str()).collect();
    assert!(activities.len() > 2, "{activities:?}");
    for activity in &activities {
        for part in ["sk-can", "7Q9x", "Zz\"42", "rds-08"] {
            assert!(!activity.contains(part), "{activities:?}");
        }
    }
    assert!(activities.iter().any(|activity| activity.contains("the key: [secret:LAB_API_KEY]")));
    assert_clean("the events", &ran.out);
}

#[test]
fn a_resumed_run_remembers_the_keys_of_both_of_its_processes() {
    let folder = Folder::with_plan(
        r#"
vars: { given: "" }
calls:
  first: { run: [printf, "%s", "{{ vars.given }}"] }
  second: { run: 'test -n "$NEW_TOKEN" && echo "$NEW_TOKEN"', env: { NEW_TOKEN: "{{ env.NEW_TOKEN | default('') }}" } }
"#,
    );
    let given = format!("given={CANARY}");
    folder.run_with(&[("LAB_API_KEY", CANARY)], &["run", "plan.yaml", "--var", &given]).expect_code(1);
    folder.run_with(&[("NEW_TOKEN", "a-second-secret")], &["resume"]).expect_code(0);
    let shown = folder.run(&["show", "-o", "json"]).expect_code(0).out;
    assert!(shown.contains("[secret:LAB_API_KEY]") && shown.contains("[secret:NEW_TOKEN]"), "{shown}");
    assert_clean("show", &shown);
    assert!(!shown.contains("a-second-secret"), "{shown}");
}
