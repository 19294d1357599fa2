//! The appc specification's types: image and pod manifests, names, quantities, isolators, discovery.
//!
//! No I/O happens here. Manifests come in through [`ImageManifest::from_slice`] and
//! [`PodManifest::from_slice`], which take keys in any case as the original did, ignore unknown ones and validate;
//! they go out through `to_vec`, which validates again.

pub mod app;
pub mod discovery;
pub mod error;
pub mod image_manifest;
pub mod image_name;
pub mod isolator;
pub mod pod_manifest;
pub mod types;
pub mod volume;

mod keys;
mod null;

pub use app::{App, EventHandler, EventHandlerName, Port};
pub use error::ManifestError;
pub use image_manifest::{Dependency, ImageManifest};
pub use image_name::{ImageName, ImageNameError};
pub use isolator::{Isolator, Isolators};
pub use pod_manifest::{ExposedPort, PodManifest, RuntimeApp, RuntimeImage};
pub use types::{
    AcIdentifier, AcKind, AcName, Annotations, Environment, EnvironmentVariable, Hash, Label, Labels,
    Quantity, SemVer, ValueError,
};
pub use volume::{Mount, MountPoint, Volume, VolumeKind};
