//! `--net`: which networks a pod joins (`rkt-reference` §8.1).

use std::collections::BTreeMap;

/// The networks asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// Every network there is.
    pub all: bool,
    /// Networks by name, with their arguments as CNI takes them (`k=v;k2=v2`).
    pub named: BTreeMap<String, String>,
}

/// Why a list of networks is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// `--net=host`.
    #[error("A pod in a virtual machine cannot share the host's network stack (run with --net=none)")]
    Host,
    /// `none` and something else.
    #[error("Network \"none\" cannot be combined with others")]
    NotAlone,
    /// An entry without a name.
    #[error("Network name must not be empty")]
    Empty,
    /// A network listed twice.
    #[error("Found duplicate network name {0:?}")]
    Duplicate(String),
    /// `all` with arguments.
    #[error("Network \"all\" takes no arguments")]
    AllArguments,
    /// Not `k=v;k=v`.
    #[error("Arguments {arguments:?} of network {name:?} are not KEY=VALUE[;KEY=VALUE…]")]
    Arguments {
        /// The network.
        name: String,
        /// What was given.
        arguments: String,
    },
}

impl Choice {
    /// Reads the value of `--net`. Nothing at all is the network `default`.
    pub fn parse(list: &str) -> Result<Self, ChoiceError> {
        if list == "none" {
            return Ok(Choice::default());
        }
        let list = if list.is_empty() { "default" } else { list };
        let mut choice = Choice::default();
        for entry in list.split(',') {
            let (name, arguments) = entry.split_once(':').unwrap_or((entry, ""));
            match name {
                "" => return Err(ChoiceError::Empty),
                "host" => return Err(ChoiceError::Host),
                "none" => return Err(ChoiceError::NotAlone),
                "all" if !arguments.is_empty() => return Err(ChoiceError::AllArguments),
                "all" => choice.all = true,
                _ => choice.add(name, arguments)?,
            }
        }
        Ok(choice)
    }

    /// Whether the pod has loopback only.
    pub fn is_none(&self) -> bool {
        !self.all && self.named.is_empty()
    }

    fn add(&mut self, name: &str, arguments: &str) -> Result<(), ChoiceError> {
        let is_pair = |pair: &str| pair.split_once('=').is_some_and(|(key, _)| !key.is_empty());
        if !arguments.is_empty() && !arguments.split(';').all(is_pair) {
            return Err(ChoiceError::Arguments { name: name.to_owned(), arguments: arguments.to_owned() });
        }
        match self.named.insert(name.to_owned(), arguments.to_owned()) {
            None => Ok(()),
            Some(_) => Err(ChoiceError::Duplicate(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, arguments)| ((*name).to_owned(), (*arguments).to_owned())).collect()
    }

    #[test]
    fn lists() {
        let parse = |list| Choice::parse(list).unwrap();
        assert!(parse("none").is_none());
        assert_eq!(parse(""), parse("default"));
        assert_eq!(parse("default").named, named(&[("default", "")]));
        let several = parse("lan:IP=1.2.3.4;x=y,wan");
        assert_eq!(several.named, named(&[("lan", "IP=1.2.3.4;x=y"), ("wan", "")]));
        let all = parse("all,lan:IP=1.2.3.4");
        assert!(all.all && !all.is_none());
        assert_eq!(all.named, named(&[("lan", "IP=1.2.3.4")]));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(Choice::parse("host"), Err(ChoiceError::Host));
        assert_eq!(Choice::parse("none,a"), Err(ChoiceError::NotAlone));
        assert_eq!(Choice::parse("a,,b"), Err(ChoiceError::Empty));
        assert_eq!(Choice::parse("a,a:x=y"), Err(ChoiceError::Duplicate("a".into())));
        assert_eq!(Choice::parse("all:x=y"), Err(ChoiceError::AllArguments));
        for arguments in ["x", "=y", "x=y;", "x=y;;z=1"] {
            assert!(matches!(Choice::parse(&format!("a:{arguments}")), Err(ChoiceError::Arguments { .. })));
        }
    }
}
