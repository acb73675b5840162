//! Names in a list: neighbours that only their number tells apart as one range, and bounded.

/// Names and ranges listed before the rest is counted.
const LISTED: usize = 12;
/// From so many neighbours on they are a range.
const RANGE: usize = 3;

/// An instance and how people call it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::report) struct Named {
    /// The instance: `review[2]`.
    pub(in crate::report) call: String,
    /// For people.
    pub(in crate::report) name: String,
}

/// Several of them, in plan order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::report) struct Who(pub(in crate::report) Vec<Named>);

/// A piece of a list of names, and the instance that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) struct Listed<'w> {
    pub(in crate::report) text: String,
    /// The first of a range; `None` for the count of the rest.
    pub(in crate::report) call: Option<&'w str>,
}

impl Who {
    /// `ada, sample 1-3, sample 7, 5 more`.
    pub(in crate::report) fn text(&self) -> String {
        let pieces: Vec<String> = self.listed().into_iter().map(|piece| piece.text).collect();
        pieces.join(", ")
    }

    /// The same in pieces.
    pub(in crate::report) fn listed(&self) -> Vec<Listed<'_>> {
        let names = &self.0;
        let mut out = Vec::new();
        let mut at = 0;
        while let Some(named) = names.get(at) {
            if out.len() == LISTED {
                out.push(Listed { text: format!("{} more", names.len() - at), call: None });
                break;
            }
            let length = run(names.get(at..).unwrap_or_default());
            let last = names.get(at + length.saturating_sub(1)).and_then(|last| parts(&last.name));
            let text = match (length >= RANGE, parts(&named.name), last) {
                (true, Some((before, first, after)), Some((_, last, _))) => {
                    at += length;
                    format!("{before}{first}-{last}{after}")
                }
                _ => {
                    at += 1;
                    named.name.clone()
                }
            };
            out.push(Listed { text, call: Some(&named.call) });
        }
        out
    }

    /// How many they are.
    pub(in crate::report) fn len(&self) -> usize {
        self.0.len()
    }

    /// True where nobody is named.
    pub(in crate::report) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True where this instance is one of them.
    pub(in crate::report) fn has(&self, call: &str) -> bool {
        self.0.iter().any(|named| named.call == call)
    }
}

/// How many names from the first on count up one by one.
fn run(names: &[Named]) -> usize {
    let pairs = names.windows(2).take_while(|pair| match pair {
        [a, b] => matches!(
            (parts(&a.name), parts(&b.name)),
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

    fn who(names: &[&str]) -> Who {
        Who(names.iter().map(|name| Named { call: format!("c {name}"), name: (*name).to_owned() }).collect())
    }

    fn show(names: &[&str]) -> String {
        who(names).text()
    }

    #[test]
    fn neighbours_are_a_range_and_the_rest_is_counted() {
        assert_eq!(show(&["ada", "s 1", "s 2", "s 3", "s 7", "s 8"]), "ada, s 1-3, s 7, s 8");
        assert_eq!(show(&["r[0]", "r[1]", "r[2]", "t[3]"]), "r[0-2], t[3]");
        assert_eq!(show(&["gpt-5", "gpt-6"]), "gpt-5, gpt-6");
        assert_eq!(show(&["é9", "é10", "é11"]), "é9-11");
        assert_eq!(show(&["v01", "v02", "v03"]), "v01, v02, v03");
        let many: Vec<String> = (0..20).map(|n| format!("n{}", n * 2)).collect();
        let many = show(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(many.ends_with("n22, 8 more"), "{many}");
        assert_eq!(show(&[]), "");
    }

    #[test]
    fn a_range_leads_to_its_first() {
        let who = who(&["s 1", "s 2", "s 3"]);
        assert_eq!(who.listed(), [Listed { text: "s 1-3".to_owned(), call: Some("c s 1") }]);
    }
}
