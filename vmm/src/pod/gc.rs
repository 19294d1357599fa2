//! The `gc` entrypoint: removes what a pod may have left outside its directory.

use super::{arguments::GcArguments, cgroup, directory::PodDirectory, error::PodError, network};

/// Cleans up after a pod that has ended, whatever instant it ended at. May be called again.
///
/// Mounts made by `run` are in its own mount namespace and most else is in its process; what outlives both are the
/// pod's cgroup and networks.
pub fn gc(arguments: &GcArguments) -> Result<(), PodError> {
    let directory = PodDirectory::current();
    cgroup::remove_left(&arguments.uuid, &directory)?;
    let local_config = arguments.local_config.as_deref();
    network::tear_down_left(&directory, &arguments.uuid, local_config, arguments.debug)
        .map_err(PodError::LeaveNetwork)
}
