//! What is read from outside, and what each reader promises whatever it is given.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanout::cli::diagnostics;
use fanout::journal;
use fanout::model::{self, sse};
use fanout::plan::diagnostic::{Diagnostic, Span};
use fanout::plan::template::{self, Destination, Known, Names, Results, ScalarText, Scope, Style};
use fanout::plan::{self, Given, Pass};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::fuzz;
use crate::models::APIS;

/// The faults that were found, as one word.
fn codes(diagnostics: &[Diagnostic]) -> String {
    let mut codes: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes.join(" ")
}

#[test]
fn a_plan_is_read_or_its_faults_are_shown_at_their_places() {
    let words = [
        "calls:",
        "prompt:",
        "run:",
        "{{ calls.a.output }}",
        "for_each:",
        "&x ",
        "*x",
        "<<: *x",
        "- ",
        "  ",
        "\t",
        "!!binary ",
        "? ",
        "| ",
        "needs: [a]",
        "agents:",
        "1e309",
        ".nan",
        "limits:",
        "10m",
        "\"",
        "'",
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.yaml");
    fuzz("plan", &words, |input| {
        let text = String::from_utf8_lossy(input);
        let loaded = plan::load_text(&text, &path, &Given::default());
        assert_eq!(loaded.plan.is_none(), loaded.has_errors(), "a plan is there or an error is");
        for fault in loaded.diagnostics.iter().filter(|fault| fault.at.file == 0) {
            let place = fault.at.start as usize..fault.at.end as usize;
            assert!(text.get(place.clone()).is_some(), "{} at {place:?} of {}", fault.code, text.len());
        }
        assert_eq!(
            diagnostics::render(&loaded.diagnostics, &loaded.sources, false).is_empty(),
            loaded.diagnostics.is_empty()
        );
        codes(&loaded.diagnostics)
    });
}

#[derive(Debug)]
struct Nothing;

impl Results for Nothing {
    fn call(&self, id: &str) -> Option<minijinja::Value> {
        (id == "a").then(|| minijinja::Value::from_pairs([("output", "{{ x }}")]))
    }

    fn pass(&self, _: &str) -> Option<Pass> {
        None
    }

    fn file(&self, _: &str) -> Option<PathBuf> {
        None
    }
}

#[test]
fn a_template_is_rendered_or_refused() {
    let words = [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "{{ vars.v }}",
        "{{ calls.a.output }}",
        "| json",
        "| head(3)",
        "{% for x in vars.v %}",
        "{% endfor %}",
        "{% if ",
        "{% raw %}",
        "[",
        "(",
        "~",
        "'",
        "**",
        "range(9)",
    ];
    let mut known = Known::new();
    known.add_var("v");
    known.add_call("a", template::CallShape::Single);
    let names = Names { calls: true, ..Names::vars(&known) };
    let scope = Scope {
        names: Arc::new(vec![("vars".into(), minijinja::Value::from_pairs([("v", vec!["1", "b"])]))]),
        results: Arc::new(Nothing),
        dir: Arc::new(PathBuf::from("/nonexistent")),
    };
    fuzz("template", &words, |input| {
        let text = String::from_utf8_lossy(input);
        let end = u32::try_from(text.len()).unwrap();
        let at = Span { file: 0, start: 0, end };
        let scalar = ScalarText { text: &text, at, raw: &text, style: Style::Plain };
        let mut did = String::new();
        for to in [Destination::Prompt, Destination::Shell, Destination::Raw] {
            let mut faults = Vec::new();
            let template = template::template(&scalar, &names, to, &mut faults);
            did.push_str(&codes(&faults));
            if faults.is_empty() {
                did.push_str(if template.render(&scope, to).is_ok() { "+" } else { "-" });
            }
        }
        let mut faults = Vec::new();
        let expression = template::expression(&scalar, &names, &mut faults);
        did.push_str(&codes(&faults));
        if faults.is_empty() {
            did.push_str(if expression.evaluate(&scope).is_ok() { "+" } else { "-" });
        }
        did
    });
}

fn events(chunks: &[&[u8]]) -> Vec<(String, String)> {
    let (mut parser, mut events) = (sse::Parser::default(), Vec::new());
    for chunk in chunks {
        let flow = parser.push(chunk, |event| {
            events.push((event.kind.to_owned(), event.data.into_owned()));
            ControlFlow::Continue(())
        });
        flow.unwrap();
    }
    events
}

#[test]
fn a_stream_gives_the_same_events_however_it_is_cut() {
    let words = ["data: ", "data", "event: x", ":", "\r\n", "\n\n", "\r", "id: 1", "retry: 1", "\u{FEFF}"];
    fuzz("sse", &words, |input| {
        let whole = events(&[input]);
        let each: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(events(&each), whole);
        let (head, tail) = input.split_at(input.len() / 3);
        assert_eq!(events(&[head, tail]), whole);
        let kinds: Vec<&str> = whole.iter().map(|(kind, _)| kind.as_str()).take(3).collect();
        format!("{} {kinds:?}", whole.len().min(9))
    });
}

#[test]
fn a_providers_events_are_an_answer_or_a_fault_however_they_are_cut() {
    let words = [
        "event: ",
        "data: ",
        "\n\n",
        "\"index\":",
        "\"index\":0",
        "\"type\":\"tool_use\"",
        "null",
        "[]",
        "{}",
        "\"delta\":",
        "\"partial_json\":\"{\"",
        "\"finish_reason\":\"stop\"",
        "\"tool_calls\":[{}]",
        "[DONE]",
        "\"functionCall\":{\"name\":\"f\"}",
        "\"finishReason\":\"STOP\"",
        "\"output\":[]",
        "\\u0000",
        "-1",
        "18446744073709551616",
        "\"usage\":{\"input_tokens\":18446744073709551615}",
        "message_stop",
        "response.completed",
    ];
    fuzz("events", &words, |input| {
        let mut did = String::new();
        for api in APIS {
            let whole = model::read_recorded(api, &[input]);
            let each: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(model::read_recorded(api, &each), whole, "{api:?}");
            did.push_str(&match whole {
                Ok(answer) => {
                    assert!(answer.calls.iter().all(|call| !call.id.is_empty() && !call.name.is_empty()));
                    format!("{api:?} {} {}", answer.text.is_empty(), answer.calls.len().min(3))
                }
                // What it says begins alike for what is alike.
                Err(why) => why.chars().filter(|c| !c.is_ascii_digit()).take(24).collect(),
            });
        }
        did
    });
}

#[test]
fn a_wait_is_never_longer_than_a_year() {
    let words =
        ["-", "1e309", "9", ".", "Fri, 20 Nov 2026 18:04:08 GMT", "ms", "h", "µs", "Z", "T", "GMT", "inf"];
    fuzz("retry-after", &words, |input| {
        // A header a line.
        let mut headers = HeaderMap::new();
        for line in input.split(|byte| *byte == b'\n') {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let pair = HeaderName::from_bytes(name).ok().zip(HeaderValue::from_bytes(&value[1..]).ok());
            if let Some((name, value)) = pair {
                headers.append(name, value);
            }
        }
        let year = std::time::Duration::from_secs(366 * 86_400);
        let wait = model::retry_after(&headers, jiff::Timestamp::UNIX_EPOCH);
        assert!(wait.is_none_or(|wait| wait <= year), "{wait:?}");
        let rate = model::rate_headers(&headers, jiff::Timestamp::UNIX_EPOCH);
        for window in [rate.requests, rate.tokens, rate.input_tokens, rate.output_tokens] {
            assert!(window.reset.is_none_or(|reset| reset <= year), "{window:?}");
        }
        format!("{:?} {}", wait.map(|wait| wait.as_millis().max(1).ilog10()), rate.requests.limit.is_some())
    });
}

/// The line with the checksum that it should have.
fn sealed(line: &[u8]) -> Vec<u8> {
    let mark = b",\"crc\":\"";
    let at = line.windows(mark.len()).rposition(|part| part == mark).unwrap_or(line.len());
    let body = &line[..at];
    [body, format!(",\"crc\":\"{:08x}\"}}", crc32fast::hash(body)).as_bytes()].concat()
}

#[test]
fn a_journal_is_read_as_far_as_it_is_sound_or_refused() {
    let words = [
        "\n",
        "\"seq\":",
        "\"seq\":2",
        "{",
        "}",
        "null",
        "\"status\":\"ok\"",
        "\"event\":",
        "[",
        "\"output\":{}",
        "\"blob\":",
        "18446744073709551615",
        "-1",
        "\"crc\":",
        "\"text\":\"x\"",
        "\"attempts\":1",
    ];
    let folder = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "." }).unwrap();
    let file = folder.path().join("journal.jsonl");
    fuzz("journal", &words, |input| {
        let mut did = String::new();
        let lines: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n').map(sealed).collect();
        // As it is, and with every checksum put right: the first alone would end at the checksums.
        for bytes in [input.to_vec(), lines.join(&b'\n')] {
            std::fs::write(&file, bytes).unwrap();
            for salvage in [journal::Salvage::No, journal::Salvage::Yes] {
                did.push_str(&match journal::read_with(folder.path(), salvage) {
                    Ok(past) => format!("ok {} {} ", past.damage.len().min(3), past.finished().is_some()),
                    Err(error) => error.to_string().chars().filter(|c| c.is_alphabetic()).take(30).collect(),
                });
            }
        }
        did
    });
}
