//! The three standard streams of a running program, read and written side by side.
//!
//! Invariant: neither stream waits for the other and none for the input, so a
//! program that fills one of them is never blocked by us.

use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::time::Instant;

use super::capture::{Captured, Keep, Keeper};
use super::running::Running;

/// How much is read at once. A pipe holds 64 KiB; more per command would cost more than it saves.
const CHUNK: usize = 32 * 1024;

/// One of the two streams that a program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

pub(super) struct Streams<F> {
    stdin: Option<ChildStdin>,
    input: Vec<u8>,
    written: usize,
    stdout: Source<ChildStdout>,
    stderr: Source<ChildStderr>,
    heard: Instant,
    on_output: F,
}

struct Source<R> {
    stream: Stream,
    pipe: Option<R>,
    kept: Keeper,
}

impl<F: FnMut(Stream, &[u8])> Streams<F> {
    /// Takes the streams of a program that has just started.
    pub(super) fn of(running: &mut Running, input: Vec<u8>, keep: Keep, on_output: F) -> Streams<F> {
        Streams {
            stdin: running.stdin.take(),
            input,
            written: 0,
            stdout: Source { stream: Stream::Stdout, pipe: running.stdout.take(), kept: Keeper::new(keep) },
            stderr: Source { stream: Stream::Stderr, pipe: running.stderr.take(), kept: Keeper::new(keep) },
            heard: Instant::now(),
            on_output,
        }
    }

    /// When the program last wrote something, or was started.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Counts as if the program had written something now.
    pub(super) fn hear(&mut self) {
        self.heard = Instant::now();
    }

    /// Completes when something was read or a stream has ended. Pending for ever after that.
    pub(super) async fn flow(&mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    /// Keeps the streams flowing until `work` completes.
    pub(super) async fn flow_during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return result,
                () = self.flow() => {}
            }
        }
    }

    /// Completes when both streams have ended.
    pub(super) async fn close(&mut self) {
        while self.stdout.pipe.is_some() || self.stderr.pipe.is_some() {
            self.flow().await;
        }
    }

    /// Reads what is there, and waits for nothing.
    pub(super) fn drain(&mut self) {
        // Ends also under somebody who writes for ever: tokio lets a task read only so often
        // before it has to yield.
        let _ = self.close().now_or_never();
    }

    /// What was kept of standard output and of standard error.
    pub(super) fn finish(self) -> (Captured, Captured) {
        (self.stdout.kept.finish(), self.stderr.kept.finish())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_input(context);
        // On the stack: most commands print little, and need no such memory for as long as they run.
        let mut buffer = [const { MaybeUninit::uninit() }; CHUNK];
        let stdout = self.stdout.poll(context, &mut buffer, &mut self.heard, &mut self.on_output);
        let stderr = self.stderr.poll(context, &mut buffer, &mut self.heard, &mut self.on_output);
        if stdout.is_ready() || stderr.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_input(&mut self, context: &mut Context<'_>) {
        while let Some(stdin) = &mut self.stdin {
            let rest = self.input.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.stdin = None;
                break;
            }
            match Pin::new(stdin).poll_write(context, rest) {
                Poll::Pending => return,
                Poll::Ready(Ok(count)) if count > 0 => self.written += count,
                // A program need not read what it is given.
                Poll::Ready(Ok(_) | Err(_)) => self.stdin = None,
            }
        }
        self.input = Vec::new();
    }
}

impl<R: AsyncRead + Unpin> Source<R> {
    /// Reads one chunk. Ready when there was one, or when the stream ends here.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [MaybeUninit<u8>],
        heard: &mut Instant,
        on_output: &mut impl FnMut(Stream, &[u8]),
    ) -> Poll<()> {
        let Some(pipe) = &mut self.pipe else { return Poll::Pending };
        let mut chunk = ReadBuf::uninit(buffer);
        match Pin::new(pipe).poll_read(context, &mut chunk) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if !chunk.filled().is_empty() => {
                *heard = Instant::now();
                self.kept.push(chunk.filled());
                on_output(self.stream, chunk.filled());
            }
            // An error on a pipe is its end as well.
            Poll::Ready(Ok(()) | Err(_)) => self.pipe = None,
        }
        Poll::Ready(())
    }
}
