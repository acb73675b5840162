//! Runs the workloads that were asked for and prints what came of them as one table, which is
//! Markdown as well.

use std::io::{Error, Write};

use super::measure::Sample;
use super::workload::{ALL, Bench, Row};

const HEAD: [&str; 10] = [
    "workload",
    "limit s",
    "bare s",
    "fanout s",
    "ratio",
    "CPU/call us",
    "bare CPU",
    "peak MiB",
    "target",
    "",
];

/// Runs what `arguments` name, all without.
///
/// # Errors
/// If a workload failed to run; the others have run and are shown all the same.
pub(crate) fn run(arguments: &[String]) -> std::io::Result<()> {
    let mut runs = 5;
    let mut names: Vec<&str> = Vec::new();
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        match argument {
            // cargo says so to every benchmark.
            "--bench" => {}
            "--runs" => {
                let number = rest.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                runs = number.ok_or_else(|| Error::other("--runs takes a number, at least 1"))?;
            }
            name if ALL.iter().any(|(known, _)| *known == name) => names.push(name),
            other => {
                let known: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
                return Err(Error::other(format!(
                    "there is no workload `{other}`; they are {}",
                    known.join(" ")
                )));
            }
        }
    }
    let bench = Bench::start(runs)?;
    let (mut lines, mut failed) = (vec![HEAD.map(str::to_owned)], Vec::new());
    for (name, workload) in ALL.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        writeln!(std::io::stderr(), "{name} ...")?;
        match workload(&bench) {
            Ok(rows) => lines.extend(rows.iter().flat_map(table_lines)),
            Err(error) => failed.push(format!("{name} failed to run: {error}")),
        }
    }
    drop(bench);
    let mut out = std::io::stdout();
    writeln!(out, "{}", environment())?;
    writeln!(out, "{}", drawn(&lines))?;
    if failed.is_empty() { Ok(()) } else { Err(Error::other(failed.join("\n"))) }
}

fn table_lines(row: &Row) -> Vec<[String; 10]> {
    let seconds = |seconds: f64| {
        if seconds < 0.1 { format!("{:.1} ms", seconds * 1000.0) } else { format!("{seconds:.3}") }
    };
    let each = |sample: &Sample| match row.calls {
        0 => String::from("-"),
        calls => format!("{:.0}", sample.cpu * 1e6 / calls as f64),
    };
    let none = || String::from("-");
    let peak = |sample: &Sample| {
        let whole = format!("{:.1}", sample.peak as f64 / 1024.0 / 1024.0);
        match row.in_flight {
            true => {
                format!("{whole} ({:.1} KiB a call)", sample.peak as f64 / 1024.0 / row.calls as f64)
            }
            false => whole,
        }
    };
    let ratio = match (row.limit, &row.bare) {
        (_, Some(bare)) => format!("{:.2} of bare", row.fanout.wall / bare.wall),
        (Some(limit), None) => format!("{:.2} of limit", row.fanout.wall / limit),
        (None, None) => none(),
    };
    let ratio = match (row.limit, &row.bare) {
        (Some(limit), Some(_)) => format!("{:.3} of limit, {ratio}", row.fanout.wall / limit),
        _ => ratio,
    };
    let mut lines = Vec::new();
    let mut targets = row.targets.iter();
    let verdict = |target: Option<&(String, bool)>| match target {
        Some((what, reached)) => [what.clone(), if *reached { "reached" } else { "MISSED" }.to_owned()],
        None => [none(), String::new()],
    };
    let [target, reached] = verdict(targets.next());
    lines.push([
        format!("{} {}", row.name, row.what),
        row.limit.map_or_else(none, seconds),
        row.bare.as_ref().map_or_else(none, |bare| seconds(bare.wall)),
        seconds(row.fanout.wall),
        ratio,
        each(&row.fanout),
        row.bare.as_ref().map_or_else(none, each),
        peak(&row.fanout),
        target,
        reached,
    ]);
    let mut more = |line: [String; 10]| lines.push(line);
    for target in targets {
        let [what, reached] = verdict(Some(target));
        let mut line = [const { String::new() }; 10];
        (line[8], line[9]) = (what, reached);
        more(line);
    }
    for (name, sample) in &row.peers {
        let mut line = [const { String::new() }; 10];
        line[0] = format!("- {name}");
        line[3] = seconds(sample.wall);
        line[5] = each(sample);
        line[7] = peak(sample);
        more(line);
    }
    if let Some(bare) = row.bare.as_ref().filter(|_| row.in_flight || row.name.starts_with('a')) {
        let mut line = [const { String::new() }; 10];
        line[0] = "- bare".to_owned();
        line[7] = peak(bare);
        more(line);
    }
    lines
}

fn drawn(lines: &[[String; 10]]) -> String {
    let mut widths = [0; 10];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (nth, line) in lines.iter().enumerate() {
        for (width, cell) in widths.iter().zip(line) {
            text.push_str(&format!("| {cell:width$} "));
        }
        text.push_str("|\n");
        if nth == 0 {
            widths.iter().for_each(|width| text.push_str(&format!("| {} ", "-".repeat((*width).max(3)))));
            text.push_str("|\n");
        }
    }
    text
}

/// When and on what: the figures of two machines are not to be compared.
fn environment() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{:.0}, {cores} cores of {}, Linux {}, load {}\n",
        jiff::Timestamp::now(),
        model.trim_start_matches([':', ' ', '\t']),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default()
    )
}
