//! Following a journal that grows.

use std::fs;

use tempfile::tempdir;

use super::*;

fn numbers(records: &[Arc<Record>]) -> Vec<u64> {
    records.iter().map(|record| record.seq).collect()
}

#[test]
fn each_record_is_handed_over_once_and_what_was_is_never_read_again() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let whole = fs::read(file(&dir)).unwrap();
    let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').map(|at| at + 1).collect();
    fs::write(file(&dir), &whole[..ends[1]]).unwrap();
    let mut tail = Tail::of(&dir);
    assert_eq!(numbers(&tail.more().unwrap()), [1, 2]);
    assert_eq!(numbers(&tail.more().unwrap()), [0_u64; 0]);
    // A line that is being written is not there yet.
    fs::write(file(&dir), &whole[..ends[2] + 20]).unwrap();
    assert_eq!(numbers(&tail.more().unwrap()), [3]);
    // Whoever read the beginning again would find it damaged.
    let mut spoilt = whole.clone();
    spoilt[..ends[1]].fill(b'x');
    fs::write(file(&dir), &spoilt).unwrap();
    let rest = tail.more().unwrap();
    assert_eq!(numbers(&rest), [4, 5, 6, 7]);
    let past = {
        fs::write(file(&dir), &whole).unwrap();
        read(&dir).unwrap()
    };
    assert_eq!(rest, past.records[3..]);
}

#[test]
fn damage_and_a_run_without_a_beginning_are_told_as_by_a_reader_of_the_whole() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let mut tail = Tail::of(&dir);
    assert_eq!(tail.more().unwrap().len(), 7);
    let mut bytes = fs::read(file(&dir)).unwrap();
    let length = bytes.len();
    bytes.extend_from_slice(b"{\"seq\":8}\n");
    fs::write(file(&dir), &bytes).unwrap();
    assert!(matches!(tail.more(), Err(JournalError::Damaged(damage)) if damage.at == length as u64));
    fs::write(file(&dir), "").unwrap();
    assert!(matches!(Tail::of(&dir).more(), Err(JournalError::NeverBegan { .. })));
    assert!(matches!(Tail::of(root.path()).more(), Err(JournalError::NeverBegan { .. })));
}
