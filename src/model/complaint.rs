//! What a provider says is wrong, in whichever shape it says it, and what class that is.
//!
//! Invariant: a complaint in a stream is classified like the HTTP status that it
//! stands for. Nothing that a provider writes can make the reading fail.

use std::time::Duration;

use serde_json::Value;

use super::failure::Class;
use crate::unit;

/// Google's reason for a key that is none, under a 400.
const BAD_KEY: &str = "API_KEY_INVALID";

/// What is used up until tomorrow: no wait that a run can make cures it.
const DAILY_QUOTA: &str = "daily_quota";

/// An error as a provider words it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Complaint {
    /// `type` or `status`: `overloaded_error`, `RESOURCE_EXHAUSTED`.
    pub kind: String,
    /// `code`: `insufficient_quota`, or a number as text.
    pub code: String,
    /// The sentence, as it came.
    pub message: String,
    /// The request's name, where the body holds it.
    pub request_id: Option<String>,
    /// The wait that the body asks for (Gemini's `RetryInfo`).
    pub retry_after: Option<Duration>,
    /// True when a filter flagged the request (OpenRouter's `metadata.reasons`).
    pub flagged: bool,
}

impl Complaint {
    /// Reads an error body: Anthropic's, OpenAI's, either in a list, `{"error": "text"}`,
    /// `{"message": …}`, `{"detail": …}`. `None` for a value that is no error.
    pub(super) fn read(body: &Value) -> Option<Complaint> {
        let body = body.as_array().map_or(Some(body), |list| list.first())?;
        let text = |value: &Value, key: &str| match value.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let request_id = Some(text(body, "request_id")).filter(|id| !id.is_empty());
        let inner = match body.get("error") {
            Some(Value::String(message)) => {
                return Some(Complaint { message: message.clone(), request_id, ..Complaint::default() });
            }
            Some(inner @ Value::Object(_)) => inner,
            Some(_) | None => {
                let detail = body.get("message").or_else(|| body.get("detail")).filter(|it| !it.is_null())?;
                let message = detail.as_str().map_or_else(|| detail.to_string(), str::to_owned);
                let (kind, code) = (text(body, "type"), text(body, "code"));
                return Some(Complaint { kind, code, message, request_id, ..Complaint::default() });
            }
        };
        let details = inner.get("details");
        let listed = || details.and_then(Value::as_array).into_iter().flatten();
        let kind = Some(text(inner, "type")).filter(|kind| !kind.is_empty());
        let code = details
            .map(|details| text(details, "error_code"))
            .filter(|code| !code.is_empty())
            .or_else(|| google_reason(listed()).map(str::to_owned));
        let retry_after = listed()
            .find_map(|detail| detail.get("retryDelay")?.as_str())
            .and_then(|text| unit::duration(text).ok());
        Some(Complaint {
            kind: kind.unwrap_or_else(|| text(inner, "status")),
            code: code.unwrap_or_else(|| text(inner, "code")),
            message: text(inner, "message"),
            request_id,
            retry_after,
            flagged: inner.get("metadata").is_some_and(|metadata| metadata.get("reasons").is_some()),
        })
    }

    /// The class under an HTTP status.
    pub(super) fn class(&self, status: u16) -> Class {
        let names = [self.kind.as_str(), self.code.as_str()];
        let is = |wanted: &[&str]| names.iter().any(|name| wanted.contains(name));
        if is(&[
            "insufficient_quota",
            "enforced_spend_limit_reached",
            "billing_error",
            "billing_hard_limit_reached",
            DAILY_QUOTA,
        ]) {
            return Class::OutOfMoney;
        }
        if is(&[BAD_KEY]) {
            return Class::Unauthorized;
        }
        if matches!(status, 400 | 413 | 422) && self.is_about_context() {
            return Class::ContextTooLong;
        }
        let filter =
            ["content_filter", "content_policy_violation", "bio_policy", "misalignment_policy_violation"];
        if self.flagged || is(&filter) {
            return Class::Refused;
        }
        Class::of_status(status)
    }

    /// The HTTP status that this stands for when it comes in a stream or under a 200.
    pub(super) fn status(&self) -> u16 {
        let by_number = self.code.parse().ok().filter(|status| (400..600).contains(status));
        by_number.or_else(|| status_of(&self.kind)).or_else(|| status_of(&self.code)).unwrap_or(500)
    }

    fn is_about_context(&self) -> bool {
        if ["context_length_exceeded", "exceed_context_size_error"].contains(&self.code.as_str())
            || self.kind == "exceed_context_size_error"
        {
            return true;
        }
        let message = self.message.to_ascii_lowercase();
        [
            "prompt is too long",
            "input is too long",
            "maximum context length",
            "context length",
            "context window",
            "context size",
            "exceeds the maximum number of tokens",
        ]
        .iter()
        .any(|words| message.contains(words))
    }
}

/// What Google's `details` say beyond the status: `ErrorInfo`, and a `QuotaFailure` by the day.
fn google_reason<'a>(mut details: impl Iterator<Item = &'a Value>) -> Option<&'a str> {
    details.find_map(|detail| {
        let violations = detail.get("violations").and_then(Value::as_array).into_iter().flatten();
        let mut ids = violations.filter_map(|violation| violation.get("quotaId")?.as_str());
        if ids.any(|id| id.contains("PerDay")) {
            return Some(DAILY_QUOTA);
        }
        detail.get("reason").and_then(Value::as_str).filter(|reason| *reason == BAD_KEY)
    })
}

fn status_of(name: &str) -> Option<u16> {
    let status = match name {
        "invalid_request_error" | "invalid_prompt" | "INVALID_ARGUMENT" | "context_length_exceeded" => 400,
        "exceed_context_size_error" => 400,
        "authentication_error" | "invalid_api_key" | "UNAUTHENTICATED" => 401,
        "billing_error" | "insufficient_quota" => 402,
        "permission_error" | "PERMISSION_DENIED" => 403,
        "not_found_error" | "model_not_found" | "NOT_FOUND" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" => 429,
        "overloaded_error" => 529,
        "slow_down" | "UNAVAILABLE" | "overloaded" => 503,
        "timeout_error" | "DEADLINE_EXCEEDED" => 504,
        "api_error" | "server_error" | "INTERNAL" => 500,
        _ => return None,
    };
    Some(status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(status: u16, body: Value) -> Class {
        Complaint::read(&body).unwrap_or_default().class(status)
    }

    #[test]
    fn every_known_shape_of_an_error_is_read() {
        let said = |body: Value| Complaint::read(&body).map(|it| (it.kind, it.code, it.message));
        let of = |kind: &str, code: &str, message: &str| Some((kind.into(), code.into(), message.into()));
        assert_eq!(
            said(
                json!({"type": "error", "error": {"type": "not_found_error", "message": "m"}, "request_id": "r"})
            ),
            of("not_found_error", "", "m")
        );
        assert_eq!(
            said(json!([{"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}])),
            of("RESOURCE_EXHAUSTED", "429", "m")
        );
        assert_eq!(said(json!({"error": "model not found"})), of("", "", "model not found"));
        assert_eq!(said(json!({"detail": [{"msg": "x"}]})), of("", "", r#"[{"msg":"x"}]"#));
        for none in [json!(null), json!([]), json!("x"), json!({"id": "x", "error": null})] {
            assert_eq!(said(none), None);
        }
    }

    #[test]
    fn money_that_is_gone_is_no_rate_limit() {
        let openai = json!({"error": {"message": "quota", "type": "insufficient_quota", "code": "insufficient_quota"}});
        assert_eq!(class(429, openai), Class::OutOfMoney);
        let details = json!({"error_code": "enforced_spend_limit_reached"});
        let anthropic = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "m", "details": details}});
        assert_eq!(class(429, anthropic), Class::OutOfMoney);
        assert_eq!(class(402, json!(null)), Class::OutOfMoney);
        assert_eq!(class(429, json!({"error": {"code": "rate_limit_exceeded"}})), Class::RateLimited);
    }

    #[test]
    fn googles_details_tell_a_bad_key_and_a_spent_day_from_what_their_status_says() {
        let error =
            |details: Value| json!({"error": {"code": 1, "message": "m", "status": "X", "details": details}});
        let info =
            json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
        assert_eq!(class(400, error(info)), Class::Unauthorized);
        let quota = |id: &str| json!([{"violations": [{"quotaId": id}]}, {"retryDelay": "17s"}]);
        let day = error(quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"));
        assert_eq!(class(429, day), Class::OutOfMoney);
        assert_eq!(
            class(429, error(quota("GenerateRequestsPerMinutePerProjectPerModel"))),
            Class::RateLimited
        );
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_from_other_bad_requests() {
        for body in [
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 250000 tokens > 200000 maximum"}}),
            json!({"error": {"message": "m", "code": "context_length_exceeded", "type": "invalid_request_error"}}),
            json!({"error": {"code": 400, "message": "m", "type": "exceed_context_size_error"}}),
        ] {
            assert_eq!(class(400, body), Class::ContextTooLong);
        }
        assert_eq!(class(400, json!({"error": {"message": "bad tool"}})), Class::BadRequest);
    }

    #[test]
    fn a_status_alone_is_enough() {
        let classes: Vec<_> =
            [400, 401, 403, 404, 408, 409, 413, 422, 425, 429, 500, 502, 503, 504, 520, 529, 200]
                .map(|status| class(status, json!(null)).code())
                .to_vec();
        let expected = "bad_request unauthorized unauthorized not_found server_error server_error too_large \
             bad_request server_error rate_limited server_error server_error overloaded server_error server_error \
             overloaded protocol";
        assert_eq!(classes.join(" "), expected);
    }

    #[test]
    fn a_wait_in_the_body_is_read() {
        let details = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}]);
        let body = json!({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": details}});
        assert_eq!(Complaint::read(&body).unwrap().retry_after, Some(Duration::from_secs(17)));
    }

    #[test]
    fn an_error_in_a_stream_stands_for_its_status() {
        let status = |error: Value| Complaint::read(&json!({"error": error})).unwrap().status();
        assert_eq!(status(json!({"type": "overloaded_error"})), 529);
        assert_eq!(status(json!({"code": "rate_limit_exceeded"})), 429);
        assert_eq!(status(json!({"code": 502})), 502);
        assert_eq!(status(json!({"message": "?"})), 500);
    }
}
