//! What users write to name an image (rkt-reference 2.2).

use super::layout::{Form, LocalImage};
use crate::registry::{BadReference, Reference};
use appc::image_name::ImageNameError;
use appc::{Hash, ImageName};
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
    Name(ImageName),
    /// An ACI on a web server.
    Url(Url),
    /// An image in a registry.
    Docker(Reference),
    /// An image in an OCI layout or archive on this host.
    Local(LocalImage),
}

/// Why text does not name an image.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadImageArg {
    /// A URL that cannot be an ACI's.
    #[error("invalid image string {0:?}: a {1} URL must end in .aci")]
    Extension(String, String),
    /// Not an appc name.
    #[error("invalid image string")]
    Name(#[from] ImageNameError),
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
        let forms = [
            ("oci:", Form::Oci),
            ("oci-archive:", Form::OciArchive),
            ("docker-archive:", Form::DockerArchive),
        ];
        for (prefix, form) in forms {
            if let Some(rest) = text.strip_prefix(prefix) {
                return Ok(ImageArg::Local(LocalImage::parse(form, rest)));
            }
        }
        match text.split_once("://").map(|(scheme, _)| scheme) {
            Some(scheme @ ("file" | "http" | "https")) => Self::url(text, scheme),
            Some(_) => Ok(ImageArg::Name(for_host(text.parse()?))),
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
        Ok(ImageArg::Name(for_host(text.parse()?)))
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

/// The name with this host's `os` and `arch` where it has none.
pub fn for_host(mut name: ImageName) -> ImageName {
    for (label, value) in [("os", "linux"), ("arch", host_arch())] {
        if let (None, Ok(label)) = (name.labels.get(label), label.parse()) {
            name.labels.set(label, value);
        }
    }
    name
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
        for bad in ["name:1:2", "name,version", "name:1,version=2", "Name", "", "docker://A"] {
            assert!(ImageArg::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_completed_with_the_host() {
        let ImageArg::Name(name) = parse("example.com/app:1.0,channel=beta") else { panic!() };
        assert_eq!(name.labels.get("os"), Some("linux"));
        assert_eq!(name.labels.get("arch"), Some(host_arch()));
        let ImageArg::Name(name) = parse("app,arch=i386,os=linux") else { panic!() };
        assert_eq!((name.labels.get("arch"), name.labels.get("version")), (Some("i386"), None));
    }
}
