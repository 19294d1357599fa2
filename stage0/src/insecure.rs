//! `--insecure-options`: which protections the user gives up.

use std::str::FromStr;

/// A set of protections given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InsecureOptions(u32);

const IMAGE: u32 = 1;
const TLS: u32 = 2;
const ON_DISK: u32 = 4;
const HTTP: u32 = 8;
const PUBKEY: u32 = 16;
const CAPABILITIES: u32 = 32;
const PATHS: u32 = 64;
const SECCOMP: u32 = 128;
/// Not among `all`: who debugs the VMM says so.
const SECCOMP_VMM: u32 = 256;
const JAIL: u32 = 512;
const ALL_FETCH: u32 = IMAGE | TLS | HTTP | PUBKEY;
const ALL_RUN: u32 = CAPABILITIES | PATHS | SECCOMP;

const NAMES: &[(&str, u32)] = &[
    ("none", 0),
    ("image", IMAGE),
    ("tls", TLS),
    ("ondisk", ON_DISK),
    ("http", HTTP),
    ("pubkey", PUBKEY),
    ("capabilities", CAPABILITIES),
    ("paths", PATHS),
    ("seccomp", SECCOMP),
    ("seccomp-vmm", SECCOMP_VMM),
    ("jail", JAIL),
    ("all-fetch", ALL_FETCH),
    ("all-run", ALL_RUN),
    ("all", ALL_FETCH | ALL_RUN | ON_DISK),
];

/// Why a list of options is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InsecureOptionsError {
    /// Not an option.
    #[error("unknown option \"{0}\" (there are {names})", names = names())]
    Unknown(String),
    /// Listed twice.
    #[error("duplicated option \"{0}\"")]
    Duplicate(String),
}

fn names() -> String {
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

impl InsecureOptions {
    fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    /// Images need no signature.
    pub fn image(self) -> bool {
        self.has(IMAGE)
    }

    /// TLS certificates are not verified.
    pub fn tls(self) -> bool {
        self.has(TLS)
    }

    /// Discovery and registries may use plain http.
    pub fn http(self) -> bool {
        self.has(HTTP)
    }

    /// Public keys may be fetched over plain http.
    pub fn pubkey(self) -> bool {
        self.has(PUBKEY)
    }

    /// The same with public keys allowed over plain http.
    pub fn with_pubkey(self) -> Self {
        Self(self.0 | PUBKEY)
    }

    /// Apps keep all capabilities.
    pub fn capabilities(self) -> bool {
        self.has(CAPABILITIES)
    }

    /// Sensitive paths of /proc and /sys stay visible and writable.
    pub fn paths(self) -> bool {
        self.has(PATHS)
    }

    /// Apps have no default system call filter.
    pub fn seccomp(self) -> bool {
        self.has(SECCOMP)
    }

    /// The VMM's own system calls are not filtered.
    pub fn seccomp_vmm(self) -> bool {
        self.has(SECCOMP_VMM)
    }

    /// The VMM keeps all its rights.
    pub fn jail(self) -> bool {
        self.has(JAIL)
    }
}

impl FromStr for InsecureOptions {
    type Err = InsecureOptionsError;

    fn from_str(list: &str) -> Result<Self, InsecureOptionsError> {
        let mut seen = Vec::new();
        let mut bits = 0;
        for option in list.split(',').filter(|_| !list.is_empty()) {
            let lower = option.to_ascii_lowercase();
            let Some((_, bit)) = NAMES.iter().find(|(name, _)| *name == lower) else {
                return Err(InsecureOptionsError::Unknown(option.to_owned()));
            };
            if seen.contains(&lower) {
                return Err(InsecureOptionsError::Duplicate(option.to_owned()));
            }
            seen.push(lower);
            bits |= bit;
        }
        Ok(Self(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sets_in_any_case() {
        let options: InsecureOptions = "Image,http".parse().unwrap();
        assert!(options.image() && options.http() && !options.tls() && !options.seccomp());
        let run: InsecureOptions = "all-run".parse().unwrap();
        assert!(run.capabilities() && run.paths() && run.seccomp() && !run.image());
        let all: InsecureOptions = "all".parse().unwrap();
        assert!(all.image() && all.tls() && all.pubkey() && all.seccomp() && !all.jail());
        let debug: InsecureOptions = "seccomp-vmm,jail".parse().unwrap();
        assert!(debug.seccomp_vmm() && debug.jail() && !debug.seccomp());
        assert_eq!("none".parse(), Ok(InsecureOptions::default()));
        assert_eq!("".parse(), Ok(InsecureOptions::default()));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |list: &str| list.parse::<InsecureOptions>().unwrap_err().to_string();
        let known = "none, image, tls, ondisk, http, pubkey, capabilities, paths, seccomp, seccomp-vmm, jail, all-fetch, all-run, all";
        assert_eq!(error("image,x"), format!("unknown option \"x\" (there are {known})"));
        assert_eq!(error("image,IMAGE"), "duplicated option \"IMAGE\"");
        assert!(error("image,").starts_with("unknown option \"\" ("));
    }
}
