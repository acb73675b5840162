//! Plans of a size that nobody writes by hand.

use std::fmt::Write;

use super::*;

#[test]
fn a_hundred_thousand_calls_in_a_chain_are_checked_without_recursion() {
    let mut text = String::from("calls:\n");
    for n in 0..100_000_usize {
        let _ = match n {
            0 => writeln!(text, "  c0: {{ run: echo }}"),
            _ => writeln!(text, "  c{n}: {{ run: echo, needs: [c{}, c{}] }}", n - 1, n / 2),
        };
    }
    // A small stack, so that anything that recurses with the plan's size would not come back.
    let thread = std::thread::Builder::new().stack_size(1024 * 1024);
    let check = move || {
        let plan = plan(&text);
        assert_eq!((plan.calls.len(), plan.calls[99_999].needs.len()), (100_000, 2));
        assert_eq!(plan.reconcile.of, [99_999]);
    };
    thread.spawn(check).unwrap().join().unwrap();
}
