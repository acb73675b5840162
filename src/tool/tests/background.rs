//! `background_run`, `check_background` and the queue.

use futures::FutureExt;

use super::*;

async fn start(workspace: &Workspace, line: &str) -> Result<String, String> {
    workspace.call(ToolGrant::BackgroundRun, json!({ "command": line })).await
}

#[tokio::test]
async fn a_job_is_started_at_once_and_told_of_once_when_it_ends() {
    let mut workspace = Workspace::new();
    assert_eq!(
        start(&workspace, "while ! test -e go; do sleep 0.01; done; echo one").await,
        ok("started as `bg-1`")
    );
    assert_eq!(start(&workspace, "echo two; exit 2").await, ok("started as `bg-2`"));
    let second = workspace.queue.recv().await.unwrap();
    assert_eq!((second.id.as_str(), second.title.as_str()), ("bg-2", "echo two; exit 2"));
    assert_eq!(second.said, Said::error("two\n[exit status 2]"));
    assert_eq!(workspace.jobs.running(), 1);
    workspace.put("go", "");
    let first = workspace.queue.recv().await.unwrap();
    assert_eq!((first.id.as_str(), first.said), ("bg-1", Said::done("one")));
    assert_eq!((workspace.jobs.running(), workspace.queue.try_recv().ok()), (0, None));
}

#[tokio::test]
async fn a_job_can_be_looked_at_before_and_after_its_end() {
    let mut workspace = Workspace::new();
    let check = |input| workspace.call(ToolGrant::CheckBackground, input);
    assert_eq!(check(json!({})).await, ok("no background jobs"));
    assert_eq!(
        check(json!({ "id": "bg-7" })).await,
        error("there is no background job `bg-7`; the jobs: there are none")
    );
    start(&workspace, "echo so far; while ! test -e go; do sleep 0.01; done; echo end").await.unwrap();
    let running = loop {
        let said = check(json!({ "id": "bg-1" })).await.unwrap();
        if !said.contains("(no output yet)") {
            break said;
        }
        tokio::task::yield_now().await;
    };
    assert!(running.starts_with("[running for ") && running.ends_with("echo end\nso far"), "{running}");
    workspace.put("go", "");
    workspace.queue.recv().await.unwrap();
    let check = |input| workspace.call(ToolGrant::CheckBackground, input);
    let ended = check(json!({ "id": "bg-1" })).await.unwrap();
    assert!(ended.starts_with("[done after ") && ended.ends_with("echo end\nso far\nend"), "{ended}");
    let all = check(json!({})).await.unwrap();
    assert!(all.starts_with("bg-1: [done after ") && all.lines().count() == 1, "{all}");
}

#[tokio::test]
async fn jobs_end_with_the_agent() {
    let Workspace { folder, ground, jobs, mut queue } = Workspace::new();
    let kit = Kit { ground: Arc::new(ground), jobs: &jobs };
    let tool = tools(&[ToolGrant::BackgroundRun], kit).await.unwrap().pop().unwrap();
    let command = json!({ "command": "echo $$ > pid.new; mv pid.new pid; sleep 600" });
    tool.call(command.clone(), &|_| {}).await;
    let file = folder.path().join("pid");
    while !file.exists() {
        tokio::task::yield_now().await;
    }
    let pid = std::fs::read_to_string(file).unwrap();
    drop(jobs);
    // The queue ends when the last job is gone.
    let refused = tool.call(command, &|_| {}).await;
    assert_eq!(refused, Said::error("the agent is done: nothing is started any more"));
    drop(tool);
    assert_eq!(queue.recv().await, None);
    while lives(&pid) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn there_are_not_more_than_sixteen_at_once() {
    let workspace = Workspace::new();
    for n in 1..=16 {
        let id = workspace.jobs.start("waits", std::future::pending().boxed());
        assert_eq!(id, Ok(format!("bg-{n}")));
    }
    let refused = start(&workspace, "true").await;
    assert_eq!(refused, error("16 jobs run already: wait until one has ended"));
}

#[tokio::test]
async fn a_pattern_binds_commands_in_the_background_too() {
    let workspace = Workspace::new();
    let kit = Kit { ground: Arc::new(workspace.ground.clone()), jobs: &workspace.jobs };
    let tools = tools(&[bash("echo *"), ToolGrant::BackgroundRun], kit).await.unwrap();
    let said = tools[1].call(json!({ "command": "touch x" }), &|_| {}).await;
    assert!(said.is_error && said.text.starts_with("not allowed: `touch x`."), "{}", said.text);
}
