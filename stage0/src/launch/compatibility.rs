//! Which images run here (reference §2.7).

use appc::Labels;

const OS: &str = "linux";
const ARCHES: &[&str] = &["amd64", "i386", "aarch64", "aarch64_be", "armv6l", "armv7l", "armv7b", "ppc64le"];

/// Why an image does not run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncompatibleImage {
    /// No operating system.
    #[error("missing os label in the image manifest")]
    NoOs,
    /// No architecture.
    #[error("missing arch label in the image manifest")]
    NoArch,
    /// Another operating system.
    #[error("bad os \"{0}\" (must be one of {OS})")]
    Os(String),
    /// An architecture Linux images do not have.
    #[error("bad arch \"{arch}\" (must be one of {})", ARCHES.join(", "))]
    Arch {
        /// The label's value.
        arch: String,
    },
}

/// Checks the labels of an app's image.
pub fn check_image(labels: &Labels) -> Result<(), IncompatibleImage> {
    let os = labels.get("os").ok_or(IncompatibleImage::NoOs)?;
    let arch = labels.get("arch").ok_or(IncompatibleImage::NoArch)?;
    if os != OS {
        return Err(IncompatibleImage::Os(os.to_owned()));
    }
    if !ARCHES.contains(&arch) {
        return Err(IncompatibleImage::Arch { arch: arch.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_labels_are_needed_and_checked() {
        let check = |pairs: &[(&str, &str)]| {
            let mut labels = Labels::default();
            pairs.iter().for_each(|(name, value)| labels.set(name.parse().unwrap(), *value));
            check_image(&labels).map_err(|error| error.to_string())
        };
        assert_eq!(check(&[("os", "linux"), ("arch", "amd64")]), Ok(()));
        assert_eq!(check(&[("arch", "amd64")]).unwrap_err(), "missing os label in the image manifest");
        assert_eq!(check(&[("os", "linux")]).unwrap_err(), "missing arch label in the image manifest");
        assert!(
            check(&[("os", "freebsd"), ("arch", "amd64")]).unwrap_err().starts_with("bad os \"freebsd\"")
        );
        assert!(check(&[("os", "linux"), ("arch", "s390x")]).unwrap_err().starts_with("bad arch \"s390x\""));
    }
}
