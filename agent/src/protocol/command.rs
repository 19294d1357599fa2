//! Commands that are run in an app beside its own process.

use serde::{Deserialize, Serialize};

use super::{message::StreamKind, pod::Stdio};

/// A command to run in a running app: in its namespaces, cgroup and root, with its privileges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandSpec {
    /// The app's name.
    pub app: String,
    /// The program and its arguments.
    pub exec: Vec<String>,
    /// `USER[:GROUP]`, names or numbers; none is root.
    #[serde(default)]
    pub user: Option<String>,
    /// Variables over those of the app, in order.
    #[serde(default)]
    pub environment: Vec<(String, String)>,
    /// Where it starts; none is where the app does.
    #[serde(default)]
    pub working_directory: Option<String>,
    /// What its standard streams are.
    pub stdio: Stdio,
}

/// The first frame of a connection to [`super::COMMAND_PORT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CommandHeader {
    /// Which command, as the host named it.
    pub command: u32,
    /// Which of its streams this connection is.
    pub stream: StreamKind,
}
