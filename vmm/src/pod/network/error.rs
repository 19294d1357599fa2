//! Why a pod cannot have its networks.

use std::{io, path::PathBuf};

use super::{
    choice::ChoiceError, config::ConfigError, flannel::FlannelError, namespace::NamespaceError,
    neighbours::NeighbourError, plugin::PluginError, ports::PortError,
};
use crate::{
    pod::{directory::DirectoryError, stopping::Cause},
    virtio::net::TapError,
};

/// Why a pod cannot have its networks. Displayed with its sources, it is one line for the user.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// `--net`.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// A configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Networks that nobody configured.
    #[error("networks not found: {} (looked in {})", names.join(", "), list(directories))]
    Unknown {
        /// Their names.
        names: Vec<String>,
        /// Where configurations are.
        directories: Vec<PathBuf>,
    },
    /// A network of type `flannel`.
    #[error("Cannot join network {network:?}")]
    Flannel {
        /// The network.
        network: String,
        /// Why.
        source: FlannelError,
    },
    /// A forwarded port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Another pod.
    #[error(transparent)]
    Neighbour(#[from] NeighbourError),
    /// Forwarded ports of a pod without network.
    #[error("Ports cannot be forwarded to a pod without network (remove --port, or --net=none)")]
    NoWay,
    /// The namespace.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A plugin.
    #[error("Cannot join network {network:?}")]
    Join {
        /// The network.
        network: String,
        /// Why.
        source: PluginError,
    },
    /// A plugin, at the end.
    #[error("Cannot leave network {network:?} (rkt gc tries again)")]
    Leave {
        /// The network.
        network: String,
        /// Why.
        source: PluginError,
    },
    /// A plugin's answer.
    #[error("Cannot join network {network:?}: the result of its plugins is invalid: {what}")]
    Result {
        /// The network.
        network: String,
        /// What is wrong.
        what: String,
    },
    /// Plugins that made nothing.
    #[error("Cannot join network {network:?}: its plugins made no Ethernet interface {interface}")]
    NoInterface {
        /// The network.
        network: String,
        /// The interface.
        interface: String,
    },
    /// Two interfaces that the guest cannot tell apart.
    #[error(
        "Cannot join network {0:?}: its interface has the hardware address of another one of the pod (two ipvlan \
         networks on one device?)"
    )]
    SameMac(String),
    /// An interface.
    #[error("Cannot {action} {interface} in the pod's network namespace")]
    Interface {
        /// What was tried.
        action: &'static str,
        /// Which one.
        interface: String,
        /// Why.
        source: io::Error,
    },
    /// The tap.
    #[error("Cannot connect the virtual machine to the network")]
    Tap(#[from] TapError),
    /// The pod's directory.
    #[error("Cannot use the pod's directory")]
    Directory(#[from] DirectoryError),
}

impl NetworkError {
    /// Who wanted the pod ended, if that is why.
    pub fn stopped(&self) -> Option<Cause> {
        match self {
            NetworkError::Join { source: PluginError::Stopped(_, cause), .. } => Some(*cause),
            _ => None,
        }
    }
}

fn list(directories: &[PathBuf]) -> String {
    directories.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
