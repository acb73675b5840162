//! What a server writes on its way to the client, watched.
//!
//! Invariant: a server that babbles (lines that are no messages, messages without end, more messages
//! than anybody asked for) is cut off, and why is known.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// The longest message that is taken, in bytes.
pub(super) const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// How much may stand on standard output that is no message, in bytes: programs greet.
const MAX_GARBAGE: u64 = 64 * 1024;
/// How many messages may come while one call is made, or none.
const MAX_MESSAGES: u64 = 20_000;

/// What is known of a server's output.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    messages: AtomicU64,
    fault: OnceLock<String>,
}

impl Watch {
    /// Why the server was cut off, if it was.
    pub(super) fn fault(&self) -> Option<&str> {
        self.0.fault.get().map(String::as_str)
    }

    /// A call begins: from here on messages are counted anew.
    pub(super) fn call(&self) {
        self.0.messages.store(0, Ordering::Relaxed);
    }
}

/// A reader that ends where the watch finds fault.
pub(super) struct Watched<R> {
    inner: R,
    watch: Watch,
    /// The length of the line so far.
    length: usize,
    /// Whether it begins like a message; `None` before its first character.
    message: Option<bool>,
    garbage: u64,
    /// The beginning of the first line that is no message.
    first: Vec<u8>,
    /// Whether `first` is complete.
    has_first: bool,
}

impl<R> Watched<R> {
    pub(super) fn new(inner: R, watch: Watch) -> Watched<R> {
        Watched { inner, watch, length: 0, message: None, garbage: 0, first: Vec::new(), has_first: false }
    }

    fn look(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
            self.part(part)?;
            if end.is_some() {
                self.line()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn part(&mut self, part: &[u8]) -> Result<(), String> {
        self.length += part.len();
        if self.message.is_none() {
            let first = part.iter().find(|byte| !byte.is_ascii_whitespace());
            self.message = first.map(|byte| *byte == b'{' || *byte == b'[');
        }
        if self.message == Some(false) {
            self.garbage += part.len() as u64;
            if !self.has_first {
                let room = 200_usize.saturating_sub(self.first.len());
                self.first.extend_from_slice(&part[..part.len().min(room)]);
            }
            if self.garbage > MAX_GARBAGE {
                let shown = String::from_utf8_lossy(&self.first);
                let shown = shown.trim().escape_debug();
                return Err(format!("it writes text on its standard output that is no message: `{shown}`"));
            }
        }
        if self.length > MAX_MESSAGE {
            return Err(format!("it wrote a message of more than {MAX_MESSAGE} bytes"));
        }
        Ok(())
    }

    fn line(&mut self) -> Result<(), String> {
        self.length = 0;
        self.has_first |= self.message == Some(false);
        if self.message.take() == Some(true) {
            let before = self.watch.0.messages.fetch_add(1, Ordering::Relaxed);
            if before >= MAX_MESSAGES {
                return Err(format!("it sent more than {MAX_MESSAGES} messages that nobody asked for"));
            }
        }
        Ok(())
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.watch.fault().is_some() {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let seen = this.look(buffer.filled().get(before..).unwrap_or_default());
        if let Err(fault) = seen {
            let _ = this.watch.0.fault.set(fault);
            buffer.set_filled(before);
        }
        Poll::Ready(Ok(()))
    }
}
