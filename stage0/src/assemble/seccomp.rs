//! `--seccomp=mode=retain|remove[,errno=NAME],CALL,…`.

use std::str::FromStr;

use appc::Isolator;
use appc::isolator::{Errno, SeccompSet};

/// The isolator that `--seccomp` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct SeccompFlag(pub Isolator);

/// Why the value of `--seccomp` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeccompFlagError {
    /// No mode, or one that does not exist.
    #[error("mode must be \"retain\" or \"remove\", not \"{0}\"")]
    Mode(String),
    /// Not the name of an error.
    #[error("{0}")]
    Errno(String),
    /// A key given twice, or one that does not exist.
    #[error("unexpected \"{0}\"")]
    Unexpected(String),
    /// No system call.
    #[error("at least one system call is required")]
    Empty,
}

impl FromStr for SeccompFlag {
    type Err = SeccompFlagError;

    fn from_str(text: &str) -> Result<Self, SeccompFlagError> {
        let (mut mode, mut errno, mut set) = (None, None, Vec::new());
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                None => set.push(part.to_owned()),
                Some(("mode", value)) if mode.is_none() => mode = Some(value),
                Some(("errno", value)) if errno.is_none() => {
                    errno = Some(Errno::try_from(value.to_owned()).map_err(SeccompFlagError::Errno)?);
                }
                Some(_) => return Err(SeccompFlagError::Unexpected(part.to_owned())),
            }
        }
        if set.is_empty() {
            return Err(SeccompFlagError::Empty);
        }
        let set = SeccompSet { set, errno };
        match mode.unwrap_or_default() {
            "retain" => Ok(Self(Isolator::SeccompRetain(set))),
            "remove" => Ok(Self(Isolator::SeccompRemove(set))),
            other => Err(SeccompFlagError::Mode(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_errno_and_calls_in_any_order() {
        let flag: SeccompFlag = "socket,mode=remove,errno=ENOTSUP,@docker/default-blacklist".parse().unwrap();
        let Isolator::SeccompRemove(set) = flag.0 else { panic!("{flag:?}") };
        assert_eq!(set.set, ["socket", "@docker/default-blacklist"]);
        assert_eq!(set.errno.unwrap().as_str(), "ENOTSUP");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, message) in [
            ("socket", "mode must be"),
            ("mode=kill,socket", "not \"kill\""),
            ("mode=retain", "at least one"),
            ("mode=retain,mode=remove,a", "unexpected \"mode=remove\""),
            ("mode=retain,errno=eperm,a", "errno"),
        ] {
            let error = text.parse::<SeccompFlag>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
