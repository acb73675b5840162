//! Numbers inside texts, in one canonical form.
//!
//! Digits are moved as text, so no precision is lost. Digits inside words and
//! versions (`3rd`, `v1.10`, `1.2.3`) are no numbers and stay as they are.

/// The canonical form of a text that is one number and nothing else.
pub(super) fn whole_number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (length, canonical) = number_at(digits)?;
    (length == digits.len()).then(|| signed(sign, &canonical))
}

fn signed(sign: &str, canonical: &str) -> String {
    if canonical == "0" { "0".to_owned() } else { format!("{sign}{canonical}") }
}

/// The text with every number in canonical form. Digits inside words and versions stay.
pub(super) fn numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let before = out.chars().next_back();
        if next.is_alphabetic() || next == '_' {
            let (word, after) = rest.split_at(word_length(rest));
            out.push_str(word);
            rest = after;
            continue;
        }
        let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let sign = match next {
            '-' | '+' if !in_word && !matches!(before, Some(')' | ']')) => Some(next),
            _ => None,
        };
        let after_sign = if sign.is_some() { rest.get(1..).unwrap_or_default() } else { rest };
        if !in_word && starts_number(after_sign) {
            match number_at(after_sign) {
                Some((length, canonical)) => {
                    out.push_str(&signed(if sign == Some('-') { "-" } else { "" }, &canonical));
                    rest = after_sign.get(length..).unwrap_or_default();
                }
                None => {
                    // A version or a word that begins with digits: copied whole, so that its
                    // later digits are not taken for numbers either.
                    let (word, after) = after_sign.split_at(word_length(after_sign));
                    out.extend(sign);
                    out.push_str(word);
                    rest = after;
                }
            }
            continue;
        }
        out.push(next);
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    out
}

/// How many bytes a word is long that `text` begins with; points inside it count, one at its end
/// does not. At least the first character.
fn word_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let inside = c.is_alphanumeric()
            || c == '_'
            || (c == '.' && chars.peek().is_some_and(|(_, next)| next.is_alphanumeric()));
        if !inside {
            return at;
        }
    }
    text.len()
}

fn starts_number(text: &str) -> bool {
    let mut bytes = text.bytes();
    match bytes.next() {
        Some(b'.') => bytes.next().is_some_and(|b| b.is_ascii_digit()),
        Some(first) => first.is_ascii_digit(),
        None => false,
    }
}

/// The number that `text` begins with, without sign: its length in bytes and its canonical form.
/// `None` where a letter or another point follows, as in `3rd` and `1.2.3`.
fn number_at(text: &str) -> Option<(usize, String)> {
    let bytes = text.as_bytes();
    let digits_from = |at: usize| bytes.iter().skip(at).take_while(|b| b.is_ascii_digit()).count();
    let digit_at = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);

    let mut end = digits_from(0);
    if (1..=3).contains(&end) {
        // Groups of thousands: exactly three digits after each comma.
        while bytes.get(end) == Some(&b',') && digits_from(end + 1) == 3 {
            end += 4;
        }
    }
    let whole: String = text.get(..end)?.chars().filter(char::is_ascii_digit).collect();
    let mut fraction = "";
    if bytes.get(end) == Some(&b'.') && digit_at(end + 1) {
        let length = digits_from(end + 1);
        fraction = text.get(end + 1..end + 1 + length)?;
        end += 1 + length;
    }
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut exponent: i64 = 0;
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let length = digits_from(end + 1 + sign);
        if length > 0 {
            exponent = text.get(end + 1..end + 1 + sign + length)?.parse().unwrap_or(i64::MAX);
            end += 1 + sign + length;
        }
    }
    let mut after = text.get(end..)?.chars();
    match after.next() {
        Some(c) if c.is_alphanumeric() || c == '_' => return None,
        Some('.') if after.next().is_some_and(char::is_alphanumeric) => return None,
        _ => {}
    }
    Some((end, shifted(&whole, fraction, exponent)))
}

/// `whole.fraction × 10^exponent` without needless zeros; a far exponent is kept as it is.
fn shifted(whole: &str, fraction: &str, exponent: i64) -> String {
    let digits = format!("{whole}{fraction}");
    if digits.bytes().all(|b| b == b'0') {
        return "0".to_owned();
    }
    let (exponent, kept) = if exponent.abs() > 40 { (0, Some(exponent)) } else { (exponent, None) };
    let point = i64::try_from(whole.len()).unwrap_or(0) + exponent;
    let (left, right) = match usize::try_from(point) {
        Ok(point) if point >= digits.len() => (format!("{digits:0<point$}"), String::new()),
        Ok(point) => {
            let (left, right) = digits.split_at(point);
            (left.to_owned(), right.to_owned())
        }
        Err(_) => {
            let zeros = usize::try_from(point.unsigned_abs()).unwrap_or(0);
            (String::new(), format!("{}{digits}", "0".repeat(zeros)))
        }
    };
    let left = left.trim_start_matches('0');
    let right = right.trim_end_matches('0');
    let mut number = if left.is_empty() { "0".to_owned() } else { left.to_owned() };
    if !right.is_empty() {
        number.push('.');
        number.push_str(right);
    }
    if let Some(far) = kept {
        number.push_str(&format!("e{far}"));
    }
    number
}
