//! Listing runs and finding the one that is meant.

use std::fs;

use tempfile::tempdir;

use super::*;
use crate::outcome::Usage;
use crate::unit::{Tokens, Usd};

fn rename(dir: &Path, name: &str) {
    fs::rename(dir, dir.with_file_name(name)).unwrap();
}

#[test]
fn a_listing_has_the_newest_first_and_bad_ones_among_them() {
    let root = tempdir().unwrap();
    assert_eq!(list(root.path()).unwrap().len(), 0);
    rename(&small_run(root.path()), "20260101-000000-0001");
    rename(&small_run(root.path()), "20260103-000000-0003");
    fs::create_dir(folder(root.path()).join("20260102-000000-0002")).unwrap();
    fs::write(folder(root.path()).join("a file"), "").unwrap();
    let listed: Vec<_> = list(root.path())
        .unwrap()
        .into_iter()
        .map(|one| (one.run.to_string(), one.glance.map(|glance| glance.state).map_err(|e| e.to_string())))
        .collect();
    let never = folder(root.path()).join("20260102-000000-0002");
    assert_eq!(
        listed,
        [
            ("20260103-000000-0003".to_owned(), Ok(RunState::Finished)),
            (
                "20260102-000000-0002".to_owned(),
                Err(format!(
                    "the run in {} never began: it was stopped before its first record",
                    never.display()
                ))
            ),
            ("20260101-000000-0001".to_owned(), Ok(RunState::Finished)),
        ]
    );
}

#[test]
fn a_glance_counts_what_ended_and_what_it_cost() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    let usage =
        Usage { input: Tokens(10), output: Tokens(5), requests: 1, cost: Some(Usd(7)), ..Usage::default() };
    finish(&journal, 0, Outcome { usage, ..long(0) }).unwrap();
    finish(&journal, 1, Outcome { usage, ..text("b") }).unwrap();
    finish(&journal, 2, Outcome { usage, reused: true, ..text("c") }).unwrap();
    block_on(journal.commit(ended(1))).unwrap();
    drop(journal);
    let past = read(&list(root.path()).unwrap()[0].dir).unwrap();
    let glance = list(root.path()).unwrap().remove(0).glance.unwrap();
    let twice =
        Usage { input: Tokens(20), output: Tokens(10), requests: 2, cost: Some(Usd(14)), ..Usage::default() };
    assert_eq!(
        glance,
        Glance {
            name: "demo".into(),
            description: Some("Looks around".into()),
            plan: "plan.yaml".into(),
            started: past.records[0].at,
            last: past.records[4].at,
            state: RunState::Finished,
            finished: past.finished().cloned(),
            ended: 3,
            usage: twice,
        }
    );
}

#[test]
fn a_run_is_found_by_its_name_its_beginning_its_last_digits_or_as_the_last() {
    let root = tempdir().unwrap();
    let runs = ["20260101-000000-00aa", "20260102-000000-00bb", "20260102-111111-00cc"];
    for run in runs {
        fs::create_dir_all(folder(root.path()).join(run)).unwrap();
    }
    let found = |text: &str| {
        find(root.path(), text).map(|dir| dir.file_name().unwrap().to_string_lossy().into_owned())
    };
    assert_eq!(found("last").unwrap(), runs[2]);
    assert_eq!(found(runs[0]).unwrap(), runs[0]);
    assert_eq!(found("20260101").unwrap(), runs[0]);
    assert_eq!(found("00bb").unwrap(), runs[1]);
    assert_eq!(
        found("20260102").unwrap_err().to_string(),
        "`20260102` fits 2 runs: `20260102-111111-00cc`, `20260102-000000-00bb`"
    );
    assert_eq!(
        found("20260101-000000-00ab").unwrap_err().to_string(),
        "there is no run `20260101-000000-00ab`; did you mean `20260101-000000-00aa`, \
         `20260102-000000-00bb`, `20260102-111111-00cc`?"
    );
    for outside in ["", ".", "..", "../runs", "/"] {
        assert!(matches!(find(root.path(), outside), Err(FindError::Unknown { .. })), "{outside:?}");
    }
    let empty = tempdir().unwrap();
    assert!(matches!(find(empty.path(), "last"), Err(FindError::None { .. })));
}

#[test]
fn runs_that_begin_in_the_same_second_have_names_of_their_own() {
    let root = tempdir().unwrap();
    let journals: Vec<_> = (0..20).map(|_| create(root.path(), Options::default())).collect();
    for journal in &journals {
        let name = journal.run().as_str();
        let shape: String = name.chars().map(|c| if c.is_ascii_hexdigit() { '0' } else { c }).collect();
        assert_eq!(shape, "00000000-000000-0000", "{name}");
        assert_eq!(read(journal.dir()).unwrap().head.run, *journal.run());
    }
    assert_eq!(list(root.path()).unwrap().len(), 20);
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_written_is_refused_before_anything_starts() {
    let root = tempdir().unwrap();
    fs::write(root.path().join(".fanout"), "a file").unwrap();
    let error = Journal::create(root.path(), head, vec![], Options::default()).unwrap_err();
    let JournalError::Storage(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.saved, 0);
}
