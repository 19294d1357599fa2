//! ACIs on web servers (rkt-reference 6.4).

use super::partial::Partial;
use super::verify::{Expectation, MAX_SIGNATURE};
use super::{FetchError, Fetcher, PullPolicy};
use crate::http::{Request, Response, shown};
use crate::store::{Key, Remote, now};
use std::io;
use url::Url;

const SECOND: i64 = 1_000_000_000;

/// What came back for a signature.
enum Signature {
    Here(Vec<u8>),
    /// The server makes it while the image is downloaded (status 202).
    Deferred,
}

impl Fetcher<'_> {
    /// An image by its URL; its signature has the same with `.asc` added.
    pub(super) fn url(&self, url: &Url, signature: Option<&std::path::Path>) -> Result<Key, FetchError> {
        let known = self.store.index().remote(url.as_str())?;
        if let (Some(remote), PullPolicy::New | PullPolicy::Never) = (&known, self.settings.policy) {
            tracing::debug!(target: "image", "using image from local store for url {url}");
            return Ok(remote.key.clone());
        }
        if self.settings.policy == PullPolicy::Never {
            return Err(FetchError::NotLocal(url.to_string()));
        }
        let signature = match signature {
            None => SignatureSource::Url(beside(url)?),
            Some(path) => SignatureSource::File(path.to_path_buf()),
        };
        self.web(url, &signature, known, &Expectation::default())
    }

    /// Downloads `url` unless what is `known` of it is still right.
    pub(super) fn web(
        &self,
        url: &Url,
        signature: &SignatureSource,
        known: Option<Remote>,
        expected: &Expectation<'_>,
    ) -> Result<Key, FetchError> {
        if let Some(remote) = known.as_ref().filter(|remote| is_fresh(remote)) {
            tracing::info!(target: "image", "image for {url} isn't expired, not fetching.");
            return Ok(remote.key.clone());
        }
        tracing::debug!(target: "image", "remote fetching from URL {:?}", url.as_str());
        let early = match self.verifies {
            true => Some(self.signature(signature)?),
            false => None,
        };
        let mut partial = Partial::lock(self.store, url)?;
        let mut response = self.ask(url, known.as_ref(), &partial)?;
        if let (304, Some(remote)) = (response.status, known) {
            let remote = Remote { max_age: max_age(&response), download_time: now(), ..remote };
            self.store.index().set_remote(&remote)?;
            return Ok(remote.key);
        }
        self.receive(url, &mut response, &mut partial)?;
        let signature = match early {
            None => None,
            Some(Signature::Here(bytes)) => Some(bytes),
            Some(Signature::Deferred) => match self.signature(signature)? {
                Signature::Here(bytes) => Some(bytes),
                Signature::Deferred => return Err(FetchError::StillDeferred(url.to_string())),
            },
        };
        let taken = self.take(partial.reader()?, signature.as_deref(), expected);
        // Complete, whether good or bad: there is nothing to resume.
        partial.remove();
        let key = taken?.key;
        self.store.index().set_remote(&Remote {
            url: url.to_string(),
            signature_url: beside(url)?.to_string(),
            etag: response.header("etag").unwrap_or_default().to_owned(),
            max_age: max_age(&response),
            download_time: now(),
            key: key.clone(),
        })?;
        Ok(key)
    }

    /// Asks for the image: whether it changed, and if it did, for what is not there yet.
    fn ask(&self, url: &Url, known: Option<&Remote>, partial: &Partial) -> Result<Response, FetchError> {
        let mut request = self.request(url)?;
        if let Some(remote) = known.filter(|remote| !remote.etag.is_empty()) {
            request = request.header("If-None-Match", remote.etag.clone());
        } else if let Some((from, validator)) = partial.resumable()? {
            // The server decides: the rest if the image is still the same one, else all of it.
            request = request.header("Range", format!("bytes={from}-")).header("If-Range", validator);
        }
        let response = self.http.send(&request)?;
        match response.status {
            200 | 206 | 304 => Ok(response),
            status => Err(FetchError::Status { status, url: shown(url) }),
        }
    }

    /// A request with the credentials configured for its host.
    pub(super) fn request<'r>(&self, url: &Url) -> Result<Request<'r>, FetchError> {
        // A user who writes http has said so; https never falls back to it.
        let plain = url.scheme() == "http" || self.settings.insecure.http();
        let mut request = Request::get(url.clone(), plain);
        for (name, value) in self.settings.config.headers(url, false)? {
            request = request.secret(name, value);
        }
        Ok(request)
    }

    fn receive(&self, url: &Url, response: &mut Response, partial: &mut Partial) -> Result<(), FetchError> {
        let start = partial.start(response)?;
        let total = response.length().map(|length| length.saturating_add(start));
        if total.is_some_and(|total| total > self.limits.bytes) {
            return Err(FetchError::TooLong { url: shown(url), limit: self.limits.bytes });
        }
        let name = url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default();
        let transfer = self.progress.transfer(name, total, start);
        let left = self.limits.bytes.saturating_sub(start);
        let mut body = transfer.count(io::Read::take(&mut response.body, left.saturating_add(1)));
        let failed = |source| FetchError::Download { name: shown(url), source };
        let copied = io::copy(&mut body, partial.file()).map_err(failed)?;
        if copied > left {
            // More of it would not help.
            partial.remove();
            return Err(FetchError::TooLong { url: shown(url), limit: self.limits.bytes });
        }
        Ok(())
    }

    fn signature(&self, source: &SignatureSource) -> Result<Signature, FetchError> {
        let url = match source {
            SignatureSource::Url(url) => url,
            SignatureSource::File(path) => {
                let bytes = std::fs::read(path)
                    .map_err(|source| FetchError::SignatureFile { path: path.clone(), source })?;
                return Ok(Signature::Here(bytes));
            }
        };
        let failed = |source| FetchError::SignatureDownload { url: shown(url), source };
        let mut response = self.http.send(&self.request(url)?)?;
        match response.status {
            200 => Ok(Signature::Here(response.body.read_all(MAX_SIGNATURE).map_err(failed)?)),
            202 => {
                tracing::info!(target: "image", "server requested deferring the signature download");
                Ok(Signature::Deferred)
            }
            status => Err(failed(io::Error::other(format!("bad HTTP status code: {status}")))),
        }
    }
}

/// Where a signature is.
#[derive(Debug)]
pub(super) enum SignatureSource {
    /// On a web server.
    Url(Url),
    /// In a file the user named.
    File(std::path::PathBuf),
}

/// The URL with `.asc` added to its path.
fn beside(url: &Url) -> Result<Url, FetchError> {
    let mut signature = url.clone();
    signature.set_path(&format!("{}.asc", url.path()));
    Ok(signature)
}

/// `Cache-Control: max-age` in seconds; 0 if the server says to ask each time.
fn max_age(response: &Response) -> u64 {
    let control = response.header("cache-control").unwrap_or_default().to_ascii_lowercase();
    let mut directives = control.split(',').map(str::trim);
    if directives.clone().any(|d| matches!(d, "no-store" | "no-cache")) {
        return 0;
    }
    directives.find_map(|d| d.strip_prefix("max-age=")?.parse().ok()).unwrap_or(0)
}

fn is_fresh(remote: &Remote) -> bool {
    let age = now().saturating_sub(remote.download_time);
    let max_age = i64::try_from(remote.max_age).unwrap_or(i64::MAX).saturating_mul(SECOND);
    (0..max_age).contains(&age)
}
