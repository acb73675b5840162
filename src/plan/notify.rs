//! Who hears of a run, as the plan says.

/// `notify`, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notify {
    /// Of what.
    pub on: Vec<Topic>,
    /// The desktop.
    pub desktop: bool,
    /// The terminal.
    pub bell: bool,
    /// A program with its arguments.
    pub command: Option<Vec<String>>,
    /// An address.
    pub webhook: Option<Webhook>,
}

/// Something that people hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The run has ended.
    Run,
    /// A background call has ended.
    Background,
    /// A parent step found conflicts.
    Conflict,
    /// A question waits for an answer.
    Question,
    /// A call ended as `blocked`.
    Blocked,
    /// A budget is used up to 80 %.
    Budget,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Topic; 6] =
        [Topic::Run, Topic::Background, Topic::Conflict, Topic::Question, Topic::Blocked, Topic::Budget];

    /// The word in plans and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Topic::Run => "run",
            Topic::Background => "background",
            Topic::Conflict => "conflict",
            Topic::Question => "question",
            Topic::Blocked => "blocked",
            Topic::Budget => "budget",
        }
    }
}

/// Where messages are posted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The address.
    pub url: Address,
    /// The variable that holds the secret to sign with.
    pub secret_env: Option<String>,
}

/// An address, or where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// In the plan.
    Url(String),
    /// In this environment variable, since it is a secret itself.
    Env(String),
}
