//! Calls in workspaces of their own: kept apart, checked, taken over, and never lost.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Folder, eventually, outcomes};

/// A repository with one commit, in a folder of its own.
struct Repository(Folder);

impl Repository {
    fn new(files: &[(&str, &str)]) -> Repository {
        let repository = Repository(Folder::new());
        for (name, text) in files {
            repository.0.write(name, text);
        }
        repository.git(&["init", "-q", "-b", "main"]);
        repository.commit();
        repository
    }

    fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "a commit"]);
    }

    fn git(&self, args: &[&str]) -> String {
        git(self.0.path(), args)
    }

    /// Everything that a person would notice: files, index, branches, worktrees.
    fn seen(&self) -> String {
        [
            self.git(&["status", "--porcelain"]),
            self.git(&["diff"]),
            self.git(&["diff", "--cached"]),
            self.git(&["for-each-ref"]),
            self.git(&["worktree", "list"]),
            self.git(&["stash", "list"]),
        ]
        .join("--\n")
    }

    fn read(&self, name: &str) -> String {
        self.0.read(name)
    }

    fn run_dir(&self) -> std::path::PathBuf {
        let runs = self.0.path().join(".fanout/runs");
        std::fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path()).max().unwrap()
    }
}

fn git(at: &Path, args: &[&str]) -> String {
    let who = ["-c", "user.name=A Person", "-c", "user.email=person@example.org"];
    let mut command = Command::new("git");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GIT_")) {
        command.env_remove(name);
    }
    let ran = command.current_dir(at).args(who).args(args).output().unwrap();
    assert!(ran.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

const LIBRARY: [(&str, &str); 3] = [
    ("lib.sh", "add() {\n  echo 0\n}\n"),
    ("tests/add.sh", ". ./lib.sh\n[ \"$(add 1 2)\" = 3 ]\n"),
    (".gitignore", "*.log\n"),
];

#[test]
fn two_calls_change_one_file_without_meeting_and_the_persons_files_stay_as_they_are() {
    let repository = Repository::new(&LIBRARY);
    repository.0.write(
        "plan.yaml",
        r#"
calls:
  one: { run: "sed -i s/0/1/ lib.sh; echo n > new.txt; echo l > x.log; git add -A; git status --porcelain", isolation: worktree }
  two: { run: "sed -i s/0/2/ lib.sh; git symbolic-ref --short HEAD", isolation: clone }
  see: { run: "cat {{ calls.two.workspace }}/lib.sh; echo {{ calls.one.diff }}" }
"#,
    );
    repository.commit();
    repository.0.write("lib.sh", "mine\n");
    repository.0.write("untracked", "mine too\n");
    let before = repository.seen();
    let (events, ran) = repository.0.events(&[]);
    ran.expect_code(0);
    let ended = outcomes(&events);
    assert_eq!(ended["one"]["output"]["text"], "M  lib.sh\nA  new.txt");
    let branch = ended["two"]["output"]["text"].as_str().unwrap();
    assert!(branch.starts_with("fanout/") && branch.ends_with("/two"), "{branch}");
    let files = &ended["one"]["changes"]["files"];
    assert_eq!(
        *files,
        serde_json::json!([
            { "path": "lib.sh", "kind": "modified", "added": 1, "removed": 1 },
            { "path": "new.txt", "kind": "added", "added": 1, "removed": 0 },
        ])
    );
    let seen = ended["see"]["output"]["text"].as_str().unwrap();
    assert!(seen.starts_with("add() {\n  echo 2\n}\n") && seen.contains("+  echo 1\n"), "{seen}");
    assert_eq!(repository.seen(), before);
    assert_eq!(std::fs::read_dir(at(&repository)).unwrap().count(), 0, "nothing is left behind");
}

/// The folder of the run's workspaces.
fn at(repository: &Repository) -> std::path::PathBuf {
    let store = std::fs::read_dir(repository.run_dir().join("workspace")).unwrap().next().unwrap();
    store.unwrap().path().join("at")
}

#[test]
fn uncommitted_work_is_carried_in_where_the_plan_says_so() {
    let repository = Repository::new(&LIBRARY);
    repository.0.write("lib.sh", "dirty\n");
    repository.0.write("untracked.txt", "new\n");
    repository.0.write(".env", "x=1\n");
    repository.0.write("big.log", "ignored\n");
    repository.0.write(
        "plan.yaml",
        r#"
calls:
  clean: { run: "cat lib.sh; ls", isolation: clone }
  dirty:
    run: "cat lib.sh untracked.txt; git status --porcelain; cat prepared big.log"
    isolation: worktree
    workspace: { base: working-tree, copy: [big.log], setup: "echo ready > prepared; echo more >> lib.sh" }
"#,
    );
    let index = std::fs::read(repository.0.path().join(".git/index")).unwrap();
    let before = repository.seen();
    let (events, ran) = repository.0.events(&[]);
    ran.expect_code(0);
    let ended = outcomes(&events);
    assert_eq!(ended["clean"]["output"]["text"], "add() {\n  echo 0\n}\nlib.sh\ntests");
    let text = ended["dirty"]["output"]["text"].as_str().unwrap();
    assert!(text.starts_with("dirty\nmore\nnew\n M lib.sh\n?? .env\n"), "{text}");
    assert!(text.ends_with("ready\nignored"), "{text}");
    assert_eq!(
        ended["dirty"]["changes"]["files"],
        serde_json::json!([]),
        "what `setup` did is not the call's"
    );
    assert_eq!(repository.seen(), before);
    assert_eq!(std::fs::read(repository.0.path().join(".git/index")).unwrap(), index);
}

#[test]
fn an_agent_that_edits_the_tests_does_not_pass() {
    let repository = Repository::new(&LIBRARY);
    let check = r#"isolation: worktree, on_error: ignore, check: { command: sh tests/add.sh, protect: ["tests/**"] }"#;
    repository.0.write(
        "plan.yaml",
        &format!(
            r#"
calls:
  edits:   {{ run: "echo true > tests/add.sh", {check} }}
  deletes: {{ run: "rm -r tests; ln -s /bin tests; mkdir -p t; echo > t/add.sh", {check} }}
  honest:  {{ run: "sed -i 's/echo 0/echo $(($1 + $2))/' lib.sh; echo junk >> tests/add.sh", {check} }}
  told:
    run: "cat >> seen; echo true > tests/add.sh; echo x >> tries; [ $(wc -l < tries) = 1 ] || sed -i 's/echo 0/echo $(($1 + $2))/' lib.sh"
    attempts: 3
    {}
"#,
            check.replace(", ", "\n    ").replace("check: { command: sh tests/add.sh\n    protect", "check: { command: sh tests/add.sh, protect")
        ),
    );
    let (events, ran) = repository.0.events(&[]);
    ran.expect_code(0);
    let ended = outcomes(&events);
    for cheat in ["edits", "deletes"] {
        assert_eq!(ended[cheat]["cause"]["code"], "check_failed", "{cheat}: {}", ended[cheat]);
        let message = ended[cheat]["cause"]["message"].as_str().unwrap();
        assert!(message.contains("tests/add.sh does not count"), "{message}");
    }
    assert_eq!(ended["honest"]["status"], "ok", "{}", ended["honest"]);
    assert_eq!(ended["honest"]["changes"]["protected"], serde_json::json!(["tests/add.sh"]));
    assert_eq!(ended["honest"]["changes"]["files"].as_array().unwrap().len(), 1);
    assert_eq!((&ended["told"]["status"], &ended["told"]["attempts"]), (&Value::from("ok"), &Value::from(2)));
}

#[test]
fn nothing_that_an_agent_plants_is_run_or_followed() {
    let repository = Repository::new(&LIBRARY);
    let canary = repository.0.path().join(".git/canary");
    let secret = repository.0.path().join(".git/secret");
    std::fs::write(&secret, "the secret\n").unwrap();
    let trap = repository.0.path().join(".git/trap.sh");
    std::fs::write(&trap, format!("#!/bin/sh\necho \"$0 $*\" >> {}\ncat\n", canary.display())).unwrap();
    std::fs::set_permissions(&trap, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Everything of E24 and more, into whatever configuration the agent reaches, and into a repository inside.
    let plant = format!(
        r#"#!/bin/sh
T={trap}
plant() {{
  git config core.fsmonitor $T; git config core.hooksPath $PWD/hooks; git config diff.external $T
  git config filter.evil.clean $T; git config filter.evil.smudge $T; git config filter.evil.process $T; git config filter.evil.required true
  git config diff.evil.textconv $T; git config diff.evil.command $T; git config merge.evil.driver "$T %A"
  git config core.sshCommand $T; git config credential.helper "!$T"; git config core.pager $T; git config core.editor $T
  git config gpg.program $T; git config commit.gpgSign true; git config core.alternateRefsCommand $T; git config core.askPass $T
  git config remote.origin.url ext::$T; git config remote.origin.promisor true; git config protocol.ext.allow always
  git config core.attributesFile $PWD/attributes
}}
mkdir -p hooks
for h in post-checkout pre-commit post-index-change reference-transaction post-commit post-merge fsmonitor-watchman; do cp $T hooks/$h; done
echo '* filter=evil diff=evil merge=evil' > .gitattributes
cp .gitattributes attributes
plant
D=$(git rev-parse --git-common-dir); cp hooks/* $D/hooks/ 2>/dev/null || {{ mkdir -p $D/hooks; cp hooks/* $D/hooks/; }}
mkdir -p $D/info; echo '* filter=evil diff=evil' > $D/info/attributes
git init -q inside; (cd inside; mkdir -p hooks; plant; echo kept > file; echo '* filter=evil' > .gitattributes)
git init -q empty
ln -s {secret} out; ln -s {git} dir; ln -s / root
mkfifo pipe
chmod 000 hooks
echo changed >> lib.sh
rm -f {canary}
"#,
        trap = trap.display(),
        secret = secret.display(),
        git = repository.0.path().join(".git").display(),
        canary = canary.display(),
    );
    let script = repository.0.path().join(".git/plant.sh");
    std::fs::write(&script, plant).unwrap();
    repository.0.write(
        "plan.yaml",
        &format!(
            r#"
calls:
  tree: {{ run: "sh {0}", isolation: worktree, check: {{ command: "true", protect: [tests/**] }} }}
  copy: {{ run: "sh {0}", isolation: clone, needs: [tree] }}
  later: {{ run: "cat lib.sh", isolation: worktree, needs: [copy], workspace: {{ base: working-tree }} }}
"#,
            script.display()
        ),
    );
    let (events, ran) = repository.0.events(&[]);
    ran.expect_code(0);
    let ended = outcomes(&events);
    for call in ["tree", "copy"] {
        let changes = &ended[call]["changes"];
        let paths: Vec<&str> =
            changes["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
        for wanted in ["dir", "inside/file", "lib.sh", "out", "root"] {
            assert!(paths.contains(&wanted), "{call}: {wanted} in {paths:?}");
        }
        assert!(!changes["patch"].as_str().unwrap().contains("the secret"));
    }
    let refused = repository.0.run(&["apply", "last", "tree"]).expect_code(1);
    assert!(
        refused.err.contains("lead out of the repository") && refused.err.contains("out -> /"),
        "{}",
        refused.err
    );
    repository.0.run(&["apply", "last", "copy", "--branch", "taken"]).expect_code(1);
    repository.0.run(&["rm", "last"]).expect_code(0);
    assert!(!canary.exists(), "{}", std::fs::read_to_string(&canary).unwrap());
}

#[test]
fn a_killed_run_loses_no_work_and_leaves_nothing_behind() {
    let repository = Repository::new(&LIBRARY);
    let count = 64;
    for number in 0..300 {
        repository.0.write(&format!("src/{}/{number}.txt", number % 10), "a file\n");
    }
    repository.commit();
    repository.0.write(
        "plan.yaml",
        &format!(
            r#"
limits: {{ concurrency: {count} }}
calls:
  many:
    samples: {count}
    isolation: worktree
    run: "echo {{{{ index }}}} > work-{{{{ index }}}}.txt; echo $$ >> $GATE/started; [ -e $GATE/open ] || [ $(({{{{ index }}}} % 2)) = 0 ] || sleep 600; echo done >> work-{{{{ index }}}}.txt"
    env: {{ GATE: "{}" }}
"#,
            repository.0.path().join(".git").display()
        ),
    );
    repository.0.write("lib.sh", "mine\n");
    let before = repository.seen();
    let started = repository.0.path().join(".git/started");
    let mut child = repository.0.start(&["run", "plan.yaml"]);
    eventually("all have started", || {
        std::fs::read_to_string(&started).is_ok_and(|text| text.lines().count() == count)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let left = std::fs::read_dir(at(&repository)).unwrap().count();
    assert!(left >= count / 2, "{left} workspaces are there after the kill");
    let refused = repository.0.run(&["rm", "last"]).expect_code(2);
    assert!(refused.err.contains("written down nowhere else"), "{}", refused.err);
    std::fs::write(repository.0.path().join(".git/open"), "").unwrap();
    let ran = repository.0.run(&["resume", "last", "--json"]).expect_code(0);
    let events = crate::support::parse_lines(&ran.out);
    let saved: Vec<&str> = (events.iter())
        .filter(|event| event["type"] == "warned" && event["code"] == "workspace_saved")
        .map(|event| event["message"].as_str().unwrap())
        .collect();
    assert!(saved.len() >= count / 2, "{saved:?}");
    let path = saved[0].rsplit(" is saved in ").next().unwrap();
    assert!(std::fs::read_to_string(path).unwrap().contains("work-"));
    let shown = repository.0.run(&["show", "last", "-o", "json"]).expect_code(0);
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    for (number, instance) in shown["calls"][0]["instances"].as_array().unwrap().iter().enumerate() {
        let patch = instance["changes"]["patch"].as_str().unwrap();
        assert!(patch.contains(&format!("+{number}\n+done\n")), "{patch}");
    }
    assert_eq!(std::fs::read_dir(at(&repository)).unwrap().count(), 0, "no workspace is left");
    assert_eq!(repository.seen(), before);
    assert_eq!(repository.read("lib.sh"), "mine\n");
}

#[test]
fn a_change_is_applied_three_way_and_refused_where_it_would_harm() {
    let text: String = (1..=30).map(|line| format!("line {line}\n")).collect();
    let repository = Repository::new(&[("a.txt", &text), ("b.txt", "b\n"), ("gone.txt", "old\n")]);
    repository.0.write(
        "plan.yaml",
        r#"
calls:
  fix: { run: "sed -i 's/^line 3$/LINE 3/' a.txt; echo n > new.txt; rm gone.txt", isolation: worktree }
"#,
    );
    repository.0.run(&["run", "plan.yaml"]).expect_code(0);
    // A commit since, elsewhere in the file, and dirt in another one.
    repository.0.write("a.txt", &text.replace("line 28\n", "LINE 28\n"));
    repository.commit();
    repository.0.write("b.txt", "dirty\n");
    let before = repository.seen();
    let dry = repository.0.run(&["apply", "last", "--dry-run"]).expect_code(0);
    assert_eq!(
        dry.out.lines().take(3).collect::<Vec<_>>(),
        ["  M a.txt  +1 -1", "  D gone.txt  +0 -1", "  A new.txt  +1 -0"]
    );
    assert_eq!(repository.seen(), before);
    repository.0.run(&["apply", "last", "--branch", "fixed"]).expect_code(0);
    assert_eq!(repository.git(&["show", "fixed:new.txt"]), "n\n");
    assert_eq!(
        repository.git(&["log", "-1", "--format=%P", "fixed"]),
        repository.git(&["rev-parse", "HEAD"])
    );
    repository.git(&["fsck", "--strict"]);
    repository.0.run(&["apply", "last", "--branch", "fixed"]).expect_code(2);
    // The same file is dirty: refused, and named.
    let both = text.replace("line 28\n", "LINE 28\n").replace("line 15\n", "mine\n");
    repository.0.write("a.txt", &both);
    let refused = repository.0.run(&["apply", "last"]).expect_code(3);
    assert!(refused.err.contains("  a.txt") && refused.err.contains("uncommitted work"), "{}", refused.err);
    assert_eq!(repository.read("a.txt"), both);
    assert!(!repository.0.path().join("new.txt").exists());
    repository.git(&["checkout", "-q", "a.txt"]);
    // A file of the person's is in the way.
    repository.0.write("new.txt", "my own\n");
    let refused = repository.0.run(&["apply", "last"]).expect_code(3);
    assert!(refused.err.contains("new.txt"), "{}", refused.err);
    assert_eq!(repository.read("new.txt"), "my own\n");
    std::fs::remove_file(repository.0.path().join("new.txt")).unwrap();
    let index = std::fs::read(repository.0.path().join(".git/index")).unwrap();
    repository.0.run(&["apply", "last"]).expect_code(0);
    assert_eq!(
        repository.read("a.txt"),
        text.replace("line 3\n", "LINE 3\n").replace("line 28\n", "LINE 28\n")
    );
    assert_eq!((repository.read("b.txt"), repository.read("new.txt")), ("dirty\n".into(), "n\n".into()));
    assert!(!repository.0.path().join("gone.txt").exists());
    assert_eq!(std::fs::read(repository.0.path().join(".git/index")).unwrap(), index, "nothing is staged");
    // Once more: it is there already.
    let again = repository.0.run(&["apply", "last"]).expect_code(0);
    assert!(again.out.contains("is there already"), "{}", again.out);
    // The same line was changed since.
    repository.git(&["checkout", "-q", "."]);
    repository.0.write("a.txt", &text.replace("line 3\n", "other\n"));
    repository.git(&["add", "a.txt"]);
    repository.git(&["commit", "-qm", "other"]);
    std::fs::remove_file(repository.0.path().join("new.txt")).unwrap();
    let refused = repository.0.run(&["apply", "last"]).expect_code(3);
    assert!(refused.err.contains("conflict") || refused.err.contains("same lines"), "{}", refused.err);
    assert!(refused.err.contains("\n  a.txt"), "{}", refused.err);
}

#[test]
fn where_no_workspace_can_be_made_the_plan_is_refused_before_it_starts() {
    let plan = "calls: { a: { run: ls, isolation: worktree } }\n";
    let none = Folder::with_plan(plan);
    let said = none.run(&["validate", "plan.yaml"]).expect_code(2).err;
    assert!(said.contains("E0312") && said.contains("is not in a git repository"), "{said}");
    git(none.path(), &["init", "-q"]);
    let said = none.run(&["run", "plan.yaml"]).expect_code(2).err;
    assert!(said.contains("has no commit yet"), "{said}");
    let bare = Folder::new();
    git(bare.path(), &["init", "-q", "--bare"]);
    bare.write("plan.yaml", plan);
    let said = bare.run(&["validate", "plan.yaml"]).expect_code(2).err;
    assert!(said.contains("is a bare repository"), "{said}");
    let repository = Repository::new(&[("a", "b\n")]);
    repository.git(&["checkout", "-q", "--detach"]);
    repository.0.write("plan.yaml", "calls: { a: { run: cat a, isolation: clone } }\n");
    repository.0.run(&["run", "plan.yaml"]).expect_code(0);
    repository
        .0
        .write("plan.yaml", "calls: { a: { run: cat a, isolation: clone, workspace: { base: no-such } } }\n");
    let said = repository.0.run(&["validate", "plan.yaml"]).expect_code(2).err;
    assert!(said.contains("there is no commit `no-such`"), "{said}");
}

/// A shipped plan in a repository with these files.
fn demo(plan: &str, files: &[(&str, &str)]) -> Repository {
    let text = std::fs::read_to_string(crate::support::repository().join("plans").join(plan)).unwrap();
    let mut all = files.to_vec();
    all.push(("plan.yaml", &text));
    Repository::new(&all)
}

#[test]
fn of_three_approaches_the_right_one_is_ranked_first_and_applied() {
    let tests = ". ./leap.sh\nfor y in 1996 2000; do leap $y || exit 1; done\nfor y in 1900 2023; do leap $y && exit 1; done\nexit 0\n";
    let repository = demo(
        "three-approaches.yaml",
        &[("leap.sh", "leap() { false; }\n"), ("tests/leap.sh", tests), ("notes.txt", "mine\n")],
    );
    repository.0.write("notes.txt", "mine, and not committed\n");
    repository.0.write("scratch", "untracked\n");
    let before = repository.seen();
    let ran = repository.0.run(&["run", "plan.yaml", "-o", "json"]).expect_code(0);
    assert_eq!(repository.seen(), before);
    let result: Value = serde_json::from_str(&ran.out).unwrap();
    let best = &result["reconcile"]["json"];
    let ranked: Vec<&str> =
        best["ranking"].as_array().unwrap().iter().map(|entry| entry["call"].as_str().unwrap()).collect();
    assert_eq!(ranked, ["right", "slow", "wrong"]);
    let reason = |at: usize| best["ranking"][at]["reasons"].as_str().unwrap().to_owned();
    assert!(reason(0).contains("changed 1 file, +1 -1"), "{}", reason(0));
    assert!(reason(2).contains("tests/leap.sh does not count"), "{}", reason(2));
    let applied = repository.0.run(&["apply", "last"]).expect_code(0);
    assert!(applied.out.contains("  M leap.sh  +1 -1\nright applied to"), "{}", applied.out);
    assert!(repository.read("leap.sh").contains("% 100"));
    assert_eq!(repository.read("tests/leap.sh"), tests);
    assert_eq!(repository.read("notes.txt"), "mine, and not committed\n");
    assert_eq!(repository.git(&["status", "--porcelain"]), " M leap.sh\n M notes.txt\n?? scratch\n");
    // A loser is still there.
    let lost = repository.0.run(&["apply", "last", "wrong", "--branch", "julian"]).expect_code(0);
    assert!(lost.err.contains("`wrong` ended as failed (check_failed)"), "{}", lost.err);
}

#[test]
fn changes_that_go_together_are_merged_and_the_rest_is_shown_with_both_sides() {
    let numbers: String = (1..=40).map(|n| format!("{n}\n")).collect();
    let repository = demo("merge-changes.yaml", &[("numbers.txt", &numbers)]);
    let ran = repository.0.run(&["run", "plan.yaml", "-o", "json"]).expect_code(0);
    let result: Value = serde_json::from_str(&ran.out).unwrap();
    let patch = &result["reconcile"]["json"];
    assert_eq!(
        (&patch["applied"], &patch["left_out"], &patch["sets"]),
        (
            &serde_json::json!(["first", "last"]),
            &serde_json::json!(["other"]),
            &serde_json::json!([["first", "last"], ["last", "other"]])
        )
    );
    let conflict = &patch["conflicts"][0];
    assert_eq!(conflict["about"], "numbers.txt:3");
    assert_eq!(conflict["sides"][0], serde_json::json!({ "value": "-3\n+three", "by": ["first"] }));
    assert_eq!(conflict["sides"][1], serde_json::json!({ "value": "-3\n+drei", "by": ["other"] }));
    let applied = repository.0.run(&["apply", "last"]).expect_code(0);
    assert!(applied.err.contains("left out because of conflicts: other"), "{}", applied.err);
    assert_eq!(repository.read("numbers.txt"), numbers.replacen("3\n", "three\n", 1) + "41\n");
    // Whose word counts can be said, and a conflict can be a failure.
    let plan = repository.read("plan.yaml");
    repository.0.write(
        "plan.yaml",
        &plan.replace("strategy: patch", "strategy: patch, on_conflict: { prefer: [other] }"),
    );
    let ran = repository.0.run(&["run", "plan.yaml", "-o", "json"]).expect_code(0);
    let result: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(result["reconcile"]["json"]["applied"], serde_json::json!(["other", "last"]));
    repository.0.write("plan.yaml", &plan.replace("strategy: patch", "strategy: patch, on_conflict: fail"));
    let ran = repository.0.run(&["run", "plan.yaml"]).expect_code(3);
    assert!(ran.out.contains("numbers.txt:3"), "{}", ran.out);
}

#[test]
fn two_calls_that_write_one_shared_file_are_told_with_both_versions() {
    let folder = Folder::with_plan(
        r#"
calls:
  a: { run: "echo by a > notes.md; touch a-done; while [ ! -e b-in ]; do sleep 0.02; done" }
  b: { run: "touch b-in; while [ ! -e a-done ] || [ ! -e a-out ]; do sleep 0.02; done; echo by b, longer > notes.md" }
  c: { run: "touch a-out", needs: [a] }
"#,
    );
    let (events, ran) = folder.events(&[]);
    ran.expect_code(0);
    let told: Vec<&str> = (events.iter())
        .filter(|event| event["type"] == "warned" && event["code"] == "file_race")
        .map(|event| event["message"].as_str().unwrap())
        .filter(|message| message.starts_with("`notes.md`"))
        .collect();
    let [message] = told.as_slice() else { panic!("{told:?}") };
    let kept: Vec<String> = message
        .split("(kept in ")
        .skip(1)
        .map(|rest| {
            let path = folder.path().join(rest.split(')').next().unwrap());
            std::fs::read_to_string(path).unwrap()
        })
        .collect();
    assert_eq!(kept, ["by a\n", "by b, longer\n"], "{message}");
}

/// Two calls that write one file while both are at work, `b` after `a`.
const RACE: &str = r#"
calls:
  a: { run: "echo by a > notes.md; touch a-done; while [ ! -e b-in ]; do sleep 0.02; done; echo done" }
  b: { run: "touch b-in; while [ ! -e a-done ] || [ ! -e a-out ]; do sleep 0.02; done; echo by b, longer > notes.md; echo done" }
  c: { run: "touch a-out; echo done", needs: [a] }
"#;

#[test]
fn what_two_calls_have_both_written_is_a_conflict_of_the_step_that_reads_them() {
    let step = |keys: &str| format!("{RACE}reconcile: {{ of: [a, b], strategy: compare{keys} }}\n");
    let ran = Folder::with_plan(&step("")).run(&["run", "plan.yaml", "-o", "json"]).expect_code(0);
    let result: Value = serde_json::from_str(&ran.out).unwrap();
    let conflicts = result["reconcile"]["json"]["conflicts"].as_array().unwrap();
    let race = conflicts.iter().find(|conflict| conflict["about"] == "notes.md").expect(&ran.out);
    let by = |side: usize| race["sides"][side]["by"].clone();
    let wrote = |side: usize, call: &str| by(side).as_array().unwrap().contains(&call.into());
    // When `a` wrote, `b` was at work already, and when `b` wrote, `c` may have been: either may have done it.
    assert!(wrote(0, "a") && wrote(1, "b") && !wrote(1, "a"), "{race}");
    let kept = race["sides"][1]["value"]["kept"].as_str().unwrap();
    assert!(kept.contains("versions"), "{race}");
    let shown = Folder::with_plan(&step("")).run(&["run", "plan.yaml"]).expect_code(0);
    assert!(shown.out.contains("Written by more than one"), "{}", shown.out);
    let failed = Folder::with_plan(&step(", on_conflict: fail")).run(&["run", "plan.yaml"]).expect_code(3);
    assert!(failed.out.contains("`notes.md` was written by `a`"), "{}", failed.out);
    let elsewhere = format!("{RACE}reconcile: {{ of: [c], strategy: compare }}\n");
    let ran = Folder::with_plan(&elsewhere).run(&["run", "plan.yaml", "-o", "json"]).expect_code(0);
    let result: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(result["reconcile"]["json"]["conflicts"], serde_json::json!([]), "c took no part in it");
}

#[test]
fn the_file_that_a_runs_own_output_goes_to_is_written_by_nobody_else() {
    let folder = Folder::with_plan(
        "calls:\n  each: { for_each: [1, 2, 3, 4], run: 'echo {{ item }}; sleep 0.{{ item }}' }\n",
    );
    let file = |name: &str| std::fs::File::create(folder.path().join(name)).unwrap();
    let mut run = folder.fanout(&["run", "plan.yaml", "--json"]);
    assert!(run.stdout(file("out.txt")).stderr(file("err.txt")).status().unwrap().success());
    let events = crate::support::parse_lines(&folder.read("out.txt"));
    let told: Vec<_> = events.iter().filter(|event| event["code"] == "file_race").collect();
    assert!(events.len() > 8 && told.is_empty(), "{told:?}");
}
