//! Going on with a run: repair, memory, salvage.

use std::fs;

use tempfile::tempdir;

use super::world::{Op, World};
use super::*;

#[test]
fn a_torn_tail_is_cut_off_and_the_run_goes_on_behind_it() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let bytes = fs::read(file(&dir)).unwrap();
    fs::write(file(&dir), &bytes[..bytes.len() - 10]).unwrap();
    let (journal, past) = Journal::resume(&dir, vec![], Options::default()).unwrap();
    assert_eq!(past.records.len(), 6);
    let notice = past.notice.unwrap();
    assert!(notice.to_string().starts_with("the journal ends in the middle of a record at byte "));
    finish(&journal, 5, text("five")).unwrap();
    block_on(journal.close()).unwrap();
    let past = read(&dir).unwrap();
    assert_eq!((past.records.len(), past.notice.clone()), (8, None));
    assert!(matches!(past.records[6].event, Event::RunResumed { pid, .. } if pid == std::process::id()));
}

#[test]
fn a_run_is_finished_until_somebody_goes_on_with_it() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let past = read(&dir).unwrap();
    assert_eq!((past.state, past.finished().map(|end| end.exit)), (RunState::Finished, Some(0)));
    let (journal, past) = Journal::resume(&dir, vec![], Options::default()).unwrap();
    assert_eq!(past.state, RunState::Finished);
    assert_eq!(read(&dir).unwrap().state, RunState::Running);
    drop(journal);
    let past = read(&dir).unwrap();
    assert_eq!((past.state, past.finished()), (RunState::Interrupted, None));
    let (journal, _) = Journal::resume(&dir, vec![], Options::default()).unwrap();
    block_on(journal.commit(ended(1))).unwrap();
    drop(journal);
    assert_eq!(read(&dir).unwrap().finished().map(|end| end.exit), Some(1));
}

#[test]
fn a_resumed_run_remembers_successes_and_forgets_failures() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    finish(&journal, 0, long(0)).unwrap();
    finish(&journal, 1, failed()).unwrap();
    assert_eq!(journal.recall(&key(0), &nth(0)), None, "a run does not remember itself");
    drop(journal);
    let dir = folder(root.path()).join(names(root.path()).remove(0));
    let (journal, _) = Journal::resume(&dir, vec![], Options::default()).unwrap();
    let reused = journal.recall(&key(0), &nth(0)).unwrap();
    assert_eq!(*reused, Outcome { reused: true, ..long(0) });
    assert_eq!(journal.recall(&key(0), &nth(0)), None);
    assert_eq!(journal.recall(&key(1), &nth(1)), None);
}

#[test]
fn what_was_written_after_a_run_was_read_is_taken_in_when_it_goes_on() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let before = read(&dir).unwrap();
    let journal = Journal::resume_read(&before, vec![], Options::default()).unwrap();
    assert!(journal.recall(&key(0), &nth(0)).is_some());
    finish(&journal, 5, text("five")).unwrap();
    drop(journal);
    // The same reading once more: another process has gone on with the run in between.
    let journal = Journal::resume_read(&before, vec![], Options::default()).unwrap();
    assert_eq!(
        journal.recall(&key(5), &nth(5)).map(|five| five.output.text.to_string()),
        Some("five".into())
    );
    drop(journal);
    let past = read(&dir).unwrap();
    let numbers: Vec<u64> = past.records.iter().map(|record| record.seq).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
}

fn names(root: &Path) -> Vec<String> {
    list(root).unwrap().into_iter().map(|summary| summary.run.to_string()).collect()
}

#[test]
fn damage_is_refused_until_it_is_salvaged_and_then_the_journal_is_whole_again() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let before = events(&read(&dir).unwrap());
    let mut bytes = fs::read(file(&dir)).unwrap();
    let third = line::pieces(&bytes).nth(2).unwrap().at as usize;
    bytes[third + 30] ^= 1;
    fs::write(file(&dir), &bytes).unwrap();

    let error = Journal::resume(&dir, vec![], Options::default()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged(_)), "{error}");
    assert_eq!(fs::read(file(&dir)).unwrap(), bytes, "a refused journal is left as it is");
    let list = list(root.path()).unwrap();
    assert!(matches!(&list[0].glance, Err(JournalError::Damaged(damage)) if damage.at as usize == third));

    let options = Options { salvage: Salvage::Yes, ..Options::default() };
    let (journal, past) = Journal::resume(&dir, vec![], options).unwrap();
    assert_eq!(past.damage.len(), 1);
    assert_eq!((past.damage[0].at as usize, past.damage[0].follow), (third, 4));
    let mut left = before;
    left.remove(2);
    assert_eq!(events(&past), left);
    assert_eq!(journal.recall(&key(0), &nth(0)), None, "the damaged result counts as not done");
    assert!(journal.recall(&key(1), &nth(1)).is_some());
    finish(&journal, 0, text("again")).unwrap();
    drop(journal);

    let past = read(&dir).unwrap();
    assert_eq!(past.recall(&key(0)), Some(&text("again")));
    assert_eq!(events(&past)[..6], left[..]);
    assert_eq!(fs::read(dir.join("journal-damaged-1.jsonl")).unwrap(), bytes);
}

#[test]
fn a_blob_that_was_harmed_is_written_anew_when_its_content_comes_again() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let blob = fs::read_dir(dir.join(blob::FOLDER)).unwrap().next().unwrap().unwrap().path();
    fs::write(&blob, "harmed").unwrap();
    let options = Options { salvage: Salvage::Yes, ..Options::default() };
    let (journal, _) = Journal::resume(&dir, vec![], options).unwrap();
    finish(&journal, 1, long(1)).unwrap();
    drop(journal);
    assert_eq!(read(&dir).unwrap().recall(&key(1)), Some(&long(1)));
}

#[test]
fn what_a_killed_process_left_in_memory_is_synced_before_it_counts() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let world = World::default();
    let (_journal, _) = Journal::resume(&dir, vec![], world.options(root.path())).unwrap();
    let sync = world.log().iter().position(|op| matches!(op, Op::Sync(_)));
    let names = world.log().iter().position(|op| matches!(op, Op::SyncDir(path) if *path == dir));
    let append = world.log().iter().position(|op| matches!(op, Op::Append(..)));
    assert!(sync.is_some() && sync < append && names.is_some() && names < append);
}

#[test]
fn equal_payloads_are_stored_once() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    (0..5).for_each(|n| drop(finish(&journal, n, long(1)).unwrap()));
    assert_eq!(fs::read_dir(journal.dir().join(blob::FOLDER)).unwrap().count(), 1);
}

#[test]
fn what_is_no_run_is_refused_by_name() {
    let root = tempdir().unwrap();
    let error = Journal::resume(&root.path().join("none"), vec![], Options::default()).unwrap_err();
    assert!(matches!(error, JournalError::Missing { .. }), "{error}");
    let error = read(&root.path().join("none")).unwrap_err();
    assert!(matches!(error, JournalError::Missing { .. }), "{error}");
    let error = read(root.path()).unwrap_err();
    assert!(matches!(error, JournalError::NeverBegan { .. }), "{error}");
}

#[test]
#[cfg(unix)]
fn a_spill_file_that_is_no_plain_file_of_ours_is_not_taken_in() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let spill = tempdir().unwrap();
    let real = root.path().join("elsewhere.jsonl");
    fs::write(&real, fs::read(file(&dir)).unwrap()).unwrap();
    let name = format!("fanout-{}-spill-1.jsonl", dir.file_name().unwrap().to_string_lossy());
    std::os::unix::fs::symlink(&real, spill.path().join(name)).unwrap();
    let options = Options { spill_dir: Some(spill.path().to_owned()), ..Options::default() };
    let (_, past) = Journal::resume(&dir, vec![], options).unwrap();
    assert_eq!(past.records.len(), 7);
    assert_eq!(fs::read_dir(spill.path()).unwrap().count(), 1);
}
