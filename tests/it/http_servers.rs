//! Tool servers over streamable HTTP: real ones, as `tests/setup/run` installs them, and one that
//! does whatever is wrong.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanout::plan::diagnostic::Span;
use fanout::plan::{McpServer, McpTransport, Setting, ToolGrant};
use fanout::tool::{Ground, Kit, Said, Servers, Tool, Unavailable, tools};
use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::servers::{installed, named};

/// What the server does when a tool is called.
type Deed = fn(&mut TcpStream, &Value);

/// A server that is right in everything but in what it does when a tool is called.
struct Hostile {
    url: String,
    /// The methods that were asked for, in order, each with its session.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Hostile {
    fn start(deed: Deed) -> Hostile {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<(String, String)>>>::default();
        let (heard, sessions) = (Arc::clone(&asked), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heard, sessions) = (Arc::clone(&heard), Arc::clone(&sessions));
                std::thread::spawn(move || serve(stream, deed, &heard, &sessions));
            }
        });
        Hostile { url, asked }
    }

    fn count(&self, method: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(asked, _)| asked == method).count()
    }
}

/// Answers one connection until it is closed.
fn serve(mut stream: TcpStream, deed: Deed, heard: &Mutex<Vec<(String, String)>>, sessions: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut length, mut session, mut first) = (0, String::new(), String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end().to_lowercase();
            if first.is_empty() {
                first.clone_from(&line);
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if let Some(value) = line.strip_prefix("mcp-session-id: ") {
                value.clone_into(&mut session);
            }
            if line.is_empty() {
                break;
            }
        }
        if !first.starts_with("post") {
            answer(&mut stream, "405 Method Not Allowed", "text/plain", "", "");
            continue;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let method = asked["method"].as_str().unwrap_or_default().to_owned();
        heard.lock().unwrap().push((method.clone(), session.clone()));
        match method.as_str() {
            "initialize" => {
                let session = format!("mcp-session-id: s{}\r\n", sessions.fetch_add(1, Ordering::Relaxed));
                let result = json!({
                    "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "x", "version": "1"},
                });
                reply(&mut stream, &asked, &result, &session);
            }
            "tools/list" => {
                let tool = json!({"name": "t", "description": "Does it.", "inputSchema": {"type": "object"}});
                reply(&mut stream, &asked, &json!({"tools": [tool]}), "");
            }
            "tools/call" => {
                deed(&mut stream, &json!({"id": asked["id"], "session": session}));
                if !session.is_empty() && session != "s0" {
                    continue;
                }
                // What comes after a deed is up to the deed.
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
            "server/discover" => {
                answer(&mut stream, "400 Bad Request", "text/plain", "", "what?");
            }
            _ => answer(&mut stream, "202 Accepted", "text/plain", "", ""),
        }
    }
}

fn answer(stream: &mut TcpStream, status: &str, kind: &str, headers: &str, body: &str) {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{headers}\r\n");
    let _ = stream.write_all((head + body).as_bytes());
}

fn reply(stream: &mut TcpStream, asked: &Value, result: &Value, headers: &str) {
    let body = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}).to_string();
    answer(stream, "200 OK", "application/json", headers, &body);
}

fn events(stream: &mut TcpStream) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let _ = stream.write_all(head.as_bytes());
}

fn chunk(stream: &mut TcpStream, text: &str) -> bool {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).is_ok()
}

async fn tools_of(url: &str, timeout: Duration) -> Result<Vec<Box<dyn Tool>>, Unavailable> {
    let ground = Ground::new(&std::env::temp_dir()).unwrap();
    let headers = vec![("X-Team".to_owned(), Setting::Plain("reds".to_owned()))];
    let how = McpTransport::Http { url: url.to_owned(), api_key_env: None, headers };
    let server = McpServer { name: "far".to_owned(), at: Span::default(), how, timeout };
    let mcp = IndexMap::from([("far".to_owned(), server)]);
    let servers = Servers::new(|_| None);
    let grant = ToolGrant::Mcp { server: "far".to_owned(), tool: None };
    tools(&[grant], Kit { ground: Arc::new(ground), mcp: &mcp, servers: &servers }).await
}

async fn called(deed: Deed) -> (Said, Hostile) {
    let server = Hostile::start(deed);
    let tools = tools_of(&server.url, Duration::from_secs(3)).await.unwrap();
    let said = tools[0].call(json!({}), &|_| {}).await;
    (said, server)
}

#[tokio::test]
async fn a_server_that_does_not_behave_fails_its_call_in_time_and_says_what_was_wrong() {
    let deeds: [(&str, Deed, &str); 9] = [
        ("hangs", |stream, _| drop(stream.read(&mut [0; 1])), "did not answer within 3 s"),
        ("hangs up", |_, _| {}, "failed: error sending request"),
        (
            "dies in the middle of its answer",
            |stream, _| {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{\"json";
                drop(stream.write_all(head.as_bytes()));
            },
            "failed: error decoding response body",
        ),
        (
            "dies in the middle of its events",
            |stream, _| {
                events(stream);
                chunk(stream, "data: {\"jsonrpc\":\"2.0\",\"id\"");
            },
            "failed: it closed its connection before it had answered",
        ),
        (
            "babbles",
            |stream, _| {
                events(stream);
                let news = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"x\"}}\n\n";
                while chunk(stream, news) {}
            },
            "did not answer within 3 s",
        ),
        (
            "sends one event without end",
            |stream, _| {
                events(stream);
                let text = "x".repeat(65_536);
                while chunk(stream, &text) {}
            },
            "failed: ",
        ),
        (
            "sends one answer without end",
            |stream, _| {
                let head =
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
                drop(stream.write_all(head.as_bytes()));
                let text = " ".repeat(65_536);
                while chunk(stream, &text) {}
            },
            "failed: ",
        ),
        (
            "sends a page",
            |stream, _| answer(stream, "200 OK", "text/html", "", "<h1>Log in</h1>"),
            "failed: it answered with `text/html`, which is no answer of a tool server",
        ),
        (
            "is broken",
            |stream, _| answer(stream, "500 Internal Server Error", "text/plain", "", "no luck"),
            "failed: HTTP 500",
        ),
    ];
    for (what, deed, words) in deeds {
        let (said, _) = called(deed).await;
        assert!(!said.text.contains("rmcp"), "{what}: {}", said.text);
        assert!(said.is_error, "{what}: {}", said.text);
        assert!(said.text.starts_with("the tool server `far` "), "{what}: {}", said.text);
        assert!(said.text.contains(words), "{what}: {}", said.text);
        assert!(said.text.len() < 800, "{what}: {}", said.text);
    }
}

#[tokio::test]
async fn a_session_that_the_server_has_lost_is_begun_anew_and_one_that_is_always_lost_fails() {
    let (said, server) = called(|stream, asked| {
        if asked["session"] == "s0" {
            answer(stream, "404 Not Found", "text/plain", "", "no such session");
        } else {
            reply(stream, asked, &json!({"content": [{"type": "text", "text": "here"}]}), "");
        }
    })
    .await;
    assert_eq!(said, Said { text: "here".to_owned(), is_error: false });
    assert_eq!((server.count("initialize"), server.count("tools/call")), (2, 2));
    let (said, server) = called(|stream, _| answer(stream, "404 Not Found", "text/plain", "", "")).await;
    let words = "the tool server `far` failed: it has lost its session, and one that was begun anew as well (HTTP 404)";
    // A connection that the server closes in that very moment is told as what it is.
    assert!(
        said.is_error && (said.text == words || said.text.contains("connection closed")),
        "{}",
        said.text
    );
    assert!(server.count("tools/call") < 5, "it was asked again and again");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_wants_a_key_says_so_before_anything_is_asked() {
    let refused = tools_of("http://127.0.0.1:9/mcp", Duration::from_secs(3)).await.map(|tools| tools.len());
    let problem = refused.unwrap_err().problem;
    assert!(problem.to_lowercase().contains("connection refused"), "{problem}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 8192]);
            answer(&mut stream, "401 Unauthorized", "text/plain", "www-authenticate: Bearer\r\n", "");
        }
    });
    let refused = tools_of(&url, Duration::from_secs(3)).await.map(|tools| tools.len());
    let problem = refused.unwrap_err().problem;
    assert_eq!(problem, "it wants a key (HTTP 401); name the variable that holds it with `api_key_env`");
}

/// A real server, ended when dropped.
struct Real {
    child: std::process::Child,
    url: String,
}

impl Real {
    fn start(mut command: std::process::Command, port: u16) -> Real {
        let child = command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        crate::support::eventually("the server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Real { child, url: format!("http://127.0.0.1:{port}/mcp") }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn the_server_with_everything_is_used_over_http() {
    let Some(program) = installed("node/node_modules/.bin/mcp-server-everything") else { return };
    let port = port();
    let mut command = std::process::Command::new(program);
    command.arg("streamableHttp").env("PORT", port.to_string());
    let server = Real::start(command, port);
    let tools = tools_of(&server.url, Duration::from_secs(60)).await.unwrap();
    let said = named(&tools, "mcp__far__echo").call(json!({"message": "hello"}), &|_| {}).await;
    assert_eq!(said, Said { text: "Echo: hello".to_owned(), is_error: false });
    let said = named(&tools, "mcp__far__get-sum").call(json!({"a": 2, "b": 40}), &|_| {}).await;
    assert!(!said.is_error && said.text.contains("42"), "{}", said.text);
    // News of its progress comes before the answer, over the same stream.
    let long = json!({"duration": 1, "steps": 3});
    let said = named(&tools, "mcp__far__trigger-long-running-operation").call(long, &|_| {}).await;
    assert!(!said.is_error && said.text.contains("completed"), "{}", said.text);
}

/// An agent of a plan uses a server of Python's over HTTP; its header gets there.
#[test]
fn an_agent_of_a_plan_uses_a_server_over_http() {
    let Some(python) = installed("python/bin/python") else { return };
    let port = port();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mcp_http.py");
    let mut command = std::process::Command::new(python);
    command.arg(script).arg(port.to_string());
    let server = Real::start(command, port);
    let provider = crate::provider::Provider::start();
    provider.answer(|request| {
        let said = String::from_utf8_lossy(&request.body).into_owned();
        match said.contains("blue with key") {
            true => crate::provider::Script::text("It is blue."),
            false => crate::provider::Script::text("").call("mcp__team__colour", &json!({"of": "sky"})),
        }
    });
    let folder = crate::support::Folder::with_plan(&format!(
        "providers: {{ lab: {{ api: openai-chat, base_url: '{}' }} }}\n\
         mcp: {{ team: {{ url: '{}', api_key_env: TEAM_KEY, timeout: 30s }} }}\n\
         agents: {{ a: {{ model: lab/m, tools: ['mcp(team/colour)'] }} }}\n\
         calls: {{ which: {{ prompt: Which colour is the sky?, agent: a, retries: 0 }} }}\n",
        provider.base_url(),
        server.url
    ));
    let ran = folder.run_with(&[("TEAM_KEY", "tk-1")], &["run", "plan.yaml", "-o", "json"]).expect_code(0);
    let result: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(result["calls"][0]["output"], "It is blue.", "{result:#}");
    let told = provider.requests()[1].prompt();
    assert!(told.contains("sky is blue with key Bearer tk-1"), "{told}");
}
