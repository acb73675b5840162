//! Private folders of programs whose fanout was killed before it could take them away.
//!
//! Invariant: a folder is left over only if it is this user's and the process that its name tells of is
//! gone; one that another machine or container may still use is never touched.

use std::path::{Path, PathBuf};

/// What the names of all of them begin with.
const PREFIX: &str = "fanout-sandbox-";

/// How a folder of this process is called, up to what tells it from its others: with the process's number
/// and the name space that this number is of.
pub(super) fn prefix() -> String {
    format!("{PREFIX}{}-{}-", space(), std::process::id())
}

/// The folders that are left over in the system's place for temporary files.
pub fn left_over() -> Vec<PathBuf> {
    left_over_in(&std::env::temp_dir())
}

fn left_over_in(place: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().and_then(owner).is_some_and(is_gone))
        .filter(|entry| entry.metadata().is_ok_and(|it| it.is_dir() && is_ours(&it)))
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    folders
}

/// The process that a folder of this name belongs to, if that is one of here.
fn owner(name: &str) -> Option<u32> {
    let (space_of, rest) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let (pid, _) = rest.split_once('-')?;
    if space_of == space() { pid.parse().ok() } else { None }
}

/// The space of process numbers that this process is in.
#[cfg(target_os = "linux")]
fn space() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}

#[cfg(not(target_os = "linux"))]
fn space() -> String {
    "0".to_owned()
}

#[cfg(unix)]
fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| {
        rustix::process::test_kill_process(pid).is_err_and(|error| error == rustix::io::Errno::SRCH)
    })
}

#[cfg(not(unix))]
fn is_gone(_: u32) -> bool {
    false
}

#[cfg(unix)]
fn is_ours(folder: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    folder.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_ours(_: &std::fs::Metadata) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_processes_that_are_gone_are_left_over() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| std::fs::create_dir(place.path().join(name)).unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = child.id();
        child.wait().unwrap();
        let dead = format!("{PREFIX}{}-{gone}-AbC", space());
        make(&dead);
        make(&format!("{}xYz", prefix()));
        make(&format!("{PREFIX}1-{gone}-AbC"));
        make("fanout-sandbox-old");
        make("somebody-else");
        std::fs::write(place.path().join(format!("{PREFIX}{}-{gone}-file", space())), "").unwrap();
        assert_eq!(left_over_in(place.path()), [place.path().join(dead)]);
    }
}
