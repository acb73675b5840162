//! Providers that turn many away at once, seen from their side: every figure is theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::provider::{Provider, Script, ms};
use crate::support::{Folder, parse_lines};

/// One request as the provider saw it.
struct Came {
    /// Which call asked.
    who: String,
    at: Instant,
    /// Until when it was told to wait; `None` for one that was answered.
    told: Option<Instant>,
    /// The window that it came in.
    window: usize,
}

/// A provider that answers so many requests in a window; a window begins with its first request.
struct Windows {
    length: Duration,
    began: Option<Instant>,
    number: usize,
    taken: usize,
    came: Vec<Came>,
}

impl Windows {
    fn new(length: Duration) -> Arc<Mutex<Windows>> {
        Arc::new(Mutex::new(Windows { length, began: None, number: 0, taken: 0, came: Vec::new() }))
    }

    /// Whether a request is answered; if not, how long until the next window.
    fn ask(&mut self, who: String, at: Instant, most: usize) -> Result<(), Duration> {
        let now = Instant::now();
        match self.began {
            Some(began) if now < began + self.length => {}
            before => {
                self.number += usize::from(before.is_some());
                (self.began, self.taken) = (Some(now), 0);
            }
        }
        let end = self.began.unwrap() + self.length;
        self.taken += 1;
        let told = (self.taken > most).then_some(end);
        self.came.push(Came { who, at, told, window: self.number });
        told.map_or(Ok(()), |end| Err(end - now))
    }

    /// Requests in each window: those that were answered, and those that were turned away.
    fn by_window(&self) -> Vec<(usize, usize)> {
        let mut windows = vec![(0, 0); self.number + 1];
        for came in &self.came {
            let window = &mut windows[came.window];
            if came.told.is_some() { window.1 += 1 } else { window.0 += 1 }
        }
        windows
    }
}

fn plan(provider: &Provider, calls: usize) -> Folder {
    Folder::with_plan(&format!(
        "providers:
  lab: {{ api: openai-chat, base_url: \"{}\" }}
limits: {{ concurrency: {calls}, calls: {calls} }}
calls:
  q:
    agent: {{ model: lab/tiny, max_tokens: 0.2k, tools: [] }}
    prompt: \"question {{{{ item }}}} of many\"
    for_each: \"{{{{ range(0, {calls}) | list }}}}\"
    retries: 0
",
        provider.base_url()
    ))
}

/// Runs it, and holds that every call was answered, with nobody's answer lost.
fn all_are_answered(folder: &Folder, calls: usize) {
    let ran = folder.run(&["run", "plan.yaml", "--json"]).expect_code(0);
    let events = parse_lines(&ran.out);
    let answered: HashMap<u64, &Value> = events
        .iter()
        .filter(|event| event["type"] == "call_finished" && event["outcome"]["status"] == "ok")
        .map(|event| (event["instance"]["index"].as_u64().unwrap(), &event["outcome"]["output"]["text"]))
        .collect();
    assert_eq!(answered.len(), calls);
    for (index, text) in answered {
        assert_eq!(text, &format!("answer to question {index} of many"));
    }
}

fn wait_header(wait: Duration) -> String {
    // Rounded up: a header has whole milliseconds.
    (wait.as_millis() + 1).to_string()
}

#[test]
fn a_hundred_calls_at_sixty_a_window_take_two_windows_and_nobody_comes_before_its_time() {
    let provider = Provider::start();
    let windows = Windows::new(ms(3_000));
    let counted = Arc::clone(&windows);
    provider.answer(move |request| {
        let prompt = request.prompt();
        match counted.lock().unwrap().ask(prompt.clone(), request.at, 60) {
            Ok(()) => Script::text(format!("answer to {prompt}")).delay(ms(20)),
            Err(wait) => {
                Script::error(429, "rate_limit_error", "slow").header("retry-after-ms", &wait_header(wait))
            }
        }
    });
    all_are_answered(&plan(&provider, 100), 100);
    let windows = windows.lock().unwrap();
    let by_window = windows.by_window();
    // Nothing faster is possible than all of the first window and the rest at once in the second.
    assert_eq!(by_window.iter().map(|(taken, _)| *taken).collect::<Vec<_>>(), [60, 40], "{by_window:?}");
    assert_eq!(by_window[1].1, 0, "{by_window:?}");
    for (at, came) in windows.came.iter().enumerate() {
        let told = windows.came[..at].iter().filter(|other| other.who == came.who);
        let until = told.filter_map(|other| other.told).max();
        assert!(until.is_none_or(|until| came.at >= until), "`{}` came before its time", came.who);
    }
}

#[test]
fn a_thousand_calls_in_a_storm_fall_under_the_limit_within_two_windows_and_recover() {
    std::thread::scope(|scope| {
        for announces in [true, false] {
            scope.spawn(move || storm(announces));
        }
    });
}

/// Half of a thousand calls are answered at will; then only so many a window for a while; then at
/// will again.
fn storm(announces: bool) {
    const CALLS: usize = 1_000;
    const MOST: usize = 30;
    const LASTS: usize = 4;
    let provider = Provider::start();
    let windows = Windows::new(ms(2_000));
    let counted = Arc::clone(&windows);
    let before: Mutex<usize> = Mutex::default();
    provider.answer(move |request| {
        let prompt = request.prompt();
        let fine = Script::text(format!("answer to {prompt}")).delay(ms(50));
        let mut before = before.lock().unwrap();
        if *before < CALLS / 2 {
            *before += 1;
            // Slow, so that many are under way by then.
            return fine.delay(ms(500));
        }
        let mut windows = counted.lock().unwrap();
        let most = if windows.number < LASTS { MOST } else { CALLS };
        match windows.ask(prompt, request.at, most) {
            Ok(()) => fine,
            Err(wait) => {
                // It takes its time to say no, so that many ask before they hear of it.
                let no = Script::error(429, "rate_limit_error", "slow").delay(ms(500).min(wait));
                let left = wait.saturating_sub(ms(500));
                if announces { no.header("retry-after-ms", &wait_header(left)) } else { no }
            }
        }
    });
    all_are_answered(&plan(&provider, CALLS), CALLS);
    let by_window = windows.lock().unwrap().by_window();
    let (storm, after) = by_window.split_at(LASTS);
    assert!(storm[0].1 > MOST * 2, "it was no storm: {by_window:?}");
    for (taken, refused) in &storm[2..] {
        // It is tried now and then whether more is allowed; those under way then are turned away, too.
        assert!(taken + refused <= MOST + MOST / 2, "{by_window:?}");
    }
    let best = after.iter().map(|(taken, _)| *taken).max().unwrap();
    assert!(best >= MOST * 3 / 2, "it did not recover: {by_window:?}");
}
