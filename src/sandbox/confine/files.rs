//! Landlock: files, TCP ports, signals and abstract sockets outside.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::super::launch::Launch;
use super::Fault;

/// Before this one a file outside could be emptied by its path.
const LEAST: ABI = ABI::V3;
/// The newest that this version knows; older kernels enforce what they have.
const NEWEST: ABI = ABI::V9;

/// Devices that hold nothing of anybody.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// Memory shared by name; the namespace has its own.
const SHARED_MEMORY: &str = "/dev/shm";

/// Restricts this process and all that come from it.
pub(super) fn restrict(launch: &Launch) -> Result<(), Fault> {
    if launch.lacks.landlock {
        return Err(Fault::Landlock("this kernel has none (pretended)".to_owned()));
    }
    let enforced = ruleset(launch).map_err(|error| Fault::Landlock(told(&error)))?;
    match (enforced.ruleset, enforced.landlock) {
        (
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced,
            LandlockStatus::Available { .. },
        ) => Ok(()),
        (_, status) => Err(Fault::Landlock(format!("not enforced ({status:?})"))),
    }
}

fn ruleset(launch: &Launch) -> Result<landlock::RestrictionStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LEAST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?;
    if !launch.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    // In a pid namespace of its own there is nobody outside to be signalled.
    let signals = if launch.namespaces { CompatLevel::BestEffort } else { CompatLevel::HardRequirement };
    let ruleset = ruleset.set_compatibility(signals).scope(Scope::Signal)?;
    let ruleset = ruleset.set_compatibility(CompatLevel::BestEffort).scope(Scope::AbstractUnixSocket)?;
    let shared = launch.namespaces.then_some(SHARED_MEMORY);
    ruleset
        .create()?
        .add_rules(path_beneath_rules(&launch.read, AccessFs::from_read(NEWEST)))?
        .add_rules(path_beneath_rules(&launch.write, writing()))?
        .add_rules(path_beneath_rules(
            DEVICES,
            AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev,
        ))?
        .add_rules(path_beneath_rules(shared, writing()))?
        .restrict_self()
}

/// Everything but making what leads out of the file system: devices and sockets.
fn writing() -> BitFlags<AccessFs> {
    AccessFs::from_all(NEWEST)
        & !(AccessFs::MakeChar
            | AccessFs::MakeBlock
            | AccessFs::MakeSock
            | AccessFs::ResolveUnix
            | AccessFs::IoctlDev)
}

fn told(error: &RulesetError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = next.to_string();
        cause = next.source();
    }
    text
}
