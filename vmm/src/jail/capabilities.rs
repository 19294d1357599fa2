//! Capabilities: the file server's, on the threads that serve files, and nobody else's.

use std::io;

use rustix::{
    io::Errno,
    thread::{
        CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
    },
};

use super::Kind;

/// What serving files as root takes: owners and modes of others, their rights as those who ask, devices of the root file
/// systems, capabilities of programs, and the attributes `trusted.*` that overlays in the guest keep. What else the last one
/// is for is not in the filter of these threads. Not DAC_READ_SEARCH: it opens files by handles, wherever they are.
const FILE_SERVER: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SYS_ADMIN);

/// The capabilities of a kind.
pub fn of(kind: Kind) -> CapabilitySet {
    match kind {
        Kind::FileServer | Kind::Starter => FILE_SERVER,
        // What the guest watches may be anybody's.
        Kind::Watcher => CapabilitySet::DAC_OVERRIDE,
        Kind::EventLoop | Kind::Vcpu | Kind::Packets | Kind::Stream | Kind::Diagnostics => {
            CapabilitySet::empty()
        }
    }
}

/// Keeps the capabilities of threads that serve files while they act as a user, to whom the files they make belong. The guest's
/// kernel has seen to what he may: of his own capabilities, and of those in a namespace of users, the host knows nothing.
pub fn hold_as_user(kind: Kind) -> io::Result<()> {
    let serves = matches!(kind, Kind::FileServer | Kind::Starter);
    // A thread without this right was started by one that had seen to it.
    if serves && capabilities(None)?.effective.contains(CapabilitySet::SETPCAP) {
        set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP)?;
    }
    Ok(())
}

/// Gives up all capabilities but `kept`, and every way to get others.
pub fn keep(kept: CapabilitySet) -> io::Result<()> {
    let before = capabilities(None)?;
    clear_ambient_capability_set()?;
    // A thread without this right was started by one that had emptied the set.
    if before.effective.contains(CapabilitySet::SETPCAP) {
        empty_bounding_set()?;
    }
    let kept = kept & before.permitted;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    Ok(set_capabilities(None, sets)?)
}

fn empty_bounding_set() -> io::Result<()> {
    for number in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // The kernel has no more.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
