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

/// Checks that the pod can have the networks of `--net`.
pub fn check(networks: &str) -> Result<(), NetworkError> {
    let names = networks.split(',').map(|network| network.split(':').next().unwrap_or(network));
    for name in names {
        match name {
            "none" => {}
            "host" => return Err(NetworkError::Host),
            other => return Err(NetworkError::Unavailable(other.to_owned())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_none_works() {
        assert_eq!(check("none"), Ok(()));
        assert_eq!(check("host"), Err(NetworkError::Host));
        assert_eq!(check("default"), Err(NetworkError::Unavailable("default".into())));
        assert_eq!(check("none,lan:IP=1.2.3.4"), Err(NetworkError::Unavailable("lan".into())));
    }
}
