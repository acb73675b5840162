//! The tools on real folders and with real programs.

mod bash;
mod files;
mod outside;
mod search;
mod servers;
mod smuggled;

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::plan::{CommandPattern, McpServer, ToolGrant};
use crate::process::{Environment, Inherit};

/// A workspace that is removed at the end.
struct Workspace {
    folder: TempDir,
    ground: Ground,
    mcp: IndexMap<String, McpServer>,
    servers: Servers,
}

impl Workspace {
    fn new() -> Workspace {
        let folder = tempfile::tempdir().unwrap();
        let mut ground = Ground::new(folder.path()).unwrap();
        let path = Inherit::Only(vec!["PATH".to_owned(), "HOME".to_owned()]);
        ground.env = Environment { inherit: path, set: Vec::new() };
        Workspace { folder, ground, mcp: IndexMap::new(), servers: Servers::new(|_| None) }
    }

    fn with(files: &[(&str, &str)]) -> Workspace {
        let workspace = Workspace::new();
        files.iter().for_each(|(path, text)| workspace.put(path, text));
        workspace
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn put(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    async fn tools(&self, grants: &[ToolGrant]) -> Result<Vec<Box<dyn Tool>>, Unavailable> {
        let ground = Arc::new(self.ground.clone());
        tools(grants, Kit { ground, mcp: &self.mcp, servers: &self.servers }).await
    }

    async fn tool(&self, grant: ToolGrant) -> Box<dyn Tool> {
        self.tools(&[grant]).await.unwrap().pop().unwrap()
    }

    /// What a tool answers: `Ok` for a success.
    async fn call(&self, grant: ToolGrant, input: Value) -> Result<String, String> {
        let said = self.tool(grant).await.call(input, &|_| {}).await;
        if said.is_error { Err(said.text) } else { Ok(said.text) }
    }
}

fn ok(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn error(text: &str) -> Result<String, String> {
    Err(text.to_owned())
}

fn bash(pattern: &str) -> ToolGrant {
    ToolGrant::Bash(Some(CommandPattern::parse(pattern).unwrap()))
}

/// Every name beneath a folder, to see that nothing else was made.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = (std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Whether a process runs; one that is dead and that nobody has collected yet does not.
fn lives(pid: &str) -> bool {
    let status =
        std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("status")).unwrap_or_default();
    !status.is_empty() && !status.contains("\nState:\tZ")
}

#[tokio::test]
async fn an_agent_has_the_tools_that_it_is_granted_each_once() {
    let workspace = Workspace::new();
    let grants = [ToolGrant::Read, bash("git log *"), ToolGrant::Agent, bash("ls"), ToolGrant::BackgroundRun];
    let tools = workspace.tools(&grants).await.unwrap();
    let names: Vec<String> = tools.iter().map(|tool| tool.spec().name).collect();
    assert_eq!(names, ["read", "bash", "background_run"]);
    assert!(tools[1].spec().description.contains("Allowed are `git log *`, `ls` ("));
}

#[tokio::test]
async fn input_that_does_not_fit_is_answered_with_the_schema() {
    let workspace = Workspace::new();
    let said = workspace.call(ToolGrant::Read, json!({ "file": "x" })).await.unwrap_err();
    let start = "the input of `read` does not fit its schema: unknown field `file`, expected one of `path`, \
                 `offset`, `limit`\nthe schema: {\"type\":\"object\"";
    assert!(said.starts_with(start), "{said}");
}
