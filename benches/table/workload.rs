//! The workloads: what each one runs, its limit, what else is measured beside it, and its target.

use std::cell::Cell;
use std::io::{Error, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::graph::{self, Node};
use super::measure::{self, Sample, measure};
use super::server::Seen;

const FANOUT: &str = env!("CARGO_BIN_EXE_fanout");
const MIB: f64 = 1024.0 * 1024.0;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// The physical limit, in seconds.
    pub(crate) limit: Option<f64>,
    pub(crate) bare: Option<Sample>,
    pub(crate) fanout: Sample,
    /// How many calls share its processor time; 0 where that says nothing.
    pub(crate) calls: usize,
    /// True where the memory of each call in flight is asked for.
    pub(crate) in_flight: bool,
    /// What others took, by name.
    pub(crate) peers: Vec<(&'static str, Sample)>,
    /// Each target, and whether it was reached.
    pub(crate) targets: Vec<(String, bool)>,
}

/// All workloads, with how to run each.
pub(crate) const ALL: &[(&str, Workload)] = &[
    ("a", |bench| calls(bench, "a", "1,000 calls at once, 200 ms", 1000, 1000, "size=512")),
    ("a'", |bench| calls(bench, "a'", "the same, streamed, 200 tokens", 1000, 1000, "tokens=200")),
    ("b", |bench| calls(bench, "b", "10,000 calls, 1,000 at a time", 10_000, 1000, "size=512")),
    ("c", chain),
    ("d", layered),
    ("e", start_up),
    ("f", commands),
    ("g", in_flight),
    ("h", resume),
    ("i", validate),
    ("j", reconcile),
];

/// Runs one workload.
pub(crate) type Workload = fn(&Bench) -> std::io::Result<Vec<Row>>;

/// What all workloads share: the model server and a folder.
#[derive(Debug)]
pub(crate) struct Bench {
    server: Child,
    port: u16,
    folder: PathBuf,
    /// How many folders of runs there are in it.
    folders: Cell<usize>,
    runs: usize,
}

impl Bench {
    /// Starts the server.
    pub(crate) fn start(runs: usize) -> std::io::Result<Bench> {
        let folder = std::env::temp_dir().join(format!("fanout-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut server = Command::new(std::env::current_exe()?)
            .arg("--as-server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = [0; 8];
        let out = server.stdout.as_mut().ok_or_else(|| Error::other("the server has no output"))?;
        let count = out.read(&mut line)?;
        let port = String::from_utf8_lossy(line.get(..count).unwrap_or_default()).trim().parse();
        Ok(Bench { server, port: port.map_err(Error::other)?, folder, folders: Cell::new(0), runs })
    }

    fn tell(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n")?;
        // The server writes so short an answer in one piece.
        let mut answer = [0; 1024];
        let count = stream.read(&mut answer)?;
        let answer = String::from_utf8_lossy(answer.get(..count).unwrap_or_default()).into_owned();
        Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    fn seen(&self) -> std::io::Result<Seen> {
        let said = self.tell("/seen")?;
        let numbers: Vec<u64> = said.split(' ').filter_map(|number| number.parse().ok()).collect();
        match numbers.as_slice() {
            [requests, answered, connections, peak, first_connection, first_request] => Ok(Seen {
                requests: *requests,
                answered: *answered,
                connections: *connections,
                peak: *peak,
                first_connection: *first_connection,
                first_request: *first_request,
            }),
            _ => Err(Error::other(format!("the server said {said:?}"))),
        }
    }

    /// A new folder with this plan in it.
    fn fresh(&self, plan: &str) -> std::io::Result<PathBuf> {
        // Nothing is removed before the end: a file system that has just lost thousands of files is
        // slow to make new ones.
        let number = self.folders.get();
        self.folders.set(number + 1);
        let folder = self.folder.join(format!("run-{number}"));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("plan.yaml"), plan)?;
        // What earlier runs left to be written must not slow this one down.
        rustix::fs::sync();
        Ok(folder)
    }

    /// `fanout run` on this plan; the server must have answered `calls` requests, no more and no fewer.
    fn fanout(&self, plan: &str, calls: usize) -> std::io::Result<(Sample, Seen)> {
        let folder = self.fresh(plan)?;
        self.tell("/reset")?;
        let sample = measure(&folder, Path::new(FANOUT), &strings(&["run", "plan.yaml"]))?;
        let seen = self.answered(calls)?;
        Ok((sample, seen))
    }

    fn bare(
        &self,
        kind: &str,
        calls: usize,
        at_once: usize,
        delay: u64,
        script: &str,
    ) -> std::io::Result<(Sample, Seen)> {
        self.tell("/reset")?;
        let program = std::env::current_exe()?;
        let numbers = [self.port.to_string(), kind.to_owned(), calls.to_string(), at_once.to_string()];
        let mut arguments = strings(&["--as-bare"]);
        arguments.extend(numbers);
        arguments.extend([delay.to_string(), script.to_owned()]);
        let sample = measure(&self.folder, &program, &arguments)?;
        let seen = if kind == "commands" { Seen::default() } else { self.answered(calls)? };
        Ok((sample, seen))
    }

    fn answered(&self, calls: usize) -> std::io::Result<Seen> {
        let seen = self.seen()?;
        if (seen.requests, seen.answered) != (calls as u64, calls as u64) {
            return Err(Error::other(format!("the server has seen {seen:?} where {calls} were expected")));
        }
        Ok(seen)
    }

    /// The medians of several runs of each, one after the other in turns.
    fn medians<const N: usize>(
        &self,
        runs: usize,
        programs: [&dyn Fn() -> std::io::Result<Sample>; N],
    ) -> std::io::Result<[Sample; N]> {
        let mut samples: [Vec<Sample>; N] = [const { Vec::new() }; N];
        for _ in 0..runs {
            for (program, samples) in programs.iter().zip(&mut samples) {
                samples.push(program()?);
            }
        }
        Ok(samples.map(|samples| median(&samples)))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        // It ends when its input does.
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn calls(
    bench: &Bench,
    name: &'static str,
    what: &'static str,
    count: usize,
    at_once: usize,
    script: &str,
) -> std::io::Result<Vec<Row>> {
    let nodes = graph::independent(count, script, 200);
    let plan = plan(&nodes, bench.port, at_once, "");
    let [bare, fanout] = bench.medians(
        bench.runs,
        [&|| Ok(bench.bare("independent", count, at_once, 200, script)?.0), &|| {
            Ok(bench.fanout(&plan, count)?.0)
        }],
    )?;
    let limit = 0.2 * count.div_ceil(at_once) as f64;
    let ratio = fanout.wall / bare.wall;
    let targets = match name {
        "a" => vec![
            target("wall within 1.25x of bare", ratio, 1.25),
            target("CPU under 2.5x of bare", fanout.cpu / bare.cpu, 2.5),
            target("under 64 MiB", mib(&fanout), 64.0),
        ],
        "a'" => vec![target("wall within 1.3x of bare", ratio, 1.3)],
        _ => {
            let allowed = 1.15 * limit + (bare.wall - limit).max(0.0);
            vec![
                target(&format!("wall within {allowed:.2} s"), fanout.wall, allowed),
                target("under 200 MiB", mib(&fanout), 200.0),
            ]
        }
    };
    let bare = Some(bare);
    let row = Row { name, what, limit: Some(limit), bare, fanout, calls: count, ..Row::new(targets) };
    Ok(vec![row])
}

fn chain(bench: &Bench) -> std::io::Result<Vec<Row>> {
    let plan = plan(&graph::chain(100, 5), bench.port, 8, "");
    let [bare, fanout] = bench.medians(
        bench.runs,
        [&|| Ok(bench.bare("chain", 100, 1, 5, "")?.0), &|| Ok(bench.fanout(&plan, 100)?.0)],
    )?;
    let targets = vec![target("wall within 1.15x of the limit", fanout.wall / 0.5, 1.15)];
    let (limit, bare) = (Some(0.5), Some(bare));
    let what = "a chain of 100, 5 ms each";
    Ok(vec![Row { name: "c", what, limit, bare, fanout, calls: 100, ..Row::new(targets) }])
}

fn layered(bench: &Bench) -> std::io::Result<Vec<Row>> {
    let nodes = graph::layered(20, 50);
    let limit = graph::critical_path(&nodes);
    let plan = plan(&nodes, bench.port, 1000, "");
    let [bare, fanout] = bench.medians(
        bench.runs.min(3),
        [&|| Ok(bench.bare("layered", 1000, 1000, 0, "")?.0), &|| Ok(bench.fanout(&plan, 1000)?.0)],
    )?;
    let targets = vec![target("wall within 1.03x of the critical path", fanout.wall / limit, 1.03)];
    let (limit, bare) = (Some(limit), Some(bare));
    let what = "20 x 50 uneven layers";
    Ok(vec![Row { name: "d", what, limit, bare, fanout, calls: 1000, ..Row::new(targets) }])
}

fn start_up(bench: &Bench) -> std::io::Result<Vec<Row>> {
    let plan = plan(&graph::independent(1, "size=64", 1), bench.port, 8, "");
    let until_first = |(sample, seen): (Sample, Seen)| Sample {
        wall: seen.first_request.saturating_sub(sample.began) as f64 / 1e9,
        ..sample
    };
    let help = || measure(&bench.folder, Path::new(FANOUT), &strings(&["--help"]));
    let [bare, first, help] = bench.medians(
        bench.runs * 3,
        [
            &|| Ok(until_first(bench.bare("independent", 1, 1, 1, "size=64")?)),
            &|| Ok(until_first(bench.fanout(&plan, 1)?)),
            &help,
        ],
    )?;
    let targets = vec![target("under 20 ms", first.wall * 1000.0, 20.0)];
    let what = "start to first request";
    let first = Row { name: "e", what, bare: Some(bare), fanout: first, calls: 1, ..Row::new(targets) };
    let targets = vec![target("under 5 ms", help.wall * 1000.0, 5.0)];
    let help = Row { name: "e", what: "--help", fanout: help, ..Row::new(targets) };
    Ok(vec![first, help])
}

fn commands(bench: &Bench) -> std::io::Result<Vec<Row>> {
    let script = "sleep 0.2; echo ok";
    let mut plan = "limits: { concurrency: 50 }\ncalls:\n".to_owned();
    let mut makefile = "all:".to_owned();
    (0..200).for_each(|at| plan.push_str(&format!("  c{at}: {{ run: \"{script}\" }}\n")));
    (0..200).for_each(|at| makefile.push_str(&format!(" c{at}")));
    (0..200).for_each(|at| makefile.push_str(&format!("\nc{at}:\n\t@{script}\n")));
    std::fs::write(bench.folder.join("Makefile"), makefile)?;
    std::fs::write(bench.folder.join("commands"), format!("{script}\n").repeat(200))?;
    let peer =
        |program: &str, arguments: &[&str]| measure(&bench.folder, Path::new(program), &strings(arguments));
    let make = || peer("make", &["-j50", "all"]);
    let parallel = || peer("parallel", &["-j50", "--will-cite", "-a", "commands"]);
    let xargs = || peer("xargs", &["-a", "commands", "-P50", "-d", "\\n", "-n1", "sh", "-c"]);
    let there: Vec<(&'static str, &dyn Fn() -> std::io::Result<Sample>)> =
        [("make -j50", &make as &dyn Fn() -> _), ("parallel -j50", &parallel), ("xargs -P50", &xargs)]
            .into_iter()
            .filter(|(_, run)| run().is_ok())
            .collect();
    let mut peers: Vec<(&'static str, Vec<Sample>)> =
        there.iter().map(|(name, _)| (*name, Vec::new())).collect();
    let (mut bare, mut fanout) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        bare.push(bench.bare("commands", 200, 50, 0, "")?.0);
        fanout.push(bench.fanout(&plan, 0)?.0);
        for ((_, run), (_, samples)) in there.iter().zip(&mut peers) {
            samples.push(run()?);
        }
    }
    let (bare, fanout) = (median(&bare), median(&fanout));
    let peers: Vec<_> = peers.into_iter().map(|(name, samples)| (name, median(&samples))).collect();
    let mut targets = vec![target("wall within 1.1x of the limit", fanout.wall / 0.8, 1.1)];
    for (name, sample) in peers.iter().filter(|(name, _)| !name.starts_with("xargs")) {
        targets.push(target(&format!("CPU not above {name}"), fanout.cpu / sample.cpu, 1.0));
    }
    let (limit, bare) = (Some(0.8), Some(bare));
    let what = "200 commands of 0.2 s, 50 at a time";
    Ok(vec![Row { name: "f", what, limit, bare, fanout, calls: 200, peers, ..Row::new(targets) }])
}

fn in_flight(bench: &Bench) -> std::io::Result<Vec<Row>> {
    let nodes = graph::independent(10_000, "size=512", 10_000);
    let plan = plan(&nodes, bench.port, 10_000, "");
    let (bare, _) = bench.bare("independent", 10_000, 10_000, 10_000, "size=512")?;
    let (fanout, seen) = bench.fanout(&plan, 10_000)?;
    let each = fanout.peak as f64 / 1024.0 / 10_000.0;
    let targets = vec![
        target("all in flight at once", 10_000.0 / seen.peak as f64, 1.0),
        target("under 1 GiB", mib(&fanout), 1024.0),
        target("under 50 KiB a call", each, 50.0),
    ];
    let (limit, bare) = (Some(10.0), Some(bare));
    let what = "10,000 calls in flight, 10 s each";
    let row =
        Row { name: "g", what, limit, bare, fanout, calls: 10_000, in_flight: true, ..Row::new(targets) };
    Ok(vec![row])
}

fn resume(bench: &Bench) -> std::io::Result<Vec<Row>> {
    let nodes = graph::independent(10_000, "size=512", 20);
    let ids: Vec<String> = (0..10_000).map(|at| format!("c{at}")).collect();
    let last = format!("  last: {{ prompt: \"delay=1 size=64 hold=1\", needs: [{}] }}\n", ids.join(", "));
    let folder = bench.fresh(&plan(&nodes, bench.port, 1000, &last))?;
    bench.tell("/reset")?;
    let mut run = Command::new(FANOUT)
        .args(["run", "plan.yaml", "--quiet"])
        .current_dir(&folder)
        .env("BENCH_KEY", measure::KEY)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let until = Instant::now() + Duration::from_secs(120);
    while bench.seen()?.requests < 10_001 {
        if Instant::now() > until || run.try_wait()?.is_some() {
            return Err(Error::other(format!(
                "the run to be resumed did not come to its last call: {:?}",
                bench.seen()
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    run.kill()?;
    run.wait()?;
    rustix::fs::sync();
    bench.tell("/release")?;
    bench.tell("/reset")?;
    let sample = measure(&folder, Path::new(FANOUT), &strings(&["resume"]))?;
    let seen = bench.answered(1)?;
    let wall = seen.first_request.saturating_sub(sample.began) as f64 / 1e9;
    let targets = vec![target("under 1 s to the first new request", wall, 1.0)];
    let what = "resume with 10,000 finished calls";
    let fanout = Sample { wall, ..sample };
    Ok(vec![Row { name: "h", what, fanout, calls: 10_000, ..Row::new(targets) }])
}

fn validate(bench: &Bench) -> std::io::Result<Vec<Row>> {
    let nodes = graph::wide(100_000, 2);
    let plan = plan(&nodes, bench.port, 1000, "");
    let folder = bench.fresh(&plan)?;
    let [fanout] = bench.medians(
        bench.runs.min(3),
        [&|| measure(&folder, Path::new(FANOUT), &strings(&["validate", "plan.yaml"]))],
    )?;
    let targets = vec![target("under 1 s", fanout.wall, 1.0), target("under 300 MiB", mib(&fanout), 300.0)];
    let what = "validate 100,000 calls, 200,000 edges";
    Ok(vec![Row { name: "i", what, fanout, calls: 100_000, ..Row::new(targets) }])
}

fn reconcile(bench: &Bench) -> std::io::Result<Vec<Row>> {
    let finding = |at| format!("delay=1 findings=200 seed={at}");
    let nodes: Vec<Node> =
        (0..50).map(|at| Node { needs: Vec::new(), prompt: finding(at), delay: 1 }).collect();
    let merge = "reconcile:\n  strategy: merge\n  key: [/file, /line]\n  similar: { on: /title, at: 0.85 }\n  \
                 conflicts: [/severity]\n";
    let head = plan(&nodes, bench.port, 50, "");
    let head = head.replace("defaults: {", "defaults: { output: { format: json },");
    let (collect, merge) = (head.clone(), format!("{head}{merge}"));
    let [collect, fanout] = bench
        .medians(bench.runs, [&|| Ok(bench.fanout(&collect, 50)?.0), &|| Ok(bench.fanout(&merge, 50)?.0)])?;
    let what = "merge 10,000 findings of 50 agents";
    let peers = vec![("collected, not merged", collect)];
    Ok(vec![Row { name: "j", what, fanout, calls: 10_000, peers, ..Row::new(Vec::new()) }])
}

impl Row {
    fn new(targets: Vec<(String, bool)>) -> Row {
        let fanout = Sample { wall: 0.0, cpu: 0.0, peak: 0, began: 0 };
        Row {
            name: "",
            what: "",
            limit: None,
            bare: None,
            fanout,
            calls: 0,
            in_flight: false,
            peers: Vec::new(),
            targets,
        }
    }
}

/// A plan of these calls; a need's answer is part of the prompt.
fn plan(nodes: &[Node], port: u16, at_once: usize, more: &str) -> String {
    let mut plan = format!(
        "providers:\n  bench: {{ api: openai-chat, base_url: \"http://127.0.0.1:{port}/v1\", api_key_env: BENCH_KEY, rate: {{ concurrency: {at_once} }} }}\n\
         agents:\n  scripted: {{ model: bench/scripted, tools: [] }}\n\
         defaults: {{ agent: scripted }}\n\
         limits: {{ concurrency: {at_once}, calls: 200000 }}\ncalls:\n"
    );
    for (at, node) in nodes.iter().enumerate() {
        plan.push_str(&format!("  c{at}: {{ prompt: \"{}", node.prompt));
        for need in &node.needs {
            plan.push_str(&format!(" {{{{ calls.c{need}.output }}}}"));
        }
        plan.push_str("\" }\n");
    }
    plan.push_str(more);
    plan
}

fn median(samples: &[Sample]) -> Sample {
    let middle = |of: &dyn Fn(&Sample) -> f64| {
        let mut all: Vec<f64> = samples.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Sample {
        wall: middle(&|sample| sample.wall),
        cpu: middle(&|sample| sample.cpu),
        peak: middle(&|sample| sample.peak as f64) as u64,
        began: 0,
    }
}

fn target(what: &str, is: f64, most: f64) -> (String, bool) {
    (what.to_owned(), is <= most)
}

fn mib(sample: &Sample) -> f64 {
    sample.peak as f64 / MIB
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
