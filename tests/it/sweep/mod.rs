//! Kill the process at every boundary of its journal, resume, and compare.
//!
//! The first process ends itself with SIGKILL at boundary `n` (`FANOUT_TEST_KILL_AT`, a hook
//! of debug builds), for n = 1, 2, 3, … until it gets through. After the resume the results
//! are those of a run that nobody killed; no request that was answered and no command that
//! had ended was seen twice; no tool of an agent had its effect twice, and an agent whose tool was
//! interrupted was told so; and no process is left.
//!
//! `FANOUT_SWEEP=pairs` (or `pairs:steps` for one of the plans) kills the resume as well, at each
//! of its own boundaries;
//! docs/journal.md has the command and the figure.

mod plans;
mod worker;

use std::collections::{BTreeMap, HashMap, HashSet};
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
use plans::{INNER, NOTES, PLANS, Swept};

/// One run in a folder of its own, with its own mark on every request.
struct Subject {
    folder: Folder,
    provider: Provider,
    tag: String,
    swept: Swept,
}

/// What agents were told of tools that a kill had interrupted.
#[derive(Debug, Default)]
struct Told {
    commands: AtomicU32,
    servers: AtomicU32,
    jobs: AtomicU32,
}

/// What a process that should kill itself did.
enum Ended {
    Killed,
    ByItself(Ran),
}

impl Subject {
    fn new(swept: Swept, tag: String) -> Subject {
        let provider = provider(swept);
        let folder = Folder::in_memory();
        folder.write("notes.sh", NOTES);
        folder.write("plan.yaml", &swept.text.replace("BASE", &format!("{}/v1", provider.base_url())));
        folder.write("inner.yaml", INNER);
        folder.write("effects", "");
        // All of them write there: who met whom differs from run to run, and is no part of a result.
        folder.write(".gitignore", "effects\nnotes.txt\n");
        Subject { folder, provider, tag, swept }
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
        // Outside of the sandbox nothing but fanout itself sees to what is left behind.
        self.go(&["run", "plan.yaml", "-q", "--no-sandbox", "--var", &format!("tag={}", self.tag)], kill_at)
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
            let Ended::ByItself(ran) = self.go(&["resume", "-q", "--no-sandbox"], None) else {
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
            // The marks around what is pasted depend on the tag.
            let asked = prompt.split("<result").next().unwrap_or_default();
            *counts.entry(asked.replace(&self.tag, "tag")).or_default() += 1;
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
            // Looking what an interrupted tool did takes requests.
            let usage = (!self.swept.looks).then_some("usage");
            let keys = ["id", "label", "status", "output", "json", "exit", "agent"];
            keys.into_iter().chain(usage).map(|key| (key.to_owned(), end[key].clone())).collect()
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
        self.asks_nothing_twice();
        let extra = |now: &BTreeMap<String, u32>, then: &BTreeMap<String, u32>| -> u32 {
            assert!(then.keys().all(|key| now.contains_key(key)), "{what}: something is missing: {now:?}");
            now.iter().map(|(key, n)| n.saturating_sub(then.get(key).copied().unwrap_or(0))).sum()
        };
        let (effects, requests) = (self.effects(), self.requests());
        if self.swept.looks {
            let programs = ["names", "last", "end"];
            let tools = |effects: &BTreeMap<String, u32>| -> BTreeMap<String, u32> {
                let of_agents = effects.iter().filter(|(name, _)| !programs.contains(&name.as_str()));
                of_agents.map(|(name, n)| (name.clone(), *n)).collect()
            };
            assert_eq!(
                tools(&effects),
                tools(&whole.effects),
                "{what}: a tool had its effect twice, or never"
            );
            let twice: u32 = programs.iter().filter_map(|name| effects.get(*name)).map(|n| n - 1).sum();
            assert!(twice <= self.owned_up_to() + 2, "{what}: {effects:?}");
            return;
        }
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

impl Subject {
    /// No answer that was written down was asked for again, and the server was asked no more than that.
    fn asks_nothing_twice(&self) {
        let (past, what) = (self.past().unwrap(), &self.tag);
        let mut answered = HashSet::new();
        let mut processes = 1;
        let mut steps = 0;
        for record in &past.records {
            if let Event::ModelAsked { instance, key, .. } = &record.event {
                assert!(!answered.contains(&(instance, key)), "{what}: asked again: {instance}");
            } else if let Event::ModelAnswered { instance, key, .. } = &record.event {
                assert!(answered.insert((instance, key)), "{what}: answered twice: {instance}");
            } else if let Event::AttemptFinished { instance, outcome, .. } = &record.event {
                steps += usize::from(outcome.usage.requests > 0 && self.is_parents(&instance.call));
            } else if let Event::RunResumed { .. } = &record.event {
                processes += 1;
            }
        }
        let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for request in self.provider.requests() {
            *seen.entry(request.body).or_default() += 1;
        }
        assert!(answered.len() + steps <= seen.len(), "{what}: a request that was answered was made again");
        assert!(seen.values().all(|n| *n <= processes), "{what}: more than once by one process");
    }

    fn is_parents(&self, call: &fanout::id::CallId) -> bool {
        call.is_parent_step() || call.as_str() == "mid"
    }

    /// An unsafe tool that was begun by one process is never ended by another: its agent is told, and its
    /// next request holds that.
    fn tells_of_what_was_interrupted(&self, told: &Told) {
        let (past, what) = (self.past().unwrap(), &self.tag);
        let mut begun = HashMap::new();
        let mut process = 0;
        let (mut tools, mut jobs) = (0, 0);
        for record in &past.records {
            if let Event::ToolStarted { instance, key, tool, .. } = &record.event {
                let again = begun.insert((instance, key), process).is_some();
                assert!(!again || !is_unsafe(tool), "{what}: `{tool}` was begun twice with one key");
            } else if let Event::ToolEnded { instance, key, tool, text, .. } = &record.event {
                if text.contains(worker::UNKNOWN) {
                    tools += 1;
                    let counter = if tool.starts_with("mcp") { &told.servers } else { &told.commands };
                    counter.fetch_add(1, Ordering::Relaxed);
                } else if is_unsafe(tool) {
                    assert_eq!(begun.get(&(instance, key)), Some(&process), "{what}: `{tool}` {text}");
                }
            } else if let Event::JobEnded { text, .. } = &record.event {
                jobs += u32::from(text.contains("Look at what it did"));
            } else if let Event::RunResumed { .. } = &record.event {
                process += 1;
            }
        }
        told.jobs.fetch_add(jobs, Ordering::Relaxed);
        let heard =
            |words: &str| self.provider.requests().iter().filter(|one| one.prompt().contains(words)).count();
        assert!(tools == 0 || heard(worker::UNKNOWN) > 0, "{what}: nobody was told of an interrupted tool");
        assert!(jobs == 0 || heard(worker::JOB_UNKNOWN) > 0, "{what}: nobody was told of an interrupted job");
    }
}

fn is_unsafe(tool: &str) -> bool {
    ["bash", "background_run"].contains(&tool) || tool.starts_with("mcp__")
}

/// A run that nobody killed.
struct Whole {
    results: Value,
    effects: BTreeMap<String, u32>,
    requests: BTreeMap<String, u32>,
}

fn provider(swept: Swept) -> Provider {
    let provider = Provider::start();
    if swept.looks {
        provider.answer(worker::answer);
        return provider;
    }
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

fn whole(swept: Swept) -> Whole {
    let subject = Subject::new(swept, format!("{}whole", swept.name));
    let Ended::ByItself(ran) = subject.start(None) else { panic!("killed by somebody else") };
    ran.expect_code(0);
    subject.asks_nothing_twice();
    Whole { results: subject.results(), effects: subject.effects(), requests: subject.requests() }
}

/// Kills at `n`; false when the run got through before.
fn one(
    swept: Swept,
    (whole, told): (&Whole, &Told),
    tag: String,
    at: u32,
    again: Option<u32>,
) -> (bool, bool) {
    let subject = Subject::new(swept, tag);
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
        Some(again) => matches!(subject.go(&["resume", "-q", "--no-sandbox"], Some(again)), Ended::Killed),
    };
    subject.finish();
    subject.compare(whole);
    subject.tells_of_what_was_interrupted(told);
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
    let told = Told::default();
    let only = std::env::var("FANOUT_SWEEP_PLAN").ok();
    let is_meant = |swept: &Swept| only.as_ref().is_none_or(|only| only == swept.name);
    for swept in PLANS.into_iter().filter(is_meant) {
        let name = swept.name;
        let whole = whole(swept);
        let (next, killed, over) = (AtomicU32::new(1), AtomicU32::new(0), AtomicBool::new(false));
        in_parallel(|| {
            while !over.load(Ordering::Relaxed) {
                let at = next.fetch_add(1, Ordering::Relaxed);
                match one(swept, (&whole, &told), format!("{name}{at}x"), at, None).0 {
                    true => drop(killed.fetch_add(1, Ordering::Relaxed)),
                    false => over.store(true, Ordering::Relaxed),
                }
            }
        });
        let killed = killed.into_inner();
        eprintln!("{name}: {killed} points, {:.1?} so far", began.elapsed());
        assert!(killed > swept.least, "{name}: the hook did not kill: {killed}");
        points += killed;
    }
    eprintln!("{points} points in {:.1?}; {told:?}", began.elapsed());
    if only.is_some() {
        return;
    }
    for (what, told) in [("command", &told.commands), ("job", &told.jobs)] {
        assert!(told.load(Ordering::Relaxed) > 0, "no agent was told of an interrupted {what}");
    }
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
    let told = Told::default();
    for swept in PLANS.into_iter().filter(|swept| only.is_none_or(|only| only == swept.name)) {
        let name = swept.name;
        let whole = whole(swept);
        let (next, over) = (AtomicU32::new(0), AtomicBool::new(false));
        in_parallel(|| {
            while !over.load(Ordering::Relaxed) {
                let at = next.fetch_add(firsts as u32, Ordering::Relaxed) + if all { 1 } else { 20 };
                for again in (1_u32..).step_by(seconds) {
                    let tag = format!("{name}{at}x{again}x");
                    let (first, second) = one(swept, (&whole, &told), tag, at, Some(again));
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
