//! The agent: PID 1 of the micro-VM that is a pod.
//!
//! It makes the machine ready, tells the host, learns what the pod is, runs its apps and ends with them. It has one
//! thread, which waits in one place, and a few beside it in pods that watch volumes ([`watch`]). If it panics the kernel does too, and the host reports that.
//!
//! `main` is the C one: the standard library's would insist on a `/dev/null` that is not there yet.
#![cfg_attr(not(test), no_main)]

mod app;
mod failure;
mod host;
mod layout;
mod look;
mod machine;
mod pod;
mod root;
mod stream;
mod watch;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::Path;
use std::time::Instant;

use agent::protocol::{GuestMessage, HostMessage, PodSpec, ROOTFS_TAG, VERSION, VOLUMES_TAG};
use nix::libc::{self, c_char, c_int};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::{Mode, umask};

use host::{Control, ControlError, Vsock};
use watch::Watches;

/// Descriptors a process may open, and how far it may raise that itself: systemd's defaults, which programs are used to.
const OPEN_FILES: (u64, u64) = (1024, 524_288);
/// Where the agent's root is put together, in the initramfs.
const NEW_ROOT: &str = "/agent";

/// Why the machine cannot become a pod.
#[derive(Debug, thiserror::Error)]
enum AgentError {
    #[error("Cannot prepare the agent's own process")]
    Process(#[source] io::Error),
    #[error(transparent)]
    Boot(#[from] machine::BootError),
    #[error(transparent)]
    Identity(#[from] machine::IdentityError),
    #[error(transparent)]
    Network(#[from] machine::NetworkError),
    #[error(transparent)]
    Sysctl(#[from] machine::SysctlError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("The host spoke before it said what the pod is")]
    NoStart,
    #[error("Cannot write the files of /etc")]
    Tables(#[source] io::Error),
    #[error(transparent)]
    Pod(#[from] pod::PodError),
}

/// The C `main`.
#[cfg_attr(not(test), unsafe(export_name = "main"))]
#[cfg_attr(test, unsafe(export_name = "agent_main"))]
extern "C" fn main_of_c(_count: c_int, _arguments: *const *const c_char) -> c_int {
    let Err(error) = boot_and_run();
    eprintln!("rkt agent: {}", failure::line(&error));
    // With reboot=t on the command line this is a triple fault, which the host sees.
    let Err(error) = reboot(RebootMode::RB_AUTOBOOT);
    eprintln!("rkt agent: cannot reset the machine: {error}");
    1
}

/// Returns only if the host cannot be told, or has gone.
fn boot_and_run() -> Result<Infallible, AgentError> {
    let start = Instant::now();
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }
        .map_err(|error| AgentError::Process(error.into()))?;
    setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES.0, OPEN_FILES.1)
        .map_err(|error| AgentError::Process(error.into()))?;
    // The host answers while the file systems are mounted.
    let mut control = Control::connect(&Vsock)?;
    let booted = boot();
    control.queue(&GuestMessage::Hello { version: VERSION })?;
    control.drain()?;
    // There is a console with --debug.
    eprintln!("rkt agent: ready {} us after its start", start.elapsed().as_micros());
    let last = match booted.and_then(|()| serve(&mut control)) {
        Ok(status) => GuestMessage::Finished { status },
        Err(AgentError::Control(error)) => return Err(error.into()),
        Err(error) => GuestMessage::Failed { text: failure::line(&error) },
    };
    control.queue(&last)?;
    control.drain()?;
    loop {
        // The host ends the machine; nothing it may still say matters.
        control.receive_next()?;
    }
}

/// Everything that does not depend on the pod.
fn boot() -> Result<(), AgentError> {
    let root = Path::new(NEW_ROOT);
    let made = fs::create_dir_all(root);
    made.map_err(|source| machine::BootError::Make { path: NEW_ROOT.to_owned(), source })?;
    machine::make_root(root)?;
    machine::enter_root(root)?;
    standard_streams();
    machine::loopback_up()?;
    Ok(())
}

/// The kernel leaves its init without standard streams when there is no console.
fn standard_streams() {
    let open = |path: &str| OpenOptions::new().read(true).write(true).open(path);
    while let Ok(file) = open("/dev/console").or_else(|_| open("/dev/null")) {
        if file.as_raw_fd() > libc::STDERR_FILENO {
            return;
        }
        let _ = File::into_raw_fd(file);
    }
}

/// Becomes the pod that the host describes, which has been greeted, and runs it; returns its status.
fn serve(control: &mut Control) -> Result<i32, AgentError> {
    let HostMessage::Start(spec) = control.receive_next()? else { return Err(AgentError::NoStart) };
    become_pod(&spec)?;
    let watches = watch(&spec, control)?;
    Ok(pod::run(&spec, control, &Vsock, &watches)?)
}

/// What apps watch is of interest before the first one starts.
fn watch(spec: &PodSpec, control: &mut Control) -> Result<Watches, AgentError> {
    Watches::of(spec).or_else(|error| {
        let text =
            format!("Warning: inotify will not tell of changes that the host makes in volumes: {error}");
        control.queue(&GuestMessage::Diagnostic { app: None, text })?;
        Ok(Watches::default())
    })
}

fn become_pod(spec: &PodSpec) -> Result<(), AgentError> {
    machine::assume(spec)?;
    machine::set_parameters(&spec.manifest.isolators)?;
    machine::configure(&spec.interfaces)?;
    let files = root::tables::files(&spec.hostname, &spec.dns);
    root::tables::write(Path::new(layout::FILES), &files).map_err(AgentError::Tables)?;
    machine::mount_share(ROOTFS_TAG, layout::POD)?;
    let mounts = spec.apps.iter().flat_map(|app| &app.mounts).filter(|mount| mount.memory.is_none());
    let volumes: BTreeSet<_> = mounts.map(|mount| mount.source.as_str()).collect();
    // Apps that are added later may have some.
    if spec.mutable || !volumes.is_empty() {
        machine::mount_share(VOLUMES_TAG, layout::VOLUMES)?;
    }
    for volume in volumes {
        machine::touch_submount(&Path::new(layout::VOLUMES).join(volume));
    }
    Ok(())
}
