//! Tool servers that behave, and servers that do not.

use std::time::Duration;

use super::*;
use crate::plan::diagnostic::Span;
use crate::plan::{McpTransport, Setting};

/// Answers `server/discover` with an error and `initialize` as it should be, then runs `rest` for
/// every further line, which is in `$line`.
fn script(rest: &str) -> String {
    let answer = r#"id=${line#*'"id":'}; id=${id%%[,\}]*};"#;
    format!(
        r#"while read -r line; do {answer}
case $line in
*'"server/discover"'*) printf '{{"jsonrpc":"2.0","id":%s,"error":{{"code":-32601,"message":"no"}}}}\n' "$id";;
*'"initialize"'*) printf '{{"jsonrpc":"2.0","id":%s,"result":{{"protocolVersion":"2025-06-18","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"x","version":"1"}}}}}}\n' "$id";;
*'"notifications/'*) ;;
*) {rest};;
esac; done"#
    )
}

/// Lists one tool `t`, and answers a call of it with `call`.
fn with_tool(call: &str) -> String {
    script(&format!(
        r#"case $line in
*'"tools/list"'*) printf '{{"jsonrpc":"2.0","id":%s,"result":{{"tools":[{{"name":"t","description":"Does it.","inputSchema":{{"$schema":"x","properties":{{}}}},"annotations":{{"readOnlyHint":true}}}}]}}}}\n' "$id";;
*) {call};;
esac"#
    ))
}

fn server(script: &str) -> Workspace {
    let mut workspace = Workspace::new();
    let how = McpTransport::Stdio {
        argv: vec!["sh".to_owned(), "-c".to_owned(), format!("echo $$ >> pids; {script}")],
        env: Vec::new(),
        cwd: std::path::PathBuf::new(),
    };
    let server =
        McpServer { name: "s".to_owned(), at: Span::default(), how, timeout: Duration::from_secs(20) };
    workspace.mcp.insert("s".to_owned(), server);
    workspace
}

fn all() -> ToolGrant {
    ToolGrant::Mcp { server: "s".to_owned(), tool: None }
}

fn unavailable(problem: &str) -> Result<usize, Unavailable> {
    Err(Unavailable { server: "s".to_owned(), problem: problem.to_owned() })
}

/// That no server of this workspace is left.
async fn none_is_left(workspace: &Workspace) {
    let pids = workspace.text("pids");
    assert!(!pids.trim().is_empty());
    for pid in pids.lines() {
        assert!(!lives(pid), "{pid}");
    }
}

#[tokio::test]
async fn a_servers_tools_are_listed_and_called() {
    let answer = r#"printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"one"},{"type":"image","data":"AAAA","mimeType":"image/png"}]}}\n' "$id""#;
    let workspace = server(&with_tool(answer));
    let tools = workspace.tools(&[all()]).await.unwrap();
    let [tool] = tools.as_slice() else { panic!("{}", tools.len()) };
    let parameters = json!({ "properties": {}, "type": "object" });
    let spec = ToolSpec { name: "mcp__s__t".to_owned(), description: "Does it.".to_owned(), parameters };
    assert_eq!((tool.spec(), tool.class(&json!({}))), (spec, Class::Pure));
    let said = tool.call(json!({}), &|_| {}).await;
    assert_eq!(said, Said::done("one\n[a image (image/png, about 3 bytes) that is not shown]"));
    drop(tools);
    none_is_left(&workspace).await;
}

#[tokio::test]
async fn a_tool_that_fails_is_told_from_a_server_that_refuses() {
    let failed = r#"printf '{"jsonrpc":"2.0","id":%s,"result":{"isError":true,"content":[{"type":"text","text":"no file"}]}}\n' "$id""#;
    let refused =
        r#"printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"no such tool"}}\n' "$id""#;
    let first = server(&with_tool(failed)).call(all(), json!({})).await;
    assert_eq!(first, error("no file"));
    let second = server(&with_tool(refused)).call(all(), json!({})).await;
    assert_eq!(second, error("the tool server `s` refused the call: no such tool (code -32602)"));
}

#[tokio::test]
async fn a_server_that_dies_says_how() {
    let workspace = server(&with_tool("echo 'out of luck' >&2; exit 7"));
    let said = workspace.call(all(), json!({})).await;
    let expected = "the tool server `s` failed: it ended with exit status 7; its last words: `out of luck`";
    assert_eq!(said, error(expected));
    none_is_left(&workspace).await;
    let workspace = server("exit 3");
    let tools = workspace.tools(&[all()]).await.map(|tools| tools.len());
    assert_eq!(tools, unavailable("it ended with exit status 3"));
}

#[tokio::test]
async fn a_server_that_hangs_fails_its_call_in_time() {
    let mut workspace = server(&with_tool("sleep 600"));
    workspace.mcp.get_mut("s").unwrap().timeout = Duration::from_secs(1);
    let said = workspace.call(all(), json!({})).await;
    assert_eq!(said, error("the tool server `s` did not answer within 1 s"));
    none_is_left(&workspace).await;
}

#[tokio::test]
async fn a_server_that_babbles_is_cut_off() {
    let flood = r#"while :; do printf '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\n'; done"#;
    for (call, problem) in [
        ("yes 'hello there'", "it writes text on its standard output that is no message: `hello there`"),
        ("printf '{'; tr '\\0' x < /dev/zero", "it wrote a message of more than 16777216 bytes"),
        (flood, "it sent more than 20000 messages that nobody asked for"),
    ] {
        let workspace = server(&with_tool(call));
        let said = workspace.call(all(), json!({})).await;
        assert_eq!(said, error(&format!("the tool server `s` failed: {problem}")));
        none_is_left(&workspace).await;
    }
}

#[tokio::test]
async fn a_greeting_on_standard_output_is_passed_over() {
    let call = r#"printf 'working…\n{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}\n' "$id""#;
    assert_eq!(server(&with_tool(call)).call(all(), json!({})).await, ok("(nothing)"));
}

#[tokio::test]
async fn a_list_in_pages_is_read_to_its_end_and_not_beyond() {
    let page = |name: &str, next: &str| {
        format!(
            r#"printf '{{"jsonrpc":"2.0","id":%s,"result":{{"tools":[{{"name":"{name}","inputSchema":{{"type":"object"}}}}]{next}}}}}\n' "$id""#
        )
    };
    let next = r#","nextCursor":"2""#;
    let pages = format!("case $line in *cursor*) {};; *) {};; esac", page("two", ""), page("one", next));
    let workspace = server(&script(&pages));
    let one = ToolGrant::Mcp { server: "s".to_owned(), tool: Some("two".to_owned()) };
    let names: Vec<String> =
        workspace.tools(&[one]).await.unwrap().iter().map(|tool| tool.spec().name).collect();
    assert_eq!(names, ["mcp__s__two"]);
    let none = ToolGrant::Mcp { server: "s".to_owned(), tool: Some("tow".to_owned()) };
    let missing = workspace.tools(&[none]).await.map(|tools| tools.len());
    assert_eq!(missing, unavailable("it has no tool `tow`; its tools are `one`, `two`"));
    let workspace = server(&script(&page("one", next)));
    let endless = workspace.tools(&[all()]).await.map(|tools| tools.len());
    assert_eq!(endless, unavailable("it lists the same page of tools again and again"));
    none_is_left(&workspace).await;
}

#[tokio::test]
async fn a_key_is_looked_up_by_its_name() {
    let call = r#"printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s"}]}}\n' "$id" "$KEY""#;
    let mut workspace = server(&with_tool(call));
    if let McpTransport::Stdio { env, .. } = &mut workspace.mcp.get_mut("s").unwrap().how {
        env.push(("KEY".to_owned(), Setting::Variable("OWN_KEY".to_owned())));
    }
    let missing = workspace.tools(&[all()]).await.map(|tools| tools.len());
    assert_eq!(missing, unavailable("`OWN_KEY` is not set: set it in your environment"));
    workspace.servers = Servers::new(|name| (name == "OWN_KEY").then(|| "value".to_owned()));
    assert_eq!(workspace.call(all(), json!({})).await, ok("value"));
}
