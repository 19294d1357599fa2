//! The isolators of an app or a pod.

use serde::{Deserialize, Serialize};

use super::{Isolator, IsolatorError, Resource};
use crate::types::Quantity;

/// Isolators in the manifest's order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Isolators(pub Vec<Isolator>);

/// Isolators that may occur once.
const ONCE: &[&str] = &[
    "os/linux/seccomp-retain-set",
    "os/linux/seccomp-remove-set",
    "os/linux/cpu-shares",
    "os/linux/oom-score-adj",
];

impl Isolators {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The isolators in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Isolator> {
        self.0.iter()
    }

    /// The limit of memory in bytes. If several are given the last one counts.
    pub fn memory_limit(&self) -> Option<Quantity> {
        self.last_limit(|isolator| match isolator {
            Isolator::Memory(resource) => Some(resource),
            _ => None,
        })
    }

    /// The limit of CPU time in CPUs. If several are given the last one counts.
    pub fn cpu_limit(&self) -> Option<Quantity> {
        self.last_limit(|isolator| match isolator {
            Isolator::Cpu(resource) => Some(resource),
            _ => None,
        })
    }

    /// The limit of processes and threads. If several are given the last one counts.
    pub fn pids_limit(&self) -> Option<Quantity> {
        self.last_limit(|isolator| match isolator {
            Isolator::Pids(resource) => Some(resource),
            _ => None,
        })
    }

    /// The limit of bytes read and written in a second. If several are given the last one counts.
    pub fn block_bandwidth_limit(&self) -> Option<Quantity> {
        self.last_limit(|isolator| match isolator {
            Isolator::BlockBandwidth(resource) => Some(resource),
            _ => None,
        })
    }

    /// The limit of operations on files in a second. If several are given the last one counts.
    pub fn block_iops_limit(&self) -> Option<Quantity> {
        self.last_limit(|isolator| match isolator {
            Isolator::BlockIops(resource) => Some(resource),
            _ => None,
        })
    }

    fn last_limit(&self, pick: impl Fn(&Isolator) -> Option<&Resource>) -> Option<Quantity> {
        self.0.iter().rev().filter_map(pick).find_map(|resource| resource.limit)
    }

    /// Isolators that exclude each other or themselves do.
    pub fn validate(&self) -> Result<(), IsolatorError> {
        let count = |name| self.0.iter().filter(|isolator| isolator.name() == name).count();
        if count(ONCE[0]) > 0 && count(ONCE[1]) > 0 {
            return Err(IsolatorError::Incompatible(ONCE[0], ONCE[1]));
        }
        if let Some(name) = ONCE.iter().copied().find(|name| count(name) > 1) {
            return Err(IsolatorError::TooMany(name));
        }
        self.0.iter().try_for_each(Isolator::validate)
    }
}

impl FromIterator<Isolator> for Isolators {
    fn from_iter<I: IntoIterator<Item = Isolator>>(isolators: I) -> Self {
        Self(isolators.into_iter().collect())
    }
}
