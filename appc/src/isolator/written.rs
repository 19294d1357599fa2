//! Isolators as manifests spell them: a name, and a value whose form the name decides.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Isolator, IsolatorError};
use crate::types::AcIdentifier;

/// `{"name": …, "value": …}`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct WrittenIsolator {
    name: AcIdentifier,
    #[serde(default)]
    value: Value,
}

fn read<T: DeserializeOwned>(written: WrittenIsolator) -> Result<T, IsolatorError> {
    serde_json::from_value(written.value)
        .map_err(|error| IsolatorError::Value { name: written.name.into(), reason: error.to_string() })
}

impl TryFrom<WrittenIsolator> for Isolator {
    type Error = IsolatorError;

    fn try_from(written: WrittenIsolator) -> Result<Self, IsolatorError> {
        let isolator = match written.name.as_str() {
            "resource/memory" => Self::Memory(read(written)?),
            "resource/cpu" => Self::Cpu(read(written)?),
            "resource/pids" => Self::Pids(read(written)?),
            "resource/block-bandwidth" => Self::BlockBandwidth(read(written)?),
            "resource/block-iops" => Self::BlockIops(read(written)?),
            "resource/network-bandwidth" => Self::NetworkBandwidth(read(written)?),
            "os/linux/capabilities-retain-set" => Self::CapabilitiesRetain(read(written)?),
            "os/linux/capabilities-remove-set" => Self::CapabilitiesRemove(read(written)?),
            "os/linux/seccomp-retain-set" => Self::SeccompRetain(read(written)?),
            "os/linux/seccomp-remove-set" => Self::SeccompRemove(read(written)?),
            "os/linux/no-new-privileges" => Self::NoNewPrivileges(read(written)?),
            "os/linux/oom-score-adj" => Self::OomScoreAdj(read(written)?),
            "os/linux/cpu-shares" => Self::CpuShares(read(written)?),
            "os/linux/selinux-context" => Self::SelinuxContext(read(written)?),
            "os/linux/apparmor-profile" => Self::AppArmorProfile(read(written)?),
            "os/unix/sysctl" => Self::Sysctl(read(written)?),
            _ => Self::Unknown { name: written.name, value: written.value },
        };
        isolator.validate()?;
        Ok(isolator)
    }
}

impl From<Isolator> for WrittenIsolator {
    fn from(isolator: Isolator) -> Self {
        if let Isolator::Unknown { name, value } = isolator {
            return Self { name, value };
        }
        // Both conversions cannot fail: the names are literals of the right form, the values plain data.
        let name = AcIdentifier::try_from(isolator.name().to_owned());
        let value = isolator.value();
        match name {
            Ok(name) => Self { name, value },
            Err(error) => unreachable!("{error}"),
        }
    }
}

impl Isolator {
    /// The isolator's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Memory(_) => "resource/memory",
            Self::Cpu(_) => "resource/cpu",
            Self::Pids(_) => "resource/pids",
            Self::BlockBandwidth(_) => "resource/block-bandwidth",
            Self::BlockIops(_) => "resource/block-iops",
            Self::NetworkBandwidth(_) => "resource/network-bandwidth",
            Self::CapabilitiesRetain(_) => "os/linux/capabilities-retain-set",
            Self::CapabilitiesRemove(_) => "os/linux/capabilities-remove-set",
            Self::SeccompRetain(_) => "os/linux/seccomp-retain-set",
            Self::SeccompRemove(_) => "os/linux/seccomp-remove-set",
            Self::NoNewPrivileges(_) => "os/linux/no-new-privileges",
            Self::OomScoreAdj(_) => "os/linux/oom-score-adj",
            Self::CpuShares(_) => "os/linux/cpu-shares",
            Self::SelinuxContext(_) => "os/linux/selinux-context",
            Self::AppArmorProfile(_) => "os/linux/apparmor-profile",
            Self::Sysctl(_) => "os/unix/sysctl",
            Self::Unknown { name, .. } => name.as_str(),
        }
    }

    fn value(&self) -> Value {
        let value = match self {
            Self::Memory(resource)
            | Self::Cpu(resource)
            | Self::Pids(resource)
            | Self::BlockBandwidth(resource)
            | Self::BlockIops(resource)
            | Self::NetworkBandwidth(resource) => serde_json::to_value(resource),
            Self::CapabilitiesRetain(set) | Self::CapabilitiesRemove(set) => serde_json::to_value(set),
            Self::SeccompRetain(set) | Self::SeccompRemove(set) => serde_json::to_value(set),
            Self::NoNewPrivileges(value) => serde_json::to_value(value),
            Self::OomScoreAdj(value) => serde_json::to_value(value),
            Self::CpuShares(value) => serde_json::to_value(value),
            Self::SelinuxContext(context) => serde_json::to_value(context),
            Self::AppArmorProfile(profile) => serde_json::to_value(profile),
            Self::Sysctl(map) => serde_json::to_value(map),
            Self::Unknown { value, .. } => Ok(value.clone()),
        };
        value.unwrap_or(Value::Null)
    }

    /// Checks the rules of the isolator's kind.
    pub fn validate(&self) -> Result<(), IsolatorError> {
        let check = |valid, reason| if valid { Ok(()) } else { Err(reason) };
        let result = match self {
            Self::Memory(resource) | Self::Cpu(resource) | Self::Pids(resource) => resource.check_own(),
            Self::BlockBandwidth(resource) | Self::BlockIops(resource) | Self::NetworkBandwidth(resource) => {
                resource.check_default()
            }
            Self::CapabilitiesRetain(set) | Self::CapabilitiesRemove(set) => {
                check(!set.set.is_empty(), "set must be non-empty")
            }
            Self::SeccompRetain(set) | Self::SeccompRemove(set) => {
                check(!set.set.is_empty(), "set must be non-empty")
            }
            Self::OomScoreAdj(score) => {
                check((-1000..=1000).contains(score), "must be between -1000 and 1000")
            }
            Self::CpuShares(shares) => check((2..=262_144).contains(shares), "must be between 2 and 262144"),
            Self::SelinuxContext(context) => context.check(),
            Self::AppArmorProfile(profile) => check(!profile.profile.is_empty(), "profile must be non-empty"),
            Self::NoNewPrivileges(_) | Self::Sysctl(_) | Self::Unknown { .. } => Ok(()),
        };
        result.map_err(|reason| IsolatorError::Value {
            name: self.name().to_owned(),
            reason: reason.to_owned(),
        })
    }
}
