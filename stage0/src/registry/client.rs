//! Pulling from a registry (OCI distribution-spec, "Pull").

use super::challenge::Challenge;
use super::digest::Digest;
use super::manifest::ACCEPTED;
use super::reference::Reference;
use crate::archive::limits::MAX_MANIFEST;
use crate::http::{self, Body, Client, HttpError, Request, Response};
use base64::Engine;
use serde::Deserialize;
use std::io;
use std::sync::{Mutex, PoisonError};
use url::Url;

/// Longest answer of a token server.
const MAX_TOKEN: u64 = 1 << 20;

/// A user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user; empty for an identity token.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    /// The value of an `Authorization` header (RFC 7617).
    pub fn basic(&self) -> String {
        let text = format!("{}:{}", self.user, self.password);
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    }
}

/// Why something cannot be pulled.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A request failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A body could not be read.
    #[error("Cannot read answer of {url}")]
    Body {
        /// Whose answer.
        url: String,
        /// What happened.
        source: io::Error,
    },
    /// The registry answers with an error.
    #[error("bad HTTP status code: {status} for {url}{detail}")]
    Status {
        /// The status.
        status: u16,
        /// What was asked for.
        url: String,
        /// What the registry says about it, with a leading colon.
        detail: String,
    },
    /// The registry wants credentials.
    #[error("Registry {0} wants credentials: configure dockerAuth for it, or log in with docker or podman")]
    Unauthorized(String),
    /// The token server's answer is of no use.
    #[error("Token server {0} sends no token")]
    NoToken(String),
    /// The content is not what was asked for.
    #[error("{url} has digest {found}, expected {expected}")]
    Digest {
        /// What was asked for.
        url: String,
        /// The digest asked for.
        expected: Digest,
        /// The content's.
        found: Digest,
    },
    /// The content is not as long as announced.
    #[error("{url} has {found} bytes, expected {expected}")]
    Size {
        /// What was asked for.
        url: String,
        /// The descriptor's length.
        expected: u64,
        /// The content's, or more.
        found: u64,
    },
}

/// One repository of a registry.
#[derive(Debug)]
pub struct Registry<'a> {
    http: &'a Client,
    host: String,
    base: Url,
    repository: String,
    plain: bool,
    credentials: Option<Credentials>,
    /// The `Authorization` header that worked last.
    authorization: Mutex<Option<String>>,
}

impl<'a> Registry<'a> {
    /// Finds out how the registry of `reference` is reached: by https, or by http if `plain` allows that.
    pub fn connect(
        http: &'a Client,
        reference: &Reference,
        plain: bool,
        credentials: Option<Credentials>,
    ) -> Result<Self, RegistryError> {
        let mut failed = None;
        for scheme in ["https", "http"] {
            if scheme == "http" && !plain {
                break;
            }
            let base = http::parse_url(&format!("{scheme}://{}/v2/", reference.host))?;
            // Any answer will do: what it says about access comes up again with each request.
            match http.send(&Request::get(base.clone(), plain)) {
                Ok(_) => {
                    return Ok(Registry {
                        http,
                        host: reference.host.clone(),
                        base,
                        repository: reference.repository.clone(),
                        plain,
                        credentials,
                        authorization: Mutex::new(None),
                    });
                }
                Err(e) => drop(failed.get_or_insert(e)),
            }
        }
        Err(failed.map_or_else(|| RegistryError::Unauthorized(reference.host.clone()), Into::into))
    }

    /// The manifest or index with this tag or digest.
    pub fn manifest(&self, wanted: &str) -> Result<Vec<u8>, RegistryError> {
        let url = self.url("manifests", wanted)?;
        let mut response = self.get(Request::get(url, self.plain).header("Accept", ACCEPTED))?;
        let shown = http::shown(&response.url);
        let bytes = response
            .body
            .read_all(MAX_MANIFEST)
            .map_err(|source| RegistryError::Body { url: shown.clone(), source })?;
        if let Ok(expected) = wanted.parse::<Digest>() {
            let found = Digest::of(&bytes);
            if found != expected {
                return Err(RegistryError::Digest { url: shown, expected, found });
            }
        }
        Ok(bytes)
    }

    /// A small blob, checked.
    pub fn small_blob(&self, digest: &Digest, size: u64) -> Result<Vec<u8>, RegistryError> {
        let url = self.url("blobs", &digest.to_string())?;
        let shown = http::shown(&url);
        let mut response = self.get(Request::get(url, self.plain))?;
        let limit = size.min(MAX_MANIFEST);
        let bytes = response
            .body
            .read_all(limit)
            .map_err(|source| RegistryError::Body { url: shown.clone(), source })?;
        if bytes.len() as u64 != size {
            return Err(RegistryError::Size { url: shown, expected: size, found: bytes.len() as u64 });
        }
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(RegistryError::Digest { url: shown, expected: digest.clone(), found });
        }
        Ok(bytes)
    }

    /// A blob's content from byte `from` on, and the byte it really starts at: 0 if the registry cannot do better.
    /// The caller checks length and digest.
    pub fn blob(&self, digest: &Digest, from: u64) -> Result<(Body, u64), RegistryError> {
        let url = self.url("blobs", &digest.to_string())?;
        let mut request = Request::get(url, self.plain);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = self.get(request)?;
        let range =
            response.header("content-range").and_then(|r| r.strip_prefix("bytes ")?.split('-').next());
        let starts_there = response.status == 206 && range.and_then(|r| r.parse().ok()) == Some(from);
        Ok((response.body, if starts_there { from } else { 0 }))
    }

    /// What a blob is called in messages.
    pub fn blob_url(&self, digest: &Digest) -> String {
        self.url("blobs", &digest.to_string()).map_or_else(|_| digest.to_string(), |url| http::shown(&url))
    }

    fn url(&self, kind: &str, name: &str) -> Result<Url, HttpError> {
        let path = format!("{}/{kind}/{name}", self.repository);
        self.base.join(&path).map_err(|_| HttpError::Url(path))
    }

    /// Sends a request, with authorization if the registry asks for it; anything but success is an error.
    fn get(&self, request: Request<'_>) -> Result<Response, RegistryError> {
        let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let authorized = |value: Option<String>| match value {
            Some(value) => request.clone().secret("Authorization", value),
            None => request.clone(),
        };
        let response = self.http.send(&authorized(known))?;
        if response.status != 401 {
            return self.succeeded(response);
        }
        let header = self.authorize(&response)?;
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(header.clone());
        let response = self.http.send(&authorized(Some(header)))?;
        self.succeeded(response)
    }

    fn succeeded(&self, mut response: Response) -> Result<Response, RegistryError> {
        match response.status {
            200..=299 => Ok(response),
            401 => Err(RegistryError::Unauthorized(self.host.clone())),
            status => {
                let text = response.body.read_all(MAX_MANIFEST).unwrap_or_default();
                Err(RegistryError::Status { status, url: http::shown(&response.url), detail: detail(&text) })
            }
        }
    }

    /// The `Authorization` header that answers a 401.
    fn authorize(&self, response: &Response) -> Result<String, RegistryError> {
        let headers = response.headers.get_all("www-authenticate").iter();
        let challenges: Vec<_> = headers.filter_map(|h| Challenge::parse(h.to_str().ok()?)).collect();
        let bearer = challenges.iter().find(|c| matches!(c, Challenge::Bearer { .. }));
        match (bearer.or(challenges.first()), &self.credentials) {
            (Some(Challenge::Bearer { realm, service, scope }), _) => {
                self.token(realm, service.as_deref(), scope.as_deref())
            }
            (Some(Challenge::Basic), Some(credentials)) => Ok(credentials.basic()),
            _ => Err(RegistryError::Unauthorized(self.host.clone())),
        }
    }

    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<String, RegistryError> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let mut url = http::parse_url(realm)?;
        let scope = scope.map_or_else(|| format!("repository:{}:pull", self.repository), str::to_owned);
        url.query_pairs_mut().extend_pairs(service.map(|s| ("service", s))).append_pair("scope", &scope);
        let shown = http::shown(&url);
        let mut request = Request::get(url, self.plain);
        if let Some(credentials) = &self.credentials {
            request = request.secret("Authorization", credentials.basic());
        }
        let mut response = self.http.send(&request)?;
        if response.status == 401 || response.status == 403 {
            return Err(RegistryError::Unauthorized(self.host.clone()));
        }
        let bytes = response
            .body
            .read_all(MAX_TOKEN)
            .map_err(|source| RegistryError::Body { url: shown.clone(), source })?;
        let answer: Option<Answer> = serde_json::from_slice(&bytes).ok();
        let token = answer.and_then(|a| a.token.or(a.access_token)).filter(|t| !t.is_empty());
        // A header's value cannot hold control characters.
        let token = token.filter(|t| t.bytes().all(|b| b.is_ascii_graphic()));
        token.map(|t| format!("Bearer {t}")).ok_or(RegistryError::NoToken(shown))
    }
}

/// The messages of an error answer (distribution-spec, "Error Codes"), made safe for a terminal.
fn detail(json: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        message: String,
    }
    let Ok(Answer { errors }) = serde_json::from_slice(json) else { return String::new() };
    let text: Vec<_> = errors.into_iter().map(|e| e.message).filter(|m| !m.is_empty()).take(3).collect();
    let text: String = text.join("; ").chars().filter(|c| !c.is_control()).take(300).collect();
    if text.is_empty() { text } else { format!(": {text}") }
}
