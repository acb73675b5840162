//! Runs the real program on a plan in a folder of its own.
#![expect(unreachable_pub, reason = "an integration test is a crate of its own")]
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A folder with plans in it, gone when dropped.
pub struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    pub fn new() -> Folder {
        Folder { dir: tempfile::tempdir().unwrap() }
    }

    /// A folder that is in memory where the system has such a place: a kill loses nothing there, and
    /// a sync costs nothing.
    pub fn in_memory() -> Folder {
        let memory = Path::new("/dev/shm");
        let dir = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
        Folder { dir: dir.unwrap() }
    }

    /// A folder with `plan.yaml` in it.
    pub fn with_plan(plan: &str) -> Folder {
        let folder = Folder::new();
        folder.write("plan.yaml", plan);
        folder
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The program, in this folder, with nothing of the developer's own surroundings.
    pub fn fanout(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanout"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars() {
            let ours =
                name.starts_with("FANOUT_") || name.ends_with("_API_KEY") || name.ends_with("_BASE_URL");
            let display = matches!(
                name.as_str(),
                "NO_COLOR"
                    | "CLICOLOR_FORCE"
                    | "CLICOLOR"
                    | "COLUMNS"
                    | "GITHUB_ACTIONS"
                    | "CI"
                    | "OLLAMA_HOST"
            );
            if ours || display || name.to_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm-256color");
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.fanout(args).output().unwrap())
    }

    /// Runs it with more in its environment.
    pub fn run_with(&self, env: &[(&str, &str)], args: &[&str]) -> Ran {
        Ran::of(self.fanout(args).envs(env.iter().copied()).output().unwrap())
    }

    /// Starts it and comes back at once.
    pub fn start(&self, args: &[&str]) -> Child {
        self.fanout(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the plan with `--json` and returns its events.
    pub fn events(&self, args: &[&str]) -> (Vec<Value>, Ran) {
        let mut all = vec!["run", "plan.yaml", "--json"];
        all.extend_from_slice(args);
        let ran = self.run(&all);
        (parse_lines(&ran.out), ran)
    }
}

/// One JSON value a line.
pub fn parse_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// What a finished program left.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test with everything there is to see unless the exit status is `code`.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

/// The outcomes by instance name, from a run's events.
pub fn outcomes(events: &[Value]) -> HashMap<String, Value> {
    events
        .iter()
        .filter(|event| event["type"] == "call_finished")
        .map(|event| (instance_name(&event["instance"]), event["outcome"].clone()))
        .collect()
}

/// The position among the events of the first one of this type for this instance.
#[track_caller]
pub fn position(events: &[Value], kind: &str, instance: &str) -> usize {
    events
        .iter()
        .position(|event| event["type"] == kind && instance_name(&event["instance"]) == instance)
        .unwrap_or_else(|| panic!("no {kind} for {instance}"))
}

fn instance_name(instance: &Value) -> String {
    let call = instance["call"].as_str().unwrap_or_default();
    match instance["index"].as_u64() {
        Some(index) => format!("{call}[{index}]"),
        None => call.to_owned(),
    }
}

/// Waits for a condition that another process will make true; fails the test after a minute.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("never came true: {what}");
}

/// The root of this repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
