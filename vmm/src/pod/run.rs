//! The `run` entrypoint: from stage0's exec to the pod's end.

use std::{
    io, process,
    thread::{self, JoinHandle},
    time::Duration,
};

use appc::PodManifest;
use event_manager::EventManager;
use rustix::{
    mount::{MountPropagationFlags, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

use super::{
    activation::HostSockets,
    arguments::RunArguments,
    devices,
    diagnostics::Diagnostics,
    directory::PodDirectory,
    error::PodError,
    hints::Hints,
    host_share::HostShare,
    io_limits,
    lock::PodLock,
    network::{GuestNetwork, NetworkError, Networks},
    signals::{Ending, Signals},
    sizing, spec,
    stopping::Stop,
    streams::HostStdio,
    supervisor::{Listeners, Pod, Supervisor},
    terminal, volumes,
};
use crate::{
    event_loop::{EventLoop, EventLoopHandle},
    machine::{Machine, MachineConfig, MachineError},
    virtio::{
        net::{Net, queue_pairs},
        vsock::Ports,
    },
};

/// How long the last lines may take when nobody reads stderr.
const LAST_LINES: Duration = Duration::from_secs(5);

/// Runs the pod of the current directory until it ends.
pub fn run(arguments: RunArguments) -> Result<Ending, PodError> {
    let _lock = PodLock::inherit()?;
    let directory = PodDirectory::current();
    let manifest = directory.manifest()?;
    spec::check(&arguments, &manifest).map_err(PodError::Spec)?;
    let sockets = HostSockets::take(&manifest)?;
    let mut networks = Networks::prepare(&arguments, &sockets.without_forwards(&manifest), &directory)?;
    let ending = run_pod(arguments, manifest, sockets, directory, &mut networks);
    networks.tear_down();
    ending
}

fn run_pod(
    arguments: RunArguments,
    manifest: PodManifest,
    sockets: HostSockets,
    directory: PodDirectory,
    networks: &mut Networks,
) -> Result<Ending, PodError> {
    // Before the first thread: mounts and the signal mask are inherited from here.
    separate_mounts().map_err(PodError::Mounts)?;
    let images = manifest.apps.iter().map(|app| directory.image_manifest(app.name.as_str()));
    let images = images.collect::<Result<Vec<_>, _>>()?;
    let volumes = volumes::prepare(&manifest, &images, &directory, arguments.mutable)?;
    let has_terminal = arguments.interactive && terminal::is_terminal();
    let signals = Signals::block(has_terminal).map_err(PodError::Resource)?;
    let diagnostics = Diagnostics::start().map_err(PodError::Resource)?;
    let hints: Vec<_> = manifest.apps.iter().zip(&images).map(|(app, image)| Hints::of(app, image)).collect();
    let warnings = hints.iter().flat_map(|hints| &hints.warnings).chain(&volumes.warnings);
    warnings.for_each(|warning| diagnostics.say(warning));
    let pod = Pod {
        io_limits: io_limits::limits(&manifest, &volumes.mounts),
        arguments,
        manifest,
        directory,
        hints,
        volumes,
        sockets,
        network: GuestNetwork::default(),
        stdio: HostStdio::own(),
    };
    let ending = run_machine(pod, networks, &signals, &diagnostics);
    terminal::restore();
    diagnostics.finish(LAST_LINES);
    ending
}

fn run_machine(
    mut pod: Pod,
    networks: &mut Networks,
    signals: &Signals,
    diagnostics: &Diagnostics,
) -> Result<Ending, PodError> {
    let mut event_loop: EventLoop = EventManager::new().map_err(PodError::EventLoop)?;
    let config = machine_config(&pod);
    let cpus = config.cpus;
    let machine = build(config, event_loop.remote_endpoint())?;
    // The slow part of the machine is on its own thread until here.
    pod.directory.write_pid(process::id())?;
    let joined = networks.set_up(queue_pairs(cpus), Some(signals));
    if let Some(cause) = joined.as_ref().err().and_then(NetworkError::stopped) {
        return Ok(Stop::before_start(cause));
    }
    let (network_ports, network) = joined?;
    pod.network = network;
    let network_devices: Vec<Net> = network_ports.into_iter().map(|port| Net::new(port.device)).collect();
    if pod.arguments.debug {
        network_devices.iter().for_each(|device| diagnostics.say(&device.data_path()));
    }
    let ports = Ports::default();
    let devices = devices::devices(
        &pod.directory,
        pod.volumes.share.as_deref(),
        &ports,
        network_devices,
        cpus,
        &pod.io_limits,
    )?;
    let mut machine = machine.join().map_err(|_| PodError::Panicked)?.map_err(PodError::Start)?;
    for device in devices {
        machine.add_device(device).map_err(PodError::Start)?;
    }
    let listeners = Listeners::open(&ports, &pod.directory)?;
    machine.start().map_err(PodError::Start)?;
    let ending = Supervisor::new(pod, listeners, &machine, signals, diagnostics)
        .and_then(|supervisor| supervisor.run(&mut event_loop));
    // The vCPUs may be waiting for the loop: it must be gone when the machine, next, stops them.
    drop(event_loop);
    ending
}

fn build(
    config: MachineConfig,
    event_loop: EventLoopHandle,
) -> Result<JoinHandle<Result<Machine, MachineError>>, PodError> {
    let builder = thread::Builder::new().name("machine".into());
    builder.spawn(move || Machine::new(config, event_loop)).map_err(PodError::Resource)
}

fn machine_config(pod: &Pod) -> MachineConfig {
    let size = sizing::size(&pod.manifest, HostShare::own());
    MachineConfig {
        kernel: pod.directory.stage1_file("vmlinux"),
        initramfs: Some(pod.directory.stage1_file("initramfs")),
        command_line: Vec::new(),
        cpus: size.cpus,
        memory: size.memory,
        debug: pod.arguments.debug,
    }
}

/// A mount namespace whose mounts vanish with the pod, while those of the host keep coming and going
/// (`rkt-reference` §3.4).
fn separate_mounts() -> io::Result<()> {
    // SAFETY: a mount namespace does not touch descriptors or memory that others rely on; no thread runs yet.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    Ok(())
}
