//! `--net`: which networks a pod has (reference §8.1).

use std::collections::BTreeSet;

/// The networks of a pod as the user listed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetList(String);

/// The network of pods for which the user names none.
const DEFAULT: &str = "default";

/// Networks that are no configurations and take no arguments.
const SPECIAL: &[&str] = &["host", "none", "all"];

/// Why a list of networks is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetListError {
    /// An entry without a name.
    #[error("netname must not be empty")]
    Empty,
    /// A network listed twice.
    #[error("found duplicate netname \"{0}\"")]
    Duplicate(String),
    /// Arguments for a network that is no configuration.
    #[error("network \"{0}\" takes no arguments")]
    Arguments(String),
    /// `host` or `none` together with other networks.
    #[error("network \"{0}\" cannot be combined with others")]
    Exclusive(String),
}

impl NetList {
    /// Joins the values of every `--net` given.
    pub fn new(values: &[String]) -> Result<Self, NetListError> {
        if values.is_empty() {
            return Ok(Self(DEFAULT.to_owned()));
        }
        let list = values.join(",");
        let mut names = BTreeSet::new();
        for entry in list.split(',') {
            let (name, arguments) = entry.split_once(':').unwrap_or((entry, ""));
            if name.is_empty() {
                return Err(NetListError::Empty);
            }
            if !arguments.is_empty() && SPECIAL.contains(&name) {
                return Err(NetListError::Arguments(name.to_owned()));
            }
            if !names.insert(name) {
                return Err(NetListError::Duplicate(name.to_owned()));
            }
        }
        let alone = ["host", "none"].into_iter().find(|name| names.contains(name) && names.len() > 1);
        match alone {
            Some(name) => Err(NetListError::Exclusive(name.to_owned())),
            None => Ok(Self(list)),
        }
    }

    /// The list as stage1 takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pod shares the host's network.
    pub fn is_host(&self) -> bool {
        self.0 == "host"
    }

    /// Whether the pod has no network but its own loopback.
    pub fn is_none(&self) -> bool {
        self.0 == "none"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(values: &[&str]) -> Result<String, String> {
        let values: Vec<_> = values.iter().map(|value| (*value).to_owned()).collect();
        NetList::new(&values).map(|list| list.0).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_are_joined_and_default_to_default() {
        assert_eq!(list(&[]).unwrap(), "default");
        assert_eq!(list(&["a:IP=1.2.3.4;x=y,b", "c"]).unwrap(), "a:IP=1.2.3.4;x=y,b,c");
        assert!(NetList::new(&["none".to_owned()]).unwrap().is_none());
    }

    #[test]
    fn mistakes_are_named() {
        for (values, message) in [
            (&["a,,b"][..], "netname must not be empty"),
            (&[":IP=1"], "netname must not be empty"),
            (&["a", "a:x=y"], "found duplicate netname \"a\""),
            (&["host:x=y"], "network \"host\" takes no arguments"),
            (&["none", "a"], "network \"none\" cannot be combined with others"),
        ] {
            assert_eq!(list(values).unwrap_err(), message);
        }
    }
}
