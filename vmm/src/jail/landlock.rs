//! Which files threads can open, where the kernel has Landlock: those that serve none, only what they write.
//!
//! Threads that serve files are not restricted: all that the root of the process holds is theirs to serve, and a file that
//! is found by its handle has no path that Landlock could follow.

use std::{path::Path, sync::OnceLock};

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
    path_beneath_rules,
};

use super::{JailError, Kind};

/// The newest version whose rights are named here; an older kernel takes what it knows.
const VERSION: ABI = ABI::V5;

static NOTHING: OnceLock<RulesetCreated> = OnceLock::new();
static WRITTEN: OnceLock<RulesetCreated> = OnceLock::new();

/// Prepares for threads that open no file at all.
pub fn prepare() -> Result<(), JailError> {
    let rules = ruleset(&[]).map_err(failed)?;
    // Prepared once in the life of a process.
    let _ = NOTHING.set(rules);
    Ok(())
}

/// Prepares for those that write what others read, below `written`.
pub fn prepare_writers(written: &[&Path]) -> Result<(), JailError> {
    let rules = ruleset(written).map_err(failed)?;
    let _ = WRITTEN.set(rules);
    Ok(())
}

/// Restricts the calling thread, and those it starts.
pub fn restrict(kind: Kind) -> Result<(), JailError> {
    let rules = match kind {
        Kind::FileServer | Kind::Watcher | Kind::Starter => None,
        Kind::EventLoop | Kind::Stream => WRITTEN.get(),
        Kind::Vcpu | Kind::Packets | Kind::Diagnostics => NOTHING.get(),
    };
    let Some(rules) = rules else { return Ok(()) };
    rules.try_clone().map_err(super::refused("limit the files"))?.restrict_self().map_err(failed)?;
    Ok(())
}

/// Nothing but files below these, and no network.
fn ruleset(written: &[&Path]) -> Result<RulesetCreated, RulesetError> {
    let all = AccessFs::from_all(VERSION);
    let allowed = all & !AccessFs::Execute & !AccessFs::MakeChar & !AccessFs::MakeBlock;
    Ruleset::default()
        .handle_access(all)?
        .handle_access(AccessNet::from_all(VERSION))?
        .create()?
        .add_rules(path_beneath_rules(written, allowed))
}

fn failed(source: RulesetError) -> JailError {
    JailError::Landlock(Box::new(source))
}
