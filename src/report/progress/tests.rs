//! Progress on a terminal in memory.

use indicatif::InMemoryTerm;

use super::*;
use crate::id::CallId;
use crate::report::sample::{self, Script};

fn style() -> Style {
    Style { unicode: true, ..Style::plain() }
}

/// A progress that shows the records half a second after the last of them, and its terminal.
fn show(records: &[Arc<Record>], rows: u16, columns: u16) -> (Progress, InMemoryTerm) {
    let terminal = InMemoryTerm::new(rows, columns);
    let mut progress = Progress::new(Box::new(terminal.clone()), style(), Past::new());
    for record in records {
        progress.record(record).unwrap();
    }
    let last = records.last().unwrap().elapsed;
    progress.frame(progress.origin.unwrap() + last + Duration::from_millis(500));
    (progress, terminal)
}

/// A run of so many calls, all of them at work.
fn busy(foreground: usize, background: usize) -> Vec<Arc<Record>> {
    let plan = |n: usize, background: bool| crate::event::PlannedCall {
        background,
        ..sample::planned(
            &format!("{}_{n}", if background { "job" } else { "call" }),
            &format!("Look at part {n}"),
        )
    };
    let calls: Vec<_> =
        (0..foreground).map(|n| plan(n, false)).chain((0..background).map(|n| plan(n, true))).collect();
    let ids: Vec<CallId> = calls.iter().map(|call| call.id.clone()).collect();
    let mut script = Script::planned("busy", calls);
    for id in ids {
        script.start(id.as_str()).progress(id.as_str(), "reading src/main.rs", 1_234);
    }
    script.shared()
}

#[test]
fn a_run_at_work_on_80_columns() {
    let mut records: Vec<_> = sample::mixed().into_iter().map(Arc::new).collect();
    records.truncate(18);
    let (_progress, terminal) = show(&records, 24, 80);
    insta::assert_snapshot!(terminal.contents());
}

#[test]
fn a_call_that_waits_for_its_next_attempt_says_when_and_why() {
    let mut records: Vec<_> = sample::mixed().into_iter().map(Arc::new).collect();
    records.truncate(10);
    let (_progress, terminal) = show(&records, 24, 80);
    insta::assert_snapshot!(terminal.contents());
}

#[test]
fn a_run_at_work_on_40_columns() {
    let mut records: Vec<_> = sample::mixed().into_iter().map(Arc::new).collect();
    records.truncate(18);
    let (_progress, terminal) = show(&records, 24, 40);
    insta::assert_snapshot!(terminal.contents());
}

#[test]
fn a_hundred_running_calls_are_folded_to_the_height() {
    for (rows, expected) in [(50, "… and 81 more running"), (16, "… and 89 more running")] {
        let (_progress, terminal) = show(&busy(100, 0), rows, 80);
        let text = terminal.contents();
        assert!(text.contains(expected), "{rows}: {text}");
        assert!(text.lines().count() < usize::from(rows), "{text}");
    }
}

#[test]
fn background_calls_stand_apart_and_always_have_room() {
    let (_progress, terminal) = show(&busy(30, 30), 24, 80);
    insta::assert_snapshot!(terminal.contents());
}

#[test]
fn a_tiny_terminal_gets_what_fits() {
    for (rows, columns) in [(1, 5), (2, 10), (3, 20), (5, 2)] {
        let (mut progress, terminal) = show(&busy(9, 9), rows, columns);
        assert!(terminal.contents().lines().count() <= usize::from(rows));
        progress.finish().unwrap();
        assert_eq!(terminal.contents(), "");
    }
}

#[test]
fn nothing_is_left_on_the_screen_at_the_end() {
    let (mut progress, terminal) = show(&busy(5, 1), 24, 80);
    assert_ne!(terminal.contents(), "");
    for record in busy(0, 0) {
        progress.record(&record).unwrap();
    }
    progress.draw().unwrap();
    progress.finish().unwrap();
    assert_eq!(terminal.contents(), "");
}

#[test]
fn a_question_finds_a_clean_screen_and_stays_above_the_progress() {
    let (mut progress, terminal) = show(&busy(3, 0), 24, 80);
    let asked = terminal.clone();
    progress.suspend(&mut || {
        assert_eq!(asked.contents(), "");
        asked.write_line("Go on? yes").unwrap();
    });
    let text = terminal.contents();
    assert!(text.starts_with("Go on? yes\nbusy "), "{text}");
    progress.finish().unwrap();
    assert_eq!(terminal.contents(), "Go on? yes");
}

#[test]
fn a_shorter_frame_leaves_nothing_of_a_longer_one() {
    let mut script = Script::new("p", &["a", "b", "c"]);
    script.start("a").start("b").start("c");
    let (mut progress, terminal) = show(&script.shared(), 24, 80);
    assert_eq!(terminal.contents().lines().count(), 5);
    script.records.clear();
    for record in script.ok("a", "x").ok("b", "x").shared() {
        progress.record(&record).unwrap();
    }
    progress.draw().unwrap();
    let text = terminal.contents();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains("  a ") && text.contains("2/3  2 ok"), "{text}");
}

#[test]
fn a_shorter_line_leaves_nothing_of_a_longer_one() {
    let mut script = Script::new("p", &["a"]);
    script.start("a").progress("a", "a long activity", 1);
    let (mut progress, terminal) = show(&script.shared(), 24, 80);
    assert!(terminal.contents().contains("a long activity"));
    script.records.clear();
    for record in script.progress("a", "short", 1).shared() {
        progress.record(&record).unwrap();
    }
    progress.draw().unwrap();
    let text = terminal.contents();
    assert!(text.contains("tok  short\n"), "{text}");
}

#[test]
fn hostile_activity_stays_on_its_line() {
    let records: Vec<_> = sample::hostile().into_iter().take(4).map(Arc::new).collect();
    let (_progress, terminal) = show(&records, 24, 80);
    let text = terminal.contents();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.lines().nth(1).unwrap().starts_with("  bad "), "{text}");
}

#[test]
fn a_frame_after_a_shrink_begins_where_the_folded_old_one_began() {
    let terminal = Resizable::default();
    *terminal.size.lock().unwrap() = (24, 80);
    let mut progress = Progress::new(Box::new(terminal.clone()), style(), Past::new());
    for record in busy(3, 0) {
        progress.record(&record).unwrap();
    }
    progress.draw().unwrap();
    let first = terminal.take();
    assert!(first.starts_with("\rbusy"), "{first:?}");
    *terminal.size.lock().unwrap() = (24, 40);
    progress.draw().unwrap();
    // All five lines were wider than 40 columns: ten rows now, the cursor on the ninth.
    let second = terminal.take();
    let cleared = format!("\r\x1b[8A\x1b[2K{}\x1b[9Abusy", "\x1b[B\x1b[2K".repeat(9));
    assert!(second.starts_with(&cleared), "{second:?}");
    assert!(second.ends_with("\x1b[J\r"), "{second:?}");
}

#[test]
fn an_unchanged_frame_is_not_written_again() {
    let terminal = Resizable::default();
    *terminal.size.lock().unwrap() = (24, 80);
    let mut progress = Progress::new(Box::new(terminal.clone()), style(), Past::new());
    for record in Script::new("p", &["a"]).shared() {
        progress.record(&record).unwrap();
    }
    progress.draw().unwrap();
    let begin = progress.origin.unwrap();
    terminal.take();
    progress.frame(begin + Duration::from_secs(20));
    assert_ne!(terminal.take(), "");
    progress.frame(begin + Duration::from_millis(20_300));
    assert_eq!(terminal.take(), "");
    progress.frame(begin + Duration::from_secs(21));
    assert_ne!(terminal.take(), "");
}

#[test]
fn a_terminal_that_went_away_ends_the_drawing() {
    let terminal = Resizable::default();
    *terminal.size.lock().unwrap() = (24, 80);
    *terminal.gone.lock().unwrap() = true;
    let mut progress = Progress::new(Box::new(terminal), style(), Past::new());
    for record in Script::new("p", &["a"]).shared() {
        progress.record(&record).unwrap();
    }
    assert_eq!(progress.draw().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

/// A terminal that keeps what is written and changes its size on demand.
#[derive(Debug, Clone, Default)]
struct Resizable {
    size: Arc<Mutex<(u16, u16)>>,
    gone: Arc<Mutex<bool>>,
    written: Arc<Mutex<String>>,
}

impl Resizable {
    fn take(&self) -> String {
        std::mem::take(&mut self.written.lock().unwrap())
    }
}

impl TermLike for Resizable {
    fn width(&self) -> u16 {
        self.size.lock().unwrap().1
    }
    fn height(&self) -> u16 {
        self.size.lock().unwrap().0
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        if *self.gone.lock().unwrap() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.written.lock().unwrap().push_str(text);
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
