//! Secrets that are known by value, taken out of everything that is shown.
//!
//! Invariants: what comes out holds no known secret, plain, reversed, in hexadecimal,
//! percent-encoded, escaped as in JSON, or in base64 at any alignment and in either
//! alphabet, also when line breaks were put into it; `[secret:NAME]` stands in its
//! place. The values are handed in, and never come out: not in `Debug`, not in an error.
//!
//! What is written down in the journal is not touched: calls that need each other's
//! outputs get them as they are.

mod record;

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};

/// Shorter values are in every text by accident; nothing that short keeps a secret.
const LEAST: usize = 8;

/// Takes known secrets out of texts and records. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Option<Arc<Known>>,
}

struct Known {
    /// Every form of every secret.
    forms: AhoCorasick,
    /// For each form, what stands in its place.
    places: Vec<Arc<str>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let forms = self.known.as_ref().map_or(0, |known| known.places.len());
        write!(f, "Redactor({forms} forms)")
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
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Redactor {
        let mut secrets: Vec<(&str, &str)> = secrets.into_iter().collect();
        // One value under two names always gets the same one.
        secrets.sort_unstable();
        let (mut forms, mut places) = (Vec::<Vec<u8>>::new(), Vec::new());
        for (name, value) in secrets {
            let value = value.trim();
            if value.len() < LEAST {
                continue;
            }
            let place: Arc<str> = format!("[secret:{name}]").into();
            for form in forms_of(value) {
                if form.len() >= LEAST && !forms.contains(&form) {
                    forms.push(form);
                    places.push(Arc::clone(&place));
                }
            }
        }
        if forms.is_empty() {
            return Redactor::default();
        }
        let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&forms);
        // Fails only beyond 2^31 forms; then nothing can be shown to be safe, but there is none either.
        Redactor { known: built.ok().map(|forms| Arc::new(Known { forms, places })) }
    }

    /// The text without secrets; `None` if there was none in it.
    pub fn text(&self, text: &str) -> Option<String> {
        let known = self.known.as_ref()?;
        if !text.contains(['\n', '\r']) {
            let mut found = known.forms.find_iter(text.as_bytes()).peekable();
            found.peek()?;
            return Some(replace(
                text,
                found.map(|hit| (hit.start(), hit.end(), known.place(hit.pattern().as_usize()))),
            ));
        }
        // Encoders break lines: what is looked through has none, and what is found is put back in place.
        let joined: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
        if !known.forms.is_match(&joined) {
            return None;
        }
        let at: Vec<usize> = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| !matches!(byte, b'\n' | b'\r'))
            .map(|(at, _)| at)
            .collect();
        let found = known.forms.find_iter(&joined).filter_map(|hit| {
            let last = at.get(hit.end().checked_sub(1)?)?;
            Some((*at.get(hit.start())?, last + 1, known.place(hit.pattern().as_usize())))
        });
        Some(replace(text, found))
    }
}

impl Known {
    fn place(&self, form: usize) -> &str {
        self.places.get(form).map_or("[secret]", |place| place)
    }
}

fn replace<'a>(text: &str, found: impl Iterator<Item = (usize, usize, &'a str)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end, place) in found {
        // Forms of text begin and end between characters; `get` keeps it total.
        out.push_str(text.get(done..start).unwrap_or_default());
        out.push_str(place);
        done = end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// Every form in which a value is looked for.
fn forms_of(value: &str) -> Vec<Vec<u8>> {
    let bytes = value.as_bytes();
    let lower: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let quoted = serde_json::Value::from(value).to_string();
    let mut forms = vec![
        value.to_owned(),
        value.chars().rev().collect(),
        lower.to_ascii_uppercase(),
        lower,
        percent(value, false),
        percent(value, true),
        percent(value, false).replace("%20", "+"),
        quoted.trim_matches('"').to_owned(),
    ];
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend_from_slice(bytes);
        let encoded = base64(&padded);
        // The first and the last character also hold bits of what stands around the value.
        let whole = padded.len() * 8 / 6;
        let own = encoded.get((before * 8).div_ceil(6)..whole).unwrap_or_default();
        forms.push(own.to_owned());
        forms.push(own.replace('+', "-").replace('/', "_"));
    }
    let mut forms: Vec<Vec<u8>> = forms.into_iter().map(String::into_bytes).collect();
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn percent(value: &str, lower: bool) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if lower => format!("%{byte:02x}"),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(byte).collect()
}

/// Base64 with padding, RFC 4648 §4.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * n) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if n <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "sk-ant/canary+7Q=\"x\" Zz9~é";

    fn redactor() -> Redactor {
        Redactor::new([("LAB_API_KEY", CANARY), ("SHORT_KEY", "abc"), ("EMPTY_TOKEN", "")])
    }

    #[test]
    fn base64_is_what_everybody_writes() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (raw, encoded) in cases {
            assert_eq!(base64(raw.as_bytes()), encoded);
        }
    }

    #[test]
    fn a_known_secret_is_found_in_every_form_and_at_every_alignment() {
        let redactor = redactor();
        let hex: String = CANARY.bytes().map(|byte| format!("{byte:02X}")).collect();
        let forms = [
            CANARY.to_owned(),
            CANARY.chars().rev().collect(),
            hex.to_lowercase(),
            hex,
            percent(CANARY, false),
            percent(CANARY, true),
            serde_json::json!(CANARY).to_string(),
        ];
        for form in &forms {
            let shown = redactor.text(&format!("x {form} y")).unwrap();
            assert!(shown.contains("[secret:LAB_API_KEY]"), "{form}: {shown}");
            assert!(!shown.contains("canary"), "{form}: {shown}");
        }
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "\n", "xy", " and more"] {
                let encoded = base64(format!("{before}{CANARY}{after}").as_bytes());
                for form in [encoded.clone(), encoded.replace('+', "-").replace('/', "_")] {
                    let shown = redactor.text(&form).unwrap_or_else(|| panic!("{before:?} {after:?}"));
                    assert!(shown.contains("[secret:LAB_API_KEY]") && shown.len() < form.len(), "{shown}");
                    let wrapped = form.as_bytes().chunks(10).map(|c| std::str::from_utf8(c).unwrap());
                    let wrapped = wrapped.collect::<Vec<_>>().join("\r\n");
                    assert!(redactor.text(&wrapped).unwrap().contains("[secret:LAB_API_KEY]"));
                }
            }
        }
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is() {
        let redactor = redactor();
        for text in ["", "abc", "a text\nof two lines", "sk-ant/canary"] {
            assert_eq!(redactor.text(text), None);
        }
        assert_eq!(Redactor::default().text(CANARY), None);
        assert_eq!(redactor.text(&format!("é\n{CANARY}\nü")).unwrap(), "é\n[secret:LAB_API_KEY]\nü");
    }

    #[test]
    fn a_redactor_shows_nothing_of_what_it_knows() {
        assert!(!format!("{:?}", redactor()).contains("canary"));
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
