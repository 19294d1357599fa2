//! What the VMM's threads may do once a guest runs: what their kind needs, and nothing else.
//!
//! A thread that belongs to the VMM takes its place by [`confine`]: it can gain no privileges any more, keeps only the
//! capabilities of its [`Kind`], and every system call that is not in the kind's list (`resources/seccomp`) ends the pod,
//! with a line that names the thread and the call. [`threads`] starts threads that do so before anything else.

mod capabilities;
mod filter;
#[cfg(feature = "hostile-hook")]
pub mod hostile;
mod landlock;
mod limits;
#[cfg(test)]
pub mod tests;
pub mod threads;
mod violation;

use std::{io, os::fd::RawFd, path::Path, sync::OnceLock};

use rustix::{
    thread::set_no_new_privs,
    time::{ClockId, clock_gettime},
};

pub use limits::close_all_but;

/// What a thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The event loop: devices without threads of their own, the agent's session, clients.
    EventLoop,
    /// A vCPU.
    Vcpu,
    /// Serves requests of shared file systems.
    FileServer,
    /// Watches files of shared file systems.
    Watcher,
    /// Moves packets between the guest and a tap.
    Packets,
    /// Moves the bytes of a standard stream or of a connection.
    Stream,
    /// Writes lines for the user.
    Diagnostics,
    /// Starts the others.
    Starter,
}

/// How much of the jail there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Whether system calls are filtered.
    pub filters: bool,
}

/// None in processes that have no guest.
static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// Why a thread could not be confined.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// The kernel refused.
    #[error("Cannot {action} of a thread of the VMM")]
    Refused {
        /// What it refused.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// No filter.
    #[error(
        "Cannot filter the system calls of a thread of the VMM (run with --insecure-options=seccomp-vmm without)"
    )]
    Filter(#[source] seccompiler::Error),
    /// No restriction to files.
    #[error("Cannot limit the files of a thread of the VMM")]
    Landlock(#[source] Box<::landlock::RulesetError>),
    /// A thread.
    #[error("Cannot start the thread that starts others")]
    Thread(#[source] io::Error),
}

/// From here on the process is a VMM: its threads are confined. Violations are reported to `keeper`.
pub fn prepare(settings: Settings, keeper: RawFd) -> Result<(), JailError> {
    violation::handle(keeper).map_err(refused("watch the system calls"))?;
    landlock::prepare()?;
    // Prepared once in the life of a process.
    let _ = SETTINGS.set(settings);
    Ok(())
}

/// Closes the jail on the calling thread, which becomes the event loop. Threads started from now on are made by another one.
/// Those that serve no files open none but below `written`, the others none but below the root, as it is by now.
pub fn close(written: &[&Path]) -> Result<(), JailError> {
    if SETTINGS.get().is_none() {
        return Ok(());
    }
    // The library looks for the kernel's clock when it is asked for the first time, by calls that are not to be allowed.
    let _ = clock_gettime(ClockId::Monotonic);
    landlock::prepare_for_files(written)?;
    limits::set().map_err(refused("limit the resources"))?;
    threads::start_starter().map_err(JailError::Thread)?;
    confine(Kind::EventLoop)
}

/// Confines the calling thread, in a VMM; elsewhere it only learns to act as a user, if that is its work.
pub fn confine(kind: Kind) -> Result<(), JailError> {
    capabilities::hold_as_user(kind).map_err(refused("keep the capabilities"))?;
    let Some(settings) = SETTINGS.get() else { return Ok(()) };
    set_no_new_privs(true).map_err(|error| refused("fix the privileges")(error.into()))?;
    landlock::restrict(kind)?;
    capabilities::keep(capabilities::of(kind)).map_err(refused("take the capabilities"))?;
    if settings.filters {
        seccompiler::apply_filter(filter::of(kind)).map_err(JailError::Filter)?;
    }
    Ok(())
}

fn refused(action: &'static str) -> impl FnOnce(io::Error) -> JailError {
    move |source| JailError::Refused { action, source }
}
