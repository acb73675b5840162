//! "Did you mean": the nearest of the names that exist, and the words that neighbours use for ours.
//!
//! Invariant: only names that exist at the place are ever proposed.

/// The names nearest to `wrong`, best first, at most three and all equally near; empty where none is near.
///
/// Letters swapped, left out, added or wrong count one each; case, `-` and `_` count nothing.
/// One in three letters may be wrong, and at least one.
pub(super) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wrong = fold(wrong);
    let letters = wrong.chars().count();
    // Of a single letter nothing would be left.
    let allowed = (letters / 3).clamp(1, 3).min(letters.saturating_sub(1));
    let mut best = allowed + 1;
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        // A name that is much shorter or longer cannot be near.
        if name.len().abs_diff(wrong.len()) > 3 * best {
            continue;
        }
        let distance = strsim::damerau_levenshtein(&wrong, &fold(name));
        if distance < best {
            best = distance;
            found.clear();
        }
        if distance == best && distance <= allowed && found.len() < 3 && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// ``did you mean `call_sites`?``, where something is near.
pub(super) fn did_you_mean<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let found = nearest(wrong, names);
    let quoted: Vec<String> = found.iter().map(|name| format!("`{name}`")).collect();
    (!found.is_empty()).then(|| format!("did you mean {}?", list(&quoted, "or")))
}

/// `a, b or c`.
pub(super) fn list(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

/// `` `a`, `b` or `c` ``; past a dozen, how many more there are.
pub(super) fn choices<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if all.len() <= 12 {
        return list(&all, "or");
    }
    let (shown, rest) = all.split_at(10);
    format!("{} or one of {} more", shown.join(", "), rest.len())
}

/// Our key for what people know under another name, if it is one of `keys`.
pub(super) fn foreign_key(key: &str, keys: &[&'static str]) -> Option<&'static str> {
    let folded = fold(key);
    let ours = FOREIGN.iter().filter(|(theirs, _)| fold(theirs) == folded).map(|(_, ours)| *ours);
    ours.into_iter().find(|ours| keys.contains(ours))
}

/// What neighbours (GitHub Actions, GitLab, docker compose, Ansible, promptfoo, …) call it, and what we do.
const FOREIGN: &[(&str, &str)] = &[
    ("depends_on", "needs"),
    ("depends", "needs"),
    ("requires", "needs"),
    ("after", "needs"),
    ("wait_for", "needs"),
    ("dependencies", "needs"),
    ("if", "when"),
    ("condition", "when"),
    ("foreach", "for_each"),
    ("loop", "for_each"),
    ("with_items", "for_each"),
    ("map", "for_each"),
    ("each", "for_each"),
    ("script", "run"),
    ("cmd", "run"),
    ("command", "run"),
    ("shell", "run"),
    ("exec", "run"),
    ("uses", "plan"),
    ("workflow", "plan"),
    ("template", "prompt"),
    ("message", "prompt"),
    ("instructions", "prompt"),
    ("model", "agent"),
    ("max_parallel", "concurrency"),
    ("parallel", "concurrency"),
    ("parallelism", "concurrency"),
    ("max_concurrency", "concurrency"),
    ("max_concurrent", "concurrency"),
    ("workers", "concurrency"),
    ("jobs", "calls"),
    ("tasks", "calls"),
    ("steps", "calls"),
    ("services", "calls"),
    ("nodes", "calls"),
    ("variables", "vars"),
    ("inputs", "vars"),
    ("environment", "env"),
    ("working_directory", "cwd"),
    ("working_dir", "cwd"),
    ("workdir", "cwd"),
    ("dir", "cwd"),
    ("timeout_minutes", "timeout"),
    ("max_time", "timeout"),
    ("deadline", "time"),
    ("timeout", "time"),
    ("retry", "retries"),
    ("max_retries", "retries"),
    ("continue_on_error", "on_error"),
    ("ignore_errors", "on_error"),
    ("allow_failure", "on_error"),
    ("fail_fast", "on_error"),
    ("on_failure", "on_error"),
    ("label", "description"),
    ("title", "description"),
    ("async", "background"),
    ("detach", "background"),
    ("run_in_background", "background"),
    ("n", "samples"),
    ("count", "samples"),
    ("replicas", "samples"),
    ("repeat", "samples"),
    ("while", "repeat"),
    ("strategy", "matrix"),
    ("verify", "check"),
    ("test", "check"),
    ("assert", "check"),
    ("validate", "check"),
    ("max_attempts", "attempts"),
    ("tries", "attempts"),
    ("tag", "tags"),
    ("labels", "tags"),
    ("groups", "tags"),
    ("isolate", "isolation"),
    ("worktree", "isolation"),
    ("input", "stdin"),
    ("system_prompt", "system"),
    ("max_output_tokens", "max_tokens"),
    ("models", "model"),
    ("endpoint", "base_url"),
    ("url", "base_url"),
    ("api_base", "base_url"),
    ("api_key", "api_key_env"),
    ("key_env", "api_key_env"),
    ("budget", "cost"),
    ("max_cost", "cost"),
    ("max_calls", "calls"),
    ("total", "calls"),
    ("type", "strategy"),
    ("method", "strategy"),
    ("kind", "strategy"),
    ("from", "of"),
    ("inputs", "of"),
    ("calls", "of"),
    ("results", "of"),
    ("merge", "reconcile"),
    ("combine", "reconcile"),
    ("gather", "reconcile"),
    ("synthesize", "reconcile"),
    ("fields", "on"),
    ("field", "on"),
    ("threshold", "quorum"),
    ("minimum", "min"),
    ("max_iterations", "max"),
    ("limit", "max"),
    ("format", "output"),
    ("includes", "include"),
    ("import", "include"),
    ("imports", "include"),
    ("outputs", "output"),
    ("json_schema", "schema"),
    ("success", "require"),
    ("settings", "defaults"),
    ("default", "defaults"),
    ("question", "ask"),
    ("vars", "with"),
    ("params", "with"),
    ("tools", "agents"),
    ("required", "require"),
];

/// `dependsOn`, `depends-on` and `DEPENDS_ON` are one name.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + 2);
    let mut low = false;
    for c in text.chars() {
        if low && c.is_ascii_uppercase() {
            folded.push('_');
        }
        low = c.is_ascii_lowercase();
        folded.push(if c == '-' { '_' } else { c.to_ascii_lowercase() });
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_proposed() {
        let names = ["call_sites", "migrations", "flags"];
        assert_eq!(did_you_mean("call_site", names), Some("did you mean `call_sites`?".to_owned()));
        assert_eq!(did_you_mean("callSites", names), Some("did you mean `call_sites`?".to_owned()));
        assert_eq!(did_you_mean("flgas", names), Some("did you mean `flags`?".to_owned()));
        assert_eq!(did_you_mean("database", names), None);
        assert_eq!(did_you_mean("lag", ["lab", "lap"]), Some("did you mean `lab` or `lap`?".to_owned()));
    }

    #[test]
    fn a_neighbours_word_is_translated_only_where_ours_exists() {
        assert_eq!(foreign_key("depends_on", &["needs", "when"]), Some("needs"));
        assert_eq!(foreign_key("dependsOn", &["needs"]), Some("needs"));
        assert_eq!(foreign_key("working-directory", &["cwd"]), Some("cwd"));
        assert_eq!(foreign_key("if", &["cwd"]), None);
    }
}
