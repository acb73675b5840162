//! Requests that begin in the same way: one goes first, and the others follow once its answer has
//! begun, when its provider has kept what they begin with.
//!
//! Invariants: nobody waits for longer than [`MOST_WAIT`]; where the first one fails before its answer
//! has begun, another one goes first; what is not worth the wait is not waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Shared;
use crate::id::ContentKey;
use crate::model::Request;
use crate::plan::{Api, Provider};

/// The longest that a request waits for another one's answer to begin.
const MOST_WAIT: Duration = Duration::from_secs(5);
/// How long providers keep a beginning that nobody asks for.
const KEPT: Duration = Duration::from_secs(270);
/// So many bytes of a beginning, over all who share it but the first, are worth waiting for an
/// answer to begin: about 16,000 tokens that need not be read anew.
const WORTH: usize = 64_000;
/// Bytes of a token, on the safe side: a beginning that is too short is not kept at all.
const TOKEN: usize = 4;

/// What requests begin with that are under way, or were lately.
#[derive(Debug, Default)]
pub(super) struct Prefixes(Mutex<HashMap<ContentKey, State>>);

#[derive(Debug)]
enum State {
    /// The first one is on its way.
    Asked(Arc<Notify>),
    /// Its answer began; kept until then.
    Kept(Instant),
}

/// The first one of those that begin in the same way. Dropped before [`Lead::begun`], another one is it.
#[derive(Debug)]
pub(super) struct Lead<'a> {
    prefixes: &'a Prefixes,
    key: ContentKey,
    begun: Mutex<bool>,
}

impl Prefixes {
    /// Comes back at once to the first one that begins so, with the lead; to the others when its
    /// answer has begun. `on_wait` is called once, before a wait.
    pub(super) async fn enter(&self, key: &ContentKey, on_wait: impl FnOnce()) -> Option<Lead<'_>> {
        let until = Instant::now() + MOST_WAIT;
        let mut on_wait = Some(on_wait);
        loop {
            let begun = {
                let mut states = self.lock();
                match states.get(key) {
                    Some(State::Kept(until)) if *until > Instant::now() => return None,
                    Some(State::Asked(begun)) => Arc::clone(begun).notified_owned(),
                    Some(State::Kept(_)) | None => {
                        states.insert(key.clone(), State::Asked(Arc::default()));
                        return Some(Lead { prefixes: self, key: key.clone(), begun: Mutex::new(false) });
                    }
                }
            };
            if let Some(on_wait) = on_wait.take() {
                on_wait();
            }
            tokio::time::timeout_at(until, begun).await.ok()?;
        }
    }

    /// An answer to a request that begins so has begun.
    fn kept(&self, key: &ContentKey) {
        let state = State::Kept(Instant::now() + KEPT);
        if let Some(State::Asked(begun)) = self.lock().insert(key.clone(), state) {
            begun.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContentKey, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead<'_> {
    /// Its answer has begun.
    pub(super) fn begun(&self) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *begun, true) {
            self.prefixes.kept(&self.key);
        }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if *self.begun.lock().unwrap_or_else(PoisonError::into_inner) {
            return;
        }
        if let Some(State::Asked(begun)) = self.prefixes.lock().remove(&self.key) {
            begun.notify_waiters();
        }
    }
}

/// How many bytes of the first message others begin with as well, where waiting for that to be kept is
/// worth it; `None` where it is not.
pub(super) fn shared(
    provider: &Provider,
    request: &Request,
    prompt: &str,
    shared: Option<&Shared>,
) -> Option<usize> {
    let shared = shared?;
    let head = if prompt.starts_with(&*shared.head) { shared.head.len() } else { 0 };
    let bytes = constant(request) + head;
    let others = usize::try_from(shared.siblings.saturating_sub(1)).unwrap_or(usize::MAX);
    let worth = bytes >= least(provider, &request.model)? * TOKEN && bytes.saturating_mul(others) >= WORTH;
    worth.then_some(head)
}

/// What a request begins with, by its content; `None` where nobody shares it.
pub(super) fn key(who: &str, base_url: &str, request: &Request, first: &str) -> Option<ContentKey> {
    let head = first.get(..request.shared?)?;
    let system = request.system.as_deref().unwrap_or_default();
    let tools = request.tools.iter().map(|tool| format!("{tool:?}"));
    let tools: Vec<String> = tools.collect();
    let parts = [who, base_url, system, head].into_iter().chain(tools.iter().map(String::as_str));
    Some(ContentKey::of(parts.map(str::as_bytes)))
}

/// Bytes of tools and system prompt.
fn constant(request: &Request) -> usize {
    let tools = request.tools.iter();
    let tools = tools.map(|it| it.name.len() + it.description.len() + it.parameters.to_string().len());
    tools.sum::<usize>() + request.system.as_ref().map_or(0, String::len)
}

/// The fewest tokens of a beginning that a provider keeps; `None` where it is not known to keep any.
fn least(provider: &Provider, model: &str) -> Option<usize> {
    let is = |names: &[&str]| names.iter().any(|name| model.contains(name));
    match provider.api {
        Api::Anthropic if is(&["opus-5", "fable-5"]) => Some(512),
        Api::Anthropic if is(&["sonnet", "opus-4-8"]) => Some(1024),
        Api::Anthropic if is(&["opus-4-7"]) => Some(2048),
        Api::Anthropic => Some(4096),
        // Of servers that speak the same, nothing is known.
        Api::OpenAiChat | Api::OpenAiResponses if provider.name == "openai" => Some(1024),
        Api::OpenAiChat | Api::OpenAiResponses | Api::Gemini => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::DeclaredRate;
    use crate::unit::Tokens;
    use futures::FutureExt;

    fn key(text: &str) -> ContentKey {
        ContentKey::of([text.as_bytes()])
    }

    #[tokio::test(start_paused = true)]
    async fn the_others_follow_when_the_first_answer_begins_and_later_ones_go_at_once() {
        let (prefixes, a) = (Prefixes::default(), key("a"));
        let lead = prefixes.enter(&a, || panic!("it is the first")).await.unwrap();
        let mut waited = false;
        {
            let mut second = std::pin::pin!(prefixes.enter(&a, || waited = true));
            let mut third = std::pin::pin!(prefixes.enter(&a, || {}));
            assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
            assert!(
                prefixes.enter(&key("b"), || {}).now_or_never().unwrap().is_some(),
                "it begins otherwise"
            );
            lead.begun();
            assert!(second.now_or_never().unwrap().is_none() && third.now_or_never().unwrap().is_none());
        }
        assert!(waited);
        drop(lead);
        assert!(prefixes.enter(&key("a"), || {}).now_or_never().unwrap().is_none(), "it is kept");
        tokio::time::advance(KEPT).await;
        assert!(prefixes.enter(&key("a"), || {}).now_or_never().unwrap().is_some(), "no longer");
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_first_one_fails_another_leads_and_nobody_waits_for_ever() {
        let (prefixes, a) = (Prefixes::default(), key("a"));
        let lead = prefixes.enter(&a, || {}).await.unwrap();
        let mut second = std::pin::pin!(prefixes.enter(&a, || {}));
        assert!(second.as_mut().now_or_never().is_none());
        drop(lead);
        let second = second.now_or_never().unwrap();
        assert!(second.is_some());
        let began = Instant::now();
        assert!(prefixes.enter(&key("a"), || {}).await.is_none());
        assert_eq!(began.elapsed(), MOST_WAIT);
    }

    #[test]
    fn only_what_is_kept_and_saves_enough_is_waited_for() {
        let provider = |name: &str, api| Provider {
            name: name.to_owned(),
            api,
            base_url: String::new(),
            api_key_env: None,
            rate: DeclaredRate::default(),
            headers: Vec::new(),
            prices: Vec::new(),
        };
        let request = || Request {
            model: String::new(),
            system: None,
            messages: Vec::new(),
            tools: Vec::new(),
            schema: None,
            max_tokens: Tokens(1),
            temperature: None,
            effort: None,
            cache: false,
            shared: None,
        };
        let ask = |provider: &Provider, model: &str, head: usize, siblings: u32| {
            let request = Request { model: model.to_owned(), ..request() };
            let head: Arc<str> = "x".repeat(head).into();
            let prompt = format!("{head} and more");
            shared(provider, &request, &prompt, Some(&Shared { head, siblings }))
        };
        let (anthropic, openai) =
            (provider("anthropic", Api::Anthropic), provider("openai", Api::OpenAiChat));
        assert_eq!(ask(&anthropic, "claude-sonnet-5", 40_000, 3), Some(40_000));
        assert_eq!(ask(&openai, "gpt-5", 40_000, 3), Some(40_000));
        assert_eq!(ask(&anthropic, "claude-sonnet-5", 40_000, 2), None, "too little to wait for");
        assert_eq!(ask(&anthropic, "claude-sonnet-5", 4_000, 1000), None, "too short to be kept");
        assert_eq!(ask(&anthropic, "claude-haiku-4-5", 10_000, 1000), None, "too short for this one");
        assert_eq!(ask(&provider("lab", Api::OpenAiChat), "m", 40_000, 100), None, "nothing is known of it");
        let other = Some(Shared { head: "y".repeat(90_000).into(), siblings: 9 });
        assert_eq!(shared(&anthropic, &request(), "x", other.as_ref()), None, "it begins otherwise");
    }
}
