//! Hostile input by mutation: what no reader may do is panic, and each has a promise of its own.
//!
//! On stable, seeded and bounded by a count, so that a run is the same every time. What is
//! kept lies in `tests/fuzz/<target>/` and is replayed first. An input that does something new
//! (by what the target says it did) is mutated further. For a longer run:
//!
//! ```text
//! FUZZ_ROUNDS=300000 FUZZ_SEED=7 cargo test --test it -- fuzz:: --nocapture
//! ```
//!
//! An input that fails is written to the target's folder: fix the fault, keep the file.

mod targets;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use crate::support::repository;

/// How many mutated inputs a target gets where nothing else is said.
const ROUNDS: u64 = 1500;

/// The longest input, in bytes.
const LONGEST: usize = 1 << 16;

/// A small generator (xorshift64*): the same numbers everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `limit`; 0 for none.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or(usize::MAX) % limit.max(1)
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Replays the corpus of a target and then mutates it. `target` panics where a promise is
/// broken, and says in a word what it did with the input.
fn fuzz(name: &str, words: &[&str], target: impl Fn(&[u8]) -> String) {
    let folder = repository().join("tests/fuzz").join(name);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut pool: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(!pool.is_empty(), "{} is empty", folder.display());
    let mut seen = BTreeSet::new();
    for (file, input) in files.iter().zip(&pool) {
        let did = catch_unwind(AssertUnwindSafe(|| target(input)));
        seen.insert(did.unwrap_or_else(|_| panic!("{} fails again", file.display())));
    }
    let rounds = number("FUZZ_ROUNDS", ROUNDS);
    let mut dice = Dice(number("FUZZ_SEED", 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    for round in 0..rounds {
        let input = mutated(&pool, words, &mut dice);
        match catch_unwind(AssertUnwindSafe(|| target(&input))) {
            Ok(did) => {
                if seen.insert(did) && pool.len() < 512 {
                    pool.push(input);
                }
            }
            Err(_) => {
                let kept = folder.join(format!("failed-{:016x}", dice.next()));
                std::fs::write(&kept, &input).unwrap();
                panic!("round {round} of {name} failed; its input is kept as {}", kept.display());
            }
        }
    }
    println_to_the_test(&format!("{name}: {rounds} rounds, {} different outcomes", seen.len()));
}

#[expect(clippy::print_stdout, reason = "shown with --nocapture only")]
fn println_to_the_test(text: &str) {
    println!("{text}");
}

fn mutated(pool: &[Vec<u8>], words: &[&str], dice: &mut Dice) -> Vec<u8> {
    let mut input = pool[dice.below(pool.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len() + 1);
        let end = (at + dice.below(24)).min(input.len());
        match dice.below(9) {
            0 if at < input.len() => input[at] ^= 1 << dice.below(8),
            1 if at < input.len() => input[at] = u8::try_from(dice.below(256)).unwrap_or(0),
            2 => drop(input.drain(at..end)),
            3 => drop(input.splice(at..at, input[at..end].to_vec())),
            4 => input.truncate(at),
            5 => {
                let other = &pool[dice.below(pool.len())];
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(400)).min(other.len());
                drop(input.splice(at..end, other[from..to].to_vec()));
            }
            6 => drop(input.splice(at..end, std::iter::repeat_n(b'9', dice.below(30)))),
            7 => {
                let odd: &[u8] = match dice.below(6) {
                    0 => b"\0",
                    1 => b"\xEF\xBB\xBF",
                    2 => b"\r",
                    3 => b"\xFF\xFE",
                    4 => "\u{202E}\u{1F4A1}".as_bytes(),
                    _ => b"\n",
                };
                drop(input.splice(at..at, odd.to_vec()));
            }
            _ => {
                let word = words[dice.below(words.len())].as_bytes().to_vec();
                drop(input.splice(at..end, word));
            }
        }
    }
    input.truncate(LONGEST);
    input
}
