//! The faults of docs/faults.md that no other test shows, each in every dialect where it applies.

mod https;
mod network;
mod streams;
mod whole;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use fanout::model::Failure;
use fanout::plan::Api;

use crate::models::ask;
use crate::provider::Provider;

async fn failure(provider: &Provider, api: Api) -> Box<Failure> {
    ask(provider, api).await.expect_err("an answer where a failure was due")
}

/// A server of no manners: each connection gets the next of these byte strings, whatever it
/// asks, and is closed. Ends after the last one.
struct Rude {
    base_url: String,
    thread: Option<JoinHandle<()>>,
}

impl Rude {
    fn start(answers: Vec<Vec<u8>>) -> Rude {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let mut asked = Vec::new();
                let mut more = [0; 4096];
                // A request of ours is one JSON object, and its end is the end of what comes.
                while !asked.ends_with(b"}") {
                    match stream.read(&mut more) {
                        Ok(0) | Err(_) => break,
                        Ok(n) => asked.extend_from_slice(&more[..n]),
                    }
                    if !asked.starts_with(b"POST") {
                        break;
                    }
                }
                // It may have hung up by now.
                let _ = stream.write_all(&answer);
            }
        });
        Rude { base_url, thread: Some(thread) }
    }
}

impl Drop for Rude {
    fn drop(&mut self) {
        // One that was not asked often enough is left to the end of the process.
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            thread.join().unwrap();
        }
    }
}
