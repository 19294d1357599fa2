//! Images named on the command line.

use std::path::Path;

use super::GlobalFlags;
use crate::fetch::{Fetcher, PullPolicy};
use crate::store::{Key, Store};

/// Finds images, fetching them where that is allowed.
#[derive(Debug)]
pub struct Images<'a> {
    /// Where images are kept.
    pub store: &'a Store,
    fetcher: Fetcher<'a>,
}

impl<'a> Images<'a> {
    /// Finds images as the flags of a command say.
    pub fn new(store: &'a Store, global: &GlobalFlags, policy: PullPolicy) -> Self {
        Self { store, fetcher: Fetcher::new(store, global.insecure_options, policy) }
    }

    /// The image a user means; `signature` is a detached signature of it.
    pub fn find(&self, image: &str, signature: Option<&Path>) -> anyhow::Result<Key> {
        Ok(self.fetcher.fetch(image, signature)?)
    }

    /// Imports a file without asking for a signature.
    pub fn import(&self, path: &Path) -> anyhow::Result<Key> {
        Ok(self.fetcher.import_trusted(path)?)
    }
}
