//! Where items stand, as lines or other numbers, and how far apart they may be.
//!
//! Invariant: all members of a group stand within the window of each other, not only
//! next to each other: the span of a group is checked, not the gaps in it.

use serde_json::Value;

/// Where the items of a group stand, one entry for each field with a window.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    fields: Vec<Extent>,
}

/// On one field: items reach from their first to their last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Extent {
    /// The highest first line.
    first: i64,
    /// The lowest last line.
    last: i64,
    /// How many lines may lie between the last line of one and the first of another.
    window: u32,
}

impl Span {
    /// An item's place on one more field.
    pub(super) fn push(&mut self, (first, last): (i64, i64), window: u32) {
        self.fields.push(Extent { first, last, window });
    }

    /// True when the items of both may stand in one group.
    pub(super) fn fits(&self, other: &Span) -> bool {
        self.fields.len() == other.fields.len()
            && self.fields.iter().zip(&other.fields).all(|(a, b)| {
                let gap = a.first.max(b.first).saturating_sub(a.last.min(b.last));
                gap <= i64::from(a.window)
            })
    }

    /// Takes in the items of `other`.
    pub(super) fn widen(&mut self, other: &Span) {
        for (own, other) in self.fields.iter_mut().zip(&other.fields) {
            own.first = own.first.max(other.first);
            own.last = own.last.min(other.last);
        }
    }
}

/// Splits items into groups that each fit, at the widest gaps first.
///
/// `items` are positions into `spans`; every one of them ends up in exactly one group.
pub(super) fn split(items: Vec<usize>, spans: &[Span]) -> Vec<Vec<usize>> {
    let mut done = Vec::new();
    let mut open = vec![items];
    while let Some(mut items) = open.pop() {
        let Some(field) = too_wide(&items, spans) else {
            done.push(items);
            continue;
        };
        let place = |item: &usize| {
            let extent = spans.get(*item).and_then(|span| span.fields.get(field));
            extent.map_or((0, 0), |extent| (extent.first, extent.last))
        };
        items.sort_by_key(|item| (place(item), *item));
        let mut reached = i64::MIN;
        let mut cut: Option<(i64, std::cmp::Reverse<usize>, usize)> = None;
        for (at, item) in items.iter().enumerate() {
            let (first, last) = place(item);
            if at > 0 {
                // Of equal gaps the one nearest the middle.
                let off = std::cmp::Reverse(at.abs_diff(items.len() / 2));
                cut = cut.max(Some((first.saturating_sub(reached), off, at)));
            }
            reached = reached.max(last);
        }
        let Some((_, _, at)) = cut else {
            done.push(items);
            continue;
        };
        let rest = items.split_off(at);
        open.push(rest);
        open.push(items);
    }
    done
}

/// The first field on which the items do not fit together.
fn too_wide(items: &[usize], spans: &[Span]) -> Option<usize> {
    let mut all = items.iter().filter_map(|item| spans.get(*item));
    let mut whole = all.next()?.clone();
    all.for_each(|span| whole.widen(span));
    whole.fields.iter().position(|extent| extent.first.saturating_sub(extent.last) > i64::from(extent.window))
}

/// The lines that a value names: `42`, `"42"`, `"L42"`, `"40-44"`, `[40, 44]`.
pub(super) fn lines(value: &Value) -> Option<(i64, i64)> {
    match value {
        Value::Number(number) => {
            let line = number.as_i64().or_else(|| {
                let whole = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 1e15)?;
                Some(whole as i64)
            })?;
            Some((line, line))
        }
        Value::String(text) => {
            let (first, last) = text.split_once(['-', '–']).unwrap_or((text, text));
            let number = |text: &str| text.trim().trim_start_matches(['L', 'l']).parse::<i64>().ok();
            let (first, last) = (number(first)?, number(last)?);
            Some((first.min(last), first.max(last)))
        }
        Value::Array(items) => match items.as_slice() {
            [first, last] => {
                let (first, last) = (lines(first)?.0, lines(last)?.1);
                Some((first.min(last), first.max(last)))
            }
            _ => None,
        },
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spans(lines: &[i64]) -> Vec<Span> {
        let span = |line: &i64| {
            let mut span = Span::default();
            span.push((*line, *line), 3);
            span
        };
        lines.iter().map(span).collect()
    }

    #[test]
    fn a_line_is_a_number_a_text_or_a_range() {
        for (value, expected) in [
            (json!(42), Some((42, 42))),
            (json!(42.0), Some((42, 42))),
            (json!("L42"), Some((42, 42))),
            (json!("40-44"), Some((40, 44))),
            (json!("L40-L44"), Some((40, 44))),
            (json!([40, 44]), Some((40, 44))),
            (json!("top"), None),
            (json!(1.5), None),
        ] {
            assert_eq!(lines(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_group_is_never_wider_than_the_window_and_is_cut_at_the_widest_gap() {
        assert_eq!(split((0..5).collect(), &spans(&[10, 13, 14, 14, 14])), [vec![0], vec![1, 2, 3, 4]]);
        assert_eq!(split((0..3).collect(), &spans(&[12, 10, 13])), [vec![0, 1, 2]]);
        assert!(!spans(&[10])[0].fits(&spans(&[14])[0]));
        let mut range = Span::default();
        range.push((10, 40), 3);
        assert!(range.fits(&spans(&[43])[0]) && !range.fits(&spans(&[44])[0]));
    }
}
