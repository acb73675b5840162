//! What went wrong with a tool server, in words for people.
//!
//! Invariant: no name of a type of the library that speaks to it, one line, a bounded length.

use std::error::Error;

use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpError;

use super::head;

/// The most bytes of it.
const MOST: usize = 600;

/// Why a call failed.
pub(super) fn of_call(error: &ServiceError) -> String {
    if let ServiceError::TransportSend(error) = error {
        return of_http(&*error.error);
    }
    if let ServiceError::TransportClosed = error {
        return "it closed its connection before it had answered".to_owned();
    }
    chain(error)
}

/// Why it could not be used from the start.
pub(super) fn of_start(error: &ClientInitializeError) -> String {
    if let ClientInitializeError::JsonRpcError(error) = error {
        return format!("it refused the connection: {} (code {})", error.message, error.code.0);
    }
    if let ClientInitializeError::TransportError { error, .. } = error {
        return of_http(&*error.error);
    }
    if let ClientInitializeError::LegacyFallbackFailed { fallback, .. } = error {
        return of_start(fallback);
    }
    chain(error)
}

fn of_http(error: &(dyn Error + 'static)) -> String {
    type Http = StreamableHttpError<reqwest::Error>;
    let Some(error) = error.downcast_ref::<Http>() else { return chain(error) };
    if let Http::Client(error) = error {
        return chain(error);
    }
    if let Http::UnexpectedContentType(kind) = error {
        let kind = kind.as_deref().unwrap_or("nothing that says what it is");
        return format!("it answered with `{}`, which is no answer of a tool server", head(kind, 100));
    }
    if let Http::SessionExpired = error {
        return "it has lost its session, and one that was begun anew as well (HTTP 404)".to_owned();
    }
    if let Http::AuthRequired(_) = error {
        return "it wants a key (HTTP 401); name the variable that holds it with `api_key_env`".to_owned();
    }
    if let Http::HttpStatus(status) = error
        && matches!(status.status, 401 | 403)
    {
        return format!(
            "it does not let us in (HTTP {}); look at `api_key_env` and `headers`",
            status.status
        );
    }
    chain(error)
}

/// An error with what caused it, on one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    head(&text.replace(['\n', '\r'], " "), MOST).to_owned()
}
