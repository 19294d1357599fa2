//! Why a machine could not be made or started.

use std::io;

/// Why a machine could not be made or started.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A thread or descriptor was refused.
    #[error("Cannot allocate what the machine needs")]
    Resource(#[from] io::Error),
}
