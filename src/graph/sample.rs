//! Plans made by hand, for tests.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::id::CallId;
use crate::plan::diagnostic::Span;
use crate::plan::template::{
    self, CallShape, Destination, Expression, Known, Names, ScalarText, Style, Template,
};
use crate::plan::workspace::Workspace;
use crate::plan::{
    Accept, Action, Agent, AgentKind, Api, AtEnd, Budget, Call, Command, CommandAgent, CommandInput,
    CommandOutput, CommandPattern, DeclaredRate, Format, Join, Limits, ModelAgent, ModelName, Need, OnError,
    OnInterrupt, OutputSpec, Overflow, Pass, Places, Plan, Provider, Reconcile, Require, RetryOn, Sandbox,
    Strategy, ToolGrant,
};
use crate::unit::{Bytes, Tokens};

/// A plan in the making. Prompts and commands that mention `calls.<id>` need that call.
pub(crate) struct Sample {
    plan: Plan,
}

impl Sample {
    /// No calls yet; one agent `explore` with the default tools, which prompts use.
    pub(crate) fn new() -> Sample {
        let explore = Arc::new(model_agent("explore", &["read", "grep", "glob", "list"]));
        let anthropic = Provider {
            name: "anthropic".to_owned(),
            api: Api::Anthropic,
            base_url: "https://api.anthropic.com/v1".to_owned(),
            api_key_env: Some("ANTHROPIC_API_KEY".to_owned()),
            rate: DeclaredRate::default(),
            headers: Vec::new(),
            prices: Vec::new(),
        };
        Sample {
            plan: Plan {
                name: "sample".to_owned(),
                description: None,
                goal: None,
                file: "sample.yaml".into(),
                dir: "/".into(),
                vars: serde_json::Map::new(),
                given_vars: serde_json::Map::new(),
                providers: IndexMap::from([("anthropic".to_owned(), anthropic)]),
                agents: IndexMap::from([("explore".to_owned(), explore)]),
                mcp: IndexMap::new(),
                parent: None,
                limits: Limits {
                    concurrency: 8,
                    calls: 1000,
                    time: None,
                    depth: 2,
                    budget: Budget::default(),
                    background: AtEnd::Wait,
                },
                calls: Vec::new(),
                reconcile: Reconcile {
                    at: span(9000),
                    of: Vec::new(),
                    strategy: strategy("collect"),
                    min: None,
                },
                require: Require::All,
                fail_on: None,
                report: IndexMap::new(),
                notify: Default::default(),
                places: Places::default(),
            },
        }
    }

    /// A prompt for `explore`, or the plan's first agent where there is none of that name.
    pub(crate) fn prompt(self, id: &str, text: &str) -> Sample {
        let agents = &self.plan.agents;
        let agent = agents.get("explore").or(agents.values().next()).cloned();
        let agent = agent.unwrap_or_else(|| Arc::new(model_agent("(inline)", &["read"])));
        let at = span(self.plan.calls.len() as u32 * 10 + 5);
        let prompt = template_in(text, &self.known(), at);
        self.call(id, Action::Prompt { prompt, agent }, text)
    }

    /// A shell command.
    pub(crate) fn run(self, id: &str, text: &str) -> Sample {
        let command = template_in(text, &self.known(), span(1));
        self.call(id, Action::Run(Command::Shell(command)), text)
    }

    /// A plan inside the plan.
    pub(crate) fn plan(self, id: &str, plan: Arc<Plan>) -> Sample {
        self.call(id, Action::Plan { plan, with: Vec::new() }, "")
    }

    /// An end before the end.
    pub(crate) fn stop(self, id: &str) -> Sample {
        self.call(id, Action::Stop { success: true, reason: template("done") }, "")
    }

    /// A parent step in the middle of the plan.
    pub(crate) fn reconcile(self, id: &str, of: &[&str], strategy: Strategy) -> Sample {
        let of: Vec<usize> = of.iter().map(|id| self.find(id)).collect();
        let step = Reconcile { at: span(8000), of, strategy, min: None };
        self.call(id, Action::Reconcile(Box::new(step)), "")
    }

    /// A need without data.
    pub(crate) fn needs(mut self, id: &str, need: &str) -> Sample {
        let (call, need) = (self.find(id), self.find(need));
        let at = span(call as u32 * 10 + 7);
        self.plan.calls[call].needs.push(Need { call: need, accept: Accept::Success, at, data: false });
        self
    }

    /// Hands an agent to the plan, under its own name.
    pub(crate) fn agent(mut self, agent: Agent) -> Sample {
        self.plan.agents.insert(agent.name.clone(), Arc::new(agent));
        self
    }

    /// Lets a named agent answer a prompt.
    pub(crate) fn by(self, id: &str, name: &str) -> Sample {
        let with = self.plan.agents.get(name).cloned().expect("the agent is in the sample");
        self.edit(id, |call| {
            let Action::Prompt { agent, .. } = &mut call.action else { panic!("`{}` has no agent", call.id) };
            *agent = with;
        })
    }

    /// Starts a call in the background.
    pub(crate) fn background(self, id: &str) -> Sample {
        self.edit(id, |call| call.background = true)
    }

    /// Changes a call.
    pub(crate) fn edit(mut self, id: &str, change: impl FnOnce(&mut Call)) -> Sample {
        let call = self.find(id);
        change(&mut self.plan.calls[call]);
        self
    }

    /// Changes the plan.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Plan)) -> Sample {
        change(&mut self.plan);
        self
    }

    /// The plan; its last step reads what nothing else consumes unless a test said otherwise.
    pub(crate) fn build(mut self) -> Plan {
        if self.plan.reconcile.of.is_empty() {
            let consumed = |call: usize| {
                self.plan
                    .calls
                    .iter()
                    .flat_map(|other| &other.needs)
                    .any(|need| need.data && need.call == call)
            };
            self.plan.reconcile.of = (0..self.plan.calls.len()).filter(|&call| !consumed(call)).collect();
        }
        self.plan
    }

    fn known(&self) -> Known {
        let mut known = Known::new();
        self.plan.vars.keys().for_each(|name| known.add_var(name));
        for call in &self.plan.calls {
            let shape = if call.expand.is_some() { CallShape::Expanded } else { CallShape::Single };
            known.add_call(call.id.as_str(), shape);
        }
        known
    }

    fn find(&self, id: &str) -> usize {
        self.plan.position(id).unwrap_or_else(|| panic!("no call `{id}` in the sample"))
    }

    fn call(mut self, id: &str, action: Action, text: &str) -> Sample {
        let at = span(self.plan.calls.len() as u32 * 10);
        let idle_timeout = matches!(action, Action::Prompt { .. }).then(|| Duration::from_secs(300));
        let mentions = |call: &Call| {
            text.split(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c)).any(|word| {
                word.strip_prefix("calls.").and_then(|rest| rest.split('.').next()) == Some(call.id.as_str())
            })
        };
        let needs = (self.plan.calls.iter().enumerate().filter(|(_, call)| mentions(call)))
            .map(|(call, _)| Need { call, accept: Accept::Success, at, data: true })
            .collect();
        self.plan.calls.push(Call {
            id: CallId::parse(id).expect("a valid id"),
            at,
            description: id.to_owned(),
            action,
            needs,
            needs_at_least: None,
            when: None,
            expand: None,
            item_name: "item".to_owned(),
            join: Join::All,
            concurrency: None,
            background: false,
            cwd: None,
            sandbox: Sandbox::off(),
            env: Vec::new(),
            stdin: None,
            timeout: Duration::from_secs(600),
            idle_timeout,
            retries: 3,
            retry_on: RetryOn::default(),
            on_interrupt: OnInterrupt::Retry,
            on_error: OnError::Continue,
            output: OutputSpec { format: Format::Text, schema: None, max_bytes: Bytes(1 << 20), file: None },
            workspace: Workspace::default(),
            check: None,
            attempts: 1,
            repeat: None,
            session: None,
            cache: crate::plan::Cache::Off,
            budget: Budget::default(),
            pass: Pass {
                fields: Vec::new(),
                max_tokens: Tokens(16_000),
                as_file: false,
                overflow: Overflow::Truncate,
            },
            tags: Vec::new(),
        });
        self
    }
}

/// An agent of `anthropic/claude-sonnet-5` with the given tools.
pub(crate) fn model_agent(name: &str, tools: &[&str]) -> Agent {
    Agent {
        name: name.to_owned(),
        description: None,
        at: span(7000),
        kind: AgentKind::Model(ModelAgent {
            models: vec![ModelName { provider: "anthropic".to_owned(), model: "claude-sonnet-5".to_owned() }],
            system: None,
            tools: tools.iter().map(|tool| grant(tool)).collect(),
            max_turns: 30,
            max_tokens: Tokens(8_000),
            temperature: None,
            effort: None,
        }),
    }
}

/// `read`, `bash`, `bash(git log *)`, `mcp(files)`.
fn grant(text: &str) -> ToolGrant {
    let (name, inside) = match text.trim_end_matches(')').split_once('(') {
        Some((name, inside)) => (name, Some(inside)),
        None => (text, None),
    };
    let plain = [
        ToolGrant::Read,
        ToolGrant::Write,
        ToolGrant::Edit,
        ToolGrant::Grep,
        ToolGrant::Glob,
        ToolGrant::List,
        ToolGrant::BackgroundRun,
        ToolGrant::Agent,
    ];
    match name {
        "bash" => ToolGrant::Bash(inside.map(|pattern| CommandPattern::parse(pattern).unwrap())),
        "mcp" => ToolGrant::Mcp { server: inside.unwrap().to_owned(), tool: None },
        name => plain.into_iter().find(|grant| grant.to_string() == name).unwrap(),
    }
}

/// An agent that is a program.
pub(crate) fn command_agent(name: &str, argv: &[&str]) -> Agent {
    Agent {
        name: name.to_owned(),
        description: None,
        at: span(7100),
        kind: AgentKind::Command(CommandAgent::new(
            argv.iter().map(|&word| word.to_owned()).collect(),
            CommandInput::Stdin,
            CommandOutput::Text,
        )),
    }
}

/// A strategy without settings.
pub(crate) fn strategy(name: &str) -> Strategy {
    Strategy { name: name.to_owned(), settings: serde_json::Map::new(), command: None, prompt: None }
}

/// A template that knows no calls.
pub(crate) fn template(text: &str) -> Template {
    template_in(text, &Known::new(), span(1))
}

/// An expression that knows no calls.
pub(crate) fn expression(text: &str) -> Expression {
    template::expression(&scalar(text, span(2)), &Names::call(&Known::new()), &mut Vec::new())
}

fn template_in(text: &str, known: &Known, at: Span) -> Template {
    template::template(&scalar(text, at), &Names::call(known), Destination::Prompt, &mut Vec::new())
}

fn scalar(text: &str, at: Span) -> ScalarText<'_> {
    ScalarText { text, at, raw: text, style: Style::Plain }
}

/// A place in the plan's own file.
pub(crate) fn span(start: u32) -> Span {
    Span { file: 0, start, end: start + 1 }
}
