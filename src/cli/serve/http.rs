//! As much of HTTP/1.1 as one page needs: a request in, an answer out, one a connection.
//!
//! Invariants: nothing but GET and HEAD is answered, and nothing without the token; a
//! name that leads here from elsewhere (DNS rebinding) is refused before the token is
//! looked at; a request is bounded in size. Bodies are never read.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::report::html;

/// Bytes of a request's head; browsers send about one KiB.
const HEAD: usize = 16 * 1024;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The page.
    Page,
    /// The stream of news.
    News,
}

/// Why something is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is no request that this understands.
    Nonsense,
    /// It came under another name than this machine's own, or without the token.
    Forbidden,
    /// There is no such thing.
    Missing,
    /// It would change something, or might.
    Method,
}

/// Who may come in.
#[derive(Debug)]
pub(super) struct Front {
    /// The port that it listens on.
    pub(super) port: u16,
    /// What every address begins with.
    pub(super) token: String,
}

impl Front {
    /// What a request asks for, and whether it wants more than the head of an answer.
    pub(super) fn asked(&self, head: &str) -> Result<(Asked, bool), Refused> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(path), Some("HTTP/1.1" | "HTTP/1.0"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Refused::Nonsense);
        };
        let fields = lines.filter_map(|line| line.split_once(':'));
        let hosts: Vec<&str> = fields
            .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
            .map(|(_, value)| value.trim())
            .collect();
        if !matches!(hosts.as_slice(), [host] if self.is_here(host)) {
            return Err(Refused::Forbidden);
        }
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let (token, rest) = path.strip_prefix('/').and_then(|path| path.split_once('/')).unwrap_or_default();
        // The hashes compare in constant time, whatever was given.
        if blake3::hash(token.as_bytes()) != blake3::hash(self.token.as_bytes()) {
            return Err(Refused::Forbidden);
        }
        let with_body = match method {
            "GET" => true,
            "HEAD" => false,
            _ => return Err(Refused::Method),
        };
        match rest {
            "" => Ok((Asked::Page, with_body)),
            "events" => Ok((Asked::News, with_body)),
            _ => Err(Refused::Missing),
        }
    }

    /// True for the names that this machine has for itself.
    fn is_here(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let port = self.port;
        host == format!("127.0.0.1:{port}") || host == format!("localhost:{port}")
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: &'static str,
    kind: &'static str,
    /// `None` for a stream, which has no end that could be told beforehand.
    body: Option<String>,
}

impl Answer {
    /// The page.
    pub(super) fn page(body: String) -> Answer {
        Answer { status: "200 OK", kind: "text/html; charset=utf-8", body: Some(body) }
    }

    /// The head of the stream of news.
    pub(super) fn news() -> Answer {
        Answer { status: "200 OK", kind: "text/event-stream", body: None }
    }

    /// A refusal, which says no more than it must.
    pub(super) fn refusal(refused: Refused) -> Answer {
        let (status, why) = match refused {
            Refused::Nonsense => ("400 Bad Request", "this is no request\n"),
            Refused::Forbidden => ("403 Forbidden", "open the address that `fanout serve` printed\n"),
            Refused::Missing => ("404 Not Found", "there is nothing here\n"),
            Refused::Method => ("405 Method Not Allowed", "this page can only be looked at\n"),
        };
        Answer { status, kind: "text/plain; charset=utf-8", body: Some(why.to_owned()) }
    }
}

/// Reads the head of a request, without the empty line at its end.
pub(super) async fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(2048);
    let mut part = [0_u8; 2048];
    loop {
        let count = stream.read(&mut part).await?;
        bytes.extend_from_slice(part.get(..count).unwrap_or_default());
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            bytes.truncate(end);
            return String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into());
        }
        if count == 0 || bytes.len() > HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// Writes an answer.
pub(super) async fn write(stream: &mut TcpStream, answer: &Answer, with_body: bool) -> io::Result<()> {
    let Answer { status, kind, body } = answer;
    let length = body.as_ref().map(|body| format!("Content-Length: {}\r\n", body.len())).unwrap_or_default();
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{length}{allow}Connection: close\r\n\
         Cache-Control: no-store\r\nContent-Security-Policy: {}; frame-ancestors 'none'\r\n\
         X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n\r\n",
        html::LIVE_POLICY
    );
    stream.write_all(head.as_bytes()).await?;
    if let Some(body) = body.as_ref().filter(|_| with_body) {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.flush().await?;
    if body.is_some() { stream.shutdown().await } else { Ok(()) }
}

/// Writes a piece of a stream.
pub(super) async fn send(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}

/// Comes back when the peer is gone. What it says after its request is not listened to.
pub(super) async fn closed(stream: &TcpStream) {
    let mut part = [0_u8; 512];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut part) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(request: &str) -> Result<(Asked, bool), Refused> {
        Front { port: 4711, token: "secret".to_owned() }.asked(request)
    }

    #[test]
    fn only_this_machine_with_the_token_gets_an_answer() {
        let host = "Host: 127.0.0.1:4711";
        let with = |line: &str, host: &str| asked(&format!("{line} HTTP/1.1\r\n{host}"));
        assert_eq!(with("GET /secret/", host), Ok((Asked::Page, true)));
        assert_eq!(with("HEAD /secret/?x=1", "accept: x\r\nHOST:  LocalHost:4711"), Ok((Asked::Page, false)));
        assert_eq!(with("GET /secret/events", host), Ok((Asked::News, true)));
        for path in [
            "/",
            "",
            "/secret",
            "/secre/",
            "/secrets/",
            "/SECRET/",
            "//secret/",
            "/%73ecret/",
            "/x/secret/",
            "*",
        ] {
            assert_eq!(with(&format!("GET {path}"), host), Err(Refused::Forbidden), "{path}");
        }
        for host in [
            "",
            "Host: evil.example",
            "Host: evil.example:4711",
            "Host: 127.0.0.1",
            "Host: 127.0.0.1:80",
            "Host: 127.0.0.1:4711.evil.example",
            "Host: localhost:4711@evil.example",
            "Host: 127.0.0.1:4711\r\nHost: evil.example",
            "X-Forwarded-Host: 127.0.0.1:4711",
        ] {
            assert_eq!(with("GET /secret/", host), Err(Refused::Forbidden), "{host}");
        }
        assert_eq!(with("POST /secret/", host), Err(Refused::Method));
        assert_eq!(with("POST /wrong/", host), Err(Refused::Forbidden));
        assert_eq!(with("GET /secret/../x", host), Err(Refused::Missing));
        for nonsense in ["", "GET", "GET /secret/", "GET /secret/ HTTP/2", "GET /secret/ x HTTP/1.1"] {
            assert_eq!(asked(&format!("{nonsense}\r\n{host}")), Err(Refused::Nonsense), "{nonsense}");
        }
    }
}
