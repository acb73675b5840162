//! The keys of agents, providers, tool servers and the parent.
//!
//! Invariant: keys are named here, never written: there is no key for a secret.

use super::call::either;
use super::pattern::PatternsFile;
use super::value::{PerTime, PromptText, Time, TokenCount};
use crate::plan::read::{At, Entries, OneOrMany, Read, Reader};
use crate::plan::record::{record, words};
use crate::plan::yaml::{Kind, Node};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

record! {
    /// Who makes a call: a model in this process, or a program of its own.
    struct AgentFile {
        /// What it is for; for people.
        description: String,

        /// `provider/model`, or a list of them that is tried in order. Of a command-line agent: one
        /// model, under the program's own name for it.
        model: OneOrMany<At<String>>,
        /// The system prompt: text, or `{file: prompts/x.md}`.
        system: PromptText,
        /// The tools that it has, and no others.
        tools: OneOrMany<At<String>>,
        /// At most so many turns of the tool loop. Default: 30.
        max_turns: u32,
        /// At most so many output tokens a request. Default: 8k.
        max_tokens: TokenCount,
        /// Sampling temperature; sent only when set.
        temperature: f64,
        /// Reasoning effort; sent only when set.
        effort: String,

        /// A command-line agent: a known one by name, or a program with its arguments as a list.
        command: OneOrMany<At<String>>,
        /// More arguments for `command`.
        args: Vec<String>,
        /// How the program gets the prompt. Default: `stdin`.
        input: InputWord,
        /// How its standard output is read. Default: `text`.
        output: AgentOutputWord,
        /// Where its words stand in its output, where `output` alone does not say.
        patterns: PatternsFile,
        /// Names of environment variables that it gets besides the usual ones: its keys.
        inherit: OneOrMany<At<String>>,
        /// What to do when it is denied a permission. Default: `block`.
        denied: DeniedWord,
    }
}

words! {
    /// What to do when a program is denied a permission that it asked for.
    enum DeniedWord("denied") {
        /// The call ends as `blocked`, at once.
        Block = "block",
        /// The program goes on without it.
        Continue = "continue",
    }
}

words! {
    /// How a program gets the prompt.
    enum InputWord("input") {
        /// On standard input.
        Stdin = "stdin",
        /// As its last argument.
        Arg = "arg",
        /// As the path of a file, its last argument.
        File = "file",
    }
}

words! {
    /// How a program's standard output is read.
    enum AgentOutputWord("output") {
        /// The whole text is the answer.
        Text = "text",
        /// One JSON object.
        Json = "json",
        /// One JSON object a line; the last that holds an answer counts.
        JsonLines = "jsonl",
        /// The event stream of a known command-line agent, or of one that speaks like it.
        StreamJson = "stream-json",
    }
}

either! {
    /// A name, or an agent of its own.
    AgentUse = Name(String) or Inline(AgentFile)
}

record! {
    /// Where model calls go.
    struct ProviderFile {
        /// The dialect that it speaks.
        api: ApiWord,
        /// Everything before `/messages`, `/chat/completions` or `/responses`.
        base_url: String,
        /// The name of the environment variable that holds the key.
        api_key_env: String,
        /// Declared limits.
        rate: RateFile,
        /// Extra request headers; never secrets.
        headers: Entries<String>,
        /// What its models cost, by their names; goes before the prices that are known.
        prices: Entries<PriceFile>,
    }
}

record! {
    /// What a model costs, in US dollars for a million tokens.
    struct PriceFile {
        /// Input.
        input: f64 = required,
        /// Output.
        output: f64 = required,
        /// Input that comes from the provider's prompt cache. Default: like `input`.
        cached: f64,
        /// Input that goes into the provider's prompt cache. Default: like `input`.
        cache_written: f64,
    }
}

words! {
    /// A wire dialect.
    enum ApiWord("api") {
        /// Anthropic Messages.
        Anthropic = "anthropic",
        /// OpenAI Responses.
        OpenAiResponses = "openai-responses",
        /// OpenAI Chat Completions, also spoken by most others.
        OpenAiChat = "openai-chat",
        /// Gemini generateContent.
        Gemini = "gemini",
    }
}

record! {
    /// Limits that a provider declares.
    struct RateFile {
        /// Requests per time.
        requests: PerTime,
        /// Tokens per time.
        tokens: PerTime,
        /// Requests at once.
        concurrency: u32,
    }
}

record! {
    /// A tool server: a program that is started, or an address.
    struct McpFile {
        /// The program to start, with its arguments.
        command: OneOrMany<String>,
        /// More arguments.
        args: Vec<String>,
        /// Environment variables for it; a secret as `{env: NAME}`.
        env: Entries<SettingUse>,
        /// The folder that it works in, relative to the workspace of the agent that uses it.
        cwd: String,
        /// The address of a server that runs already, spoken to over streamable HTTP.
        url: String,
        /// The name of the environment variable that holds the bearer token.
        api_key_env: String,
        /// Extra request headers; a secret as `{env: NAME}`.
        headers: Entries<SettingUse>,
        /// How long one call of its tools may take. Default: 2m.
        timeout: Time,
    }
}

record! {
    /// The value of an environment variable.
    struct NamedValue {
        /// The variable's name.
        env: String = required,
    }
}

either! {
    /// A text, or the environment variable that holds it.
    SettingUse = Text(String) or Named(NamedValue)
}
