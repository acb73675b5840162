//! What a plan says of a sandbox.

use super::*;

#[test]
fn a_sandbox_is_read_with_what_it_adds_and_a_map_without_a_mode_writes_in_its_workspace() {
    let of = |keys: &str| plan(&call(keys)).calls[0].sandbox.clone();
    assert_eq!(of("run: x"), Sandbox::off());
    assert_eq!(of("run: x\nsandbox: off"), Sandbox::off());
    assert_eq!(of("run: x\nsandbox: { mode: off }"), Sandbox::off());
    assert_eq!(of("run: x\nsandbox: read-only"), Sandbox::of(SandboxMode::ReadOnly));
    let full =
        "run: x\nsandbox: { network: true, read: ../lib, write: [~/.npm, /var/cache/x], env: [NPM_*, A] }";
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected = Sandbox {
        mode: SandboxMode::WorkspaceWrite,
        network: true,
        read: words(&["../lib"]),
        write: words(&["~/.npm", "/var/cache/x"]),
        env: words(&["NPM_*", "A"]),
    };
    assert_eq!(of(full), expected);
}

#[test]
fn what_would_be_no_sandbox_is_an_error() {
    let said = |keys: &str| faults(&call(keys));
    for path in ["/", "'~'", "~/", "''"] {
        assert_eq!(said(&format!("run: x\nsandbox: {{ write: [{path}] }}")).len(), 1, "{path}");
    }
    assert_eq!(said("run: x\nsandbox: { read: '{{ vars.x }}' }").len(), 1);
    assert_eq!(said("run: x\nsandbox: { env: ['*', 'A B'] }").len(), 2);
    assert_eq!(said("run: x\nsandbox: { mode: off, network: false }").len(), 1);
    assert_eq!(said("value: 1\nsandbox: read-only").len(), 1);
    assert_eq!(said("run: x\nsandbox: none").len(), 1);
}
