//! What a provider is to do with one request.

use std::time::Duration;

use serde_json::Value;

/// One response, as data. Made by one of the functions, refined by the methods.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) delay: Duration,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) ending: Ending,
    /// The body is given up after so many bytes.
    pub(super) limit: Option<usize>,
    /// Taken apart into so many bytes a chunk.
    pub(super) chunk: Option<usize>,
    pub(super) pause: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    /// An answer, in the dialect that the request came in.
    Answer(Answer),
    /// An error, in the dialect that the request came in.
    Error { kind: String, message: String },
    /// An error event after the answer's first piece.
    ErrorEvent { kind: String, message: String },
    /// These bytes.
    Raw { content_type: String, bytes: Vec<u8> },
}

#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) text: String,
    /// In how many pieces a stream gives it.
    pub(super) pieces: usize,
    /// Input and output tokens; no usage at all for `None`.
    pub(super) usage: Option<(u64, u64)>,
    pub(super) stop: Stop,
    /// Whether a stream is given where one is asked for.
    pub(super) streamed: bool,
    /// Whether a chat stream ends with `[DONE]`.
    pub(super) done: bool,
    /// The tools that are asked for, after the text.
    pub(super) calls: Vec<Call>,
}

/// A tool call; its id is made from its place in the conversation.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) name: String,
    /// JSON, or whatever stands in its place.
    pub(super) arguments: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    End,
    MaxTokens,
    Refusal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should be.
    Whole,
    /// The connection is closed in the middle.
    Cut,
    /// Nothing more comes, and the connection stays.
    Open,
    /// The connection is closed before any response.
    NoResponse,
    /// No response comes, and the connection stays.
    Silent,
}

impl Script {
    fn new(status: u16, body: Body) -> Script {
        Script {
            delay: Duration::ZERO,
            status,
            headers: Vec::new(),
            body,
            ending: Ending::Whole,
            limit: None,
            chunk: None,
            pause: Duration::ZERO,
        }
    }

    /// A complete answer, in three pieces where it is streamed.
    pub fn text(text: impl Into<String>) -> Script {
        let usage = Some((10, 5));
        let text = text.into();
        Script::new(
            200,
            Body::Answer(Answer {
                text,
                pieces: 3,
                usage,
                stop: Stop::End,
                streamed: true,
                done: true,
                calls: Vec::new(),
            }),
        )
    }

    /// An answer that holds a JSON value.
    pub fn json(value: &Value) -> Script {
        Script::text(value.to_string())
    }

    /// An error status with a body as the dialect words it.
    pub fn error(status: u16, kind: &str, message: &str) -> Script {
        Script::new(status, Body::Error { kind: kind.to_owned(), message: message.to_owned() })
    }

    /// A stream that begins well and then reports an error.
    pub fn error_event(kind: &str, message: &str) -> Script {
        Script::new(200, Body::ErrorEvent { kind: kind.to_owned(), message: message.to_owned() })
    }

    /// These bytes as the body.
    pub fn raw(status: u16, content_type: &str, bytes: impl Into<Vec<u8>>) -> Script {
        Script::new(status, Body::Raw { content_type: content_type.to_owned(), bytes: bytes.into() })
    }

    /// An event stream of these bytes.
    pub fn events(bytes: impl Into<Vec<u8>>) -> Script {
        Script::raw(200, "text/event-stream", bytes)
    }

    /// The connection is closed without a response.
    pub fn hang_up() -> Script {
        Script { ending: Ending::NoResponse, ..Script::text("") }
    }

    /// No response ever comes.
    pub fn silence() -> Script {
        Script { ending: Ending::Silent, ..Script::text("") }
    }

    /// Waits so long before the response.
    pub fn delay(mut self, delay: Duration) -> Script {
        self.delay = delay;
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Script {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Answers with another status.
    pub fn status(mut self, status: u16) -> Script {
        self.status = status;
        self
    }

    /// Streams the answer in so many pieces.
    pub fn pieces(self, pieces: usize) -> Script {
        self.with(|answer| answer.pieces = pieces)
    }

    /// Waits so long between pieces or chunks.
    pub fn pause(mut self, pause: Duration) -> Script {
        self.pause = pause;
        self
    }

    /// Sends the body in chunks of so many bytes, whatever it is.
    pub fn chunked_by(mut self, bytes: usize) -> Script {
        self.chunk = Some(bytes.max(1));
        self
    }

    /// Says that so many tokens were used.
    pub fn usage(self, input: u64, output: u64) -> Script {
        self.with(|answer| answer.usage = Some((input, output)))
    }

    /// Gives no usage.
    pub fn no_usage(self) -> Script {
        self.with(|answer| answer.usage = None)
    }

    /// Asks for a tool, after the text and the calls before it. Its id is `call_M_N`: the
    /// conversation has M messages, and it is the Nth call of this one; Gemini gives none.
    pub fn call(self, name: &str, arguments: &Value) -> Script {
        self.call_with(name, &arguments.to_string())
    }

    /// Asks for a tool with arguments that need not be JSON.
    pub fn call_with(self, name: &str, arguments: &str) -> Script {
        let call = Call { name: name.to_owned(), arguments: arguments.to_owned() };
        self.with(|answer| answer.calls.push(call))
    }

    /// Says that the answer was cut off at the token limit.
    pub fn truncated(self) -> Script {
        self.with(|answer| answer.stop = Stop::MaxTokens)
    }

    /// Makes it a refusal; the text is the reason.
    pub fn refusal(self) -> Script {
        self.with(|answer| answer.stop = Stop::Refusal)
    }

    /// Answers with one JSON document even where a stream is asked for.
    pub fn unstreamed(self) -> Script {
        self.with(|answer| answer.streamed = false)
    }

    /// Leaves `[DONE]` out of a chat stream.
    pub fn without_done(self) -> Script {
        self.with(|answer| answer.done = false)
    }

    /// Closes the connection after so many bytes of the body.
    pub fn cut_after(mut self, bytes: usize) -> Script {
        (self.limit, self.ending) = (Some(bytes), Ending::Cut);
        self
    }

    /// Sends so many bytes of the body and then nothing, on an open connection.
    pub fn stall_after(mut self, bytes: usize) -> Script {
        (self.limit, self.ending) = (Some(bytes), Ending::Open);
        self
    }

    /// Sends the whole body and keeps the response open.
    pub fn keep_open(mut self) -> Script {
        self.ending = Ending::Open;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Answer)) -> Script {
        if let Body::Answer(answer) = &mut self.body {
            change(answer);
        }
        self
    }
}
