//! The way to the host.

mod control;
mod vsock;

use std::io;
use std::os::fd::OwnedFd;

pub use control::{Control, ControlError};
pub use vsock::Vsock;

/// Opens connections to the host: over vsock in a guest, over Unix sockets in tests.
pub trait Dial: std::fmt::Debug {
    /// Starts a connection to one of the host's ports and returns its non-blocking socket, perhaps before the host has
    /// accepted it.
    fn dial(&self, port: u32) -> io::Result<OwnedFd>;
}
