//! The capabilities an app may have: its bounding set.

use appc::{Isolator, Isolators};

/// Capabilities by number (`include/uapi/linux/capability.h`).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What an app has that does not say (`appc-schema` §5).
const DEFAULT: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SYS_CHROOT",
    "MKNOD",
    "AUDIT_WRITE",
    "SETFCAP",
];

/// Why an app's capabilities cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// Both kinds of list.
    #[error("cannot have both os/linux/capabilities-retain-set and os/linux/capabilities-remove-set")]
    Both,
    /// A name the kernel does not know.
    #[error("Unknown capability \"{0}\"")]
    Unknown(String),
}

/// A set of capabilities, bit N for capability N.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// Every capability there is.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// The bounding set that isolators ask for.
    pub fn of(isolators: &Isolators) -> Result<Self, CapabilityError> {
        let mut retain = None;
        let mut remove = None;
        for isolator in isolators.iter() {
            let (set, names) = match isolator {
                Isolator::CapabilitiesRetain(names) => (&mut retain, names),
                Isolator::CapabilitiesRemove(names) => (&mut remove, names),
                _ => continue,
            };
            *set = Some(set.unwrap_or(0) | Self::named(names.set.iter().map(String::as_str))?.0);
        }
        let default = Self::named(DEFAULT.iter().copied())?.0;
        match (retain, remove) {
            (Some(_), Some(_)) => Err(CapabilityError::Both),
            (Some(set), None) => Ok(Self(set)),
            (None, set) => Ok(Self(default & !set.unwrap_or(0))),
        }
    }

    fn named<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, CapabilityError> {
        let mut set = 0;
        for name in names {
            let upper = name.to_ascii_uppercase();
            let plain = upper.strip_prefix("CAP_").unwrap_or(&upper);
            let number = NAMES.iter().position(|known| *known == plain);
            set |= 1 << number.ok_or_else(|| CapabilityError::Unknown(name.to_owned()))?;
        }
        Ok(Self(set))
    }

    /// Whether a capability, named without its prefix, is in the set.
    pub fn has(self, name: &str) -> bool {
        NAMES.iter().position(|known| *known == name).is_some_and(|number| self.0 & (1 << number) != 0)
    }

    /// The numbers of the capabilities that are not in the set.
    pub fn absent(self) -> impl Iterator<Item = u32> {
        (0..NAMES.len() as u32).filter(move |number| self.0 & (1 << number) == 0)
    }
}

impl std::fmt::Debug for Capabilities {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Capabilities({:016x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use appc::isolator::CapabilitySet;

    use super::*;

    fn set(names: &[&str]) -> CapabilitySet {
        CapabilitySet { set: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn retain(names: &[&str]) -> Isolator {
        Isolator::CapabilitiesRetain(set(names))
    }

    fn remove(names: &[&str]) -> Isolator {
        Isolator::CapabilitiesRemove(set(names))
    }

    fn bits(isolators: Vec<Isolator>) -> u64 {
        Capabilities::of(&Isolators(isolators)).unwrap().0
    }

    #[test]
    fn the_default_is_the_mask_containers_know() {
        assert_eq!(bits(vec![]), 0xa804_25fb);
        assert_eq!(Capabilities::ALL.0, 0x1ff_ffff_ffff);
    }

    #[test]
    fn retain_is_exact_and_remove_takes_from_the_default() {
        assert_eq!(bits(vec![retain(&["CAP_SYS_ADMIN"]), retain(&["cap_chown"])]), 1 << 21 | 1);
        assert_eq!(bits(vec![remove(&["CAP_CHOWN", "CAP_SYS_ADMIN"])]), 0xa804_25fa);
    }

    #[test]
    fn contradictions_and_unknown_names_are_refused() {
        let both = Isolators(vec![retain(&["CAP_CHOWN"]), remove(&["CAP_CHOWN"])]);
        assert_eq!(Capabilities::of(&both), Err(CapabilityError::Both));
        let unknown = Isolators(vec![retain(&["CAP_FLY"])]);
        assert_eq!(Capabilities::of(&unknown), Err(CapabilityError::Unknown("CAP_FLY".into())));
    }

    #[test]
    fn what_is_absent_is_dropped() {
        let set = Capabilities::of(&Isolators::default()).unwrap();
        assert!(set.has("CHOWN") && !set.has("SYS_ADMIN") && !set.has("FLY"));
        assert_eq!(set.absent().count(), 41 - 14);
        assert!(set.absent().all(|number| number != 0));
    }
}
