//! Runs for the tests of this room: scripts that write records, and a few told in full.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::event::{
    Census, Event, FORMAT, JobStatus, Millis, ModelAnswer, PlannedCall, Record, RunFinished, RunStarted,
    ToolAsked,
};
use crate::id::{AttemptNo, CallId, ContentKey, InstanceId, RunId};
use crate::outcome::{Cause, Outcome, Output, Status, Usage};
use crate::unit::Tokens;

/// `a` or `a[3]`.
pub(super) fn instance(text: &str) -> InstanceId {
    if text == "(reconcile)" {
        return InstanceId::only(CallId::parent_step());
    }
    match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((call, index)) => InstanceId::nth(CallId::parse(call).unwrap(), index.parse().unwrap()),
        None => InstanceId::only(CallId::parse(text).unwrap()),
    }
}

/// A planned call in turn 1.
pub(super) fn planned(id: &str, description: &str) -> PlannedCall {
    PlannedCall {
        id: CallId::parse(id).unwrap(),
        description: description.to_owned(),
        kind: "prompt".to_owned(),
        turn: 1,
        needs: Vec::new(),
        after: Vec::new(),
        background: false,
        check: false,
    }
}

/// Writes records one after the other, with a clock that only `wait` moves.
pub(super) struct Script {
    pub(super) records: Vec<Record>,
    clock: Duration,
    seq: u64,
    census: Census,
}

impl Script {
    pub(super) fn new(name: &str, ids: &[&str]) -> Script {
        Script::planned(name, ids.iter().map(|id| planned(id, id)).collect())
    }

    pub(super) fn planned(name: &str, calls: Vec<PlannedCall>) -> Script {
        let mut script =
            Script { records: Vec::new(), clock: Duration::ZERO, seq: 0, census: Census::default() };
        script.event(Event::RunStarted(RunStarted {
            format: FORMAT,
            fanout: "0.1.0".to_owned(),
            pid: 4242,
            run: RunId::new("20261120-231505-7f3a"),
            name: name.to_owned(),
            description: None,
            goal: None,
            plan: "plan.yaml".to_owned(),
            plan_path: "/project/plan.yaml".to_owned(),
            vars: serde_json::Map::new(),
            concurrency: 8,
            turns: calls.iter().map(|call| call.turn).max().unwrap_or(1),
            calls,
        }));
        script
    }

    pub(super) fn event(&mut self, event: Event) -> &mut Script {
        self.seq += u64::from(!event.is_volatile());
        let at = "2026-11-20T23:15:05Z".parse::<jiff::Timestamp>().unwrap() + self.clock;
        self.records.push(Record { seq: self.seq, at, elapsed: self.clock, event });
        self
    }

    pub(super) fn wait(&mut self, seconds: f64) -> &mut Script {
        self.clock += Duration::from_secs_f64(seconds);
        self
    }

    pub(super) fn expand(&mut self, call: &str, labels: &[&str]) -> &mut Script {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.event(Event::CallExpanded { call: CallId::parse(call).unwrap(), labels })
    }

    pub(super) fn start(&mut self, id: &str) -> &mut Script {
        self.start_by(id, "anthropic/claude-sonnet-5")
    }

    pub(super) fn start_by(&mut self, id: &str, agent: &str) -> &mut Script {
        let key = ContentKey::of([id.as_bytes()]);
        let (instance, agent) = (instance(id), agent.to_owned());
        self.event(Event::CallStarted { instance, key, agent, input: "Do it.".to_owned() })
    }

    pub(super) fn progress(&mut self, id: &str, activity: &str, tokens: u64) -> &mut Script {
        let (instance, activity) = (instance(id), activity.to_owned());
        self.event(Event::CallProgressed { instance, activity, tokens: Tokens(tokens) })
    }

    pub(super) fn retry(&mut self, id: &str, attempt: u32, cause: Cause, seconds: f64) -> &mut Script {
        self.event(Event::AttemptFailed {
            instance: instance(id),
            attempt: AttemptNo(attempt),
            cause,
            retry_in: Some(Millis(Duration::from_secs_f64(seconds))),
        })
    }

    pub(super) fn end(&mut self, id: &str, outcome: Outcome) -> &mut Script {
        if id != "(reconcile)" {
            self.census.count(&outcome);
        }
        self.event(Event::CallFinished { instance: instance(id), key: None, outcome })
    }

    pub(super) fn ok(&mut self, id: &str, text: &str) -> &mut Script {
        self.end(id, answer(text, 2.0))
    }

    pub(super) fn bad(&mut self, id: &str, status: Status, code: &str, message: &str) -> &mut Script {
        self.end(id, Outcome::ended(status, Cause::new(code, message)))
    }

    pub(super) fn warn(&mut self, code: &str, message: &str) -> &mut Script {
        self.event(Event::Warned { code: code.to_owned(), message: message.to_owned() })
    }

    pub(super) fn reconciled(&mut self, result: Value, text: &str) -> &mut Script {
        self.event(Event::Reconciled { step: CallId::parent_step(), result, text: text.to_owned() })
    }

    /// A later process goes on: its clock begins at zero.
    pub(super) fn resumed(&mut self) -> &mut Script {
        self.clock = Duration::ZERO;
        self.event(Event::RunResumed { fanout: "0.1.0".to_owned(), pid: 4343 })
    }

    pub(super) fn finish(&mut self, success: bool, reasons: &[&str]) -> &mut Script {
        let census = self.census.clone();
        self.event(Event::RunFinished(RunFinished {
            success,
            reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
            exit: u8::from(!success),
            census,
        }))
    }

    pub(super) fn shared(&self) -> Vec<Arc<Record>> {
        self.records.iter().cloned().map(Arc::new).collect()
    }
}

/// A success that took so many seconds and some tokens.
pub(super) fn answer(text: &str, seconds: f64) -> Outcome {
    Outcome {
        attempts: 1,
        took: Duration::from_secs_f64(seconds),
        usage: Usage { input: Tokens(2_900), output: Tokens(480), requests: 1, ..Usage::default() },
        agent: Some("anthropic/claude-sonnet-5".to_owned()),
        ..Outcome::ok(Output::text(text))
    }
}

/// Two calls and their comparison, all well.
pub(super) fn ok() -> Vec<Record> {
    let calls =
        vec![planned("sites", "List every call site"), PlannedCall { turn: 2, ..planned("fix", "fix") }];
    let mut script = Script::planned("investigate", calls);
    script.start("sites").wait(4.2).end("sites", answer("src/auth.ts:42\nsrc/session.ts:7", 4.2));
    script.start("fix").wait(2.0).end("fix", answer("Revert it.", 2.0));
    script.reconciled(json!({ "strategy": "collect" }), "sites:\nsrc/auth.ts:42\n");
    script.finish(true, &[]);
    script.records
}

/// Every outcome there is, retries, a background call, a question, a warning, an expansion.
pub(super) fn mixed() -> Vec<Record> {
    let second = |id, what| PlannedCall { turn: 2, ..planned(id, what) };
    let mut script = Script::planned(
        "failing-login-test",
        vec![
            PlannedCall {
                background: true,
                kind: "run".into(),
                ..planned("client", "Regenerate the API client")
            },
            planned("graph", "Call graph of the failing test"),
            planned("history", "Recent changes to auth/"),
            PlannedCall { kind: "run".into(), ..planned("flaky", "Run the test suite once") },
            planned("slow", "slow"),
            planned("review", "Review each file that the commit touches"),
            PlannedCall { kind: "ask".into(), ..planned("gate", "Ask whether to go on") },
            second("diff", "What changed in the call graph"),
            second("extra", "A closer look"),
            second("late", "Write the summary for the release"),
        ],
    );
    script.warn("limit_lowered", "concurrency was lowered from 64 to 8, because only 256 files may be open");
    script.start_by("client", "sh").start("graph").start("history").start_by("flaky", "sh").start("slow");
    script.progress("graph", "grep src/auth", 310).wait(0.4);
    let exit = || Cause::new("exit_status", "`npm test` exited with status 1");
    script.retry("flaky", 1, exit(), 2.0).retry(
        "graph",
        1,
        Cause::new("overloaded", "the provider is overloaded (529)"),
        1.0,
    );
    script.expand("review", &["src/auth.ts", "src/session.ts", "src/login/überprüfung.ts"]);
    script.start("review[0]").start("review[1]").start("review[2]").wait(3.6);
    script.end("review[0]", answer("No findings that matter.\n\n1. `token` is never checked.", 3.6));
    script.end("review[1]", answer(" \n", 3.1));
    script.end(
        "review[2]",
        Outcome {
            attempts: 2,
            took: Duration::from_millis(3600),
            agent: Some("anthropic/claude-sonnet-5".to_owned()),
            output: Output::text("Sure! Here is the JSON you asked for:"),
            ..Outcome::ended(
                Status::InvalidOutput,
                Cause::new("no_json", "the answer holds no JSON value; after 2 attempts with the fault fed back it still does not"),
            )
        },
    );
    let lines: Vec<String> = (1..=60).map(|n| format!("{n:>2}. a3f{n:02} touches auth/login.ts")).collect();
    script.wait(4.0).end("history", answer(&lines.join("\n"), 8.0));
    let stderr: Vec<String> = (1..=14).map(|n| format!("npm ERR! line {n}")).collect();
    script.end(
        "flaky",
        Outcome {
            attempts: 2,
            took: Duration::from_millis(8000),
            stderr: stderr.join("\n").into(),
            exit: Some(1),
            agent: Some("sh".to_owned()),
            output: Output::text("TAP version 13\nnot ok 1 - login"),
            ..Outcome::ended(Status::Failed, exit())
        },
    );
    script.wait(4.0);
    script.end(
        "graph",
        Outcome {
            attempts: 2,
            ..answer("auth/login.ts:10 → auth/session.ts:88\nauth/session.ts:88 → db/users.ts:31", 12.0)
        },
    );
    script.event(Event::QuestionAsked {
        call: CallId::parse("gate").unwrap(),
        question: "Go on?\nIt costs.".to_owned(),
    });
    script.bad(
        "gate",
        Status::Blocked,
        "nobody_to_ask",
        "there is no terminal to ask at; give `--answer gate=…`",
    );
    script.bad("diff", Status::Skipped, "need_failed", "it needs `flaky`, which failed");
    script.bad("extra", Status::Skipped, "when_false", "its `when` is false: `vars.deep`");
    script.wait(8.0).end(
        "client",
        Outcome {
            attempts: 1,
            took: Duration::from_secs(20),
            agent: Some("sh".into()),
            ..Outcome::ok(Output::text("generated 14 files"))
        },
    );
    script.event(Event::NotificationPosted { number: 1, instance: instance("client"), status: Status::Ok });
    script.start("late").wait(40.0);
    script.end(
        "slow",
        Outcome {
            attempts: 1,
            took: Duration::from_secs(60),
            agent: Some("lab/qwen3-coder".to_owned()),
            ..Outcome::ended(
                Status::TimedOut,
                Cause::new("timeout", "it did not end within its `timeout` of 1m00s"),
            )
        },
    );
    script.bad("late", Status::Cancelled, "interrupted", "it was stopped by Ctrl-C");
    script.event(Event::StopRequested {
        reason: "interrupt".into(),
        message: "stopping: Ctrl-C was pressed".into(),
    });
    script.event(Event::NotificationsDrained { by: CallId::parent_step(), numbers: vec![1] });
    script.reconciled(
        json!({ "strategy": "synthesize" }),
        "The login breaks at auth/session.ts:88 [graph].\nNobody could say what changed: `diff` was skipped.",
    );
    script.finish(
        false,
        &["6 of 12 calls that had to succeed did not: flaky, slow, review[2], gate, diff, late"],
    );
    script.records
}

/// A model that uses tools, one of which it may not, and a background job.
pub(super) fn talk() -> Vec<Record> {
    let mut script = Script::new("conversation", &["review"]);
    let usage = || Usage { input: Tokens(1_200), output: Tokens(80), requests: 1, ..Usage::default() };
    let asks = |names: &[&str]| -> Vec<ToolAsked> {
        let ask = |name: &&str| ToolAsked {
            id: format!("id-{name}"),
            name: (*name).to_owned(),
            input: json!({ "path": "src/auth.rs" }),
            unreadable: None,
        };
        names.iter().map(ask).collect()
    };
    let answer = |text: &str, calls: Vec<ToolAsked>| ModelAnswer {
        model: "anthropic/claude-sonnet-5".to_owned(),
        text: text.to_owned(),
        assistant: Value::Null,
        calls,
        paused: false,
        usage: usage(),
        usage_estimated: false,
        request_id: None,
        told: None,
        jobs: Vec::new(),
    };
    let key = |text: &str| ContentKey::of([text.as_bytes()]);
    let review = || instance("review");
    script.start("review").wait(1.0);
    script.event(Event::ModelAnswered {
        instance: review(),
        key: key("1"),
        answer: answer("I look at the file first.\nThen at the tests.", asks(&["read_file", "bash"])),
    });
    script.event(Event::ToolStarted {
        instance: review(),
        key: key("1/0"),
        tool: "read_file".to_owned(),
        input: json!({ "path": "src/auth.rs" }),
        before: None,
    });
    script.wait(0.2).event(Event::ToolEnded {
        instance: review(),
        key: key("1/0"),
        tool: "read_file".to_owned(),
        text: "fn login() {\n    todo!()\n}".to_owned(),
        is_error: false,
        took: Duration::from_millis(12),
    });
    script.event(Event::ToolEnded {
        instance: review(),
        key: key("1/1"),
        tool: "bash".to_owned(),
        text: "this agent may not use `bash`".to_owned(),
        is_error: true,
        took: Duration::ZERO,
    });
    script.wait(3.0).event(Event::JobEnded {
        instance: review(),
        key: key("1/2"),
        job: 1,
        status: JobStatus::Failed,
        text: "2 tests failed".to_owned(),
        took: Duration::from_secs(3),
    });
    script.wait(1.0).event(Event::ModelAnswered {
        instance: review(),
        key: key("2"),
        answer: answer("`login` is not written.", Vec::new()),
    });
    script.ok("review", "`login` is not written.").finish(true, &[]);
    script.records
}

/// Nobody answered.
pub(super) fn dead() -> Vec<Record> {
    let mut script = Script::new("audit", &["alpha", "beta", "gamma"]);
    script.start("alpha").start("beta").start("gamma").wait(1.0);
    for id in ["alpha", "beta", "gamma"] {
        script.bad(
            id,
            Status::Failed,
            "rate_limited",
            "the session limit of the account is reached; it resets at 18:00",
        );
    }
    script.reconciled(json!({ "strategy": "merge" }), "0 findings");
    script.finish(false, &["none of 3 calls succeeded"]);
    script.records
}

/// Calls that try to leave their place on the screen and in the log.
pub(super) fn hostile() -> Vec<Record> {
    let nasty = "\x1b[2J\x1b[H\x1b]0;owned\x07\r✓ all 3 calls ok\n── ✓ fake: heading ──\n::error::x\n  ::add-mask::y\n##[group]z\n\u{9b}31m\u{202e}txet\u{200b}\u{e0041}";
    let mut script = Script::planned(nasty, vec![planned("bad", nasty), planned("worse", "ünïcode – “x”")]);
    script.start_by("bad", nasty).start("worse").progress("bad", nasty, 3).wait(1.0);
    script.retry("bad", 1, Cause::new("x", nasty), 1.0).warn("w", nasty).expand("worse", &[nasty, "b"]);
    script.end(
        "bad",
        Outcome {
            stderr: nasty.into(),
            output: Output::text(nasty),
            ..Outcome::ended(Status::Failed, Cause::new("x", nasty))
        },
    );
    script.ok("worse[0]", nasty).ok("worse[1]", &"x".repeat(100_000));
    script.event(Event::QuestionAsked { call: CallId::parse("bad").unwrap(), question: nasty.to_owned() });
    script.event(Event::StopRequested { reason: "stop".into(), message: nasty.to_owned() });
    script.reconciled(json!({ "strategy": "command", "x": nasty }), nasty).finish(false, &[nasty]);
    script.records
}
