//! From OCI and Docker images to ACIs (appc-schema 8).

mod app;

use crate::archive::tar::{Entry, Kind, TarWriter};
use crate::registry::manifest::{Config, Manifest};
use crate::registry::{Digest, Reference};
use appc::{AcIdentifier, ImageManifest, ManifestError, ValueError};

/// Why an image cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A name has nothing that an appc name can hold.
    #[error("Cannot convert image")]
    Name(#[from] ValueError),
    /// The result breaks the specification's rules.
    #[error("Cannot convert image: its manifest would be invalid")]
    Manifest(#[source] Box<ManifestError>),
    /// The result cannot be written.
    #[error("Cannot convert image")]
    Write(#[from] std::io::Error),
    /// A document cannot be written as JSON.
    #[error("Cannot convert image")]
    Json(#[from] serde_json::Error),
}

/// Where a converted image came from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Name of the ACI, to be sanitized: `HOST/REPOSITORY`.
    pub name: String,
    /// Its version label.
    pub version: String,
    /// Registry, repository and tag, for annotations.
    pub registry: String,
    /// See `registry`.
    pub repository: String,
    /// See `registry`.
    pub tag: String,
    /// What the user asked for.
    pub original_name: String,
    /// Digest of the image's manifest.
    pub manifest_digest: Digest,
}

impl Origin {
    /// An image of a registry.
    pub fn registry(reference: &Reference, manifest_digest: Digest) -> Self {
        Origin {
            name: format!("{}/{}", reference.host, reference.repository),
            version: reference.version(),
            registry: reference.host.clone(),
            repository: reference.repository.clone(),
            tag: reference.version(),
            original_name: reference.to_string(),
            manifest_digest,
        }
    }
}

/// The manifest of the ACI an image becomes.
pub fn image_manifest(
    origin: &Origin,
    manifest: &Manifest,
    config: &Config,
) -> Result<ImageManifest, ConvertError> {
    let mut out = ImageManifest::new(AcIdentifier::sanitize(&origin.name)?);
    out.labels.set("version".parse()?, origin.version.clone());
    if let Some((os, arch)) = platform(config) {
        out.labels.set("os".parse()?, os);
        out.labels.set("arch".parse()?, arch);
    }
    let execution = config.config.clone().unwrap_or_default();
    out.app = Some(app::app(&execution)?);
    annotate(&mut out, origin, manifest, config)?;
    out.validate().map_err(|e| ConvertError::Manifest(Box::new(e)))?;
    Ok(out)
}

/// Operating system and architecture in appc's words; `None` if it has none for them.
fn platform(config: &Config) -> Option<(String, String)> {
    let arch = match (config.architecture.as_str(), config.variant.as_deref()) {
        ("386", _) => "i386",
        ("arm64", _) => "aarch64",
        ("arm", Some("v6" | "v5")) => "armv6l",
        ("arm", _) => "armv7l",
        (arch, _) => arch,
    };
    let os = if config.os.is_empty() { "linux" } else { &config.os };
    appc::types::check_os_arch(os, Some(arch)).is_ok().then(|| (os.to_owned(), arch.to_owned()))
}

fn annotate(
    out: &mut ImageManifest,
    origin: &Origin,
    manifest: &Manifest,
    config: &Config,
) -> Result<(), ConvertError> {
    if let Some(author) = config.author.as_ref().filter(|a| !a.is_empty()) {
        out.annotations.set("author".parse()?, author.clone());
    }
    if let Some(created) = &config.created {
        out.annotations.set("created".parse()?, created.clone());
        // Informative only: a date of another form is not worth refusing the image.
        if out.annotations.validate().is_err() {
            out.annotations.0.pop();
        }
    }
    let execution = config.config.clone().unwrap_or_default();
    let command = |part: &Option<Vec<String>>| match part {
        Some(words) if !words.is_empty() => serde_json::to_string(words).map(Some),
        _ => Ok(None),
    };
    for (name, value) in [
        ("registryurl", Some(origin.registry.clone())),
        ("repository", Some(origin.repository.clone())),
        ("tag", Some(origin.tag.clone())),
        ("originalname", Some(origin.original_name.clone())),
        ("imageid", Some(manifest.config.digest.to_string())),
        ("parentimageid", config.parent.clone()),
        ("manifesthash", Some(origin.manifest_digest.to_string())),
        ("entrypoint", command(&execution.entrypoint)?),
        ("cmd", command(&execution.cmd)?),
        ("healthcheck", execution.healthcheck.as_ref().map(serde_json::Value::to_string)),
        ("shell", command(&execution.shell)?),
        ("stopsignal", execution.stop_signal.clone().filter(|signal| !signal.is_empty())),
    ] {
        if let Some(value) = value {
            out.annotations.set(format!("appc.io/docker/{name}").parse()?, value);
        }
    }
    Ok(())
}

/// The archive that stands for a converted image in the store: its manifest and an empty rootfs. The files are in
/// the layers, which are kept and rendered on their own. The same image always makes the same bytes.
pub fn archive(manifest: &ImageManifest) -> Result<Vec<u8>, ConvertError> {
    let json = manifest.to_vec().map_err(|e| ConvertError::Manifest(Box::new(e)))?;
    let mut writer = TarWriter::new(Vec::new());
    writer.entry(&Entry::new(b"manifest", Kind::File, 0o644).sized(json.len() as u64), &mut &json[..])?;
    writer.entry(&Entry::new(b"rootfs", Kind::Directory, 0o755), &mut std::io::empty())?;
    Ok(writer.finish()?)
}

#[cfg(test)]
mod tests;
