//! What holds for any answers: ten thousand random panels for each property.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixture::{answer, failed, json_answer, settings};
use super::normalize::Normalize;
use super::settings::Settings;
use super::{Answer, Inputs, Reconciled, reconcile};

/// What one call of a random panel came to.
#[derive(Debug, Clone)]
enum Came {
    Failed,
    Empty,
    Word(u8),
    Fields(Option<u8>, Option<u8>),
    List(Vec<u8>),
    Passes(u8),
}

fn came() -> impl Strategy<Value = Came> {
    prop_oneof![
        1 => Just(Came::Failed),
        1 => Just(Came::Empty),
        4 => (0..4_u8).prop_map(Came::Word),
        2 => (proptest::option::of(0..3_u8), proptest::option::of(0..3_u8)).prop_map(|(a, b)| Came::Fields(a, b)),
        1 => proptest::collection::vec(0..5_u8, 0..5).prop_map(Came::List),
        1 => any::<u8>().prop_map(Came::Passes),
    ]
}

fn panel() -> impl Strategy<Value = Vec<Came>> {
    proptest::collection::vec(came(), 1..9)
}

/// The same panel twice: in plan order, and in another order.
fn panel_and_order() -> impl Strategy<Value = (Vec<Came>, Vec<usize>)> {
    panel().prop_flat_map(|panel| {
        let order: Vec<usize> = (0..panel.len()).collect();
        (Just(panel), Just(order).prop_shuffle())
    })
}

fn answers(panel: &[Came]) -> Vec<Answer> {
    let word = |n: &u8| ["yes", "no", "Yes", "a longer answer\nof two lines"][usize::from(*n % 4)];
    let one = |(at, came): (usize, &Came)| {
        let name = format!("c[{at}]");
        match came {
            Came::Failed => failed(&name, "dead"),
            Came::Empty => answer(&name, " "),
            Came::Word(n) => answer(&name, word(n)),
            Came::Fields(x, y) => json_answer(&name, json!({"x": x, "y": y})),
            Came::List(items) => json_answer(&name, json!(items)),
            Came::Passes(bits) => json_answer(&name, json!({"x": bits % 3, "passes": format!("{bits:08b}")})),
        }
    };
    panel.iter().enumerate().map(one).collect()
}

fn inputs(answers: Vec<Answer>) -> Inputs {
    Inputs { answers, ..Inputs::default() }
}

/// `None` where the step fails, which a random panel may well make it do.
fn run(strategy: &str, with: &Value, inputs: &Inputs) -> Option<Reconciled> {
    reconcile(strategy, &settings(with.clone()), inputs).ok()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// The same value whatever the order of its lists.
fn unordered(value: &Value) -> Value {
    if let Some(items) = value.as_array() {
        let mut items: Vec<Value> = items.iter().map(unordered).collect();
        items.sort_by_key(Value::to_string);
        return Value::Array(items);
    }
    let Some(fields) = value.as_object() else { return value.clone() };
    let mut fields: Vec<_> = fields.iter().map(|(name, field)| (name.clone(), unordered(field))).collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    Value::Object(fields.into_iter().collect())
}

/// The settings under which votes are tried.
fn votes() -> impl Strategy<Value = Value> {
    let on = prop_oneof![Just(Value::Null), Just(json!("/x")), Just(json!(["/x", "/y"]))];
    let rule = prop_oneof![Just("plurality"), Just("majority"), Just("unanimity"), Just("ranked")];
    let weights = prop_oneof![Just(Value::Null), Just(json!({"c": 0.5})), Just(json!({"c[0]": 2.5}))];
    let quorum = prop_oneof![Just(Value::Null), Just(json!("50%"))];
    (on, rule, weights, quorum).prop_map(
        |(on, rule, weights, quorum)| json!({"on": on, "rule": rule, "weights": weights, "quorum": quorum}),
    )
}

/// Ten thousand in CI; a person who waits for the tests gets enough of them to notice a fault.
pub(in crate::reconcile) fn rounds() -> u32 {
    if std::env::var_os("CI").is_some() { 10_000 } else { 400 }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(rounds()) })]

    #[test]
    fn a_census_counts_everybody_once(panel in panel()) {
        let result = run("collect", &json!({}), &inputs(answers(&panel))).unwrap();
        let census = &result.json["census"];
        let missing = census["missing"].as_array().unwrap().len() as u64;
        let empty = census["empty"].as_array().unwrap().len() as u64;
        prop_assert_eq!(census["asked"].as_u64().unwrap(), census["answered"].as_u64().unwrap() + missing + empty);
        prop_assert_eq!(census["asked"].as_u64().unwrap(), panel.len() as u64);
    }

    #[test]
    fn a_tally_adds_up(panel in panel(), with in votes()) {
        let Some(result) = run("vote", &with, &inputs(answers(&panel))) else { return Ok(()) };
        let answered = result.json["census"]["answered"].as_u64().unwrap() as usize;
        for question in result.json["questions"].as_array().unwrap() {
            let abstained = strings(&question["abstained"]);
            prop_assert_eq!(question["votes"].as_u64().unwrap() as usize + abstained.len(), answered);
            if with["rule"] == "ranked" {
                let items = question["tally"].as_array().unwrap();
                let sum = |key: &str| items.iter().map(|item| item[key].as_u64().unwrap()).sum::<u64>();
                prop_assert_eq!(sum("wins"), sum("losses"));
                for item in items {
                    let met = ["wins", "losses", "draws"].iter().map(|key| item[*key].as_u64().unwrap()).sum::<u64>();
                    prop_assert_eq!(met as usize, items.len() - 1);
                }
                continue;
            }
            let mut voters: Vec<String> = abstained;
            let (mut share, mut chance) = (0.0, 0.0);
            for choice in question["tally"].as_array().unwrap() {
                let by = strings(&choice["by"]);
                prop_assert_eq!(choice["votes"].as_u64().unwrap() as usize, by.len());
                voters.extend(by);
                share += choice["share"].as_f64().unwrap();
                chance += choice["confidence"].as_f64().unwrap();
            }
            let different: BTreeSet<&String> = voters.iter().collect();
            prop_assert_eq!((voters.len(), different.len()), (answered, answered));
            prop_assert!((share - 1.0).abs() < 1e-3 && chance <= 1.0 + 1e-3, "{} {}", share, chance);
        }
    }

    #[test]
    fn a_vote_does_not_depend_on_order((panel, order) in panel_and_order(), with in votes()) {
        let there = answers(&panel);
        let elsewhere: Vec<Answer> = order.iter().map(|at| there[*at].clone()).collect();
        let one = run("vote", &with, &inputs(there));
        let other = run("vote", &with, &inputs(elsewhere));
        // A sentence lists names in plan order, so only the data is compared.
        let data = |result: Option<Reconciled>| result.map(|result| {
            let mut json = result.json;
            json.as_object_mut().unwrap().remove("conflicts");
            for question in json["questions"].as_array_mut().unwrap() {
                if question["outcome"] != "won" { continue; }
                // Only what won has a place of its own; level ones may stand either way.
                question.as_object_mut().unwrap().remove("ranking");
            }
            unordered(&json)
        });
        prop_assert_eq!(data(one), data(other));
    }

    #[test]
    fn groups_partition_the_answers_whatever_their_order(
        (panel, order) in panel_and_order(),
        normalize in prop_oneof![Just(json!([])), Just(json!("case")), Just(json!(["json", "space"]))],
    ) {
        let with = json!({"normalize": normalize});
        let there = answers(&panel);
        let elsewhere: Vec<Answer> = order.iter().map(|at| there[*at].clone()).collect();
        let Some(one) = run("compare", &with, &inputs(there)) else { return Ok(()) };
        let other = run("compare", &with, &inputs(elsewhere)).unwrap();
        let groups = |result: &Reconciled| -> BTreeSet<BTreeSet<String>> {
            let groups = result.json["groups"].as_array().unwrap();
            groups.iter().map(|group| strings(&group["by"]).into_iter().collect()).collect()
        };
        let all: Vec<String> = groups(&one).into_iter().flatten().collect();
        let different: BTreeSet<&String> = all.iter().collect();
        prop_assert_eq!(different.len(), all.len());
        prop_assert_eq!(all.len() as u64, one.json["census"]["answered"].as_u64().unwrap());
        prop_assert_eq!(groups(&one), groups(&other));
        prop_assert_eq!(&one.json["agreement"], &other.json["agreement"]);
        prop_assert_eq!(one.conflicts.is_empty(), other.conflicts.is_empty());
    }

    #[test]
    fn a_ranking_lists_every_candidate_once_whatever_their_order(
        (panel, order) in panel_and_order(),
        with in prop_oneof![
            Just(json!({"by": ["/x", "size"]})),
            Just(json!({"by": [{"min": "/y"}, "checks"]})),
            Just(json!({"cross_check": {"passes": "/passes"}})),
        ],
    ) {
        let there = answers(&panel);
        let elsewhere: Vec<Answer> = order.iter().map(|at| there[*at].clone()).collect();
        let one = run("best", &with, &inputs(there));
        let other = run("best", &with, &inputs(elsewhere));
        prop_assert_eq!(one.is_some(), other.is_some());
        let (Some(one), Some(other)) = (one, other) else { return Ok(()) };
        let ranking = |result: &Reconciled| result.json["ranking"].as_array().unwrap().clone();
        let calls = |result: &Reconciled| -> BTreeSet<String> {
            ranking(result).iter().map(|entry| entry["call"].as_str().unwrap().to_owned()).collect()
        };
        let scores = |result: &Reconciled| -> Vec<Value> {
            ranking(result).iter().map(|entry| entry["scores"].clone()).collect()
        };
        prop_assert_eq!(calls(&one).len(), ranking(&one).len());
        prop_assert_eq!(calls(&one), calls(&other));
        prop_assert_eq!(scores(&one), scores(&other));
    }

    #[test]
    fn any_text_can_be_normalized(text in "\\PC{0,40}|[-+0-9.,e a_]{0,24}") {
        let all = normalize(json!(["case", "space", "number", "punctuation"])).text(&text);
        prop_assert_eq!(all.trim(), &all);
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written(whole in any::<u64>(), cents in 0..100_u8, minus in any::<bool>()) {
        let sign = if minus { "-" } else { "" };
        let mut grouped = whole.to_string();
        for at in (1..grouped.len()).rev().filter(|at| (grouped.len() - at) % 3 == 0).collect::<Vec<_>>() {
            grouped.insert(at, ',');
        }
        let normalize = normalize(json!("number"));
        let key = |text: String| normalize.key(&json!(text));
        let plain = key(format!("{sign}{whole}.{cents:02}"));
        prop_assert_eq!(key(format!("{sign}{grouped}.{cents:02}000")), plain.clone());
        prop_assert_eq!(key(format!("{sign}00{whole}{cents:02}e-2")), plain.clone());
        let other = key(format!("{sign}{whole}.{:02}", (cents + 1) % 100));
        prop_assert_ne!(other, plain);
    }
}

fn normalize(steps: Value) -> Normalize {
    let steps = settings(json!({ "normalize": steps }));
    Normalize::read(&Settings::new(&steps, "", &["normalize"]).unwrap()).unwrap()
}
