//! One process at a time, and no trace of a dead one.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::tempdir;

use super::*;

const DIR: &str = "FANOUT_TEST_HOLD";

/// Not a test: the other process of the tests below.
#[test]
#[ignore = "holds a run until it is killed; started by other tests"]
fn hold() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let (_journal, _) = Journal::resume(Path::new(&dir), vec![], Options::default()).unwrap();
    println!("\nholding");
    loop {
        std::thread::park();
    }
}

struct Other(Child);

impl Other {
    fn holding(dir: &Path) -> Other {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::lock::hold", "--ignored", "--nocapture"])
            .env(DIR, dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut other = Other(child);
        let out = BufReader::new(other.0.stdout.take().unwrap());
        assert!(out.lines().any(|line| line.unwrap() == "holding"), "the other process ended");
        other
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn the_second_process_is_told_who_holds_the_run_and_a_killed_holder_leaves_nothing() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let other = Other::holding(&dir);
    let error = Journal::resume(&dir, vec![], Options::default()).unwrap_err();
    let JournalError::Held { by: Some(holder), run } = &error else { panic!("{error}") };
    assert_eq!(holder.pid, other.0.id());
    assert_eq!(run.as_str(), dir.file_name().unwrap());
    assert!(error.to_string().contains(&format!("is in use by process {} on ", holder.pid)), "{error}");
    assert_eq!(read(&dir).unwrap().state, RunState::Running);
    assert_eq!(list(root.path()).unwrap()[0].glance.as_ref().unwrap().state, RunState::Running);

    drop(other);
    assert_eq!(read(&dir).unwrap().state, RunState::Interrupted);
    let (journal, _) = Journal::resume(&dir, vec![], Options::default()).unwrap();
    drop(journal);
}

#[test]
fn two_journals_of_one_process_exclude_each_other_too() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    let dir = journal.dir().to_owned();
    let error = Journal::resume(&dir, vec![], Options::default()).unwrap_err();
    assert!(matches!(error, JournalError::Held { .. }), "{error}");
    block_on(journal.close()).unwrap();
    // Closing lets go of the run, although the handle is still there.
    Journal::resume(&dir, vec![], Options::default()).unwrap();
    drop(journal);
}

#[test]
#[cfg(unix)]
fn a_child_that_outlives_its_parent_does_not_hold_the_run() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let dir = journal.dir().to_owned();
    drop(journal);
    let resumed = Journal::resume(&dir, vec![], Options::default());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(resumed.is_ok());
}

#[test]
fn readers_need_no_lock_and_see_a_live_run() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    finish(&journal, 0, text("zero")).unwrap();
    let past = read(journal.dir()).unwrap();
    assert_eq!(past.state, RunState::Running);
    assert_eq!(past.recall(&key(0)), Some(&text("zero")));
    finish(&journal, 1, text("one")).unwrap();
}
