//! The manifest of an image.

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::ManifestError;
use crate::keys;
use crate::null;
use crate::types::{AcIdentifier, AcKind, Annotations, Hash, Labels, SemVer};

/// The manifest of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// [`AcKind::ImageManifest`].
    pub ac_kind: AcKind,
    /// The version of the specification it was written for.
    pub ac_version: SemVer,
    /// The image's name.
    pub name: AcIdentifier,
    /// What distinguishes it from others of its name.
    #[serde(default, skip_serializing_if = "Labels::is_empty", deserialize_with = "null::as_default")]
    pub labels: Labels,
    /// What runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Annotations::is_empty", deserialize_with = "null::as_default")]
    pub annotations: Annotations,
    /// Images beneath this one, later ones over earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub dependencies: Vec<Dependency>,
    /// If not empty, the only paths that stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub path_whitelist: Vec<String>,
}

/// An image beneath another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Its name.
    pub image_name: AcIdentifier,
    /// Exactly this image.
    #[serde(rename = "imageID", default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<Hash>,
    /// Labels it must have.
    #[serde(default, skip_serializing_if = "Labels::is_empty", deserialize_with = "null::as_default")]
    pub labels: Labels,
    /// Size of the uncompressed image in bytes; 0 if not said.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
}

fn is_zero(size: &u64) -> bool {
    *size == 0
}

impl ImageManifest {
    /// A manifest with nothing but a name.
    pub fn new(name: AcIdentifier) -> Self {
        Self {
            ac_kind: AcKind::ImageManifest,
            ac_version: SemVer::of_spec(),
            name,
            labels: Labels::default(),
            app: None,
            annotations: Annotations::default(),
            dependencies: Vec::new(),
            path_whitelist: Vec::new(),
        }
    }

    /// Reads and validates a manifest.
    pub fn from_slice(json: &[u8]) -> Result<Self, ManifestError> {
        let malformed = |source| ManifestError::Json { kind: AcKind::ImageManifest, source };
        let mut value = serde_json::from_slice(json).map_err(malformed)?;
        keys::spell_image_manifest(&mut value);
        let manifest: Self = serde_json::from_value(value).map_err(malformed)?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Validates the manifest and writes it in one line.
    pub fn to_vec(&self) -> Result<Vec<u8>, ManifestError> {
        self.validate()?;
        serde_json::to_vec(self).map_err(|source| ManifestError::Json { kind: AcKind::ImageManifest, source })
    }

    /// Checks the rules of the specification.
    pub fn validate(&self) -> Result<(), ManifestError> {
        if self.ac_kind != AcKind::ImageManifest {
            return Err(ManifestError::Kind { expected: AcKind::ImageManifest, found: self.ac_kind });
        }
        if self.ac_version.is_zero() {
            return Err(ManifestError::ZeroVersion);
        }
        let value = |part| move |source| ManifestError::Value { part, source };
        self.labels.validate().map_err(value("labels"))?;
        self.annotations.validate().map_err(value("annotations"))?;
        for dependency in &self.dependencies {
            dependency.labels.validate().map_err(value("labels of a dependency"))?;
        }
        if let Some(path) = self.path_whitelist.iter().find(|path| !path.starts_with('/')) {
            return Err(ManifestError::WhitelistPath(path.clone()));
        }
        if let Some(app) = &self.app {
            app.validate()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
