//! The folder of a run as people find it.

use std::fs;

use tempfile::tempdir;

use super::*;

fn folder_of(dir: &Path) -> Vec<(String, String)> {
    let file = |entry: fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path()).unwrap())
    };
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| file(entry.unwrap())).collect();
    files.sort();
    files
}

fn run(root: &Path) -> std::path::PathBuf {
    let journal = create(root, Options::default());
    let graph = InstanceId::only(id("graph"));
    block_on(journal.finish(graph, None, text("a -> b"))).unwrap();
    finish(&journal, 3, Outcome::ok(Output::json(json!({"a": [1]})))).unwrap();
    finish(&journal, 4, text(" \n")).unwrap();
    finish(&journal, 5, Outcome { output: Output::text("half"), ..failed() }).unwrap();
    let step = CallId::parent_step();
    let result = json!({"n": 1});
    block_on(journal.commit(Event::Reconciled { step, result, text: "all agree".into() })).unwrap();
    block_on(journal.close()).unwrap();
    journal.dir().to_owned()
}

fn expected() -> Vec<(String, String)> {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    vec![
        file("(reconcile).txt", "all agree"),
        file("graph.txt", "a -> b"),
        file("review.3.json", "{\n  \"a\": [\n    1\n  ]\n}\n"),
        file("review.5.txt", "half"),
    ]
}

#[test]
fn every_output_is_a_file_under_its_calls_name() {
    let root = tempdir().unwrap();
    let dir = run(root.path());
    assert_eq!(folder_of(&dir.join("outputs")), expected());
    let graph = InstanceId::only(id("graph"));
    assert_eq!(output_path(&dir, &graph, &Output::text("a -> b")), dir.join("outputs/graph.txt"));
}

#[test]
fn missing_output_files_are_made_again_from_the_journal() {
    let root = tempdir().unwrap();
    let dir = run(root.path());
    fs::remove_dir_all(dir.join("outputs")).unwrap();
    fs::create_dir(dir.join("outputs")).unwrap();
    drop(Journal::resume(&dir, vec![], Options::default()).unwrap());
    assert_eq!(folder_of(&dir.join("outputs")), expected());
}

#[test]
#[cfg(unix)]
fn a_link_in_the_place_of_an_output_file_is_replaced_not_followed() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    let victim = root.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let planted = journal.dir().join("outputs/review.0.txt");
    std::os::unix::fs::symlink(&victim, &planted).unwrap();
    finish(&journal, 0, text("zero")).unwrap();
    block_on(journal.close()).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(fs::read_to_string(&planted).unwrap(), "zero");
}

#[test]
fn an_output_file_that_cannot_be_written_is_a_warning_and_no_failure() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    fs::remove_dir_all(journal.dir().join("outputs")).unwrap();
    finish(&journal, 0, text("zero")).unwrap();
    finish(&journal, 1, text("one")).unwrap();
    block_on(journal.close()).unwrap();
    let past = read(journal.dir()).unwrap();
    let warnings = past.records.iter().filter(|r| matches!(r.event, Event::Warned { .. }));
    assert_eq!(warnings.count(), 1);
    assert_eq!(past.recall(&key(1)), Some(&text("one")));
}

#[test]
#[cfg(unix)]
fn a_run_is_its_owners_alone_and_git_does_not_see_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempdir().unwrap();
    let snapshot = Snapshot { name: "plan.yaml".into(), bytes: b"calls: {}\n".to_vec() };
    let journal = create(root.path(), Options { snapshots: vec![snapshot], ..Options::default() });
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(journal.dir()), 0o700);
    assert_eq!(mode(&file(journal.dir())), 0o600);
    assert_eq!(fs::read_to_string(root.path().join(".fanout/.gitignore")).unwrap(), "*\n");
    assert_eq!(fs::read_to_string(journal.dir().join("plan.yaml")).unwrap(), "calls: {}\n");
    fs::write(root.path().join(".fanout/.gitignore"), "mine\n").unwrap();
    drop(create(root.path(), Options::default()));
    assert_eq!(fs::read_to_string(root.path().join(".fanout/.gitignore")).unwrap(), "mine\n");
}

#[test]
fn a_snapshot_cannot_take_a_name_of_the_journals_own_or_leave_the_folder() {
    for bad in ["lock", "journal.jsonl", "blobs", "outputs", "../x", "a/b", "", ".", "/x", "a/"] {
        let root = tempdir().unwrap();
        let snapshot = Snapshot { name: bad.into(), bytes: vec![] };
        let options = Options { snapshots: vec![snapshot], ..Options::default() };
        let error = Journal::create(root.path(), head, vec![], options).unwrap_err();
        assert!(matches!(error, JournalError::Snapshot { .. }), "{bad:?}: {error}");
        assert!(!root.path().join(".fanout").exists());
    }
}

#[test]
fn of_thousands_of_short_outputs_the_first_have_a_file_and_of_long_ones_all() {
    let root = tempdir().unwrap();
    let journal = create(root.path(), Options::default());
    (0..150).for_each(|n| {
        finish(&journal, n, text(format!("short {n}"))).unwrap();
    });
    finish(&journal, 300, text("long ".repeat(1000))).unwrap();
    let passed = journal.output_file(&nth(149), &Output::text("short 149"));
    assert_eq!(fs::read_to_string(&passed).unwrap(), "short 149");
    block_on(journal.close()).unwrap();
    let dir = journal.dir().join("outputs");
    let expected = |n: u32| n < 100 || n == 149 || n == 300;
    let there = |n: u32| dir.join(format!("review.{n}.txt")).exists();
    assert_eq!((0..=300).filter(|n| there(*n) != expected(*n)).collect::<Vec<_>>(), [0; 0]);
    let note = fs::read_to_string(dir.join("(more).txt")).unwrap();
    let run = journal.run().as_str();
    assert!(note.contains("the first 100") && note.contains(&format!("show {run} CALL --raw")), "{note}");
    // A process that goes on counts those that were there before.
    let run = journal.dir().to_owned();
    drop(journal);
    drop(Journal::resume(&run, vec![], Options::default()).unwrap());
    assert!(!there(101));
}
