//! Real tool servers, as `tests/setup/run` installs them: one of Node's, one of Python's.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fanout::plan::diagnostic::Span;
use fanout::plan::{McpServer, McpTransport, ToolGrant};
use fanout::process::{Environment, Inherit};
use fanout::tool::{Class, Ground, Kit, Said, Servers, Tool, tools};
use indexmap::IndexMap;
use serde_json::json;

/// The program of a server, where it is installed.
pub(crate) fn installed(path: &str) -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/setup").join(path);
    if program.exists() {
        return Some(program);
    }
    // Past the harness, which keeps what a test that passes prints to itself.
    let line = format!("SKIPPED: {} is not there; run tests/setup/run\n", program.display());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

async fn tools_of(root: &Path, argv: Vec<String>) -> Vec<Box<dyn Tool>> {
    let mut ground = Ground::new(root).unwrap();
    let inherit = Inherit::Only(["PATH", "HOME"].map(str::to_owned).to_vec());
    ground.env = Environment { inherit, set: Vec::new() };
    let how = McpTransport::Stdio { argv, env: Vec::new(), cwd: PathBuf::new() };
    let timeout = Duration::from_secs(60);
    let server = McpServer { name: "real".to_owned(), at: Span::default(), how, timeout };
    let mcp = IndexMap::from([("real".to_owned(), server)]);
    let servers = Servers::new(|_| None);
    let grant = ToolGrant::Mcp { server: "real".to_owned(), tool: None };
    tools(&[grant], Kit { ground: Arc::new(ground), mcp: &mcp, servers: &servers }).await.unwrap()
}

pub(crate) fn named<'t>(tools: &'t [Box<dyn Tool>], name: &str) -> &'t dyn Tool {
    let names: Vec<String> = tools.iter().map(|tool| tool.spec().name).collect();
    let at = names.iter().position(|one| one == name);
    &*tools[at.unwrap_or_else(|| panic!("no {name} in {names:?}"))]
}

#[tokio::test]
async fn the_filesystem_server_reads_and_writes() {
    let Some(program) = installed("node/node_modules/.bin/mcp-server-filesystem") else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::write(root.join("a.txt"), "one\n").unwrap();
    let argv = vec![program.display().to_string(), root.display().to_string()];
    let tools = tools_of(&root, argv).await;
    let read = named(&tools, "mcp__real__read_text_file");
    assert_eq!(read.class(&json!({})), Class::Pure);
    let said = read.call(json!({ "path": root.join("a.txt") }), &|_| {}).await;
    assert_eq!(said, Said { text: "one\n".to_owned(), is_error: false });
    let outside = read.call(json!({ "path": "/etc/passwd" }), &|_| {}).await;
    assert!(outside.is_error && outside.text.contains("outside allowed directories"), "{}", outside.text);
    let write = named(&tools, "mcp__real__write_file");
    write.call(json!({ "path": root.join("b.txt"), "content": "two" }), &|_| {}).await;
    assert_eq!(std::fs::read_to_string(root.join("b.txt")).unwrap(), "two");
}

#[tokio::test]
async fn the_git_server_sees_a_repository() {
    let Some(program) = installed("python/bin/mcp-server-git") else { return };
    let folder = tempfile::tempdir().unwrap();
    let init = std::process::Command::new("git").args(["init", "-q"]).arg(folder.path()).status();
    assert!(init.unwrap().success());
    std::fs::write(folder.path().join("new.txt"), "").unwrap();
    let tools = tools_of(folder.path(), vec![program.display().to_string()]).await;
    let status = named(&tools, "mcp__real__git_status");
    let said = status.call(json!({ "repo_path": folder.path() }), &|_| {}).await;
    assert!(!said.is_error && said.text.contains("new.txt"), "{}", said.text);
}

/// A plan's agent asks for a tool of a server, and its next request holds what the server said.
#[test]
fn an_agent_of_a_plan_uses_a_tool_server() {
    let Some(program) = installed("node/node_modules/.bin/mcp-server-filesystem") else { return };
    let provider = crate::provider::Provider::start();
    let folder = crate::support::Folder::new();
    folder.write("notes/a.txt", "the sites are in src/net.rs");
    let path = folder.path().canonicalize().unwrap().join("notes/a.txt").display().to_string();
    provider.answer(move |request| {
        let said = String::from_utf8_lossy(&request.body).into_owned();
        if said.contains("the sites are in") {
            crate::provider::Script::text("src/net.rs")
        } else {
            let name = tool_name(&request.json, "read_text_file");
            crate::provider::Script::text("").call(&name, &json!({"path": path}))
        }
    });
    let plan = format!(
        "providers: {{ lab: {{ api: anthropic, base_url: '{}' }} }}\n\
         mcp: {{ files: {{ command: ['{}', .] }} }}\n\
         agents: {{ a: {{ model: lab/m, tools: ['mcp(files/read_text_file)'] }} }}\n\
         calls: {{ where: {{ prompt: Where are the sites?, agent: a }} }}\n",
        provider.base_url(),
        program.display()
    );
    folder.write("plan.yaml", &plan);
    let ran = folder.run(&["run", "plan.yaml", "-o", "json"]).expect_code(0);
    let result: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(result["calls"][0]["output"], "src/net.rs", "{result:#}");
    let tools = provider.requests()[0].json["tools"].as_array().unwrap().len();
    assert_eq!(tools, 1, "only the tool that was granted");
}

/// The same with a server written in Python, which works on the repository that the plan is in.
#[test]
fn an_agent_of_a_plan_asks_the_git_server() {
    let Some(program) = installed("python/bin/mcp-server-git") else { return };
    let provider = crate::provider::Provider::start();
    let folder = crate::support::Folder::new();
    let init = std::process::Command::new("git").args(["init", "-q"]).arg(folder.path()).status();
    assert!(init.unwrap().success());
    folder.write("left-over.txt", "");
    let path = folder.path().canonicalize().unwrap().display().to_string();
    provider.answer(move |request| {
        let said = String::from_utf8_lossy(&request.body).into_owned();
        if said.contains("left-over.txt") {
            crate::provider::Script::text("left-over.txt is not committed")
        } else {
            let name = tool_name(&request.json, "git_status");
            crate::provider::Script::text("").call(&name, &json!({ "repo_path": path }))
        }
    });
    let plan = format!(
        "providers: {{ lab: {{ api: openai-chat, base_url: '{}' }} }}\n\
         mcp: {{ repository: {{ command: ['{}'] }} }}\n\
         agents: {{ a: {{ model: lab/m, tools: ['mcp(repository)'] }} }}\n\
         calls: {{ state: {{ prompt: What is left to do?, agent: a }} }}\n",
        provider.base_url(),
        program.display()
    );
    folder.write("plan.yaml", &plan);
    let ran = folder.run(&["run", "plan.yaml", "-o", "json"]).expect_code(0);
    let result: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(result["calls"][0]["output"], "left-over.txt is not committed", "{result:#}");
    assert_eq!(provider.count(), 2);
}

/// The name under which a request offers a tool.
fn tool_name(request: &serde_json::Value, end: &str) -> String {
    let tools = request["tools"].as_array().unwrap();
    let names = tools.iter().filter_map(|tool| tool["name"].as_str().or(tool["function"]["name"].as_str()));
    names.into_iter().find(|name| name.ends_with(end)).unwrap().to_owned()
}

#[test]
fn a_tool_server_that_is_not_there_or_not_named_is_found_before_anything_starts() {
    let plan = |tools: &str| {
        format!(
            "mcp: {{ files: {{ command: [x] }} }}\nagents: {{ a: {{ model: anthropic/m, tools: [{tools}] }} }}\n\
             calls: {{ c: {{ prompt: Go., agent: a }} }}\n"
        )
    };
    for (tools, words) in [
        ("'mcp(file)'", "did you mean `files`"),
        ("mcp", "does not say which server"),
        ("'mcp(files/)'", "names no tool"),
    ] {
        let ran =
            crate::support::Folder::with_plan(&plan(tools)).run(&["validate", "plan.yaml"]).expect_code(2);
        assert!(ran.err.contains(words), "{tools}: {}", ran.err);
    }
    let folder = crate::support::Folder::with_plan(&plan("'mcp(files)'"));
    let ran = folder.run_with(&[("ANTHROPIC_API_KEY", "k")], &["run", "plan.yaml"]);
    assert!(ran.code != 0 && ran.err.contains("the tool server `files` cannot be used"), "{}", ran.err);
}
