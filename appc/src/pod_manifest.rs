//! The manifest of a pod.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::app::{App, Port, absolute};
use crate::error::{AppError, ManifestError};
use crate::isolator::Isolators;
use crate::keys;
use crate::null;
use crate::types::{AcIdentifier, AcKind, AcName, Annotations, Hash, Labels, SemVer};
use crate::volume::{Mount, Volume};

/// The manifest of a pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodManifest {
    /// The version of the specification it was written for.
    pub ac_version: SemVer,
    /// [`AcKind::PodManifest`].
    pub ac_kind: AcKind,
    /// The apps, in the order they were given.
    #[serde(default, deserialize_with = "null::as_default")]
    pub apps: Vec<RuntimeApp>,
    /// Volumes that apps mount by name.
    #[serde(default, deserialize_with = "null::as_default", serialize_with = "null::if_default")]
    pub volumes: Vec<Volume>,
    /// Limits of the pod as a whole.
    #[serde(default, deserialize_with = "null::as_default", serialize_with = "null::if_default")]
    pub isolators: Isolators,
    /// Metadata.
    #[serde(default, deserialize_with = "null::as_default", serialize_with = "null::if_default")]
    pub annotations: Annotations,
    /// Ports forwarded from the host.
    #[serde(default, deserialize_with = "null::as_default", serialize_with = "null::if_default")]
    pub ports: Vec<ExposedPort>,
    /// Free annotations of users.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null::as_default")]
    pub user_annotations: BTreeMap<String, String>,
    /// Free labels of users.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null::as_default")]
    pub user_labels: BTreeMap<String, String>,
}

/// An app of a pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeApp {
    /// Its name, unique in the pod.
    pub name: AcName,
    /// The image it comes from.
    pub image: RuntimeImage,
    /// How it runs; replaces the image's own section completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
    /// Whether the root file system cannot be written.
    #[serde(rename = "readOnlyRootFS", default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only_root_fs: bool,
    /// Volumes beside those of the image's mount points.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub mounts: Vec<Mount>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Annotations::is_empty", deserialize_with = "null::as_default")]
    pub annotations: Annotations,
}

/// Which image an app comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeImage {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<AcIdentifier>,
    /// Its id.
    pub id: Hash,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty", deserialize_with = "null::as_default")]
    pub labels: Labels,
}

/// A port of the host that leads to one of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExposedPort {
    /// The name of the app's port.
    pub name: AcName,
    /// The host's port.
    pub host_port: u32,
    /// The host's address, all of them if not said.
    #[serde(rename = "hostIP", default, skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<IpAddr>,
    /// The pod's port, looked up by name in the apps if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_port: Option<Port>,
}

impl Default for PodManifest {
    fn default() -> Self {
        Self {
            ac_version: SemVer::of_spec(),
            ac_kind: AcKind::PodManifest,
            apps: Vec::new(),
            volumes: Vec::new(),
            isolators: Isolators::default(),
            annotations: Annotations::default(),
            ports: Vec::new(),
            user_annotations: BTreeMap::new(),
            user_labels: BTreeMap::new(),
        }
    }
}

impl PodManifest {
    /// Reads and validates a manifest.
    pub fn from_slice(json: &[u8]) -> Result<Self, ManifestError> {
        let malformed = |source| ManifestError::Json { kind: AcKind::PodManifest, source };
        let mut value = serde_json::from_slice(json).map_err(malformed)?;
        keys::spell_pod_manifest(&mut value);
        let manifest: Self = serde_json::from_value(value).map_err(malformed)?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Validates the manifest and writes it in one line.
    pub fn to_vec(&self) -> Result<Vec<u8>, ManifestError> {
        self.validate()?;
        serde_json::to_vec(self).map_err(|source| ManifestError::Json { kind: AcKind::PodManifest, source })
    }

    /// The app named `name`.
    pub fn app(&self, name: &str) -> Option<&RuntimeApp> {
        self.apps.iter().find(|app| app.name == name)
    }

    /// Checks the rules of the specification.
    pub fn validate(&self) -> Result<(), ManifestError> {
        if self.ac_kind != AcKind::PodManifest {
            return Err(ManifestError::Kind { expected: AcKind::PodManifest, found: self.ac_kind });
        }
        if self.ac_version.is_zero() {
            return Err(ManifestError::ZeroVersion);
        }
        let mut names = BTreeSet::new();
        for app in &self.apps {
            if !names.insert(&app.name) {
                return Err(ManifestError::DuplicateApp(app.name.clone()));
            }
            app.validate().map_err(|source| ManifestError::RuntimeApp { name: app.name.clone(), source })?;
        }
        let mut volumes = BTreeSet::new();
        if let Some(twice) = self.volumes.iter().find(|volume| !volumes.insert(&volume.name)) {
            return Err(ManifestError::DuplicateVolume(twice.name.clone()));
        }
        self.isolators.validate()?;
        self.annotations.validate().map_err(|source| ManifestError::Value { part: "annotations", source })?;
        self.ports.iter().try_for_each(ExposedPort::validate)
    }
}

impl RuntimeApp {
    fn validate(&self) -> Result<(), AppError> {
        if let Some(app) = &self.app {
            app.validate()?;
        }
        for mount in &self.mounts {
            absolute("Path of mount", &mount.path)?;
        }
        self.annotations.validate().map_err(AppError::Annotations)
    }
}

impl ExposedPort {
    fn validate(&self) -> Result<(), ManifestError> {
        if !(1..=65535).contains(&self.host_port) {
            return Err(ManifestError::HostPort { name: self.name.clone(), port: self.host_port });
        }
        match &self.pod_port {
            Some(port) => Ok(port.validate()?),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
