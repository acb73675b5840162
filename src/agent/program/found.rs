//! What the plan's patterns find in a program's output.
//!
//! Invariant: of several places the last one counts; what is found stands over what the form of
//! the output says.

use serde_json::Value;

use super::fault::Fault;
use super::{End, Told};
use crate::model::Class;
use crate::outcome::Usage;
use crate::plan::{Pattern, Patterns};
use crate::unit::{Tokens, Usd};

/// What was found so far.
#[derive(Debug, Default)]
pub(in crate::agent) struct Found {
    text: Option<String>,
    error: Option<String>,
    pub(in crate::agent) blocked: Option<String>,
    rate_limited: Option<String>,
    input_tokens: Option<String>,
    output_tokens: Option<String>,
    cost: Option<String>,
    session: Option<String>,
}

impl Found {
    /// Looks at a line of either stream, and at the JSON value that it is.
    pub(in crate::agent) fn look(&mut self, patterns: &Patterns, line: &str, value: Option<&Value>) {
        for (pattern, place) in [
            (&patterns.text, &mut self.text),
            (&patterns.error, &mut self.error),
            (&patterns.blocked, &mut self.blocked),
            (&patterns.rate_limited, &mut self.rate_limited),
            (&patterns.input_tokens, &mut self.input_tokens),
            (&patterns.output_tokens, &mut self.output_tokens),
            (&patterns.cost, &mut self.cost),
            (&patterns.session, &mut self.session),
        ] {
            if let Some(found) = pattern.as_ref().and_then(|pattern| find(pattern, line, value)) {
                *place = Some(found);
            }
        }
    }

    /// True where some pattern looks into JSON values.
    pub(in crate::agent) fn points(patterns: &Patterns) -> bool {
        all(patterns).into_iter().any(|pattern| matches!(pattern, Some(Pattern::Pointer(_))))
    }

    /// True where there is no pattern.
    pub(in crate::agent) fn nothing(patterns: &Patterns) -> bool {
        all(patterns).into_iter().all(Option::is_none)
    }

    /// What the program came to, where that was found.
    pub(in crate::agent) fn told(&self, told: Told) -> Told {
        let number = |text: &Option<String>| text.as_deref().and_then(quantity);
        let tokens = |text: &Option<String>| number(text).map(|n| Tokens(n.round() as u64));
        let found = self.input_tokens.is_some() || self.output_tokens.is_some() || self.cost.is_some();
        let usage = Usage {
            input: tokens(&self.input_tokens).unwrap_or(told.usage.input),
            output: tokens(&self.output_tokens).unwrap_or(told.usage.output),
            cost: number(&self.cost).map(|usd| Usd((usd * 1e6).round() as u64)).or(told.usage.cost),
            requests: told.usage.requests.max(u32::from(found)),
            ..told.usage
        };
        let end = match (&self.blocked, &self.rate_limited, &self.error, &self.text) {
            (Some(question), ..) => End::Blocked(question.clone()),
            (None, Some(words), ..) => {
                let fault = Fault::new(Some(429), &format!("rate limit: {words}"));
                End::Failed(Fault { class: Some(Class::RateLimited), ..fault })
            }
            (None, None, Some(words), _) => End::Failed(Fault::new(None, words)),
            (None, None, None, Some(text)) => match told.end {
                end @ (End::Failed(_) | End::Blocked(_)) => end,
                End::Unfinished(_) | End::Answer(_) | End::Unreadable(_) | End::Nothing => {
                    End::Answer(text.clone())
                }
            },
            (None, None, None, None) => told.end,
        };
        Told { end, usage, session: self.session.clone().or(told.session), ..told }
    }
}

fn all(patterns: &Patterns) -> [&Option<Pattern>; 8] {
    [
        &patterns.text,
        &patterns.error,
        &patterns.blocked,
        &patterns.rate_limited,
        &patterns.input_tokens,
        &patterns.output_tokens,
        &patterns.cost,
        &patterns.session,
    ]
}

fn find(pattern: &Pattern, line: &str, value: Option<&Value>) -> Option<String> {
    match pattern {
        Pattern::Pointer(pointer) => match value?.pointer(pointer)? {
            Value::Null | Value::Bool(false) => None,
            Value::String(text) => Some(text.clone()),
            other @ (Value::Bool(true) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Some(other.to_string())
            }
        },
        Pattern::Regex(regex) => {
            let found = regex.captures(line)?;
            let group = found.get(1).or_else(|| found.get(0))?;
            Some(group.as_str().to_owned())
        }
    }
}

/// `1234`, `1,234`, `1.2k`, `3M`, `0.05`.
fn quantity(text: &str) -> Option<f64> {
    let text = text.trim().trim_start_matches('$').replace([',', '_'], "");
    let (digits, factor) = match text.chars().last()? {
        'k' | 'K' => (text.get(..text.len() - 1)?, 1e3),
        'M' => (text.get(..text.len() - 1)?, 1e6),
        _ => (text.as_str(), 1.0),
    };
    let number: f64 = digits.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(text: &str) -> Option<Pattern> {
        Some(Pattern::Regex(regex::Regex::new(text).unwrap()))
    }

    #[test]
    fn the_last_place_counts_and_the_group_where_there_is_one() {
        let patterns = Patterns {
            text: regex("^answer: (.*)$"),
            input_tokens: regex("Tokens: ([0-9.]+[kM]?) sent"),
            output_tokens: regex("([0-9.]+[kM]?) received"),
            cost: regex(r"Cost: \$([0-9.]+) message"),
            ..Patterns::default()
        };
        let mut found = Found::default();
        for line in ["answer: one", "Tokens: 1.5k sent, 20 received. Cost: $0.05 message", "answer: two"] {
            found.look(&patterns, line, None);
        }
        let told = found.told(Told { end: End::Answer("all of it".to_owned()), ..Told::default() });
        assert_eq!(told.end, End::Answer("two".to_owned()));
        let usage = Usage {
            input: Tokens(1500),
            output: Tokens(20),
            cost: Some(Usd(50_000)),
            requests: 1,
            ..Usage::default()
        };
        assert_eq!(told.usage, usage);
    }

    #[test]
    fn what_is_wrong_stands_over_the_answer() {
        let pointer = |text: &str| Some(Pattern::Pointer(text.to_owned()));
        let patterns = Patterns {
            error: pointer("/error/why"),
            blocked: pointer("/ask"),
            rate_limited: regex("try again in .*"),
            ..Patterns::default()
        };
        let end = |line: &str| {
            let mut found = Found::default();
            found.look(&patterns, line, serde_json::from_str(line).ok().as_ref());
            found.told(Told { end: End::Answer("a".to_owned()), ..Told::default() }).end
        };
        assert_eq!(end(r#"{"error": null}"#), End::Answer("a".to_owned()));
        assert_eq!(end(r#"{"error": {"why": "broken"}}"#), End::Failed(Fault::new(None, "broken")));
        assert_eq!(end(r#"{"ask": "Which one?"}"#), End::Blocked("Which one?".to_owned()));
        let End::Failed(limited) = end("busy, try again in 30s") else { panic!() };
        assert_eq!(limited.class, Some(Class::RateLimited));
        assert_eq!(limited.retry_after.map(|wait| wait.as_secs()), Some(30));
    }

    #[test]
    fn quantities_are_read_as_people_write_them() {
        for (text, number) in [
            ("12", Some(12.0)),
            ("1,234", Some(1234.0)),
            ("1.5k", Some(1500.0)),
            ("2M", Some(2e6)),
            ("$0.5", Some(0.5)),
        ] {
            assert_eq!(quantity(text), number, "{text}");
        }
        for text in ["", "k", "-1", "x", "NaN"] {
            assert_eq!(quantity(text), None, "{text}");
        }
    }
}
