//! What a plain scalar means: the core schema of YAML 1.2, and nothing else.
//!
//! Invariant: only `null`, `true`, `false` and numbers are more than text; `no`, `on`,
//! `y`, dates and `1_000` are texts.

use serde_json::{Number, Value};

/// The value of a plain (unquoted) scalar.
///
/// `None` for the numbers that JSON does not have: `.inf`, `.nan` and those beyond 64 bits of float.
pub(super) fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return None;
    }
    if is_integer(unsigned) {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let whole =
            digits.parse::<i64>().map(Number::from).or_else(|_| digits.parse::<u64>().map(Number::from));
        return match whole {
            Ok(number) => Some(Value::Number(number)),
            Err(_) => float(digits),
        };
    }
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(number) = text.strip_prefix(prefix).and_then(|digits| whole(digits, radix)) {
            return Some(Value::Number(number.into()));
        }
    }
    if is_float(unsigned) { float(text) } else { Some(Value::String(text.to_owned())) }
}

fn whole(digits: &str, radix: u32) -> Option<u64> {
    let all = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    all.then(|| u64::from_str_radix(digits, radix).ok()).flatten()
}

fn float(text: &str) -> Option<Value> {
    let number: f64 = text.strip_prefix('+').unwrap_or(text).parse().ok()?;
    Number::from_f64(number).map(Value::Number)
}

fn is_integer(unsigned: &str) -> bool {
    !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit())
}

/// `(\. [0-9]+ | [0-9]+ (\. [0-9]*)?) ([eE] [-+]? [0-9]+)?`, of the specification's §10.3.2.
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => {
            let (mantissa, exponent) = unsigned.split_at(at);
            (mantissa, exponent.get(1..))
        }
        None => (unsigned, None),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|e| is_integer(e.strip_prefix(['+', '-']).unwrap_or(e)));
    digits(before) && digits(after) && !(before.is_empty() && after.is_empty()) && exponent_fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_core_schema_is_more_than_text() {
        let table = [
            ("", json!(null)),
            ("~", json!(null)),
            ("Null", json!(null)),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("0", json!(0)),
            ("-12", json!(-12)),
            ("+12", json!(12)),
            ("010", json!(10)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("1e3", json!(1000.0)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("5.", json!(5.0)),
            ("-2.5E-1", json!(-0.25)),
        ];
        for (text, value) in table {
            assert_eq!(plain(text), Some(value), "{text:?}");
        }
        for text in [
            "no",
            "yes",
            "on",
            "off",
            "y",
            "n",
            "1_000",
            "0b11",
            "0o8",
            "0x",
            "2026-11-20",
            "12:30",
            "1e",
            ".",
            "-",
            "+",
            "e3",
            "nan",
            "inf",
            "1.2.3",
            "a3f2b1",
            "nULL",
            "tRUE",
            "1 2",
        ] {
            assert_eq!(plain(text), Some(json!(text)), "{text:?}");
        }
        for text in [".inf", "-.INF", ".nan", "1e999"] {
            assert_eq!(plain(text), None, "{text:?}");
        }
    }
}
