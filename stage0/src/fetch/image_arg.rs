//! What users write to name an image (rkt-reference 2.2).

use crate::registry::{BadReference, Reference};
use appc::{AcIdentifier, Hash, Label, Labels, ValueError};
use std::fmt;
use std::path::{Path, PathBuf};
use url::Url;

/// An image as users name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageArg {
    /// `sha512-…`: an image in the store.
    Hash(Hash),
    /// A file on this host.
    File(PathBuf),
    /// An appc name with labels.
    Name(AppName),
    /// An ACI on a web server.
    Url(Url),
    /// An image in a registry.
    Docker(Reference),
}

/// An appc name: `name[:version][,label=value]…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppName {
    /// The image's name.
    pub name: AcIdentifier,
    /// Labels it must have.
    pub labels: Labels,
}

/// Why text does not name an image.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadImageArg {
    /// A URL that cannot be an ACI's.
    #[error("invalid image string {0:?}: a {1} URL must end in .aci")]
    Extension(String, String),
    /// Not an appc name.
    #[error("invalid image string {text:?}")]
    Name {
        /// What was written.
        text: String,
        /// What is wrong with it.
        source: ValueError,
    },
    /// Several versions, or a label without a value.
    #[error("invalid image string {0:?}: must be name[:version][,label=value]...")]
    Labels(String),
    /// Not a registry's image.
    #[error("invalid image string")]
    Docker(#[from] BadReference),
}

impl ImageArg {
    /// Understands what a user wrote. Looks whether a file of that name exists.
    pub fn parse(text: &str) -> Result<Self, BadImageArg> {
        if let Ok(hash) = text.parse() {
            return Ok(ImageArg::Hash(hash));
        }
        if let Some(image) = text.strip_prefix("docker://").or_else(|| text.strip_prefix("docker:")) {
            return Ok(ImageArg::Docker(image.parse()?));
        }
        match text.split_once("://").map(|(scheme, _)| scheme) {
            Some(scheme @ ("file" | "http" | "https")) => Self::url(text, scheme),
            Some(_) => AppName::parse(text).map(ImageArg::Name),
            None => Self::plain(text),
        }
    }

    fn plain(text: &str) -> Result<Self, BadImageArg> {
        let path = Path::new(text);
        let file = || Ok(ImageArg::File(path.to_path_buf()));
        if path.is_absolute() || path.is_file() {
            return file();
        }
        if !text.contains(':') && (text.contains("./") || text.ends_with(".aci")) {
            return file();
        }
        AppName::parse(text).map(ImageArg::Name)
    }

    fn url(text: &str, scheme: &str) -> Result<Self, BadImageArg> {
        let bad = || BadImageArg::Extension(text.to_owned(), scheme.to_owned());
        let url = Url::parse(text).map_err(|_| bad())?;
        if !url.path().ends_with(".aci") {
            return Err(bad());
        }
        if scheme == "file" {
            return url.to_file_path().map(ImageArg::File).map_err(|()| bad());
        }
        Ok(ImageArg::Url(url))
    }
}

impl AppName {
    /// Parses a name and adds this host's `os` and `arch` where none are given.
    pub fn parse(text: &str) -> Result<Self, BadImageArg> {
        let bad = |source| BadImageArg::Name { text: text.to_owned(), source };
        let mut parts = text.split(',');
        let first = parts.next().unwrap_or_default();
        let (name, version) =
            first.split_once(':').map_or((first, None), |(name, version)| (name, Some(version)));
        let mut labels = Labels::default();
        let mut add = |name: &str, value: &str| {
            let name: AcIdentifier = name.parse().map_err(bad)?;
            if labels.get(name.as_str()).is_some() || value.is_empty() {
                return Err(BadImageArg::Labels(text.to_owned()));
            }
            labels.0.push(Label { name, value: value.to_owned() });
            Ok(())
        };
        if let Some(version) = version {
            if version.contains(':') {
                return Err(BadImageArg::Labels(text.to_owned()));
            }
            add("version", version)?;
        }
        for part in parts {
            let (name, value) = part.split_once('=').ok_or_else(|| BadImageArg::Labels(text.to_owned()))?;
            add(name, value)?;
        }
        Ok(AppName { name: name.parse().map_err(bad)?, labels: with_host(labels) })
    }

    /// A name and labels from a manifest, with this host's `os` and `arch` where none are given.
    pub fn new(name: AcIdentifier, labels: Labels) -> Self {
        AppName { name, labels: with_host(labels) }
    }

    /// Whether a version was asked for.
    pub fn has_version(&self) -> bool {
        self.labels.get("version").is_some()
    }
}

fn with_host(mut labels: Labels) -> Labels {
    for (name, value) in [("os", "linux"), ("arch", host_arch())] {
        if labels.get(name).is_none()
            && let Ok(name) = name.parse()
        {
            labels.set(name, value);
        }
    }
    labels
}

/// This host's architecture in appc's words.
pub fn host_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "i386",
        "arm" => "armv7l",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(version) = self.labels.get("version") {
            write!(f, ":{version}")?;
        }
        let host = |l: &&Label| match l.name.as_str() {
            "version" => false,
            "os" => l.value != "linux",
            "arch" => l.value != host_arch(),
            _ => true,
        };
        self.labels.iter().filter(host).try_for_each(|l| write!(f, ",{}={}", l.name, l.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ImageArg {
        ImageArg::parse(text).unwrap()
    }

    #[test]
    fn forms_are_told_apart_in_order() {
        assert!(matches!(parse("sha512-ab"), ImageArg::Hash(_)));
        assert!(matches!(parse("/no/such/file"), ImageArg::File(_)));
        assert!(matches!(parse("./image"), ImageArg::File(_)));
        assert!(matches!(parse("image.aci"), ImageArg::File(_)));
        assert!(matches!(parse("Cargo.toml"), ImageArg::File(_)), "an existing file");
        assert!(matches!(parse("example.com/app:1"), ImageArg::Name(_)));
        assert!(matches!(parse("example.com/app"), ImageArg::Name(_)));
        assert_eq!(parse("file:///tmp/a%20b.aci"), ImageArg::File("/tmp/a b.aci".into()));
        assert!(matches!(parse("https://h/a.aci"), ImageArg::Url(_)));
        assert!(matches!(parse("docker://busybox"), ImageArg::Docker(_)));
        assert!(matches!(parse("docker:busybox"), ImageArg::Docker(_)));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| ImageArg::parse(text).unwrap_err().to_string();
        assert!(error("https://h/a.tar").contains("must end in .aci"));
        for bad in [
            "ftp://h/a.aci",
            "name:1:2",
            "name,version",
            "name:1,version=2",
            "Name",
            "",
            "docker://A",
            "n,x=",
        ] {
            assert!(ImageArg::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_completed_with_the_host() {
        let ImageArg::Name(name) = parse("example.com/app:1.0,channel=beta") else { panic!() };
        assert_eq!(name.labels.get("os"), Some("linux"));
        assert_eq!(name.labels.get("arch"), Some(host_arch()));
        assert_eq!(name.to_string(), "example.com/app:1.0,channel=beta");
        let ImageArg::Name(name) = parse("app,arch=i386,os=linux") else { panic!() };
        assert_eq!((name.labels.get("arch"), name.has_version()), (Some("i386"), false));
    }
}
