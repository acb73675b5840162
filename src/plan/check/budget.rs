//! What may be spent, and what things cost.
//!
//! Invariant: an amount that comes out of here is finite and more than nothing; a price
//! may be nothing, since some servers are free, but is never less.

use crate::plan::diagnostic::Diagnostic;
use crate::plan::file::agent::PriceFile;
use crate::plan::file::call::CallLimitsFile;
use crate::plan::file::value::TokenCount;
use crate::plan::load::Load;
use crate::plan::read::{Entries, Key};
use crate::plan::{Budget, Price, code};
use crate::unit::Usd;

/// The most money that a limit can be, in dollars.
const MOST: f64 = 1e9;

/// `tokens` and `cost` of a `limits`.
pub(super) fn read(load: &mut Load<'_>, tokens: Key<TokenCount>, cost: Key<f64>) -> Budget {
    if let Some(tokens) = tokens.as_ref().filter(|tokens| tokens.value.0.is_zero()) {
        load.fault(Diagnostic::error(code::OUT_OF_RANGE, tokens.at, "`tokens` must be more than nothing"));
    }
    let cost = cost.and_then(|cost| {
        if cost.value > 0.0 && cost.value <= MOST {
            return Some(Usd((cost.value * 1e6).round() as u64));
        }
        let fault = Diagnostic::error(code::OUT_OF_RANGE, cost.at, "`cost` must be more than nothing");
        load.fault(fault.help("write an amount in US dollars, such as `2.50`"));
        None
    });
    Budget { tokens: tokens.map(|tokens| tokens.value.0), cost }
}

/// The `limits` of a call.
pub(super) fn of_call(load: &mut Load<'_>, limits: Key<CallLimitsFile>) -> Budget {
    let CallLimitsFile { tokens, cost, .. } = limits.map(|limits| limits.value).unwrap_or_default();
    read(load, tokens, cost)
}

/// The `prices` of a provider.
pub(super) fn prices(load: &mut Load<'_>, prices: Entries<PriceFile>) -> Vec<(String, Price)> {
    let mut known = Vec::new();
    for (model, file) in prices.0 {
        let Some(file) = file else { continue };
        let mut amount = |field: Key<f64>| {
            let field = field?;
            if !(0.0..=MOST).contains(&field.value) {
                let fault =
                    Diagnostic::error(code::OUT_OF_RANGE, field.at, "a price is no less than nothing");
                load.fault(fault.help("write US dollars for a million tokens, such as `3.00`"));
            }
            Some(field.value)
        };
        let PriceFile { input, output, cached, cache_written, .. } = file;
        let (cached, cache_written) = (amount(cached), amount(cache_written));
        if let (Some(input), Some(output)) = (amount(input), amount(output)) {
            known.push((model.value, Price { input, output, cached, cache_written }));
        }
    }
    known
}
