//! What the parser complains about, in words for the person who has to mend it.

use granit_parser::{ErrorKind, ScanError};

/// What is wrong with `prompt: {{ x }}`.
pub(super) const QUOTE_BRACES: &str = "a text that begins with `{{` needs quotes: \"{{ … }}\"";

/// True where the parser complains about a tab.
pub(super) fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
            | ErrorKind::TabAtBlockScalarStart
    )
}

/// What is wrong, and what to write instead where that can be told.
#[expect(clippy::wildcard_enum_match_arm, reason = "most errors speak for themselves")]
pub(super) fn explain(error: &ScanError, text: &str, start: usize) -> (String, Option<String>) {
    use ErrorKind as E;
    let line = text.get(..start).and_then(|before| before.rsplit('\n').next()).unwrap_or("");
    let rest = text.get(start..).and_then(|after| after.split('\n').next()).unwrap_or("");
    let whole = format!("{line}{rest}");
    let unquoted_braces = whole.contains(": {{") || whole.contains("- {{");
    let help = match error.kind() {
        kind if is_tab(kind) => {
            let message = "a tab stands where YAML allows only spaces".to_owned();
            return (message, Some("indent with spaces".to_owned()));
        }
        _ if unquoted_braces => Some(QUOTE_BRACES.to_owned()),
        _ if line.trim_start().starts_with('\t') || rest.starts_with('\t') => {
            Some("indent with spaces, not with tabs".to_owned())
        }
        E::MappingValueNotAllowed | E::MappingKeyNotAllowed | E::InvalidColonPlacement => {
            Some("a text with `: ` in it needs quotes, or `|` and a line of its own".to_owned())
        }
        E::UnexpectedCharacter { .. } => {
            Some("a text that begins with this character needs quotes".to_owned())
        }
        E::SimpleKeyExpected | E::InvalidSimpleKey => Some("a key ends with `: `".to_owned()),
        _ => None,
    };
    (format!("this is not YAML: {}", error.kind()), help)
}
