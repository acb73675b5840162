//! Commands that try to get past a pattern.

use super::super::shell::{Allowed, only_reads};
use super::*;

fn allowed(patterns: &[&str]) -> Allowed {
    Allowed::Matching(patterns.iter().map(|pattern| CommandPattern::parse(pattern).unwrap()).collect())
}

#[test]
fn what_matches_is_allowed() {
    let allowed = allowed(&["git log *", "git diff *", "cargo test", "cat src/*.rs", "grep * *"]);
    for line in [
        "git log",
        "git log --oneline -5",
        "  git   log\t--oneline  ",
        "git log -- 'a file'; git diff HEAD~1 -- *.rs",
        "git log && git diff",
        "git log | git diff | git log",
        "git log || git log",
        "git log\ngit diff\n\n",
        "git log ;",
        "git log --format='%h $(x) `y` ; rm'",
        "git log --format=\"%h; rm | x > y\"",
        "git log --grep=a\\;b",
        "git log 2>&1",
        "git log 2>/dev/null | git diff >/dev/null 2>&1",
        "git log > /dev/null",
        "git log >&2",
        "'git' \"log\"",
        "cargo test",
        "cat src/main.rs",
        "git log --author='é\" ü'",
        "grep a b",
    ] {
        assert_eq!(allowed.check(line), Ok(()), "{line}");
    }
}

#[test]
fn nothing_else_is_smuggled_in() {
    let allowed = allowed(&["git log *", "cat src/*.rs", "cargo test", "echo one"]);
    let attempts = [
        // Another command beside it.
        "rm -rf x",
        "git log; rm x",
        "git log ;rm x",
        "git log;rm x",
        "git log && rm x",
        "git log || rm x",
        "git log | sh",
        "git log |& sh",
        "git log & rm x",
        "git log &",
        "git log\nrm x",
        "git log\r\nrm x",
        "git log\rrm x",
        "git log; ; git log",
        "| git log",
        "git log |",
        "git log &&",
        "&& git log",
        "",
        "   ",
        "\n",
        // A command inside it.
        "git log $(rm x)",
        "git log \"$(rm x)\"",
        "git log `rm x`",
        "git log \"`rm x`\"",
        "git log ${x:=y}",
        "git log $x",
        "git log \"${x@P}\"",
        "git log $'\\n' rm",
        "git log $\"x\"",
        "git log <(rm x)",
        "git log >(rm x)",
        "git log $((1))",
        "(git log)",
        "{ git log; }",
        "git log() { rm x; }",
        "function git { rm x; }",
        "if git log; then rm x; fi",
        "! git log",
        "time git log",
        "coproc git log",
        "case x in x) git log;; esac",
        // A file.
        "git log > x",
        "git log >x",
        "git log >> x",
        "git log >| x",
        "git log 2> x",
        "git log 2>x",
        "git log &> x",
        "git log >& x",
        "git log < x",
        "git log <<< x",
        "git log << x\nx",
        "git log <> x",
        "git log > /dev/nullx",
        "git log > /dev/null/x",
        "git log > '/dev/null'x",
        "git log >/dev/null\"x\"",
        "git log 3>&1",
        "git log 12>&1",
        "git log {x}>&1",
        "git log >>/dev/null/../x",
        "> git log",
        "git log >&1x",
        // A different command.
        "FOO=bar git log",
        "GIT_PAGER=sh git log",
        "env git log",
        "exec git log",
        "eval git log",
        "command git log",
        "/tmp/git log",
        "./git log",
        "git -c core.pager=sh log",
        "git  -p log",
        "git logx",
        "gitx log",
        "git 'log '",
        "git \"log x\"",
        "'git log'",
        "git\\ log",
        "git$IFS$9log",
        "{git,log}",
        "g?t log",
        "gi[t] log",
        "git lo*",
        "~/git log",
        "cargo test x",
        "cargo test --config x",
        "cargo",
        "cat src/a.rs b.rs",
        "cat src/{a,/etc/passwd,b}.rs",
        "cat src/*.rs",
        "cat src/[a].rs",
        "echo o?e",
        "echo 'one' two",
        "echo one\u{a0}two",
        "git\u{2003}log",
        // What shells read differently.
        "git log 'x",
        "git log \"x",
        "git log \\",
        "git log \\\nrm x",
        "git log \"x\\\ny\"",
        "git log # x",
        "git log\0; rm x",
        "git log \u{1b}[2J",
        "git log 'x\u{7f}'",
        "git log \"\u{4e2d}\\\"; rm x; \"",
        "git log \u{4e2d}\\'; rm x '",
        "git log\u{b}; x",
        "git log \u{c}x",
        "git log\u{85}rm x",
        "git log\u{2028}rm x",
        ";; git log",
        "git log ;; rm x",
        "git log ;& rm x",
        "alias git=rm; git log",
        ". ./x; git log",
    ];
    let passed: Vec<&&str> = attempts.iter().filter(|line| allowed.check(line).is_ok()).collect();
    assert_eq!(passed, Vec::<&&str>::new());
    assert!(attempts.len() > 100);
}

/// What is taken apart here is taken apart in the same way by the shells that run it.
#[tokio::test]
async fn the_shell_sees_the_words_that_were_checked() {
    let workspace = Workspace::new();
    for (line, words) in [
        (r#"printf %s\\n a 'b c' "d\"e" f\ g"#, "a\nb c\nd\"e\nf g"),
        (r#"printf %s\\n "a\b" 'c\d' "\\" "\$x" "\`y\`""#, "a\\b\nc\\d\n\\\n$x\n`y`"),
        ("printf %s\\\\n 'a'\"b\"c '' \"\"", "abc\n\n"),
    ] {
        for shell in ["sh", "bash"] {
            let Ok(output) = std::process::Command::new(shell).args(["-c", line]).output() else { continue };
            let printed = String::from_utf8(output.stdout).unwrap();
            assert_eq!(printed.trim_end(), words.trim_end(), "{shell}: {line}");
        }
        let parsed = super::super::shell::simple_commands(line).unwrap();
        let [command] = parsed.as_slice() else { panic!("{parsed:?}") };
        let told: Vec<&str> = command.iter().skip(2).map(|word| word.text.as_str()).collect();
        assert_eq!(told.join("\n").trim_end(), words.trim_end());
    }
    let said = workspace.call(bash("echo *"), json!({ "command": "echo a; touch x" })).await.unwrap_err();
    assert!(said.starts_with("not allowed: `touch x`. Allowed are `echo *` (`*` at the end"), "{said}");
    assert_eq!(names(workspace.folder.path()), Vec::<String>::new());
}

#[test]
fn commands_that_only_look_are_told_from_those_that_may_change_something() {
    for line in
        ["ls -la", "cat a b | head -3", "git log --oneline; git status", "grep -rn x . 2>/dev/null", "pwd"]
    {
        assert!(only_reads(line), "{line}");
    }
    for line in [
        "touch x",
        "cat a > b",
        "ls; rm x",
        "git commit -m x",
        "git log --output=x",
        "git diff --ext-diff",
        "git branch x",
        "sort -o a b",
        "rg --pre=sh x",
        "find . -delete",
        "ls $(rm x)",
        "sed -i s/a/b/ c",
        "tee x",
        "",
        "git",
    ] {
        assert!(!only_reads(line), "{line}");
    }
}
