//! `fanout doctor`: what is usable here, and what to do about the rest.
//!
//! Invariants: it changes nothing, sends no request that costs anything, and shows names of
//! variables, never their values; with a plan it speaks of what that plan needs and nothing else.

mod look;
mod needs;

use serde_json::{Value, json};

use super::args::{Doctor, PlanArgs};
use super::load::{self, Loading};
use super::terminal::Terminal;
use super::{Complaint, exit};
use crate::plan::{Given, Plan};
use crate::report::sanitise;
use crate::report::style::{Style, Tone};
use needs::Needs;

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Program,
    Key,
    Provider,
    Sandbox,
    Git,
    State,
    Limit,
    Terminal,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Program => "program",
            Kind::Key => "key",
            Kind::Provider => "provider",
            Kind::Sandbox => "sandbox",
            Kind::Git => "git",
            Kind::State => "state",
            Kind::Limit => "limit",
            Kind::Terminal => "terminal",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Kind::Program => "Programs",
            Kind::Key => "Keys",
            Kind::Provider => "Providers",
            Kind::Sandbox | Kind::Git | Kind::State | Kind::Limit | Kind::Terminal => "This machine",
        }
    }
}

/// What came of looking at one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    kind: Kind,
    name: String,
    /// Whether it can be used.
    usable: bool,
    /// Whether something does not work without it.
    needed: bool,
    /// What was seen: a version and a path, an address, a reason.
    detail: String,
    /// What to do where it cannot be used.
    help: String,
}

/// `fanout doctor`.
///
/// # Errors
/// [`Complaint`] when the plan is wrong or nothing can be written to standard output.
pub fn doctor(options: &Doctor, terminal: &Terminal) -> Result<u8, Complaint> {
    let plan = plan(options, terminal)?;
    let needs = match &options.plan {
        Some(_) => Needs::of(&plan),
        None => Needs::anything(&plan),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Complaint { code: exit::BUG, message: format!("cannot start: {error}") })?;
    let mut findings = runtime.block_on(look::look(&needs, terminal));
    if options.plan.is_some() {
        findings.extend(look::files(&plan));
    }
    let lacking = lacking(&findings, options.plan.is_some());
    let text = if options.json {
        format!("{}\n", sanitise::json(&format!("{:#}", as_json(&findings, lacking.as_deref()))))
    } else {
        listing(&findings, lacking.as_deref(), &terminal.out_style())
    };
    terminal.out(&text).map_err(|error| Complaint::output(&error))?;
    Ok(if lacking.is_some() { exit::FORBIDDEN } else { 0 })
}

/// The plan, or where none is named one that needs nothing: it knows the providers of this environment.
fn plan(options: &Doctor, terminal: &Terminal) -> Result<std::sync::Arc<Plan>, Complaint> {
    if let Some(plan) = &options.plan {
        let named = PlanArgs { plan: plan.clone(), vars: options.vars.clone(), vars_file: Vec::new() };
        return Ok(load::look(&named, terminal, Loading::Quiet, false)?.plan);
    }
    let nothing = PlanArgs { plan: "doctor.yaml".into(), vars: Vec::new(), vars_file: Vec::new() };
    let given = load::given(&nothing)?;
    let given = Given { environment: given.environment, ..Given::default() };
    Ok(load::load_text("calls: { a: { value: 1 } }", &nothing, &given, terminal)?.plan)
}

/// Why runs will not work here, if they will not.
fn lacking(findings: &[Finding], of_plan: bool) -> Option<String> {
    let missing: Vec<String> = findings
        .iter()
        .filter(|finding| finding.needed && !finding.usable)
        .map(|finding| format!("{} `{}`", finding.kind.word(), finding.name))
        .collect();
    if !missing.is_empty() {
        let whose = if of_plan { "the plan needs" } else { "every run needs" };
        return Some(format!("{whose} what is not usable here: {}", missing.join(", ")));
    }
    let somebody = findings.iter().any(|it| it.usable && matches!(it.kind, Kind::Program | Kind::Provider));
    (!of_plan && !somebody)
        .then(|| "there is nobody to answer a prompt: no program and no provider".to_owned())
}

fn as_json(findings: &[Finding], lacking: Option<&str>) -> Value {
    let findings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "kind": finding.kind.word(),
                "name": finding.name,
                "usable": finding.usable,
                "needed": finding.needed,
                "detail": finding.detail,
                "help": (!finding.help.is_empty()).then_some(&finding.help),
            })
        })
        .collect();
    json!({"usable": lacking.is_none(), "lacking": lacking, "findings": findings})
}

fn listing(findings: &[Finding], lacking: Option<&str>, style: &Style) -> String {
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    let mut heading = "";
    for finding in findings {
        if finding.kind.heading() != heading {
            heading = finding.kind.heading();
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{}\n", style.paint(Tone::Strong, heading)));
        }
        let mark = match (finding.usable, finding.needed) {
            (true, _) => style.paint(Tone::Good, "ok"),
            (false, true) => style.paint(Tone::Bad, "no"),
            (false, false) => style.paint(Tone::Dim, "no"),
        };
        let name = sanitise::short(&finding.name, 60, style);
        let detail = sanitise::short(&finding.detail, 200, style);
        text.push_str(&format!("  {mark}  {name:width$}  {detail}"));
        if !finding.help.is_empty() {
            text.push_str(&format!("\n      {:width$}  {}", "", style.paint(Tone::Info, &finding.help)));
        }
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&match lacking {
        Some(lacking) => format!("{}\n", style.paint(Tone::Bad, lacking)),
        None => format!("{}\n", style.paint(Tone::Good, "usable")),
    });
    text
}

/// Which of a plan's providers are reached through a proxy; a line each.
pub fn proxies(plan: &Plan) -> String {
    let needs = Needs::of(plan);
    let lines = needs.providers.values().filter_map(|(provider, _)| {
        let proxy = crate::model::on_the_way(&provider.base_url)?;
        Some(format!("note: {} is reached through the proxy {proxy}\n", provider.name))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(kind: Kind, usable: bool, needed: bool) -> Finding {
        let (detail, help) = (String::new(), String::new());
        Finding { kind, name: "x".to_owned(), usable, needed, detail, help }
    }

    #[test]
    fn a_plan_lacks_what_it_needs_and_nothing_else() {
        let lacks = |findings: &[Finding], of_plan| lacking(findings, of_plan).is_some();
        assert!(lacks(&[finding(Kind::Program, false, true)], true));
        assert!(!lacks(&[finding(Kind::Program, false, false)], true));
        assert!(!lacks(&[], true));
    }

    #[test]
    fn without_a_plan_somebody_has_to_be_there() {
        let key = finding(Kind::Key, true, false);
        assert!(lacking(std::slice::from_ref(&key), false).is_some());
        assert!(lacking(&[key.clone(), finding(Kind::Program, true, false)], false).is_none());
        assert!(
            lacking(&[finding(Kind::State, false, true), finding(Kind::Program, true, false)], false)
                .is_some()
        );
    }
}
