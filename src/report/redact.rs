//! Secrets that are known by value, taken out of everything that is shown.
//!
//! Invariants: what comes out holds no known secret: plain, reversed, percent-encoded, escaped
//! as in JSON, in hexadecimal however the digits are set apart, or in base64 at any alignment
//! and in either alphabet, the last two of UTF-16 too, all also when line breaks were put into
//! it; `[secret:NAME]` stands in its place. The values are handed in, and never come out: not
//! in `Debug`, not in an error, not in the fingerprints that are kept beside a run.
//!
//! What is written down in the journal is not touched: calls that need each other's
//! outputs get them as they are.

mod forms;
mod prints;
mod record;

use std::ops::Range;
use std::sync::Arc;

pub use prints::Key;
use prints::{LEAST, Prints};

/// What is cut off of a secret at the end of a passing line may be one character shorter than this.
const LEAST_PART: usize = 6;
/// Bytes of a text that are looked through at a time.
const PIECE: usize = 1 << 20;
/// Bytes of a text that one byte of a form takes up at most: `\u0041`, `0x4`, with a line break in it.
const WIDEST: usize = 8;

/// Takes known secrets out of texts and records. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Made with a key each.
    known: Arc<Vec<Prints>>,
    /// The forms themselves, where the values are known: of passing lines, only a part may be there.
    forms: Arc<Vec<(Arc<str>, Vec<u8>)>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} forms)", self.known.iter().map(Prints::len).sum::<usize>())
    }
}

/// True for the name of an environment variable that holds a secret by convention.
pub fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["_KEY", "_TOKEN", "_SECRET", "_PASSWORD", "_PASSWD", "_CREDENTIALS"]
        .iter()
        .any(|end| name.ends_with(end))
        || ["TOKEN", "SECRET", "PASSWORD", "APIKEY"].contains(&name.as_str())
}

impl Redactor {
    /// For secrets given as name and value. Values under 8 bytes are left out.
    ///
    /// `key` matters only where the fingerprints are kept: then it must be a new one, or that of
    /// those that are there.
    pub fn new<'a>(key: Key, secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Redactor {
        let mut secrets: Vec<(&str, &str)> = secrets.into_iter().collect();
        // One value under two names always gets the same one.
        secrets.sort_unstable();
        let (mut prints, mut forms) = (Prints::new(key), Vec::new());
        for (name, value) in secrets {
            let (name, value) = (Arc::from(name), value.trim());
            for form in forms::of(value).into_iter().filter(|form| value.len().min(form.len()) >= LEAST) {
                prints.add(&name, &form);
                forms.push((Arc::clone(&name), form));
            }
        }
        if forms.is_empty() {
            return Redactor::default();
        }
        Redactor { known: Arc::new(vec![prints]), forms: Arc::new(forms) }
    }

    /// Also those whose fingerprints were kept; a text that holds none changes nothing.
    #[must_use]
    pub fn with(mut self, kept: &str) -> Redactor {
        if let Some(kept) = Prints::from_lines(kept) {
            let known = Arc::make_mut(&mut self.known);
            if !known.iter_mut().any(|prints| prints.take(&kept)) {
                known.push(kept);
            }
        }
        self
    }

    /// The fingerprints of the secrets, to be kept: those that were made with the first key. `None`
    /// where no secret is known.
    pub fn kept(&self) -> Option<String> {
        self.known.first().map(Prints::to_lines)
    }

    /// The key that kept fingerprints were made with.
    pub fn key_of(kept: &str) -> Option<Key> {
        Prints::from_lines(kept).map(|prints| prints.key())
    }

    /// The text without secrets; `None` if there was none in it.
    pub fn text(&self, text: &str) -> Option<String> {
        if self.known.is_empty() || text.len() < LEAST {
            return None;
        }
        let mut found = Vec::new();
        // Piece by piece, for a reading takes several times the room of what is read. The pieces overlap
        // by more than a form can take up in a text, whatever stands between its digits.
        let overlap = WIDEST * self.known.iter().map(Prints::longest).max().unwrap_or(0);
        let mut from = 0;
        while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
            let piece = &rest[..rest.floor_char_boundary(PIECE + overlap)];
            for reading in forms::readings(piece) {
                for (part, secret) in self.known.iter().flat_map(|prints| prints.find(reading.bytes())) {
                    let place = reading.place(part).map(|place| from + place.start..from + place.end);
                    found.extend(place.map(|place| (place, secret)));
                }
            }
            from += if piece.len() == rest.len() { rest.len() } else { rest.floor_char_boundary(PIECE) };
        }
        (!found.is_empty()).then(|| replace(text, found))
    }

    /// A line that passes by without secrets and without what could be a part of one: where a
    /// stream is cut, its begin may come now and its end with the next line.
    fn passing(&self, line: &str) -> Option<String> {
        let whole = self.text(line);
        let line = whole.as_deref().unwrap_or(line);
        let bytes = line.as_bytes();
        let mut parts = Vec::new();
        for (secret, form) in self.forms.iter() {
            let least = LEAST_PART.min(form.len());
            let longest = form.len().min(bytes.len());
            if (least..=form.len()).contains(&bytes.len())
                && form.windows(bytes.len()).any(|part| part == bytes)
            {
                parts.push((0..bytes.len(), secret));
            }
            let begins = (least..=longest).rev().find(|length| bytes.ends_with(&form[..*length]));
            parts.extend(begins.map(|length| (bytes.len() - length..bytes.len(), secret)));
            let ends = (least..=longest).rev().find(|length| bytes.starts_with(&form[form.len() - length..]));
            parts.extend(ends.map(|length| (0..length, secret)));
        }
        if parts.is_empty() { whole } else { Some(replace(line, parts)) }
    }
}

/// The text with a name in each of the places, which may overlap.
fn replace(text: &str, mut places: Vec<(Range<usize>, &Arc<str>)>) -> String {
    places.sort_by_key(|(place, _)| (place.start, std::cmp::Reverse(place.end)));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (place, secret) in places {
        let (start, end) = (text.floor_char_boundary(place.start), text.ceil_char_boundary(place.end));
        if start >= done {
            out.push_str(text.get(done..start).unwrap_or_default());
            out.push_str("[secret:");
            out.push_str(secret);
            out.push(']');
        }
        done = done.max(end);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const CANARY: &str = "sk-ant/canary+7Q=\"x\" Zz9~é";
    const MARK: &str = "[secret:LAB_API_KEY]";

    fn redactor() -> Redactor {
        Redactor::new([7; 32], [("LAB_API_KEY", CANARY), ("SHORT_KEY", "abc"), ("EMPTY_TOKEN", "")])
    }

    fn hex(bytes: &[u8], between: &str) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
    }

    fn utf16(text: &str, bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    /// The key in every form, with what it is.
    fn every_form() -> Vec<String> {
        let bytes = CANARY.as_bytes();
        let all: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
        let some = CANARY.replace('/', "%2F").replace('+', "%2b").replace('"', "%22").replace('=', "%3d");
        let mut forms = vec![
            CANARY.to_owned(),
            CANARY.chars().rev().collect(),
            serde_json::json!(CANARY).to_string(),
            serde_json::json!(CANARY).to_string().replace('é', "\\u00e9").replace('/', "\\/"),
            all.to_uppercase(),
            all,
            some.replace(' ', "+"),
            some.replace(' ', "%20"),
            bytes.iter().map(|byte| format!("0x{byte:02X}, ")).collect(),
            bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect(),
        ];
        for bytes in [bytes.to_vec(), utf16(CANARY, u16::to_le_bytes), utf16(CANARY, u16::to_be_bytes)] {
            for between in ["", ":", "-", " ", ", "] {
                let hex = hex(&bytes, between);
                forms.extend([hex.to_uppercase(), hex.replace("6e", "6E"), hex]);
            }
            // As `xxd` and `od -x` set them: a space after every second one, lines of sixteen.
            let lines = bytes
                .chunks(16)
                .map(|line| line.chunks(2).map(|two| hex(two, "")).collect::<Vec<_>>().join(" "));
            forms.push(lines.collect::<Vec<_>>().join("\n"));
            for before in ["", "a", "ab", "abc"] {
                for after in ["", "\n", "xy"] {
                    let encoded = STANDARD.encode([before.as_bytes(), &bytes, after.as_bytes()].concat());
                    let broken = encoded.as_bytes().chunks(10).map(|part| String::from_utf8_lossy(part));
                    forms.push(broken.collect::<Vec<_>>().join("\r\n"));
                    forms.extend([encoded.replace('+', "-").replace('/', "_"), encoded]);
                }
            }
        }
        forms
    }

    #[test]
    fn a_known_secret_is_found_in_every_form_and_at_every_alignment() {
        let known = redactor();
        let kept = known.kept().unwrap();
        for redactor in [known, Redactor::default().with(&kept)] {
            for form in every_form() {
                let text = format!("given: {form} .");
                let shown = redactor.text(&text).unwrap_or_else(|| panic!("not found: {form}"));
                assert!(shown.contains(MARK), "{form}: {shown}");
                assert!(shown.starts_with("given: ") && shown.ends_with(" ."), "{form}: {shown}");
                // What is left are the groups of base64 that also hold bits of what stands around.
                assert!(shown.len() < MARK.len() + 30, "{form}: {shown}");
            }
        }
    }

    #[test]
    fn a_long_text_is_looked_through_whole() {
        let redactor = redactor();
        let forms = every_form();
        for (at, form) in forms.iter().enumerate().step_by(9) {
            // Across the end of the first piece, a little further with each form.
            let before = "é ".repeat((PIECE - at * form.len() / forms.len()) / 3);
            let text = format!("{before}{form}{}", " .".repeat(PIECE / 64));
            let shown = redactor.text(&text).unwrap_or_else(|| panic!("not found: {form}"));
            assert!(
                shown.contains(MARK) && shown.len() + form.len() < text.len() + MARK.len() + 30,
                "{form}"
            );
        }
    }

    #[test]
    fn every_line_of_a_secret_is_one() {
        let pem = "-----BEGIN KEY-----\nMIIBVgIBADANBgkqhkiG\n9w0BAQEFAASCAUAwggE8\n-----END KEY-----";
        let redactor = Redactor::new(Key::default(), [("SIGNING_KEY", pem)]);
        assert_eq!(redactor.text(&format!("x {pem} y")).unwrap(), "x [secret:SIGNING_KEY] y");
        assert_eq!(redactor.text("x 9w0BAQEFAASCAUAwggE8 y").unwrap(), "x [secret:SIGNING_KEY] y");
        assert_eq!(redactor.text("-----BEGIN KEY-----"), None);
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is() {
        let redactor = redactor();
        for text in
            ["", "abc", "a text\nof two lines", "sk-ant/canary", "50% of \\u00e9 and \\ud800 \\x4", "%"]
        {
            assert_eq!(redactor.text(text), None);
        }
        assert_eq!(Redactor::default().text(CANARY), None);
        assert_eq!(redactor.text(&format!("é\n{CANARY}\nü")).unwrap(), "é\n[secret:LAB_API_KEY]\nü");
        let twice = format!("{CANARY}{CANARY} ü {CANARY}");
        assert_eq!(redactor.text(&twice).unwrap(), format!("{MARK}{MARK} ü {MARK}"));
    }

    #[test]
    fn a_line_that_passes_shows_no_part_of_a_secret() {
        let redactor = redactor();
        let bytes = STANDARD.encode(CANARY);
        for secret in [CANARY, &bytes] {
            for (cut, _) in secret.char_indices().skip(LEAST_PART).take_while(|(at, _)| at + 6 < secret.len())
            {
                let (begin, end) = secret.split_at(cut);
                assert_eq!(redactor.passing(&format!("it is {begin}")).unwrap(), format!("it is {MARK}"));
                assert_eq!(redactor.passing(&format!("{end}, it was")).unwrap(), format!("{MARK}, it was"));
                assert_eq!(redactor.passing(end).unwrap(), MARK);
            }
            assert_eq!(redactor.passing(&secret[6..14]).unwrap(), MARK, "a part out of the middle");
        }
        for line in ["", "sk-an", "reading src/canary.rs", "all of it"] {
            assert_eq!(redactor.passing(line), None);
        }
    }

    #[test]
    fn nothing_that_is_kept_or_printed_holds_the_secret() {
        let redactor = redactor();
        let kept = redactor.kept().unwrap();
        assert!(!format!("{redactor:?}").contains("canary"));
        for form in every_form() {
            assert!(!kept.contains(&form), "{kept}");
        }
        assert_eq!(Redactor::default().kept(), None);
        // Taking them in again adds none, and a file that was cut off still gives what it has.
        assert_eq!(redactor.with(&kept).kept().unwrap(), kept);
        let cut = &kept[..kept.len() - 9];
        assert_eq!(Redactor::default().with(cut).known[0].len() + 1, kept.lines().count() - 1);
        assert_eq!(Redactor::default().with("no such file").text(CANARY), None);
    }

    #[test]
    fn a_resumed_run_keeps_what_both_of_its_processes_knew() {
        let first = redactor();
        let key = Redactor::key_of(&first.kept().unwrap()).unwrap();
        let second = Redactor::new(key, [("NEW_TOKEN", "another one")]).with(&first.kept().unwrap());
        let old = Redactor::default().with(&second.kept().unwrap());
        let text = format!("{CANARY}, another one");
        assert_eq!(old.text(&text).unwrap(), format!("{MARK}, [secret:NEW_TOKEN]"));
        let stranger = Redactor::new([8; 32], [("NEW_TOKEN", "another one")]).with(&first.kept().unwrap());
        assert_eq!(stranger.text(&text).unwrap(), format!("{MARK}, [secret:NEW_TOKEN]"));
    }

    #[test]
    fn names_of_secrets_are_known_by_their_end() {
        for name in ["ANTHROPIC_API_KEY", "GITHUB_TOKEN", "client_secret", "LAB_KEY", "TOKEN"] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in ["PATH", "KEYBOARD", "TOKENIZERS_PARALLELISM", "HOME"] {
            assert!(!names_a_secret(name), "{name}");
        }
    }
}
