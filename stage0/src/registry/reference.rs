//! Names of images in registries: `[HOST[:PORT]/]REPO[:TAG][@DIGEST]`.

use super::digest::Digest;
use std::fmt;
use std::str::FromStr;

/// Where names without a host live (appc-schema 8).
const DEFAULT_HOST: &str = "registry-1.docker.io";
/// What people write for it.
const DEFAULT_ALIASES: [&str; 2] = ["docker.io", "index.docker.io"];
const DEFAULT_TAG: &str = "latest";

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host and port.
    pub host: String,
    /// Repository, e.g. `library/busybox`.
    pub repository: String,
    /// Tag; `latest` if neither a tag nor a digest was given.
    pub tag: Option<String>,
    /// Digest of the manifest, if pinned.
    pub digest: Option<Digest>,
}

/// Not the name of an image in a registry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("Invalid image reference \"{0}\": must be [HOST[:PORT]/]REPO[:TAG][@sha256:DIGEST]")]
pub struct BadReference(String);

/// Repository path components (distribution-spec, "Pulling manifests"): lower-case words joined by separators.
fn is_repository(text: &str) -> bool {
    let component = |part: &str| {
        let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let bytes = part.as_bytes();
        bytes.first().is_some_and(|c| alphanumeric(*c))
            && bytes.last().is_some_and(|c| alphanumeric(*c))
            && bytes.iter().all(|c| alphanumeric(*c) || b"._-".contains(c))
    };
    text.len() <= 255 && text.split('/').all(component)
}

fn is_tag(text: &str) -> bool {
    let first = text.bytes().next();
    text.len() <= 128
        && first.is_some_and(|c| c.is_ascii_alphanumeric() || c == b'_')
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
}

fn is_host(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b".-:[]_".contains(&c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
        && text.bytes().all(allowed)
        && url::Url::parse(&format!("https://{text}/")).is_ok()
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let bad = || BadReference(text.to_owned());
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        // A first component is a host if it could not be part of a repository's name there.
        let (host, rest) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (DEFAULT_HOST, name),
        };
        let host = if DEFAULT_ALIASES.contains(&host) { DEFAULT_HOST } else { host };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        let official = host == DEFAULT_HOST && !repository.contains('/');
        let repository = if official { format!("library/{repository}") } else { repository.to_owned() };
        if !is_host(host) || !is_repository(&repository) || tag.is_some_and(|t| !is_tag(t)) {
            return Err(bad());
        }
        let tag = match (tag, &digest) {
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Reference { host: host.to_owned(), repository, tag, digest })
    }
}

impl Reference {
    /// What to ask the registry for: the digest if there is one, else the tag.
    pub fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_else(|| DEFAULT_TAG.to_owned()),
        }
    }

    /// The version label of the converted image: the tag, or the digest of an image named by it alone.
    pub fn version(&self) -> String {
        self.tag.clone().unwrap_or_else(|| self.wanted())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed() {
        let sha = format!("sha256:{}", "a".repeat(64));
        for (text, full) in [
            ("busybox", "registry-1.docker.io/library/busybox:latest".to_owned()),
            ("user/app:1", "registry-1.docker.io/user/app:1".to_owned()),
            ("docker.io/busybox", "registry-1.docker.io/library/busybox:latest".to_owned()),
            ("localhost/app", "localhost/app:latest".to_owned()),
            ("127.0.0.1:5000/a/b:v1.0", "127.0.0.1:5000/a/b:v1.0".to_owned()),
            ("[::1]:5000/a", "[::1]:5000/a:latest".to_owned()),
            (&format!("quay.io/x/y@{sha}"), format!("quay.io/x/y@{sha}")),
            (&format!("quay.io/x/y:t@{sha}"), format!("quay.io/x/y:t@{sha}")),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), full);
        }
        let pinned: Reference = format!("quay.io/x/y:t@{sha}").parse().unwrap();
        assert_eq!((pinned.wanted(), pinned.version()), (sha.clone(), "t".to_owned()));
    }

    #[test]
    fn nonsense_is_refused() {
        let names = [
            "",
            "/",
            "A",
            "a//b",
            "../x",
            "h.com/",
            "h.com/a:",
            "h.com/a@sha256:1",
            "a b",
            "h.com/a?x",
            "h.com/a#x",
        ];
        for bad in names {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
