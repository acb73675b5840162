//! Names in a list: neighbours that only their number tells apart as one range, and bounded.

use std::fmt::Write as _;

/// Names and ranges listed before the rest is counted.
const LISTED: usize = 12;
/// From so many neighbours on they are a range.
const RANGE: usize = 3;

/// `ada, sample 1-3, sample 7, 5 more`.
pub(super) fn listed(names: &[String]) -> String {
    let mut out = String::new();
    let (mut at, mut entries) = (0, 0);
    while let Some(name) = names.get(at) {
        if entries == LISTED {
            let _ = write!(out, ", {} more", names.len() - at);
            break;
        }
        out.push_str(if entries == 0 { "" } else { ", " });
        entries += 1;
        let length = run(names.get(at..).unwrap_or_default());
        let last = names.get(at + length.saturating_sub(1)).and_then(|last| parts(last));
        match (length >= RANGE, parts(name), last) {
            (true, Some((before, first, after)), Some((_, last, _))) => {
                let _ = write!(out, "{before}{first}-{last}{after}");
                at += length;
            }
            _ => {
                out.push_str(name);
                at += 1;
            }
        }
    }
    out
}

/// How many names from the first on count up one by one.
fn run(names: &[String]) -> usize {
    let pairs = names.windows(2).take_while(|pair| match pair {
        [a, b] => matches!(
            (parts(a), parts(b)),
            (Some((before, n, after)), Some((same, next, end))) if before == same && after == end && n + 1 == next
        ),
        _ => false,
    });
    pairs.count() + 1
}

/// A name around its last number, where that is written plainly.
fn parts(name: &str) -> Option<(&str, u64, &str)> {
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let (head, after) = name.split_at_checked(end)?;
    let start = head
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + head.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8));
    let (before, digits) = head.split_at_checked(start)?;
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((before, digits.parse().ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(names: &[&str]) -> String {
        listed(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn neighbours_are_a_range_and_the_rest_is_counted() {
        assert_eq!(show(&["ada", "s 1", "s 2", "s 3", "s 7", "s 8"]), "ada, s 1-3, s 7, s 8");
        assert_eq!(show(&["r[0]", "r[1]", "r[2]", "t[3]"]), "r[0-2], t[3]");
        assert_eq!(show(&["gpt-5", "gpt-6"]), "gpt-5, gpt-6");
        assert_eq!(show(&["é9", "é10", "é11"]), "é9-11");
        assert_eq!(show(&["v01", "v02", "v03"]), "v01, v02, v03");
        let many: Vec<String> = (0..20).map(|n| format!("n{}", n * 2)).collect();
        assert!(listed(&many).ends_with("n22, 8 more"), "{}", listed(&many));
        assert_eq!(show(&[]), "");
    }
}
