//! The `gc` entrypoint: removes what a pod may have left outside its directory.

use super::{arguments::GcArguments, error::PodError};

/// Cleans up after a pod that has ended, whatever instant it ended at. May be called again.
///
/// Mounts made by `run` are in its own mount namespace and everything else is in its process, so that nothing outlives
/// it: a pod without networks leaves nothing.
pub fn gc(_: &GcArguments) -> Result<(), PodError> {
    Ok(())
}
