//! The process that runs a pod's machine, from its beginning to its end. Its guest is not trusted, so neither is it.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, OwnedFd},
    panic, process,
    time::Duration,
};

use agent::protocol::Dns;
use appc::PodManifest;
use event_manager::EventManager;
use rustix::{
    mount::{MountPropagationFlags, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

use super::{
    FAILURE,
    activation::HostSockets,
    arguments::RunArguments,
    devices,
    diagnostics::{self, Diagnostics},
    directory::PodDirectory,
    error::PodError,
    hints::Hints,
    io_limits,
    keeper::Link,
    logs::Journal,
    network::GuestNetwork,
    own_root,
    signals::{Ending, Signals},
    sizing::Size,
    spec,
    streams::HostStdio,
    supervisor::{Listeners, Pod, Supervisor},
    terminal, volumes,
};
use crate::{
    event_loop::EventLoop,
    jail,
    machine::{Machine, MachineConfig},
    virtio::{fs::Watches, net::Net, vsock::Ports},
};

/// What the process is called in lists.
const NAME: &CStr = c"vmm";
/// Its exit status after a panic, that of any Rust program.
const PANICKED: i32 = 101;
/// How long the last lines may take when nobody reads stderr.
const LAST_LINES: Duration = Duration::from_secs(5);

/// What the process begins with.
#[derive(Debug)]
pub struct Seat {
    /// What stage0 said.
    pub arguments: RunArguments,
    /// What to run.
    pub manifest: PodManifest,
    /// Where.
    pub directory: PodDirectory,
    /// On which the service manager listens for the apps.
    pub sockets: HostSockets,
    /// Of the machine.
    pub size: Size,
    /// The pod's network namespace, if it has one.
    pub network: io::Result<Option<OwnedFd>>,
    /// Blocked: they are the keeper's.
    pub signals: Signals,
    /// To the keeper.
    pub link: Link,
}

/// Runs the pod until it ends, and tells its keeper how.
pub fn main(seat: Seat) -> ! {
    // The name is for those who look; nothing depends on it.
    let _ = rustix::thread::set_name(NAME);
    end_on_panic();
    let Seat { arguments, manifest, directory, sockets, size, network, signals, link } = seat;
    signals.give_up();
    let debug = arguments.debug;
    let ending = leave_host(&arguments, &sockets, network, &link)
        .and_then(|()| run_pod(arguments, manifest, directory, sockets, size, &link))
        .unwrap_or_else(|error| {
            diagnostics::report(&error, debug);
            Ending::Status(FAILURE)
        });
    // If that fails there is nobody to end for.
    let _ = link.ended(ending);
    process::exit(0)
}

/// A thread that panics ends the process, which as the first one of its namespace cannot end by a signal of its own.
fn end_on_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        report(info);
        // SAFETY: ends the process, whatever state it is in.
        unsafe { libc::_exit(PANICKED) }
    }));
}

/// Before the first thread, which inherits it all: descriptors and namespaces.
fn leave_host(
    arguments: &RunArguments,
    sockets: &HostSockets,
    network: io::Result<Option<OwnedFd>>,
    link: &Link,
) -> Result<(), PodError> {
    let network = network.map_err(PodError::Resource)?;
    separate_mounts().map_err(PodError::Mounts)?;
    #[cfg(feature = "hostile-hook")]
    jail::hostile::listen().map_err(PodError::Resource)?;
    if !arguments.disable_jail {
        own_root::leave_networks(network.as_ref()).map_err(PodError::Mounts)?;
    }
    drop(network);
    let sockets = sockets.iter().map(|socket| socket.listener.as_raw_fd());
    jail::close_all_but(sockets.chain([link.as_raw_fd()])).map_err(PodError::Resource)?;
    if !arguments.disable_jail {
        // It has descriptors of its own.
        jail::prepare(jail::Settings { filters: !arguments.disable_seccomp_vmm }, link.as_raw_fd())?;
    }
    Ok(())
}

fn run_pod(
    arguments: RunArguments,
    manifest: PodManifest,
    directory: PodDirectory,
    sockets: HostSockets,
    size: Size,
    link: &Link,
) -> Result<Ending, PodError> {
    let images = manifest.apps.iter().map(|app| directory.image_manifest(app.name.as_str()));
    let images = images.collect::<Result<Vec<_>, _>>()?;
    let volumes = volumes::prepare(&manifest, &images, &directory, arguments.mutable)?;
    let diagnostics = Diagnostics::start().map_err(PodError::Resource)?;
    let hints: Vec<_> = manifest.apps.iter().zip(&images).map(|(app, image)| Hints::of(app, image)).collect();
    let warnings = hints.iter().flat_map(|hints| &hints.warnings).chain(&volumes.warnings);
    warnings.for_each(|warning| diagnostics.say(warning));
    if let Some(warning) = open_jail(&arguments) {
        diagnostics.say(warning);
    }
    let pod = Pod {
        journal: Journal::of_host(&arguments.uuid),
        io_limits: io_limits::limits(&manifest, &volumes.mounts),
        watches: Watches::default(),
        arguments,
        manifest,
        directory,
        hints,
        volumes,
        sockets,
        dns: Dns::default(),
        network: GuestNetwork::default(),
        stdio: HostStdio::own(),
    };
    let ending = run_machine(pod, size, link, &diagnostics);
    terminal::restore();
    diagnostics.finish(LAST_LINES);
    ending
}

/// What the user is told of protections given up.
fn open_jail(arguments: &RunArguments) -> Option<&'static str> {
    match (arguments.disable_jail, arguments.disable_seccomp_vmm) {
        (true, _) => Some(
            "Warning: The VMM keeps all rights of root on this host (--insecure-options=jail): who breaks out of the guest has them",
        ),
        (false, true) => {
            Some("Warning: The VMM's system calls are not filtered (--insecure-options=seccomp-vmm)")
        }
        (false, false) => None,
    }
}

fn run_machine(mut pod: Pod, size: Size, link: &Link, diagnostics: &Diagnostics) -> Result<Ending, PodError> {
    let mut event_loop: EventLoop = EventManager::new().map_err(PodError::EventLoop)?;
    let config = machine_config(&pod, size);
    let mut machine = Machine::new(config, event_loop.remote_endpoint()).map_err(PodError::Start)?;
    let (interfaces, network) = link.networks()?;
    pod.network = network;
    pod.dns = spec::dns(&pod.arguments, &pod.directory, &pod.network).map_err(PodError::Spec)?;
    let networks: Vec<Net> = interfaces.into_iter().map(Net::new).collect();
    if pod.arguments.debug {
        networks.iter().for_each(|device| diagnostics.say(&device.data_path()));
    }
    let ports = Ports::default();
    let listeners = Listeners::open(&ports, &pod.directory)?;
    // What is opened from here on is inside.
    let descriptors = match pod.arguments.disable_jail {
        true => None,
        false => Some(own_root::enter(&pod.directory).map_err(PodError::Mounts)?),
    };
    let volumes = pod.volumes.share.as_deref().map(|directory| (directory, &pod.watches));
    let devices = devices::devices(
        &pod.directory,
        volumes,
        &ports,
        networks,
        size,
        descriptors.as_ref(),
        &pod.io_limits,
    )?;
    for device in devices {
        machine.add_device(device).map_err(PodError::Start)?;
    }
    drop(descriptors);
    machine.prepare().map_err(PodError::Start)?;
    jail::close(&[&pod.directory.logs(), &pod.directory.rkt()])?;
    machine.start().map_err(PodError::Start)?;
    let ending = Supervisor::new(pod, listeners, &machine, link, diagnostics)
        .and_then(|supervisor| supervisor.run(&mut event_loop));
    // The vCPUs may be waiting for the loop: it must be gone when the machine, next, stops them.
    drop(event_loop);
    ending
}

fn machine_config(pod: &Pod, size: Size) -> MachineConfig {
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
