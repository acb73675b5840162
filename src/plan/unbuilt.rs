//! What the plan language has and this version does not: one table.
//!
//! Invariant: a key of the language either works or is refused with a row from here.
//! Whoever builds a capability deletes its row.

use super::code;
use super::diagnostic::{Diagnostic, Span};

/// One capability that is not built yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unbuilt {
    /// How it is written in a plan.
    what: &'static str,
    /// What to do meanwhile.
    meanwhile: &'static str,
}

impl Unbuilt {
    /// The refusal, at the place where the plan asks for it.
    pub(super) fn refuse(self, at: Span) -> Diagnostic {
        let message = format!("{} is not built yet", self.what);
        Diagnostic::error(code::NOT_BUILT, at, message).label("refused, not ignored").help(self.meanwhile)
    }
}

macro_rules! unbuilt {
    ($($name:ident = $what:literal, $meanwhile:literal;)*) => {
        $(pub(super) const $name: Unbuilt = Unbuilt { what: $what, meanwhile: $meanwhile };)*

        #[cfg(test)]
        pub(super) const ALL: &[Unbuilt] = &[$($name),*];
    };
}

unbuilt! {
    DETACH = "`background: detach`", "write `wait` or `cancel`";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_language_names_what_is_not_built_and_nothing_else() {
        let page = include_str!("../../docs/plan-language.md");
        let section = page.split("## Not built yet").nth(1).unwrap();
        let told: Vec<&str> =
            section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what")).collect();
        let told: Vec<&str> = told.into_iter().filter(|line| !line.starts_with("| ---")).collect();
        let rows: Vec<String> =
            ALL.iter().map(|row| format!("| {} | {} |", row.what, row.meanwhile)).collect();
        assert_eq!(told, rows);
    }
}
