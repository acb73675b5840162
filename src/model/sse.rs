//! Server-sent events from bytes, as the HTML standard reads them.
//!
//! Invariants: the same bytes give the same events however they are cut into
//! chunks; the work is linear in the bytes; what is held between chunks never
//! exceeds the bound. No ids, no reconnection: a stream that breaks is a failed
//! attempt, and trying again is not this parser's business.

use std::borrow::Cow;
use std::ops::ControlFlow;

/// The most that one event may hold, in bytes: no provider sends 16 MiB as one event.
pub const MAX_EVENT: usize = 16 << 20;

const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event` field; empty where the server gave none (the standard's `message`).
    pub kind: &'a str,
    /// The `data` lines, joined by line feeds. Bytes that are no UTF-8 became U+FFFD.
    pub data: Cow<'a, str>,
}

/// One event held more bytes than the parser was told to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("one event of the stream is larger than {limit} bytes")]
pub struct EventTooLarge {
    /// The bound.
    pub limit: usize,
}

/// Turns the chunks of one stream into events.
#[derive(Debug)]
pub struct Parser {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The `data` lines of the event being read.
    data: Vec<u8>,
    /// True once the event has a `data` line, be it an empty one.
    has_data: bool,
    /// The `event` field of the event being read.
    kind: String,
    /// The last byte was a CR, so an LF right after it belongs to the same line end.
    after_cr: bool,
    /// How many bytes of a leading byte-order mark were seen; `None` once the start is past.
    bom: Option<usize>,
    limit: usize,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser::with_limit(MAX_EVENT)
    }
}

impl Parser {
    /// A parser that refuses events of more than `limit` bytes.
    pub fn with_limit(limit: usize) -> Parser {
        Parser {
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            kind: String::new(),
            after_cr: false,
            bom: Some(0),
            limit,
        }
    }

    /// True where a chunk that begins with a colon begins a comment.
    pub(super) fn is_between_lines(&self) -> bool {
        self.line.is_empty()
    }

    /// Reads one chunk and hands over every event that it completes, in order.
    ///
    /// `on_event` may break; the rest of the chunk is then dropped, and so should
    /// be the parser. An event that the stream's end leaves open is no event.
    ///
    /// # Errors
    /// [`EventTooLarge`] as soon as an event passes the bound.
    pub fn push(
        &mut self,
        chunk: &[u8],
        mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(), EventTooLarge> {
        let mut rest = self.skip_bom(chunk);
        if self.after_cr && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.after_cr = false;
        }
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r') {
            let (line, after) = rest.split_at(end);
            rest = match after {
                [b'\r', b'\n', tail @ ..] => tail,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [_, tail @ ..] => tail,
                [] => &[],
            };
            // A line that began in an earlier chunk is completed in the buffer; any
            // other is read where it stands.
            let flow = if self.line.is_empty() {
                self.field(line, &mut on_event)?
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                let flow = self.field(&whole, &mut on_event)?;
                whole.clear();
                self.line = whole;
                flow
            };
            if flow.is_break() {
                return Ok(());
            }
        }
        self.line.extend_from_slice(rest);
        self.check(0)
    }

    /// Drops a byte-order mark at the very start, also one that chunks cut in pieces.
    fn skip_bom<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let Some(mut seen) = self.bom else { return chunk };
        let mut rest = chunk;
        while let (Some(expected), Some((byte, tail))) = (BOM.get(seen), rest.split_first()) {
            if byte != expected {
                // It was no mark after all: what looked like one begins the first line.
                self.line.extend(BOM.iter().take(seen));
                self.bom = None;
                return rest;
            }
            seen += 1;
            rest = tail;
        }
        self.bom = (seen < BOM.len()).then_some(seen);
        rest
    }

    /// Takes one line, without its end.
    fn field(
        &mut self,
        line: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, EventTooLarge> {
        if line.is_empty() {
            return Ok(self.dispatch(on_event));
        }
        let (name, value) = match line.iter().position(|&byte| byte == b':') {
            None => (line, &[][..]),
            Some(colon) => {
                let (name, value) = line.split_at(colon);
                let value = value.strip_prefix(b":").unwrap_or(value);
                (name, value.strip_prefix(b" ").unwrap_or(value))
            }
        };
        match name {
            b"data" => {
                self.check(value.len())?;
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.kind.clear();
                self.kind.push_str(&String::from_utf8_lossy(value));
            }
            // Comments (an empty name), `id`, `retry` and whatever else there may be.
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn dispatch(&mut self, on_event: &mut impl FnMut(Event<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        let flow = if self.has_data {
            on_event(Event { kind: &self.kind, data: String::from_utf8_lossy(&self.data) })
        } else {
            ControlFlow::Continue(())
        };
        self.data.clear();
        self.has_data = false;
        self.kind.clear();
        flow
    }

    fn check(&self, more: usize) -> Result<(), EventTooLarge> {
        let held = self.data.len().saturating_add(self.line.len()).saturating_add(more);
        if held > self.limit { Err(EventTooLarge { limit: self.limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (String, String);

    fn parse(chunks: &[&[u8]]) -> Result<Vec<Owned>, EventTooLarge> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk, |event| {
                events.push((event.kind.to_owned(), event.data.into_owned()));
                ControlFlow::Continue(())
            })?;
        }
        Ok(events)
    }

    /// The standard's text, word by word, over the whole stream at once.
    fn reference(bytes: &[u8]) -> Vec<Owned> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        // What comes after the last line end is an incomplete line.
        let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let mut events = Vec::new();
        let (mut data, mut kind) = (String::new(), String::new());
        if !text.contains('\n') {
            return events;
        }
        for line in complete.split('\n') {
            if line.is_empty() {
                if !data.is_empty() {
                    data.pop();
                    events.push((kind.clone(), data.clone()));
                }
                data.clear();
                kind.clear();
            } else if line.starts_with(':') {
            } else {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "data" => {
                        data.push_str(value);
                        data.push('\n');
                    }
                    "event" => kind = value.to_owned(),
                    _ => {}
                }
            }
        }
        events
    }

    fn event(kind: &str, data: &str) -> Owned {
        (kind.to_owned(), data.to_owned())
    }

    #[test]
    fn lines_comments_and_fields_are_read_as_the_standard_says() {
        let stream =
            b"\xEF\xBB\xBF: hello\r\nevent: a\r\ndata: one\rdata:two\n\ndata\n\nid: 7\nevent: lost\n\n\
              data:  two spaces\nunknown: x\n\ndata: open";
        assert_eq!(
            parse(&[stream]).unwrap(),
            [event("a", "one\ntwo"), event("", ""), event("", " two spaces")]
        );
    }

    #[test]
    fn a_character_cut_by_chunks_is_whole_and_bytes_that_are_none_are_replaced() {
        assert_eq!(parse(&[b"data: \xC3", b"\xA9\n", b"\n"]).unwrap(), [event("", "é")]);
        assert_eq!(parse(&[b"data: \xFFx\xE2\x82\n\n"]).unwrap(), [event("", "\u{FFFD}x\u{FFFD}")]);
    }

    #[test]
    fn an_event_over_the_bound_is_refused_whether_or_not_its_line_ends() {
        let mut parser = Parser::with_limit(8);
        let ignore = |_: Event<'_>| ControlFlow::Continue(());
        parser.push(b"data:1234\n", ignore).unwrap();
        assert_eq!(parser.push(b"data:56789\n", ignore), Err(EventTooLarge { limit: 8 }));
        assert_eq!(Parser::with_limit(8).push(b": 1234567", ignore), Err(EventTooLarge { limit: 8 }));
    }

    #[test]
    fn nothing_is_read_after_a_break() {
        let mut seen = 0;
        let stop = |_: Event<'_>| {
            seen += 1;
            ControlFlow::Break(())
        };
        Parser::default().push(b"data: 1\n\ndata: 2\n\n", stop).unwrap();
        assert_eq!(seen, 1);
    }

    /// Pieces that streams are made of, the awkward ones more often than in life.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            3 => Just(b"\n".to_vec()),
            2 => Just(b"\r".to_vec()),
            2 => Just(b"\r\n".to_vec()),
            2 => Just(b"\n\n".to_vec()),
            3 => Just(b"data: ".to_vec()),
            1 => Just(b"data".to_vec()),
            1 => Just(b"event: e".to_vec()),
            1 => Just(b": comment".to_vec()),
            1 => Just(b":".to_vec()),
            1 => Just(b" ".to_vec()),
            1 => Just(b"\0".to_vec()),
            1 => Just(BOM.to_vec()),
            1 => Just("é…😀".as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..4),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_cut_of_a_stream_gives_the_events_of_the_reference(
            pieces in proptest::collection::vec(piece(), 0..24),
            sizes in proptest::collection::vec(1_usize..5, 1..8),
        ) {
            let bytes = pieces.concat();
            let expected = reference(&bytes);
            for at in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(at);
                prop_assert_eq!(&parse(&[head, tail]).unwrap(), &expected, "cut at {}", at);
            }
            let mut chunks = Vec::new();
            let mut rest = &bytes[..];
            for size in sizes.iter().cycle() {
                if rest.is_empty() { break }
                let (head, tail) = rest.split_at((*size).min(rest.len()));
                chunks.push(head);
                rest = tail;
            }
            prop_assert_eq!(&parse(&chunks).unwrap(), &expected);
        }
    }
}
