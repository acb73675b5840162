//! `merge` from answers to its result: who found what, conflicts, and that nothing is lost.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::fixture::{answer, failed, inputs, json_answer, settings};
use super::super::{Answer, ReconcileError, Reconciled, reconcile};

fn merge(with: Value, answers: impl IntoIterator<Item = Answer>) -> Reconciled {
    reconcile("merge", &settings(with), &inputs(answers)).unwrap()
}

fn refused(with: Value, answers: impl IntoIterator<Item = Answer>) -> String {
    reconcile("merge", &settings(with), &inputs(answers)).unwrap_err().to_string()
}

fn finding(file: &str, line: u32, title: &str, severity: &str) -> Value {
    json!({"file": file, "line": line, "title": title, "severity": severity})
}

fn three_reviews() -> Vec<Answer> {
    let injection = "SQL injection: the query in findUser is built by string concatenation";
    let again = "findUser concatenates user input into the SQL string, which allows injection";
    let flaky = "Fixed sleep of 100 ms makes the test flaky";
    vec![
        json_answer(
            "alice",
            json!({"findings": [
                finding("./src/db.rs", 40, injection, "high"),
                finding("tests/a.rs", 7, flaky, "low"),
            ]}),
        ),
        json_answer("bob", json!({"findings": [finding("/work/app/src/db.rs", 42, again, "Critical")]})),
        json_answer(
            "carol",
            json!({"findings": [
                {"file": "src/db.rs", "line": 41, "title": injection, "severity": "HIGH", "fix": "bind"},
            ]}),
        ),
    ]
}

fn review_settings() -> Value {
    json!({
        "items": "/findings", "key": ["/file", "/line"], "similar": {"on": "/title", "at": 0.85},
        "conflicts": "/severity",
    })
}

#[test]
fn one_defect_in_different_words_is_one_item_with_who_found_it_and_what_is_in_dispute() {
    let merged = merge(review_settings(), three_reviews());
    let items = merged.json["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["by"], json!(["alice", "bob", "carol"]));
    assert_eq!((&items[0]["agree"], &items[0]["share"]), (&json!(3), &json!(1.0)));
    assert_eq!(items[0]["item"]["fix"], "bind");
    assert_eq!(items[0]["wording"], "alice");
    assert_eq!(items[0]["members"].as_array().unwrap().len(), 3);
    assert_eq!(items[1]["by"], json!(["alice"]));
    assert_eq!(merged.conflicts.len(), 1);
    assert_eq!(merged.conflicts[0].pointer, "/severity");
    let sides: Vec<(Value, Vec<String>)> =
        merged.conflicts[0].sides.iter().map(|side| (side.value.clone(), side.by.clone())).collect();
    assert_eq!(
        sides,
        [
            (json!("high"), vec!["alice".to_owned(), "carol".to_owned()]),
            (json!("Critical"), vec!["bob".to_owned()])
        ]
    );
    insta::assert_snapshot!(merged.text);
}

#[test]
fn whoever_is_preferred_settles_a_conflict_and_dissent_stays() {
    let mut with = review_settings();
    with["on_conflict"] = json!({"prefer": ["bob"]});
    let merged = merge(with.clone(), three_reviews());
    assert!(merged.conflicts.is_empty());
    let item = &merged.json["items"][0];
    assert_eq!(item["item"]["severity"], "Critical");
    assert_eq!(item["settled"][0]["settled_by"], "bob");
    assert_eq!(item["settled"][0]["sides"].as_array().unwrap().len(), 2);
    with["on_conflict"] = json!({"prefer": "dave"});
    assert_eq!(refused(with, three_reviews()), "`on_conflict.prefer`: nobody here is called `dave`");
}

#[test]
fn a_conflict_fails_the_step_where_the_plan_says_so() {
    let mut with = review_settings();
    with["on_conflict"] = json!("fail");
    let error = reconcile("merge", &settings(with), &inputs(three_reviews())).unwrap_err();
    let ReconcileError::Conflict { message, result } = error else { panic!("{error}") };
    assert!(message.contains("`/severity` is high for alice, carol and Critical for bob"), "{message}");
    assert_eq!(result.conflicts.len(), 1);
}

#[test]
fn what_too_few_found_is_left_out_but_not_lost() {
    let mut with = review_settings();
    with["keep"] = json!({"min_agree": "60%"});
    let merged = merge(with, three_reviews());
    assert_eq!(merged.json["needed"], 2);
    assert_eq!(merged.json["items"].as_array().unwrap().len(), 1);
    assert_eq!(merged.json["left_out"][0]["item"]["file"], "tests/a.rs");
}

#[test]
fn without_words_the_key_decides_and_the_best_wording_is_not_the_longest() {
    let titles = [
        "Possible null dereference of user",
        "user may be null here: possible null dereference",
        "This whole function is very long and should be split into many smaller functions for clarity",
    ];
    let answers = titles.iter().zip(["a", "b", "c"]).map(|(title, call)| {
        json_answer(call, json!([{"file": "x.rs", "line": 3, "title": title, "rule": call}]))
    });
    let merged = merge(json!({"key": ["/file", "/line"]}), answers);
    let items = merged.json["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_ne!(items[0]["item"]["title"], titles[2]);
    assert_eq!(items[0]["differs"], json!(["/rule"]));
}

#[test]
fn lists_of_texts_need_no_settings() {
    let merged = merge(
        json!({}),
        [
            json_answer("a", json!(["The retry loop in fetchUser never ends", "README is outdated"])),
            json_answer("b", json!(["fetchUser's retry loop never ends when the server is down"])),
            answer("c", "[\"readme is  outdated\"]"),
            failed("d", "exit 1"),
        ],
    );
    let by: Vec<&Value> = merged.json["items"].as_array().unwrap().iter().map(|item| &item["by"]).collect();
    assert_eq!(by, [&json!(["a", "c"]), &json!(["a", "b"])]);
    assert_eq!(merged.json["census"]["missing"][0]["call"], "d");
    assert!(merged.text.starts_with("3 of 4 answered: 4 items are 2 different"), "{}", merged.text);
}

#[test]
fn objects_are_merged_field_by_field() {
    let merged = merge(
        json!({}),
        [
            json_answer("a", json!({"api": {"port": 80, "tls": true}, "tags": ["x", "y"], "owner": null})),
            json_answer("b", json!({"api": {"port": 8080}, "tags": ["Y", "z"], "owner": "ops"})),
            json_answer("c", json!({"api": {"port": 8080.0, "host": "h"}})),
        ],
    );
    assert_eq!(
        merged.json["merged"],
        json!({"api": {"port": 8080, "tls": true, "host": "h"}, "tags": ["x", "y", "z"], "owner": "ops"})
    );
    assert_eq!(merged.json["by"]["/owner"], json!(["b"]));
    assert_eq!(merged.conflicts.len(), 1);
    assert_eq!(merged.conflicts[0].pointer, "/api/port");
    insta::assert_snapshot!(merged.text);
}

#[test]
fn an_answer_in_the_wrong_shape_is_told_what_would_be_right() {
    let list = || json_answer("a", json!([{"title": "x"}]));
    for (with, other, expected) in [
        (json!({}), answer("b", "three findings"), "`b` cannot be used: it is no JSON"),
        (json!({}), json_answer("b", json!({"bugs": ["x"]})), "`b` cannot be used: it is no list, while"),
    ] {
        let message = refused(with, [list(), other]);
        assert!(message.starts_with(expected), "{message}");
    }
    let object = json_answer("b", json!({"bugs": ["x"]}));
    let message = refused(json!({"items": "/findings"}), [object.clone()]);
    assert_eq!(message, "`b` cannot be used: there is nothing at `/findings`; there is a list at `/bugs`");
    let message = refused(json!({"key": "/file"}), [object]);
    assert_eq!(message, "`b` cannot be used: it is an object; say where its items are: `items: /bugs`");
}

/// A seeded sequence, so that a failure can be played again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.roll(of.len() as u64)).unwrap()]
    }

    fn item(&mut self) -> Value {
        let words =
            ["race", "lock", "sql", "injection", "flaky", "the", "sleep", "naïve", "getUser", "null", ""];
        let title: Vec<&str> = (0..self.roll(6)).map(|_| *self.pick(&words)).collect();
        let title = title.join(self.pick::<&str>(&[" ", "  "]));
        match self.roll(12) {
            0 => Value::String(title),
            1 => json!(self.roll(3)),
            2 => json!({"title": title}),
            3 => json!([title]),
            _ => json!({
                "file": self.pick(&["a.rs", "./a.rs", "/p/a.rs", "src/b.rs", "/p/src/b.rs"]),
                "line": self.pick(&[json!(1), json!(4), json!(6), json!("7-9"), json!(20), json!(null)]),
                "title": title,
                "severity": self.pick(&["high", "HIGH", "low"]),
            }),
        }
    }
}

/// What a merge came to without regard to order: groups of (who, which).
fn partition(merged: &Reconciled) -> BTreeMap<(String, u64), Vec<(String, u64)>> {
    let mut of = BTreeMap::new();
    for list in ["items", "left_out"] {
        for item in merged.json[list].as_array().unwrap() {
            let members = item["members"].as_array().unwrap();
            let mut members: Vec<(String, u64)> = members
                .iter()
                .map(|member| (member["by"].as_str().unwrap().to_owned(), member["at"].as_u64().unwrap()))
                .collect();
            members.sort();
            for member in &members {
                assert!(of.insert(member.clone(), members.clone()).is_none(), "{member:?} is there twice");
            }
        }
    }
    of
}

#[test]
fn ten_thousand_random_merges_lose_nothing_invent_nothing_and_do_not_depend_on_order() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let ways = [
        json!({}),
        json!({"key": ["/file", "/line"], "conflicts": "/severity"}),
        json!({"similar": {"on": "/title", "at": 0.7}, "keep": {"min_agree": 2}}),
        json!({"key": ["/file", {"/line": 2}], "similar": {"on": "/title"}, "conflicts": ["/severity"]}),
    ];
    for round in 0..crate::reconcile::properties::rounds() {
        let with = dice.pick(&ways).clone();
        let mut answers: Vec<Answer> = (0..2 + dice.roll(4))
            .map(|n| {
                let items: Vec<Value> = (0..dice.roll(5)).map(|_| dice.item()).collect();
                json_answer(&format!("agent{n}"), Value::Array([items, vec![json!(7)]].concat()))
            })
            .collect();
        let merged = merge(with.clone(), answers.clone());
        let groups = partition(&merged);
        let said: Vec<(String, u64, &Value)> = answers
            .iter()
            .flat_map(|answer| {
                let list = answer.outcome.output.json.as_deref().unwrap().as_array().unwrap();
                list.iter().zip(0..).map(|(item, at)| (answer.instance.to_string(), at, item))
            })
            .collect();
        assert_eq!(groups.len(), said.len(), "round {round}: {with}");
        for list in ["items", "left_out"] {
            for item in merged.json[list].as_array().unwrap() {
                for member in item["members"].as_array().unwrap() {
                    let (by, at) = (member["by"].as_str().unwrap(), member["at"].as_u64().unwrap());
                    let own = said.iter().find(|(call, index, _)| call == by && *index == at).unwrap();
                    assert_eq!(&member["item"], own.2, "round {round}");
                }
                let by: Vec<&str> =
                    item["members"].as_array().unwrap().iter().map(|m| m["by"].as_str().unwrap()).collect();
                let found = item["by"].as_array().unwrap();
                assert!(found.iter().all(|call| by.contains(&call.as_str().unwrap())));
                assert!(by.iter().all(|call| found.contains(&json!(call))));
                if let Some(fields) = item["item"].as_object() {
                    for (name, value) in fields {
                        let given = item["members"].as_array().unwrap().iter();
                        assert!(
                            given.map(|m| &m["item"][name]).any(|own| own == value),
                            "round {round}: {name}"
                        );
                    }
                }
            }
        }
        let turn = usize::try_from(dice.roll(answers.len() as u64)).unwrap();
        answers.rotate_left(turn);
        answers.reverse();
        assert_eq!(partition(&merge(with, answers)), groups, "round {round}: the order was seen");
    }
}
