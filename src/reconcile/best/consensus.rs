//! Which candidates are right when nobody knows which tests are: agreement of both.
//!
//! Candidates that pass exactly the same tests form a group. For each group the
//! question is how likely the whole table is if this group is right and so are
//! exactly the tests that it passes. Then wrong candidates pass right tests at one
//! unknown rate and wrong tests at another; the latter is small beforehand, since a
//! wrong test names one of many wrong results. With Beta priors both rates and the
//! shares of right candidates and right tests integrate out in closed form (the
//! Bayesian strategy of "B4", Chen and others 2024). CodeT's score, the size of
//! the group times the tests that it passes (Chen and others 2022), is the
//! forerunner. So a majority of wrong answers does not win by its number: its
//! tests have to be passed by few others who are wrong differently.

/// Before any table is seen, one in this many wrong candidates passes a given wrong test.
const WRONG_PASSES_WRONG: f64 = 1000.0;

/// One group: how many candidates pass exactly these tests.
#[derive(Debug, Clone)]
pub(super) struct Behaviour {
    /// Candidates in it.
    pub(super) size: usize,
    /// For each test whether they pass it. Equally long for all groups.
    pub(super) passes: Vec<bool>,
}

/// The log-likelihood of the table if the group is right, for each group; `None` for a group that
/// passes no test, about which the table says nothing.
pub(super) fn scores(groups: &[Behaviour]) -> Vec<Option<f64>> {
    let candidates: usize = groups.iter().map(|group| group.size).sum();
    let tests = groups.first().map_or(0, |group| group.passes.len());
    let mut passed_by = vec![0_usize; tests];
    for group in groups {
        for (count, _) in passed_by.iter_mut().zip(&group.passes).filter(|(_, passes)| **passes) {
            *count += group.size;
        }
    }
    let score = |group: &Behaviour| {
        let right_tests = group.passes.iter().filter(|passes| **passes).count();
        if right_tests == 0 {
            return None;
        }
        let wrong = candidates - group.size;
        let (mut on_right, mut on_wrong) = (0, 0);
        for (count, passes) in passed_by.iter().zip(&group.passes) {
            if *passes {
                on_right += count - group.size;
            } else {
                on_wrong += count;
            }
        }
        let wrong_tests = tests - right_tests;
        Some(
            ln_beta(group.size + 1, wrong as f64 + 1.0)
                + ln_beta(right_tests + 1, wrong_tests as f64 + 1.0)
                + ln_beta(on_right + 1, (wrong * right_tests - on_right) as f64 + 1.0)
                + ln_beta(on_wrong + 1, (wrong * wrong_tests - on_wrong) as f64 + WRONG_PASSES_WRONG),
        )
    };
    groups.iter().map(score).collect()
}

/// Logarithm of the Beta function.
fn ln_beta(a: usize, b: f64) -> f64 {
    let a = a as f64;
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// Logarithm of the Gamma function for positive numbers, by Stirling's series after shifting the
/// argument above ten (error below 1e-10).
fn ln_gamma(x: f64) -> f64 {
    let mut shifted = x;
    let mut product = 1.0;
    while shifted < 10.0 {
        product *= shifted;
        shifted += 1.0;
    }
    let inverse = 1.0 / shifted;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (shifted - 0.5) * shifted.ln() - shifted + 0.5 * std::f64::consts::TAU.ln() + series - f64::ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behaviour(size: usize, bits: &str) -> Behaviour {
        Behaviour { size, passes: bits.bytes().map(|b| b == b'1').collect() }
    }

    #[test]
    fn gamma_is_the_factorial() {
        for (n, factorial) in [(1.0, 1.0_f64), (2.0, 1.0), (5.0, 24.0), (11.0, 3_628_800.0)] {
            assert!((ln_gamma(n) - factorial.ln()).abs() < 1e-10, "{n}");
        }
    }

    #[test]
    fn a_majority_that_passes_few_tests_loses_to_a_minority_that_passes_many() {
        let groups =
            [behaviour(6, "110000000000"), behaviour(4, "001111111100"), behaviour(1, "000000000011")];
        let scores = scores(&groups);
        assert!(scores[1] > scores[0] && scores[0] > scores[2], "{scores:?}");
        assert_eq!(super::scores(&[behaviour(3, "00")]), [None]);
    }
}
