//! The kinds of manifest.

use serde::{Deserialize, Serialize};

/// Which manifest a JSON document claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AcKind {
    /// An image's manifest.
    ImageManifest,
    /// A pod's manifest.
    PodManifest,
}
