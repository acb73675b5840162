//! Cuts a stream of bytes into lines, however the bytes come.
//!
//! Invariant: memory is bounded by the longest line that is taken; a longer one is dropped whole.

/// Longer lines are dropped, in bytes: tool results stand in one line, and are long.
const LONGEST: usize = 16 << 20;

/// The beginning of a line, waiting for the rest.
#[derive(Debug, Default)]
pub(in crate::agent) struct Lines {
    begun: Vec<u8>,
    /// True in the middle of a line that is too long.
    dropping: bool,
}

impl Lines {
    /// Takes more bytes; `line` gets every line that they complete, without its end.
    pub(in crate::agent) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            if self.begun.is_empty() && !self.dropping {
                line(trimmed(head));
                continue;
            }
            self.begin(head);
            let whole = std::mem::take(&mut self.begun);
            if !std::mem::take(&mut self.dropping) {
                line(trimmed(&whole));
            }
        }
        self.begin(bytes);
    }

    /// What stands behind the last line end.
    pub(in crate::agent) fn rest(&self) -> &[u8] {
        &self.begun
    }

    /// Takes what stands behind the last line end: nothing more comes.
    pub(in crate::agent) fn finish(&mut self) -> Vec<u8> {
        self.dropping = false;
        std::mem::take(&mut self.begun)
    }

    fn begin(&mut self, bytes: &[u8]) {
        if self.dropping || self.begun.len() + bytes.len() > LONGEST {
            self.dropping = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> (Vec<String>, String) {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |line| found.push(String::from_utf8_lossy(line).into_owned()));
        }
        (found, String::from_utf8(lines.finish()).unwrap())
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_are_cut() {
        let whole = b"one\r\n\n three\nfour";
        let expected = (vec!["one".to_owned(), String::new(), " three".to_owned()], "four".to_owned());
        for first in 0..=whole.len() {
            for second in first..=whole.len() {
                let chunks = [&whole[..first], &whole[first..second], &whole[second..]];
                assert_eq!(lines(&chunks), expected, "{first} {second}");
            }
        }
    }

    #[test]
    fn a_line_that_never_ends_is_not_kept() {
        let mut lines = Lines::default();
        let mut found = 0;
        for _ in 0..LONGEST / 1024 + 10 {
            lines.push(&[b'x'; 1024], |_| found += 1);
        }
        assert_eq!((found, lines.rest().len()), (0, 0));
        lines.push(b"x\nshort\n", |line| found += line.len());
        assert_eq!(found, "short".len());
    }
}
