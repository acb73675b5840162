//! `bash`.

use super::*;

async fn run(workspace: &Workspace, line: &str) -> Result<String, String> {
    workspace.call(ToolGrant::Bash(None), json!({ "command": line })).await
}

#[tokio::test]
async fn a_command_answers_its_output_and_how_it_ended() {
    let workspace = Workspace::with(&[("a.txt", "one\n")]);
    assert_eq!(run(&workspace, "cat a.txt; echo two").await, ok("one\ntwo"));
    assert_eq!(run(&workspace, "true").await, ok("(no output)"));
    let failed = run(&workspace, "echo out; echo err >&2; exit 3").await;
    assert_eq!(failed, error("out\n[stderr]\nerr\n[exit status 3]"));
    assert_eq!(run(&workspace, "kill -9 $$").await, error("[killed by SIGKILL]"));
    assert_eq!(run(&workspace, "  ").await, error("there is no command"));
    assert_eq!(run(&workspace, "test -t 0 || cat").await, ok("(no output)"), "its input is closed");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended_with_all_that_it_started() {
    let workspace = Workspace::new();
    let line = "(setsid sh -c 'echo $$ > inner; sleep 600') & while ! test -s inner; do :; done; echo begun; sleep 600";
    let said = workspace.call(ToolGrant::Bash(None), json!({ "command": line, "timeout_seconds": 3 })).await;
    let expected = "begun\n[ended after 3 s, its timeout; for a longer one set `timeout_seconds`]";
    assert_eq!(said, error(expected));
    let inner = workspace.text("inner");
    assert!(!lives(&inner), "{inner}");
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended_and_told() {
    let workspace = Workspace::new();
    let said = run(&workspace, "sleep 600 & echo done").await;
    assert_eq!(said, ok("done\n[1 processes that it left behind were ended]"));
}

#[tokio::test]
async fn of_a_flood_the_beginning_and_the_end_are_shown() {
    let workspace = Workspace::new();
    let said = run(&workspace, "echo begin; head -c 300000000 /dev/zero | tr '\\0' x; echo; echo end")
        .await
        .unwrap();
    assert!(said.starts_with("begin\nxxx") && said.ends_with("xxx\nend"));
    assert!(said.contains("bytes left out") && said.len() < 50 * 1024, "{}", said.len());
}

#[tokio::test]
async fn a_dropped_call_ends_its_command() {
    let workspace = Workspace::new();
    let tool = workspace.tool(ToolGrant::Bash(None)).await;
    let heard = tokio::sync::Notify::new();
    {
        let hear = |line: &str| {
            assert_eq!(line, "begun");
            heard.notify_one();
        };
        let call = tool.call(json!({ "command": "echo $$ > pid; echo begun; sleep 600" }), &hear);
        tokio::select! {
            said = call => panic!("{said:?}"),
            () = heard.notified() => {}
        }
    }
    assert!(!lives(&workspace.text("pid")));
}

#[tokio::test]
async fn a_command_sees_only_the_environment_of_its_ground() {
    let mut workspace = Workspace::new();
    workspace.ground.env.set.push(("OWN".into(), "yes".into()));
    let said = run(&workspace, "env | cut -d= -f1 | sort | tr '\\n' ' '").await.unwrap();
    let names: Vec<&str> = said
        .split_whitespace()
        .filter(|name| !["_", "SHLVL", "OLDPWD", "FANOUT_TREE"].contains(name))
        .collect();
    assert_eq!(names, ["GIT_PAGER", "GIT_TERMINAL_PROMPT", "HOME", "OWN", "PAGER", "PATH", "PWD", "TERM"]);
}

#[tokio::test]
async fn every_command_goes_through_the_hook_of_its_ground() {
    let mut workspace = Workspace::new();
    workspace.ground.wrap = Arc::new(|mut spec| {
        spec.argv = vec!["echo".into(), "wrapped:".into(), spec.argv.pop().unwrap()];
        Ok(spec)
    });
    assert_eq!(run(&workspace, "touch x").await, ok("wrapped: touch x"));
    workspace.ground.wrap = Arc::new(|_| Err("no sandbox here".to_owned()));
    let refused = error("the command could not be confined: no sandbox here");
    assert_eq!(run(&workspace, "touch x").await, refused);
    let background = workspace.call(ToolGrant::BackgroundRun, json!({ "command": "touch x" })).await;
    assert_eq!(background, refused);
}

#[tokio::test]
async fn the_class_follows_the_command() {
    let workspace = Workspace::new();
    let tool = workspace.tool(ToolGrant::Bash(None)).await;
    assert_eq!(tool.class(&json!({ "command": "git log | head -3" })), Class::Pure);
    assert_eq!(tool.class(&json!({ "command": "cargo test" })), Class::Unsafe);
    assert_eq!(tool.class(&json!({})), Class::Pure);
}

#[tokio::test]
async fn a_command_in_the_background_is_bound_like_one_in_the_foreground() {
    let workspace = Workspace::new();
    let tools = workspace.tools(&[bash("echo *"), ToolGrant::BackgroundRun]).await.unwrap();
    let said = tools[1].call(json!({ "command": "touch x" }), &|_| {}).await;
    assert!(said.is_error && said.text.starts_with("not allowed: `touch x`."), "{}", said.text);
    let said = tools[1].call(json!({ "command": "echo x", "timeout_seconds": 7200 }), &|_| {}).await;
    assert_eq!(said, Said::done("x"));
}
