//! `fanout serve`: who gets the page, and that it keeps up with its run.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::Folder;

/// A server, killed when dropped, and the address that it printed.
struct Served {
    child: Child,
    port: u16,
    token: String,
}

impl Served {
    fn start(folder: &Folder, env: &[(&str, &str)]) -> Served {
        let mut command = folder.fanout(&["serve"]);
        let mut child =
            command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let rest = line.trim().strip_prefix("http://127.0.0.1:").unwrap_or_else(|| panic!("{line:?}"));
        let (port, token) = rest.trim_end_matches('/').split_once('/').unwrap();
        Served { child, port: port.parse().unwrap(), token: token.to_owned() }
    }

    /// Sends one request as it is written.
    fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // A bound for the whole suite, not a measurement.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    fn get(&self, path: &str, host: &str) -> String {
        let mut answer = String::new();
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .read_to_string(&mut answer)
            .unwrap();
        answer
    }

    fn page(&self) -> String {
        self.get(&format!("/{}/", self.token), &format!("localhost:{}", self.port))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_page_is_for_whoever_has_the_address_and_nobody_else() {
    let folder = Folder::with_plan("name: looked at\ncalls: { a: { run: 'echo $THE_API_KEY' } }\n");
    let secret = "sk-served-0123456789";
    folder.run_with(&[("THE_API_KEY", secret)], &["run", "plan.yaml"]).expect_code(0);
    let served = Served::start(&folder, &[("THE_API_KEY", secret)]);
    assert_eq!(served.token.len(), 32);
    let page = served.page();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("looked at"), "{page}");
    assert!(page.contains("Content-Security-Policy: default-src 'none'; "), "{page}");
    assert!(page.contains("[secret:THE_API_KEY]") && !page.contains(secret), "{page}");
    let here = format!("127.0.0.1:{}", served.port);
    let token = &served.token;
    let wrong = token.replace(|c| c != '0', "0");
    for (path, host, code) in [
        (format!("/{wrong}/"), here.as_str(), "403"),
        ("/".to_owned(), &here, "403"),
        (format!("/{token}/"), "evil.example", "403"),
        (format!("/{token}/events"), "evil.example", "403"),
        (format!("/{token}/../../etc/passwd"), &here, "404"),
    ] {
        let answer = served.get(&path, host);
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{path} {host}: {answer}");
        assert!(!answer.contains("looked at") && !answer.contains(token.as_str()), "{answer}");
    }
    let mut answer = String::new();
    let post = format!("POST /{token}/ HTTP/1.1\r\nHost: {here}\r\n\r\n");
    served.send(&post).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[test]
fn the_page_keeps_up_with_its_run() {
    let folder = Folder::with_plan(
        "name: live\ncalls:\n  first: { run: 'touch here; read x < pipe; echo came' }\n  second: { needs: [first], run: echo last }\n",
    );
    assert!(std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    let mut run = folder.start(&["run", "plan.yaml"]);
    while !folder.path().join("here").exists() {
        assert!(run.try_wait().unwrap().is_none(), "it ended before its time");
        std::thread::yield_now();
    }
    let served = Served::start(&folder, &[]);
    assert!(served.page().contains("This run is still going on"));
    let request = format!("GET /{}/events HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", served.token, served.port);
    let mut news = BufReader::new(served.send(&request)).lines().map(Result::unwrap);
    assert_eq!(news.next().as_deref(), Some("HTTP/1.1 200 OK"));
    assert!(news.any(|line| line.starts_with("data: ")), "a stream begins with where it is");
    folder.write("pipe", "x\n");
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let seen = news
        .by_ref()
        .filter(|line| line.starts_with("data: "))
        .any(|_| served.page().contains("Success, exit status 0"));
    assert!(seen, "the stream ended before the page had the end of the run");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it() {
    let folder = Folder::with_plan("name: one\ncalls: { a: { run: echo x } }\n");
    folder.run(&["run", "plan.yaml"]).expect_code(0);
    let mut served = Served::start(&folder, &[]);
    let pid = served.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}
