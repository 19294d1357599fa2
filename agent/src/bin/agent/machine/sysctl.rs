//! Parameters of the guest's kernel (`os/unix/sysctl` of the pod; sysctl(8)).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use appc::{Isolator, Isolators};

/// Where parameters are files.
const PARAMETERS: &str = "/proc/sys";

/// A parameter that cannot be what the pod wants.
#[derive(Debug, thiserror::Error)]
#[error("Cannot set kernel parameter \"{name}\" to \"{value}\"")]
pub struct SysctlError {
    name: String,
    value: String,
    #[source]
    source: io::Error,
}

/// Sets what a pod's isolators ask for, in their order.
pub fn set(isolators: &Isolators) -> Result<(), SysctlError> {
    for isolator in isolators.iter() {
        let Isolator::Sysctl(parameters) = isolator else { continue };
        for (name, value) in parameters {
            let failed = |source| SysctlError { name: name.clone(), value: value.clone(), source };
            write(&path(name).map_err(failed)?, value).map_err(failed)?;
        }
    }
    Ok(())
}

/// `net.core.somaxconn`, or with slashes where a part has dots: `net/ipv4/conf/eth0.1/rp_filter`.
fn path(name: &str) -> io::Result<PathBuf> {
    let relative = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
    let plain = Path::new(&relative).components().all(|part| matches!(part, Component::Normal(_)));
    if relative.is_empty() || !plain {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(Path::new(PARAMETERS).join(relative))
}

fn write(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_dots_or_slashes_and_lead_nowhere_else() {
        for (name, expected) in [
            ("net.core.somaxconn", "/proc/sys/net/core/somaxconn"),
            ("net/ipv4/conf/eth0.1/rp_filter", "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"),
        ] {
            assert_eq!(path(name).unwrap(), Path::new(expected));
        }
        for hostile in ["", "/etc/passwd", "../../etc/passwd", "net/../../x"] {
            assert!(path(hostile).is_err(), "{hostile}");
        }
    }

    #[test]
    fn a_parameter_that_is_not_there_is_named() {
        let parameters = [("kernel.foo-not-there".to_owned(), "1".to_owned())].into();
        let error = set(&Isolators(vec![Isolator::Sysctl(parameters)])).unwrap_err();
        let expected = "Cannot set kernel parameter \"kernel.foo-not-there\" to \"1\": \
                        No such file or directory (os error 2)";
        assert_eq!(crate::failure::line(&error), expected);
    }
}
