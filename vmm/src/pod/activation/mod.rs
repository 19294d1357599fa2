//! Socket activation: a service manager listens, and passes its sockets on to the pod (sd_listen_fds(3)).
//!
//! ```text
//! client ── host's socket ── accept ── Relay ── vsock ── agent ── the app's own socket
//! ```
//!
//! A socket of the host cannot be given to a guest. The app starts with one of the guest's in its place, and every
//! connection is carried there.

mod passed;
mod relay;

use std::{collections::HashMap, os::fd::OwnedFd};

use agent::protocol::SocketSpec;
use appc::{ExposedPort, PodManifest, Port, RuntimeApp};

pub use passed::{Passed, PassedError};
pub use relay::Relays;

/// A socket that was passed, and whom its connections are for.
#[derive(Debug)]
pub struct HostSocket {
    /// The host's socket, non-blocking.
    pub listener: OwnedFd,
    /// The app's name.
    pub app: String,
    /// Which of the app's sockets stands for it, counted from 0.
    pub index: u32,
    spec: SocketSpec,
    /// Its TCP port.
    port: Option<u16>,
}

/// The sockets that were passed to this pod.
#[derive(Debug, Default)]
pub struct HostSockets(Vec<HostSocket>);

impl HostSockets {
    /// Takes the sockets that were passed to this process and decides which app each is for.
    pub fn take(manifest: &PodManifest) -> Result<Self, PassedError> {
        Self::assign(passed::take()?, manifest)
    }

    fn assign(passed: Vec<Passed>, manifest: &PodManifest) -> Result<Self, PassedError> {
        let mut counts: HashMap<String, u32> = HashMap::new();
        let give = |socket: Passed| {
            let app = match owner(&socket, manifest) {
                Some(app) => app.name.to_string(),
                None => return Err(PassedError::NoApp(socket.to_string())),
            };
            let count = counts.entry(app.clone()).or_default();
            let index = *count;
            *count += 1;
            let spec = SocketSpec { name: socket.name, family: socket.family };
            Ok(HostSocket { listener: socket.listener, app, index, spec, port: socket.port })
        };
        passed.into_iter().map(give).collect::<Result<_, _>>().map(Self)
    }

    /// Every socket, in the order they were passed.
    pub fn iter(&self) -> impl Iterator<Item = &HostSocket> {
        self.0.iter()
    }

    /// What an app is told of its sockets.
    pub fn of_app(&self, app: &str) -> Vec<SocketSpec> {
        self.0.iter().filter(|socket| socket.app == app).map(|socket| socket.spec.clone()).collect()
    }

    /// The manifest without forwards of ports on which the service manager listens already.
    pub fn without_forwards(&self, manifest: &PodManifest) -> PodManifest {
        let mut manifest = manifest.clone();
        let listens = |exposed: &ExposedPort| {
            self.0.iter().any(|socket| socket.port.is_some_and(|port| u32::from(port) == exposed.host_port))
        };
        manifest.ports.retain(|exposed| !listens(exposed));
        manifest
    }
}

/// The app a socket is for: whose port has the socket's name, is forwarded from its number, or is to be activated and
/// has its number; else the pod's only app.
fn owner<'a>(socket: &Passed, manifest: &'a PodManifest) -> Option<&'a RuntimeApp> {
    let whose = |wanted: &dyn Fn(&Port) -> bool| {
        let has = |app: &&RuntimeApp| app.app.iter().flat_map(|app| &app.ports).any(wanted);
        manifest.apps.iter().find(has)
    };
    let number = socket.port.map(u32::from);
    let exposed = manifest.ports.iter().find(|exposed| Some(exposed.host_port) == number);
    let only = (manifest.apps.len() == 1).then(|| &manifest.apps[0]);
    whose(&|port| port.name.as_str() == socket.name)
        .or_else(|| exposed.and_then(|exposed| whose(&|port| port.name == exposed.name)))
        .or_else(|| whose(&|port| port.socket_activated && Some(port.port) == number))
        .or(only)
}

#[cfg(test)]
mod tests;
