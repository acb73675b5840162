//! How sure a vote is: the chance that the leading choice is right, from who agrees.
//!
//! The model. Each vote is evidence for its choice, in log-odds, in proportion to
//! its weight; besides the choices that were named there is always one more,
//! "something nobody named", with a fixed evidence of its own:
//!
//! ```text
//! P(choice) = exp(e · weight of choice) / (Σ exp(e · weight of each choice) + exp(none))
//! ```
//!
//! Voters resemble each other, so n of them are worth fewer than n independent
//! ones: `e` is divided by the design effect 1 + (n − 1) ρ (Kish 1965). The
//! constants were fitted to four systems on grade-school maths questions, where
//! agreement of 1, 2, 3 and 4 of them meant 11, 52, 84 and 96 % right; samples of
//! one model resemble each other more, and labelled rows say by how much.

/// Evidence of a single vote of weight 1.
pub(super) const VOTE: f64 = 2.5;
/// Evidence for an answer that nobody named.
pub(super) const NONE: f64 = 3.0;
/// How much two voters resemble each other.
const RESEMBLANCE: f64 = 0.2;

/// The model with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Model {
    /// Evidence of a vote of weight 1 when `voters` vote.
    pub(super) vote: f64,
    /// Evidence for an answer that nobody named.
    pub(super) none: f64,
    /// The number of voters that the parameters hold for.
    pub(super) voters: usize,
}

impl Default for Model {
    /// The parameters without any labelled rows.
    fn default() -> Model {
        Model { vote: VOTE, none: NONE, voters: 1 }
    }
}

impl Model {
    /// The chance of each choice, given the weight of each and the number of votes cast. They sum
    /// to less than 1: the rest is for what nobody named.
    pub(super) fn chances(&self, weights: &[f64], votes: usize) -> Vec<f64> {
        let vote = self.vote * (design_effect(self.voters) / design_effect(votes)).min(1.0);
        softmax(weights.iter().map(|weight| vote * weight), self.none)
    }
}

/// How many votes are worth one independent vote, as a factor.
pub(super) fn design_effect(votes: usize) -> f64 {
    1.0 + votes.saturating_sub(1) as f64 * RESEMBLANCE
}

/// `exp(evidence) / (Σ exp(evidence) + exp(none))` for each, without overflow.
pub(super) fn softmax(evidence: impl Iterator<Item = f64> + Clone, none: f64) -> Vec<f64> {
    let highest = evidence.clone().fold(none, f64::max);
    let sum = evidence.clone().map(|e| (e - highest).exp()).sum::<f64>() + (none - highest).exp();
    evidence.map(|e| (e - highest).exp() / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_agreement_is_more_sure_and_nothing_is_certain() {
        let model = Model::default();
        let leader = |weights: &[f64]| model.chances(weights, 4)[0];
        let sure = [
            leader(&[1.0, 1.0, 1.0, 1.0]),
            leader(&[2.0, 1.0, 1.0]),
            leader(&[2.0, 2.0]),
            leader(&[3.0, 1.0]),
            leader(&[4.0]),
        ];
        assert!(sure[0] < sure[2] && sure[2] < sure[1] && sure[1] < sure[3] && sure[3] < sure[4], "{sure:?}");
        assert!(sure[4] > 0.95 && sure[4] < 0.99);
        let many = model.chances(&[100.0], 100);
        assert!(many[0] < 1.0, "a hundred alike are not certain: {many:?}");
    }
}
