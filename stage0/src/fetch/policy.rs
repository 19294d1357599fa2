//! `--pull-policy` (reference §6.4).

use std::str::FromStr;

/// When images are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// If they are not in the store.
    New,
    /// Never: they must be in the store.
    Never,
    /// If they have changed since they were fetched.
    Update,
}

/// A policy that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be new, never or update, not \"{0}\"")]
pub struct UnknownPolicy(String);

impl FromStr for PullPolicy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        match text {
            "new" => Ok(Self::New),
            "never" => Ok(Self::Never),
            "update" => Ok(Self::Update),
            other => Err(UnknownPolicy(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_names() {
        assert_eq!("update".parse(), Ok(PullPolicy::Update));
        assert!("always".parse::<PullPolicy>().is_err());
    }
}
