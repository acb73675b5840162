//! Quantities as a plan writes them, so that what is shown can be written back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::unit::{Bytes, Tokens};

/// `10m`, `1h30m`, `500ms`; `0s` for none. Exact to the millisecond.
pub(super) fn duration(time: Duration) -> Value {
    let mut rest = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return json!("0s");
    }
    let mut text = String::new();
    for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= millis {
            text.push_str(&format!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    json!(text)
}

/// `16k`, `2M`, `0.5k`. Exact.
pub(super) fn tokens(tokens: Tokens) -> Value {
    let count = tokens.0;
    json!(match count {
        0 => "0k".to_owned(),
        _ if count.is_multiple_of(1_000_000) => format!("{}M", count / 1_000_000),
        _ if count.is_multiple_of(1_000) => format!("{}k", count / 1_000),
        _ => format!("{}.{:03}k", count / 1_000, count % 1_000).replace("00k", "k").replace("0k", "k"),
    })
}

/// `1MiB`, `64KiB`, `500B`. Exact.
pub(super) fn bytes(bytes: Bytes) -> Value {
    let count = bytes.0;
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    json!(
        units
            .iter()
            .find(|(_, size)| count >= *size && count.is_multiple_of(*size))
            .map_or_else(|| format!("{count}B"), |(unit, size)| format!("{}{unit}", count / size))
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::unit;

    proptest! {
        #[test]
        fn what_is_shown_is_read_back_as_the_same(count in 0_u64..10_000_000_000, small in 0_u64..5_000) {
            for n in [count, small] {
                let text = duration(Duration::from_millis(n));
                let back = unit::duration(text.as_str().unwrap()).unwrap();
                // Reading goes through floating point, which is a nanosecond short now and then.
                prop_assert_eq!((back + Duration::from_nanos(10)).as_millis(), u128::from(n));
                prop_assert_eq!(unit::tokens(tokens(Tokens(n)).as_str().unwrap()).unwrap(), Tokens(n));
                prop_assert_eq!(unit::bytes(bytes(Bytes(n)).as_str().unwrap()).unwrap(), Bytes(n));
            }
        }
    }

    #[test]
    fn round_quantities_read_as_people_write_them() {
        assert_eq!(duration(Duration::from_secs(600)), json!("10m"));
        assert_eq!(duration(Duration::from_secs(5400)), json!("1h30m"));
        assert_eq!(tokens(Tokens(16_000)), json!("16k"));
        assert_eq!(tokens(Tokens(1_500)), json!("1.5k"));
        assert_eq!(bytes(Bytes(1 << 20)), json!("1MiB"));
    }
}
