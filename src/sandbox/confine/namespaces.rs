//! Namespaces: processes, network and mounts of its own, where the system permits them.
//!
//! Invariant: what was made read-only here stays so: the rights to mount are dropped
//! afterwards, and the calls for it refused.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::StatVfsMountFlags;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount as mount_new, mount_bind_recursive, mount_change, mount_remount,
};

use rustix::thread::CapabilitySet;

use super::super::launch::Launch;
use super::{Fault, at, rights};

/// So much of the memory may be shared by name inside.
const SHARED_MEMORY: &CStr = c"size=256m,mode=1777";

/// Leaves the namespaces of whoever started this. The next child is the first process of its own.
pub(super) fn enter(launch: &Launch) -> Result<(), Fault> {
    let mut own = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    if !launch.network {
        own |= CloneFlags::CLONE_NEWNET;
    }
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    // Root needs no new users; with those it has, the files of others stay within its reach.
    if user.is_root() && unshare(own).is_ok() {
        return Ok(());
    }
    unshare(own | CloneFlags::CLONE_NEWUSER).map_err(at("namespaces"))?;
    let write = |file: &str, text: String| std::fs::write(Path::new("/proc/self").join(file), text);
    // The system wants this said before a group may be mapped.
    write("setgroups", "deny".to_owned()).map_err(at("setgroups"))?;
    write("uid_map", format!("{0} {0} 1", user.as_raw())).map_err(at("uid_map"))?;
    write("gid_map", format!("{0} {0} 1", group.as_raw())).map_err(at("gid_map"))?;
    rights::hand_on(CapabilitySet::SYS_ADMIN)
}

/// Mounts of its own: all read-only but what is written, a table with its own processes, shared memory.
pub(super) fn mount(launch: &Launch) -> Result<(), Fault> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(at("a mount namespace"))?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(at("private mounts"))?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // In some containers parts of the table are covered and a new one is refused; then the old one stays,
    // of which Landlock leaves nothing but names and numbers.
    let _ = mount_new(c"proc", c"/proc", c"proc", plain, None);
    // Whoever works beneath the shared memory keeps it: a new one would hide the very folder.
    let beneath = |path: &PathBuf| path.starts_with("/dev/shm");
    if !launch.write.iter().chain(&launch.protect).any(beneath) {
        let _ = mount_new(c"tmpfs", c"/dev/shm", c"tmpfs", plain, SHARED_MEMORY);
    }
    let points = points()?;
    // What is written stays as it is, on mounts of its own.
    let writable = launch.write.iter().chain(launch.protect.iter());
    for path in writable.filter(|path| path.exists()) {
        mount_bind_recursive(path, path).map_err(at("a folder to write in"))?;
    }
    for path in points.iter().filter(|path| !launch.write.iter().any(|open| path.starts_with(open))) {
        let made = read_only(path);
        // What covers another mount, or is closed to this user, is out of reach by Landlock alone.
        if path == Path::new("/") {
            made?;
        }
    }
    for path in &launch.protect {
        read_only(path)?;
    }
    // Where this process stands is on the mount that was there before.
    let here = std::env::current_dir().map_err(at("its folder"))?;
    std::env::set_current_dir(here).map_err(at("its folder"))
}

fn read_only(path: &Path) -> Result<(), Fault> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | kept(path)?;
    mount_remount(path, flags, c"").map_err(at("a protected path"))
}

/// Where something is mounted (proc_pid_mountinfo(5): the fifth field, with `\040` for a space).
fn points() -> Result<Vec<PathBuf>, Fault> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").map_err(at("the mounts"))?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let points = points.map(|point| PathBuf::from(point.replace("\\040", " ")));
    Ok(points.filter(|point| !point.starts_with("/proc") && !point.starts_with("/dev/shm")).collect())
}

/// What a mount has already, and a new user may not take away from it.
fn kept(path: &Path) -> Result<MountFlags, Fault> {
    let has = rustix::fs::statvfs(path).map_err(at("a protected path"))?.f_flag;
    let pairs = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    Ok(pairs.into_iter().filter(|(has_it, _)| has.contains(*has_it)).map(|(_, keeps)| keeps).collect())
}
