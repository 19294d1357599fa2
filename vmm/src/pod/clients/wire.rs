//! What other entrypoints and a running pod say to each other over the pod's socket.
//!
//! Frames as in the agent's protocol. A client asks once and then talks about what it asked for. Both ends are the same
//! program: stage0 calls every entrypoint of a pod from the image the pod was started with.

use agent::protocol::{CommandSpec, StreamKind, WindowSize};
use serde::{Deserialize, Serialize};

/// The socket's name in the pod's directory.
pub const SOCKET: &str = "stage1.sock";
/// The largest request, in bytes: what a program's arguments and environment can come to, and no more than the guest
/// can be told.
pub const MAX_REQUEST: usize = 1 << 20;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Request {
    /// Run a command in an app; first, and once. Answered when the pod is ready.
    Enter(Box<CommandSpec>),
    /// Deliver a signal to the command's process group.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// The client's terminal changed its size.
    Resize(WindowSize),
}

/// What the pod answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Reply {
    /// A stream of the command; its descriptor travels with this message.
    Stream {
        /// Which.
        stream: StreamKind,
    },
    /// The command ended, or it could not be run. All its streams have been sent before.
    Ended {
        /// 0 to 255.
        status: i32,
        /// Why it could not be run; safe to show.
        line: Option<String>,
    },
    /// The pod does not do what it was asked for.
    Refused {
        /// Why, in one line.
        line: String,
    },
}
