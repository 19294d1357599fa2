//! Meta discovery: finding out where an image of some name is (rkt-reference 6.3).

use super::verify::Expectation;
use super::web::SignatureSource;
use super::{FetchError, Fetcher, PullPolicy};
use crate::http::{self, HttpError};
use crate::store::Key;
use crate::trust::{Scope, TrustError};
use appc::ImageName;
use appc::discovery::{self, ImageEndpoint};

/// Longest page looked at.
const MAX_PAGE: u64 = 1 << 20;

impl Fetcher<'_> {
    /// An image by its name.
    pub(super) fn name(&self, name: &ImageName) -> Result<Key, FetchError> {
        if self.settings.policy != PullPolicy::Update
            && let Some(key) = self.store.find_name(&name.name, &name.labels)?
        {
            tracing::debug!(target: "image", "using image from local store for image name {}", shown(name));
            return Ok(key);
        }
        if self.settings.policy == PullPolicy::Never {
            return Err(FetchError::NotLocal(format!("image from image name {:?}", shown(name))));
        }
        tracing::debug!(target: "image", "searching for app image {}", name.name);
        let endpoint = self.endpoint(name).map_err(|e| FetchError::name(name, e))?;
        if self.verifies {
            self.find_keys(name)?;
        }
        self.endpoint_image(name, &endpoint).map_err(|e| FetchError::name(name, e))
    }

    fn endpoint_image(&self, name: &ImageName, endpoint: &ImageEndpoint) -> Result<Key, FetchError> {
        let url = http::parse_url(&endpoint.aci)?;
        let signature = SignatureSource::Url(http::parse_url(&endpoint.signature)?);
        let known = self.store.index().remote(url.as_str())?;
        let latest = name.labels.get("version").is_none();
        self.web(&url, &signature, known, &Expectation { name: Some(name), latest })
    }

    /// The first place any page names for the image.
    fn endpoint(&self, name: &ImageName) -> Result<ImageEndpoint, FetchError> {
        // Templates fall back to "latest"; the image then found need not carry that as its label.
        let mut asked = name.clone();
        if let (None, Ok(label)) = (name.labels.get("version"), "version".parse()) {
            asked.labels.set(label, "latest");
        }
        let found = self.search(name, |html| discovery::image_endpoints(html, &asked).into_iter().next())?;
        found.ok_or_else(|| FetchError::NoEndpoint(name.name.to_string()))
    }

    /// Looks at the pages for a name, longest first, until one yields something. The error of the last page tells why
    /// there was none.
    pub(super) fn search<T>(
        &self,
        name: &ImageName,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Result<Option<T>, FetchError> {
        let mut failure = None;
        for place in discovery::candidates(name.name.as_str()) {
            match self.page(place) {
                Ok(html) => {
                    if let Some(found) = find(&html) {
                        return Ok(Some(found));
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// The page at a place, by https, or by http if that is allowed.
    fn page(&self, place: &str) -> Result<String, FetchError> {
        match self.page_by("https", place) {
            Err(FetchError::Http(HttpError::Request { .. })) if self.settings.insecure.http() => {
                self.page_by("http", place)
            }
            result => result,
        }
    }

    fn page_by(&self, scheme: &str, place: &str) -> Result<String, FetchError> {
        let url = http::parse_url(&format!("{scheme}://{place}?ac-discovery=1"))?;
        let mut response = self.http.send(&self.request(&url)?)?;
        if response.status != 200 {
            return Err(FetchError::Status { status: response.status, url: http::shown(&url) });
        }
        let bytes = response.body.read_all(MAX_PAGE);
        let bytes = bytes.map_err(|source| FetchError::Download { name: http::shown(&url), source })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Fetches the keys a page names for the image, unless some key covers it already.
    fn find_keys(&self, name: &ImageName) -> Result<(), FetchError> {
        if !self.settings.keystore.keys_for(&name.name)?.is_empty() {
            return Ok(());
        }
        // Without keys the signature will not be accepted, which says more than a page that cannot be reached.
        let Ok(urls) = self.discover_keys(name) else { return Ok(()) };
        for url in urls {
            let trusted = self.settings.trust_keys_from_https && url.starts_with("https://");
            let key = self.fetch_key(&url)?;
            if trusted || crate::trust::review(&key, name.name.as_str(), &url).map_err(TrustError::from)? {
                self.settings.keystore.trust(&key, &Scope::Prefix(name.name.clone()))?;
            }
        }
        Ok(())
    }
}

/// A name as the user wrote it: without this host's own labels.
pub(super) fn shown(name: &ImageName) -> String {
    let mut name = name.clone();
    name.labels.0.retain(|l| match l.name.as_str() {
        "os" => l.value != "linux",
        "arch" => l.value != super::host_arch(),
        _ => true,
    });
    name.to_string()
}
