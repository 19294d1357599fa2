//! What a stage1 image offers: the annotations of its manifest (reference §3.1).

use std::path::{Component, Path, PathBuf};

use appc::{ImageManifest, ManifestError};

/// The annotation with the version of the interface.
const VERSION: &str = "coreos.com/rkt/stage1/interface-version";

/// What stage1 is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrypoint {
    /// Run the pod.
    Run,
    /// Run a program in a running pod.
    Enter,
    /// Connect with the streams of a running app.
    Attach,
    /// Clean up after a pod.
    Gc,
    /// Stop a running pod.
    Stop,
    /// Add an app to a running pod.
    AppAdd,
    /// Start an app of a running pod.
    AppStart,
    /// End an app of a running pod.
    AppStop,
    /// Remove an app from a running pod.
    AppRemove,
    /// Tell which processes a running pod has.
    Top,
    /// Tell what a running pod uses.
    Stats,
}

impl Entrypoint {
    /// The entrypoint's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Enter => "enter",
            Self::Attach => "attach",
            Self::Gc => "gc",
            Self::Stop => "stop",
            Self::AppAdd => "app/add",
            Self::AppStart => "app/start",
            Self::AppStop => "app/stop",
            Self::AppRemove => "app/rm",
            Self::Top => "top",
            Self::Stats => "stats",
        }
    }
}

/// Why a stage1 image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// The manifest in the pod cannot be read.
    #[error("Cannot read stage1 manifest \"{}\"", path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The manifest is damaged.
    #[error("Cannot use the manifest of stage1")]
    Manifest(#[from] ManifestError),
    /// The image lacks an annotation.
    #[error("rkt {} not implemented for pod's stage1", entrypoint.name())]
    NoEntrypoint {
        /// What was to be called.
        entrypoint: Entrypoint,
    },
    /// An annotation that leads out of the image.
    #[error("Entrypoint {} of stage1 is \"{path}\", which is not an absolute path within it", entrypoint.name())]
    Path {
        /// What was to be called.
        entrypoint: Entrypoint,
        /// The annotation's value.
        path: String,
    },
    /// The apps of its pods cannot change.
    #[error("stage1 does not support mutable pods")]
    Immutable,
    /// The version is no number.
    #[error("Annotation {VERSION} of stage1 is \"{0}\", which is not a number")]
    Version(String),
}

/// A stage1 image's manifest.
#[derive(Debug)]
pub struct Stage1 {
    manifest: ImageManifest,
}

impl Stage1 {
    /// The stage1 of the pod in directory `pod`.
    pub fn of_pod(pod: &Path) -> Result<Self, InterfaceError> {
        let path = pod.join("stage1/manifest");
        let json = std::fs::read(&path).map_err(|source| InterfaceError::Read { path, source })?;
        Ok(Self { manifest: ImageManifest::from_slice(&json)? })
    }

    /// The stage1 of an image.
    pub fn of_image(manifest: ImageManifest) -> Self {
        Self { manifest }
    }

    /// Whether the apps of its pods can change while they run.
    pub fn check_mutable(&self) -> Result<(), InterfaceError> {
        let needed = [Entrypoint::AppRemove, Entrypoint::AppStart, Entrypoint::AppStop];
        match needed.into_iter().all(|entrypoint| self.entrypoint(entrypoint).is_ok()) {
            true => Ok(()),
            false => Err(InterfaceError::Immutable),
        }
    }

    /// The path of an entrypoint within the root file system of stage1.
    pub fn entrypoint(&self, entrypoint: Entrypoint) -> Result<&Path, InterfaceError> {
        let annotation = format!("coreos.com/rkt/stage1/{}", entrypoint.name());
        let path =
            self.manifest.annotations.get(&annotation).ok_or(InterfaceError::NoEntrypoint { entrypoint })?;
        let inside = path.strip_prefix('/').map(Path::new);
        inside
            .filter(|inside| inside.components().all(|part| matches!(part, Component::Normal(_))))
            .filter(|inside| !inside.as_os_str().is_empty())
            .ok_or_else(|| InterfaceError::Path { entrypoint, path: path.to_owned() })
    }

    /// The version of the interface it implements; 1 if it does not say.
    pub fn version(&self) -> Result<u32, InterfaceError> {
        match self.manifest.annotations.get(VERSION) {
            None => Ok(1),
            Some(text) => text.parse().map_err(|_| InterfaceError::Version(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage1(annotations: &[(&str, &str)]) -> Stage1 {
        let mut manifest = ImageManifest::new("example.com/stage1".parse().unwrap());
        for (name, value) in annotations {
            manifest.annotations.set(name.parse().unwrap(), *value);
        }
        Stage1 { manifest }
    }

    #[test]
    fn entrypoints_stay_within_the_image() {
        let of = |path| {
            let stage1 = stage1(&[("coreos.com/rkt/stage1/run", path)]);
            stage1.entrypoint(Entrypoint::Run).map(Path::to_owned).map_err(|error| error.to_string())
        };
        assert_eq!(of("/usr/lib/rkt/run").unwrap(), Path::new("usr/lib/rkt/run"));
        for bad in ["", "/", "run", "/../run", "/a/../../run"] {
            assert!(of(bad).unwrap_err().contains("not an absolute path within it"), "{bad}");
        }
        let error = stage1(&[]).entrypoint(Entrypoint::Stop).unwrap_err().to_string();
        assert_eq!(error, "rkt stop not implemented for pod's stage1");
    }

    #[test]
    fn pods_can_change_if_every_entrypoint_for_it_is_there() {
        let of = |names: &[&str]| {
            let annotations: Vec<_> =
                names.iter().map(|name| (format!("coreos.com/rkt/stage1/app/{name}"), "/x")).collect();
            let annotations: Vec<_> =
                annotations.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            stage1(&annotations).check_mutable().map_err(|error| error.to_string())
        };
        assert_eq!(of(&["add", "rm", "start", "stop"]), Ok(()));
        assert_eq!(of(&["rm", "start"]).unwrap_err(), "stage1 does not support mutable pods");
    }

    #[test]
    fn the_version_is_one_if_not_said() {
        assert_eq!(stage1(&[]).version().unwrap(), 1);
        assert_eq!(stage1(&[(VERSION, "6")]).version().unwrap(), 6);
        assert!(stage1(&[(VERSION, "six")]).version().is_err());
    }
}
