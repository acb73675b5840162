//! The command-line agents that are known by name: what a plan, a lint and a check of the
//! surroundings need to know of each.
//!
//! Invariant: facts only. How one is started and how its output is read stands with the agents.

use std::path::Path;

/// A command-line agent with an adapter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// OpenCode.
    OpenCode,
    /// goose.
    Goose,
}

impl Program {
    /// All of them.
    pub const ALL: [Program; 5] =
        [Program::Claude, Program::Codex, Program::Gemini, Program::OpenCode, Program::Goose];

    /// The one that a plan calls by this name.
    pub fn named(name: &str) -> Option<Program> {
        Program::ALL.into_iter().find(|program| program.name() == name)
    }

    /// The one that a command starts, recognised by its file name: `/usr/bin/claude`, `codex.exe`.
    pub fn started_by(argv: &[String]) -> Option<Program> {
        Program::named(Path::new(argv.first()?).file_stem()?.to_str()?)
    }

    /// Its name in a plan, which is also that of its executable.
    pub fn name(self) -> &'static str {
        match self {
            Program::Claude => "claude",
            Program::Codex => "codex",
            Program::Gemini => "gemini",
            Program::OpenCode => "opencode",
            Program::Goose => "goose",
        }
    }

    /// The variables that hold its own keys. No other program gets them, and it gets no others.
    ///
    /// OpenCode and goose reach many providers; they get the keys of the one that their `model` names,
    /// see [`Program::keys_for`].
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Program::Claude => &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"],
            Program::Codex => &["OPENAI_API_KEY", "CODEX_API_KEY"],
            Program::Gemini => &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
            Program::OpenCode => &["OPENCODE_API_KEY"],
            Program::Goose => &[],
        }
    }

    /// The variables of [`Program::keys`], and those of the provider that its `model` names.
    pub fn keys_for(self, provider: Option<&str>) -> Vec<&'static str> {
        let mut keys = self.keys().to_vec();
        if matches!(self, Program::OpenCode | Program::Goose) {
            keys.extend_from_slice(match provider {
                Some("anthropic") => &["ANTHROPIC_API_KEY"],
                Some("openai") => &["OPENAI_API_KEY"],
                Some("google" | "gemini") => {
                    &["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"]
                }
                Some("openrouter") => &["OPENROUTER_API_KEY"],
                Some(_) | None => &[],
            });
        }
        keys
    }

    /// Other variables that it reads: where it keeps its things, whom it asks. No secrets.
    pub fn variables(self) -> &'static [&'static str] {
        match self {
            Program::Claude => &[
                "ANTHROPIC_BASE_URL",
                "ANTHROPIC_MODEL",
                "CLAUDE_CONFIG_DIR",
                "CLAUDE_CODE_MAX_RETRIES",
                "CLAUDE_CODE_USE_BEDROCK",
                "CLAUDE_CODE_USE_VERTEX",
            ],
            Program::Codex => &["CODEX_HOME", "OPENAI_BASE_URL"],
            Program::Gemini => &[
                "GEMINI_CLI_HOME",
                "GEMINI_MODEL",
                "GOOGLE_APPLICATION_CREDENTIALS",
                "GOOGLE_CLOUD_LOCATION",
                "GOOGLE_CLOUD_PROJECT",
                "GOOGLE_GEMINI_BASE_URL",
                "GOOGLE_GENAI_USE_VERTEXAI",
            ],
            Program::OpenCode => &["OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT", "OPENCODE_CONFIG_DIR"],
            Program::Goose => &[
                "ANTHROPIC_HOST",
                "GOOSE_DISABLE_KEYRING",
                "GOOSE_MODEL",
                "GOOSE_PROVIDER",
                "OLLAMA_HOST",
                "OPENAI_BASE_PATH",
                "OPENAI_HOST",
            ],
        }
    }

    /// The keys of an agent that it has, beyond those that every program has.
    pub fn settings(self) -> &'static [&'static str] {
        match self {
            Program::Claude => &["model", "effort", "max_turns", "tools"],
            Program::Codex => &["model", "effort", "tools"],
            Program::Gemini | Program::OpenCode => &["model", "tools"],
            Program::Goose => &["model", "max_turns", "tools"],
        }
    }

    /// How to get it.
    pub fn install(self) -> &'static str {
        match self {
            Program::Claude => "npm install -g @anthropic-ai/claude-code",
            Program::Codex => "npm install -g @openai/codex",
            Program::Gemini => "npm install -g @google/gemini-cli",
            Program::OpenCode => "npm install -g opencode-ai",
            Program::Goose => "https://block.github.io/goose/docs/getting-started/installation",
        }
    }
}

/// Variables that every program takes over: where it is, what language it speaks, how it gets out.
pub const COMMON_VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LC_*",
    "TMPDIR",
    "TZ",
    "USER",
    "LOGNAME",
    "SHELL",
    "XDG_*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
];
