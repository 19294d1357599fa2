//! The messages of the control connection and the header of a stream.

use appc::RuntimeApp;
use serde::{Deserialize, Serialize};

use super::{
    command::CommandSpec,
    condition::Condition,
    look::{Question, Sight},
    pod::{AppSpec, PodSpec, WindowSize},
};

/// What the host tells the guest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum HostMessage {
    /// Everything the guest needs to know; sent once, in answer to [`GuestMessage::Hello`].
    Start(Box<PodSpec>),
    /// What the host's clock says: it may have jumped.
    Clock {
        /// The wall clock, in nanoseconds since the epoch.
        clock_ns: u64,
    },
    /// Deliver a signal to an app's main process.
    Signal {
        /// The app's name.
        app: String,
        /// The signal's number.
        signal: i32,
    },
    /// The terminal of an interactive app changed its size.
    Resize {
        /// The app's name.
        app: String,
        /// The new size.
        size: WindowSize,
    },
    /// End every app: SIGTERM, or the signal it wants, now, SIGKILL when the grace has passed. `Finished` follows.
    Stop {
        /// How long apps may take after SIGTERM, in milliseconds.
        grace_ms: u64,
    },
    /// Start an app of a mutable pod, for the first time or again after its end. [`GuestMessage::AppStarted`] and
    /// [`GuestMessage::AppExited`] follow as for the others.
    StartApp {
        /// Its part of the pod manifest.
        app: Box<RuntimeApp>,
        /// What that does not say.
        spec: Box<AppSpec>,
    },
    /// End one app, as `Stop` ends all of them.
    StopApp {
        /// The app's name.
        app: String,
        /// How long it may take, in milliseconds.
        grace_ms: u64,
    },
    /// Let go of everything that belongs to an app that does not run. [`GuestMessage::AppForgotten`] follows.
    ForgetApp {
        /// The app's name.
        app: String,
    },
    /// Tell what the pod is doing. [`GuestMessage::Seen`] follows.
    Look {
        /// The host's number of the question.
        number: u32,
        /// What it wants to know.
        question: Question,
    },
    /// Run a command in an app. The guest answers with connections to [`super::COMMAND_PORT`] and, at the end,
    /// [`GuestMessage::CommandEnded`].
    Enter {
        /// The host's name for it, new in the life of the pod.
        command: u32,
        /// What to run.
        spec: Box<CommandSpec>,
    },
    /// Deliver a signal to the process group of a command.
    SignalCommand {
        /// Which.
        command: u32,
        /// The signal's number.
        signal: i32,
    },
    /// The terminal of a command changed its size.
    ResizeCommand {
        /// Which.
        command: u32,
        /// The new size.
        size: WindowSize,
    },
    /// Somebody connected to a socket on which the host listens for an app. The guest answers with a connection to
    /// [`super::ACCEPTED_PORT`], whatever comes of it.
    Accepted {
        /// The host's name for it, new in the life of the pod.
        connection: u32,
        /// The app's name.
        app: String,
        /// Which of its sockets, counted from 0.
        socket: u32,
    },
    /// Whoever ran a command has gone: its streams end, and its process group gets SIGHUP.
    HangUp {
        /// Which.
        command: u32,
    },
}

/// What the guest tells the host. The host trusts none of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum GuestMessage {
    /// The agent is up and waits for its pod.
    Hello {
        /// The agent's protocol version.
        version: u32,
    },
    /// An app's program runs.
    AppStarted {
        /// The app's name.
        app: String,
        /// Its main process in the guest.
        pid: u32,
    },
    /// How an app that has been started fares has changed.
    AppCondition {
        /// The app's name.
        app: String,
        /// All that is known of it.
        condition: Condition,
    },
    /// Every app has been started, and those that say when they are ready have said so.
    Ready,
    /// An app could not be started, or the agent has something to say about it; a line for the user.
    Diagnostic {
        /// The app's name, or none if it concerns the pod.
        app: Option<String>,
        /// One line, without a line end.
        text: String,
    },
    /// An app's main process ended and its output has been handed to the streams.
    AppExited {
        /// The app's name.
        app: String,
        /// Exit status; 128+N for death by signal N, 203 when it could not be executed.
        status: i32,
    },
    /// Nothing of an app is in use any more.
    AppForgotten {
        /// The app's name.
        app: String,
    },
    /// What the pod is doing.
    Seen {
        /// The number of the question.
        number: u32,
        /// The answer.
        sight: Sight,
    },
    /// A command ended and its output has been handed to its streams, or it could not be run.
    CommandEnded {
        /// Which.
        command: u32,
        /// Exit status; 128+N for death by signal N, 127 and 126 when it could not be executed.
        status: i32,
        /// Why it could not be run; one line for the user.
        line: Option<String>,
    },
    /// All apps have ended and everything written is with the host.
    Finished {
        /// The pod's status: that of the app that failed first, else 0, whether or not the host asked for an end.
        status: i32,
    },
    /// The agent cannot run this pod; the machine is of no further use.
    Failed {
        /// One line that names the cause.
        text: String,
    },
}

/// The first frame of a connection to [`super::STREAM_PORT`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamHeader {
    /// The app's name.
    pub app: String,
    /// Which of its streams this connection is.
    pub stream: StreamKind,
}

/// The standard streams of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamKind {
    /// Host to guest.
    Stdin,
    /// Guest to host.
    Stdout,
    /// Guest to host.
    Stderr,
    /// Both ways: the terminal of an interactive app, in place of the other three.
    Tty,
}
