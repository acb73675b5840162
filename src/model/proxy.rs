//! The proxy on the way to a provider, found as the HTTP client itself finds it: from
//! `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of this process, and from nowhere else.

use hyper_util::client::proxy::matcher::Matcher;

/// `host:port` of the proxy that requests to this address go through; never its user or password.
pub fn on_the_way(base_url: &str) -> Option<String> {
    let address = base_url.parse().ok()?;
    let proxy = Matcher::from_env().intercept(&address)?;
    Some(proxy.uri().authority()?.as_str().to_owned())
}
