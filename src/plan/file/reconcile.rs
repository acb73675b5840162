//! The keys of a parent step.
//!
//! Invariant: one record for all strategies; which keys a strategy has is in one table.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::value::{CommandText, Data, PromptText};
use crate::plan::Quantity;
use crate::plan::read::{At, OneOrMany, Read, Reader};
use crate::plan::record::{record, words};
use crate::plan::yaml::{Kind, Node};

record! {
    /// A parent step: which results it reads, and how it brings them together.
    struct ReconcileFile {
        /// The calls that it reads. Default: every call that nothing else consumes; in the middle of a plan, its `needs`.
        of: OneOrMany<At<String>>,
        /// How. Default: `collect`.
        strategy: StrategyWord,
        /// How many answers are enough, as a number or a share; below it the step fails.
        min: Quantity,

        /// `vote`: the fields that are voted on, as JSON pointers. Default: the whole answer.
        on: OneOrMany<At<String>>,
        /// `vote`: who wins: `plurality`, `majority`, `unanimity` or another rule of the strategy.
        rule: Data,
        /// `vote`: the share or number of votes that the winner must have.
        quorum: Data,
        /// `vote`: what a tie is: `report`, `fail`, or how it is broken.
        ties: Data,
        /// `vote`: the weight of each call, agent or model; or `{from: labelled.jsonl}`.
        weights: Data,
        /// What makes no difference between two answers: `case`, `space`, `number`, `json`, `punctuation`, or `{expression: …}`; one or a list.
        normalize: Data,

        /// `compare`: what pairs of answers are compared by: `tokens`, `lines` or `exact`.
        similarity: Data,

        /// `merge`: JSON pointer to the list of items in each result.
        items: At<String>,
        /// `merge`: the fields that must agree for two items to be the same, as JSON pointers; `{/line: 5}` for lines at most 5 apart (default for a field named `line`: 3).
        key: Data,
        /// `merge`: how close the words of two items must be for them to be the same.
        similar: SimilarFile,
        /// `merge`: the fields on which those who found an item should agree, as JSON pointers.
        conflicts: OneOrMany<At<String>>,
        /// What to do about conflicts: `report`, `fail`, `decide`, or `{prefer: [call, …]}`.
        on_conflict: OnConflict,
        /// `merge`: which items are kept: `{min_agree: 2}`, or a share of those who answered.
        keep: Data,

        /// `best`: what is best: `checks`, `cost`, `time`, `size`, or a JSON pointer to a score.
        by: Data,
        /// `best`: candidates are judged by each other's tests: `{passes: /passes}`, or `{candidates: …, tests: …}` with a `command`.
        cross_check: Data,

        /// `synthesize`: what the parent's model is asked.
        prompt: PromptText,
        /// `command`, and `best` with `cross_check`: the program; it gets the results as JSON on standard input.
        command: CommandText,
    }
}

words! {
    /// How results are brought together.
    enum StrategyWord("strategy") {
        /// Every result, labelled, in plan order.
        Collect = "collect",
        /// How far the results agree.
        Compare = "compare",
        /// The winner, per field or as a whole.
        Vote = "vote",
        /// The union of items.
        Merge = "merge",
        /// All ranked, the best first.
        Best = "best",
        /// The changes of several worktrees, merged.
        Patch = "patch",
        /// The parent's model writes the answer.
        Synthesize = "synthesize",
        /// Your program.
        Command = "command",
    }
}

impl StrategyWord {
    /// All of them.
    pub(crate) const ALL: &[StrategyWord] = &[
        StrategyWord::Collect,
        StrategyWord::Compare,
        StrategyWord::Vote,
        StrategyWord::Merge,
        StrategyWord::Best,
        StrategyWord::Patch,
        StrategyWord::Synthesize,
        StrategyWord::Command,
    ];
}

/// Which keys a strategy has besides `of`, `strategy` and `min`.
pub(crate) fn keys_of(strategy: StrategyWord) -> &'static [&'static str] {
    match strategy {
        StrategyWord::Collect => &[],
        StrategyWord::Compare => &["normalize", "similarity", "on_conflict"],
        StrategyWord::Vote => &["on", "rule", "quorum", "ties", "normalize", "weights", "on_conflict"],
        StrategyWord::Merge => &["items", "key", "similar", "conflicts", "on_conflict", "keep", "normalize"],
        StrategyWord::Best => &["by", "cross_check", "command"],
        StrategyWord::Patch => &["on_conflict"],
        StrategyWord::Synthesize => &[
            "prompt",
            "items",
            "key",
            "similar",
            "conflicts",
            "on_conflict",
            "keep",
            "on",
            "rule",
            "quorum",
            "ties",
            "weights",
            "normalize",
            "similarity",
        ],
        StrategyWord::Command => &["command"],
    }
}

record! {
    /// When two items say the same.
    struct SimilarFile {
        /// The texts that are compared, as JSON pointers. Default: the item itself.
        on: OneOrMany<At<String>>,
        /// How close is close enough: 0 for nothing in common, 1 for the same words. Default: 0.85, where findings of different tools are told apart best.
        at: f64,
    }
}

/// What to do about conflicts.
#[derive(Debug, Clone)]
pub(crate) enum OnConflict {
    /// In a word.
    Word(OnConflictWord),
    /// The first of these that says something wins.
    Prefer(Vec<At<String>>),
}

words! {
    /// What to do about conflicts.
    enum OnConflictWord("on_conflict") {
        /// List them.
        Report = "report",
        /// Fail, with exit status 3.
        Fail = "fail",
        /// Let the parent's model decide.
        Decide = "decide",
    }
}

record! {
    /// Whose word counts.
    struct Prefer {
        /// Calls or agents; the first that says something wins.
        prefer: OneOrMany<At<String>> = required,
    }
}

impl Read for OnConflict {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<OnConflict> {
        let Kind::Map(_) = &node.kind else {
            return OnConflictWord::read(node, reader).map(OnConflict::Word);
        };
        Prefer::read(node, reader)?.prefer.map(|prefer| OnConflict::Prefer(prefer.value.0))
    }
}

impl JsonSchema for OnConflict {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "OnConflict".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let word = generator.subschema_for::<OnConflictWord>();
        let prefer = generator.subschema_for::<Prefer>();
        json_schema!({ "anyOf": [word, prefer] })
    }
}
