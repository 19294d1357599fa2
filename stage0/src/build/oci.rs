//! An image as an OCI layout (image-spec, "image-layout.md").

use super::recipe::write_aside;
use super::{BuildError, ExportError};
use crate::archive::tar::TarWriter;
use crate::convert::ConvertError;
use crate::registry::Digest;
use crate::registry::manifest::{Config, Descriptor, Execution, RootFs};
use crate::store::Aside;
use crate::tree::Stack;
use appc::{App, ImageManifest};
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Writes the layout to the new directory `dir`.
pub(super) fn write(dir: &Path, manifest: &ImageManifest, rootfs: &Path) -> Result<(), BuildError> {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(BuildError::io("make directory", &blobs))?;
    let (layer, diff_id) = write_layer(&blobs, rootfs)?;
    let config = serde_json::to_vec(&config(manifest, diff_id)).map_err(ConvertError::from)?;
    let config = write_blob(&blobs, CONFIG, &config)?;
    let document = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    let mut entry = write_blob(&blobs, MANIFEST, document.to_string().as_bytes())?;
    if let Some(version) = manifest.labels.get("version") {
        entry.annotations.insert("org.opencontainers.image.ref.name".to_owned(), version.to_owned());
    }
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    write_text(&dir.join("oci-layout"), &json!({"imageLayoutVersion": "1.0.0"}))?;
    // Last: it makes the layout one.
    write_text(&dir.join("index.json"), &index)
}

fn write_text(path: &Path, value: &Value) -> Result<(), BuildError> {
    write_aside(path, |file| {
        file.write_all(value.to_string().as_bytes()).map_err(BuildError::io("write", path))
    })
}

fn write_blob(blobs: &Path, media_type: &str, bytes: &[u8]) -> Result<Descriptor, BuildError> {
    let digest = Digest::of(bytes);
    let path = blobs.join(digest.hex());
    write_aside(&path, |file| file.write_all(bytes).map_err(BuildError::io("write", &path)))?;
    Ok(descriptor(media_type, digest, bytes.len() as u64))
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        platform: None,
        annotations: BTreeMap::new(),
    }
}

/// Hashes and counts what passes.
struct Hashing<W> {
    out: W,
    hash: Sha256,
    len: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buf)?;
        self.hash.update(&buf[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn hashing<W: Write>(out: W) -> Hashing<W> {
    Hashing { out, hash: Sha256::new(), len: 0 }
}

/// Writes the only layer; returns it and the digest of its uncompressed content.
fn write_layer(blobs: &Path, rootfs: &Path) -> Result<(Descriptor, Digest), BuildError> {
    let mut aside = Aside::readable(blobs).map_err(BuildError::io("write", blobs))?;
    let (layer, diff_id) = pack(aside.file(), rootfs)?;
    let path = blobs.join(layer.digest.hex());
    aside.replace(&path).map_err(BuildError::io("write", &path))?;
    Ok((layer, diff_id))
}

fn pack(file: &mut File, rootfs: &Path) -> Result<(Descriptor, Digest), ExportError> {
    let gzip = GzEncoder::new(hashing(BufWriter::new(file)), flate2::Compression::default());
    let mut writer = TarWriter::new(hashing(gzip));
    let stack = Stack::open(&[rootfs])?;
    stack.visit(b"", |path, entry, _, content| -> Result<(), ExportError> {
        match path.is_root() {
            true => Ok(()),
            false => Ok(writer.entry(entry, content)?),
        }
    })?;
    let plain = writer.finish()?;
    let diff_id = Digest::from_hasher(plain.hash);
    let mut compressed = plain.out.finish()?;
    compressed.flush()?;
    let Hashing { hash, len, .. } = compressed;
    Ok((descriptor(LAYER, Digest::from_hasher(hash), len), diff_id))
}

/// The configuration that says what the manifest says.
fn config(manifest: &ImageManifest, diff_id: Digest) -> Config {
    let architecture = match manifest.labels.get("arch").unwrap_or_default() {
        "i386" => "386",
        "aarch64" => "arm64",
        "armv6l" | "armv7l" => "arm",
        arch => arch,
    };
    Config {
        architecture: architecture.to_owned(),
        os: manifest.labels.get("os").unwrap_or("linux").to_owned(),
        created: manifest.annotations.get("created").map(str::to_owned),
        author: manifest.annotations.get("author").map(str::to_owned),
        config: manifest.app.as_ref().map(execution),
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![diff_id] },
        ..Config::default()
    }
}

fn execution(app: &App) -> Execution {
    let user = if app.user == app.group { app.user.clone() } else { format!("{}:{}", app.user, app.group) };
    let ports = app
        .ports
        .iter()
        .map(|p| (format!("{}/{}", p.port, p.protocol), json!({})))
        .collect::<BTreeMap<_, _>>();
    let volumes = app.mount_points.iter().map(|m| (m.path.clone(), json!({}))).collect::<BTreeMap<_, _>>();
    let environment = app.environment.iter().map(|v| format!("{}={}", v.name, v.value)).collect::<Vec<_>>();
    Execution {
        user: Some(user),
        exposed_ports: (!ports.is_empty()).then_some(ports),
        env: (!environment.is_empty()).then_some(environment),
        entrypoint: (!app.exec.is_empty()).then(|| app.exec.clone()),
        volumes: (!volumes.is_empty()).then_some(volumes),
        working_dir: (!app.working_directory.is_empty()).then(|| app.working_directory.clone()),
        ..Execution::default()
    }
}
