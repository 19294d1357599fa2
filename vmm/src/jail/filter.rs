//! The system call filters, compiled from `resources/seccomp` when this program is built.

use seccompiler::sock_filter;

use super::Kind;

include!(concat!(env!("OUT_DIR"), "/filters.rs"));

/// The filter of a kind.
pub fn of(kind: Kind) -> &'static [sock_filter] {
    match kind {
        Kind::EventLoop => EVENT_LOOP,
        Kind::Vcpu => VCPU,
        Kind::FileServer => FILE_SERVER,
        Kind::Watcher => WATCHER,
        Kind::Packets => PACKETS,
        Kind::Stream => STREAM,
        Kind::Diagnostics => DIAGNOSTICS,
        Kind::Starter => STARTER,
    }
}
