//! The disk fails at every operation in turn: the run hears of it, and nothing is lost.

use std::io::ErrorKind;

use tempfile::tempdir;

use super::world::{Trouble, World};
use super::*;

/// What became of a run on a failing disk.
struct Run {
    root: tempfile::TempDir,
    spill: tempfile::TempDir,
    /// `None` if it could not begin.
    dir: Option<std::path::PathBuf>,
    /// The results in hand: those that were sent, and whether they were called durable.
    sent: Vec<(u32, Outcome, bool)>,
    /// What the run was told, first and at its close.
    errors: Vec<JournalError>,
    /// Whether its last record was called durable.
    end_recorded: bool,
}

fn outcome(index: u32) -> Outcome {
    if index % 2 == 1 { long(index) } else { text("short") }
}

/// Records six results, one or two at a time; after an error it only ends what is running.
fn run(world: &World) -> Run {
    let (root, spill) = (tempdir().unwrap(), tempdir().unwrap());
    let mut run = Run { root, spill, dir: None, sent: vec![], errors: vec![], end_recorded: false };
    let journal = match Journal::create(run.root.path(), head, vec![], world.options(run.spill.path())) {
        Ok(journal) => journal,
        Err(error) => {
            run.errors.push(error);
            return run;
        }
    };
    run.dir = Some(journal.dir().to_owned());
    for pair in [0, 2, 4] {
        if !run.errors.is_empty() {
            break;
        }
        let both = [pair, pair + 1];
        both.iter().for_each(|n| journal.note(started(*n)));
        let finish = |n| journal.finish(nth(n), Some(key(n)), outcome(n));
        let results = block_on(futures::future::join_all(both.map(finish)));
        for (n, result) in both.into_iter().zip(results) {
            run.sent.push((n, outcome(n), result.is_ok()));
            run.errors.extend(result.err());
        }
    }
    let exit = if run.errors.is_empty() { 0 } else { 7 };
    let end = block_on(journal.commit(ended(exit)));
    run.end_recorded = end.is_ok();
    run.errors.extend(end.err());
    run.errors.extend(block_on(journal.close()).err());
    run
}

impl Run {
    /// Everything that was called durable is there; after a resume on a sound disk, every
    /// result that ever was in hand is.
    fn check(&self, what: &str) {
        let Some(dir) = &self.dir else {
            assert_eq!(list(self.root.path()).unwrap().len(), 0, "{what}: something is left");
            return;
        };
        let past = read(dir).unwrap_or_else(|error| panic!("{what}: {error}"));
        for (n, outcome, durable) in &self.sent {
            if *durable {
                assert_eq!(past.recall(&key(*n)), Some(outcome), "{what}");
            }
        }
        for error in &self.errors {
            let JournalError::Storage(failure) = error else { panic!("{what}: {error}") };
            assert_eq!(failure.lost, 0, "{what}: {failure}");
            assert!(failure.saved >= past_durable(self), "{what}: {failure}");
        }
        let sound = World::default().options(self.spill.path());
        let (journal, past) = Journal::resume(dir, vec![], sound).unwrap();
        for (n, outcome, _) in &self.sent {
            assert_eq!(past.recall(&key(*n)), Some(outcome), "{what}: result {n} is lost");
            assert!(journal.recall(&key(*n), &nth(*n)).is_some());
        }
        finish(&journal, 99, text("later")).unwrap();
        block_on(journal.close()).unwrap();
        assert_eq!(std::fs::read_dir(self.spill.path()).unwrap().count(), 0, "{what}");
    }
}

/// The head and each durable result.
fn past_durable(run: &Run) -> u64 {
    1 + run.sent.iter().filter(|(_, _, durable)| *durable).count() as u64
}

fn operations() -> usize {
    let world = World::default();
    assert!(run(&world).errors.is_empty());
    world.count()
}

#[test]
fn an_error_at_any_operation_ends_the_run_with_everything_kept() {
    let total = operations();
    assert!(total >= 30, "{total}");
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::Other] {
        for at in 0..total {
            let world = World::with(Trouble::Once(at, kind));
            let run = run(&world);
            let what = format!("{kind} at operation {at}");
            // An error may go unmentioned only where nothing came of it.
            let unharmed = run.end_recorded && run.sent.iter().all(|(_, _, durable)| *durable);
            assert!(!run.errors.is_empty() || unharmed, "{what}: nobody was told");
            run.check(&what);
        }
    }
}

#[test]
fn after_a_sync_failed_the_file_is_left_alone() {
    for at in 0..operations() {
        let world = World::with(Trouble::Once(at, ErrorKind::Other));
        let run = run(&world);
        let journal = world.journal_inode();
        // Wherever it happened, not one operation more on the journal.
        let later = world.log().into_iter().skip(at + 1);
        let touched = later.filter(|op| op.content_of().is_some_and(|inode| Some(inode) == journal));
        if run.dir.is_some() {
            assert_eq!(touched.count(), 0, "error at {at}");
        }
    }
}

#[test]
fn on_a_full_disk_the_results_in_hand_and_the_end_fit_into_the_reserve() {
    let begun = {
        let (root, world) = (tempdir().unwrap(), World::default());
        drop(create(root.path(), world.options(root.path())));
        world.count() - 1 // The last one trims the file.
    };
    let total = operations();
    for at in 0..total {
        let run = run(&World::with(Trouble::FullFrom(at)));
        let what = format!("full from operation {at}");
        if let Some(dir) = run.dir.as_ref().filter(|_| at >= begun) {
            assert!(run.end_recorded, "{what}");
            let past = read(dir).unwrap();
            for (n, outcome, _) in &run.sent {
                assert_eq!(past.recall(&key(*n)), Some(outcome), "{what}");
            }
        }
        run.check(&what);
    }
}

#[test]
fn the_reserve_holds_many_results_however_long_the_run_was_before() {
    let (root, spill, world) = (tempdir().unwrap(), tempdir().unwrap(), World::default());
    let journal = create(root.path(), world.options(spill.path()));
    let line = "x".repeat(7_000);
    (0..100).for_each(|_| block_on(journal.commit(warned(&line))).map(drop).unwrap());
    world.fill();
    let results = (0..100).map(|n| finish(&journal, n, text(&*line)));
    // Some fit before the reserve is touched; the others are safe too, but the run must end.
    assert!(results.filter(Result::is_ok).count() < 40);
    block_on(journal.commit(ended(7))).unwrap();
    let error = block_on(journal.close()).unwrap_err();
    let JournalError::Storage(failure) = error else { panic!("{error}") };
    assert_eq!((failure.saved, failure.spilled), (202, None));
    let past = read(journal.dir()).unwrap();
    assert!((0..100).all(|n| past.recall(&key(n)) == Some(&text(&*line))));
    assert_eq!(past.finished().map(|end| end.exit), Some(7));
}

#[test]
fn an_error_while_resuming_harms_nothing() {
    let root = tempdir().unwrap();
    let mut bytes = std::fs::read(file(&small_run(root.path()))).unwrap();
    let third = line::pieces(&bytes).nth(2).unwrap().at as usize;
    bytes[third + 30] ^= 1;
    bytes.extend_from_slice(b"{\"seq\":8,");
    let dir = list(root.path()).unwrap().remove(0).dir;
    let salvaging = |world: &World| Options { salvage: Salvage::Yes, ..world.options(root.path()) };
    let mut left = None;
    for at in 0.. {
        std::fs::write(file(&dir), &bytes).unwrap();
        let left = left.get_or_insert_with(|| events(&read_with(&dir, Salvage::Yes).unwrap()));
        let world = World::with(Trouble::Once(at, ErrorKind::Other));
        drop(Journal::resume(&dir, vec![], salvaging(&world)));
        let failed = world.count() > at;
        let (_, past) = Journal::resume(&dir, vec![], salvaging(&World::default())).unwrap();
        assert_eq!(events(&past)[..left.len()], left[..], "error at {at}");
        if !failed {
            assert!(at > 10, "{at}");
            return;
        }
    }
}

#[test]
fn the_error_says_what_is_safe_and_where_the_rest_is() {
    let total = operations();
    let run = (0..total)
        .map(|at| run(&World::with(Trouble::Once(at, ErrorKind::Other))))
        .find(|run| run.sent.len() == 2 && !run.sent[0].2)
        .unwrap();
    let dir = run.dir.as_ref().unwrap().display().to_string();
    let spill = std::fs::read_dir(run.spill.path()).unwrap().next().unwrap().unwrap().path();
    let text = run.errors.last().unwrap().to_string().replace(&dir, "RUN");
    let aside = format!("; 1 record is safe in RUN; 2 finished results are in {} instead", spill.display());
    assert!(text.starts_with("could not ") && text.ends_with(&aside), "{text}");
}
