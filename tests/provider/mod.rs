//! A scripted model provider on loopback: Anthropic Messages, OpenAI Chat Completions,
//! OpenAI Responses and Gemini, streamed and not, with every fault that a test can think of.
//!
//! ```ignore
//! let provider = Provider::start();
//! provider.on("weather", Script::text("rain").delay(ms(20)));
//! provider.answer(|request| Script::text(format!("you said {}", request.prompt())));
//! // … point something at provider.base_url() …
//! assert_eq!(provider.requests().len(), 1);
//! ```
//!
//! It runs on a thread and a clock of its own, so that tests may be plain functions
//! or pause theirs. Odd input gets an odd status, never a panic. What is asked is
//! answered by the first rule whose text is in the request's prompt, else by the next
//! script in the queue, else by the function given to [`Provider::answer`].
#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by test binaries and benches, each of which uses a part"
)]

mod connection;
mod render;
mod script;

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;

pub use script::Script;

/// So many milliseconds.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A running provider; dropping it closes everything.
pub struct Provider {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// One request, as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// `POST`.
    pub method: String,
    /// `/v1/messages`, with the query.
    pub path: String,
    /// In their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The body as JSON; null if it is none.
    pub json: Value,
    /// When its last byte arrived.
    pub at: Instant,
    /// Which connection it came on, from 0.
    pub connection: usize,
}

impl Request {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every text of the conversation, system prompt and results of tools included, a line each.
    pub fn prompt(&self) -> String {
        fn collect(value: &Value, texts: &mut Vec<String>) {
            match value {
                Value::String(text) => texts.push(text.clone()),
                Value::Array(list) => list.iter().for_each(|value| collect(value, texts)),
                Value::Object(object) => {
                    ["content", "text", "parts", "output", "functionResponse", "response", "error"]
                        .iter()
                        .filter_map(|key| object.get(*key))
                        .for_each(|value| collect(value, texts));
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        let mut texts = Vec::new();
        for key in ["system", "instructions", "systemInstruction", "messages", "input", "contents"] {
            if let Some(value) = self.json.get(key) {
                collect(value, &mut texts);
            }
        }
        texts.join("\n")
    }

    /// The model that is asked for.
    pub fn model(&self) -> &str {
        let in_path = self.path.split_once("/models/").and_then(|(_, rest)| rest.split(':').next());
        self.json.get("model").and_then(Value::as_str).or(in_path).unwrap_or_default()
    }

    /// How many messages the conversation has.
    pub fn messages(&self) -> usize {
        let lists = ["messages", "input", "contents"];
        lists.iter().find_map(|key| self.json.get(*key)?.as_array()).map_or(0, Vec::len)
    }
}

type Answer = dyn Fn(&Request) -> Script + Send + Sync;

/// What the connections share.
struct State {
    answer: Mutex<Arc<Answer>>,
    rules: Mutex<Vec<(String, Script)>>,
    queue: Mutex<VecDeque<Script>>,
    requests: Mutex<Vec<Request>>,
    accepted: AtomicUsize,
    open: AtomicUsize,
    received: AtomicUsize,
}

impl State {
    fn script(&self, request: &Request) -> Script {
        let prompt = request.prompt();
        let rule = locked(&self.rules)
            .iter()
            .find(|(text, _)| prompt.contains(text))
            .map(|(_, script)| script.clone());
        if let Some(script) = rule.or_else(|| locked(&self.queue).pop_front()) {
            return script;
        }
        let answer = Arc::clone(&locked(&self.answer));
        answer(request)
    }
}

/// A test that failed elsewhere is no reason to fail here, too.
fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Provider {
    /// Starts on a free port of loopback. Answers `ok` until told otherwise.
    pub fn start() -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").expect("no free port on loopback");
        listener.set_nonblocking(true).expect("a listener that blocks");
        let address = listener.local_addr().expect("a listener without an address");
        let state = Arc::new(State {
            answer: Mutex::new(Arc::new(|_: &Request| Script::text("ok"))),
            rules: Mutex::default(),
            queue: Mutex::default(),
            requests: Mutex::default(),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            received: AtomicUsize::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    _ = stopped => {}
                    () = connection::accept(listener, shared) => {}
                }
            });
            // Dropping the runtime drops every connection.
        });
        Provider { address, state, stop: Some(stop), thread: Some(thread) }
    }

    /// Answers what no rule and no queued script answers.
    pub fn answer(&self, answer: impl Fn(&Request) -> Script + Send + Sync + 'static) -> &Provider {
        *locked(&self.state.answer) = Arc::new(answer);
        self
    }

    /// Answers every request whose prompt holds `text`; the first such rule counts.
    pub fn on(&self, text: &str, script: Script) -> &Provider {
        locked(&self.state.rules).push((text.to_owned(), script));
        self
    }

    /// Answers the next requests, one each, in this order.
    pub fn in_turn(&self, scripts: impl IntoIterator<Item = Script>) -> &Provider {
        locked(&self.state.queue).extend(scripts);
        self
    }

    /// Every request so far, in the order in which they arrived.
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.state.requests).clone()
    }

    /// How many requests have arrived.
    pub fn count(&self) -> usize {
        locked(&self.state.requests).len()
    }

    /// `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// How many connections were ever made.
    pub fn connections(&self) -> usize {
        self.state.accepted.load(Ordering::Acquire)
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.state.open.load(Ordering::Acquire)
    }

    /// How many bytes were ever received, requests that were no requests included.
    pub fn bytes_received(&self) -> usize {
        self.state.received.load(Ordering::Acquire)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What went wrong over there shows as a request without an answer.
            let _ = thread.join();
        }
    }
}
