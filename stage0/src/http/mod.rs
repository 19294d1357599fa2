//! HTTP as images need it: redirects under our rules, servers that stall or never end, credentials that stay at
//! the host they are for.

mod body;
mod roots;

pub use body::Body;

use std::sync::OnceLock;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::TlsConfig;
use url::{Origin, Url};

/// Redirects followed (rkt-reference 6.4).
const MAX_REDIRECTS: usize = 10;
const CONNECT: Duration = Duration::from_secs(30);
/// From the request to the end of the response's header.
const RESPONSE: Duration = Duration::from_secs(120);
/// Longest silence within a body.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No answer.
    #[error("Cannot reach {url}")]
    Request {
        /// What was asked for, without credentials.
        url: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// Not a URL, or one of a scheme we do not speak.
    #[error("Invalid URL {0:?}")]
    Url(String),
    /// Plain http where it is not allowed.
    #[error("Refusing plain http for {0} (try --insecure-options=http)")]
    Plain(String),
    /// Too many redirects.
    #[error("{0} redirects more than {MAX_REDIRECTS} times")]
    Redirects(String),
    /// A redirect to nowhere.
    #[error("{0} redirects without saying where to")]
    Location(String),
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Response {
    /// Where it came from, after redirects.
    pub url: Url,
    /// The status code.
    pub status: u16,
    /// The header.
    pub headers: ureq::http::HeaderMap,
    /// The body.
    pub body: Body,
}

impl Response {
    /// A header's value, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `Content-Length`, if it is there.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }
}

/// What to ask for.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Where.
    pub url: Url,
    /// Headers for every server on the way.
    pub headers: Vec<(&'a str, String)>,
    /// Headers that hold secrets: only for the URL's own scheme, host and port.
    pub secrets: Vec<(&'a str, String)>,
    /// Only the header is wanted.
    pub head: bool,
    /// Whether plain http is allowed.
    pub plain: bool,
}

impl<'a> Request<'a> {
    /// A GET of `url`.
    pub fn get(url: Url, plain: bool) -> Self {
        Request { url, headers: Vec::new(), secrets: Vec::new(), head: false, plain }
    }

    /// With one more header.
    pub fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With one more header that only the URL's own host may see.
    pub fn secret(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.secrets.push((name, value.into()));
        self
    }
}

/// Makes requests; connections are reused.
#[derive(Debug)]
pub struct Client {
    agent: OnceLock<Agent>,
    verify: bool,
}

impl Client {
    /// A client; `verify` says whether TLS certificates are checked.
    pub fn new(verify: bool) -> Self {
        Client { agent: OnceLock::new(), verify }
    }

    fn agent(&self) -> &Agent {
        // On first use: reading the host's certificates takes milliseconds that most commands need not spend.
        self.agent.get_or_init(|| {
            let tls = TlsConfig::builder().root_certs(roots::trusted()).disable_verification(!self.verify);
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("rkt/", env!("CARGO_PKG_VERSION")))
                .timeout_connect(Some(CONNECT))
                .timeout_recv_response(Some(RESPONSE))
                .timeout_per_read(Some(SILENCE))
                .tls_config(tls.build());
            config.build().new_agent()
        })
    }

    /// Sends a request and follows redirects. Any status is an answer.
    pub fn send(&self, request: &Request<'_>) -> Result<Response, HttpError> {
        let home = request.url.origin();
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send_once(request, &url, &home)?;
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location = response.header("location").ok_or_else(|| HttpError::Location(shown(&url)))?;
            url = url.join(location).map_err(|_| HttpError::Url(location.to_owned()))?;
        }
        Err(HttpError::Redirects(shown(&request.url)))
    }

    fn send_once(&self, request: &Request<'_>, url: &Url, home: &Origin) -> Result<Response, HttpError> {
        match url.scheme() {
            "https" => {}
            "http" if request.plain => {}
            "http" => return Err(HttpError::Plain(shown(url))),
            _ => return Err(HttpError::Url(shown(url))),
        }
        let agent = self.agent();
        let mut call = if request.head { agent.head(url.as_str()) } else { agent.get(url.as_str()) };
        let at_home = url.origin() == *home;
        let secrets = request.secrets.iter().filter(|_| at_home);
        for (name, value) in request.headers.iter().chain(secrets) {
            call = call.header(*name, value);
        }
        let response =
            call.call().map_err(|e| HttpError::Request { url: shown(url), source: Box::new(e) })?;
        let (head, body) = response.into_parts();
        Ok(Response {
            url: url.clone(),
            status: head.status.as_u16(),
            headers: head.headers,
            body: Body::new(body.into_reader()),
        })
    }
}

/// A URL for messages: without user, password and query, which may hold signatures.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Fails for URLs that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

/// Parses a URL that must be http or https.
pub fn parse_url(text: &str) -> Result<Url, HttpError> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(HttpError::Url(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
