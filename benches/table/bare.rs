//! What people would write instead: `reqwest` and `join_all`, in a process of its own. No
//! plan, no journal, no limits, no progress, no retries.

use std::collections::HashMap;
use std::io::Error;
use std::time::Duration;

use futures::future::{FutureExt, join_all};
use futures::stream::{StreamExt, iter};
use serde_json::{Value, json};

use super::graph::{self, Node};

/// `bare PORT KIND COUNT AT_ONCE SCRIPT…`: exits in error if an answer is missing.
pub(crate) fn run(arguments: &[String]) -> std::io::Result<()> {
    let [port, kind, count, at_once, delay, script @ ..] = arguments else {
        return Err(Error::other("bare PORT KIND COUNT AT_ONCE DELAY SCRIPT"));
    };
    let number = |text: &String| text.parse::<usize>().map_err(Error::other);
    let (count, at_once, delay) = (number(count)?, number(at_once)?, number(delay)? as u64);
    let url = format!("http://127.0.0.1:{port}/v1/chat/completions");
    let script = script.join(" ");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if kind == "commands" {
            return commands(count, at_once).await;
        }
        let client = reqwest::Client::builder().no_proxy().build().map_err(Error::other)?;
        let ask = |node: Node| {
            let (client, url) = (client.clone(), url.clone());
            async move { ask(&client, &url, &node.prompt).await }
        };
        let answers = match kind.as_str() {
            "chain" => {
                let mut answers = Vec::new();
                for node in graph::chain(count, delay) {
                    answers.push(ask(node).await);
                }
                answers
            }
            "layered" => eager(graph::layered(20, count / 20), ask).await,
            _ => {
                let nodes = graph::independent(count, &script, delay);
                if at_once >= count {
                    join_all(nodes.into_iter().map(ask)).await
                } else {
                    iter(nodes).map(ask).buffer_unordered(at_once).collect().await
                }
            }
        };
        let answers: Vec<String> = answers.into_iter().collect::<Result<_, _>>().map_err(Error::other)?;
        match answers.iter().filter(|answer| !answer.is_empty()).count() {
            there if there == count => Ok(()),
            there => Err(Error::other(format!("{there} answers of {count}"))),
        }
    })
}

/// Every call starts as soon as what it needs is there.
async fn eager<F>(nodes: Vec<Node>, ask: impl Fn(Node) -> F) -> Vec<Result<String, String>>
where
    F: Future<Output = Result<String, String>> + Send + 'static,
{
    let mut calls: HashMap<usize, _> = HashMap::new();
    for (at, node) in nodes.into_iter().enumerate() {
        let needs: Vec<_> = node.needs.iter().filter_map(|need| calls.get(need).cloned()).collect();
        let call = ask(node);
        let call = async move {
            join_all(needs).await;
            call.await
        };
        calls.insert(at, call.boxed().shared());
    }
    join_all(calls.into_values()).await
}

async fn ask(client: &reqwest::Client, url: &str, prompt: &str) -> Result<String, String> {
    let stream = prompt.contains("tokens=");
    let body = json!({
        "model": "scripted",
        "messages": [{"role": "user", "content": prompt}],
        "stream": stream,
    });
    let sent = client.post(url).header("content-type", "application/json").body(body.to_string()).send();
    let mut response = sent.await.map_err(|error| error.to_string())?;
    if !stream {
        let bytes = response.bytes().await.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        return Ok(answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned());
    }
    let (mut text, mut rest) = (String::new(), Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
        rest.extend_from_slice(&chunk);
        let mut from = 0;
        while let Some(end) = rest[from..].windows(2).position(|two| two == b"\n\n") {
            let event = &rest[from..from + end];
            from += end + 2;
            let Some(data) = event.strip_prefix(b"data: ") else { continue };
            if data == b"[DONE]" {
                continue;
            }
            let data: Value = serde_json::from_slice(data).map_err(|error| error.to_string())?;
            text.push_str(data["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
        }
        rest.drain(..from);
    }
    Ok(text)
}

/// So many commands, so many at a time.
async fn commands(count: usize, at_once: usize) -> std::io::Result<()> {
    let command = |_| async {
        let mut command = tokio::process::Command::new("sh");
        let output = command.args(["-c", "sleep 0.2; echo ok"]).output();
        tokio::time::timeout(Duration::from_secs(60), output).await
    };
    let outputs: Vec<_> = iter(0..count).map(command).buffer_unordered(at_once).collect().await;
    for output in outputs {
        if output?.map(|output| output.stdout)? != b"ok\n" {
            return Err(Error::other("a command did not say ok"));
        }
    }
    Ok(())
}
