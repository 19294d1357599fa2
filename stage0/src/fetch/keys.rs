//! Public keys from files and web servers.

use super::{FetchError, Fetcher};
use crate::http;
use crate::trust::PublicKey;
use appc::ImageName;
use appc::discovery;

/// Longest key file.
const MAX_KEY: u64 = 4 << 20;

impl Fetcher<'_> {
    /// The key at a path or URL.
    pub fn fetch_key(&self, location: &str) -> Result<PublicKey, FetchError> {
        let Some((scheme, _)) = location.split_once("://") else {
            let bytes = std::fs::read(location)
                .map_err(|source| FetchError::KeyFile { location: location.to_owned(), source })?;
            return Ok(PublicKey::parse(&bytes, location)?);
        };
        let url = http::parse_url(location)?;
        if scheme == "http" && !self.settings.insecure.pubkey() {
            return Err(FetchError::PlainKey(location.to_owned()));
        }
        let mut request = self.request(&url)?;
        request.plain = self.settings.insecure.pubkey();
        let mut response = self.http.send(&request)?;
        if response.status != 200 {
            return Err(FetchError::Status { status: response.status, url: http::shown(&url) });
        }
        let failed = |source| FetchError::KeyFile { location: location.to_owned(), source };
        let bytes = response.body.read_all(MAX_KEY).map_err(failed)?;
        Ok(PublicKey::parse(&bytes, location)?)
    }

    /// The places where the keys of a prefix are, as its pages name them.
    pub fn discover_keys(&self, prefix: &ImageName) -> Result<Vec<String>, FetchError> {
        let found = self.search(prefix, |html| {
            let urls = discovery::key_endpoints(html, prefix);
            (!urls.is_empty()).then_some(urls)
        })?;
        found.ok_or_else(|| FetchError::NoKeys(prefix.name.to_string()))
    }
}
