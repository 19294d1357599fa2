//! Isolators: limits and privileges of an app.

mod linux;
mod resource;
mod set;
mod written;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use linux::{AppArmorProfile, CapabilitySet, Errno, SeccompSet, SelinuxContext};
pub use resource::Resource;
pub use set::Isolators;

use crate::types::AcIdentifier;

/// One isolator. Those this crate does not know are kept as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "written::WrittenIsolator", into = "written::WrittenIsolator")]
pub enum Isolator {
    /// `resource/memory`, in bytes.
    Memory(Resource),
    /// `resource/cpu`, in CPUs.
    Cpu(Resource),
    /// `resource/pids`, in processes and threads. Not in the specification.
    Pids(Resource),
    /// `resource/block-bandwidth`, in bytes per second.
    BlockBandwidth(Resource),
    /// `resource/block-iops`, in operations per second.
    BlockIops(Resource),
    /// `resource/network-bandwidth`, in bytes per second.
    NetworkBandwidth(Resource),
    /// `os/linux/capabilities-retain-set`.
    CapabilitiesRetain(CapabilitySet),
    /// `os/linux/capabilities-remove-set`.
    CapabilitiesRemove(CapabilitySet),
    /// `os/linux/seccomp-retain-set`.
    SeccompRetain(SeccompSet),
    /// `os/linux/seccomp-remove-set`.
    SeccompRemove(SeccompSet),
    /// `os/linux/no-new-privileges`.
    NoNewPrivileges(bool),
    /// `os/linux/oom-score-adj`, -1000 to 1000.
    OomScoreAdj(i32),
    /// `os/linux/cpu-shares`, 2 to 262144.
    CpuShares(u64),
    /// `os/linux/selinux-context`.
    SelinuxContext(SelinuxContext),
    /// `os/linux/apparmor-profile`.
    AppArmorProfile(AppArmorProfile),
    /// `os/unix/sysctl`.
    Sysctl(BTreeMap<String, String>),
    /// Any other.
    Unknown {
        /// Its name.
        name: AcIdentifier,
        /// Its value.
        value: serde_json::Value,
    },
}

/// Why isolators are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IsolatorError {
    /// The value has the wrong form.
    #[error("Invalid value of isolator {name}: {reason}")]
    Value {
        /// The isolator.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Lists of allowed and of blocked system calls together.
    #[error("isolators set contains incompatible types: {0} and {1}")]
    Incompatible(&'static str, &'static str),
    /// An isolator that may occur once.
    #[error("isolators set contains too many instances of type {0}")]
    TooMany(&'static str),
}

#[cfg(test)]
mod tests;
