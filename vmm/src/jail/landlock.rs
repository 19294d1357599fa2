//! What threads can reach of file systems, where the kernel has Landlock: those that serve none, only what they write; those
//! that serve files, what is below the root of the process, without programs. None can mount, whatever its capabilities.

use std::{path::Path, sync::OnceLock};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, path_beneath_rules,
};

use super::{JailError, Kind};

/// The newest version whose rights are named here; an older kernel takes what it knows.
const VERSION: ABI = ABI::V5;

static NOTHING: OnceLock<RulesetCreated> = OnceLock::new();
static WRITTEN: OnceLock<RulesetCreated> = OnceLock::new();
static SERVED: OnceLock<RulesetCreated> = OnceLock::new();

/// Prepares for threads that open no file at all.
pub fn prepare() -> Result<(), JailError> {
    let rules = ruleset(&[], BitFlags::empty()).map_err(failed)?;
    // Prepared once in the life of a process.
    let _ = NOTHING.set(rules);
    Ok(())
}

/// Prepares for those that write what others read, below `written`, and for those that serve what the root of the process holds
/// by now, and what will be mounted there.
pub fn prepare_for_files(written: &[&Path]) -> Result<(), JailError> {
    let all = AccessFs::from_all(VERSION);
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock;
    let rules = ruleset(written, all & !AccessFs::Execute & !devices).map_err(failed)?;
    // Prepared once in the life of a process, both.
    let _ = WRITTEN.set(rules);
    if files_can_move() {
        let rules =
            ruleset(&[Path::new("/")], all & !AccessFs::Execute & !AccessFs::IoctlDev).map_err(failed)?;
        let _ = SERVED.set(rules);
    }
    Ok(())
}

/// Restricts the calling thread, and those it starts.
pub fn restrict(kind: Kind) -> Result<(), JailError> {
    let rules = match kind {
        Kind::FileServer | Kind::Watcher | Kind::Starter => SERVED.get(),
        Kind::EventLoop | Kind::Stream => WRITTEN.get(),
        Kind::Vcpu | Kind::Packets | Kind::Diagnostics => NOTHING.get(),
    };
    let Some(rules) = rules else { return Ok(()) };
    rules.try_clone().map_err(super::refused("limit the files"))?.restrict_self().map_err(failed)?;
    Ok(())
}

/// Landlock's first version knows no way for a file from one directory to another.
fn files_can_move() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    rules.handle_access(AccessFs::Refer).is_ok()
}

/// Nothing but what is `allowed` below these paths, and no network.
fn ruleset(paths: &[&Path], allowed: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))?
        .handle_access(AccessNet::from_all(VERSION))?
        .create()?
        .add_rules(path_beneath_rules(paths, allowed))
}

fn failed(source: RulesetError) -> JailError {
    JailError::Landlock(Box::new(source))
}
