//! Where model calls go: the built-in providers, what the plan changes, what it adds.
//!
//! Invariants: a key is known by the name of its variable, never by its value; a plan
//! that sends a built-in provider's calls elsewhere does not send the key along unless
//! it names it.

use indexmap::IndexMap;

use super::at_least_one;
use super::budget;
use super::include::Named;
use crate::plan::diagnostic::{Diagnostic, Span};
use crate::plan::file::agent::{ApiWord, ProviderFile, RateFile};
use crate::plan::load::{Environment, Load};
use crate::plan::read::{At, Entries, Field};
use crate::plan::record::Record as _;
use crate::plan::suggest::{did_you_mean, list};
use crate::plan::{Api, DeclaredRate, ModelName, Provider, code};

/// The variable that names the default model: `provider/model`.
pub(super) const MODEL_VARIABLE: &str = "FANOUT_MODEL";

/// What each key in the environment makes the default model.
const DEFAULT_MODELS: &[(&str, &str, &str)] = &[
    ("ANTHROPIC_API_KEY", "anthropic", "claude-sonnet-5"),
    ("OPENAI_API_KEY", "openai", "gpt-5.5"),
    ("OPENROUTER_API_KEY", "openrouter", "anthropic/claude-sonnet-5"),
];

/// The built-in providers as the environment has them, and those of the plan.
pub(super) fn all(load: &mut Load<'_>, files: Named<ProviderFile>) -> IndexMap<String, Provider> {
    let mut providers = built_in(&load.given.environment);
    for (name, file) in files.into_values() {
        let Some(file) = file else { continue };
        let provider = one(load, &name, file, providers.get(&name.value));
        providers.insert(name.value, provider);
    }
    providers
}

/// The default model of this environment.
pub(super) fn default_model(
    load: &mut Load<'_>,
    providers: &IndexMap<String, Provider>,
) -> Option<ModelName> {
    let environment = &load.given.environment;
    if let Some(text) = environment.get(MODEL_VARIABLE) {
        let text = text.to_owned();
        let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let number = load.files.add(MODEL_VARIABLE.into(), text.clone())?;
        let at = Span { file: number, start: 0, end };
        return model(load, &At { at, value: text }, providers);
    }
    let found = DEFAULT_MODELS.iter().find(|(key, ..)| environment.get(key).is_some());
    found.map(|(_, provider, model)| ModelName {
        provider: (*provider).to_owned(),
        model: (*model).to_owned(),
    })
}

/// Reads `provider/model`.
pub(super) fn model(
    load: &mut Load<'_>,
    text: &At<String>,
    providers: &IndexMap<String, Provider>,
) -> Option<ModelName> {
    let Some((provider, model)) = text.value.split_once('/').filter(|(a, b)| !a.is_empty() && !b.is_empty())
    else {
        let fault = Diagnostic::error(
            code::MODEL_NAME,
            text.at,
            format!("`{}` does not name a provider", text.value),
        );
        load.fault(fault.help(format!("write `{}/{}`", guess(&text.value), text.value.trim_matches('/'))));
        return None;
    };
    if !providers.contains_key(provider) {
        let fault =
            Diagnostic::error(code::UNKNOWN_PROVIDER, text.at, format!("there is no provider `{provider}`"));
        let names = providers.keys().map(String::as_str);
        let quoted: Vec<String> = names.clone().map(|name| format!("`{name}`")).collect();
        let all =
            || format!("the providers are {}; others are defined under `providers`", list(&quoted, "and"));
        load.fault(fault.help(did_you_mean(provider, names).unwrap_or_else(all)));
        return None;
    }
    Some(ModelName { provider: provider.to_owned(), model: model.to_owned() })
}

/// Whose model that probably is.
fn guess(model: &str) -> &'static str {
    let starts = |words: &[&str]| words.iter().any(|word| model.starts_with(word));
    match () {
        () if starts(&["claude", "sonnet", "opus", "haiku"]) => "anthropic",
        () if starts(&["gpt", "o1", "o3", "o4", "codex"]) => "openai",
        () if starts(&["gemini"]) => "gemini",
        () if starts(&["llama", "qwen", "mistral", "phi", "gemma"]) => "ollama",
        () => "provider",
    }
}

fn built_in(environment: &Environment) -> IndexMap<String, Provider> {
    let provider = |name: &str, api, base_url: String, key: Option<&str>| {
        let provider = Provider {
            name: name.to_owned(),
            api,
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key_env: key.map(str::to_owned),
            rate: DeclaredRate::default(),
            headers: Vec::new(),
            prices: Vec::new(),
        };
        (name.to_owned(), provider)
    };
    let variable = |name: &str, otherwise: &str| environment.get(name).unwrap_or(otherwise).to_owned();
    // Anthropic's own variable is without the version; OpenAI's is with it.
    let anthropic = variable("ANTHROPIC_BASE_URL", "https://api.anthropic.com");
    let anthropic = anthropic.trim_end_matches('/').trim_end_matches("/v1");
    let ollama = variable("OLLAMA_HOST", "http://localhost:11434");
    let ollama = ollama.trim_end_matches('/').trim_end_matches("/v1");
    let ollama = if ollama.contains("://") { ollama.to_owned() } else { format!("http://{ollama}") };
    // As Google's own: without the version, and where both keys are set the wider one counts.
    let gemini = variable("GOOGLE_GEMINI_BASE_URL", "https://generativelanguage.googleapis.com");
    let gemini = gemini.trim_end_matches('/').trim_end_matches("/v1beta");
    let gemini_key = environment.get("GOOGLE_API_KEY").map_or("GEMINI_API_KEY", |_| "GOOGLE_API_KEY");
    IndexMap::from([
        provider("anthropic", Api::Anthropic, format!("{anthropic}/v1"), Some("ANTHROPIC_API_KEY")),
        provider(
            "openai",
            Api::OpenAiResponses,
            variable("OPENAI_BASE_URL", "https://api.openai.com/v1"),
            Some("OPENAI_API_KEY"),
        ),
        provider("gemini", Api::Gemini, format!("{gemini}/v1beta"), Some(gemini_key)),
        provider(
            "openrouter",
            Api::OpenAiChat,
            "https://openrouter.ai/api/v1".to_owned(),
            Some("OPENROUTER_API_KEY"),
        ),
        provider("ollama", Api::OpenAiChat, format!("{ollama}/v1"), None),
    ])
}

fn one(load: &mut Load<'_>, name: &At<String>, file: ProviderFile, before: Option<&Provider>) -> Provider {
    if name.value.is_empty() || name.value.contains(['/', ' ']) {
        let message = format!("`{}` cannot be the name of a provider", name.value);
        load.fault(
            Diagnostic::error(code::INVALID_ID, name.at, message).help("use letters, digits, `_` and `-`"),
        );
    }
    if before.is_none() {
        for key in ["api", "base_url"] {
            if !file.wrote(key) {
                let message = format!("the provider `{}` has no `{key}`", name.value);
                let help =
                    if key == "api" { "add `api: openai-chat`" } else { "add `base_url: https://…/v1`" };
                load.fault(Diagnostic::error(code::MISSING_KEY, name.at, message).help(help));
            }
        }
    }
    let ProviderFile { api, base_url, api_key_env, rate, headers, prices, .. } = file;
    let api = match api.map(|api| api.value) {
        Some(ApiWord::Anthropic) => Api::Anthropic,
        Some(ApiWord::OpenAiResponses) => Api::OpenAiResponses,
        Some(ApiWord::OpenAiChat) => Api::OpenAiChat,
        Some(ApiWord::Gemini) => Api::Gemini,
        None => before.map_or(Api::OpenAiChat, |before| before.api),
    };
    let moved = base_url.is_some();
    let key = match api_key_env {
        Some(key) => key_name(load, &key, "api_key_env"),
        None if moved => None,
        None => before.and_then(|before| before.api_key_env.clone()),
    };
    let base_url = match base_url {
        Some(url) => address(load, &url),
        None => before.map_or_else(String::new, |before| before.base_url.clone()),
    };
    Provider {
        name: name.value.clone(),
        api,
        base_url,
        api_key_env: key,
        rate: rate.map_or_else(DeclaredRate::default, |rate| declared(load, rate.value)),
        headers: headers.map_or_else(Vec::new, |headers| plain_headers(load, headers.value)),
        prices: prices.map_or_else(Vec::new, |prices| budget::prices(load, prices.value)),
    }
}

fn declared(load: &mut Load<'_>, rate: RateFile) -> DeclaredRate {
    DeclaredRate {
        requests: rate.requests.map(|rate| rate.value.0),
        tokens: rate.tokens.map(|rate| rate.value.0),
        concurrency: rate.concurrency.map(|n| at_least_one(load, n.value, n.at, "concurrency")),
    }
}

/// The name of an environment variable; reports what looks like a secret instead.
pub(super) fn key_name(load: &mut Load<'_>, key: &Field<String>, what: &str) -> Option<String> {
    let name = &key.value;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.len() <= 128;
    if is_name {
        return Some(name.clone());
    }
    let fault =
        Diagnostic::error(code::SECRET, key.key, format!("`{what}` is the name of a variable, not a key"));
    load.fault(fault.help(
        "write the variable's name, such as `LAB_KEY`, and set it in your environment; \
                           a key that stood in a file should be replaced",
    ));
    None
}

/// An address without a secret in it.
pub(super) fn address(load: &mut Load<'_>, url: &Field<String>) -> String {
    let text = url.value.trim_end_matches('/');
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or(""));
    match host {
        Some(host) if host.contains('@') => {
            let fault = Diagnostic::error(code::SECRET, url.key, "the address holds a name or password");
            load.fault(fault.help("name the key with `api_key_env`"));
        }
        Some(host) if !host.is_empty() && !text.contains(char::is_whitespace) => {}
        Some(_) | None => {
            let message = format!("`{text}` is no http or https address");
            load.fault(Diagnostic::error(code::URL, url.at, message).help("write `https://host/v1`"));
        }
    }
    text.to_owned()
}

fn plain_headers(load: &mut Load<'_>, headers: Entries<String>) -> Vec<(String, String)> {
    const SECRET: &[&str] =
        &["authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];
    let mut kept = Vec::new();
    for (name, value) in headers.0 {
        let lower = name.value.to_ascii_lowercase();
        let is_name =
            !lower.is_empty() && lower.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if SECRET.contains(&lower.as_str()) {
            let message = format!("the header `{}` carries a secret, which a plan must not hold", name.value);
            load.fault(
                Diagnostic::error(code::SECRET, name.at, message).help("name the key with `api_key_env`"),
            );
        } else if !is_name || value.as_ref().is_some_and(|value| value.contains(['\n', '\r', '\0'])) {
            let message = format!("`{}` cannot be a request header", name.value.escape_debug());
            load.fault(Diagnostic::error(code::URL, name.at, message));
        }
        kept.extend(value.map(|value| (name.value, value)));
    }
    kept
}
