//! Runs a plan from a program of your own: load, run, look at what came back.
//!
//! `cargo run --example run_a_plan`

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use fanout::agent::{Agents, Surroundings};
use fanout::event::{FORMAT, RunStarted};
use fanout::journal::{Journal, Options};
use fanout::limits::places::Places;
use fanout::model::{Client, Keys, Settings};
use fanout::plan::{Given, load_text};
use fanout::run::stop::Stop;
use fanout::run::{World, run};
use fanout::sandbox::Sandbox;

const PLAN: &str = r#"
calls:
  names: { run: "printf 'ada\nalan\ngrace\n'", output: { format: lines } }
  greet: { for_each: calls.names.json, run: "echo hello {{ item }}" }
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let loaded = load_text(PLAN, Path::new("plan.yaml"), &Given::default());
    let Some(plan) = loaded.plan.map(Arc::new) else {
        return Err(format!("the plan is wrong: {:?}", loaded.diagnostics).into());
    };
    let folder = tempfile::tempdir()?;
    let head = |run: &_| RunStarted {
        format: FORMAT,
        fanout: "example".to_owned(),
        pid: std::process::id(),
        run: Clone::clone(run),
        name: plan.name.clone(),
        description: None,
        goal: None,
        plan: "plan.yaml".to_owned(),
        plan_path: "plan.yaml".to_owned(),
        vars: serde_json::Map::new(),
        concurrency: plan.limits.concurrency,
        turns: 2,
        calls: Vec::new(),
    };
    let journal = Journal::create(folder.path(), head, Vec::new(), Options::default())?;
    let client =
        Client::new(Keys::of(plan.providers.values(), |name| std::env::var(name).ok()), Settings::default());
    let workspaces = fanout::workspace::Workspaces::new(journal.dir(), journal.run().as_str(), None);
    let world = Arc::new(World {
        journal: Arc::new(journal),
        resumed: false,
        cache: None,
        servers: fanout::tool::Servers::new(|name| std::env::var(name).ok()),
        agents: Agents::new(client, Surroundings::default()),
        places: Places::new(plan.limits.concurrency, plan.limits.calls),
        ledger: Arc::default(),
        history: Default::default(),
        stop: Stop::default(),
        asker: None,
        answers: Default::default(),
        only: None,
        rehearsal: false,
        replay: None,
        environment: Arc::default(),
        reaper: None,
        // Refuses calls that are to be confined; see `sandbox::available` for the way to have it.
        sandbox: Sandbox::untried(),
        races: Default::default(),
        workspaces,
        census: Mutex::default(),
    });
    let finished = run(plan, Arc::clone(&world)).await?;
    world.journal.close().await?;
    let mut out = std::io::stdout();
    writeln!(out, "{:?}, {} calls", finished.verdict, finished.census.planned)?;
    if let Some(reconciled) = finished.reconciled {
        writeln!(out, "{}", reconciled.text)?;
    }
    Ok(())
}
