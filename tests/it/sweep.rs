//! Kill the process at every boundary of its journal, resume, and compare.
//!
//! The first process ends itself with SIGKILL at boundary `n` (`FANOUT_TEST_KILL_AT`, a hook
//! of debug builds), for n = 1, 2, 3, … until it gets through. After the resume the results
//! are those of a run that nobody killed; no request that was answered and no command that
//! had ended was seen twice; and no process is left.
//!
//! `FANOUT_SWEEP=pairs` (or `pairs:steps` for one of the plans) kills the resume as well, at each
//! of its own boundaries;
//! docs/journal.md has the command and the figure.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use fanout::event::Event;
use fanout::journal::{self, Past};
use fanout::report::fold::RunView;
use fanout::report::result_json;
use serde_json::{Map, Value, json};

use crate::provider::{Provider, Script};
use crate::support::{Folder, Ran, eventually};

/// Commands side by side and in turn, one in the background, one that must not be repeated.
const COMMANDS: &str = r#"
name: commands
vars: { tag: none }
calls:
  server: { run: "echo server >> effects; echo up", background: true }
  a: { run: "echo a >> effects; echo A" }
  b: { run: "echo b >> effects; echo {{ calls.a.output }}", on_interrupt: fail }
  c: { run: "echo c >> effects; exit 3", retries: 0, on_error: ignore }
  d: { run: "echo d >> effects; echo {{ calls.a.output }}{{ calls.b.output }}", needs: { c: done } }
  e: { value: "calls.d.output ~ '!'" }
  f: { run: "echo f >> effects; echo {{ calls.e.output }}" }
"#;

/// Lists that are known beforehand, lists that a call makes, samples, a matrix.
const LISTS: &str = r#"
name: lists
vars: { tag: none }
calls:
  names: { run: "echo names >> effects; echo '[\"x\",\"y\",\"z\"]'", output: { format: json } }
  each: { for_each: "calls.names.json", run: "echo each-{{ item }} >> effects; echo got {{ item }}" }
  same: { samples: 3, run: "echo same-{{ index }} >> effects; echo s" }
  grid: { matrix: { os: [l, m], v: [1, 2] }, run: "echo grid-{{ matrix.os }}{{ matrix.v }} >> effects; echo ok", needs: [names] }
  all: { run: "echo all >> effects; wc -l", stdin: "{% for one in calls.each.outputs %}{{ one.output }}\n{% endfor %}", needs: [grid] }
reconcile: { strategy: compare, of: [each] }
"#;

/// Prompts side by side, in turn, and as a list.
const MODELS: &str = r#"
name: models
providers: { lab: { api: anthropic, base_url: BASE, api_key_env: LAB_KEY } }
agents: { m: { model: lab/tiny, tools: [] } }
defaults: { agent: m }
vars: { tag: none }
calls:
  one: { prompt: "{{ vars.tag }} one" }
  two: { prompt: "{{ vars.tag }} two" }
  list: { for_each: [p, q, r], prompt: "{{ vars.tag }} list {{ item }}" }
  join: { prompt: "{{ vars.tag }} join {{ calls.one.output }}", needs: [two, list] }
  use: { run: "echo use >> effects; cat", stdin: "{{ calls.join.output }}" }
reconcile: { strategy: vote, of: [list] }
"#;

/// Rounds, answers that are asked for again, checks.
const REPEATS: &str = r#"
name: repeats
providers: { lab: { api: anthropic, base_url: BASE, api_key_env: LAB_KEY } }
agents: { m: { model: lab/tiny, tools: [] } }
vars: { tag: none }
calls:
  rounds: { run: "echo round-{{ round }} >> effects; echo {{ round }}", repeat: { until: "round >= 3", max: 5 } }
  talk: { prompt: "{{ vars.tag }} talk round {{ round }}", agent: m, repeat: { until: "round >= 3", max: 5, fresh: true } }
  shape:
    prompt: "{{ vars.tag }} shape"
    agent: m
    attempts: 3
    check: "grep -q 'third'"
  checked: { run: "echo checked >> effects; echo fine", check: "grep -q fine", needs: [rounds] }
"#;

/// Parent steps in the middle and at the end, a program among them, and a plan inside a plan.
const STEPS: &str = r#"
name: steps
vars: { tag: none }
calls:
  l: { run: "echo l >> effects; echo 1" }
  r: { run: "echo r >> effects; echo 2" }
  mid: { reconcile: { of: [l, r], strategy: command, command: "echo mid >> effects; echo merged" } }
  inner: { plan: inner.yaml, with: { who: "calls.mid.output" } }
  last: { run: "echo last >> effects; echo {{ calls.inner.output }}" }
reconcile: { strategy: command, command: "echo end >> effects; echo decided" }
"#;

const INNER: &str = r#"
name: inner
vars: { who: nobody }
calls:
  x: { run: "echo x >> effects; echo {{ vars.who }}" }
  y: { run: "echo y >> effects; echo {{ calls.x.output }}" }
reconcile: { of: [y] }
"#;

const PLANS: [(&str, &str); 5] =
    [("commands", COMMANDS), ("lists", LISTS), ("models", MODELS), ("repeats", REPEATS), ("steps", STEPS)];

/// One run in a folder of its own, with its own mark on every request.
struct Subject<'a> {
    folder: Folder,
    provider: &'a Provider,
    tag: String,
}

/// What a process that should kill itself did.
enum Ended {
    Killed,
    ByItself(Ran),
}

impl Subject<'_> {
    fn new<'a>(plan: &str, provider: &'a Provider, tag: String) -> Subject<'a> {
        let folder = Folder::in_memory();
        folder.write("plan.yaml", &plan.replace("BASE", &format!("{}/v1", provider.base_url())));
        folder.write("inner.yaml", INNER);
        folder.write("effects", "");
        Subject { folder, provider, tag }
    }

    fn go(&self, args: &[&str], kill_at: Option<u32>) -> Ended {
        let mut command = self.folder.fanout(args);
        command
            .env("LAB_KEY", "sk-x")
            .env("NO_PROXY", "127.0.0.1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(at) = kill_at {
            command.env("FANOUT_TEST_KILL_AT", at.to_string());
        }
        let output = command.output().unwrap();
        if output.status.code().is_some() { Ended::ByItself(Ran::of(output)) } else { Ended::Killed }
    }

    fn start(&self, kill_at: Option<u32>) -> Ended {
        self.go(&["run", "plan.yaml", "-q", "--var", &format!("tag={}", self.tag)], kill_at)
    }

    /// The run as its journal has it; `None` if nothing was recorded.
    fn past(&self) -> Option<Past> {
        let root = self.folder.path();
        let dir = journal::find(root, "last").ok()?;
        journal::read(&dir).ok()
    }

    /// Goes on until the run has ended; a step back for what must not be repeated by itself.
    fn finish(&self) {
        for _ in 0..4 {
            let Ended::ByItself(ran) = self.go(&["resume", "-q"], None) else {
                panic!("killed by somebody else")
            };
            if ran.code == 0 || ran.err.contains("ended as a success") {
                return;
            }
            let held_back = ran.out.contains("on_interrupt: fail") || ran.err.contains("on_interrupt: fail");
            assert!(held_back, "{}: exit {}\n{}\n{}", self.tag, ran.code, ran.out, ran.err);
            let counts = self.effects();
            assert!(counts.get("b").is_none_or(|n| *n == 1), "{}: repeated: {counts:?}", self.tag);
        }
        panic!("{}: never ended", self.tag);
    }

    fn effects(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for line in self.folder.read("effects").lines() {
            *counts.entry(line.to_owned()).or_default() += 1;
        }
        counts
    }

    /// The run's own requests, by what they ask.
    fn requests(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for request in self.provider.requests() {
            let prompt = request.prompt();
            if prompt.contains(&format!("{} ", self.tag)) {
                // The marks around what is pasted depend on the tag.
                let asked = prompt.split("<result").next().unwrap_or_default();
                *counts.entry(asked.replace(&self.tag, "tag")).or_default() += 1;
            }
        }
        counts
    }

    /// What the run came to, without what depends on time: how often a command had to be started
    /// anew because the system was out of processes, for one.
    fn results(&self) -> Value {
        let past = self.past().unwrap();
        let view = RunView::of(past.records.iter().map(AsRef::as_ref));
        let document = result_json::document(&view);
        let end = |end: &Value| -> Map<String, Value> {
            let keys = ["id", "label", "status", "output", "json", "exit", "usage", "agent"];
            keys.into_iter().map(|key| (key.to_owned(), end[key].clone())).collect()
        };
        let call = |call: &Value| {
            let instances: Vec<_> = call["instances"].as_array().into_iter().flatten().map(end).collect();
            json!({"call": end(call), "instances": instances})
        };
        let results = json!({
            "success": document["success"],
            "calls": document["calls"].as_array().unwrap().iter().map(call).collect::<Vec<_>>(),
            "reconcile": document["reconcile"],
            "planned": document["census"]["planned"],
        });
        serde_json::from_str(&results.to_string().replace(&self.tag, "tag")).unwrap()
    }

    /// How many repeats the results own up to, over the whole run.
    fn owned_up_to(&self) -> u32 {
        let past = self.past().unwrap();
        let mut sum = 0;
        for record in &past.records {
            if let Event::CallFinished { outcome, .. } = &record.event
                && !outcome.reused
            {
                sum += outcome.interrupted;
            }
        }
        sum
    }

    fn leaves_no_process(&self) {
        let Some(run) =
            std::fs::read_dir(self.folder.path().join(".fanout/runs")).ok().and_then(|mut runs| runs.next())
        else {
            return;
        };
        let mark = format!("FANOUT_RUN_ID={}", run.unwrap().file_name().to_string_lossy());
        eventually("no process of the run is left", || {
            !std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
                std::fs::read(entry.path().join("environ"))
                    .is_ok_and(|text| text.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()))
            })
        });
    }

    /// Compares it with a run that nobody killed.
    fn compare(&self, whole: &Whole) {
        let what = &self.tag;
        self.leaves_no_process();
        let (results, expected) = (self.results(), &whole.results);
        for key in ["success", "calls", "reconcile", "planned"] {
            let (found, expected) = (&results[key], &expected[key]);
            assert!(found == expected, "{what}: {key} differ\n{found:#}\nnot\n{expected:#}");
        }
        let extra = |now: &BTreeMap<String, u32>, then: &BTreeMap<String, u32>| -> u32 {
            assert!(then.keys().all(|key| now.contains_key(key)), "{what}: something is missing: {now:?}");
            now.iter().map(|(key, n)| n.saturating_sub(then.get(key).copied().unwrap_or(0))).sum()
        };
        let (effects, requests) = (self.effects(), self.requests());
        let repeated = extra(&effects, &whole.effects) + extra(&requests, &whole.requests);
        // What failed is tried again: a failure is no result.
        let retried = effects.get("c").map_or(0, |n| n - 1);
        // A step's program has no start of its own that could be counted.
        let programs =
            ["mid", "end"].iter().filter_map(|name| effects.get(*name)).map(|n| n - 1).sum::<u32>();
        assert!(programs <= 2, "{what}: {effects:?}");
        let allowed = self.owned_up_to() + retried + programs;
        assert!(
            repeated <= allowed,
            "{what}: {repeated} repeats, {allowed} allowed\n{effects:?}\n{requests:?}"
        );
    }
}

/// A run that nobody killed.
struct Whole {
    results: Value,
    effects: BTreeMap<String, u32>,
    requests: BTreeMap<String, u32>,
}

fn provider() -> Provider {
    let provider = Provider::start();
    provider.answer(|request| {
        let prompt = request.prompt();
        // Asked for the third time, a shape is right: the conversation grows with each try.
        let users = request.json["messages"]
            .as_array()
            .map_or(0, |messages| messages.iter().filter(|m| m["role"] == "user").count());
        Script::text(match users {
            3.. => "third".to_owned(),
            // The marks around what is pasted depend on all of it, the tag included.
            _ => {
                let words = prompt.split_whitespace().take_while(|word| !word.starts_with('<'));
                format!("said {}", words.take(4).collect::<Vec<_>>().join(" "))
            }
        })
    });
    provider
}

fn whole(name: &str, plan: &str, provider: &Provider) -> Whole {
    let subject = Subject::new(plan, provider, format!("{name}whole"));
    let Ended::ByItself(ran) = subject.start(None) else { panic!("killed by somebody else") };
    ran.expect_code(0);
    Whole { results: subject.results(), effects: subject.effects(), requests: subject.requests() }
}

/// Kills at `n`; false when the run got through before.
fn one(
    plan: &str,
    provider: &Provider,
    whole: &Whole,
    tag: String,
    at: u32,
    again: Option<u32>,
) -> (bool, bool) {
    let subject = Subject::new(plan, provider, tag);
    if let Ended::ByItself(ran) = subject.start(Some(at)) {
        ran.expect_code(0);
        return (false, false);
    }
    if subject.past().is_none() {
        subject.leaves_no_process();
        assert!(subject.effects().is_empty(), "{}: an effect before the first record", subject.tag);
        assert!(subject.requests().is_empty(), "{}: a request before the first record", subject.tag);
        return (true, false);
    }
    let killed_again = match again {
        None => true,
        Some(again) => matches!(subject.go(&["resume", "-q"], Some(again)), Ended::Killed),
    };
    subject.finish();
    subject.compare(whole);
    (true, killed_again)
}

fn in_parallel(work: impl Fn() + Sync) {
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8) * 2;
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(&work);
        }
    });
}

#[test]
fn a_run_that_is_killed_at_any_boundary_of_its_journal_goes_on_as_if_nothing_had_been() {
    let began = Instant::now();
    let mut points = 0;
    for (name, plan) in PLANS {
        let provider = provider();
        let whole = whole(name, plan, &provider);
        let (next, killed, over) = (AtomicU32::new(1), AtomicU32::new(0), AtomicBool::new(false));
        in_parallel(|| {
            while !over.load(Ordering::Relaxed) {
                let at = next.fetch_add(1, Ordering::Relaxed);
                match one(plan, &provider, &whole, format!("{name}{at}x"), at, None).0 {
                    true => drop(killed.fetch_add(1, Ordering::Relaxed)),
                    false => over.store(true, Ordering::Relaxed),
                }
            }
        });
        let killed = killed.into_inner();
        eprintln!("{name}: {killed} points, {:.1?} so far", began.elapsed());
        assert!(killed > 40, "{name}: the hook did not kill: {killed}");
        points += killed;
    }
    eprintln!("{points} points in {:.1?}", began.elapsed());
    assert!(points >= 500, "only {points} points");
}

#[test]
fn a_resume_that_is_killed_in_turn_goes_on_as_well() {
    // All pairs take long; a run of the tests takes a few of each plan.
    let asked = std::env::var("FANOUT_SWEEP").unwrap_or_default();
    let all = asked.starts_with("pairs");
    let only = asked.strip_prefix("pairs:");
    let (firsts, seconds): (usize, usize) = if all { (1, 1) } else { (37, 13) };
    let began = Instant::now();
    let pairs = AtomicU32::new(0);
    for (name, plan) in PLANS.into_iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        let provider = provider();
        let whole = whole(name, plan, &provider);
        let (next, over) = (AtomicU32::new(0), AtomicBool::new(false));
        in_parallel(|| {
            while !over.load(Ordering::Relaxed) {
                let at = next.fetch_add(firsts as u32, Ordering::Relaxed) + if all { 1 } else { 20 };
                for again in (1_u32..).step_by(seconds) {
                    let tag = format!("{name}{at}x{again}x");
                    let (first, second) = one(plan, &provider, &whole, tag, at, Some(again));
                    pairs.fetch_add(u32::from(second), Ordering::Relaxed);
                    if !first {
                        over.store(true, Ordering::Relaxed);
                    }
                    if !second {
                        break;
                    }
                }
            }
        });
        eprintln!("{name}: {} pairs, {:.1?} so far", pairs.load(Ordering::Relaxed), began.elapsed());
    }
    assert!(pairs.into_inner() > 20);
}
