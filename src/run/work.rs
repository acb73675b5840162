//! One instance's work with every template rendered: what is asked, of whom, where.
//!
//! Invariant: everything that can change the result is in here and in the key made
//! from it; nothing of position or time is.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::cached::inputs;
use super::key;
use super::level::{Level, Local};
use crate::id::ContentKey;
use crate::outcome::Cause;
use crate::plan::template::{Destination, RenderError, Rendered, Scope};
use crate::plan::workspace::Isolation;
use crate::plan::{
    Action, Agent, AgentKind, Cache, Call, Command, CommandAgent, Computed, ModelAgent, Plan, Sandbox,
};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Work {
    Prompt { prompt: String, system: Option<String>, agent: Arc<Agent> },
    Run(Program),
    Plan { plan: Arc<Plan>, vars: serde_json::Map<String, Value> },
    Value(Value),
    Ask { question: String, default: Option<String> },
    Stop { success: bool, reason: String },
    Reconcile,
}

/// A command, rendered.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) argv: Vec<String>,
    /// How people see it: the shell text as written in the plan, or the words.
    pub(crate) shown: String,
    /// Variables that carry template values into the shell text.
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) stdin: Option<Vec<u8>>,
}

/// Where work happens.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) cwd: PathBuf,
    pub(crate) env: Vec<(String, String)>,
    /// What the system lets it touch.
    pub(crate) sandbox: Sandbox,
    /// The plan's folder.
    pub(crate) dir: PathBuf,
    /// How far it is kept apart.
    pub(crate) isolation: Isolation,
}

/// Rendered work with its place and scope.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) place: Place,
    pub(crate) scope: Scope,
    pub(crate) key: ContentKey,
}

impl Job {
    /// Renders a call for one instance.
    ///
    /// # Errors
    /// A [`Cause`]: code `template` says which value was missing or too long, `cache_inputs` which
    /// file of `cache: {inputs: …}` could not be read.
    pub(crate) fn render(level: &Level, call: &Call, local: &Local) -> Result<Job, Cause> {
        let mut job = Job::try_render(level, call, local).map_err(|error| template_cause(&error))?;
        if let Cache::Inputs(globs) = &call.cache {
            let inputs = inputs(globs, &job.place.cwd)?;
            job.key = ContentKey::of([job.key.as_str().as_bytes(), inputs.as_str().as_bytes()]);
        }
        Ok(job)
    }

    fn try_render(level: &Level, call: &Call, local: &Local) -> Result<Job, RenderError> {
        let scope = level.scope(Some(call), local)?;
        let place = Place {
            cwd: level.cwd(call, &scope)?,
            env: level.env(call, &scope)?,
            sandbox: call.sandbox.clone(),
            dir: level.plan.dir.clone(),
            isolation: call.workspace.isolation,
        };
        let work = match &call.action {
            Action::Prompt { prompt, agent } => Work::Prompt {
                prompt: prompt.render(&scope, Destination::Prompt)?.text,
                system: match &agent.kind {
                    AgentKind::Model(ModelAgent { system: Some(system), .. })
                    | AgentKind::Command(CommandAgent { system: Some(system), .. }) => {
                        Some(system.render(&scope, Destination::Raw)?.text)
                    }
                    AgentKind::Model(_) | AgentKind::Command(_) => None,
                },
                agent: Arc::clone(agent),
            },
            Action::Run(command) => {
                let mut program = program(command, &scope)?;
                if let Some(stdin) = &call.stdin {
                    program.stdin = Some(stdin.render(&scope, Destination::Raw)?.text.into_bytes());
                }
                Work::Run(program)
            }
            Action::Plan { plan, with } => {
                let mut vars = plan.vars.clone();
                for (name, value) in with {
                    vars.insert(name.clone(), compute(value, &scope)?);
                }
                Work::Plan { plan: Arc::clone(plan), vars }
            }
            Action::Value(value) => Work::Value(compute(value, &scope)?),
            Action::Ask { question, default } => Work::Ask {
                question: question.render(&scope, Destination::Raw)?.text,
                default: default.clone(),
            },
            Action::Stop { success, reason } => {
                Work::Stop { success: *success, reason: reason.render(&scope, Destination::Raw)?.text }
            }
            Action::Reconcile(_) => Work::Reconcile,
        };
        let key = key::of(level, call, local, &work, &place);
        // What the work is does not depend on where its own workspace happens to be.
        let own = local.own.as_ref().and_then(|own| own.inside(&place.cwd));
        let place = Place { cwd: own.unwrap_or(place.cwd), ..place };
        Ok(Job { work, place, scope, key })
    }

    /// True for work whose result is taken over from an earlier process instead of being done again.
    pub(crate) fn is_remembered(&self) -> bool {
        matches!(self.work, Work::Prompt { .. } | Work::Run(_) | Work::Ask { .. })
    }

    /// What events show as the input: prompt, command or question.
    pub(crate) fn shown(&self) -> String {
        match &self.work {
            Work::Prompt { prompt, .. } => prompt.clone(),
            Work::Run(program) => program.shown.clone(),
            Work::Plan { plan, .. } => plan.file.display().to_string(),
            Work::Value(value) => value.to_string(),
            Work::Ask { question, .. } => question.clone(),
            Work::Stop { reason, .. } => reason.clone(),
            Work::Reconcile => String::new(),
        }
    }

    /// The task as whoever judges the answer has to know it.
    pub(crate) fn task(&self) -> String {
        match &self.work {
            Work::Prompt { prompt, .. } => prompt.clone(),
            Work::Run(program) => program.shown.clone(),
            Work::Ask { question, .. } => question.clone(),
            Work::Value(_) | Work::Stop { .. } | Work::Reconcile | Work::Plan { .. } => self.shown(),
        }
    }

    /// Who does it, for events.
    pub(crate) fn agent(&self) -> String {
        match &self.work {
            Work::Prompt { agent, .. } => match &agent.kind {
                AgentKind::Model(model) => model.models.first().map(ToString::to_string).unwrap_or_default(),
                AgentKind::Command(command) => command.argv.first().cloned().unwrap_or_default(),
            },
            Work::Run(program) => program.argv.first().cloned().unwrap_or_default(),
            Work::Plan { .. } => "plan".to_owned(),
            Work::Ask { .. } => "person".to_owned(),
            Work::Value(_) | Work::Stop { .. } | Work::Reconcile => "parent".to_owned(),
        }
    }
}

/// True for work that takes a place under `limits.concurrency` and counts against `limits.calls`.
///
/// A sub-plan's calls take their own places; if it held one too, a limit of one would never end.
pub(crate) fn takes_place(action: &Action) -> bool {
    matches!(action, Action::Prompt { .. } | Action::Run(_))
}

/// The outcome's cause when a template fails.
pub(crate) fn template_cause(error: &RenderError) -> Cause {
    Cause::new("template", error.message.clone())
}

/// Renders a command.
///
/// # Errors
/// [`RenderError`] as the templates give it.
pub(crate) fn program(command: &Command, scope: &Scope) -> Result<Program, RenderError> {
    match command {
        Command::Shell(text) => {
            let Rendered { text: script, variables } = text.render(scope, Destination::Shell)?;
            let argv = vec!["sh".to_owned(), "-c".to_owned(), script];
            Ok(Program { argv, shown: text.source.trim_end().to_owned(), variables, stdin: None })
        }
        Command::Argv(words) => {
            let render =
                |word: &crate::plan::template::Template| Ok(word.render(scope, Destination::Raw)?.text);
            let argv: Vec<String> = words.iter().map(render).collect::<Result<_, RenderError>>()?;
            Ok(Program { shown: argv.join(" "), argv, variables: Vec::new(), stdin: None })
        }
    }
}

/// Computes a value.
///
/// # Errors
/// [`RenderError`] as the expressions give it.
pub(crate) fn compute(value: &Computed, scope: &Scope) -> Result<Value, RenderError> {
    Ok(match value {
        Computed::Literal(value) => value.clone(),
        Computed::Expression(expression) => expression.evaluate(scope)?,
        Computed::Map(entries) => {
            let mut map = serde_json::Map::new();
            for (name, value) in entries {
                map.insert(name.clone(), compute(value, scope)?);
            }
            Value::Object(map)
        }
        Computed::List(values) => {
            Value::Array(values.iter().map(|value| compute(value, scope)).collect::<Result<_, _>>()?)
        }
    })
}
