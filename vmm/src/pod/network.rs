//! Which networks the pod is in (`rkt-reference` §8.1).

/// Why the pod cannot have the networks asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// `--net=host`.
    #[error("A pod in a virtual machine cannot share the host's network stack (run with --net=none)")]
    Host,
    /// A network that has to be set up.
    #[error(
        "Cannot join network {0:?}: pods of this stage1 have no network but loopback (run with --net=none)"
    )]
    Unavailable(String),
}

/// What to tell whoever did not ask for `--net=none`.
const LOOPBACK_ONLY: &str =
    "Network \"default\" is not available yet: the pod has loopback only (as with --net=none)";

/// Checks that the pod can have the networks of `--net`; what comes back is a line for the user.
///
/// `default` is what stage0 sends when nothing was asked for, so a pod that may need no network starts without it.
pub fn check(networks: &str) -> Result<Option<&'static str>, NetworkError> {
    let mut notice = None;
    for network in networks.split(',') {
        match network.split(':').next().unwrap_or(network) {
            "none" => {}
            "default" => notice = Some(LOOPBACK_ONLY),
            "host" => return Err(NetworkError::Host),
            other => return Err(NetworkError::Unavailable(other.to_owned())),
        }
    }
    Ok(notice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_works_and_the_default_says_so() {
        assert_eq!(check("none"), Ok(None));
        assert_eq!(check("default"), Ok(Some(LOOPBACK_ONLY)));
        assert_eq!(check("host"), Err(NetworkError::Host));
        assert_eq!(check("default,lan:IP=1.2.3.4"), Err(NetworkError::Unavailable("lan".into())));
    }
}
