//! Every call: what it was asked, what it answered, how often it was tried. Folded.

use serde_json::Value;

use super::drawn::Drawn;
use super::head::ending;
use super::markup::{Anchor, Attr, Html, class};
use super::{Context, fold, section};
use crate::id::InstanceId;
use crate::outcome::Outcome;
use crate::report::computed;
use crate::report::fold::{CallView, InstanceView, Said, Standing, State};
use crate::report::prose;
use crate::report::sanitise::prefix;
use crate::unit::{Bytes, Usd};

/// Bytes of texts on the whole page, about: what one of them may have depends on how many there are.
const PAGE: usize = 12 * 1024 * 1024;
/// Bytes of one text, whatever the number of calls.
const TEXT: (usize, usize) = (4 * 1024, 256 * 1024);
/// Steps of one conversation.
const STEPS: usize = 200;
/// Calls up to which those that did not succeed stand open.
const FEW: usize = 60;

struct Calls<'a> {
    context: &'a Context<'a>,
    /// Bytes of one text.
    most: usize,
    /// Whether what did not succeed stands open.
    few: bool,
}

/// Writes the section.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let texts = |call: &CallView| call.each().map(|(_, view)| 1 + view.talk.len().min(STEPS)).sum::<usize>();
    let count = context.view.calls.iter().map(|call| texts(call).max(1)).sum::<usize>();
    let instances = context.view.calls.iter().map(|call| call.each().count().max(1)).sum::<usize>();
    let most = (PAGE / count.max(1)).clamp(TEXT.0, TEXT.1);
    let calls = Calls { context, most, few: instances <= FEW };
    section(html, "calls", "Calls", |html| {
        html.literal(
            "<form id=\"tools\" hidden><label>Find <input type=\"search\" id=\"find\" autocomplete=\"off\"></label> \
             <label>Outcome <select id=\"status\"><option value=\"\">all</option><option value=\"not\">not ok</option>\
             <option>ok</option><option>ok but empty</option><option>failed</option><option>timed out</option>\
             <option>blocked</option><option>refused</option><option>invalid output</option>\
             <option>over budget</option><option>skipped</option><option>cancelled</option>\
             <option>did not end</option><option>still at work</option></select></label> \
             <button type=\"button\" id=\"open\">Open all</button> <button type=\"button\" id=\"close\">Close all</button> \
             <output id=\"count\"></output></form>",
        );
        for (at, call) in context.view.calls.iter().enumerate() {
            calls.call(html, at, call);
        }
    });
}

impl Calls<'_> {
    fn call(&self, html: &mut Html, at: usize, call: &CallView) {
        if call.is_expanded() {
            return self.expanded(html, at, call);
        }
        match call.whole.as_ref().filter(|view| view.state != State::Waiting) {
            Some(view) => self.one(html, Anchor::Call(at), &InstanceId::only(call.id().clone()), call, view),
            None => self.untouched(html, at, call),
        }
    }

    fn untouched(&self, html: &mut Html, at: usize, call: &CallView) {
        let find = format!("{} {}", call.id(), call.planned.description).to_lowercase();
        let word = self.context.view.untouched_word();
        let attrs = [class("call"), Attr::Text("data-find", &find), Attr::Fixed("data-status", word)];
        html.tag("div", &attrs, |html| {
            html.tag("p", &[Attr::Here(Anchor::Call(at)), class("summary dim")], |html| {
                html.text("· ");
                html.leaf("b", "", call.id().as_str());
                html.text(" ");
                html.text(word);
            });
        });
    }

    fn expanded(&self, html: &mut Html, at: usize, call: &CallView) {
        html.tag("details", &[class("group"), Attr::Flag("open")], |html| {
            html.tag("summary", &[], |html| {
                html.leaf("b", "", call.id().as_str());
                html.text(" ");
                describe(html, call);
                let tone = match call.standing() {
                    Standing::Good => "good",
                    Standing::Open => "warn",
                    Standing::Mixed | Standing::Bad => "bad",
                };
                html.leaf("span", tone, &format!(" {}", call.stands()));
            });
            html.tag("div", &[Attr::Here(Anchor::Call(at)), class("target")], |html| {
                let whole = call.whole.as_ref().and_then(|whole| whole.outcome.as_ref());
                if let Some(cause) = whole.and_then(|outcome| outcome.cause.as_ref()) {
                    html.leaf("p", "bad", &cause.message);
                }
            });
            for (id, view) in call.each() {
                let anchor = id.index.map_or(Anchor::Call(at), |index| Anchor::Instance(at, index));
                self.one(html, anchor, &id, call, view);
            }
        });
    }

    fn one(&self, html: &mut Html, anchor: Anchor, id: &InstanceId, call: &CallView, view: &InstanceView) {
        let outcome = view.outcome.as_ref();
        let (mark, tone, word) = ending(self.context.view, outcome);
        let agent = outcome.and_then(|outcome| outcome.agent.as_deref()).or(view.agent.as_deref());
        let label = call.label(id.index);
        let find = format!(
            "{id} {} {} {}",
            call.planned.description,
            label.unwrap_or_default(),
            agent.unwrap_or_default()
        );
        let find = find.to_lowercase();
        let mut attrs = vec![class("call"), Attr::Text("data-find", &find), Attr::Fixed("data-status", word)];
        if self.few && outcome.is_some_and(|outcome| !outcome.is_ok()) {
            attrs.push(Attr::Flag("open"));
        }
        html.tag("details", &attrs, |html| {
            html.tag("summary", &[], |html| {
                html.leaf("b", tone, mark);
                html.text(" ");
                html.leaf("b", "", &id.to_string());
                html.text(" ");
                match label {
                    Some(label) => html.short(label, 120),
                    None => describe(html, call),
                }
                html.leaf("span", tone, &format!(" {word}"));
                html.tag("span", &[class("dim")], |html| html.text(&facts(agent, outcome, call)));
            });
            html.tag("div", &[Attr::Here(anchor), class("body target")], |html| {
                self.body(html, id, call, view)
            });
        });
    }

    fn body(&self, html: &mut Html, id: &InstanceId, call: &CallView, view: &InstanceView) {
        self.needs(html, call);
        let outcome = view.outcome.as_ref();
        if let Some(cause) = outcome.and_then(|outcome| outcome.cause.as_ref()) {
            html.tag("p", &[], |html| {
                html.text(&cause.message);
                html.leaf("code", "dim", &format!(" {}", cause.code));
            });
        }
        attempts(html, view);
        if !view.input.trim().is_empty() {
            let title = match call.planned.kind.as_str() {
                "run" => "Command",
                "ask" => "Question",
                "prompt" => "Prompt",
                _ => "Input",
            };
            fold(html, title, false, |html| self.pre(html, id, &view.input));
        }
        self.conversation(html, id, view);
        let Some(outcome) = outcome else { return };
        let step = outcome.output.json.as_deref().filter(|_| call.planned.kind == "reconcile");
        if let Some((result, shown)) = step.and_then(|result| Some((result, computed::of(result)?))) {
            let strategy = result.get("strategy").and_then(Value::as_str).unwrap_or_default();
            Drawn { context: self.context, heading: "h4" }.shown(html, strategy, &shown);
        } else if !outcome.output.is_empty() {
            let title = if outcome.is_ok() { "Output" } else { "What it had produced until then" };
            let text = &outcome.output.text;
            let written =
                call.planned.is_prompt() && outcome.output.json.is_none() && text.len() <= self.most;
            let written = written.then(|| prose::read(text)).flatten().filter(|text| !prose::is_plain(text));
            fold(html, title, true, |html| match written {
                Some(blocks) => super::prose::write(html, &blocks),
                None => self.pre(html, id, text),
            });
        }
        if outcome.output.omitted_bytes > 0 {
            let size = Bytes(outcome.output.omitted_bytes);
            html.leaf("p", "warn", &format!("{size} of it were left out because of `output.max_bytes`"));
        }
        if !outcome.stderr.trim().is_empty() {
            fold(html, "Standard error", !outcome.is_ok(), |html| self.pre(html, id, &outcome.stderr));
        }
        usage(html, outcome);
    }

    /// What a model and its tools said and did, step by step.
    fn conversation(&self, html: &mut Html, id: &InstanceId, view: &InstanceView) {
        if view.talk.is_empty() {
            return;
        }
        fold(html, &format!("Conversation, {} steps", view.talk.len()), false, |html| {
            for step in view.talk.iter().take(STEPS) {
                html.tag("details", &[class("step")], |html| {
                    html.tag("summary", &[], |html| {
                        html.leaf("span", "dim", &format!("{} ", super::time(step.at)));
                        let failed = matches!(step.said, Said::Tool { is_error: true, .. });
                        html.leaf("b", if failed { "bad" } else { "" }, &step.who);
                        html.text(" ");
                        html.short(&step.line(), 140);
                    });
                    match &step.said {
                        Said::Model { text, .. } | Said::Job { text, .. } => self.pre(html, id, text),
                        Said::Tool { input, text, .. } => {
                            self.pre(html, id, &format!("{input:#}"));
                            self.pre(html, id, text.as_deref().unwrap_or("no end on record"));
                        }
                    }
                });
            }
            if view.talk.len() > STEPS {
                let (more, run) = (view.talk.len() - STEPS, self.context.run);
                html.leaf("p", "warn", &format!("{more} more steps: fanout show {run} '{id}'"));
            }
        });
    }

    fn needs(&self, html: &mut Html, call: &CallView) {
        if call.planned.needs.is_empty() {
            return;
        }
        html.tag("p", &[class("dim")], |html| {
            html.text("needs ");
            for (n, need) in call.planned.needs.iter().enumerate() {
                html.text(if n > 0 { ", " } else { "" });
                self.context.names.write(html, need.as_str());
            }
        });
    }

    /// A text, its middle left out when it is long.
    fn pre(&self, html: &mut Html, id: &InstanceId, text: &str) {
        html.tag("pre", &[Attr::Fixed("tabindex", "0")], |html| {
            if text.len() <= self.most {
                return html.text(text.trim_end());
            }
            let head = prefix(text, self.most / 4 * 3);
            let mut from = text.len() - self.most / 4;
            while !text.is_char_boundary(from) {
                from += 1;
            }
            html.text(head);
            let left = Bytes((from - head.len()) as u64);
            html.tag("b", &[class("warn")], |html| {
                html.text(&format!(
                    "\n\n… {left} left out; all of it: fanout show {} '{id}' --raw …\n\n",
                    self.context.run
                ));
            });
            html.text(text.get(from..).unwrap_or_default().trim_end());
        });
    }
}

fn describe(html: &mut Html, call: &CallView) {
    if call.planned.description != call.id().as_str() {
        html.short(&call.planned.description, 120);
    }
}

fn facts(agent: Option<&str>, outcome: Option<&Outcome>, call: &CallView) -> String {
    let mut facts = Vec::new();
    facts.extend(agent.map(str::to_owned));
    if let Some(outcome) = outcome {
        if !outcome.took.is_zero() {
            facts.push(super::time(outcome.took));
        }
        let tokens = outcome.usage.input + outcome.usage.output;
        if !tokens.is_zero() {
            facts.push(format!("{tokens} tokens"));
        }
        if let Some(cost) = outcome.usage.cost.filter(|cost| *cost > Usd(0)) {
            facts.push(cost.to_string());
        }
        if outcome.attempts > 1 {
            facts.push(format!("{} attempts", outcome.attempts));
        }
        if outcome.reused {
            let from = |run| format!("cached, from {run}");
            facts.push(outcome.cached_from.as_ref().map_or_else(|| "reused".to_owned(), from));
        }
    }
    if call.planned.background {
        facts.push("background".to_owned());
    }
    facts.iter().map(|fact| format!(" · {fact}")).collect()
}

fn attempts(html: &mut Html, view: &InstanceView) {
    let earlier: Vec<_> = view.attempts.iter().filter(|attempt| attempt.retry_in.is_some()).collect();
    if earlier.is_empty() {
        return;
    }
    html.tag("ul", &[class("attempts")], |html| {
        for attempt in earlier {
            html.tag("li", &[], |html| {
                let wait = attempt.retry_in.unwrap_or_default();
                html.text(&format!(
                    "attempt {} failed at {}, the next came {} later: {}",
                    attempt.number,
                    super::time(attempt.at),
                    super::time(wait),
                    attempt.cause.message
                ));
            });
        }
    });
}

fn usage(html: &mut Html, outcome: &Outcome) {
    let usage = &outcome.usage;
    let mut facts = Vec::new();
    if usage.requests > 0 {
        let noun = if usage.requests == 1 { "request" } else { "requests" };
        facts.push(format!(
            "{} {noun}, {} tokens in ({} cached), {} out ({} reasoning)",
            usage.requests, usage.input, usage.cached, usage.output, usage.reasoning
        ));
    }
    if let Some(exit) = outcome.exit {
        facts.push(format!("exit status {exit}"));
    }
    if !facts.is_empty() {
        html.leaf("p", "dim", &facts.join(" · "));
    }
}
