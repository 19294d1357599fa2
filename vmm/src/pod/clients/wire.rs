//! What other entrypoints and a running pod say to each other over the pod's socket.
//!
//! Frames as in the agent's protocol. A client asks for one thing and then talks about that. Both ends are the same
//! program: stage0 calls every entrypoint of a pod from the image the pod was started with.

use agent::protocol::{AppSpec, CommandSpec, Question, Sight, StreamKind, WindowSize};
use appc::RuntimeApp;
use serde::{Deserialize, Serialize};

/// The socket's name in the pod's directory.
pub const SOCKET: &str = "stage1.sock";
/// The largest request, in bytes: what a program's arguments and environment can come to, and no more than the guest
/// can be told.
pub const MAX_REQUEST: usize = 1 << 20;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Request {
    /// Run a command in an app; first, and once. Answered when the app has been started.
    Enter(Box<CommandSpec>),
    /// Connect the client to streams of an app; first, and once. Answered when the app has been started.
    Attach {
        /// The app's name.
        app: String,
        /// Which of its streams.
        streams: Vec<StreamKind>,
    },
    /// Tell which streams an app has.
    Streams {
        /// The app's name.
        app: String,
    },
    /// Change the apps of a mutable pod. Answered when it has been done.
    Change(Change),
    /// Tell what the pod is doing.
    Look {
        /// What is to be known.
        question: Question,
    },
    /// Deliver a signal to the command's process group.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// The client's terminal changed its size.
    Resize(WindowSize),
}

/// A change of a mutable pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Change {
    /// The pod has one more app. Its root file system and volumes are where the guest can see them.
    Add {
        /// Its part of the pod manifest.
        runtime: Box<RuntimeApp>,
        /// What that does not say.
        spec: Box<AppSpec>,
    },
    /// Start an app that does not run.
    Start {
        /// The app's name.
        app: String,
    },
    /// End an app.
    Stop {
        /// The app's name.
        app: String,
    },
    /// The pod has one app less. Its files are in nobody's use when this has been answered.
    Remove {
        /// The app's name.
        app: String,
    },
}

/// What the pod answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Reply {
    /// The streams an app has.
    Streams {
        /// Which.
        streams: Vec<StreamKind>,
    },
    /// A stream of the command, or of the app that the client is attached to; its descriptor travels with this message.
    Stream {
        /// Which.
        stream: StreamKind,
    },
    /// The command or the app ended, or the command could not be run. All its streams have been sent before.
    Ended {
        /// 0 to 255.
        status: i32,
        /// Why it could not be run; safe to show.
        line: Option<String>,
    },
    /// What the pod is doing; safe to show.
    Seen {
        /// The answer.
        sight: Sight,
    },
    /// The change has been made.
    Done,
    /// The app does not run, so it cannot be stopped.
    NotRunning,
    /// The pod does not do what it was asked for.
    Refused {
        /// Why, in one line.
        line: String,
    },
}

#[cfg(test)]
mod tests {
    use agent::protocol::{read_frame, write_frame};

    use super::*;

    #[test]
    fn every_message_survives_the_wire() {
        let size = WindowSize { rows: 1, columns: 2 };
        let requests = [
            Request::Attach { app: "web".into(), streams: vec![StreamKind::Tty] },
            Request::Streams { app: "web".into() },
            Request::Change(Change::Stop { app: "web".into() }),
            Request::Look { question: Question::Processes },
            Request::Signal { signal: 15 },
            Request::Resize(size),
        ];
        let replies = [
            Reply::Streams { streams: vec![StreamKind::Stdin, StreamKind::Stdout] },
            Reply::Stream { stream: StreamKind::Stderr },
            Reply::Ended { status: 3, line: None },
            Reply::Seen { sight: Sight::Processes { processes: vec![], more: 1 } },
            Reply::Done,
            Reply::Refused { line: "no".into() },
        ];
        let mut wire = Vec::new();
        requests.iter().for_each(|request| write_frame(&mut wire, request).unwrap());
        replies.iter().for_each(|reply| write_frame(&mut wire, reply).unwrap());
        let mut wire = wire.as_slice();
        for request in requests {
            assert_eq!(read_frame::<Request>(&mut wire).unwrap(), Some(request));
        }
        for reply in replies {
            assert_eq!(read_frame::<Reply>(&mut wire).unwrap(), Some(reply));
        }
    }
}
