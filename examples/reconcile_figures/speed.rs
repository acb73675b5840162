//! How long a large merge takes: 50 agents with 200 findings each, about 2000 things in different words.

use std::io::Write;
use std::time::Instant;

use fanout::outcome::{Outcome, Output};
use serde_json::{Map, Value, json};

use super::{Stop, answer, findings};

const AGENTS: usize = 50;
const EACH: usize = 200;
const THINGS: u64 = 2000;
const WORDS: u64 = 4000;
/// Words that everybody uses.
const FREQUENT: u64 = 300;

pub(crate) fn measure(out: &mut impl Write) -> Result<(), Stop> {
    for with_places in [false, true] {
        let answers = said(with_places)?;
        let mut settings = Map::from_iter([("similar".to_owned(), json!({ "on": "/title" }))]);
        if with_places {
            settings.insert("key".to_owned(), json!(["/file", "/line"]));
        }
        let start = Instant::now();
        let groups = findings::merged(answers, &settings)?;
        let how = if with_places { "by file, line and words" } else { "by words alone" };
        writeln!(
            out,
            "Speed: {} findings of {AGENTS} agents, {how}: {} different, in {:.1} s",
            AGENTS * EACH,
            groups.len(),
            start.elapsed().as_secs_f64()
        )?;
    }
    Ok(())
}

fn said(with_places: bool) -> Result<Vec<fanout::reconcile::Answer>, Stop> {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = move |sides: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % sides).unwrap_or(0)
    };
    let letters: Vec<char> = "etaoinshrdlcumwfgypbvk".chars().collect();
    let words: Vec<String> =
        (0..WORDS).map(|_| (0..5 + roll(5)).map(|_| letters[roll(letters.len() as u64)]).collect()).collect();
    let things: Vec<Vec<usize>> = (0..THINGS)
        .map(|_| (0..12).map(|n| if n % 3 == 0 { roll(FREQUENT) } else { roll(WORDS) }).collect())
        .collect();
    let mut answers = Vec::new();
    for agent in 0..AGENTS {
        let items = (0..EACH).map(|_| {
            let at = roll(THINGS);
            let said =
                (0..18).map(|n| if n < 9 { &words[things[at][roll(12)]] } else { &words[roll(FREQUENT)] });
            let title = said.map(String::as_str).collect::<Vec<&str>>().join(" ");
            if with_places {
                json!({ "title": title, "file": format!("src/{}.rs", at % 97), "line": at / 97 * 10 + roll(3) })
            } else {
                json!({ "title": title })
            }
        });
        let items: Vec<Value> = items.collect();
        answers.push(answer(
            agent,
            &format!("agent {agent}"),
            Outcome::ok(Output::json(Value::Array(items))),
        )?);
    }
    Ok(answers)
}
