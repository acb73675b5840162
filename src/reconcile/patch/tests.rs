//! Changes of one file, made as git makes them, merged and compared.

use similar::TextDiff;

use super::block::{clashes, merge};
use crate::workspace::patch::parse;

fn patch(from: &str, to: &str) -> String {
    let diff = TextDiff::from_lines(from, to);
    let body = diff.unified_diff().context_radius(3).header("a/f", "b/f").to_string();
    format!("diff --git a/f b/f\nindex 1..2 100644\n{body}")
}

/// What a patch makes of a text, checking every line that it says is there.
fn applied(base: &str, patch: &str) -> String {
    let lines: Vec<&str> = base.split_inclusive('\n').collect();
    let mut at = 0;
    let mut out = String::new();
    for hunk in &parse(patch)[0].hunks {
        let has_old = hunk.lines.iter().any(|line| line.side != crate::workspace::patch::Side::New);
        let start = if has_old { hunk.start as usize - 1 } else { hunk.start as usize };
        out.push_str(&lines[at..start].concat());
        at = start;
        for line in &hunk.lines {
            let text = if line.ended { format!("{}\n", line.text) } else { line.text.clone() };
            match line.side {
                crate::workspace::patch::Side::New => out.push_str(&text),
                crate::workspace::patch::Side::Both | crate::workspace::patch::Side::Old => {
                    assert_eq!(lines[at], text);
                    at += 1;
                    if line.side == crate::workspace::patch::Side::Both {
                        out.push_str(&text);
                    }
                }
            }
        }
    }
    out.push_str(&lines[at..].concat());
    out
}

fn numbered(count: usize) -> String {
    (1..=count).map(|n| format!("line {n}\n")).collect()
}

#[test]
fn changes_of_different_places_are_merged_and_those_of_the_same_place_are_told() {
    let base = numbered(40);
    let one = base.replace("line 2\n", "LINE 2\n").replace("line 30\n", "");
    let two = base.replace("line 6\n", "line 6\nmore\n").replace("line 39\n", "LINE 39\n");
    let (a, b) = (patch(&base, &one), patch(&base, &two));
    let (a, b) = (parse(&a).remove(0), parse(&b).remove(0));
    assert_eq!(clashes(&a, &b), []);
    let both = merge(&[&a, &b]);
    let wanted = one.replace("line 6\n", "line 6\nmore\n").replace("line 39\n", "LINE 39\n");
    assert_eq!(applied(&base, &both), wanted, "{both}");
    let three = base.replace("line 3\n", "drei\n");
    let c = parse(&patch(&base, &three)).remove(0);
    let found = clashes(&a, &c);
    assert_eq!(found.len(), 1, "lines next to each other");
    assert_eq!((found[0].line, found[0].mine.as_str()), (Some(2), "-line 2\n+LINE 2"));
    assert_eq!(found[0].theirs, "-line 3\n+drei");
    assert_eq!(clashes(&b, &c), []);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]
    #[test]
    fn what_does_not_clash_can_be_merged_and_has_every_change(
        edits in proptest::collection::vec((0usize..60, 0u8..3, 0usize..2), 1..8)
    ) {
        let lines: Vec<String> = (0..60).map(|n| format!("line {n}\n")).collect();
        let base = lines.concat();
        let make = |who: usize| {
            let mut lines = lines.clone();
            for (at, what, _) in edits.iter().filter(|(_, _, by)| *by == who) {
                lines[*at] = match what {
                    0 => String::new(),
                    1 => format!("by {who} {at}\n"),
                    _ => format!("line {at}\nafter {who} {at}\n"),
                };
            }
            lines.concat()
        };
        let (one, two) = (make(0), make(1));
        if one != base && two != base && one != two {
            let (a, b) = (patch(&base, &one), patch(&base, &two));
            let (a, b) = (parse(&a).remove(0), parse(&b).remove(0));
            if clashes(&a, &b).is_empty() {
                let merged = applied(&base, &merge(&[&a, &b]));
                let turned = applied(&base, &merge(&[&b, &a]));
                proptest::prop_assert_eq!(&merged, &turned);
                for (at, what, by) in &edits {
                    if *what == 1 && edits.iter().all(|(other, _, _)| other != at || *other == *at && edits.iter().filter(|(o, _, _)| o == at).count() == 1) {
                        let wanted = format!("by {} {}\n", by, at);
                        proptest::prop_assert!(merged.contains(&wanted));
                    }
                }
            }
        }
    }
}
