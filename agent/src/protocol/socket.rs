//! Sockets on which the host listens for an app, as a service manager had them passed (sd_listen_fds(3)).

use serde::{Deserialize, Serialize};

/// A listening socket that an app starts with. What connects to the host's socket is carried to this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketSpec {
    /// Its name in `LISTEN_FDNAMES`.
    pub name: String,
    /// What it is.
    pub family: SocketFamily,
}

/// The families of stream sockets that can be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketFamily {
    /// TCP; in the guest on its loopback address.
    Tcp,
    /// A Unix socket.
    Unix,
}

/// The first frame of a connection to [`super::ACCEPTED_PORT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AcceptedHeader {
    /// Which connection of the host's, as the host named it.
    pub connection: u32,
}
