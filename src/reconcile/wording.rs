//! How values, names and shares are put into words, always bounded.

use serde_json::Value;

/// How many names a sentence lists before it only counts.
const NAMES: usize = 8;

/// A value on one line of at most `width` characters: a string without quotes, else compact JSON.
pub(super) fn show(value: &Value, width: usize) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    };
    one_line(&text, width)
}

/// The text with white space collapsed, cut to `width` characters with a visible mark.
pub(super) fn one_line(text: &str, width: usize) -> String {
    let mut flat = String::new();
    for word in text.split_whitespace() {
        if !flat.is_empty() {
            flat.push(' ');
        }
        flat.push_str(word);
        if flat.len() > width * 4 {
            break;
        }
    }
    match flat.char_indices().nth(width) {
        None => flat,
        Some(_) => {
            let cut = flat.char_indices().nth(width.saturating_sub(1)).map_or(0, |(at, _)| at);
            format!("{}…", flat.get(..cut).unwrap_or_default().trim_end())
        }
    }
}

/// The first `lines` lines of a text, each with `indent` before it, and a line that counts the rest.
pub(super) fn excerpt(text: &str, lines: usize, indent: &str) -> String {
    let text = text.trim_end().trim_start_matches('\n');
    let total = text.lines().count();
    let mut shown: Vec<String> = text.lines().take(lines).map(|line| format!("{indent}{line}")).collect();
    if total > lines {
        shown.push(format!("{indent}… {}", counted(total - lines, "more line")));
    }
    shown.join("\n")
}

/// `a, b, c`, and from the ninth on only how many more.
pub(super) fn names<S: AsRef<str>>(all: &[S]) -> String {
    let listed: Vec<&str> = all.iter().take(NAMES).map(AsRef::as_ref).collect();
    let listed = listed.join(", ");
    if all.len() > NAMES { format!("{listed} and {} more", all.len() - NAMES) } else { listed }
}

/// `1 vote`, `3 votes`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `60 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A number for JSON: rounded to four decimals, so that nobody reads meaning into noise.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_long_value_is_cut_with_a_mark_and_never_inside_a_character() {
        assert_eq!(show(&json!("éééé"), 4), "éééé");
        assert_eq!(show(&json!("ééééé"), 4), "ééé…");
        assert_eq!(show(&json!({"a": [1, 2]}), 40), r#"{"a":[1,2]}"#);
        assert_eq!(show(&json!("two\n  lines"), 40), "two lines");
    }

    #[test]
    fn long_lists_end_in_a_count() {
        let all: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        assert_eq!(names(&all), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
        assert_eq!(excerpt("a\nb\nc\n", 2, "  "), "  a\n  b\n  … 1 more line");
    }
}
