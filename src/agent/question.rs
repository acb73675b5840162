//! Tells a question to a person from other output.
//!
//! Invariant: only what programs are known to print before they wait for an answer counts; a text
//! that merely ends with a question mark does not.

/// How the last line ends when a program waits for an answer, in lower case.
const ENDS: &[&str] = &[
    "[y/n]",
    "(y/n)",
    "[y/n/a]",
    "[yes/no]",
    "(yes/no)",
    "(yes/no/[fingerprint])",
    "[y/n]:",
    "(y/n):",
    "[y/n]?",
    "(y/n)?",
    "[yes/no]:",
    "(yes/no):",
    "(yes/no)?",
    "password:",
    "passphrase:",
    "passcode:",
    "token:",
    "api key:",
    "username:",
    "press enter to continue",
    "press any key to continue",
    "do you want to continue?",
    "proceed?",
    "continue?",
    "overwrite?",
];

/// What programs say that end because nobody can be asked, in lower case.
const REFUSALS: &[&str] = &[
    "approval required",
    "requires approval",
    "permission required",
    "requires your permission",
    "user input is required",
    "user input required",
    "stdin is not a tty",
    "input is not a terminal",
    "cannot prompt",
    "terminal prompts disabled",
    "no tty present",
    "a terminal is required",
];

/// The question that a line without an end is, if it is one.
pub(super) fn open(line: &str) -> Option<&str> {
    let line = line.rsplit(['\n', '\r']).next().unwrap_or(line).trim();
    let lower = line.to_ascii_lowercase();
    let passphrase =
        lower.ends_with(':') && (lower.contains("passphrase for") || lower.contains("password for"));
    (passphrase || ENDS.iter().any(|end| lower.ends_with(end))).then_some(line)
}

/// The question that a program ended with, if its last lines hold one.
pub(super) fn last(output: &str) -> Option<&str> {
    let lines = || output.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(5);
    let refused = |line: &str| {
        let lower = line.to_ascii_lowercase();
        REFUSALS.iter().any(|words| lower.contains(words))
    };
    lines().find(|line| refused(line)).or_else(|| lines().next().and_then(open))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_told_from_a_text() {
        for question in [
            "Allow edit of a.txt? [y/N] ",
            "Password:",
            "Enter passphrase for key '/x/id':",
            "Continue? (y/n)?",
        ] {
            assert_eq!(open(&format!("before\n{question}")), Some(question.trim()), "{question}");
        }
        for text in ["", "Is this what you want?", "[y/N] was asked", "the password: x", "key:"] {
            assert_eq!(open(text), None, "{text}");
        }
    }

    #[test]
    fn the_question_at_the_end_is_quoted() {
        let goose = "warming up\nError: Tool approval required in non-interactive mode\n\n";
        assert_eq!(last(goose), Some("Error: Tool approval required in non-interactive mode"));
        assert_eq!(last("Overwrite? [y/N] "), Some("Overwrite? [y/N]"));
        assert_eq!(last("all good\n"), None);
        let far = format!("approval required\n{}", "line\n".repeat(10));
        assert_eq!(last(&far), None);
    }
}
