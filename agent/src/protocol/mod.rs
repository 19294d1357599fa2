//! The protocol between stage1 and the agent, over vsock.
//!
//! The guest opens every connection. The first, to [`CONTROL_PORT`], carries [`GuestMessage`]s to the host and
//! [`HostMessage`]s to the guest for as long as the pod lives. Each standard stream of an app is a connection of its
//! own to [`STREAM_PORT`]: one [`StreamHeader`] frame from the guest, then raw bytes; end of file travels as a half
//! close, in either direction. Those of commands that are run in apps later are the same, with a [`CommandHeader`] and
//! to [`COMMAND_PORT`]. What connects to a socket on which the host listens for an app comes to the app's own one over a
//! connection to [`ACCEPTED_PORT`], with an [`AcceptedHeader`]. What is watched in volumes is told over one to [`WATCH_PORT`]
//! ([`WatchRequest`], [`WatchNews`]).
//!
//! ```text
//! guest                          host
//!   Hello{version}        ──▶
//!                         ◀──    Start(PodSpec)
//!   stream connections    ══▶
//!   AppStarted{app}       ──▶
//!   Ready                 ──▶
//!   AppCondition{app}     ──▶    (whenever it changes, until the app's end)
//!                         ◀──    Signal, Resize, Stop      (any number, any time)
//!                         ◀──    StartApp, StopApp, ForgetApp (of mutable pods, any number)
//!                         ◀──    Enter{command}            (likewise; SignalCommand, ResizeCommand, HangUp follow)
//!   stream connections    ══▶
//!                         ◀──    Accepted{connection}      (likewise)
//!   its connection        ══▶
//!   CommandEnded{status}  ──▶
//!                         ◀──    Look{question}            (any number, any time)
//!   Seen{sight}           ──▶
//!   AppExited{app,status} ──▶
//!   Finished{status}      ──▶    (everything is on disk; the host ends the machine)
//! ```

mod command;
mod condition;
mod frame;
mod look;
mod message;
mod pod;
mod socket;
mod watch;

pub use command::{CommandHeader, CommandSpec};
pub use condition::{Condition, Health, HealthCheck, HealthReport, MAX_CHECK_OUTPUT};
pub use frame::{FrameError, FrameReader, MAX_FRAME, read_frame, write_frame};
pub use look::{AppUsage, InterfaceUsage, MAX_COMMAND, MAX_PROCESSES, Process, Question, Sight, Usage};
pub use message::{GuestMessage, HostMessage, StreamHeader, StreamKind};
pub use pod::{
    AppSpec, Disabled, Dns, Interface, MemoryVolume, PodSpec, Route, Stdio, VolumeMount, WindowSize,
};
pub use socket::{AcceptedHeader, SocketFamily, SocketSpec};
pub use watch::{BACKSTAGE, Change, ENTRANCE, EXIT, MAX_WATCHED, Place, Touch, WatchNews, WatchRequest};

/// Version of this protocol; host and guest refuse each other when theirs differ.
pub const VERSION: u32 = 6;
/// The host's context identifier (virtio 1.2 §5.10.4).
pub const HOST_CID: u32 = 2;
/// The guest's context identifier: every VM has the same, since no two share a transport.
pub const GUEST_CID: u32 = 3;
/// The port of the control connection.
pub const CONTROL_PORT: u32 = 1024;
/// The port of stream connections.
pub const STREAM_PORT: u32 = 1025;
/// The port of stream connections of commands.
pub const COMMAND_PORT: u32 = 1026;
/// The port of connections that the host accepted for an app.
pub const ACCEPTED_PORT: u32 = 1027;
/// The port of the connection about changes in volumes.
pub const WATCH_PORT: u32 = 1028;
/// The virtio-fs tag of the share that holds every app's root file system at `<app>/rootfs`.
pub const ROOTFS_TAG: &str = "rootfs";
/// The virtio-fs tag of the share that holds the volumes.
pub const VOLUMES_TAG: &str = "volumes";
