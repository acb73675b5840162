//! Quantities with their units: tokens, bytes, money, rates, durations.
//!
//! Invariant: a quantity is parsed once, with its unit, and carries it in its
//! type. A bare number is an error where a unit is needed.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A number of model tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tokens(pub u64);

impl Tokens {
    /// True for none.
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Add for Tokens {
    type Output = Tokens;
    fn add(self, other: Tokens) -> Tokens {
        Tokens(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Tokens) {
        *self = *self + other;
    }
}

impl Sum for Tokens {
    fn sum<I: Iterator<Item = Tokens>>(iter: I) -> Tokens {
        iter.fold(Tokens(0), Add::add)
    }
}

impl fmt::Display for Tokens {
    /// `950`, `12.3k`, `4.0M`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        match n {
            0..=999 => write!(f, "{n}"),
            1_000..=999_949 => write!(f, "{:.1}k", n as f64 / 1e3),
            _ => write!(f, "{:.1}M", n as f64 / 1e6),
        }
    }
}

/// An amount of money, in millionths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Usd(pub u64);

impl Add for Usd {
    type Output = Usd;
    fn add(self, other: Usd) -> Usd {
        Usd(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Usd {
    /// `$0.0123` below a dollar, `$12.34` from there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dollars = self.0 as f64 / 1e6;
        if dollars < 1.0 { write!(f, "${dollars:.4}") } else { write!(f, "${dollars:.2}") }
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    /// `312 B`, `4.0 KiB`, `1.5 MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        match n {
            0..=1023 => write!(f, "{n} B"),
            1024..=1_048_575 => write!(f, "{:.1} KiB", n as f64 / 1024.0),
            _ => write!(f, "{:.1} MiB", n as f64 / 1_048_576.0),
        }
    }
}

/// So many of something (requests, tokens) per length of time: `60/min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// In which time.
    #[serde(with = "millis", rename = "per_ms")]
    pub per: Duration,
}

/// Why a text is no quantity; the text says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; write {example}")]
pub struct UnitError {
    /// What is wrong with it.
    pub problem: String,
    /// What a right one looks like, in backticks.
    pub example: &'static str,
}

fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let number: f64 = text[..end].replace('_', "").parse().ok()?;
    number.is_finite().then(|| (number, text[end..].trim()))
}

/// Parses `500ms`, `5s`, `10m`, `2h`, `1d`, also compounds such as `1h30m`.
///
/// # Errors
/// [`UnitError`] for a bare number, an unknown unit, or anything over 366 days.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    const EXAMPLE: &str = "`5s`, `10m` or `2h`";
    let fail = |problem: String| UnitError { problem, example: EXAMPLE };
    let mut rest = text.trim();
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return Err(fail("an empty text is no length of time".to_owned()));
    }
    while !rest.is_empty() {
        let (number, after) = split(rest).ok_or_else(|| fail(format!("`{text}` is no length of time")))?;
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let seconds = match after[..end].trim() {
            "ms" => 0.001,
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "" => return Err(fail(format!("`{text}` has no unit"))),
            unit => return Err(fail(format!("`{unit}` is no unit of time"))),
        };
        total += number * seconds;
        rest = &after[end..];
    }
    if total > 366.0 * 86_400.0 {
        return Err(fail(format!("`{text}` is longer than a year")));
    }
    Ok(Duration::from_secs_f64(total))
}

/// Parses `0.5k`, `64k`, `2M`.
///
/// # Errors
/// [`UnitError`] for a bare number or an unknown unit.
pub fn tokens(text: &str) -> Result<Tokens, UnitError> {
    const EXAMPLE: &str = "`64k` or `2M`";
    let fail = |problem: String| UnitError { problem, example: EXAMPLE };
    let (number, unit) = split(text).ok_or_else(|| fail(format!("`{text}` is no number of tokens")))?;
    let factor = match unit {
        "k" | "K" => 1e3,
        "M" => 1e6,
        "" => return Err(fail(format!("`{text}` has no unit"))),
        _ => return Err(fail(format!("`{unit}` is no unit of tokens"))),
    };
    let total = number * factor;
    if total > 1e15 {
        return Err(fail(format!("`{text}` is too many tokens")));
    }
    Ok(Tokens(total.round() as u64))
}

/// Parses `512B`, `64KiB`, `2MiB`, `1GiB` (powers of 1,024) and `64kB`, `2MB`, `1GB` (of 1,000).
///
/// # Errors
/// [`UnitError`] for a bare number or an unknown unit.
pub fn bytes(text: &str) -> Result<Bytes, UnitError> {
    const EXAMPLE: &str = "`64KiB` or `2MiB`";
    let fail = |problem: String| UnitError { problem, example: EXAMPLE };
    let (number, unit) = split(text).ok_or_else(|| fail(format!("`{text}` is no number of bytes")))?;
    let factor: f64 = match unit {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "" => return Err(fail(format!("`{text}` has no unit"))),
        _ => return Err(fail(format!("`{unit}` is no unit of bytes"))),
    };
    let total = number * factor;
    if total > 1e15 {
        return Err(fail(format!("`{text}` is too many bytes")));
    }
    Ok(Bytes(total.round() as u64))
}

/// Parses `60/min`, `200k/min`, `5/s`, `1000/h`.
///
/// # Errors
/// [`UnitError`] when either side of the `/` is missing or unknown, or the count is zero.
pub fn rate(text: &str) -> Result<Rate, UnitError> {
    const EXAMPLE: &str = "`60/min` or `200k/min`";
    let fail = |problem: String| UnitError { problem, example: EXAMPLE };
    let (count, per) =
        text.split_once('/').ok_or_else(|| fail(format!("`{text}` does not say per what time")))?;
    let (number, unit) = split(count).ok_or_else(|| fail(format!("`{count}` is no number")))?;
    let factor = match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        _ => return Err(fail(format!("`{unit}` is no multiple"))),
    };
    let per = match per.trim() {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 86_400,
        other => return Err(fail(format!("`{other}` is no unit of time"))),
    };
    let count = number * factor;
    if !(1.0..=1e15).contains(&count) {
        return Err(fail(format!("`{text}` allows nothing")));
    }
    Ok(Rate { count: count.round() as u64, per: Duration::from_secs(per) })
}

/// How people read a length of time: `0.4s`, `12s`, `3m05s`, `2h10m`.
pub fn human_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=9 => format!("{:.1}s", time.as_secs_f64()),
        10..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Serialises a [`Duration`] as whole milliseconds.
pub mod millis {
    use super::{Deserialize, Duration};

    /// Writes the milliseconds.
    ///
    /// # Errors
    /// Only those of the serialiser.
    pub fn serialize<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    /// Reads milliseconds.
    ///
    /// # Errors
    /// Only those of the deserialiser.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_bare_numbers_refused() {
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(duration("1.5s").unwrap(), Duration::from_millis(1500));
        assert_eq!(duration("90").unwrap_err().problem, "`90` has no unit");
        assert!(duration("5x").is_err() && duration("").is_err() && duration("-3s").is_err());
        assert_eq!(tokens("64k").unwrap(), Tokens(64_000));
        assert!(tokens("64000").is_err());
        assert_eq!(bytes("64KiB").unwrap(), Bytes(65_536));
        assert!(bytes("10").is_err() && bytes("1e309B").is_err());
        assert_eq!(rate("60/min").unwrap(), Rate { count: 60, per: Duration::from_secs(60) });
        assert!(rate("60").is_err() && rate("0/s").is_err());
    }

    #[test]
    fn quantities_read_well() {
        assert_eq!(Tokens(12_345).to_string(), "12.3k");
        assert_eq!(Usd(12_300).to_string(), "$0.0123");
        assert_eq!(Bytes(4096).to_string(), "4.0 KiB");
        assert_eq!(human_duration(Duration::from_millis(400)), "0.4s");
        assert_eq!(human_duration(Duration::from_secs(185)), "3m05s");
    }
}
