//! Posts a notice to an address, signed as in the Standard Webhooks specification.
//!
//! Invariants: no redirect is followed; neither the address, where it came from the
//! environment, nor the secret stands in any message.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::CONTENT_TYPE;
use sha2::Sha256;

use super::Notice;
use super::channels::Delivered;
use crate::limits::backoff;
use crate::outcome::Cause;
use crate::plan::notify::{Address, Webhook};

/// How often it is tried, the first time included.
const TRIES: u32 = 4;
/// How long one try may take.
const TRY: Duration = Duration::from_secs(10);
/// How long all tries may take together.
const ALL: Duration = Duration::from_secs(60);

/// An address that is posted to.
pub(super) struct Hook {
    target: Result<Target, Cause>,
}

struct Target {
    client: reqwest::Client,
    url: String,
    /// How the address is named to people.
    shown: String,
    secret: Option<Vec<u8>>,
}

impl Hook {
    /// Prepares an address; what is missing is said with each delivery.
    pub(super) fn new(webhook: &Webhook, variable: &dyn Fn(&str) -> Option<String>) -> Hook {
        Hook { target: Target::new(webhook, variable) }
    }

    /// Posts a notice, again after a passing fault.
    pub(super) async fn send(&self, notice: &Notice) -> Delivered {
        let target = match &self.target {
            Ok(target) => target,
            Err(cause) => return Delivered { attempts: 0, cause: Some(cause.clone()) },
        };
        let body = notice.json().to_string();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (cause, passing) = match target.post(notice, &body).await {
                Ok(()) => return Delivered { attempts, cause: None },
                Err(fault) => fault,
            };
            let wait = backoff::delay(attempts, None, ALL, &mut backoff::random);
            match wait {
                Ok(wait) if passing && attempts < TRIES => tokio::time::sleep(wait).await,
                Ok(_) | Err(_) => return Delivered { attempts, cause: Some(cause) },
            }
        }
    }
}

impl Target {
    fn new(webhook: &Webhook, variable: &dyn Fn(&str) -> Option<String>) -> Result<Target, Cause> {
        let required = |name: &str| {
            let missing =
                || Cause::new("no_variable", format!("the variable {name} of the webhook is not set"));
            variable(name).filter(|value| !value.is_empty()).ok_or_else(missing)
        };
        let (url, shown) = match &webhook.url {
            Address::Url(url) => (url.clone(), url.clone()),
            Address::Env(name) => (required(name)?, format!("the address in {name}")),
        };
        let secret = webhook.secret_env.as_deref().map(required).transpose()?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("fanout/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TRY)
            .build()
            .map_err(|error| Cause::new("http", format!("could not set up HTTP: {error}")))?;
        Ok(Target { client, url, shown, secret: secret.as_deref().map(key) })
    }

    /// Posts once. The flag of a fault says whether it may pass.
    async fn post(&self, notice: &Notice, body: &str) -> Result<(), (Cause, bool)> {
        let now = jiff::Timestamp::now().as_second().to_string();
        let mut request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &notice.id)
            .header("webhook-timestamp", &now);
        if let Some(secret) = &self.secret {
            request = request.header("webhook-signature", signature(secret, &notice.id, &now, body));
        }
        let reply = request.body(body.to_owned()).send().await.map_err(|error| {
            // Without its address: that may be a secret.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let what = cause.unwrap_or_else(|| {
                if error.is_timeout() { "no answer in time" } else { "no answer" }.to_owned()
            });
            let passing = !error.is_builder();
            (Cause::new("unreachable", format!("{}: {what}", self.shown)), passing)
        })?;
        let status = reply.status();
        if status.is_success() {
            return Ok(());
        }
        let passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
        Err((Cause::new("http_status", format!("{} answered {status}", self.shown)), passing))
    }
}

/// The bytes of a secret: `whsec_` and base64, or any text as it is.
fn key(secret: &str) -> Vec<u8> {
    let coded = secret.strip_prefix("whsec_").and_then(|coded| STANDARD.decode(coded).ok());
    coded.unwrap_or_else(|| secret.as_bytes().to_vec())
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
fn signature(secret: &[u8], id: &str, timestamp: &str, body: &str) -> String {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of the Standard Webhooks reference libraries.
        let secret = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed =
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
