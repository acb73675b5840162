//! What a plan can cost before it starts: requests, tokens and money as a range.
//!
//! Invariant: the upper end is what the plan's own bounds allow (`max_tokens`, `pass`, `retries`,
//! budgets), or it says that there is none; what items and vars add to a prompt is not counted.
//! A price that is not known is named, never taken for nothing.

use crate::graph::{CallGraph, Range, instances};
use crate::limits::price;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::{Action, AgentKind, Budget, Call, ModelAgent, Plan, code};
use crate::unit::{Tokens, Usd};

/// What a plan can come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Estimate {
    /// Requests to models, tries after passing faults included.
    pub(super) requests: Range,
    /// Tokens, in and out together.
    pub(super) tokens: Range,
    /// Millionths of a dollar, as far as prices are known.
    pub(super) cost: Range,
    /// Models whose price is not known, and programs.
    pub(super) unpriced: Vec<String>,
}

impl Estimate {
    fn nothing() -> Estimate {
        let none = Range::exactly(0);
        Estimate { requests: none, tokens: none, cost: none, unpriced: Vec::new() }
    }

    fn plus(mut self, other: Estimate) -> Estimate {
        for name in other.unpriced {
            if !self.unpriced.contains(&name) {
                self.unpriced.push(name);
            }
        }
        Estimate {
            requests: self.requests.plus(other.requests),
            tokens: self.tokens.plus(other.tokens),
            cost: self.cost.plus(other.cost),
            unpriced: self.unpriced,
        }
    }

    fn times(self, by: Range) -> Estimate {
        Estimate {
            requests: self.requests.times(by),
            tokens: self.tokens.times(by),
            cost: self.cost.times(by),
            unpriced: self.unpriced,
        }
    }

    /// Within what may be spent.
    fn under(self, budget: Budget) -> Estimate {
        let most = |range: Range, limit: Option<u64>| match limit {
            Some(limit) => Range {
                least: range.least.min(limit),
                most: Some(range.most.map_or(limit, |most| most.min(limit))),
            },
            None => range,
        };
        Estimate {
            tokens: most(self.tokens, budget.tokens.map(|tokens| tokens.0)),
            cost: most(self.cost, budget.cost.map(|cost| cost.0)),
            ..self
        }
    }

    /// The range of tokens, for people.
    pub(super) fn shown_tokens(&self) -> String {
        between(self.tokens, |n| Tokens(n).to_string())
    }

    /// The range of money, for people.
    pub(super) fn shown_cost(&self) -> String {
        match self.unpriced.as_slice() {
            [] => between(self.cost, |n| Usd(n).to_string()),
            unknown => format!("not known: no price for {}", unknown.join(", ")),
        }
    }
}

fn between(range: Range, show: impl Fn(u64) -> String) -> String {
    match range.most {
        Some(most) if most == range.least => show(most),
        Some(most) => format!("{} to {}", show(range.least), show(most)),
        None => format!("{} or more", show(range.least)),
    }
}

/// What a plan can come to, the plans that it runs included.
pub(super) fn of(plan: &Plan, graph: &CallGraph) -> Estimate {
    let calls = plan.calls.iter().enumerate().map(|(at, call)| of_call(plan, graph, at, call));
    calls.fold(Estimate::nothing(), Estimate::plus).under(plan.limits.budget)
}

fn of_call(plan: &Plan, graph: &CallGraph, at: usize, call: &Call) -> Estimate {
    let each = match &call.action {
        Action::Prompt { prompt, agent } => match &agent.kind {
            AgentKind::Model(model) => of_prompt(plan, graph, at, prompt.source.len(), model),
            AgentKind::Command(command) => Estimate {
                requests: Range { least: 0, most: None },
                tokens: Range { least: 0, most: None },
                cost: Range { least: 0, most: None },
                unpriced: command.argv.first().cloned().into_iter().collect(),
            },
        },
        Action::Plan { plan, .. } => of(plan, &CallGraph::of(plan)),
        Action::Run(_)
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => {
            return Estimate::nothing();
        }
    };
    let rounds = u64::from(call.attempts.max(1))
        .saturating_mul(call.repeat.as_ref().map_or(1, |repeat| u64::from(repeat.max.max(1))));
    let tries = match call.action {
        Action::Prompt { .. } => rounds.saturating_mul(u64::from(call.retries) + 1),
        Action::Run(_)
        | Action::Plan { .. }
        | Action::Reconcile(_)
        | Action::Value(_)
        | Action::Ask { .. }
        | Action::Stop { .. } => rounds,
    };
    each.times(instances(call)).times(Range { least: 1, most: Some(tries) }).under(call.budget)
}

/// One conversation.
fn of_prompt(plan: &Plan, graph: &CallGraph, at: usize, prompt: usize, model: &ModelAgent) -> Estimate {
    if model.models.is_empty() {
        return Estimate::nothing();
    }
    let own = prompt + model.system.as_ref().map_or(0, |system| system.source.len());
    // A byte is a token at most; four are one as a rule.
    let least = Tokens(own as u64 / 4);
    let inserted = graph.needs(at).filter(|link| link.data).filter_map(|link| plan.calls.get(link.call));
    let mut inserted = inserted
        .map(|need| instances(need).times(Range { least: 0, most: Some(need.pass.max_tokens.0) }).most);
    let inserted = inserted.try_fold(0_u64, |sum, most| Some(sum.saturating_add(most?)));
    // What tools bring back is not known before.
    let alone = model.tools.is_empty();
    let input = inserted.filter(|_| alone).map(|inserted| inserted.saturating_add(own as u64 + 64));
    let requests = Range { least: 1, most: Some(if alone { 1 } else { u64::from(model.max_turns.max(1)) }) };
    let tokens = Range { least: least.0 + 1, most: input.map(|input| input + model.max_tokens.0) };
    let mut unpriced = Vec::new();
    let mut money = Range { least: u64::MAX, most: Some(0) };
    for name in &model.models {
        let cost =
            |input, output| price::most(plan.providers.get(&name.provider)?, &name.model, input, output);
        match cost(least, Tokens(1)) {
            Some(Usd(least)) => {
                let most = input.and_then(|input| cost(Tokens(input), model.max_tokens)).map(|cost| cost.0);
                money = Range {
                    least: money.least.min(least),
                    most: money.most.zip(most).map(|(a, b)| a.max(b)),
                };
            }
            None => unpriced.push(name.to_string()),
        }
    }
    let cost = if unpriced.len() == model.models.len() { Range { least: 0, most: None } } else { money };
    Estimate { requests, tokens, cost, unpriced }
}

/// The models that a limit in money cannot bound, since nobody knows their price: an error each,
/// unless there is a limit in tokens as well.
pub(super) fn unpriced(plan: &Plan) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    within(plan, plan, Budget::default(), &mut found);
    found
}

/// `root` is the plan that the findings are shown in: another one's places are not its own.
fn within(root: &Plan, plan: &Plan, outer: Budget, found: &mut Vec<Diagnostic>) {
    let bounds = |inner: Budget, outer: Budget| Budget {
        tokens: inner.tokens.or(outer.tokens),
        cost: inner.cost.or(outer.cost),
    };
    let here = bounds(plan.limits.budget, outer);
    for call in &plan.calls {
        let budget = bounds(call.budget, here);
        if let Action::Plan { plan: inner, .. } = &call.action {
            within(root, inner, budget, found);
        }
        let Action::Prompt { agent, .. } = &call.action else { continue };
        let AgentKind::Model(model) = &agent.kind else { continue };
        if budget.cost.is_none() || budget.tokens.is_some() {
            continue;
        }
        let one = Tokens(1);
        let unknown = model.models.iter().find(|name| {
            let provider = plan.providers.get(&name.provider);
            provider.is_none_or(|provider| price::most(provider, &name.model, one, one).is_none())
        });
        if let Some(name) = unknown {
            let message =
                format!("`{}` has a limit in money, and nobody knows the price of `{name}`", call.id);
            let help = format!(
                "say what it costs, in dollars for a million tokens (`providers: {{ {}: {{ prices: {{ \"{}\": \
                 {{ input: 3, output: 15 }} }} }} }}`), or bound `tokens`, too",
                name.provider, name.model
            );
            let at = root.places.keys.get("limits.cost").copied().unwrap_or(call.at);
            found.push(Diagnostic::error(code::IMPOSSIBLE, at, message).label("cannot be kept").help(help));
        }
    }
}

#[cfg(test)]
mod tests;
