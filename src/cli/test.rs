//! `fanout test`: plans played against the answers that are kept beside them.
//!
//! Invariant: without `--update` nothing is called, and a plan passes only if all of its result is as
//! it was recorded.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Map, Value, json};

use super::args::{How, Output, PlanArgs};
use super::recorded::{self, Difference, Recorded};
use super::replay;
use super::run::{self, Doing, journal_complaint};
use super::terminal::Terminal;
use super::{Complaint, exit, past, secrets};
use crate::journal::{self, Recording};
use crate::report::fold::RunView;
use crate::report::folding::Folding;
use crate::report::redact::Redactor;
use crate::report::sanitise;
use crate::report::style::{Style, Tone};

/// The arguments of `fanout test`.
#[derive(Debug, clap::Args)]
pub struct Test {
    /// Plans, or folders to look for plans with recorded answers; the current folder if left out.
    #[arg(value_name = "PLAN")]
    pub plans: Vec<PathBuf>,
    /// Run the plans for real and record what they are answered and come to.
    #[arg(long, requires = "plans")]
    pub update: bool,
    /// With --update: record this run instead of running the plan: its name, the start of it, or `last`.
    #[arg(long, value_name = "RUN", requires = "update")]
    pub run: Option<String>,
    /// With --update: set a var of the plan; may be repeated. Values that were recorded are kept.
    #[arg(long = "var", short = 'v', value_name = "NAME=VALUE", requires = "update")]
    pub vars: Vec<String>,
    /// With --update: answer an `ask` call; may be repeated.
    #[arg(long, value_name = "CALL=TEXT", requires = "update")]
    pub answer: Vec<String>,
    /// Print one JSON document on standard output.
    #[arg(long, conflicts_with = "update")]
    pub json: bool,
}

/// What came of one plan.
enum Came {
    Passed { answers: usize },
    Differs(Vec<Difference>),
    Wrong(String),
}

/// `fanout test`: exit status 0 if all results are as recorded, 1 if one differs, 2 if a plan has errors
/// or no recorded answers.
///
/// # Errors
/// [`Complaint`] when there is nothing to test, or something cannot be recorded.
pub fn test(options: &Test, terminal: &Terminal) -> Result<u8, Complaint> {
    let mut plans = Vec::new();
    let here = [PathBuf::from(".")];
    for path in if options.plans.is_empty() { &here[..] } else { &options.plans } {
        match path.is_dir() {
            true => plans.extend(found_in(path)),
            false => plans.push(path.clone()),
        }
    }
    if plans.is_empty() {
        let message = "no plan here has recorded answers; `fanout test --update PLAN` records them in a file \
                       beside the plan (PLAN.recorded.json)";
        return Err(Complaint::usage(message));
    }
    if options.run.is_some() && plans.len() > 1 {
        return Err(Complaint::usage("--run: a run is of one plan; name that one"));
    }
    let style = terminal.out_style();
    let mut code = 0;
    let mut documents = Vec::new();
    for plan in &plans {
        if options.update {
            update(options, plan, terminal)?;
        }
        let came = match check(plan, terminal) {
            Ok(came) => came,
            // Its diagnostics are on standard error already.
            Err(complaint) => Came::Wrong(complaint.message),
        };
        code = code.max(match &came {
            Came::Passed { .. } => 0,
            Came::Differs(_) => exit::FAILED,
            Came::Wrong(_) => exit::USAGE,
        });
        documents.push(document(plan, &came));
        if !options.json {
            let text = text(plan, &came, options.update, &style);
            terminal.out(&text).map_err(|error| Complaint::output(&error))?;
        }
    }
    if options.json {
        let all = json!({ "version": 1, "success": code == 0, "plans": documents });
        let text = past::document(&all, Output::Json);
        terminal.out(&text).map_err(|error| Complaint::output(&error))?;
    }
    Ok(code)
}

/// The plans beneath a folder that have recorded answers, in the order of their names; what git ignores is
/// left out.
fn found_in(folder: &Path) -> Vec<PathBuf> {
    let files = ignore::WalkBuilder::new(folder).sort_by_file_path(Ord::cmp).build().flatten();
    let mut plans = Vec::new();
    for file in files {
        let name = file.path().to_string_lossy();
        let Some(stem) = name.strip_suffix(recorded::ENDING) else { continue };
        let plan = ["yaml", "yml"].map(|ending| PathBuf::from(format!("{stem}.{ending}")));
        let there = plan.iter().find(|plan| plan.is_file());
        let plan = there.or(plan.first()).cloned().unwrap_or_default();
        plans.push(plan.strip_prefix("./").map(Path::to_owned).unwrap_or(plan));
    }
    plans
}

/// Plays a plan and compares.
fn check(plan: &Path, terminal: &Terminal) -> Result<Came, Complaint> {
    let file = recorded::beside(plan);
    if !file.is_file() {
        return Err(Complaint::usage(format!(
            "there are no recorded answers ({}); `fanout test --update {}` runs it and records them",
            file.display(),
            plan.display()
        )));
    }
    let recorded = Recorded::read(&file)?;
    let (expected, answers) = (recorded.expected().clone(), recorded.count());
    let args = args(plan, Vec::new());
    let ready = replay::ready(&args, recorded.vars(), terminal, false)?;
    let (view, folded) = Folding::start(Vec::new(), Redactor::default()).map_err(run::no_thread)?;
    let remedy = format!("record it with `fanout test --update {}`", plan.display());
    replay::play(&ready, recorded.played(&file, &remedy), args.named(), None, vec![folded])?;
    let view = view.finish().ok_or_else(replay::broken)?;
    let differences = recorded::differences(&expected, &recorded::expectation(&view));
    Ok(if differences.is_empty() { Came::Passed { answers } } else { Came::Differs(differences) })
}

fn args(plan: &Path, vars: Vec<String>) -> PlanArgs {
    PlanArgs { plan: plan.to_owned(), vars, vars_file: Vec::new() }
}

/// Records a plan's answers, from a run that is made now or from one that was.
fn update(options: &Test, plan: &Path, terminal: &Terminal) -> Result<(), Complaint> {
    let file = recorded::beside(plan);
    let dir = match &options.run {
        Some(run) => past::find(Some(run))?,
        None => really(options, plan, &file, terminal)?,
    };
    let past = journal::read(&dir).map_err(|error| journal_complaint(&error))?;
    if past.finished().is_none() {
        return Err(Complaint {
            code: exit::FAILED,
            message: format!("{} has not ended; nothing was recorded", past.head.run),
        });
    }
    let records = || past.records.iter().map(AsRef::as_ref);
    let view = RunView::of(records());
    let recorded = Recorded::new(&past.head.run, &past.head.vars, Recording::of(records()), &view);
    recorded.write(&file, &secrets::of_run(&dir))?;
    let end = past.finished().map_or(0, |end| end.exit);
    let failed = match end {
        0 => String::new(),
        code => format!("; the run failed (exit status {code}), and that is what is expected from now on"),
    };
    terminal.err(&format!("wrote {}{failed}\n", file.display()));
    Ok(())
}

/// Runs the plan, and returns the run's folder.
fn really(options: &Test, plan: &Path, file: &Path, terminal: &Terminal) -> Result<PathBuf, Complaint> {
    let vars = match file.is_file() {
        true => Recorded::read(file)?.vars().clone(),
        false => Map::new(),
    };
    let args = args(plan, options.vars.clone());
    let ready = replay::ready(&args, &vars, terminal, false)?;
    let how = How {
        answer: options.answer.clone(),
        json: false,
        output: Output::Text,
        quiet: false,
        no_cache: true,
        no_input: false,
        no_sandbox: false,
        limit: Vec::new(),
    };
    let answers: HashMap<String, String> = run::answers(&ready.plan, &how, terminal)?;
    let begun = Mutex::new(None);
    let start = |listeners, redactor: &Redactor| {
        let journal = run::begin(false, &ready, args.named(), (&ready.kept, redactor), listeners)?;
        if let Ok(mut begun) = begun.lock() {
            *begun = Some(journal.dir().to_owned());
        }
        Ok(journal)
    };
    let doing = Doing { earlier: None, only: None, answers, how: &how };
    let code = run::go(&ready, start, doing, terminal)?;
    let dir = begun.into_inner().ok().flatten();
    match dir {
        Some(dir) if code < exit::BUG => Ok(dir),
        Some(_) | None => Err(Complaint {
            code,
            message: format!("{} was not run to its end; nothing was recorded", plan.display()),
        }),
    }
}

fn document(plan: &Path, came: &Came) -> Value {
    let (ok, differences, error) = match came {
        Came::Passed { .. } => (true, &[][..], None),
        Came::Differs(differences) => (false, differences.as_slice(), None),
        Came::Wrong(message) => (false, &[][..], Some(message)),
    };
    json!({ "plan": plan.display().to_string(), "ok": ok, "differences": differences, "error": error })
}

fn text(plan: &Path, came: &Came, updated: bool, style: &Style) -> String {
    let (mark, name) = (|tone, word: &str| style.paint(tone, word).to_string(), plan.display());
    let mut text = String::new();
    match came {
        Came::Passed { answers } => {
            let many = if *answers == 1 { "answer" } else { "answers" };
            text.push_str(&format!("{} {name}: {answers} {many}\n", mark(Tone::Good, "ok  ")));
        }
        Came::Wrong(message) => {
            let message = sanitise::text(message, style);
            text.push_str(&format!("{} {name}: {message}\n", mark(Tone::Bad, "FAIL")));
        }
        Came::Differs(differences) => {
            let many = match differences.len() {
                1 => "1 difference".to_owned(),
                more => format!("{more} differences"),
            };
            let file = recorded::beside(plan);
            text.push_str(&format!("{} {name}: {many} from {}\n", mark(Tone::Bad, "FAIL"), file.display()));
            for difference in differences {
                text.push_str(&format!("  {}\n", sanitise::line(&difference.at, style)));
                for (sign, line) in difference.lines() {
                    let gap = if sign == '@' { "" } else { " " };
                    let line = format!("{sign}{gap}{}", sanitise::line(&line, style));
                    let line = match sign {
                        '-' => style.paint(Tone::Bad, line).to_string(),
                        '+' => style.paint(Tone::Good, line).to_string(),
                        '@' => style.paint(Tone::Dim, line).to_string(),
                        _ => line,
                    };
                    text.push_str(&format!("    {line}\n"));
                }
            }
            text.push_str(&match updated {
                true => "  what was just recorded does not come out again: the plan reads something that is \
                         another each time\n"
                    .to_owned(),
                false => format!("  if that is as it should be: fanout test --update {name}\n"),
            });
        }
    }
    text
}
