//! Isolators that only Linux has.

use serde::{Deserialize, Serialize};

/// Names of capabilities (`CAP_NET_ADMIN`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilitySet {
    /// The names, at least one.
    pub set: Vec<String>,
}

/// Names of system calls, or groups of them (`@docker/default-whitelist`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompSet {
    /// The names, at least one.
    pub set: Vec<String>,
    /// What a blocked call returns; without it the app is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<Errno>,
}

/// The name of an error (`EPERM`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Errno(String);

impl Errno {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Errno {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let valid = text.len() > 1
            && text.starts_with('E')
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if valid {
            Ok(Self(text))
        } else {
            Err(format!("errno \"{text}\" must be an upper-case name like EPERM"))
        }
    }
}

impl From<Errno> for String {
    fn from(errno: Errno) -> String {
        errno.0
    }
}

/// An SELinux context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelinuxContext {
    /// User.
    pub user: String,
    /// Role.
    pub role: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Level.
    pub level: String,
}

impl SelinuxContext {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let parts = [&self.user, &self.role, &self.kind];
        if parts.iter().any(|part| part.is_empty()) || self.level.is_empty() {
            return Err("user, role, type and level are required");
        }
        if parts.iter().any(|part| part.contains(':')) {
            return Err("user, role and type cannot contain a colon");
        }
        Ok(())
    }
}

/// An AppArmor profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppArmorProfile {
    /// Its name.
    pub profile: String,
}
