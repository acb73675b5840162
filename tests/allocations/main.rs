//! Guards the cost of a call without a clock: how often the whole program allocates, per call,
//! for workloads of three sizes.
//!
//! The test binary is its own subject: started with `COUNT_TO` in its environment it *is*
//! fanout, arguments and all, and writes down at its end how often it allocated and how many
//! bytes. Two things fail: more allocations for each call than [`Workload::most`], which has
//! a tenth of room, and a call that costs more among many than among few, as it does
//! wherever a step looks at all calls for each call.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::alloc::System;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Names the file that a counted process writes its figures to.
const COUNT_TO: &str = "COUNT_TO";

/// How many calls the smallest plan has; the others have twice and four times as many.
const CALLS: usize = 100;

/// How much more a call may cost, or allocate, among many than among few.
const GROWTH: f64 = 1.15;

/// What is counted.
struct Workload {
    name: &'static str,
    /// The plan with so many calls, for a server at this port.
    plan: fn(usize, u16) -> String,
    arguments: &'static [&'static str],
    /// Allocations for each call: what they were when this was written, and a tenth more.
    most: f64,
}

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "answers in one piece",
        plan: independent,
        arguments: &["run", "plan.yaml"],
        most: 505.0,
    },
    Workload { name: "streamed answers", plan: streamed, arguments: &["run", "plan.yaml"], most: 550.0 },
    Workload { name: "a chain of answers", plan: chain, arguments: &["run", "plan.yaml"], most: 520.0 },
    Workload { name: "commands", plan: commands, arguments: &["run", "plan.yaml"], most: 400.0 },
    Workload { name: "a finished run again", plan: resumed, arguments: &["resume"], most: 410.0 },
    Workload { name: "a plan with needs", plan: chain, arguments: &["validate", "plan.yaml"], most: 54.0 },
];

fn main() -> ExitCode {
    match std::env::var_os(COUNT_TO) {
        // Its reaper has no such variable: it starts with an empty environment.
        Some(file) => {
            let code = fanout::cli::main();
            let Stats { allocations, reallocations, bytes_allocated, .. } = ALLOCATOR.stats();
            let counted = format!("{} {bytes_allocated}", allocations + reallocations);
            std::fs::write(file, counted).map_or(ExitCode::from(99), |()| code)
        }
        // As `cargo nextest` asks for the tests that there are: the one that `main` is.
        None if std::env::args().any(|argument| argument == "--list") => ExitCode::SUCCESS,
        None => guard(),
    }
}

fn guard() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let server = server::start();
    let mut faults = String::new();
    for workload in WORKLOADS {
        let [few, some, many] = [CALLS, CALLS * 2, CALLS * 4].map(|calls| counted(workload, calls, server));
        let each = |of: fn(&Counted) -> f64| {
            let (low, high) = (of(&some) - of(&few), of(&many) - of(&some));
            (low / CALLS as f64, high / (CALLS * 2) as f64)
        };
        let (times, bytes) = (each(|counted| counted.times), each(|counted| counted.bytes));
        let name = workload.name;
        let line = format!(
            "{name}: {:.1} and {:.1} allocations a call, {:.0} and {:.0} bytes",
            times.0, times.1, bytes.0, bytes.1
        );
        writeln!(out, "{line}").unwrap();
        if times.1 > workload.most {
            writeln!(
                faults,
                "{name}: {:.1} allocations for each call; {} is the most. If that is the price of \
                 something worth it, raise `most`.",
                times.1, workload.most
            )
            .unwrap();
        }
        for (what, (low, high)) in [("allocations", times), ("bytes allocated", bytes)] {
            if high > low * GROWTH {
                writeln!(
                    faults,
                    "{name}: {low:.1} {what} for each call of {} and {high:.1} for each of {}: a step looks at \
                     all calls for each call",
                    CALLS * 2,
                    CALLS * 4
                )
                .unwrap();
            }
        }
    }
    if faults.is_empty() {
        return ExitCode::SUCCESS;
    }
    writeln!(out, "\n{faults}").unwrap();
    ExitCode::FAILURE
}

struct Counted {
    times: f64,
    bytes: f64,
}

/// Runs a workload in a process of its own and reads what that counted.
fn counted(workload: &Workload, calls: usize, port: u16) -> Counted {
    let folder = tempfile::tempdir().unwrap();
    let plan = (workload.plan)(calls, port);
    std::fs::write(folder.path().join("plan.yaml"), &plan).unwrap();
    if workload.arguments == ["resume"] {
        // Its last call fails the first time, so that there is something to go on with.
        fanout(folder.path(), &["run", "plan.yaml"], false);
    }
    fanout(folder.path(), workload.arguments, true);
    let text = std::fs::read_to_string(folder.path().join("counted")).unwrap();
    let (times, bytes) = text.split_once(' ').unwrap();
    Counted { times: times.parse().unwrap(), bytes: bytes.parse().unwrap() }
}

fn fanout(folder: &Path, arguments: &[&str], succeeds: bool) {
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .current_dir(folder)
        // A command gets a copy of what is in there, and every machine has something else.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env(COUNT_TO, folder.join("counted"))
        .env("COUNTED_KEY", "sk-0123456789abcdef")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(ran.status.success(), succeeds, "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn head(port: u16) -> String {
    format!(
        "providers:\n  counted: {{ api: openai-chat, base_url: \"http://127.0.0.1:{port}/v1\", \
         api_key_env: COUNTED_KEY, rate: {{ concurrency: 8 }} }}\n\
         agents: {{ counted: {{ model: counted/m, tools: [] }} }}\ndefaults: {{ agent: counted }}\n\
         limits: {{ calls: 10000 }}\ncalls:\n"
    )
}

fn independent(calls: usize, port: u16) -> String {
    let mut plan = head(port);
    (0..calls).for_each(|at| writeln!(plan, "  c{at}: {{ prompt: \"call {at}\" }}").unwrap());
    plan
}

fn streamed(calls: usize, port: u16) -> String {
    independent(calls, port).replace("\"call", "\"stream call")
}

fn chain(calls: usize, port: u16) -> String {
    let mut plan = head(port) + "  c0: { prompt: \"call 0\" }\n";
    for at in 1..calls {
        writeln!(plan, "  c{at}: {{ prompt: \"call {at} after {{{{ calls.c{}.output }}}}\" }}", at - 1)
            .unwrap();
    }
    plan
}

fn commands(calls: usize, _: u16) -> String {
    let mut plan = "calls:\n".to_owned();
    (0..calls).for_each(|at| writeln!(plan, "  c{at}: {{ run: \"echo {at}\" }}").unwrap());
    plan
}

fn resumed(calls: usize, port: u16) -> String {
    independent(calls, port) + "  last: { run: \"test -e again || { touch again; false; }\" }\n"
}
