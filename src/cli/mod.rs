//! The command line: one file per subcommand.
//!
//! Invariant: this room alone knows arguments, the environment, standard streams and
//! exit statuses. It decides nothing about a run; it builds what a run needs and shows
//! what came of it.

mod alone;
pub mod apply;
pub mod args;
pub mod ask;
pub mod asked;
pub mod cache;
pub mod compare;
pub mod confined;
pub mod detach;
pub mod diagnostics;
pub mod doctor;
pub mod earlier;
mod estimate;
pub mod exit;
pub mod explain;
pub mod follow;
pub mod forecast;
pub mod graph;
pub mod held;
pub mod init;
pub mod kept;
pub mod kill_at;
mod limit;
pub mod list;
pub mod load;
pub mod open_files;
pub mod past;
pub mod reconcile;
pub mod recorded;
pub mod remove;
pub mod replay;
pub mod report;
pub mod resume;
pub mod run;
pub mod secrets;
pub mod select;
pub mod serve;
pub mod signals;
#[cfg(feature = "otel")]
mod telemetry;
pub mod terminal;
pub mod test;
mod threads;
pub mod told;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, Drawing};
use load::Loading;
use terminal::Terminal;

/// Runs the program with the process's own arguments, to its exit status.
pub fn main() -> ExitCode {
    if let Some(code) = helper() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help_or_error) => {
            // Prints to the stream that fits; a closed one is nobody's loss.
            let _ = help_or_error.print();
            return ExitCode::from(if help_or_error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    // Keys are in this process's environment; whoever it starts is of the same user.
    crate::sandbox::hide_own_memory();
    let terminal = Terminal::new(cli.color);
    match dispatch(cli.command, &terminal) {
        Ok(code) => ExitCode::from(code),
        Err(Complaint { code, message }) => {
            if !message.is_empty() {
                terminal.error(message);
            }
            ExitCode::from(code)
        }
    }
}

/// What this program is to itself, a helper that is started for each command that is confined, or once
/// a run. It is told what to do in words that no person writes, and to make the table of all that
/// people can write would take half of its time.
fn helper() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let name = arguments.next()?;
    if name == crate::sandbox::SUBCOMMAND {
        return Some(ExitCode::from(crate::sandbox::main(arguments)));
    }
    if name == crate::process::reaper::SUBCOMMAND {
        crate::sandbox::hide_own_memory();
        let Err(problem) = crate::process::reaper::main(arguments) else { return Some(ExitCode::SUCCESS) };
        Terminal::new(args::When::Auto).error(problem.to_string());
        return Some(ExitCode::from(exit::USAGE));
    }
    None
}

/// Why a subcommand came to nothing: what to print (if it is not printed yet) and the exit status.
#[derive(Debug)]
pub struct Complaint {
    /// The exit status.
    pub code: u8,
    /// For people; empty when everything was said already.
    pub message: String,
}

impl Complaint {
    /// The command line or the plan is wrong.
    pub fn usage(message: impl std::fmt::Display) -> Complaint {
        Complaint { code: exit::USAGE, message: message.to_string() }
    }

    /// Standard output could not be written, for another reason than a closed pipe.
    pub fn output(error: &std::io::Error) -> Complaint {
        Complaint { code: exit::STORAGE, message: format!("cannot write to standard output: {error}") }
    }
}

fn dispatch(command: Command, terminal: &Terminal) -> Result<u8, Complaint> {
    let out = |text: &str| terminal.out(text).map_err(|error| Complaint::output(&error));
    match command {
        Command::Run(options) => run::run(options, terminal),
        Command::Resume(options) => resume::resume(options, terminal),
        Command::Test(options) => test::test(&options, terminal),
        Command::Validate(options) => {
            let loading = if options.json { Loading::Json } else { Loading::Text };
            let loaded = load::look(&options.plan, terminal, loading, options.strict)?;
            if !options.json {
                out(&load::summary(&loaded))?;
            }
            // The process ends now: giving back a plan of a hundred thousand calls piece by piece would
            // take a twentieth of the time that reading it took.
            std::mem::forget(loaded);
            Ok(0)
        }
        Command::Graph(options) => {
            let load::Ready { plan, graph, .. } = load::look(&options.plan, terminal, Loading::Quiet, false)?;
            out(&match options.format {
                Drawing::Text => graph::text(&plan, &graph),
                Drawing::Mermaid => graph::mermaid(&plan, &graph),
                Drawing::Dot => graph::dot(&plan, &graph),
            })?;
            Ok(0)
        }
        Command::Explain(options) => {
            let load::Ready { plan, graph, .. } = load::look(&options.plan, terminal, Loading::Quiet, false)?;
            out(&if options.json {
                format!("{:#}\n", explain::explain_json(&plan, &graph))
            } else {
                explain::explain(&plan, &graph)
            })?;
            Ok(0)
        }
        Command::Schema(options) => {
            out(&match options.result {
                true => crate::report::result_json::SCHEMA.to_owned(),
                false => format!("{:#}\n", crate::plan::schema()),
            })?;
            Ok(0)
        }
        Command::Init(options) => {
            out(&match options.ci {
                None => init::write(&options.file, options.force),
                Some(ci) => init::write_ci(ci, &options.file, options.force),
            }
            .map_err(Complaint::usage)?)?;
            Ok(0)
        }
        Command::Doctor(options) => doctor::doctor(&options, terminal),
        Command::Show(options) => past::show(&options, terminal),
        Command::Report(options) => report::report(&options, terminal),
        Command::Reconcile(options) => reconcile::reconcile(&options, terminal),
        Command::Compare(options) => compare::compare(&options, terminal),
        Command::List(options) => list::list(&options, terminal),
        Command::Logs(options) => follow::logs(&options, terminal),
        Command::Attach(options) => follow::attach(&options, terminal),
        Command::Serve(options) => serve::serve(&options, terminal),
        Command::Wait(options) => held::wait(&options, terminal),
        Command::Stop(options) => held::stop(&options, terminal),
        Command::Apply(options) => apply::apply(&options, terminal),
        Command::Rm(options) => remove::rm(&options, terminal),
        Command::Gc(options) => remove::gc(&options, terminal),
        Command::Cache(options) => cache::cache(&options, terminal),
        Command::Completions(options) => {
            let mut script = Vec::new();
            clap_complete::generate(options.shell, &mut Cli::command(), "fanout", &mut script);
            out(&String::from_utf8_lossy(&script))?;
            Ok(0)
        }
    }
}
