//! The journal cut at every byte and damaged at every bit: what was written, or refused by name.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};

use tempfile::tempdir;

use super::*;
use crate::journal::line::Piece;

#[test]
fn a_journal_cut_at_any_byte_gives_the_records_before_the_cut() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let whole = events(&read(&dir).unwrap());
    let bytes = fs::read(file(&dir)).unwrap();
    let ends: Vec<usize> = line::pieces(&bytes).map(|p| p.at as usize + p.bytes.len() + 1).collect();
    let journal = fs::File::options().write(true).open(file(&dir)).unwrap();
    for cut in (0..bytes.len()).rev() {
        journal.set_len(cut as u64).unwrap();
        let complete = ends.iter().filter(|end| **end <= cut).count();
        let start = ends[..complete].last().copied().unwrap_or(0);
        match read(&dir) {
            Ok(past) => {
                assert_eq!(events(&past), whole[..complete], "cut at {cut}");
                let torn = TornTail { at: start as u64, bytes: (cut - start) as u64 };
                assert_eq!(past.notice, (cut > start).then_some(torn));
                assert_eq!(past.state, RunState::Interrupted);
            }
            Err(error) => {
                assert!(matches!(error, JournalError::NeverBegan { .. }), "cut at {cut}: {error}");
                assert_eq!(complete, 0, "cut at {cut}");
            }
        }
    }
}

/// In place: to write a file anew waits for the disk on some systems.
fn overwrite(path: &Path, at: usize, byte: u8) {
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[byte]).unwrap();
}

#[test]
fn every_flipped_bit_is_refused_by_name_and_the_rest_can_be_salvaged() {
    let root = tempdir().unwrap();
    // Nothing long in it: hashing blobs takes most of the time otherwise.
    let journal = create(root.path(), Options::default());
    finish(&journal, 0, text("zero")).unwrap();
    journal.note(warned("x"));
    block_on(journal.commit(ended(0))).unwrap();
    block_on(journal.close()).unwrap();
    let dir = journal.dir().to_owned();
    let whole = events(&read(&dir).unwrap());
    let bytes = fs::read(file(&dir)).unwrap();
    let first = line::pieces(&bytes).next().unwrap().bytes.len();
    for bit in 0..bytes.len() * 8 {
        overwrite(&file(&dir), bit / 8, bytes[bit / 8] ^ 1 << (bit % 8));
        let Err(JournalError::Damaged(damage)) = read(&dir) else { panic!("bit {bit} was not noticed") };
        assert!(damage.at as usize <= bit / 8, "bit {bit}: {damage}");
        match read_with(&dir, Salvage::Yes) {
            Ok(past) => {
                // A line feed that was harmed takes the lines on both sides with it.
                assert!(past.records.len() >= whole.len() - 2);
                assert!(events(&past).iter().all(|event| whole.contains(event)), "bit {bit}");
            }
            Err(error) => assert!(bit / 8 <= first, "bit {bit}: {error}"),
        }
        overwrite(&file(&dir), bit / 8, bytes[bit / 8]);
    }
}

#[test]
fn a_run_of_zeros_at_the_end_is_a_torn_tail_and_in_the_middle_damage() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let bytes = fs::read(file(&dir)).unwrap();
    fs::write(file(&dir), [&bytes[..], &[0; 700]].concat()).unwrap();
    assert_eq!(read(&dir).unwrap().notice, Some(TornTail { at: bytes.len() as u64, bytes: 700 }));
    let mut holed = bytes;
    holed[300..500].fill(0);
    fs::write(file(&dir), &holed).unwrap();
    assert!(matches!(read(&dir), Err(JournalError::Damaged(_))));
}

fn with_lines(dir: &Path, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let bytes = fs::read(file(dir)).unwrap();
    let line = |piece: Piece<'_>| [piece.bytes, b"\n"].concat();
    let mut lines: Vec<Vec<u8>> = line::pieces(&bytes).map(line).collect();
    change(&mut lines);
    fs::write(file(dir), lines.concat()).unwrap();
}

/// The message without the path.
fn refusal(dir: &Path) -> String {
    read(dir).unwrap_err().to_string().replace(&*file(dir).to_string_lossy(), "FILE")
}

#[test]
fn lines_that_are_missing_doubled_or_swapped_are_refused() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let (bytes, whole) = (fs::read(file(&dir)).unwrap(), events(&read(&dir).unwrap()));
    let at: Vec<u64> = line::pieces(&bytes).map(|piece| piece.at).collect();

    with_lines(&dir, |lines| drop(lines.remove(2)));
    assert_eq!(
        refusal(&dir),
        format!(
            "record at byte {} of FILE is damaged (record 3 should be here, and it is record 4), \
             3 valid records follow",
            at[2]
        )
    );

    fs::write(file(&dir), &bytes).unwrap();
    with_lines(&dir, |lines| lines.swap(2, 3));
    assert!(refusal(&dir).contains("record 3 should be here, and it is record 4"));
    assert_eq!(events(&read_with(&dir, Salvage::Yes).unwrap()), whole);

    fs::write(file(&dir), &bytes).unwrap();
    with_lines(&dir, |lines| lines.insert(3, lines[2].clone()));
    assert!(refusal(&dir).contains("record 4 should be here, and it is record 3"));
    assert_eq!(events(&read_with(&dir, Salvage::Yes).unwrap()), whole);
}

#[test]
fn damage_in_the_middle_says_where_and_how_much_follows() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let mut at = 0;
    with_lines(&dir, |lines| {
        at = lines[0].len() + lines[1].len();
        lines[2][20] ^= 4;
    });
    assert_eq!(
        refusal(&dir),
        format!(
            "record at byte {at} of FILE is damaged (its checksum does not match), 4 valid records follow"
        )
    );
}

#[test]
fn a_blob_that_is_missing_or_harmed_is_named_and_its_record_can_be_left_out() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let blob = fs::read_dir(dir.join(blob::FOLDER)).unwrap().next().unwrap().unwrap().path();
    let hash = blob.file_name().unwrap().to_string_lossy().into_owned();
    let content = fs::read(&blob).unwrap();
    for bit in (0..content.len() * 8).step_by(1009) {
        overwrite(&blob, bit / 8, content[bit / 8] ^ 1 << (bit % 8));
        assert!(refusal(&dir).contains(&format!("its blob {hash} is damaged")), "bit {bit}");
        overwrite(&blob, bit / 8, content[bit / 8]);
    }
    fs::write(&blob, &content[1..]).unwrap();
    assert!(refusal(&dir).contains(&format!("its blob {hash} is damaged")));
    fs::remove_file(&blob).unwrap();
    assert!(refusal(&dir).ends_with(&format!("(its blob {hash} is missing), 2 valid records follow")));
    let past = read_with(&dir, Salvage::Yes).unwrap();
    assert_eq!(past.recall(&key(0)), Some(&text("zero")));
    assert_eq!(past.recall(&key(1)), None);
}

/// Changes the text of a line and seals it again.
fn reseal(line: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(line.clone()).unwrap().replacen(from, to, 1);
    let body = &text[..text.rfind(",\"crc\":").unwrap()];
    *line = format!("{body},\"crc\":\"{:08x}\"}}\n", crc32fast::hash(body.as_bytes())).into_bytes();
}

#[test]
fn a_later_format_is_refused_with_who_can_read_it() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    with_lines(&dir, |lines| {
        reseal(&mut lines[0], "\"format\":1,\"fanout\":\"0.1.0\"", "\"format\":2,\"fanout\":\"3.0.0\"");
        lines.truncate(1);
    });
    let refusal = refusal(&dir);
    assert!(refusal.contains("was written by fanout 3.0.0 (format 2)"), "{refusal}");
    assert!(refusal.contains("reads formats up to 1"), "{refusal}");
    assert!(matches!(list(root.path()).unwrap()[0].glance, Err(JournalError::Newer { format: 2, .. })));
}

#[test]
fn a_record_of_an_unknown_kind_is_refused_by_name() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    with_lines(&dir, |lines| reseal(&mut lines[1], "call_started", "call_dreamt"));
    let refusal = refusal(&dir);
    assert!(refusal.contains("unknown variant `call_dreamt`"), "{refusal}");
}

#[test]
fn a_name_of_a_blob_that_leads_elsewhere_is_not_followed() {
    let root = tempdir().unwrap();
    let dir = small_run(root.path());
    let hash = fs::read_dir(dir.join(blob::FOLDER)).unwrap().next().unwrap().unwrap().file_name();
    with_lines(&dir, |lines| reseal(&mut lines[4], hash.to_str().unwrap(), "../../../../../etc/hostname"));
    assert!(refusal(&dir).contains("`../../../../../etc/hostname` is no hash"));
}
