//! The parts of SARIF 2.1.0 that are used, under its own names.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Finding, Level};
use crate::id::ContentKey;
use crate::report::fold::RunView;
use crate::report::sanitise;
use crate::report::style::Style;

/// Results in one file: what GitHub takes from one run.
const RESULTS: usize = 5_000;
/// Failures of calls that are named.
const NOTIFICATIONS: usize = 1_000;
/// Characters of one message.
const MESSAGE: usize = 10_000;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    automation_details: AutomationDetails,
    invocations: [Invocation; 1],
    column_kind: &'static str,
    results: Vec<SarifResult>,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    semantic_version: Option<String>,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    short_description: Message,
}

#[derive(Debug, Serialize)]
struct AutomationDetails {
    /// A category with a slash at its end: GitHub keeps results of different plans apart by it.
    id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u8>,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Debug, Serialize)]
struct Notification {
    level: &'static str,
    message: Message,
}

#[derive(Debug, Serialize)]
struct Message {
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: String,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: Vec<Location>,
    partial_fingerprints: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<f64>,
    properties: Properties,
}

#[derive(Debug, Serialize)]
struct Properties {
    by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_column: Option<u64>,
}

impl Document {
    pub(super) fn of(view: &RunView, findings: &[Finding]) -> Document {
        let mut rules: Vec<Rule> = Vec::new();
        let mut results = Vec::new();
        let plan = view.head.as_ref().map_or("plan.yaml", |head| head.plan.as_str());
        for finding in findings.iter().take(RESULTS) {
            let rule_index = rules.iter().position(|rule| rule.id == finding.rule).unwrap_or_else(|| {
                let short_description = Message { text: finding.rule.replace(['-', '_'], " ") };
                rules.push(Rule { id: finding.rule.clone(), short_description });
                rules.len() - 1
            });
            results.push(result(finding, rule_index, plan));
        }
        let head = view.head.as_ref();
        let finish = view.finish.as_ref();
        let driver = Driver { name: "fanout", semantic_version: head.map(|head| head.fanout.clone()), rules };
        let invocation = Invocation {
            execution_successful: finish.is_some_and(|finish| finish.success),
            exit_code: finish.map(|finish| finish.exit),
            tool_execution_notifications: notifications(view),
        };
        let id = format!("fanout/{}/", head.map_or("", |head| head.name.as_str()).replace('/', "-"));
        Document {
            schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
            version: "2.1.0",
            runs: [Run {
                tool: Tool { driver },
                automation_details: AutomationDetails { id: clean(&id) },
                invocations: [invocation],
                column_kind: "unicodeCodePoints",
                results,
            }],
        }
    }
}

/// Where a finding stands for those who read reports, and what it is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A path inside the source tree; the plan's own where the finding names none.
    pub path: String,
    /// Its line; `None` where it has none, and where it stands at the plan.
    pub line: Option<u64>,
    /// The message, with the file that it names where that is none of the source.
    pub message: String,
    /// 32 hexadecimal digits, made of rule, place and message. Not of the line: a finding stays
    /// the same when something is inserted above it.
    pub fingerprint: String,
}

/// The place of a finding of this run.
pub fn place(view: &RunView, finding: &Finding) -> Place {
    place_beside(finding, view.head.as_ref().map_or("", |head| head.plan.as_str()))
}

fn place_beside(finding: &Finding, plan: &str) -> Place {
    let inside = finding.file.as_deref().and_then(inside);
    // Readers want a place: what has none in the source stands at the plan that asked for it.
    let path = inside.clone().or_else(|| self::inside(plan)).unwrap_or_else(|| "plan.yaml".to_owned());
    let mut message = clean(&finding.message);
    if let (None, Some(file)) = (&inside, &finding.file) {
        message = format!("{}: {message}", clean(file));
    }
    let said = message.to_lowercase();
    let uri = uri(&path);
    let key = ContentKey::of([finding.rule.as_bytes(), uri.as_bytes(), said.as_bytes()]);
    let fingerprint = key.as_str().get(..32).unwrap_or_default().to_owned();
    Place { path, line: finding.line.filter(|_| inside.is_some()), message, fingerprint }
}

fn result(finding: &Finding, rule_index: usize, plan: &str) -> SarifResult {
    let place = place_beside(finding, plan);
    let region = |start_line| Region { start_line, end_line: finding.end_line, start_column: finding.column };
    let (uri, region, text, print) =
        (uri(&place.path), place.line.map(region), place.message, place.fingerprint);
    SarifResult {
        rule_id: finding.rule.clone(),
        rule_index,
        level: match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        },
        message: Message { text },
        locations: vec![Location {
            physical_location: PhysicalLocation {
                artifact_location: ArtifactLocation { uri, uri_base_id: "%SRCROOT%" },
                region,
            },
        }],
        partial_fingerprints: BTreeMap::from([("fanoutFinding/v1", print)]),
        rank: finding.agreement.map(|share| (share * 1000.0).round() / 10.0),
        properties: Properties {
            by: finding.by.iter().map(|name| clean(name)).collect(),
            agreement: finding.agreement,
        },
    }
}

fn notifications(view: &RunView) -> Vec<Notification> {
    let ended = view.calls.iter().flat_map(|call| call.each());
    let bad =
        ended.filter_map(|(id, instance)| Some((id, instance.outcome.as_ref().filter(|o| !o.is_ok())?)));
    let notes = bad.take(NOTIFICATIONS).map(|(id, outcome)| {
        let why = outcome.cause.as_ref().map_or("", |cause| cause.message.as_str());
        Notification {
            level: if outcome.status == crate::outcome::Status::Skipped { "note" } else { "error" },
            message: Message { text: clean(&format!("{id} {}: {why}", outcome.status.words())) },
        }
    });
    notes.collect()
}

fn clean(text: &str) -> String {
    sanitise::text(sanitise::prefix(text, MESSAGE), &Style::FILE).into_owned()
}

/// A path inside the source tree; `None` for one that leads elsewhere.
fn inside(path: &str) -> Option<String> {
    let path = path.strip_prefix("file://").unwrap_or(path).replace('\\', "/");
    let path = path.trim_start_matches("./");
    let leads_out = path.starts_with('/') || path.split('/').any(|part| part == "..") || path.is_empty();
    if leads_out || path.chars().any(char::is_control) {
        return None;
    }
    Some(path.to_owned())
}

/// A path as a URI reference.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte))
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
