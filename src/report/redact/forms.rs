//! The forms in which a secret is looked for, and the ways in which a text is read for them.
//!
//! Invariant: whatever a way of reading leaves out or decodes, each byte that it gives knows
//! where in the text it stood.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::prints::LEAST;

/// A line of a secret of several lines counts as a secret of its own from here on.
const LEAST_LINE: usize = 16;

/// Every form in which a value is looked for. What stands around it, how it is escaped and how its
/// hexadecimal digits are written is a matter of [`readings`].
pub(super) fn of(value: &str) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    let lines = value.lines().map(str::trim).filter(|line| line.len() >= LEAST_LINE && *line != value);
    for value in lines.filter(|line| !line.starts_with("-----")).chain([value]) {
        let units: Vec<u16> = value.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let reversed: String = value.chars().rev().collect();
        forms.extend([reversed.into_bytes(), value.replace(' ', "+").into_bytes()]);
        for bytes in [value.as_bytes(), &little, &big] {
            forms.extend([bytes.to_vec(), hexadecimal(bytes)]);
            forms.extend((0..3).flat_map(|before| in_base64(bytes, before)));
        }
    }
    // No reading has line breaks.
    forms.iter_mut().for_each(|form| form.retain(|byte| !is_break(*byte)));
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| b"0123456789abcdef"[usize::from(digit)])
        .collect()
}

/// The bytes in base64 behind so many others, in both alphabets.
fn in_base64(bytes: &[u8], before: usize) -> [Vec<u8>; 2] {
    let mut padded = vec![0; before];
    padded.extend_from_slice(bytes);
    let encoded = STANDARD_NO_PAD.encode(&padded);
    // The first and the last character also hold bits of what stands around the value.
    let whole = padded.len() * 8 / 6;
    let own = encoded.get((before * 8).div_ceil(6)..whole).unwrap_or_default();
    [own.as_bytes().to_vec(), own.replace('+', "-").replace('/', "_").into_bytes()]
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// A text read in one way.
#[derive(Debug)]
pub(super) enum Reading<'a> {
    /// Every byte as it stands.
    AsIs(&'a [u8]),
    /// Some of it left out or decoded.
    Of(Read),
}

/// What was read, where that is not the text itself.
#[derive(Debug, Default)]
pub(super) struct Read {
    bytes: Vec<u8>,
    /// Where each byte stood: its begin and how long it was there. A text is read in pieces, so that
    /// 32 bits are enough.
    from: Vec<(u32, u8)>,
}

impl Read {
    fn push(&mut self, byte: u8, at: usize, length: u8) {
        self.bytes.push(byte);
        self.from.push((u32::try_from(at).unwrap_or(u32::MAX), length));
    }
}

impl Reading<'_> {
    /// What was read.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Reading::AsIs(bytes) => bytes,
            Reading::Of(read) => &read.bytes,
        }
    }

    /// Where in the text a part of what was read stood.
    pub(super) fn place(&self, part: Range<usize>) -> Option<Range<usize>> {
        let from = match self {
            Reading::AsIs(_) => return Some(part),
            Reading::Of(read) => &read.from,
        };
        let (start, _) = *from.get(part.start)?;
        let (last, length) = *from.get(part.end.checked_sub(1)?)?;
        Some(start as usize..last as usize + usize::from(length))
    }
}

/// The ways to read a text: without its line breaks, for encoders break lines; as hexadecimal
/// digits however they are set apart; with `%41` decoded; with the escapes of JSON decoded.
///
/// Nearly every text has nothing to leave out and no row of digits as long as the shortest secret:
/// then it is read as it is, and only once.
pub(super) fn readings(text: &str) -> impl Iterator<Item = Reading<'_>> {
    let bytes = text.as_bytes();
    let when = |holds: bool, read: fn(&[u8]) -> Read| holds.then_some(read);
    let as_is = !bytes.iter().copied().any(is_break);
    let others = [
        when(!as_is, plain),
        when(has_digits(bytes), digits),
        when(bytes.contains(&b'%'), percent),
        when(bytes.contains(&b'\\'), escapes),
    ];
    let others = others.into_iter().flatten().map(move |read| Reading::Of(read(bytes)));
    as_is.then_some(Reading::AsIs(bytes)).into_iter().chain(others)
}

/// Whether [`digits`] gives a row that is long enough to hold a secret.
fn has_digits(text: &[u8]) -> bool {
    let mut row = 0;
    text.iter().any(|byte| {
        row = match byte {
            b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => row + 1,
            b' ' | b':' | b'-' | b',' | b'\t' | b'\n' | b'\r' | b'\\' | b'x' | b'X' => row,
            _ => 0,
        };
        row >= LEAST
    })
}

fn plain(text: &[u8]) -> Read {
    let mut read = Read { bytes: Vec::with_capacity(text.len()), from: Vec::with_capacity(text.len()) };
    for (at, byte) in text.iter().enumerate().filter(|(_, byte)| !is_break(**byte)) {
        read.push(*byte, at, 1);
    }
    read
}

/// Hexadecimal digits alone, in lower case: `73:6B`, `73 6b`, `0x73, 0x6b`, `\x73\x6b`. Anything
/// else ends a row of them.
fn digits(text: &[u8]) -> Read {
    let mut read = Read::default();
    for (at, byte) in text.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| text.get(at));
        match byte {
            b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => read.push(byte.to_ascii_lowercase(), at, 1),
            b' ' | b':' | b'-' | b',' | b'\t' | b'\n' | b'\r' | b'\\' => {}
            b'x' | b'X' if before == Some(&b'\\') => {}
            b'x' | b'X' if before == Some(&b'0') => {
                read.bytes.pop();
                read.from.pop();
            }
            // One is enough between two rows.
            _ if read.bytes.last() == Some(&0) => {}
            _ => read.push(0, at, 1),
        }
    }
    read
}

fn percent(text: &[u8]) -> Read {
    decoded(text, |rest| match rest {
        [b'%', digits @ ..] => Some((byte_of(digits)?.into(), 3)),
        _ => None,
    })
}

/// As in JSON; `\x41` too, which other languages write.
fn escapes(text: &[u8]) -> Read {
    decoded(text, |rest| {
        let [b'\\', kind, digits @ ..] = rest else { return None };
        let one = match kind {
            b'u' => return unicode(rest),
            b'x' => return Some((byte_of(digits)?.into(), 4)),
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'"' | b'\\' | b'/' | b'\'' => char::from(*kind),
            _ => return None,
        };
        Some((one.into(), 2))
    })
}

/// One or two times `\u` and four digits.
fn unicode(rest: &[u8]) -> Option<(Decoded, u8)> {
    let unit = |at: usize| {
        let escape = rest.get(at..at + 6)?.strip_prefix(b"\\u")?;
        Some(u16::from_be_bytes([byte_of(escape)?, byte_of(escape.get(2..)?)?]))
    };
    let first = unit(0)?;
    if let Ok(one) = char::decode_utf16([first]).next()? {
        return Some((one.into(), 6));
    }
    let pair = char::decode_utf16([first, unit(6)?]).next()?.ok()?;
    Some((pair.into(), 12))
}

/// The byte that two hexadecimal digits at the beginning are.
fn byte_of(digits: &[u8]) -> Option<u8> {
    let digits = digits.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// What an escape stands for: up to four bytes.
struct Decoded([u8; 4], usize);

impl From<u8> for Decoded {
    fn from(byte: u8) -> Decoded {
        Decoded([byte, 0, 0, 0], 1)
    }
}

impl From<char> for Decoded {
    fn from(character: char) -> Decoded {
        let mut bytes = [0; 4];
        let length = character.encode_utf8(&mut bytes).len();
        Decoded(bytes, length)
    }
}

/// The text with each escape that `decode` knows at the beginning of what it is given decoded.
fn decoded(text: &[u8], decode: impl Fn(&[u8]) -> Option<(Decoded, u8)>) -> Read {
    let mut read = Read::default();
    let mut at = 0;
    while let Some(rest @ [byte, ..]) = text.get(at..) {
        let (Decoded(bytes, count), length) = decode(rest).unwrap_or(((*byte).into(), 1));
        for byte in bytes.iter().take(count).filter(|byte| !is_break(**byte)) {
            read.push(*byte, at, length);
        }
        at += usize::from(length);
    }
    read
}
