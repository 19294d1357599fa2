//! The `run` entrypoint: from stage0's exec to the pod's end, as the pod's keeper.

use std::{io, os::fd::AsFd, process};

use super::{
    activation::HostSockets,
    arguments::RunArguments,
    cgroup::Cgroup,
    diagnostics,
    directory::PodDirectory,
    error::PodError,
    host_share::HostShare,
    keeper::{self, Side, Vmm},
    lock::PodLock,
    network::{NetworkError, Networks},
    signals::{Ending, Signals},
    sizing::{self, Size},
    spec,
    stopping::Stop,
    terminal, vmm,
};
use crate::virtio::net::queue_pairs;

/// Runs the pod of the current directory until it ends.
pub fn run(arguments: RunArguments) -> Result<Ending, PodError> {
    let lock = PodLock::inherit()?;
    let directory = PodDirectory::current();
    let manifest = directory.manifest()?;
    spec::check(&arguments, &manifest).map_err(PodError::Spec)?;
    let sockets = HostSockets::take(&manifest)?;
    let mut networks = Networks::prepare(&arguments, &sockets.without_forwards(&manifest), &directory)?;
    let size = sizing::size(&manifest, HostShare::own());
    let debug = arguments.debug;
    let cgroup = Cgroup::make(&arguments.uuid, &directory);
    let cgroup = noted("Cannot make the pod's cgroup", cgroup, debug).flatten();
    let ending = match divide(&arguments, cgroup.as_ref()) {
        Ok((Side::Vmm(link), signals)) => {
            let network = networks.namespace();
            // Ways to the host that are the keeper's alone.
            drop((networks, lock));
            vmm::main(vmm::Seat { arguments, manifest, directory, sockets, size, network, signals, link })
        }
        Ok((Side::Keeper(vmm), signals)) => {
            drop(sockets);
            keep(vmm, &signals, &directory, size, &mut networks)
        }
        Err(error) => Err(PodError::Resource(error)),
    };
    if let Some(cgroup) = cgroup {
        noted("Cannot remove the pod's cgroup", cgroup.remove(), debug);
    }
    networks.tear_down();
    ending
}

/// A pod goes on without a cgroup of its own; only who looks for it hears why.
fn noted<T>(failure: &str, result: io::Result<T>, debug: bool) -> Option<T> {
    if let Err(error) = &result
        && debug
    {
        diagnostics::print_line(&format!("stage1: {failure}: {error}"));
    }
    result.ok()
}

/// Both processes are to have the signals blocked. There is no thread yet.
fn divide(arguments: &RunArguments, cgroup: Option<&Cgroup>) -> io::Result<(Side, Signals)> {
    if arguments.interactive {
        terminal::remember();
    }
    let signals = Signals::block(true)?;
    Ok((keeper::split(!arguments.disable_jail, cgroup.map(AsFd::as_fd))?, signals))
}

fn keep(
    vmm: Vmm,
    signals: &Signals,
    directory: &PodDirectory,
    size: Size,
    networks: &mut Networks,
) -> Result<Ending, PodError> {
    directory.write_pid(process::id())?;
    // The VMM builds its machine meanwhile.
    let joined = networks.set_up(queue_pairs(size.cpus), Some(signals));
    if let Some(cause) = joined.as_ref().err().and_then(NetworkError::stopped) {
        return Ok(Stop::before_start(cause));
    }
    let (ports, network) = joined?;
    // A VMM that has failed meanwhile has said why, or will be found dead.
    let _ = vmm.connect(ports, &network);
    let ending = vmm.watch(signals);
    if ending.is_err() {
        terminal::put_back();
    }
    Ok(ending?)
}
