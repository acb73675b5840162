//! How near a run comes to its limits: the critical path with places for everyone, the
//! sum with one place. Prints ratios, asserts nothing about time.
//!
//! `cargo bench --bench schedule`

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PLAN: &str = r#"
calls:
  a: { run: sleep 2 }
  b: { run: sleep 2 }
  c: { run: sleep 2 }
  d: { run: "sleep 2; echo {{ calls.a.output }} {{ calls.b.output }}" }
"#;

fn main() -> std::io::Result<()> {
    let folder = std::env::temp_dir().join(format!("fanout-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("plan.yaml"), PLAN)?;
    let mut out = std::io::stdout();
    writeln!(out, "three independent calls of 2 s and one that needs two of them")?;
    for (name, places, limit) in [("critical path", "8", 4.0), ("sum, one place", "1", 8.0)] {
        let began = Instant::now();
        let status = Command::new(env!("CARGO_BIN_EXE_fanout"))
            .args(["run", "plan.yaml", "--quiet", "--concurrency", places])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .status()?;
        let took: Duration = began.elapsed();
        if !status.success() {
            return Err(std::io::Error::other(format!("the run ended with {status}")));
        }
        let took = took.as_secs_f64();
        writeln!(out, "{name:16} limit {limit:5.3} s  took {took:6.3} s  ratio {:.3}", took / limit)?;
    }
    std::fs::remove_dir_all(&folder)
}
