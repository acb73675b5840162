//! One request to a model, over real sockets, in all four dialects.

mod faults;
mod replies;
mod streams;
mod tools;

use std::time::Duration;

use fanout::model::{Bounds, Client, Failure, Keys, Message, Progress, Reply, Request, Settings};
use fanout::plan::{self, Api};
use fanout::unit::Tokens;

use crate::provider::Provider;

pub(crate) const APIS: [Api; 4] = [Api::Anthropic, Api::OpenAiChat, Api::OpenAiResponses, Api::Gemini];

pub(crate) const KEY: &str = "sk-do-not-show-me";

/// A plan's provider that speaks `api` at the scripted one.
pub(crate) fn at(base_url: &str, api: Api) -> plan::Provider {
    plan::Provider {
        name: "lab".to_owned(),
        api,
        base_url: base_url.to_owned(),
        api_key_env: Some("LAB_KEY".to_owned()),
        rate: plan::DeclaredRate::default(),
        headers: Vec::new(),
        prices: Vec::new(),
    }
}

/// The key of the scripted provider.
pub(crate) fn keys() -> Keys {
    Keys::of([&at("", Api::Anthropic)], |name| (name == "LAB_KEY").then(|| KEY.to_owned()))
}

/// A client that has the key, uses no proxy of the developer's and gives up connecting soon.
pub(crate) fn client() -> Client {
    Client::new(keys(), Settings { proxies: false, ..Settings::default() })
}

pub(crate) fn request(prompt: &str) -> Request {
    Request {
        model: "tiny".to_owned(),
        system: Some("Be brief.".to_owned()),
        messages: vec![Message::User(prompt.to_owned())],
        schema: None,
        max_tokens: Tokens(1000),
        temperature: None,
        effort: None,
        tools: Vec::new(),
        cache: false,
        shared: None,
    }
}

pub(crate) const NO_BOUNDS: Bounds = Bounds { deadline: None, idle: None };

/// Bounds for a request that is to run into its idle timeout.
pub(crate) const IMPATIENT: Bounds = Bounds { deadline: None, idle: Some(Duration::from_millis(60)) };

pub(crate) fn quiet(_: Progress<'_>) {}

pub(crate) async fn ask(provider: &Provider, api: Api) -> Result<Reply, Box<Failure>> {
    ask_within(provider, api, NO_BOUNDS).await
}

pub(crate) async fn ask_within(provider: &Provider, api: Api, bounds: Bounds) -> Result<Reply, Box<Failure>> {
    client().ask(&at(&provider.base_url(), api), &request("hello"), bounds, &quiet).await
}
