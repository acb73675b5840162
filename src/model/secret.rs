//! Keys: named in plans, looked up once, sent to their provider and shown nowhere.
//!
//! Invariant: a [`Secret`] has no `Debug`, no `Display` and no serialisation, and
//! only this room can read it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::plan::{Api, Provider};

/// The variable that Anthropic's own tools read for a bearer token.
pub(super) const ANTHROPIC_TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";

/// A text that must not be seen.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a key, without the white space that copying leaves around it; `None` if nothing is left.
    pub fn new(text: &str) -> Option<Secret> {
        let text = text.trim();
        (!text.is_empty()).then(|| Secret(text.into()))
    }

    /// The key itself, for the one header that carries it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

/// The keys of a run, by the name of the environment variable that holds each.
#[derive(Clone, Default)]
pub struct Keys(HashMap<String, Secret>);

impl Keys {
    /// Looks up the keys that the given providers name, and no others.
    ///
    /// `read` is the environment, or what stands for it. Empty values count as absent.
    pub fn of<'a>(
        providers: impl IntoIterator<Item = &'a Provider>,
        read: impl Fn(&str) -> Option<String>,
    ) -> Keys {
        let found = providers
            .into_iter()
            .flat_map(key_names)
            .filter_map(|name| Some((name.to_owned(), Secret::new(&read(name)?)?)));
        Keys(found.collect())
    }

    /// True when a provider needs no key or its key is there.
    pub fn suffice_for(&self, provider: &Provider) -> bool {
        provider.api_key_env.is_none() || self.get(provider).is_some()
    }

    /// The key for a provider, with the name of the variable that it came from.
    pub(super) fn get<'a>(&'a self, provider: &'a Provider) -> Option<(&'a str, &'a Secret)> {
        key_names(provider).into_iter().find_map(|name| Some((name, self.0.get(name)?)))
    }
}

/// The variables that may hold a provider's key, the first one first.
///
/// Anthropic's own tools take a bearer token where there is no API key; so does this one.
pub fn key_names(provider: &Provider) -> Vec<&str> {
    let named = provider.api_key_env.as_deref();
    let token =
        (provider.api == Api::Anthropic && named == Some("ANTHROPIC_API_KEY")).then_some(ANTHROPIC_TOKEN);
    named.into_iter().chain(token).collect()
}
