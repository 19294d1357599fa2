//! Images named on the command line.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use appc::{Hash, ImageName};

use super::GlobalFlags;
use crate::archive::Limits;
use crate::store::{Key, Store};

/// Finds images, fetching them where that is allowed.
#[derive(Debug)]
pub struct Images<'a> {
    /// Where images are kept.
    pub store: &'a Store,
    /// What every command takes.
    pub global: &'a GlobalFlags,
}

impl Images<'_> {
    /// The image a user means.
    pub fn find(&self, image: &str) -> anyhow::Result<Key> {
        if let Ok(hash) = image.parse::<Hash>() {
            return Ok(self.store.find_key(&hash)?);
        }
        let path = Path::new(image);
        if path.is_file() {
            anyhow::ensure!(
                self.global.insecure_options.image(),
                "cannot verify image \"{image}\" without a signature (try --insecure-options=image)"
            );
            return self.import(path);
        }
        let name: ImageName = image.parse()?;
        let found = self.store.find_name(&name.name, &name.labels)?;
        found.with_context(|| format!("unable to fetch image from image name \"{image}\": not in the store"))
    }

    /// Imports a file without asking for a signature.
    pub fn import(&self, path: &Path) -> anyhow::Result<Key> {
        tracing::debug!(target: "image", "using image from file {}", path.display());
        let file = File::open(path).with_context(|| format!("error opening file \"{}\"", path.display()))?;
        let imported = self.store.import(file, Limits::default(), false);
        Ok(imported.with_context(|| format!("error importing \"{}\"", path.display()))?.key)
    }
}
