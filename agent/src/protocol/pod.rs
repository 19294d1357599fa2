//! What the host says about a pod when it starts.

use std::net::IpAddr;

use appc::PodManifest;
use serde::{Deserialize, Serialize};

use super::condition::HealthCheck;
use super::socket::SocketSpec;

/// A whole pod, as the agent needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodSpec {
    /// The pod's UUID.
    pub uuid: String,
    /// The guest's host name.
    pub hostname: String,
    /// The pod manifest. Every app carries its final `app` section; stage0 has merged image and overrides.
    pub manifest: PodManifest,
    /// What the manifest does not say about each app, in the manifest's order.
    pub apps: Vec<AppSpec>,
    /// The wall clock, in nanoseconds since the epoch.
    pub clock_ns: u64,
    /// Random bytes for the guest's pool, hexadecimal.
    pub entropy: String,
    /// Network interfaces, without loopback.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// Resolver and host tables to give to apps.
    #[serde(default)]
    pub dns: Dns,
    /// Protections the user lifted with `--insecure-options`.
    #[serde(default)]
    pub disabled: Disabled,
    /// Whether apps come and go while it runs: then no app's end is the pod's, and it runs until it is stopped.
    #[serde(default)]
    pub mutable: bool,
    /// Tell more, on the console.
    #[serde(default)]
    pub debug: bool,
}

/// One app, beyond its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSpec {
    /// The app's name in the manifest.
    pub name: String,
    /// Its root file system, relative to the root of the [`super::ROOTFS_TAG`] share.
    pub rootfs: String,
    /// What its standard streams are.
    pub stdio: Stdio,
    /// Whether it says when it is ready (sd_notify(3)); the others are when they run.
    #[serde(default)]
    pub notify: bool,
    /// The signal that asks it to end; SIGTERM if none.
    #[serde(default)]
    pub stop_signal: Option<i32>,
    /// How to find out whether it is well; none if nobody wants to know.
    #[serde(default)]
    pub health: Option<HealthCheck>,
    /// Whether its working directory is made if it is missing, as Docker does.
    #[serde(default)]
    pub make_directory: bool,
    /// Volumes, in the order they are mounted.
    #[serde(default)]
    pub mounts: Vec<VolumeMount>,
    /// Sockets it starts with, in the order of their descriptors.
    #[serde(default)]
    pub sockets: Vec<SocketSpec>,
}

/// A file or directory of the volumes share, or one in memory, in an app's root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// What is mounted, relative to the root of the [`super::VOLUMES_TAG`] share; of one in memory, its name.
    pub source: String,
    /// Where, an absolute path in the app's root file system. Links are followed with that as their root; what is
    /// missing is made.
    pub path: String,
    /// Whether the app cannot write. The host does not rely on the guest for that.
    pub read_only: bool,
    /// What it is if it is in the guest's memory.
    #[serde(default)]
    pub memory: Option<MemoryVolume>,
}

/// A file system in the guest's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryVolume {
    /// The permissions of its root.
    pub mode: u32,
    /// The owner of its root.
    pub uid: u32,
    /// The group of its root.
    pub gid: u32,
    /// The most it holds, in bytes; as much as the kernel lets it if not said.
    pub size: Option<u64>,
    /// Whether it is one app's alone: then it is empty whenever that starts. Others live as long as the pod.
    pub own: bool,
}

/// How an app's standard streams are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stdio {
    /// Standard input reads `/dev/null`; output and error are streams.
    Output,
    /// All three are streams.
    Pipes,
    /// A terminal of the guest, carried by one stream.
    Terminal {
        /// Its first size.
        size: WindowSize,
    },
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

/// A network interface of the guest, as CNI described it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name in the guest, `eth0`.
    pub name: String,
    /// The virtio-net device it is on, by hardware address.
    pub mac: String,
    /// Largest packet, in bytes.
    pub mtu: Option<u32>,
    /// Addresses with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Routes over this interface.
    pub routes: Vec<Route>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Destination network and prefix length.
    pub destination: (IpAddr, u8),
    /// Next hop; none when the destination is on the link.
    pub gateway: Option<IpAddr>,
}

/// The resolver configuration given to apps (`rkt-reference` §8.6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// The whole text of `/etc/resolv.conf`; none leaves the image's own.
    pub resolv_conf: Option<String>,
    /// The whole text of `/etc/hosts`; none leaves the image's own, or a loopback-only one where it has none.
    pub hosts: Option<String>,
}

/// Protections the user lifted with `--insecure-options`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Capability restriction.
    pub capabilities: bool,
    /// Read-only and hidden paths of /proc and /sys.
    pub paths: bool,
    /// The default seccomp filter.
    pub seccomp: bool,
}
