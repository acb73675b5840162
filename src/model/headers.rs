//! What a response's head says about waiting: how long, and how much is left.
//!
//! Invariant: every value is hostile until parsed. No header makes this panic,
//! overflow or give a negative time; what does not parse is as if it were not there.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::header::HeaderMap;

/// The longest wait that is believed. A longer one is longer than any deadline anyway.
const MOST: Duration = Duration::from_secs(366 * 86_400);

/// What a provider says about its limits, as of one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateHeaders {
    /// Requests.
    pub requests: Window,
    /// Tokens; where the provider tells input from output, the tightest of all.
    pub tokens: Window,
    /// Input tokens.
    pub input_tokens: Window,
    /// Output tokens.
    pub output_tokens: Window,
}

/// One limit. Everything that the provider did not say is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// How much there is in all.
    pub limit: Option<u64>,
    /// How much is left.
    pub remaining: Option<u64>,
    /// How long until it is whole again, from the moment of the response.
    pub reset: Option<Duration>,
}

impl Window {
    /// True when the provider said that nothing is left and when that ends.
    fn is_spent(&self) -> bool {
        self.remaining.unwrap_or(0) == 0 && self.reset.is_some()
    }
}

/// Reads `anthropic-ratelimit-*` and `x-ratelimit-*`.
///
/// Times count from the response's own `Date`, so that a local clock that is off
/// does no harm; `now` stands in where there is none.
pub fn rate_headers(headers: &HeaderMap, now: Timestamp) -> RateHeaders {
    let now = date(headers).unwrap_or(now);
    let window = |names: [&str; 3]| {
        let [limit, remaining, reset] = names.map(|name| text(headers, name));
        Window {
            limit: limit.and_then(|text| text.parse().ok()),
            remaining: remaining.and_then(|text| text.parse().ok()),
            reset: reset.and_then(|text| reset_in(text, now)),
        }
    };
    let either = |kind: &str, openai: Option<[&str; 3]>| {
        let [limit, remaining, reset] =
            ["limit", "remaining", "reset"].map(|part| format!("anthropic-ratelimit-{kind}-{part}"));
        let own = window([limit.as_str(), remaining.as_str(), reset.as_str()]);
        match openai {
            Some(names) if own == Window::default() => window(names),
            Some(_) | None => own,
        }
    };
    let mut rate = RateHeaders {
        requests: either(
            "requests",
            Some([
                "x-ratelimit-limit-requests",
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
            ]),
        ),
        tokens: either(
            "tokens",
            Some(["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]),
        ),
        input_tokens: either("input-tokens", None),
        output_tokens: either("output-tokens", None),
    };
    if rate.requests == Window::default() {
        // OpenRouter names one window and does not say of what: it is requests.
        rate.requests = window(["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]);
    }
    rate
}

/// How long to wait before asking again, as a response of a failed request says.
///
/// Read from `retry-after-ms`, then `x-ms-retry-after-ms`, then `Retry-After`
/// (seconds, or an HTTP date against the response's own `Date`; RFC 9110 §10.2.3),
/// then the reset of the windows that are used up. `None` if none of them parses;
/// never more than a year.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let values = |name: &'static str| {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::trim)
    };
    let clock = date(headers).unwrap_or(now);
    let millis = |name| values(name).filter_map(|text| seconds(text, 0.001)).max();
    let plain = || {
        values("retry-after").filter_map(|text| seconds(text, 1.0).or_else(|| until(http_date(text)?, clock)))
    };
    let spent = || {
        let rate = rate_headers(headers, now);
        let windows = [rate.requests, rate.tokens, rate.input_tokens, rate.output_tokens];
        windows.into_iter().filter(Window::is_spent).filter_map(|window| window.reset).max()
    };
    millis("retry-after-ms")
        .or_else(|| millis("x-ms-retry-after-ms"))
        .or_else(|| plain().max())
        .or_else(spent)
}

/// `x-should-retry`, if it says `true` or `false`.
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match text(headers, "x-should-retry")? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The provider's own name of the request; letters, digits and punctuation only, at most 128 bytes.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    let names = ["request-id", "x-request-id", "x-generation-id", "apim-request-id", "cf-ray"];
    names
        .into_iter()
        .filter_map(|name| text(headers, name))
        .find(|id| !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()))
        .map(str::to_owned)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A number of `unit`s of seconds, not negative, at most [`MOST`].
fn seconds(text: &str, unit: f64) -> Option<Duration> {
    // `f64` would also read `inf` and `nan`.
    if !text.bytes().next()?.is_ascii_digit() {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then(|| Duration::from_secs_f64((value * unit).min(MOST.as_secs_f64())))
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(text(headers, "date")?)
}

/// The three forms that RFC 9110 §5.6.7 has a recipient accept.
fn http_date(text: &str) -> Option<Timestamp> {
    if let Ok(timestamp) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text) {
        return Some(timestamp);
    }
    let forms = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    forms.into_iter().find_map(|form| {
        let read = jiff::civil::DateTime::strptime(form, text).ok()?;
        read.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

/// The time from `now` to `then`; zero for one that is past.
fn until(then: Timestamp, now: Timestamp) -> Option<Duration> {
    Some(Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO).min(MOST))
}

/// A reset: RFC 3339 (Anthropic), a Go duration (`6m0s`, OpenAI), an epoch (`1795195255`,
/// OpenRouter in milliseconds), or seconds. Zero and less are the sentinels of servers that do not know.
fn reset_in(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(then) = text.parse::<Timestamp>() {
        return until(then, now);
    }
    if let Some(number) = seconds(text, 1.0) {
        let raw: f64 = text.parse().ok()?;
        let epoch = match raw {
            1e11.. => Timestamp::from_millisecond(raw as i64).ok(),
            1e9.. => Timestamp::from_second(raw as i64).ok(),
            _ => return (!number.is_zero()).then_some(number),
        };
        return until(epoch?, now);
    }
    go_duration(text)
}

/// `12ms`, `1s`, `6m0s`, `1h2m3.5s`, `500µs`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().ok()?;
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number * unit;
        rest = after;
    }
    (total > 0.0 && total.is_finite()).then(|| Duration::from_secs_f64(total.min(MOST.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const DATE: (&str, &str) = ("date", "Fri, 20 Nov 2026 18:04:08 GMT");

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn wait(pairs: &[(&str, &str)]) -> Option<Duration> {
        retry_after(&headers(pairs), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_headers_are_asked_in_their_order() {
        let all = [
            ("retry-after-ms", "1500"),
            ("x-ms-retry-after-ms", "2500"),
            ("retry-after", "7"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "6m0s"),
        ];
        let waits: Vec<_> = (0..=all.len()).map(|from| wait(&all[from..])).collect();
        let millis = |n| Some(Duration::from_millis(n));
        assert_eq!(waits, [millis(1500), millis(2500), millis(7000), millis(360_000), millis(360_000), None]);
    }

    #[test]
    fn an_http_date_counts_from_the_responses_own_clock() {
        for form in
            ["Fri, 20 Nov 2026 18:05:08 GMT", "Friday, 20-Nov-26 18:05:08 GMT", "Fri Nov 20 18:05:08 2026"]
        {
            assert_eq!(wait(&[DATE, ("retry-after", form)]), Some(Duration::from_secs(60)), "{form}");
        }
        assert_eq!(wait(&[DATE, ("retry-after", "Fri, 20 Nov 2026 18:00:00 GMT")]), Some(Duration::ZERO));
        assert_eq!(
            wait(&[("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT")]),
            Some(Duration::from_secs(60)),
            "without a Date the given clock counts"
        );
    }

    #[test]
    fn a_hostile_value_is_parsed_or_ignored() {
        for odd in ["-5", "1e309", "", "soon", "inf", "NaN", "0x10", "7 s", "99999999999999999999999999h"] {
            assert_eq!(wait(&[("retry-after", odd)]), None, "{odd:?}");
        }
        assert_eq!(wait(&[("retry-after", "1e300")]), Some(MOST));
        assert_eq!(wait(&[("retry-after", "0.25")]), Some(Duration::from_millis(250)));
        assert_eq!(wait(&[("retry-after", "3"), ("retry-after", "soon")]), Some(Duration::from_secs(3)));
        let mut two = headers(&[("retry-after", "3")]);
        two.append("retry-after", HeaderValue::from_static("9"));
        assert_eq!(retry_after(&two, Timestamp::UNIX_EPOCH), Some(Duration::from_secs(9)));
    }

    #[test]
    fn resets_are_read_in_every_form_and_sentinels_ignored() {
        let now = http_date(DATE.1).unwrap();
        let at = |text| reset_in(text, now);
        assert_eq!(at("2026-11-20T18:04:38Z"), Some(Duration::from_secs(30)));
        assert_eq!(at("2026-11-20T18:00:00Z"), Some(Duration::ZERO));
        assert_eq!(at("1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        assert_eq!(at("12ms"), Some(Duration::from_millis(12)));
        assert_eq!(at("30"), Some(Duration::from_secs(30)));
        assert_eq!(at("1795197878"), Some(Duration::from_secs(30)));
        assert_eq!(at("1795197878000"), Some(Duration::from_secs(30)));
        for odd in ["0", "-1", "0s", "", "m", "5", "1x", "."] {
            let expected = (odd == "5").then_some(Duration::from_secs(5));
            assert_eq!(at(odd), expected, "{odd:?}");
        }
    }

    #[test]
    fn rate_headers_of_both_families_are_kept() {
        let rate = rate_headers(
            &headers(&[
                DATE,
                ("anthropic-ratelimit-requests-limit", "50"),
                ("anthropic-ratelimit-requests-remaining", "49"),
                ("anthropic-ratelimit-requests-reset", "2026-11-20T18:04:09Z"),
                ("anthropic-ratelimit-output-tokens-remaining", "1000"),
                ("x-ratelimit-limit-tokens", "40000"),
                ("x-ratelimit-remaining-tokens", "-1"),
                ("x-ratelimit-reset-tokens", "0"),
            ]),
            Timestamp::UNIX_EPOCH,
        );
        let expected = RateHeaders {
            requests: Window { limit: Some(50), remaining: Some(49), reset: Some(Duration::from_secs(1)) },
            tokens: Window { limit: Some(40_000), remaining: None, reset: None },
            input_tokens: Window::default(),
            output_tokens: Window { limit: None, remaining: Some(1000), reset: None },
        };
        assert_eq!(rate, expected);
    }

    #[test]
    fn a_request_id_with_odd_bytes_is_dropped() {
        assert_eq!(request_id(&headers(&[("x-request-id", "req_1")])).as_deref(), Some("req_1"));
        assert_eq!(request_id(&headers(&[("x-request-id", "a b")])), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_header_value_panics_or_waits_longer_than_a_year(
            name in prop_oneof![
                Just("retry-after"), Just("retry-after-ms"), Just("x-ms-retry-after-ms"), Just("date"),
                Just("x-ratelimit-reset-tokens"), Just("anthropic-ratelimit-tokens-reset"), Just("x-ratelimit-reset"),
            ],
            value in prop_oneof!["[ -~]{0,40}", "-?[0-9]{0,30}(\\.[0-9]{0,9})?(e[0-9]{1,4})?[hmsnuµ]{0,2}"],
        ) {
            let mut map = headers(&[DATE]);
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                map.append(name, value);
            }
            prop_assert!(retry_after(&map, Timestamp::UNIX_EPOCH).is_none_or(|wait| wait <= MOST));
            prop_assert!(rate_headers(&map, Timestamp::UNIX_EPOCH).tokens.reset.is_none_or(|reset| reset <= MOST));
        }
    }
}
