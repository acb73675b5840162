//! What is told when, and how many syncs it takes.

use std::sync::Mutex;

use futures::future::{join_all, poll_immediate};
use tempfile::tempdir;

use super::world::World;
use super::*;

#[test]
fn results_that_come_while_a_sync_runs_share_the_next_one() {
    let (root, world) = (tempdir().unwrap(), World::default());
    let journal = create(root.path(), world.options(root.path()));
    let before = (world.syncs(), world.count());
    world.close_gate();
    let mut first = Box::pin(journal.finish(nth(0), Some(key(0)), text("x")));
    assert!(block_on(poll_immediate(&mut first)).is_none());
    // The first record is written and its sync waits at the gate.
    world.wait_for(before.1 + 1);
    let finish = |n| journal.finish(nth(n), Some(key(n)), text("x"));
    let mut others = Box::pin(join_all((1..=1000).map(finish)));
    assert!(block_on(poll_immediate(&mut others)).is_none());
    world.open_gate();
    block_on(first).unwrap();
    assert!(block_on(others).iter().all(Result::is_ok));
    assert_eq!(world.syncs() - before.0, 2);
}

#[test]
fn nobody_hears_of_a_record_before_it_is_as_safe_as_it_must_be() {
    let (root, world) = (tempdir().unwrap(), World::default());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let (world, heard) = (world.clone(), Arc::clone(&heard));
        Box::new(move |record: &Arc<Record>| {
            let (written, durable) = world.journal();
            let mut line = Vec::new();
            line::encode(record, usize::MAX, &mut line, &mut Vec::new()).unwrap();
            let is_in = |file: &[u8]| file.windows(line.len()).any(|window| window == line);
            heard.lock().unwrap().push((record.seq, is_in(&written), is_in(&durable)));
        })
    };
    let journal = Journal::create(root.path(), head, vec![listener], world.options(root.path())).unwrap();
    let progress = |text: &str| Event::CallProgressed {
        instance: nth(0),
        activity: text.into(),
        tokens: crate::unit::Tokens(0),
    };
    // One batch: the writer is held at the gate while it comes together.
    let before = world.count();
    world.close_gate();
    let mut first = Box::pin(journal.commit(warned("2")));
    assert!(block_on(poll_immediate(&mut first)).is_none());
    world.wait_for(before + 1);
    journal.note(warned("3"));
    journal.note(progress("after 3"));
    let mut second = Box::pin(journal.commit(warned("4")));
    assert!(block_on(poll_immediate(&mut second)).is_none());
    journal.note(progress("after 4"));
    let mut third = Box::pin(journal.commit(warned("5")));
    assert!(block_on(poll_immediate(&mut third)).is_none());
    journal.note(warned("6"));
    world.open_gate();
    block_on(first).unwrap();
    block_on(second).unwrap();
    block_on(third).unwrap();
    block_on(journal.close()).unwrap();
    let heard = heard.lock().unwrap().clone();
    assert_eq!(
        heard,
        [
            (1, true, true),
            (2, true, true),
            (3, true, false),
            (3, false, false),
            (4, true, true),
            (4, false, false),
            (5, true, true),
            (6, true, true),
        ]
    );
    let seqs: Vec<u64> = read(journal.dir()).unwrap().records.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn who_waits_for_the_write_alone_does_not_wait_for_a_sync() {
    let (root, world) = (tempdir().unwrap(), World::default());
    let journal = create(root.path(), world.options(root.path()));
    let before = (world.syncs(), world.count());
    // Nothing would come of a sync from here on.
    world.close_gate();
    journal.note_before_more(warned("2"));
    block_on(journal.write(warned("3"))).unwrap();
    // Both are in the file, by one write, and nothing else was done.
    assert_eq!((world.syncs(), world.count()), (before.0, before.1 + 1));
    assert_eq!(read(journal.dir()).unwrap().records.len(), 3);
    world.open_gate();
    block_on(journal.commit(warned("4"))).unwrap();
    assert_eq!((world.syncs(), world.count()), (before.0 + 1, before.1 + 3));
}

#[test]
fn what_nothing_follows_after_all_is_there_at_the_end() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    let dir = journal.dir().to_owned();
    journal.note_before_more(warned("2"));
    drop(journal);
    assert_eq!(read(&dir).unwrap().records.len(), 2);
}

#[test]
fn a_listener_that_panics_leaves_nobody_waiting() {
    let root = tempdir().unwrap();
    let listener = Box::new(|record: &Arc<Record>| assert_eq!(record.seq, 1, "on purpose"));
    let journal = Journal::create(root.path(), head, vec![listener], Options::default()).unwrap();
    journal.note(warned("x"));
    assert!(matches!(block_on(journal.commit(warned("y"))), Err(JournalError::Closed)));
    assert!(matches!(block_on(journal.close()), Err(JournalError::Closed)));
}

#[test]
fn what_was_noted_before_the_journal_was_dropped_is_there() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    let dir = journal.dir().to_owned();
    (0..100).for_each(|n| journal.note(started(n)));
    drop(journal);
    assert_eq!(read(&dir).unwrap().records.len(), 101);
}

#[test]
fn a_wait_that_is_given_up_does_not_unmake_the_record() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    let _ = block_on(poll_immediate(Box::pin(journal.finish(nth(0), Some(key(0)), text("x")))));
    block_on(journal.close()).unwrap();
    assert_eq!(read(journal.dir()).unwrap().recall(&key(0)), Some(&text("x")));
}

#[test]
fn after_close_everything_is_refused() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    block_on(journal.close()).unwrap();
    journal.note(started(0));
    assert!(matches!(block_on(journal.write(started(0))), Err(JournalError::Closed)));
    assert!(matches!(finish(&journal, 0, text("x")), Err(JournalError::Closed)));
    block_on(journal.close()).unwrap();
    assert_eq!(read(journal.dir()).unwrap().records.len(), 1);
}

#[test]
fn what_listeners_hear_is_what_is_read_back() {
    let root = tempdir().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&heard);
    let listener = Box::new(move |record: &Arc<Record>| into.lock().unwrap().push((**record).clone()));
    let journal = Journal::create(root.path(), head, vec![listener], Options::default()).unwrap();
    finish(&journal, 0, long(0)).unwrap();
    block_on(journal.commit(ended(0))).unwrap();
    block_on(journal.close()).unwrap();
    let past = read(journal.dir()).unwrap();
    assert_eq!(
        past.records.iter().map(|record| (**record).clone()).collect::<Vec<_>>(),
        *heard.lock().unwrap()
    );
}
