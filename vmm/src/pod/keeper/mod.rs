//! The two processes of a running pod.
//!
//! ```text
//! rkt run ═══▶ keeper ── fork ──▶ VMM
//!              lock, pid file,     guest RAM, vCPUs, devices,
//!              networks, terminal, the agent's session, logs,
//!              service manager,    clients
//!              exit status
//!                 ◀───── Word ───── ready, stopping, suspend, ended, violation
//!                 ────── Order ───▶ taps, what the guest is told of its networks, resumed
//!                 ───── signals ──▶
//! ```
//!
//! Whatever a guest may break into is in the VMM, which gives up every right it does not need. What needs rights after the
//! guest has run, the end of the pod's networks above all, is the keeper's. It is the process whose id users and service
//! managers know. Each ends with the other: the VMM by the kernel's hand, the keeper as a failed pod.

mod fork;
mod link;
#[cfg(test)]
mod tests;
mod vmm;
mod wire;

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

#[cfg(test)]
use rustix::net::SendFlags;
use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    process::{Signal, set_parent_process_death_signal},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};

pub use link::{Link, LinkError};
pub use vmm::{KeeperError, Vmm};

/// Which of the two a process has become.
#[derive(Debug)]
pub enum Side {
    /// It keeps the pod.
    Keeper(Vmm),
    /// It runs the machine.
    Vmm(Link),
}

/// For tests: forwards a signal to the other end of a link.
#[cfg(test)]
pub fn send_signal(socket: &OwnedFd, number: i32) {
    wire::send(socket, &wire::Order::Signal(number), &[], SendFlags::empty()).unwrap();
}

/// Makes two processes of one, which must not have other threads: the child gets copies of everything else. A child that is
/// `apart` sees no process but itself. It begins in `cgroup`, if there is one that takes it.
pub fn split(apart: bool, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Side> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let own = if apart { Some(namespace_for_children()?) } else { None };
    let child = fork::fork(cgroup);
    if let Some(own) = own.filter(|_| !matches!(child, Ok(None))) {
        // Children from now on, network plugins, see what this process sees.
        move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
    }
    if let Some(pid) = child? {
        return Ok(Side::Keeper(Vmm::new(pid, ours)?));
    }
    drop(ours);
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let link = Link::new(theirs);
    // The keeper may have died before it could take this process with it.
    if link.is_kept() { Ok(Side::Vmm(link)) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}

/// Has children get a PID namespace of their own; what comes back leads to that of this process.
fn namespace_for_children() -> io::Result<OwnedFd> {
    let own = File::open("/proc/self/ns/pid")?;
    // SAFETY: for this process itself nothing changes.
    unsafe { unshare_unsafe(UnshareFlags::NEWPID) }?;
    Ok(own.into())
}
