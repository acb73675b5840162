//! What the sandbox leaves alone, and when it refuses to begin.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fanout::sandbox;

use crate::support::{Folder, Ran, eventually, outcomes};

#[tokio::test]
async fn the_sandbox_is_found_out_by_trying() {
    let report = sandbox::available(Path::new(env!("CARGO_BIN_EXE_fanout"))).await;
    assert!(report.tier.is_some(), "no sandbox here: {report:#?}");
    assert!(report.attempts.len() >= 11 && report.attempts.iter().all(|attempt| attempt.held));
}

/// Runs one confined command, with the journal elsewhere.
fn confined(setting: &str, sandbox: &str, script: &str) -> (serde_json::Value, Ran) {
    let folder = Folder::new();
    let journal = Folder::new();
    folder.write("in", "in\n");
    folder.write("script.sh", script);
    folder.write("plan.yaml", &format!("calls:\n  a: {{ run: . ./script.sh, sandbox: {sandbox} }}\n"));
    let env = [("FANOUT_TEST_SANDBOX", setting), ("FANOUT_DIR", journal.path().to_str().unwrap())];
    let ran = folder.run_with(&env, &["run", "plan.yaml", "--json"]);
    let end = outcomes(&crate::support::parse_lines(&ran.out)).remove("a").unwrap_or_default();
    (end, ran)
}

#[test]
fn a_confined_command_reads_and_writes_its_folder_and_has_a_home_and_temporary_files() {
    let script = "cat in && echo x > out && mkdir -p a/b && mv out a/b/ && ln a/b/out two && rm -r a && cat two \
                  && echo y > $HOME/h && cat $HOME/h && cat $(mktemp) && printf z | (sh -c cat; echo) && : > /dev/null";
    for setting in ["", "no-namespaces"] {
        let (end, ran) = confined(setting, "workspace-write", script);
        assert_eq!(end["output"]["text"], "in\nx\ny\nz", "{setting}: {end} {}", ran.err);
    }
}

#[test]
fn a_read_only_command_reads_its_folder_and_writes_none_of_it() {
    for setting in ["", "no-namespaces"] {
        let (end, _) =
            confined(setting, "read-only", "cat in; echo x > in || echo no; echo y > $TMPDIR/y && echo yes");
        assert_eq!(end["output"]["text"], "in\nno\nyes", "{setting}: {end}");
    }
}

#[test]
fn a_confined_command_ends_as_it_would_without() {
    for setting in ["", "no-namespaces"] {
        assert_eq!(confined(setting, "read-only", "exit 7").0["cause"]["message"], "exit status 7");
        assert_eq!(
            confined(setting, "read-only", "kill -SEGV $$").0["cause"]["message"],
            "killed by SIGSEGV"
        );
        assert_eq!(
            confined(setting, "read-only", "kill -KILL $$").0["cause"]["message"],
            "killed by SIGKILL"
        );
        let (left, ran) = confined(setting, "read-only", "sleep 600 & echo ok");
        assert_eq!((&left["output"]["text"], ran.code), (&"ok".into(), 0));
        assert!(ran.out.contains("left 1 processes behind"), "{setting}: {}", ran.out);
    }
}

#[test]
fn a_name_that_is_open_passes_and_the_network_is_open_where_the_plan_says_so() {
    let folder = Folder::new();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let program = format!(
        "use IO::Socket::INET; print IO::Socket::INET->new(q(127.0.0.1:{port})) ? q(open) : q(closed)"
    );
    folder.write("connect.pl", &program);
    let call = "run: 'perl connect.pl; echo \" $A_KEY $B_KEY\"'";
    folder.write(
        "plan.yaml",
        &format!(
            "calls:\n  a: {{ {call}, sandbox: {{ mode: read-only, network: true, env: [A_KEY] }} }}\n  \
             b: {{ {call}, sandbox: read-only }}\n"
        ),
    );
    let ran = folder
        .run_with(&[("A_KEY", "one"), ("B_KEY", "two")], &["run", "plan.yaml", "--json"])
        .expect_code(0);
    let ended = outcomes(&crate::support::parse_lines(&ran.out));
    assert_eq!(ended["a"]["output"]["text"], "open one ");
    assert_eq!(ended["b"]["output"]["text"], "closed  ");
}

#[test]
fn with_namespaces_not_even_the_mode_of_a_file_outside_can_be_changed() {
    let outside = Folder::new();
    let file = outside.write("file", "");
    let before = std::fs::metadata(&file).unwrap().permissions().mode();
    let (end, _) = confined("", "workspace-write", &format!("chmod 777 {} || echo no", file.display()));
    assert_eq!(end["output"]["text"], "no");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode(), before);
}

#[test]
fn without_a_sandbox_the_run_does_not_begin_unless_the_person_says_so() {
    let folder = Folder::with_plan("calls:\n  a: { run: 'echo ran > mark', sandbox: workspace-write }\n");
    let none = [("FANOUT_TEST_SANDBOX", "no-landlock")];
    let ran = folder.run_with(&none, &["run", "plan.yaml"]).expect_code(6);
    assert!(
        ran.err.contains("`a` is to run in a sandbox") && ran.err.contains("--no-sandbox"),
        "{}",
        ran.err
    );
    assert!(!folder.path().join("mark").exists() && !folder.path().join(".fanout").exists());
    let ran = folder.run_with(&none, &["run", "plan.yaml", "--no-sandbox"]).expect_code(0);
    assert!(ran.err.contains("can touch all that you can"), "{}", ran.err);
    assert_eq!(folder.read("mark"), "ran\n");
}

#[test]
fn a_call_whose_repository_cannot_be_protected_is_refused_with_what_would_help() {
    let folder = Folder::with_plan("calls:\n  a: { run: 'echo ran > mark', sandbox: workspace-write }\n");
    let ran =
        folder.run_with(&[("FANOUT_TEST_SANDBOX", "no-namespaces")], &["run", "plan.yaml"]).expect_code(6);
    assert!(
        ran.err.contains(".fanout` has to stay as it is") && ran.err.contains("isolation: clone"),
        "{}",
        ran.err
    );
    assert!(!folder.path().join("mark").exists());
}

#[test]
fn nothing_confined_outlives_a_fanout_that_was_killed() {
    // Without namespaces it was a race once, lost in one round of three.
    let settings = std::iter::once("").chain(std::iter::repeat_n("no-namespaces", 6));
    for (round, setting) in settings.enumerate() {
        let folder = Folder::new();
        let journal = Folder::new();
        let mark = format!("{}.{round}", 600 + std::process::id() % 100);
        // One that leaves, its environment shed, and one that stays.
        let run = format!("setsid env -i sleep {mark} & sleep {mark}");
        folder.write("plan.yaml", &format!("calls:\n  a: {{ run: '{run}', sandbox: workspace-write }}\n"));
        let env = [("FANOUT_TEST_SANDBOX", setting), ("FANOUT_DIR", journal.path().to_str().unwrap())];
        let mut fanout = folder.fanout(&["run", "plan.yaml"]).envs(env).spawn().unwrap();
        let sleeping = || {
            let all = std::fs::read_dir("/proc").unwrap().flatten();
            all.filter(|it| {
                let line = std::fs::read(it.path().join("cmdline")).unwrap_or_default();
                line == format!("sleep\0{mark}\0").as_bytes()
            })
            .count()
        };
        eventually("both sleep", || sleeping() == 2);
        fanout.kill().unwrap();
        fanout.wait().unwrap();
        eventually("nobody is left", || sleeping() == 0);
    }
}

#[test]
fn what_works_in_a_clone_is_confined_and_commits_there_with_and_without_namespaces() {
    for setting in ["", "no-namespaces"] {
        let folder = Folder::new();
        let outside = Folder::new();
        let git = |args: &[&str]| {
            let done = std::process::Command::new("git")
                .args(["-c", "user.name=a", "-c", "user.email=a@b"])
                .args(args)
                .current_dir(folder.path())
                .output();
            assert!(done.unwrap().status.success(), "{args:?}");
        };
        folder.write("file", "one\n");
        let run = format!(
            "echo two > file; git -c user.name=a -c user.email=a@b commit -qam two && git log --format=%s -1; \
             echo x > {}/out || echo no",
            outside.path().display()
        );
        folder.write("plan.yaml", &format!("calls:\n  a: {{ run: '{run}', isolation: clone }}\n"));
        git(&["init", "-q", "."]);
        git(&["add", "."]);
        git(&["commit", "-qm", "one"]);
        let ran = folder.run_with(&[("FANOUT_TEST_SANDBOX", setting)], &["run", "plan.yaml", "--json"]);
        let ended = outcomes(&crate::support::parse_lines(&ran.out));
        assert_eq!(ended["a"]["output"]["text"], "two\nno", "{setting}: {} {}", ended["a"], ran.err);
        assert_eq!(folder.read("file"), "one\n");
    }
}

#[test]
fn a_program_with_read_only_isolation_looks_and_cannot_write_unless_the_person_says_otherwise() {
    let plan = "calls:\n  look: { run: \"cat in; echo mine > in || echo refused\", isolation: read-only }\n";
    for (options, after) in [(&[][..], "theirs\n"), (&["--no-sandbox"][..], "mine\n")] {
        let folder = Folder::with_plan(plan);
        folder.write("in", "theirs\n");
        let mut all = vec!["run", "plan.yaml", "--json"];
        all.extend(options);
        let ran = folder.run(&all).expect_code(0);
        let seen = crate::support::outcomes(&crate::support::parse_lines(&ran.out));
        assert!(seen["look"]["output"]["text"].as_str().unwrap().starts_with("theirs"), "{}", ran.out);
        assert_eq!(folder.read("in"), after, "{options:?}");
    }
    let wrong = "calls:\n  a: { run: x, isolation: read-only, sandbox: workspace-write }\n";
    let ran = Folder::with_plan(wrong).run(&["validate", "plan.yaml"]).expect_code(2);
    assert!(ran.err.contains("exclude each other"), "{}", ran.err);
}
