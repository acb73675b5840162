//! A crash at every operation: whatever was called durable is read back, and nothing else
//! than what was written.

use futures::future::join_all;
use tempfile::tempdir;

use super::world::{Fate, Killed, Op, PowerCut, Reordered, World, crash};
use super::*;

/// A run that was recorded in a [`World`], with what was acknowledged when.
struct Recorded {
    root: tempfile::TempDir,
    run: RunId,
    log: Vec<Op>,
    /// After so many operations this record was called durable.
    durable: Vec<(usize, Arc<Record>)>,
    /// All records.
    all: Vec<Arc<Record>>,
}

fn record() -> Recorded {
    let (root, world) = (tempdir().unwrap(), World::default());
    let mut options = world.options(root.path());
    options.snapshots = vec![Snapshot { name: "plan.yaml".into(), bytes: b"calls: {}".to_vec() }];
    let journal = create(root.path(), options);
    let mut durable = vec![];
    let mut commit = |event| {
        let record = block_on(journal.commit(event)).unwrap().into_inner();
        durable.push((world.count(), record));
    };
    let finished = |n, outcome| Event::CallFinished { instance: nth(n), key: Some(key(n)), outcome };
    journal.note(started(0));
    commit(finished(0, text("zero")));
    journal.note(started(1));
    journal.note(started(2));
    commit(finished(1, long(1)));
    commit(finished(2, failed()));
    let several =
        join_all((3..9).map(|n| journal.commit(finished(n, if n % 2 == 0 { long(n) } else { text("x") }))));
    let several: Vec<_> = block_on(several).into_iter().map(|one| one.unwrap().into_inner()).collect();
    durable.extend(several.into_iter().map(|record| (world.count(), record)));
    let mut commit = |event| {
        let record = block_on(journal.commit(event)).unwrap().into_inner();
        durable.push((world.count(), record));
    };
    commit(warned("a"));
    journal.note(warned("b"));
    commit(ended(0));
    block_on(journal.close()).unwrap();
    let all = read(journal.dir()).unwrap().records;
    Recorded { run: journal.run().clone(), log: world.log(), root, durable, all }
}

impl Recorded {
    /// The run's directory as it is after `count` operations and a crash, under a new root.
    fn crashed(&self, log: &[Op], fate: &mut dyn Fate) -> (tempfile::TempDir, std::path::PathBuf) {
        let after = tempdir().unwrap();
        crash(log, fate, self.root.path(), after.path());
        let dir = folder(after.path()).join(self.run.as_str());
        (after, dir)
    }

    fn durable_after(&self, count: usize) -> impl Iterator<Item = &Arc<Record>> {
        self.durable.iter().filter(move |(at, _)| *at <= count).map(|(_, record)| record)
    }

    fn check(&self, past: &Past, count: usize, what: &str) {
        // What was salvaged has new numbers.
        let salvaged = !past.damage.is_empty();
        let same = |a: &Record, b: &Record| a == b || (salvaged && a.at == b.at && a.event == b.event);
        for record in self.durable_after(count) {
            let kept = past.records.iter().any(|other| same(other, record));
            assert!(kept, "{what} after {count}: {} is gone", record.seq);
        }
        for record in &past.records {
            let written = self.all.iter().any(|other| same(other, record));
            assert!(written, "{what} after {count}: {record:?} was never written");
        }
    }

    /// Where there is nothing to be read, nothing had been promised.
    fn nothing_promised(&self, error: &JournalError, count: usize, what: &str) {
        assert!(
            matches!(error, JournalError::NeverBegan { .. } | JournalError::Missing { .. }),
            "{what} after {count}: {error}"
        );
        assert_eq!(self.durable_after(count).count(), 0, "{what} after {count}: {error}");
    }

    fn check_resume(&self, dir: &Path, count: usize, what: &str, salvage: Salvage) {
        let options = Options { salvage, ..World::default().options(self.root.path()) };
        let (journal, past) = match Journal::resume(dir, vec![], options) {
            Ok(resumed) => resumed,
            Err(error) => return self.nothing_promised(&error, count, what),
        };
        self.check(&past, count, what);
        for record in self.durable_after(count) {
            if let Event::CallFinished { instance, key: Some(key), outcome } = &record.event
                && outcome.is_ok()
            {
                let expected = Outcome { reused: true, ..outcome.clone() };
                assert_eq!(journal.recall(key, instance).map(Durable::into_inner), Some(expected));
                assert_eq!(journal.recall(key, instance), None);
            }
        }
        finish(&journal, 77, long(77)).unwrap();
        block_on(journal.close()).unwrap();
        let again = read(dir).unwrap();
        assert_eq!(again.recall(&key(77)), Some(&long(77)));
        assert_eq!(again.notice, None);
        assert!(again.records.iter().zip(1..).all(|(record, seq)| record.seq == seq));
    }
}

#[test]
fn a_process_killed_at_any_operation_loses_nothing_that_was_called_durable() {
    let recorded = record();
    for count in 0..=recorded.log.len() {
        // Killed between two operations, or in the middle of a write.
        let mut logs = vec![recorded.log[..count].to_vec()];
        if let Some(Op::Append(inode, bytes)) = recorded.log.get(count) {
            for part in [1, bytes.len() / 2, bytes.len() - 1] {
                let torn = Op::Append(*inode, bytes[..part].to_vec());
                logs.push([&recorded.log[..count], &[torn]].concat());
            }
        }
        for log in logs {
            let (_root, dir) = recorded.crashed(&log, &mut Killed);
            match read(&dir) {
                Ok(past) => recorded.check(&past, count, "killed"),
                Err(error) => recorded.nothing_promised(&error, count, "killed"),
            }
            recorded.check_resume(&dir, count, "killed", Salvage::No);
        }
    }
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_called_durable() {
    let recorded = record();
    for count in 0..=recorded.log.len() {
        let (_root, dir) = recorded.crashed(&recorded.log[..count], &mut PowerCut);
        recorded.check_resume(&dir, count, "power cut", Salvage::No);
    }
}

#[test]
fn unsynced_writes_that_survive_in_any_order_change_nothing_that_was_called_durable() {
    let recorded = record();
    let mut refused = 0;
    for count in 0..=recorded.log.len() {
        for seed in 1..=5 {
            let mut fate = Reordered(seed * 7919 + count as u64);
            let (_root, dir) = recorded.crashed(&recorded.log[..count], &mut fate);
            let mut salvage = Salvage::No;
            match read(&dir) {
                Ok(past) => recorded.check(&past, count, "reordered"),
                // A later page of one write without the earlier one looks like damage.
                Err(JournalError::Damaged(damage)) => {
                    refused += 1;
                    salvage = Salvage::Yes;
                    match read_with(&dir, Salvage::Yes) {
                        Ok(past) => recorded.check(&past, count, "salvaged"),
                        Err(_) => assert_eq!(damage.at, 0, "{damage}"),
                    }
                    if damage.at == 0 {
                        assert_eq!(recorded.durable_after(count).count(), 0, "{damage}");
                        continue;
                    }
                }
                Err(error) => recorded.nothing_promised(&error, count, "reordered"),
            }
            recorded.check_resume(&dir, count, "reordered", salvage);
        }
    }
    assert!(refused > 0, "no seed lost an earlier write and kept a later one");
}

#[test]
fn a_snapshot_is_durable_before_the_first_record() {
    let recorded = record();
    for count in 0..=recorded.log.len() {
        let (_root, dir) = recorded.crashed(&recorded.log[..count], &mut PowerCut);
        if read(&dir).is_ok() {
            assert_eq!(std::fs::read(dir.join("plan.yaml")).unwrap(), b"calls: {}", "after {count}");
        }
    }
}
