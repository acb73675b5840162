//! Ends every process of a family, also those that left its group.
//!
//! Invariants: nobody is killed before everybody was stopped, so a family that
//! forks faster than it is read cannot outrun the sweep and parent links stay
//! readable; each round is bounded.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::orphans;
use super::table::{self, Entry, Identity};

/// The variable by which a command's descendants are known wherever they went.
pub(super) const TAG: &str = "FANOUT_TREE";

/// How often a round looks for newcomers before it kills those it has.
const LOOKS: usize = 32;

/// What [`TAG`] is set to for one command: `/PID.START.N/`, after this process's own value.
///
/// A command that is a fanout itself hands its own commands a longer one, which begins with
/// this: the tag of a command is a prefix of the tags of all that it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(OsString);

impl Tag {
    /// The tag of the next command.
    pub(super) fn next() -> Tag {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut tag = Tag::of_this_process().0;
        tag.push(format!("{}/", COUNT.fetch_add(1, Ordering::Relaxed)));
        Tag(tag)
    }

    /// What the tags of all commands of this process begin with.
    pub(super) fn of_this_process() -> Tag {
        static OWN: OnceLock<OsString> = OnceLock::new();
        let own = OWN.get_or_init(|| {
            let pid = rustix::process::getpid();
            let started = table::entry(pid).map_or(0, |entry| entry.id.started);
            let mut tag = std::env::var_os(TAG).filter(|tag| !tag.is_empty()).unwrap_or_else(|| "/".into());
            tag.push(format!("{}.{started}.", pid.as_raw_nonzero()));
            tag
        });
        Tag(own.clone())
    }

    /// A tag as it stood in an environment or on a command line; `None` for what is none.
    pub(super) fn read(text: OsString) -> Option<Tag> {
        // What is cut short would name more processes than it should, an empty one all there are.
        let bytes = text.as_encoded_bytes();
        let whole =
            bytes.starts_with(b"/") && bytes.contains(&b'.') && matches!(bytes.last(), Some(b'.' | b'/'));
        whole.then_some(Tag(text))
    }

    /// The value for [`TAG`].
    pub(super) fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    /// For the tag of a process: when that was started, before all that carry its tag.
    pub(super) fn since(&self) -> u64 {
        let text = self.0.to_string_lossy();
        text.trim_end_matches('.').rsplit('.').next().and_then(|start| start.parse().ok()).unwrap_or(0)
    }

    /// For the tag of a process: whether it is that one's.
    pub(super) fn is_of(&self, process: Pid) -> bool {
        let text = self.0.to_string_lossy();
        let own = text.trim_end_matches('.').rsplit('/').next().and_then(|own| own.split_once('.'));
        own.is_some_and(|(pid, _)| pid.parse() == Ok(process.as_raw_nonzero().get()))
    }

    /// Whether a process was started by whoever has this tag, directly or not.
    pub(super) fn is_on(&self, pid: Pid) -> bool {
        table::environment_has(pid, |variable| {
            let value = variable.strip_prefix(TAG.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
            value.is_some_and(|value| value.starts_with(self.0.as_encoded_bytes()))
        })
    }
}

/// The living members of the family of `root`, itself included while it lives.
///
/// Right only while `root`'s status has not been collected: until then its number is its own.
pub(super) fn members(root: Identity, tag: &Tag) -> Vec<Entry> {
    // Where orphans come to this process, whoever escaped is among them.
    let adopts = orphans::adopts();
    let rows = match adopts {
        true => table::lineage(orphans::living().into_iter().chain([root.pid])),
        false => table::all(),
    };
    let mut family = table::family(&rows, &[root], root.started, |entry| {
        (!adopts || orphans::is_one(entry)) && tag.is_on(entry.id.pid)
    });
    family.retain(|entry| !entry.over);
    family
}

/// Whether nobody is left of a family. Nearly always a single small read where orphans come to
/// this process, else a look through the whole table.
pub(super) fn is_gone(root: Identity, tag: &Tag) -> bool {
    if !orphans::adopts() {
        return members(root, tag).is_empty();
    }
    if orphans::living().is_empty() {
        return true;
    }
    // One look can miss who changes parents while it is taken, so it takes two to be sure.
    let gone = members(root, tag).is_empty() && members(root, tag).is_empty();
    if gone {
        // Reaps whoever has ended in between.
        orphans::living();
    }
    gone
}

/// Stops and kills everybody in `groups` and everybody that `members` names, once.
///
/// Adds those that were alive to `killed`. Returns true when nobody was left to kill: the
/// killed take a moment to go, so that is never the first round of a family that lived.
pub(super) fn round(
    groups: &[Pid],
    members: impl Fn() -> Vec<Entry>,
    killed: &mut HashSet<Identity>,
) -> bool {
    // To a whole group at once: a fork that is under way there starts over with the signal.
    for group in groups {
        let _ = rustix::process::kill_process_group(*group, Signal::STOP);
    }
    let mut stopped = HashSet::new();
    let mut settled = false;
    for _ in 0..LOOKS {
        let newcomers: Vec<Identity> =
            members().into_iter().map(|entry| entry.id).filter(|id| stopped.insert(*id)).collect();
        // One look can miss who changes parents while it is taken, so it takes two to be sure.
        if newcomers.is_empty() && settled {
            break;
        }
        settled = newcomers.is_empty();
        newcomers.into_iter().for_each(|id| table::signal(id, Signal::STOP));
    }
    for group in groups {
        let _ = rustix::process::kill_process_group(*group, Signal::KILL);
    }
    stopped.iter().for_each(|id| table::signal(*id, Signal::KILL));
    let none = stopped.is_empty();
    killed.extend(stopped);
    none
}

/// Round after round until nobody is left, or for so many rounds. Returns how many were killed.
///
/// Blocks for as long as it takes; that is a few milliseconds unless somebody hangs in the kernel.
pub(super) fn rounds(most: usize, groups: impl Fn() -> Vec<Pid>, members: impl Fn() -> Vec<Entry>) -> u32 {
    let mut killed = HashSet::new();
    for _ in 0..most {
        if round(&groups(), &members, &mut killed) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    u32::try_from(killed.len()).unwrap_or(u32::MAX)
}

/// Kills whom this process adopted and who still lives, with all descendants. Returns how many.
///
/// To be called once by `main`, when nothing is left to run: it finds also those that left
/// their command's group and shed its environment. Does nothing without
/// [`become_subreaper`](super::become_subreaper).
pub fn sweep_at_exit() -> u32 {
    if !orphans::adopts() {
        return 0;
    }
    rounds(20, Vec::new, || {
        let mut rows = table::lineage(orphans::living());
        rows.retain(|entry| !entry.over);
        rows
    })
}

/// Kills every process that carries `marker` (a name and its value) in its environment, with all
/// descendants, and returns how many that were. This process and its ancestors are spared, and so
/// is everybody when the value is empty.
///
/// For a resumed run: what its killed predecessor left behind where no reaper was at hand. Who was
/// started by another fanout that lives is spared: a run in another folder can have the same id.
/// Linux only; elsewhere nobody is found.
pub fn kill_marked(marker: &(String, String)) -> u32 {
    if marker.0.is_empty() || marker.1.is_empty() {
        return 0;
    }
    let wanted = format!("{}={}", marker.0, marker.1).into_bytes();
    rounds(20, Vec::new, || {
        let mut everybody = table::all();
        let above = ancestors(&everybody);
        everybody.retain(|entry| !above.contains(&entry.id.pid));
        let mut family = table::family(&everybody, &[], 0, |entry| {
            let pid = entry.id.pid;
            table::environment_has(pid, |it| it == wanted) && !table::environment_has(pid, is_of_another)
        });
        family.retain(|entry| !entry.over);
        family
    })
}

/// Whether a variable is a [`TAG`] of a process that lives and is not this one.
fn is_of_another(variable: &[u8]) -> bool {
    let owner = || {
        let tag = std::str::from_utf8(variable).ok()?.strip_prefix(TAG)?.strip_prefix('=')?;
        let mut command = tag.trim_end_matches('/').rsplit('/').next()?.split('.');
        let pid = Pid::from_raw(command.next()?.parse().ok()?)?;
        Some((pid, command.next()?.parse().ok()?))
    };
    owner().is_some_and(|(pid, started)| {
        let lives = table::entry(pid).is_some_and(|it| !it.over && it.id == Identity { pid, started });
        lives && pid != rustix::process::getpid()
    })
}

/// This process and whoever it descends from.
fn ancestors(everybody: &[Entry]) -> HashSet<Pid> {
    let mut above = HashSet::new();
    let mut next = Some(rustix::process::getpid());
    while let Some(pid) = next.filter(|pid| above.insert(*pid)) {
        let row = everybody.iter().find(|entry| entry.id.pid == pid);
        next = row.and_then(|entry| Pid::from_raw(entry.parent));
    }
    above
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_its_command_and_what_that_starts_but_no_neighbour() {
        let is_on = |tag: &str, value: &str| {
            let mut child = std::process::Command::new("sleep").arg("60").env(TAG, value).spawn().unwrap();
            let found = Tag::read(tag.into()).unwrap().is_on(Pid::from_child(&child));
            child.kill().unwrap();
            child.wait().unwrap();
            found
        };
        assert!(is_on("/10.5.3/", "/10.5.3/"));
        assert!(is_on("/10.5.3/", "/10.5.3/44.9.0/"), "started by a fanout inside");
        assert!(is_on("/10.5.", "/10.5.3/"), "any command of that process");
        assert!(
            !is_on("/10.5.3/", "/10.5.30/") && !is_on("/10.5.3/", "/9.1.1/10.5.3/") && !is_on("/10.5.3/", "")
        );
        assert_eq!(Tag::read("".into()), None);
        for cut in ["/", "/10", "/10.5", "10.5.3/", "/10/"] {
            assert_eq!(Tag::read(cut.into()), None, "{cut}");
        }
        assert!(Tag::next() != Tag::next());
        let nested = Tag::read("/10.5.3/44.97.".into()).unwrap();
        let is_of = |pid| nested.is_of(Pid::from_raw(pid).unwrap());
        assert_eq!((nested.since(), is_of(44), is_of(10)), (97, true, false));
    }
}
