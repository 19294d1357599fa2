//! Authenticating to web servers.

use super::{Config, Credentials};
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;
use url::Url;

/// SHA-256 of nothing: the payload of a GET.
const EMPTY_PAYLOAD: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// Region of S3 hosts whose name does not say one.
const DEFAULT_REGION: &str = "us-east-1";

/// A header of a request, name and value.
pub type Header = (&'static str, String);

/// How to authenticate to a web server.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthKind {
    /// User and password.
    Basic(Credentials),
    /// A bearer token.
    Oauth(String),
    /// AWS Signature Version 4 for S3.
    Aws(AwsKey),
}

/// An AWS access key.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct AwsKey {
    /// Names the key.
    #[serde(rename = "accessKeyID")]
    pub id: String,
    /// Signs requests.
    #[serde(rename = "secretAccessKey")]
    pub secret: String,
    /// Where the bucket is, if the URL does not say.
    #[serde(rename = "awsRegion", default)]
    pub region: Option<String>,
}

/// A secret that cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("Credentials for {0} cannot be put into a header")]
pub struct AuthError(String);

impl fmt::Debug for AuthKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuthKind::Basic(_) => "Basic(…)",
            AuthKind::Oauth(_) => "Oauth(…)",
            AuthKind::Aws(_) => "Aws(…)",
        })
    }
}

impl fmt::Debug for AwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKey").field("id", &self.id).field("region", &self.region).finish_non_exhaustive()
    }
}

impl AuthKind {
    pub(super) fn oauth(credentials: Value) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Token {
            token: String,
        }
        serde_json::from_value(credentials).map(|Token { token }| AuthKind::Oauth(token))
    }

    pub(super) fn aws(credentials: Value) -> serde_json::Result<Self> {
        serde_json::from_value(credentials).map(AuthKind::Aws)
    }
}

impl Config {
    /// The headers that authenticate a request for `url`. Only https gets any.
    pub fn headers(&self, url: &Url, head: bool) -> Result<Vec<Header>, AuthError> {
        let Some(host) = url.host_str().filter(|_| url.scheme() == "https") else { return Ok(Vec::new()) };
        let domain = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let headers = match self.auth.get(&domain) {
            None => Vec::new(),
            Some(AuthKind::Basic(credentials)) => vec![("Authorization", credentials.basic())],
            Some(AuthKind::Oauth(token)) => vec![("Authorization", format!("Bearer {token}"))],
            Some(AuthKind::Aws(key)) => {
                key.sign(if head { "HEAD" } else { "GET" }, url, &domain, Timestamp::now())
            }
        };
        let sendable = |value: &str| value.bytes().all(|b| (b' '..=b'~').contains(&b));
        match headers.iter().all(|(_, value)| sendable(value)) {
            true => Ok(headers),
            false => Err(AuthError(domain)),
        }
    }
}

fn hmac(key: &[u8], data: &str) -> Vec<u8> {
    // HMAC takes keys of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("any key length"));
    mac.update(data.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

impl AwsKey {
    /// Signs a request without a body (AWS General Reference, "Signature Version 4 signing process").
    fn sign(&self, method: &str, url: &Url, host: &str, time: Timestamp) -> Vec<Header> {
        let time = time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let date = &time[..8];
        let region = self.region.clone().unwrap_or_else(|| region_of(url.host_str().unwrap_or_default()));
        let scope = format!("{date}/{region}/s3/aws4_request");
        let mut query: Vec<_> =
            url.query().unwrap_or_default().split('&').filter(|q| !q.is_empty()).collect();
        query.sort_unstable();
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let request = format!(
            "{method}\n{}\n{}\nhost:{host}\nx-amz-content-sha256:{EMPTY_PAYLOAD}\nx-amz-date:{time}\n\n{signed}\n{EMPTY_PAYLOAD}",
            url.path(),
            query.join("&"),
        );
        let request_hash = hex::encode(Sha256::digest(request.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{request_hash}");
        let key = [date, &region, "s3", "aws4_request"]
            .iter()
            .fold(format!("AWS4{}", self.secret).into_bytes(), |key, part| hmac(&key, part));
        let signature = hex::encode(hmac(&key, &text));
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
            self.id
        );
        vec![
            ("Authorization", value),
            ("x-amz-date", time),
            ("x-amz-content-sha256", EMPTY_PAYLOAD.to_owned()),
        ]
    }
}

/// `s3.REGION.amazonaws.com`, `BUCKET.s3-REGION.amazonaws.com` and the like name the region.
fn region_of(host: &str) -> String {
    let name = host.trim_end_matches(".cn").strip_suffix(".amazonaws.com").unwrap_or_default();
    let last = name.rsplit('.').next().unwrap_or_default();
    let region = last.strip_prefix("s3-").unwrap_or(last);
    if region.is_empty() || region == "s3" { DEFAULT_REGION.to_owned() } else { region.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected signature was computed by another implementation of the same steps.
    #[test]
    fn signatures_cover_method_path_time_and_region() {
        let key = AwsKey { id: "AKID".into(), secret: "secret".into(), region: None };
        let url: Url = "https://bucket.s3-eu-west-1.amazonaws.com/a.aci".parse().unwrap();
        let sign = |method: &str, url: &Url, second| {
            let time = Timestamp::from_second(second).unwrap();
            key.sign(method, url, url.host_str().unwrap(), time)[0].1.clone()
        };
        let value = sign("GET", &url, 0);
        assert_eq!(
            value,
            "AWS4-HMAC-SHA256 Credential=AKID/19700101/eu-west-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
             Signature=b841fc9df93a6c1282b83a2b0c6087b2a420fc4c26eb451b69bc84a4b5d8cca2"
        );
        let other: Url = "https://bucket.s3-eu-west-1.amazonaws.com/b.aci".parse().unwrap();
        for changed in [sign("HEAD", &url, 0), sign("GET", &other, 0), sign("GET", &url, 1)] {
            assert_ne!(changed, value);
        }
    }

    #[test]
    fn regions_are_in_host_names() {
        for (host, region) in [
            ("s3.amazonaws.com", "us-east-1"),
            ("bucket.s3.amazonaws.com", "us-east-1"),
            ("s3-eu-west-1.amazonaws.com", "eu-west-1"),
            ("bucket.s3.eu-central-1.amazonaws.com", "eu-central-1"),
            ("s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("example.com", "us-east-1"),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
    }
}
