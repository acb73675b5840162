//! Where model calls go, and what they cost there.

use crate::unit::Rate;

/// Where model calls go.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// The dialect it speaks.
    pub api: Api,
    /// Everything before `/messages`, `/chat/completions` or `/responses`, without a slash at the end.
    pub base_url: String,
    /// The environment variable that holds the key; `None` for servers that need none.
    pub api_key_env: Option<String>,
    /// Declared limits.
    pub rate: DeclaredRate,
    /// Extra request headers (never secrets).
    pub headers: Vec<(String, String)>,
    /// What the plan says its models cost, by the provider's own name of the model.
    pub prices: Vec<(String, Price)>,
}

/// What a model costs, in US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Input.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Input that comes from the provider's prompt cache; like other input where it is not said.
    pub cached: Option<f64>,
    /// Input that goes into the provider's prompt cache; like other input where it is not said.
    pub cache_written: Option<f64>,
}

/// Limits declared for a provider.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeclaredRate {
    /// Requests per time.
    pub requests: Option<Rate>,
    /// Tokens per time.
    pub tokens: Option<Rate>,
    /// Requests at once.
    pub concurrency: Option<u32>,
}

/// A wire dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Responses.
    OpenAiResponses,
    /// OpenAI Chat Completions, also spoken by most others.
    OpenAiChat,
    /// Gemini generateContent.
    Gemini,
}
