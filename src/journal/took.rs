//! How long the instances of earlier runs of a plan took, for an estimate of what is left of this one.
//!
//! Invariants: takes no lock, reads no blobs, stops after a few runs and never fails: a run that
//! cannot be read teaches nothing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::{runs, writer};
use crate::event::Millis;
use crate::id::{CallId, InstanceId};
use crate::outcome::Status;

/// How many runs of the plan are looked at, the newest first.
const RUNS: usize = 3;
/// How many runs are opened for that; of most, only the first line is read.
const OPENED: usize = 40;
/// Bytes of a journal that is read; larger ones would take longer than an estimate is worth.
const LARGEST: u64 = 64 * 1024 * 1024;

/// How long the instances of each call took that ended well, run by run, the newest run first.
pub type Took = HashMap<CallId, Vec<Vec<Duration>>>;

#[derive(Deserialize)]
struct Head {
    plan_path: String,
}

#[derive(Deserialize)]
struct End {
    instance: InstanceId,
    outcome: Ended,
}

#[derive(Deserialize)]
struct Ended {
    status: Status,
    #[serde(default)]
    reused: bool,
    duration_ms: Millis,
}

/// What the newest runs under `root` of the plan with this path took.
pub fn took(root: &Path, plan_path: &str) -> Took {
    let mut took = Took::new();
    let folder = runs::folder(root);
    let names = runs::names(&folder).unwrap_or_default();
    let runs = names.iter().take(OPENED).filter_map(|name| of_run(&folder.join(name), plan_path));
    for ends in runs.take(RUNS) {
        for (call, times) in ends {
            took.entry(call).or_default().push(times);
        }
    }
    took
}

fn of_run(dir: &Path, plan_path: &str) -> Option<HashMap<CallId, Vec<Duration>>> {
    let file = File::open(dir.join(writer::FILE)).ok()?;
    let small = file.metadata().is_ok_and(|meta| meta.len() <= LARGEST);
    let mut lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let head: Head = serde_json::from_slice(&lines.next()?).ok()?;
    if head.plan_path != plan_path || !small {
        return None;
    }
    let mut ends: HashMap<CallId, Vec<Duration>> = HashMap::new();
    for line in lines.filter(|line| is_end(line)) {
        let Ok(end) = serde_json::from_slice::<End>(&line) else { continue };
        if end.outcome.status == Status::Ok && !end.outcome.reused {
            ends.entry(end.instance.call).or_default().push(end.outcome.duration_ms.0);
        }
    }
    (!ends.is_empty()).then_some(ends)
}

/// Cheap first: most lines are something else. The type stands near the start of a line.
fn is_end(line: &[u8]) -> bool {
    const TYPE: &[u8] = b"\"type\":\"call_finished\"";
    line.get(..line.len().min(200)).is_some_and(|start| start.windows(TYPE.len()).any(|part| part == TYPE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(text: &str) -> CallId {
        CallId::parse(text).unwrap()
    }

    #[test]
    fn the_newest_runs_of_the_plan_tell_and_others_do_not() {
        let root = tempfile::tempdir().unwrap();
        let run = |name: &str, plan: &str, ends: &[(&str, &str, u64)]| {
            let dir = runs::folder(root.path()).join(name);
            std::fs::create_dir_all(&dir).unwrap();
            let mut text = format!("{{\"seq\":1,\"type\":\"run_started\",\"plan_path\":\"{plan}\"}}\n");
            for (call, status, took) in ends {
                text += &format!(
                    "{{\"seq\":2,\"type\":\"call_finished\",\"instance\":{{\"call\":\"{call}\"}},\"outcome\":{{\"status\":\"{status}\",\"duration_ms\":{took}}}}}\n"
                );
            }
            std::fs::write(dir.join(writer::FILE), text + "torn").unwrap();
        };
        run("20260101-000000-0001", "/p/plan.yaml", &[("a", "ok", 9)]);
        run("20260102-000000-0001", "/p/plan.yaml", &[("a", "ok", 1), ("a", "ok", 2), ("b", "failed", 7)]);
        run("20260103-000000-0001", "/other.yaml", &[("a", "ok", 3)]);
        run("20260104-000000-0001", "/p/plan.yaml", &[("a", "failed", 4)]);
        run("20260105-000000-0001", "/p/plan.yaml", &[("a", "ok", 5)]);
        run("20260106-000000-0001", "/p/plan.yaml", &[("a", "ok", 6)]);
        let ms = Duration::from_millis;
        let told = HashMap::from([(call("a"), vec![vec![ms(6)], vec![ms(5)], vec![ms(1), ms(2)]])]);
        assert_eq!(took(root.path(), "/p/plan.yaml"), told);
        assert_eq!(took(&root.path().join("nowhere"), "/p/plan.yaml"), Took::new());
    }
}
