//! Lints on prompts that consist of what other calls returned: too much of it, or nothing else.

use std::collections::HashMap;

use super::{LARGE_PASTE, MERGE_BY_PROMPT, agent_of, program};
use crate::graph::instances;
use crate::plan::diagnostic::Diagnostic;
use crate::plan::template::Template;
use crate::plan::{Action, Call, Plan};
use crate::unit::Tokens;

/// One pasted output may be so large without a word, in tokens.
const ONE_PASTE: u64 = 100_000;
/// All that is pasted into one prompt may be so large without a word, in tokens.
const ALL_PASTES: u64 = 150_000;
/// Bytes that count as one token, as in `pass`.
const BYTES_A_TOKEN: u64 = 4;
/// A prompt with more words of its own than this asks for more than a merge.
const MERGE_WORDS: usize = 40;

/// Beginnings of words that ask for a merge.
const MERGE: &[&str] = &[
    "merg",
    "combin",
    "consolidat",
    "reconcil",
    "synthes",
    "synthez",
    "summar",
    "compar",
    "aggregat",
    "unif",
    "collat",
    "dedup",
];
/// Beginnings of words that ask for work which a merge cannot do.
const WORK: &[&str] = &[
    "verif",
    "check",
    "test",
    "fix",
    "implement",
    "edit",
    "chang",
    "run",
    "search",
    "grep",
    "open",
    "look",
    "investigat",
    "inspect",
    "reproduc",
    "refactor",
    "appl",
    "plan",
];
/// Filters that bound what they are given.
const BOUNDING: &[&str] = &["truncate", "head", "tail", "length", "read"];

pub(super) fn lint(plan: &Plan, found: &mut Vec<Diagnostic>) {
    let positions: HashMap<&str, &Call> = plan.calls.iter().map(|call| (call.id.as_str(), call)).collect();
    for call in &plan.calls {
        let Action::Prompt { prompt, .. } = &call.action else { continue };
        let pasted = pasted(prompt, &positions);
        if pasted.is_empty() {
            continue;
        }
        large_paste(call, prompt, &pasted, found);
        merge_by_prompt(call, prompt, &pasted, found);
    }
}

/// The calls whose output, or part of it, a prompt pastes; each once, in order.
fn pasted<'p>(prompt: &Template, calls: &HashMap<&str, &'p Call>) -> Vec<&'p Call> {
    let mut pasted: Vec<&Call> = Vec::new();
    for mention in prompt.mentions() {
        if matches!(mention.attribute, Some("output" | "outputs" | "json" | "diff") | None)
            && let Some(&call) = calls.get(&*mention.call)
            && !pasted.iter().any(|other| other.id == call.id)
        {
            pasted.push(call);
        }
    }
    pasted
}

fn large_paste(call: &Call, prompt: &Template, pasted: &[&Call], found: &mut Vec<Diagnostic>) {
    let bounds: Vec<(&Call, u64)> = pasted.iter().map(|&other| (other, bound(other))).collect();
    let sum = bounds.iter().fold(0_u64, |sum, (_, bound)| sum.saturating_add(*bound));
    let Some(&(largest, most)) = bounds.iter().max_by_key(|(_, bound)| *bound) else { return };
    if sum <= ALL_PASTES && bounds.iter().all(|(other, _)| each(other) <= ONE_PASTE) {
        return;
    }
    if BOUNDING.iter().any(|filter| in_braces(&prompt.source).any(|code| code.contains(filter))) {
        return;
    }
    let message =
        format!("up to {} tokens of other calls' outputs are pasted into `{}`", Tokens(sum), call.id);
    found.push(
        Diagnostic::warning(LARGE_PASTE, prompt.at, message)
            .label("may not fit into the model's context")
            .help(format!(
                "bound it where it comes from, with `pass: {{max_tokens: 8k}}` on `{0}`, or hand over the path of a file with `pass: {{as: file}}`",
                largest.id
            ))
            .related(largest.at, format!("`{}` alone passes on up to {} tokens", largest.id, Tokens(most))),
    );
}

/// How many tokens one instance of a call passes on at most.
fn each(call: &Call) -> u64 {
    let whole = call.output.max_bytes.0.div_ceil(BYTES_A_TOKEN);
    if call.pass.as_file { 0 } else { call.pass.max_tokens.0.min(whole) }
}

/// How many tokens a call passes on at most; a list of unknown length counts as one instance.
fn bound(call: &Call) -> u64 {
    each(call).saturating_mul(instances(call).most.unwrap_or(1))
}

fn merge_by_prompt(call: &Call, prompt: &Template, pasted: &[&Call], found: &mut Vec<Diagnostic>) {
    // Judges that are asked several times, and answers that are tested, are more than a merge.
    let more = call.expand.is_some() || call.check.is_some() || call.repeat.is_some();
    if more || agent_of(call).is_none_or(|agent| program::writes(agent)) {
        return;
    }
    let answers =
        pasted.iter().filter(|other| matches!(other.action, Action::Prompt { .. } | Action::Plan { .. }));
    let count: usize = answers.map(|other| if other.expand.is_some() { 2 } else { 1 }).sum();
    if count < 2 {
        return;
    }
    if only_merges(&prompt.source) {
        let ids: Vec<&str> = pasted.iter().map(|other| other.id.as_str()).collect();
        found.push(
            Diagnostic::warning(
                MERGE_BY_PROMPT,
                prompt.at,
                format!("`{}` is an agent that only merges what others returned", call.id),
            )
            .label("no work of its own")
            .help(format!(
                "let the parent do it, which has the goal and every result: `reconcile: {{of: [{}], strategy: compare}}` shows what they share and where they differ, without a call",
                ids.join(", ")
            )),
        );
    }
}

/// Whether the words of a text ask for a merge and nothing else.
fn only_merges(text: &str) -> bool {
    // Every prompt that pastes something is asked: its words are looked at where they stand.
    let begins = |word: &str, stems: &[&str]| {
        let first = word.bytes().next().map(|byte| byte.to_ascii_lowercase());
        let stems = stems.iter().filter(|stem| stem.bytes().next() == first);
        stems
            .into_iter()
            .any(|stem| word.get(..stem.len()).is_some_and(|start| start.eq_ignore_ascii_case(stem)))
    };
    let (mut count, mut merges) = (0, false);
    for word in outside_braces(text).flat_map(|piece| piece.split(|c: char| !c.is_alphanumeric())) {
        count += usize::from(!word.is_empty());
        if count > MERGE_WORDS || begins(word, WORK) {
            return false;
        }
        merges |= begins(word, MERGE);
    }
    merges
}

/// What stands between `{{ }}`, `{% %}` and `{# #}`.
fn in_braces(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|(piece, code)| code.then_some(piece))
}

/// What stands around them.
fn outside_braces(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|(piece, code)| (!code).then_some(piece))
}

/// A template cut into text (`false`) and what its braces hold (`true`).
fn pieces(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = text;
    let mut close: Option<&'static str> = None;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(end) = close.take() {
            let (piece, after) = rest.split_once(end).unwrap_or((rest, ""));
            rest = after;
            return Some((piece, true));
        }
        let first = rest.match_indices('{').find_map(|(at, _)| match rest.as_bytes().get(at + 1)? {
            b'{' => Some((at, "}}")),
            b'%' => Some((at, "%}")),
            b'#' => Some((at, "#}")),
            _ => None,
        });
        let (piece, after) = match first {
            Some((at, end)) => {
                close = Some(end);
                (&rest[..at], &rest[at + 2..])
            }
            None => (rest, ""),
        };
        rest = after;
        Some((piece, false))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_cut_into_text_and_code() {
        let text = "a {{ b }} c {% for x in y %}{{ x }}{% endfor %}{# no #} d {{ open";
        assert_eq!(
            in_braces(text).collect::<Vec<_>>(),
            [" b ", " for x in y ", " x ", " endfor ", " no ", " open"]
        );
        assert_eq!(outside_braces(text).map(str::trim).collect::<String>(), "acd");
    }

    #[test]
    fn a_text_only_merges_where_its_words_ask_for_that_and_for_no_work() {
        for text in ["Merge {{ a }} and {{ b }}.", "{{ a }}, {{ b }}: SUMMARISE", "please unify{{ a }}"] {
            assert!(only_merges(text), "{text}");
        }
        let long = format!("merge {}", "word ".repeat(MERGE_WORDS));
        for text in [&long, "Merge {{ a }} and check {{ b }}", "{{ merge }}", "submerged", ""] {
            assert!(!only_merges(text), "{text}");
        }
    }
}
