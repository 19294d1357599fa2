//! Why a pod could not run, or not to its end.

use std::io;

use super::{
    activation::PassedError,
    apps::AppError,
    arguments::ArgumentError,
    control::ControlError,
    directory::DirectoryError,
    enter::EnterError,
    keeper::{KeeperError, LinkError},
    lock::LockError,
    look::LookError,
    network::NetworkError,
    session::SessionError,
    spec::SpecError,
    stop::StopError,
    streams::StreamError,
    volumes::VolumeError,
};
use crate::{
    jail::JailError,
    machine::MachineError,
    virtio::{fs::FsError, vsock::ListenError},
};

/// Why an entrypoint failed. Displayed with its sources, it is one line for the user.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// The program was called by a name it is not known by.
    #[error(
        "Unknown entrypoint {0:?} (there are: run, enter, attach, gc, stop, app-add, app-start, app-stop, app-rm, top, stats)"
    )]
    UnknownEntrypoint(String),
    /// The command line.
    #[error("Invalid command line of the entrypoint")]
    Arguments(#[from] ArgumentError),
    /// Sockets of the service manager.
    #[error("Cannot take the sockets that the service manager passed")]
    Sockets(#[from] PassedError),
    /// The networks asked for.
    #[error("Failed to setup network")]
    Network(#[from] NetworkError),
    /// The networks a pod was in.
    #[error("Failed to tear down network")]
    LeaveNetwork(#[source] NetworkError),
    /// The pod's lock.
    #[error("Cannot take over the pod's lock")]
    Lock(#[from] LockError),
    /// The pod's directory.
    #[error("Cannot use the pod's directory")]
    Directory(#[from] DirectoryError),
    /// The process that runs the machine.
    #[error("Pod failed")]
    Keeper(#[from] KeeperError),
    /// What its threads may not.
    #[error("Cannot jail the pod's machine")]
    Jail(#[from] JailError),
    /// The process that keeps the pod.
    #[error("Cannot go on")]
    Link(#[from] LinkError),
    /// A mount namespace of its own.
    #[error("Cannot separate the pod's mounts from the host's")]
    Mounts(#[source] io::Error),
    /// Changes of a running pod.
    #[error(transparent)]
    App(#[from] AppError),
    /// What a running pod is doing.
    #[error("Cannot tell what the pod is doing")]
    Look(#[from] LookError),
    /// Its volumes.
    #[error("Cannot provide the pod's volumes")]
    Volumes(#[from] VolumeError),
    /// Signals, threads, descriptors.
    #[error("Cannot allocate what the pod needs")]
    Resource(#[source] io::Error),
    /// The event loop.
    #[error("Event loop failed")]
    EventLoop(#[source] event_manager::Error),
    /// The machine could not be made or started.
    #[error("Cannot start the virtual machine")]
    Start(#[source] MachineError),
    /// The apps' root file systems and volumes.
    #[error("Cannot share the pod's file systems with the guest")]
    Share(#[from] FsError),
    /// A thread of the machine's panicked.
    #[error("Cannot start the virtual machine: a thread of stage1 panicked")]
    Panicked,
    /// A port of the guest's transport.
    #[error("Cannot listen for the guest")]
    Listen(#[source] ListenError),
    /// The pod's socket.
    #[error("Cannot listen on the pod's socket")]
    Socket(#[source] io::Error),
    /// Entering.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The pod's description.
    #[error("Cannot describe the pod to its guest")]
    Spec(#[source] SpecError),
    /// The terminal.
    #[error("Cannot set up the terminal")]
    Terminal(#[source] io::Error),
    /// The guest never said hello.
    #[error("Guest did not start within {0} s (run with --debug to see its console)")]
    BootTimeout(u64),
    /// The machine ended by itself.
    #[error("{0}")]
    Machine(String),
    /// The agent closed its connection and the machine runs on.
    #[error("Agent of the guest went away (run with --debug to see the guest's console)")]
    AgentGone,
    /// The guest opened the control connection twice.
    #[error("Guest opened a second control connection")]
    SecondControl,
    /// The control connection.
    #[error("Pod failed")]
    Control(#[source] ControlError),
    /// What the guest said.
    #[error("Pod failed")]
    Session(#[source] SessionError),
    /// A stream of an app.
    #[error("Pod failed")]
    Stream(#[source] StreamError),
    /// Stopping.
    #[error("Cannot stop the pod")]
    Stop(#[from] StopError),
}
