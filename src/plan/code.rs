//! The stable codes of diagnostics, in one table that docs/diagnostics.md is held to.
//!
//! Invariant: a code is never given to another fault, and never used for two. Codes
//! of advice (`W03xx`) stand beside the rules that give it.

/// One row of the table: a code and what it stands for, in a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `E0105`.
    pub code: &'static str,
    /// A few words, lowercase.
    pub title: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal;)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*

        /// Every code of an error, in order.
        pub const ALL: &[Code] = &[$(Code { code: $code, title: $title }),*];
    };
}

codes! {
    // The text and its shape.
    UNREADABLE = "E0101", "the file cannot be read";
    SYNTAX = "E0102", "the text is not YAML";
    DUPLICATE_KEY = "E0103", "a key stands twice in one map";
    TOO_BIG = "E0104", "the file is larger, deeper or more repetitive than is read";
    UNKNOWN_KEY = "E0105", "a key that does not exist here";
    MISSING_KEY = "E0106", "a key that is needed is not there";
    WRONG_TYPE = "E0107", "a value of the wrong kind";
    NO_VALUE = "E0108", "a key without a value";
    YAML_FEATURE = "E0109", "a feature of YAML that plans do not have";
    CONTRADICTION = "E0110", "keys that exclude each other";
    ALIAS = "E0111", "an alias or merge key that leads nowhere";

    // Names and the graph.
    INVALID_ID = "E0201", "a name that cannot be an id";
    UNKNOWN_CALL = "E0202", "a call that is not in the plan";
    CYCLE = "E0203", "calls that need each other";
    UNKNOWN_AGENT = "E0204", "an agent that is not defined";
    UNKNOWN_PROVIDER = "E0205", "a provider that is not defined";
    NO_MODEL = "E0206", "no model is configured";
    UNKNOWN_VAR = "E0207", "a var that is not defined";
    MISSING_VAR = "E0208", "a required var that was not given";
    INCLUDE = "E0209", "an include that cannot be followed";
    SUB_PLAN = "E0210", "a sub-plan that cannot be followed";
    OUTSIDE = "E0211", "a path that leaves the folder it must stay in";

    // Values and units.
    UNIT = "E0301", "a quantity without its unit, or with a wrong one";
    UNKNOWN_WORD = "E0302", "a word that is not among the possible ones";
    OUT_OF_RANGE = "E0303", "a number that is too small or too large";
    WRONG_VAR_TYPE = "E0304", "a var's value that its declaration does not allow";
    MATRIX = "E0305", "a matrix that cannot be multiplied out";
    SCHEMA = "E0306", "an output schema that is no JSON Schema";
    MODEL_NAME = "E0307", "a model that is not named as provider/model";
    URL = "E0308", "an address that cannot be used";
    SECRET = "E0309", "a secret written into the plan";
    IMPOSSIBLE = "E0310", "a setting that can never hold";
    SETTING = "E0311", "a setting that the strategy cannot use";
    WORKSPACE = "E0312", "a workspace that cannot be made";

    // Templates. The first nine are given by `template`.
    TEMPLATE_SYNTAX = "E0401", "a template that cannot be read";
    TEMPLATE_NAME = "E0402", "a name that does not exist in this template";
    TEMPLATE_CALL = "E0403", "a template that mentions a call which is not in the plan";
    TEMPLATE_ATTRIBUTE = "E0404", "something that a call, an instance, a run or a loop does not have";
    TEMPLATE_VAR = "E0405", "a template that mentions a var which is not defined";
    TEMPLATE_FILTER = "E0406", "a filter, test or function that does not exist";
    TEMPLATE_DYNAMIC = "E0407", "a call that is not mentioned by its name";
    TEMPLATE_SHELL = "E0408", "a value where a shell would not keep it apart from its own text";
    TEMPLATE_LEFT_OUT = "E0409", "a part of Jinja that this language leaves out";
    TEMPLATE_NOT_ALLOWED = "E0410", "a template where only plain text can stand";
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::ALL;
    use crate::plan::{Environment, Given, SettingsFault, load_text};

    const PAGE: &str = include_str!("../../docs/diagnostics.md");

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn the_page_has_every_code_in_order_under_its_title() {
        let headings: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let table: Vec<String> = ALL.iter().map(|row| format!("{}: {}", row.code, row.title)).collect();
        assert_eq!(headings, table);
    }

    /// The codes that a plan gets, with a key in the environment unless it is the missing one.
    fn codes(plan: &str, code: &str) -> Vec<&'static str> {
        let key = ("ANTHROPIC_API_KEY".to_owned(), "set".to_owned());
        let vars = [key].into_iter().filter(|_| code != super::NO_MODEL).collect();
        let given = Given {
            environment: Environment { vars },
            // Stands for the room that reconciles, which this one does not know.
            settings_check: Some(|_, settings| match settings.get("normalize") {
                Some(word) if word == "colour" => Err(SettingsFault {
                    key: "normalize".to_owned(),
                    message: "there is no `colour`".to_owned(),
                    help: "write one of `case`, `space`, `number`, `json`, `punctuation`".to_owned(),
                }),
                Some(_) | None => Ok(()),
            }),
            // Stands for the room that makes workspaces.
            workspace_check: Some(|_, base| match base.as_str() {
                "gone" => Err(SettingsFault {
                    key: String::new(),
                    message: "there is no commit `gone`".to_owned(),
                    help: "write `HEAD`".to_owned(),
                }),
                _ => Ok(()),
            }),
            ..Given::default()
        };
        let loaded = load_text(plan, Path::new("plan.yaml"), &given);
        loaded.diagnostics.iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn every_wrong_plan_of_the_page_gets_its_code_and_every_right_one_is_sound() {
        let mut checked = 0;
        for section in PAGE.split("\n### ").skip(1) {
            let code = section.split(':').next().unwrap();
            let blocks: Vec<&str> =
                section.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
            let [wrong, right] = blocks.as_slice() else { continue };
            let found = codes(wrong, code);
            assert!(
                !found.is_empty() && found.iter().all(|one| *one == code),
                "{code}: {found:?} for\n{wrong}"
            );
            assert_eq!(codes(right, code), Vec::<&str>::new(), "{code}:\n{right}");
            checked += 1;
        }
        assert_eq!(checked, ALL.len() - 1, "only the code of `--var` has no plan of its own");
    }
}
