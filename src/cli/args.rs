//! The command line, as clap reads it. It decides nothing.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs many agent calls at once and reconciles what comes back.
#[derive(Debug, Parser)]
#[command(name = "fanout", version, about, max_term_width = 100, after_long_help = super::exit::help())]
#[command(propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR or TERM=dumb says otherwise.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a plan: independent calls at once, dependent ones in turn, then reconcile.
    #[command(after_long_help = super::exit::help())]
    Run(Run),
    /// Go on with a run that was interrupted; nothing that completed is done again.
    Resume(Resume),
    /// Play plans against recorded answers and compare what they come to; nothing is called.
    #[command(after_long_help = super::exit::help())]
    Test(super::test::Test),
    /// Check a plan without starting anything.
    Validate(Validate),
    /// Show which calls need which others.
    Graph(Graph),
    /// Show a plan with every default filled in, its turns, and how many calls it can make.
    Explain(Explain),
    /// Print the JSON Schema of the plan language, for editors, or of the result of a run.
    Schema(Schema),
    /// Write a starter plan.
    Init(Init),
    /// Say which agents, keys and servers are usable here, and what to do about the others.
    #[command(after_long_help = super::exit::help())]
    Doctor(Doctor),
    /// Show a run, live or past, as it looked.
    Show(Show),
    /// Write a report of a run, live or past: a page to look at, or what a CI system reads.
    Report(Report),
    /// Bring the answers of a finished run together another way: no call is made again, and a model is asked
    /// only where the step asks the one of the parent (`synthesize`, `on_conflict: decide`).
    Reconcile(Reconcile),
    /// How far the answers of a run agree, or what changed between two runs.
    Compare(Compare),
    /// List runs, newest first.
    List(List),
    /// Print what a run reported, and what it reports from now on.
    Logs(Logs),
    /// Look at a run that another process is at, live; Ctrl-C ends the view, not the run.
    Attach(Attach),
    /// Show a run's page in a browser, live: an address on this machine alone, until Ctrl-C.
    Serve(Serve),
    /// Wait until a run has ended; the exit status is the run's own.
    #[command(after_long_help = super::exit::help())]
    Wait(Wait),
    /// End a run that another process is at, as Ctrl-C would; it can be resumed.
    Stop(Stop),
    /// Bring what a call changed in its own workspace into your files, or onto a branch.
    #[command(after_long_help = super::exit::help())]
    Apply(super::apply::Apply),
    /// Remove runs.
    Rm(Rm),
    /// Remove old runs, and what killed ones have left in the folder for temporary files.
    Gc(Gc),
    /// List the results that later runs can take over (`cache:` in a plan), or clear them.
    Cache(CacheArgs),
    /// Print a shell completion script.
    Completions(Completions),
}

/// Which plan, and what it is given.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The plan file; `-` for standard input.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Set a var of the plan; may be repeated.
    #[arg(long = "var", short = 'v', value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Set vars from a YAML or JSON file; may be repeated, `--var` wins.
    #[arg(long, value_name = "FILE")]
    pub vars_file: Vec<PathBuf>,
}

/// What a plan from standard input is called; its folder is the current one.
pub const PIPED: &str = "<stdin>";

impl PlanArgs {
    /// What the plan's file is called in what people read.
    pub fn named(&self) -> &Path {
        if self.is_piped() { Path::new(PIPED) } else { &self.plan }
    }

    /// True where the plan comes from standard input.
    pub fn is_piped(&self) -> bool {
        self.plan.as_os_str() == "-"
    }
}

/// `fanout run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The plan.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// How to run.
    #[command(flatten)]
    pub how: How,
    /// Run only these calls and what they need: an id or `tag:NAME`; may be repeated.
    #[arg(long, value_name = "CALL")]
    pub only: Vec<String>,
    /// Calls at once, instead of the plan's `limits.concurrency`.
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: Option<u32>,
    /// Treat warnings as errors.
    #[arg(long)]
    pub strict: bool,
    /// Run in the background: print the run's id and come back.
    #[arg(long, short, conflicts_with_all = ["json", "output"])]
    pub detach: bool,
    /// Call nothing: every call is answered from this run, or from a file of `fanout test`.
    #[arg(long, value_name = "RUN|FILE", conflicts_with_all = ["detach", "answer"])]
    pub replay: Option<String>,
}

/// What running and resuming share.
#[derive(Debug, Args)]
pub struct How {
    /// Answer an `ask` call beforehand; may be repeated.
    #[arg(long, value_name = "CALL=TEXT")]
    pub answer: Vec<String>,
    /// Print every event as one JSON object a line on standard output.
    #[arg(long, conflicts_with = "output")]
    pub json: bool,
    /// How to print the result on standard output.
    #[arg(long, short, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,
    /// Say nothing but problems on standard error.
    #[arg(long, short)]
    pub quiet: bool,
    /// Take no result out of the cache and keep none.
    #[arg(long)]
    pub no_cache: bool,
    /// Never ask at the terminal: an `ask` call needs an answer or a default.
    #[arg(long)]
    pub no_input: bool,
    /// Start programs without the sandbox that the plan gives them: they can touch all that you can.
    #[arg(long)]
    pub no_sandbox: bool,
    /// A limit of the run instead of the plan's: tokens=800k, cost=2.50, time=1h, calls=2000; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub limit: Vec<String>,
}

/// How to print a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document; docs/result.md describes it.
    Json,
    /// The same document as YAML.
    Yaml,
    /// Markdown.
    Markdown,
}

/// `fanout resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// The run, by its name or the start of it; the newest if left out.
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// The newest run, as when RUN is left out.
    #[arg(long, conflicts_with = "run")]
    pub last: bool,
    /// Run again only what failed, and what follows from it.
    #[arg(long)]
    pub only_failed: bool,
    /// Do this call and all that follows from it anew, even if it is done; may be repeated.
    #[arg(long, value_name = "CALL")]
    pub from: Vec<String>,
    /// Only say what would run and what is reused.
    #[arg(long)]
    pub dry_run: bool,
    /// Go on without the damaged records of the journal; what they said is done again.
    #[arg(long)]
    pub salvage: bool,
    /// How to run.
    #[command(flatten)]
    pub how: How,
}

/// `fanout validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// The plan.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Treat warnings as errors.
    #[arg(long)]
    pub strict: bool,
    /// Print the findings as one JSON array on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `fanout doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Look only at what this plan needs.
    #[arg(value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// Set a var of the plan; may be repeated.
    #[arg(long = "var", short = 'v', value_name = "NAME=VALUE", requires = "plan")]
    pub vars: Vec<String>,
    /// Print one JSON document on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `fanout graph`.
#[derive(Debug, Args)]
pub struct Graph {
    /// The plan.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// How to draw it.
    #[arg(long, short, value_enum, default_value_t = Drawing::Text, value_name = "FORMAT")]
    pub format: Drawing,
}

/// `fanout schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// The schema of what `--output json` prints of a run, instead of that of plans.
    #[arg(long)]
    pub result: bool,
}

/// How to draw a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Drawing {
    /// Turn by turn, for the terminal.
    Text,
    /// For Markdown pages that draw Mermaid.
    Mermaid,
    /// For Graphviz.
    Dot,
}

/// `fanout explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The plan.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// As one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// `fanout init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Where to write it, or for `--ci` the plan that the workflow runs.
    #[arg(value_name = "FILE", default_value = "plan.yaml")]
    pub file: PathBuf,
    /// Write a workflow for this CI system instead, with reports and a resume step.
    #[arg(long, value_enum, value_name = "SYSTEM")]
    pub ci: Option<Ci>,
    /// Overwrite an existing file.
    #[arg(long)]
    pub force: bool,
}

/// A CI system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ci {
    /// GitHub Actions: .github/workflows/fanout.yml.
    Github,
    /// GitLab CI: .gitlab-ci.fanout.yml, to include.
    Gitlab,
}

/// `fanout reconcile`.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// The run, by its name or the start of it; `last` for the newest.
    #[arg(value_name = "RUN")]
    pub run: String,
    /// How: `collect`, `compare`, `vote`, `merge`, `best`, `patch`, `synthesize`, `command`.
    #[arg(long, value_name = "STRATEGY")]
    pub strategy: Option<String>,
    /// Only these calls; may be repeated. Default: those that no other call consumed.
    #[arg(long, value_name = "CALL", value_delimiter = ',')]
    pub of: Vec<String>,
    /// A key of the step, its value as YAML; may be repeated: `--set on=/verdict`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The step's keys from a YAML file; `--set` wins.
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The model that is asked where the step asks one (`synthesize`, `on_conflict: decide`), instead of
    /// the plan's `parent`.
    #[arg(long, value_name = "MODEL")]
    pub parent: Option<String>,
    /// Say what would be asked of whom, and ask nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How to print the result on standard output.
    #[arg(long, short, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,
}

/// `fanout compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// The run, by its name or the start of it; `last` for the newest.
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Calls of it that are compared with each other, or one other run.
    #[arg(value_name = "CALL|RUN")]
    pub with: Vec<String>,
    /// How to print the result on standard output.
    #[arg(long, short, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,
}

/// `fanout show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The run, by its name or the start of it; the newest if left out.
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Only this call (`review`, `review[2]`).
    #[arg(value_name = "CALL")]
    pub call: Option<String>,
    /// Only the call's output, byte for byte.
    #[arg(long, requires = "call")]
    pub raw: bool,
    /// Only what the call changed in its own workspace, as a patch.
    #[arg(long, requires = "call", conflicts_with = "raw")]
    pub diff: bool,
    /// How to print it.
    #[arg(long, short, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,
    /// Print the run's events as one JSON object a line.
    #[arg(long, conflicts_with_all = ["output", "call"])]
    pub json: bool,
}

/// `fanout report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The run, by its name or the start of it; the newest if left out.
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// What to write.
    #[arg(long, short, value_enum, default_value_t = Format::Html, value_name = "FORMAT")]
    pub format: Format,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Open it, in the browser for a page; written beside the run's journal unless `-o` says where.
    #[arg(long)]
    pub open: bool,
}

/// What a report looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One self-contained page.
    Html,
    /// JUnit XML.
    Junit,
    /// SARIF 2.1.0: merged findings, else conflicts.
    Sarif,
    /// A code quality report for GitLab: merged findings, else conflicts.
    #[value(name = "codequality")]
    CodeQuality,
    /// Markdown.
    Markdown,
    /// Markdown short enough for a comment on a pull request.
    Comment,
    /// One JSON document; docs/result.md describes it.
    Json,
}

impl Format {
    /// The format that a key of `report:` in a plan means.
    pub fn of(key: &str) -> Option<Format> {
        Some(match key {
            "html" => Format::Html,
            "junit" => Format::Junit,
            "sarif" => Format::Sarif,
            "markdown" => Format::Markdown,
            "json" => Format::Json,
            _ => return None,
        })
    }

    /// What such a file is called where nobody says.
    pub fn file(self) -> &'static str {
        match self {
            Format::Html => "report.html",
            Format::Junit => "junit.xml",
            Format::Sarif => "report.sarif",
            Format::CodeQuality => "codequality.json",
            Format::Markdown | Format::Comment => "report.md",
            Format::Json => "report.json",
        }
    }
}

/// `fanout list`.
#[derive(Debug, Args)]
pub struct List {
    /// As one JSON array.
    #[arg(long)]
    pub json: bool,
}

/// `fanout logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The run, by its name or the start of it; the newest if left out.
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Only this call (`review`, `review[2]`), with what it wrote.
    #[arg(value_name = "CALL")]
    pub call: Option<String>,
    /// Go on until the run has ended.
    #[arg(long, short)]
    pub follow: bool,
}

/// `fanout attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// The run, by its name or the start of it; the newest if left out.
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// How to print the result on standard output in the end.
    #[arg(long, short, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,
}

/// `fanout serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The run, by its name or the start of it; the newest if left out.
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// The port to listen on; one that is free if left out.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

/// `fanout wait`.
#[derive(Debug, Args)]
pub struct Wait {
    /// The run, by its name or the start of it; the newest if left out.
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Say nothing of how it ended.
    #[arg(long, short)]
    pub quiet: bool,
}

/// `fanout stop`.
#[derive(Debug, Args)]
pub struct Stop {
    /// The run, by its name or the start of it; the newest if left out.
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
}

/// `fanout rm`.
#[derive(Debug, Args)]
pub struct Rm {
    /// The runs, each by its name or the start of it.
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<String>,
    /// Also where a workspace holds work that is written down nowhere else.
    #[arg(long)]
    pub force: bool,
}

/// `fanout gc`.
#[derive(Debug, Args)]
pub struct Gc {
    /// Remove what ended longer ago than this (`30d`, `12h`); 30d where neither option is given.
    #[arg(long, value_name = "AGE")]
    pub older_than: Option<String>,
    /// Keep the newest so many.
    #[arg(long, value_name = "N")]
    pub keep: Option<usize>,
    /// Only say what would be removed.
    #[arg(long)]
    pub dry_run: bool,
}

/// `fanout cache`.
#[derive(Debug, Args)]
pub struct CacheArgs {
    /// What to do; lists them when left out.
    #[command(subcommand)]
    pub action: Option<CacheAction>,
    /// As one JSON array.
    #[arg(long)]
    pub json: bool,
}

/// What to do with the cache.
#[derive(Debug, Subcommand)]
pub enum CacheAction {
    /// Remove results: all, or those named.
    Clear {
        /// A call's name, or the first digits of a key (six or more).
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Only what was kept longer ago than this: `30d`, `12h`.
        #[arg(long, value_name = "AGE")]
        older_than: Option<String>,
    },
}

/// `fanout completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// For which shell.
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}
