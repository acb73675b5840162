//! What is kept of a stream: its head and its tail, and the count of what was dropped between.
//!
//! Invariant: memory is bounded by [`Keep`], whatever a program prints;
//! `head + dropped + tail` is always the number of bytes seen.

use std::borrow::Cow;
use std::collections::VecDeque;

/// How many bytes are kept of each of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Bytes kept from the beginning.
    pub head: usize,
    /// Bytes kept from the end, once the head is full.
    pub tail: usize,
}

impl Default for Keep {
    /// 1 MiB from the beginning and 1 MiB from the end.
    fn default() -> Keep {
        Keep { head: 1 << 20, tail: 1 << 20 }
    }
}

/// What was kept of a stream that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    /// The beginning; all of it when nothing was dropped and the head was large enough.
    pub head: Vec<u8>,
    /// The end; empty when everything fitted into the head.
    pub tail: Vec<u8>,
    /// How many bytes between the two were dropped.
    pub dropped: u64,
}

impl Captured {
    /// How many bytes the program wrote.
    pub fn total(&self) -> u64 {
        self.head.len() as u64 + self.dropped + self.tail.len() as u64
    }

    /// The kept bytes in order; where some were dropped, a line between says how many.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        if self.tail.is_empty() && self.dropped == 0 {
            return Cow::Borrowed(&self.head);
        }
        let mut all = self.head.clone();
        if self.dropped > 0 {
            all.extend_from_slice(gap(self.dropped).as_bytes());
        }
        all.extend_from_slice(&self.tail);
        Cow::Owned(all)
    }

    /// The kept bytes as text, with what is no UTF-8 replaced by U+FFFD.
    ///
    /// Where bytes were dropped, a line between says how many; a character that the cut went
    /// through is dropped with them.
    pub fn text(&self) -> Cow<'_, str> {
        if self.dropped == 0 {
            return match self.bytes() {
                Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
                Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
            };
        }
        let head = whole_characters(&self.head);
        let broken = self.tail.iter().take(3).take_while(|byte| is_continuation(**byte)).count();
        let tail = self.tail.get(broken..).unwrap_or_default();
        let dropped = self.dropped + (self.head.len() - head.len() + broken) as u64;
        let mut text = String::from_utf8_lossy(head).into_owned();
        text.push_str(&gap(dropped));
        text.push_str(&String::from_utf8_lossy(tail));
        Cow::Owned(text)
    }
}

fn gap(dropped: u64) -> String {
    format!("\n[… {dropped} bytes left out …]\n")
}

/// The bytes without a multi-byte character at the end that lacks its rest.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    let end = bytes.len();
    let begin = (1..=end.min(4)).map(|back| end - back).find(|at| !is_continuation(bytes[*at]));
    match begin {
        Some(at) if bytes[at] >= 0xC0 && std::str::from_utf8(&bytes[at..]).is_err() => &bytes[..at],
        Some(_) | None => bytes,
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// Keeps the head and tail of a stream while it flows.
#[derive(Debug)]
pub(super) struct Keeper {
    keep: Keep,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: u64,
}

impl Keeper {
    pub(super) fn new(keep: Keep) -> Keeper {
        Keeper { keep, head: Vec::new(), tail: VecDeque::new(), dropped: 0 }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        let (head, rest) = chunk.split_at(chunk.len().min(self.keep.head - self.head.len()));
        self.head.extend_from_slice(head);
        let (passed_over, rest) = rest.split_at(rest.len().saturating_sub(self.keep.tail));
        let pushed_out = (self.tail.len() + rest.len()).saturating_sub(self.keep.tail);
        self.tail.drain(..pushed_out);
        self.tail.extend(rest);
        self.dropped += (passed_over.len() + pushed_out) as u64;
    }

    pub(super) fn finish(self) -> Captured {
        Captured { head: self.head, tail: self.tail.into(), dropped: self.dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(keep: Keep, chunks: &[&[u8]]) -> Captured {
        let mut keeper = Keeper::new(keep);
        for chunk in chunks {
            keeper.push(chunk);
        }
        keeper.finish()
    }

    #[test]
    fn what_lies_between_head_and_tail_is_counted_however_it_is_cut_into_chunks() {
        let whole = b"0123456789abcdef";
        let expected = Captured { head: b"0123".to_vec(), tail: b"def".to_vec(), dropped: 9 };
        for first in 0..=whole.len() {
            for second in first..=whole.len() {
                let chunks = [&whole[..first], &whole[first..second], &whole[second..]];
                assert_eq!(captured(Keep { head: 4, tail: 3 }, &chunks), expected, "{first} {second}");
            }
        }
    }

    #[test]
    fn a_short_stream_is_kept_whole() {
        let short = captured(Keep { head: 4, tail: 4 }, &[b"abc", b"def"]);
        assert_eq!(short, Captured { head: b"abcd".to_vec(), tail: b"ef".to_vec(), dropped: 0 });
        assert_eq!(short.text(), "abcdef");
        assert_eq!(captured(Keep { head: 0, tail: 0 }, &[b"abc"]).total(), 3);
    }

    #[test]
    fn a_character_that_the_cut_goes_through_is_dropped_whole() {
        let cut = captured(Keep { head: 2, tail: 2 }, &["aééb".as_bytes()]);
        assert_eq!(cut.text(), "a\n[… 4 bytes left out …]\nb");
        assert_eq!(cut.bytes().as_ref(), b"a\xc3\n[\xe2\x80\xa6 2 bytes left out \xe2\x80\xa6]\n\xa9b");
    }
}
