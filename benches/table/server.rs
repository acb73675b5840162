//! A scripted model server in a process of its own: OpenAI chat, HTTP/1.1, keep-alive.
//!
//! One thread over epoll with one heap of timers, so that it costs little and is late by
//! well under a tenth of a millisecond. What to do stands in the prompt of each request:
//! `delay=200` (milliseconds), `size=512` (bytes of an answer in one piece), `tokens=200`
//! (a stream instead, in bursts over the delay), `findings=200 seed=7` (a list as JSON),
//! `hold=1` (no answer before `GET /release`). `GET /seen` says what has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{Timespec, epoll};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};

/// How many pieces a stream comes in.
const BURSTS: u32 = 5;
const LISTENER: u64 = u64::MAX;
const STDIN: u64 = u64::MAX - 1;

/// What has come since the last reset.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Requests, and how many of them were answered.
    pub(crate) requests: u64,
    pub(crate) answered: u64,
    pub(crate) connections: u64,
    /// The most that were under way at once.
    pub(crate) peak: u64,
    /// Nanoseconds since 1970: the first connection, the first request.
    pub(crate) first_connection: u64,
    pub(crate) first_request: u64,
}

/// What a request asks for.
#[derive(Debug, Clone, Default)]
struct Script {
    delay: Duration,
    size: usize,
    tokens: usize,
    findings: usize,
    seed: usize,
    hold: bool,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    script: Script,
}

struct Server {
    epoll: std::os::fd::OwnedFd,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    timers: BinaryHeap<Reverse<(Instant, usize, u32)>>,
    held: Vec<usize>,
    released: bool,
    seen: Seen,
    under_way: u64,
}

/// Serves until standard input is closed; says its port on standard output first.
pub(crate) fn serve() -> std::io::Result<()> {
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    listen(&listener, 16_384)?;
    let listener = TcpListener::from(listener);
    listener.set_nonblocking(true)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?.port())?;
    out.flush()?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    epoll::add(&epoll, std::io::stdin(), epoll::EventData::new_u64(STDIN), epoll::EventFlags::IN)?;
    let mut server = Server {
        epoll,
        connections: Vec::new(),
        free: Vec::new(),
        timers: BinaryHeap::new(),
        held: Vec::new(),
        released: false,
        seen: Seen::default(),
        under_way: 0,
    };
    let mut events = Vec::with_capacity(1024);
    loop {
        let now = Instant::now();
        while let Some(Reverse((due, at, step))) = server.timers.peek().copied()
            && due <= now
        {
            server.timers.pop();
            server.answer(at, step);
        }
        let wait = server.timers.peek().map(|Reverse((due, ..))| due.saturating_duration_since(now));
        let wait = wait.map(|wait| Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(1),
            tv_nsec: wait.subsec_nanos().into(),
        });
        events.clear();
        epoll::wait(&server.epoll, rustix::buffer::spare_capacity(&mut events), wait.as_ref())?;
        for event in &events {
            match event.data.u64() {
                STDIN => return Ok(()),
                LISTENER => server.accept(&listener)?,
                at => server.ready(usize::try_from(at).unwrap_or_default()),
            }
        }
    }
}

impl Server {
    fn accept(&mut self, listener: &TcpListener) -> std::io::Result<()> {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let at = self.free.pop().unwrap_or(self.connections.len());
            let data = epoll::EventData::new_u64(at as u64);
            epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN | epoll::EventFlags::RDHUP)?;
            let connection = Connection {
                stream,
                input: Vec::with_capacity(1024),
                output: Vec::new(),
                sent: 0,
                script: Script::default(),
            };
            if at == self.connections.len() {
                self.connections.push(Some(connection));
            } else if let Some(slot) = self.connections.get_mut(at) {
                *slot = Some(connection);
            }
            self.seen.connections += 1;
            first(&mut self.seen.first_connection);
        }
        Ok(())
    }

    /// Something came, or there is room again for what could not be sent.
    fn ready(&mut self, at: usize) {
        let Some(Some(connection)) = self.connections.get_mut(at) else { return };
        let open = connection.flush() && connection.fill();
        if !open {
            self.connections[at] = None;
            self.free.push(at);
            return;
        }
        let Some(request) = connection.take() else { return };
        self.requested(at, &request);
    }

    fn requested(&mut self, at: usize, request: &Request) {
        match request.path.as_str() {
            "/seen" => {
                let Seen { requests, answered, connections, peak, first_connection, first_request } =
                    self.seen;
                let text =
                    format!("{requests} {answered} {connections} {peak} {first_connection} {first_request}");
                self.put(at, &whole("text/plain", &text));
            }
            "/reset" => {
                self.seen = Seen::default();
                self.put(at, &whole("text/plain", "ok"));
            }
            "/release" => {
                self.released = true;
                for held in std::mem::take(&mut self.held) {
                    self.timers.push(Reverse((Instant::now(), held, BURSTS)));
                }
                self.put(at, &whole("text/plain", "ok"));
            }
            _ => {
                self.seen.requests += 1;
                first(&mut self.seen.first_request);
                self.under_way += 1;
                self.seen.peak = self.seen.peak.max(self.under_way);
                let script = Script::read(&request.body);
                if script.hold && !self.released {
                    self.held.push(at);
                } else {
                    let steps = if script.tokens > 0 { 1..=BURSTS } else { BURSTS..=BURSTS };
                    for step in steps {
                        let due = Instant::now() + script.delay * step / BURSTS;
                        self.timers.push(Reverse((due, at, step)));
                    }
                }
                if let Some(Some(connection)) = self.connections.get_mut(at) {
                    connection.script = script;
                }
            }
        }
    }

    /// Sends the next part of an answer; the last one is step [`BURSTS`].
    fn answer(&mut self, at: usize, step: u32) {
        let last = step == BURSTS;
        let Some(Some(connection)) = self.connections.get(at) else {
            self.under_way -= u64::from(last);
            return;
        };
        let part = connection.script.part(step);
        self.put(at, &part);
        if last {
            self.under_way -= 1;
            self.seen.answered += 1;
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let Some(Some(connection)) = self.connections.get_mut(at) else { return };
        connection.output.extend_from_slice(bytes);
        connection.flush();
        if connection.sent < connection.output.len() {
            let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP;
            // A connection that is gone is seen at its next event.
            let _ =
                epoll::modify(&self.epoll, &connection.stream, epoll::EventData::new_u64(at as u64), flags);
        }
    }
}

impl Connection {
    /// Reads what is there; false once the other side is gone.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.input.extend(buffer.iter().take(count)),
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Writes what waits to be written; false once the other side is gone.
    fn flush(&mut self) -> bool {
        while self.sent < self.output.len() {
            match self.stream.write(self.output.get(self.sent..).unwrap_or_default()) {
                Ok(count) => self.sent += count,
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
        self.output.clear();
        self.sent = 0;
        true
    }

    /// Takes a whole request out of what has come.
    fn take(&mut self) -> Option<Request> {
        let text = &self.input;
        let head = text.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let lines = String::from_utf8_lossy(text.get(..head)?).to_ascii_lowercase();
        let length = lines.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(Some(0), |length| length.trim().parse().ok())?;
        let body = text.get(head..head + length)?.to_vec();
        let path = lines.split(' ').nth(1)?.to_owned();
        self.input.drain(..head + length);
        Some(Request { path, body })
    }
}

struct Request {
    path: String,
    body: Vec<u8>,
}

impl Script {
    fn read(body: &[u8]) -> Script {
        let body = String::from_utf8_lossy(body);
        let number = |name: &str| -> usize {
            let rest = body.split_once(name).map_or("", |(_, rest)| rest);
            rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        Script {
            delay: Duration::from_millis(number("delay=") as u64),
            size: number("size="),
            tokens: number("tokens="),
            findings: number("findings="),
            seed: number("seed="),
            hold: number("hold=") == 1,
        }
    }

    fn part(&self, step: u32) -> Vec<u8> {
        if self.tokens == 0 {
            let text = if self.findings > 0 { self.list() } else { "word ".repeat(self.size / 5 + 1) };
            let text = if self.findings > 0 { text.as_str() } else { text.get(..self.size).unwrap_or("") };
            let body = format!(
                r#"{{"id":"chatcmpl-1","object":"chat.completion","model":"scripted","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":20,"completion_tokens":100,"total_tokens":120}}}}"#,
                text.replace('"', "\\\"")
            );
            return whole("application/json", &body);
        }
        let upto = |step: u32| self.tokens * step as usize / BURSTS as usize;
        let mut events = String::new();
        for token in upto(step - 1)..upto(step) {
            events.push_str(&event(&format!(r#"{{"content":"word{token} "}}"#), "null"));
        }
        let mut part = String::new();
        if step == 1 {
            part.push_str(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
            );
        }
        if step == BURSTS {
            events.push_str(&event("{}", "\"stop\""));
            events.push_str(
                "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"model\":\"scripted\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":200,\"total_tokens\":220}}\n\ndata: [DONE]\n\n",
            );
        }
        part.push_str(&format!("{:x}\r\n{events}\r\n", events.len()));
        if step == BURSTS {
            part.push_str("0\r\n\r\n");
        }
        part.into_bytes()
    }

    /// Findings as a reviewer gives them: a third of them others have, too, some with other words.
    fn list(&self) -> String {
        let findings = (0..self.findings).map(|nth| {
            let (own, at) = (nth % 3 > 0, if nth % 3 > 0 { self.seed * self.findings + nth } else { nth });
            let wording = if own || self.seed.is_multiple_of(2) { "is not checked" } else { "is never checked" };
            let severity = if self.seed.is_multiple_of(7) { "high" } else { "low" };
            format!(
                r#"{{"file":"src/room{}/file{}.rs","line":{},"title":"the result of step {at} {wording}","severity":"{severity}"}}"#,
                at % 17,
                at % 101,
                at % 997
            )
        });
        format!("[{}]", findings.collect::<Vec<_>>().join(","))
    }
}

fn event(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"scripted\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn whole(kind: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn first(time: &mut u64) {
    if *time == 0 {
        *time = now();
    }
}

/// Nanoseconds since 1970, the one clock that two processes share.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
