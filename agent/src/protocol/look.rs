//! What a pod is doing: its processes, and what they use.

use serde::{Deserialize, Serialize};

/// What the host wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Which processes there are.
    Processes,
    /// What the apps and the machine use.
    Usage,
}

/// What the guest answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Sight {
    /// Processes of apps.
    Processes {
        /// At most [`MAX_PROCESSES`].
        processes: Vec<Process>,
        /// How many there are beside these.
        more: u32,
    },
    /// What is used.
    Usage(Usage),
}

/// How many processes are told of.
pub const MAX_PROCESSES: usize = 400;
/// How many characters of a command line are told.
pub const MAX_COMMAND: usize = 128;

/// A process of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The app whose cgroup it is in.
    pub app: String,
    /// Its id, in the pod.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// The user it runs as.
    pub uid: u32,
    /// CPU time it has used, in milliseconds.
    pub cpu_ms: u64,
    /// How long it has existed, in milliseconds.
    pub age_ms: u64,
    /// Memory it has in RAM, in bytes.
    pub resident: u64,
    /// Its command line, cut; its name in brackets if it has none.
    pub command: String,
}

/// What apps and machine use. All counts are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Apps that have a cgroup.
    pub apps: Vec<AppUsage>,
    /// Network interfaces but loopback.
    pub interfaces: Vec<InterfaceUsage>,
    /// Memory of the machine, in bytes.
    pub memory_total: u64,
    /// What of it could be had at once, in bytes.
    pub memory_available: u64,
}

/// What an app uses, by its cgroup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppUsage {
    /// The app.
    pub app: String,
    /// CPU time, in microseconds.
    pub cpu_us: u64,
    /// Memory with page cache, in bytes.
    pub memory: u64,
    /// The most it may be, in bytes.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub pids: u64,
}

/// What went over a network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceUsage {
    /// Its name in the pod.
    pub name: String,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
}
