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
    match error {
        ServiceError::TransportSend(error) => of_http(&*error.error),
        ServiceError::TransportClosed => "it closed its connection before it had answered".to_owned(),
        other => chain(other),
    }
}

/// Why it could not be used from the start.
pub(super) fn of_start(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::JsonRpcError(error) => {
            format!("it refused the connection: {} (code {})", error.message, error.code.0)
        }
        ClientInitializeError::TransportError { error, .. } => of_http(&*error.error),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => of_start(fallback),
        other => chain(other),
    }
}

fn of_http(error: &(dyn Error + 'static)) -> String {
    let Some(error) = error.downcast_ref::<StreamableHttpError<reqwest::Error>>() else {
        return chain(error);
    };
    match error {
        StreamableHttpError::Client(error) => chain(error),
        StreamableHttpError::UnexpectedContentType(kind) => {
            let kind = kind.as_deref().unwrap_or("nothing that says what it is");
            format!("it answered with `{}`, which is no answer of a tool server", head(kind, 100))
        }
        StreamableHttpError::SessionExpired => {
            "it has lost its session, and one that was begun anew as well (HTTP 404)".to_owned()
        }
        StreamableHttpError::AuthRequired(_) => {
            "it wants a key (HTTP 401); name the variable that holds it with `api_key_env`".to_owned()
        }
        StreamableHttpError::HttpStatus(status) if matches!(status.status, 401 | 403) => {
            format!("it does not let us in (HTTP {}); look at `api_key_env` and `headers`", status.status)
        }
        other => chain(other),
    }
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
