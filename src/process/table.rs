//! The system's table of processes, read from `/proc`, and signals that cannot hit the wrong one.
//!
//! Invariant: a process is named by its number *and* its start time, so that a
//! number that was given to somebody else in the meantime is never signalled.
//! Where there is no `/proc` (other systems than Linux) the table is empty.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal};

/// One process for as long as the system runs: its number and its start, in clock ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) pid: Pid,
    pub(super) started: u64,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: Identity,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// It has ended and waits for its parent to ask how.
    pub(super) over: bool,
}

/// The rows of all processes that this user can see, in no order.
pub(super) fn all() -> Vec<Entry> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| entry(Pid::from_raw(pid)?)).collect()
}

/// The row of one process; `None` once it is gone.
pub(super) fn entry(pid: Pid) -> Option<Entry> {
    // The name may be anything up to 15 bytes; all else is numbers. 1 KiB is more than they can take.
    let mut line = [0_u8; 1024];
    let mut file = File::open(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let length = file.read(&mut line).ok()?;
    parse(pid, line.get(..length)?)
}

/// Now, in the unit in which processes have started; `None` where there is no table.
pub(super) fn now() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        use nix::time::{ClockId, clock_gettime};
        use nix::unistd::{SysconfVar, sysconf};

        let since = clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?;
        let (seconds, nanos) = (u64::try_from(since.tv_sec()).ok()?, u64::try_from(since.tv_nsec()).ok()?);
        let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
        Some(seconds * per_second + nanos * per_second / 1_000_000_000)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// The identity of a child that was started since `before`, which is what [`now`] said then.
///
/// Nearly always both are the same tick and say it all. To read a row of the table costs a command
/// some 30 us, half of it at its end, when the system has to forget that somebody looked.
pub(super) fn identity(pid: Pid, before: Option<u64>) -> Identity {
    /// Whether the table counts by the same clock.
    static AGREES: OnceLock<bool> = OnceLock::new();
    let read = || entry(pid).map_or(Identity { pid, started: 0 }, |entry| entry.id);
    match before.filter(|before| now() == Some(*before)) {
        Some(started) if *AGREES.get_or_init(|| read().started == started) => Identity { pid, started },
        Some(_) | None => read(),
    }
}

/// Reads one line of `/proc/PID/stat` (proc_pid_stat(5)).
fn parse(pid: Pid, line: &[u8]) -> Option<Entry> {
    // A program's name stands in parentheses and may contain some itself: the last one ends it.
    let name_end = line.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(line.get(name_end + 1..)?).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let started = fields.nth(15)?.parse().ok()?;
    let over = matches!(state, "Z" | "X" | "x");
    Some(Entry { id: Identity { pid, started }, parent, group, session, over })
}

/// Whether one of the variables that a process was started with satisfies `wanted`.
///
/// False for a process whose environment this user cannot read.
pub(super) fn environment_has(pid: Pid, wanted: impl Fn(&[u8]) -> bool) -> bool {
    let file = format!("/proc/{}/environ", pid.as_raw_nonzero());
    for _ in 0..5 {
        match std::fs::read(&file) {
            // In the middle of `exec` a process has none for a moment.
            Ok(bytes) if bytes.is_empty() => std::thread::sleep(Duration::from_micros(200)),
            Ok(bytes) => return bytes.split(|byte| *byte == 0).any(wanted),
            Err(_) => break,
        }
    }
    false
}

/// The rows of some processes and of all their descendants, in no order.
///
/// Follows the system's lists of children, so that its cost grows with the family and not with
/// the number of processes on the machine.
pub(super) fn lineage(from: impl IntoIterator<Item = Pid>) -> Vec<Entry> {
    let mut rows = Vec::new();
    let mut seen = HashSet::new();
    let mut next: Vec<Pid> = from.into_iter().collect();
    while let Some(pid) = next.pop() {
        if !seen.insert(pid) {
            continue;
        }
        rows.extend(entry(pid));
        let threads = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
        for thread in threads.into_iter().flatten().flatten() {
            next.extend(listed(&thread.path().join("children")).unwrap_or_default());
        }
    }
    rows
}

/// The children of this process that its main thread started or that it adopted.
///
/// `None` where the system keeps no such lists.
pub(super) fn children() -> Option<Vec<Pid>> {
    // It is asked for at the end of every command, and finding the file takes as long as reading it.
    static OWN: OnceLock<Option<File>> = OnceLock::new();
    let open = || {
        let own = rustix::process::getpid().as_raw_nonzero();
        File::open(format!("/proc/{own}/task/{own}/children")).ok()
    };
    numbers(OWN.get_or_init(open).as_ref()?)
}

fn listed(file: &Path) -> Option<Vec<Pid>> {
    numbers(&File::open(file).ok()?)
}

fn numbers(file: &File) -> Option<Vec<Pid>> {
    // Read in large pieces: the system counts through the list again for every piece.
    let mut list = vec![0; 1024];
    let mut length = 0;
    while let Ok(more @ 1..) = file.read_at(list.get_mut(length..).unwrap_or_default(), length as u64) {
        length += more;
        list.resize(2 * list.len(), 0);
    }
    let numbers = list.get(..length)?.split(|byte| *byte == b' ');
    Some(numbers.filter_map(|pid| Pid::from_raw(std::str::from_utf8(pid).ok()?.parse().ok()?)).collect())
}

/// Sends a signal to exactly this process; nothing happens when it is gone.
pub(super) fn signal(to: Identity, signal: Signal) {
    let same = || entry(to.pid).is_some_and(|entry| entry.id == to);
    // The handle pins the process: checked after it was opened, it cannot become another one.
    #[cfg(target_os = "linux")]
    match rustix::process::pidfd_open(to.pid, rustix::process::PidfdFlags::empty()) {
        Ok(handle) if same() => {
            // Fails only for a process that is gone or is somebody else's; neither is ours to end.
            let _ = rustix::process::pidfd_send_signal(handle, signal);
            return;
        }
        Ok(_) | Err(rustix::io::Errno::SRCH) => return,
        // No such system call, or no more descriptors: the check alone has to do.
        Err(_) => {}
    }
    if same() {
        let _ = rustix::process::kill_process(to.pid, signal);
    }
}

/// The rows of a family: those of its `roots` that are there, whoever is in a group or session
/// that one of these leads, whoever `belongs` says does, and all their descendants.
///
/// Nobody who started before `since` is part of it, nor is this process. `belongs` is only asked
/// about those who are not in it anyway.
pub(super) fn family(
    all: &[Entry],
    roots: &[Identity],
    since: u64,
    belongs: impl Fn(&Entry) -> bool,
) -> Vec<Entry> {
    let own = rustix::process::getpid();
    // The number of a root that is gone may be the name of somebody else's group by now.
    let there = all.iter().filter(|entry| roots.contains(&entry.id));
    let led: HashSet<i32> = there.map(|entry| entry.id.pid.as_raw_nonzero().get()).collect();
    // Group 0: a thread of the kernel's, which shows as a process but is nobody's descendant.
    let (mut inside, mut rest): (Vec<Entry>, Vec<Entry>) = all
        .iter()
        .copied()
        .filter(|entry| entry.id.started >= since && entry.id.pid != own && entry.group != 0)
        .partition(|entry| {
            let pid = entry.id.pid.as_raw_nonzero().get();
            [pid, entry.group, entry.session].iter().any(|number| led.contains(number))
        });
    // Descent first: it is known without opening a file for each candidate.
    take_descendants(&mut inside, &mut rest);
    let (marked, mut rest): (Vec<Entry>, Vec<Entry>) =
        rest.into_iter().partition(|entry| !entry.over && belongs(entry));
    inside.extend(marked);
    take_descendants(&mut inside, &mut rest);
    inside
}

/// Moves from `rest` to `inside` whoever descends from somebody inside.
fn take_descendants(inside: &mut Vec<Entry>, rest: &mut Vec<Entry>) {
    let mut parents: HashSet<i32> = inside.iter().map(|entry| entry.id.pid.as_raw_nonzero().get()).collect();
    loop {
        let (children, others): (Vec<Entry>, Vec<Entry>) =
            rest.drain(..).partition(|entry| parents.contains(&entry.parent));
        *rest = others;
        if children.is_empty() {
            return;
        }
        parents.extend(children.iter().map(|entry| entry.id.pid.as_raw_nonzero().get()));
        inside.extend(children);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn pid(raw: i32) -> Pid {
        Pid::from_raw(raw).unwrap()
    }

    fn row(raw: i32, started: u64, parent: i32, group: i32) -> Entry {
        let id = Identity { pid: pid(raw), started };
        Entry { id, parent, group, session: group, over: false }
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = b"42 (a) R 1 (b) S 7 8 9 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3\n";
        let entry = parse(pid(42), line).unwrap();
        let expected = Entry {
            id: Identity { pid: pid(42), started: 98765 },
            parent: 7,
            group: 8,
            session: 9,
            over: false,
        };
        assert_eq!(entry, expected);
        assert!(parse(pid(42), b"42 (a) Z 7 8 9 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 98765 1").unwrap().over);
        assert_eq!(parse(pid(42), b"42 (cut o"), None);
    }

    #[test]
    fn a_family_is_its_group_its_marked_ones_and_their_descendants_but_nobody_older() {
        let root = Identity { pid: pid(900_100), started: 50 };
        let table = [
            row(900_100, 50, 1, 900_100),
            row(900_101, 51, 1, 900_100),       // in the group, its parent is gone
            row(900_102, 51, 900_101, 900_102), // a child with a session of its own
            row(900_103, 52, 1, 900_103),       // escaped, marked
            row(900_104, 52, 900_103, 900_103), // and its child
            row(900_105, 52, 1, 900_105),       // a stranger
            row(900_106, 49, 1, 900_103),       // older than the root
        ];
        let found = family(&table, &[root], 50, |entry| {
            [900_103, 900_106].contains(&entry.id.pid.as_raw_nonzero().get())
        });
        let mut found: Vec<i32> = found.iter().map(|entry| entry.id.pid.as_raw_nonzero().get()).collect();
        found.sort_unstable();
        assert_eq!(found, [900_100, 900_101, 900_102, 900_103, 900_104]);

        let recycled = Identity { started: 40, ..root };
        assert_eq!(family(&table, &[recycled], 40, |_| false), []);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_clock_says_of_a_child_is_what_the_table_says() {
        for _ in 0..100 {
            let before = now();
            let mut child = std::process::Command::new("true").spawn().unwrap();
            let pid = Pid::from_child(&child);
            assert_eq!(identity(pid, before), entry(pid).unwrap().id);
            child.wait().unwrap();
        }
        let me = rustix::process::getpid();
        assert_eq!(identity(me, Some(0)), entry(me).unwrap().id, "not started just now");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_is_not_the_one_meant_is_not_signalled() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let row = entry(Pid::from_child(&child)).unwrap();
        signal(Identity { started: row.id.started + 1, ..row.id }, Signal::KILL);
        signal(row.id, Signal::TERM);
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
    }
}
