//! Images of registries.

use super::layers::BlobSource;
use super::{FetchError, Fetcher, PullPolicy};
use crate::convert::Origin;
use crate::registry::manifest::{Config, Descriptor, Document, Manifest};
use crate::registry::{Digest, Reference, Registry};
use crate::store::{Key, Remote, now};
use std::io::Read;

/// Indexes of indexes are followed so deep.
const MAX_INDEXES: usize = 3;

impl BlobSource for Registry<'_> {
    fn open(&self, blob: &Descriptor, from: u64) -> Result<(Box<dyn Read + '_>, u64), FetchError> {
        let (body, start) = self.blob(&blob.digest, from)?;
        Ok((Box::new(body), start))
    }

    fn describe(&self, blob: &Descriptor) -> String {
        self.blob_url(&blob.digest)
    }
}

impl Fetcher<'_> {
    pub(super) fn docker(&self, reference: &Reference) -> Result<Key, FetchError> {
        let url = format!("docker://{reference}");
        let known = self.store.index().remote(&url)?;
        if let (Some(remote), PullPolicy::New | PullPolicy::Never) = (&known, self.settings.policy) {
            tracing::debug!(target: "image", "using image from local store for url {url}");
            return Ok(remote.key.clone());
        }
        if self.settings.policy == PullPolicy::Never {
            return Err(FetchError::NotLocal(url));
        }
        if self.verifies {
            return Err(FetchError::DockerSignature);
        }
        tracing::debug!(target: "image", "remote fetching from URL {url:?}");
        let credentials = self.registry_credentials(&reference.host);
        let registry = Registry::connect(&self.http, reference, self.settings.insecure.http(), credentials)?;
        let (manifest, digest) = pull_manifest(&registry, reference)?;
        if let Some(remote) = known.filter(|known| known.etag == digest.to_string()) {
            return Ok(remote.key);
        }
        let json = registry.small_blob(&manifest.config.digest, manifest.config.size)?;
        let config = Config::parse(&json, &manifest)?;
        let origin = Origin::registry(reference, digest.clone());
        let key = self.import_layers(&registry, &origin, &manifest, &config)?;
        self.store.index().set_remote(&Remote {
            url,
            signature_url: String::new(),
            etag: digest.to_string(),
            max_age: 0,
            download_time: now(),
            key: key.clone(),
        })?;
        Ok(key)
    }
}

/// The manifest for this host, through indexes.
fn pull_manifest(registry: &Registry<'_>, reference: &Reference) -> Result<(Manifest, Digest), FetchError> {
    let mut wanted = reference.wanted();
    for _ in 0..MAX_INDEXES {
        let bytes = registry.manifest(&wanted)?;
        match Document::parse(&bytes)? {
            Document::Manifest(manifest) => return Ok((manifest, Digest::of(&bytes))),
            Document::Index(index) => wanted = index.for_host()?.digest.to_string(),
        }
    }
    Err(FetchError::Indexes(reference.to_string()))
}
