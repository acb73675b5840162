//! Exit statuses, in one place.

/// What each exit status means, as docs/exit-codes.md and `fanout --help` show it.
pub const TABLE: &[(u8, &str)] = &[
    (0, "success: everything that the plan requires succeeded"),
    (1, "a call failed, `require` was not met, or `fail_on` held"),
    (2, "the plan or the command line is wrong; nothing was started"),
    (3, "the results contradict each other and the plan says `on_conflict: fail`"),
    (4, "the journal cannot be used: in use by another process, damaged, or too new"),
    (5, "a limit of the run (time, calls) was used up"),
    (6, "a policy or the sandbox forbids it; of `doctor`: something that is needed is not usable"),
    (7, "the disk: the journal could not be written"),
    (70, "a bug in fanout"),
    (129, "ended because the terminal was closed (SIGHUP)"),
    (130, "interrupted (Ctrl-C)"),
    (143, "terminated (SIGTERM)"),
];

/// Something that was asked for did not succeed.
pub const FAILED: u8 = 1;
/// The plan or the command line is wrong.
pub const USAGE: u8 = 2;
/// The journal cannot be used.
pub const JOURNAL: u8 = 4;
/// A policy or the sandbox forbids it.
pub const POLICY: u8 = 6;
/// A policy forbids it, or it cannot be done here.
pub const FORBIDDEN: u8 = 6;
/// The journal could not be written.
pub const STORAGE: u8 = 7;
/// A bug.
pub const BUG: u8 = 70;

/// The table as text, for `--help`.
pub fn help() -> String {
    let rows = TABLE.iter().map(|(code, meaning)| format!("  {code:>3}  {meaning}"));
    format!("Exit status:\n{}", rows.collect::<Vec<_>>().join("\n"))
}
