//! A live run that was recorded on a real terminal (`tests/recordings/live.cast`, an asciicast),
//! played on a terminal in memory: what a person saw at each moment, whatever runs here today.
//!
//! `tests/recordings/record` makes it anew.

use std::num::NonZero;

use serde_json::Value;

const RECORDING: &str = include_str!("../recordings/live.cast");

/// The screen at each mark, with the mark's name.
fn screens() -> Vec<(String, Vec<String>)> {
    let mut lines = RECORDING.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let head = lines.next().unwrap();
    assert_eq!(head["version"], 2);
    let size = |value: &Value| NonZero::new(u16::try_from(value.as_u64().unwrap()).unwrap()).unwrap();
    let mut terminal = vt100::Parser::new(size(&head["height"]), size(&head["width"]), 1000);
    let mut screens = Vec::new();
    for event in lines {
        let data = event[2].as_str().unwrap();
        match event[1].as_str().unwrap() {
            "o" => terminal.process(data.as_bytes()),
            "r" => {
                let (columns, rows) = data.split_once('x').unwrap();
                terminal.screen_mut().set_size(rows.parse().unwrap(), columns.parse().unwrap());
            }
            "m" => {
                let (_, columns) = terminal.screen().size();
                let rows =
                    terminal.screen().rows(0, columns.get()).map(|row| row.trim_end().to_owned()).collect();
                screens.push((data.to_owned(), rows));
            }
            other => assert_eq!(other, "i", "{event}"),
        }
    }
    screens
}

fn screen(name: &str) -> String {
    let found = screens().into_iter().find(|(mark, _)| mark == name);
    found.unwrap_or_else(|| panic!("no mark {name}")).1.join("\n").trim_end().to_owned()
}

/// Times and the run's own name differ from one recording to the next.
fn lasting(text: &str) -> String {
    let time = regex::Regex::new(r"\b\d+(\.\d)?(s|m\d\ds)( *)").unwrap();
    let run = regex::Regex::new(r"\d{8}-\d{6}-[0-9a-f]{4}").unwrap();
    run.replace_all(&time.replace_all(text, "TIME$3"), "RUN").into_owned()
}

#[test]
fn while_it_runs_the_screen_shows_who_does_what() {
    insta::assert_snapshot!("running", lasting(&screen("running")));
}

#[test]
fn a_narrower_and_a_wider_window_each_show_one_whole_frame() {
    for (name, width) in [("narrow", 40), ("wide", 100)] {
        let shown = screen(name);
        insta::assert_snapshot!(name, lasting(&shown));
        assert!(shown.lines().all(|line| line.chars().count() < width), "{shown}");
        assert_eq!(shown.matches("each[2]").count(), 1, "two frames are on the screen:\n{shown}");
        assert_eq!(shown.matches("live ").count(), 1, "two frames are on the screen:\n{shown}");
    }
}

#[test]
fn after_ctrl_c_nothing_of_the_live_view_is_left() {
    let shown = screen("over");
    insta::assert_snapshot!("over", lasting(&shown));
    assert!(shown.contains("exit status 130") && shown.contains("fanout resume"), "{shown}");
    assert!(!shown.contains(" running ·") && !shown.contains('━'), "{shown}");
    // The cursor is there again, and no attribute is left on.
    let last = RECORDING.rfind("\\u001b[?25").map(|at| &RECORDING[at..at + 10]);
    assert!(last.is_none_or(|last| last.ends_with('h')), "{last:?}");
}
