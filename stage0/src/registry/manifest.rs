//! Documents of image formats: OCI image-spec and Docker's "Image Manifest V 2, Schema 2", which agree in what is
//! needed here. Unknown fields are ignored.

use super::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Media types asked for, best first.
pub const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// Layers in one image: overlayfs stacks at most 500 directories, and Docker writes at most 127.
const MAX_LAYERS: usize = 400;

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON of the right form.
    #[error("Cannot parse {what}")]
    Json {
        /// Which document.
        what: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// Docker's first schema.
    #[error(
        "Image manifest has schema version {0}: only 2 is supported, push the image again with a current tool"
    )]
    Schema(i64),
    /// Neither a manifest nor an index.
    #[error("Neither an image manifest nor an index: it has no layers and no manifests")]
    Unknown,
    /// More layers than can be stacked.
    #[error("Image has {0} layers, at most {MAX_LAYERS} are supported")]
    TooManyLayers(usize),
    /// Layers and their digests do not pair up.
    #[error("Image has {layers} layers, but its configuration names {diff_ids}")]
    DiffIds {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// No image in the index fits this host.
    #[error("No image for {os}/{arch} in the index, only for {}", found.join(", "))]
    Platform {
        /// This host's.
        os: &'static str,
        /// This host's.
        arch: &'static str,
        /// What there is.
        found: Vec<String>,
    },
}

/// A reference to content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What it runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What an image runs on, in Go's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`, …
    #[serde(default)]
    pub architecture: String,
    /// `linux`, …
    #[serde(default)]
    pub os: String,
    /// `v7`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// Images for several platforms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The images, or further indexes.
    pub manifests: Vec<Descriptor>,
}

/// A manifest or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// An image.
    Manifest(Manifest),
    /// Several images.
    Index(Index),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Either {
    #[serde(default)]
    schema_version: i64,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

impl Document {
    /// Parses either. What it is is told from what it holds: content types are not always right.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            schema_version: i64,
        }
        if let Ok(Version { schema_version: version }) = serde_json::from_slice(json)
            && version != 2
        {
            return Err(ManifestError::Schema(version));
        }
        let either: Either = parse("image manifest", json)?;
        match either {
            Either { config: Some(config), layers: Some(layers), manifests: None, .. } => {
                if layers.len() > MAX_LAYERS {
                    return Err(ManifestError::TooManyLayers(layers.len()));
                }
                Ok(Document::Manifest(Manifest { config, layers }))
            }
            Either { manifests: Some(manifests), config: None, layers: None, .. } => {
                Ok(Document::Index(Index { manifests }))
            }
            Either { schema_version: 0 | 2, .. } => Err(ManifestError::Unknown),
            Either { schema_version, .. } => Err(ManifestError::Schema(schema_version)),
        }
    }
}

/// An image's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// What it runs on, in Go's words.
    #[serde(default)]
    pub architecture: String,
    /// What it runs on.
    #[serde(default)]
    pub os: String,
    /// `v7`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// How it runs.
    #[serde(default)]
    pub config: Option<Execution>,
    /// Its layers' contents.
    pub rootfs: RootFs,
    /// The image's id of Docker's first format, kept by some tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// Digests of the uncompressed layers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Lowest first.
    #[serde(default)]
    pub diff_ids: Vec<Digest>,
}

/// How an image runs (image-spec, config.md).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Execution {
    /// `user[:group]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `80/tcp` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    /// `NAME=VALUE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// First part of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Second part of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Paths that want a volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, serde_json::Value>>,
    /// Where it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// The signal that asks it to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How to find out whether it is well (Docker's, not in the specification).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<serde_json::Value>,
    /// What runs commands given as one text (Docker's, not in the specification).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// Metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

impl Config {
    /// Parses a configuration and checks that it belongs to the manifest.
    pub fn parse(json: &[u8], manifest: &Manifest) -> Result<Self, ManifestError> {
        let config: Self = parse("image configuration", json)?;
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(ManifestError::DiffIds { layers, diff_ids });
        }
        Ok(config)
    }
}

/// Parses any document, saying in errors which.
pub fn parse<T: serde::de::DeserializeOwned>(what: &'static str, json: &[u8]) -> Result<T, ManifestError> {
    serde_json::from_slice(json).map_err(|source| ManifestError::Json { what, source })
}

/// This host in Go's words: architecture and variants, best first.
fn host() -> (&'static str, &'static [&'static str]) {
    match std::env::consts::ARCH {
        "x86_64" => ("amd64", &[]),
        "aarch64" => ("arm64", &["v8"]),
        "arm" => ("arm", &["v7", "v6"]),
        "x86" => ("386", &[]),
        "powerpc64" => ("ppc64le", &[]),
        other => (other, &[]),
    }
}

impl Index {
    /// The entry for this host.
    pub fn for_host(&self) -> Result<&Descriptor, ManifestError> {
        let (arch, variants) = host();
        let fits =
            |d: &&Descriptor| d.platform.as_ref().is_some_and(|p| p.os == "linux" && p.architecture == arch);
        let rank = |d: &&Descriptor| {
            let variant = d.platform.as_ref().and_then(|p| p.variant.as_deref());
            variants.iter().position(|v| Some(*v) == variant).unwrap_or(variants.len())
        };
        let anything = || match &self.manifests[..] {
            [only] if only.platform.is_none() => Some(only),
            _ => None,
        };
        self.manifests.iter().filter(fits).min_by_key(rank).or_else(anything).ok_or_else(|| {
            let name = |d: &Descriptor| match &d.platform {
                Some(p) => format!("{}/{}", p.os, p.architecture),
                None => "unknown".to_owned(),
            };
            let mut found: Vec<_> = self.manifests.iter().map(name).collect();
            found.dedup();
            found.truncate(20);
            ManifestError::Platform { os: "linux", arch, found }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha(c: char) -> String {
        format!("sha256:{}", c.to_string().repeat(64))
    }

    fn descriptor(c: char, platform: &str) -> String {
        format!(r#"{{"mediaType":"m","digest":"{}","size":1{platform}}}"#, sha(c))
    }

    #[test]
    fn manifests_and_indexes_are_told_apart() {
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
            descriptor('a', ""),
            descriptor('b', "")
        );
        assert!(
            matches!(Document::parse(manifest.as_bytes()), Ok(Document::Manifest(m)) if m.layers.len() == 1)
        );
        let index = format!(r#"{{"manifests":[{}]}}"#, descriptor('a', ""));
        assert!(matches!(Document::parse(index.as_bytes()), Ok(Document::Index(_))));
        let old = br#"{"schemaVersion":1,"fsLayers":[],"layers":null}"#;
        assert!(matches!(Document::parse(old), Err(ManifestError::Schema(1))));
        for bad in ["{}", "[]", "", r#"{"config":{"digest":"md5:x","size":1},"layers":[]}"#] {
            assert!(Document::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        for key in ["x", "layers", "manifests"] {
            let deep = format!("{{\"{key}\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
            assert!(Document::parse(deep.as_bytes()).is_err());
        }
        let layers = vec![descriptor('b', ""); MAX_LAYERS + 1].join(",");
        let many = format!(r#"{{"config":{},"layers":[{layers}]}}"#, descriptor('a', ""));
        assert!(matches!(Document::parse(many.as_bytes()), Err(ManifestError::TooManyLayers(_))));
    }

    #[test]
    fn the_host_finds_its_image() {
        let platform = |arch: &str| format!(r#","platform":{{"os":"linux","architecture":"{arch}"}}"#);
        let index = |list: &[String]| -> Index {
            parse("index", format!(r#"{{"manifests":[{}]}}"#, list.join(",")).as_bytes()).unwrap()
        };
        let host_arch = host().0;
        let list = [descriptor('a', &platform("unknown")), descriptor('b', &platform(host_arch))];
        assert_eq!(index(&list).for_host().unwrap().digest.to_string(), sha('b'));
        assert!(index(&[descriptor('a', "")]).for_host().is_ok());
        let none = index(&list[..1]).for_host().unwrap_err().to_string();
        assert!(none.ends_with("only for linux/unknown"), "{none}");
    }

    #[test]
    fn configurations_must_match() {
        let d: Descriptor = parse("d", descriptor('a', "").as_bytes()).unwrap();
        let manifest = Manifest { config: d.clone(), layers: vec![d] };
        let config = format!(r#"{{"rootfs":{{"type":"layers","diff_ids":["{}"]}},"config":null}}"#, sha('a'));
        assert!(Config::parse(config.as_bytes(), &manifest).is_ok());
        let none = br#"{"rootfs":{"diff_ids":[]}}"#;
        assert!(matches!(Config::parse(none, &manifest), Err(ManifestError::DiffIds { .. })));
    }
}
