//! HTTP/1.1 on one connection: requests in, scripted responses out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::render::{Piece, Response, respond};
use super::script::Ending;
use super::{Request, State, locked};

/// The largest head and the largest body that are taken, in bytes.
const MAX_HEAD: usize = 1 << 20;
const MAX_BODY: usize = 256 << 20;

/// Serves every connection until dropped.
pub(super) async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        // Those that ended are let go of as we come by.
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        let number = state.accepted.fetch_add(1, Ordering::AcqRel);
        state.open.fetch_add(1, Ordering::AcqRel);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let open = Open(Arc::clone(&state));
            let _ = stream.set_nodelay(true);
            let mut connection = Connection { stream, state, number, buffer: Vec::new() };
            while connection.serve().await.is_some_and(|stays| stays) {}
            drop(connection);
            drop(open);
        });
    }
}

/// Counts a connection as open.
struct Open(Arc<State>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Connection {
    stream: TcpStream,
    state: Arc<State>,
    number: usize,
    /// Received and not used yet.
    buffer: Vec<u8>,
}

impl Connection {
    /// One request and its response; `None` when the connection is over, `Some(false)` when it has to be.
    async fn serve(&mut self) -> Option<bool> {
        let request = match self.request().await? {
            Ok(request) => request,
            Err(problem) => {
                let body = format!("{{\"error\":{{\"message\":\"{problem}\"}}}}");
                let head = format!(
                    "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                self.write(head.as_bytes()).await?;
                self.write(body.as_bytes()).await?;
                return Some(false);
            }
        };
        let script = self.state.script(&request);
        let response = respond(&script, &request);
        locked(&self.state.requests).push(request);
        if !script.delay.is_zero() {
            self.unless_hung_up(tokio::time::sleep(script.delay)).await?;
        }
        self.respond(response).await
    }

    async fn respond(&mut self, response: Response) -> Option<bool> {
        if response.ending == Ending::NoResponse {
            return None;
        }
        if response.ending == Ending::Silent {
            return self.unless_hung_up(std::future::pending()).await;
        }
        self.write(response.head.as_bytes()).await?;
        let mut left = response.limit.unwrap_or(usize::MAX);
        for piece in response.pieces {
            match piece {
                Piece::Pause(time) => self.unless_hung_up(tokio::time::sleep(time)).await?,
                Piece::Bytes(bytes) => {
                    let part = bytes.get(..left).unwrap_or(&bytes);
                    left -= part.len();
                    if response.chunked && !part.is_empty() {
                        let mut chunk = format!("{:x}\r\n", part.len()).into_bytes();
                        chunk.extend_from_slice(part);
                        chunk.extend_from_slice(b"\r\n");
                        self.write(&chunk).await?;
                    } else {
                        self.write(part).await?;
                    }
                    if left == 0 && response.limit.is_some() {
                        break;
                    }
                }
            }
        }
        match response.ending {
            Ending::Whole => {
                if response.chunked {
                    self.write(b"0\r\n\r\n").await?;
                }
                Some(true)
            }
            Ending::Open => self.unless_hung_up(std::future::pending()).await,
            Ending::Cut | Ending::NoResponse | Ending::Silent => None,
        }
    }

    /// Waits for something, but no longer than the other side does.
    async fn unless_hung_up<T>(&mut self, wait: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(wait);
        let mut more = [0; 1024];
        loop {
            tokio::select! {
                done = &mut wait => return Some(done),
                read = self.stream.read(&mut more) => match read {
                    Ok(0) | Err(_) => return None,
                    Ok(n) => self.received(more.get(..n).unwrap_or_default()),
                },
            }
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        self.state.received.fetch_add(bytes.len(), Ordering::AcqRel);
        self.buffer.extend_from_slice(bytes);
    }

    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()
    }

    /// Reads until there is more; `None` at the end.
    async fn more(&mut self) -> Option<()> {
        let mut bytes = vec![0; 64 << 10];
        let n = self.stream.read(&mut bytes).await.ok().filter(|n| *n > 0)?;
        self.received(bytes.get(..n).unwrap_or_default());
        Some(())
    }

    /// The next request, or what is wrong with it.
    async fn request(&mut self) -> Option<Result<Request, &'static str>> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if self.buffer.len() > MAX_HEAD {
                return Some(Err("the head is too long"));
            }
            self.more().await?;
        };
        let rest = self.buffer.split_off(end + 4);
        let head = String::from_utf8_lossy(&std::mem::replace(&mut self.buffer, rest)).into_owned();
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(path)) = (first.next(), first.next()) else {
            return Some(Err("no request line"));
        };
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
            .collect();
        let header =
            |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let body = if header("transfer-encoding").is_some_and(|it| it.contains("chunked")) {
            match self.chunks().await? {
                Ok(body) => body,
                Err(problem) => return Some(Err(problem)),
            }
        } else {
            let length = header("content-length").map_or(Ok(0), str::parse::<usize>);
            let Some(length) = length.ok().filter(|length| *length <= MAX_BODY) else {
                return Some(Err("an odd content-length"));
            };
            while self.buffer.len() < length {
                self.more().await?;
            }
            let rest = self.buffer.split_off(length);
            std::mem::replace(&mut self.buffer, rest)
        };
        Some(Ok(Request {
            method: method.to_owned(),
            path: path.to_owned(),
            json: serde_json::from_slice(&body).unwrap_or_default(),
            headers,
            body,
            at: Instant::now(),
            connection: self.number,
        }))
    }

    /// A body in chunks.
    async fn chunks(&mut self) -> Option<Result<Vec<u8>, &'static str>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.buffer.windows(2).position(|window| window == b"\r\n") {
                    Some(at) => break at,
                    None => self.more().await?,
                }
            };
            let rest = self.buffer.split_off(end + 2);
            let line = std::mem::replace(&mut self.buffer, rest);
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim().split(';').next().unwrap_or_default(), 16);
            let Some(size) = size.ok().filter(|size| size + body.len() <= MAX_BODY) else {
                return Some(Err("an odd chunk size"));
            };
            while self.buffer.len() < size + 2 {
                self.more().await?;
            }
            let rest = self.buffer.split_off(size + 2);
            let chunk = std::mem::replace(&mut self.buffer, rest);
            if size == 0 {
                return Some(Ok(body));
            }
            body.extend_from_slice(chunk.get(..size).unwrap_or_default());
        }
    }
}
