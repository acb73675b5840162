//! What a process has without asking: descriptors, capabilities, and the hope for more.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{Fault, at};

/// Closes everything but the three streams and `keep`.
pub(super) fn close_inherited(keep: Option<BorrowedFd<'_>>) -> Result<(), Fault> {
    let open: Vec<RawFd> = {
        let folder = std::fs::read_dir("/proc/self/fd").map_err(at("the open descriptors"))?;
        folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
    };
    let keep = keep.map(|fd| fd.as_raw_fd());
    for fd in open.into_iter().filter(|fd| *fd > 2 && Some(*fd) != keep) {
        // The one that the list was read through is closed already.
        let _ = nix::unistd::close(fd);
    }
    Ok(())
}

/// Lets the next program of somebody who is not root keep one capability of their own namespace.
pub(super) fn hand_on(one: CapabilitySet) -> Result<(), Fault> {
    let had = rustix::thread::capabilities(None).map_err(at("capabilities"))?;
    let sets = CapabilitySets { inheritable: had.inheritable | one, ..had };
    rustix::thread::set_capabilities(None, sets).map_err(at("capabilities"))?;
    rustix::thread::configure_capability_in_ambient_set(one, true).map_err(at("capabilities"))
}

/// Leaves no capability but those by which root may use other people's files, which is
/// bounded by the files that are open at all; and no way to gain any.
pub(super) fn drop_all() -> Result<(), Fault> {
    let kept = match rustix::process::geteuid().is_root() {
        true => {
            CapabilitySet::DAC_OVERRIDE | CapabilitySet::FOWNER | CapabilitySet::CHOWN | CapabilitySet::FSETID
        }
        false => CapabilitySet::empty(),
    };
    rustix::thread::set_no_new_privs(true).map_err(at("no_new_privs"))?;
    let had = rustix::thread::capabilities(None).map_err(at("capabilities"))?;
    // Without the right to, there is nothing in it that could be gained either: no_new_privs.
    for one in CapabilitySet::all().iter().filter(|one| !kept.contains(*one)) {
        let _ = rustix::thread::remove_capability_from_bounding_set(one);
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let kept = kept & had.permitted;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(at("capabilities"))
}
