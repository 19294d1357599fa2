//! Taking ACIs into the store.

use super::{Aside, ImageInfo, Key, LayerInfo, Store, StoreError, index};
use crate::archive::limits::MAX_MANIFEST;
use crate::archive::name::{NameError, RelPath};
use crate::archive::tar::{Kind, TarError, TarReader};
use crate::archive::{Decoder, Limits};
use appc::{ImageManifest, ManifestError};
use sha2::{Digest, Sha512};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

/// Why an archive is not taken into the store.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Reading the archive failed.
    #[error("Cannot read image archive")]
    Read(#[source] io::Error),
    /// Not an acceptable tar.
    #[error("Image is not a valid ACI")]
    Tar(#[from] TarError),
    /// An entry's name leaves the image.
    #[error("Image is not a valid ACI")]
    Name(#[from] NameError),
    /// Something else than `manifest` and `rootfs/`.
    #[error("Image is not a valid ACI: unexpected entry {0:?}, only manifest and rootfs/ are allowed")]
    Entry(String),
    /// No manifest, or several.
    #[error("Image is not a valid ACI: it has {0}")]
    Shape(&'static str),
    /// The manifest is longer than is read into memory.
    #[error("Image manifest of {0} bytes is longer than {MAX_MANIFEST}")]
    ManifestSize(u64),
    /// The manifest is bad.
    #[error("Image has an invalid manifest")]
    Manifest(#[source] Box<ManifestError>),
    /// More bytes than allowed.
    #[error("Image is larger than {0} bytes uncompressed (raise RKT_IMAGE_MAX_SIZE to allow it)")]
    TooBig(u64),
}

/// An image that is in the store now.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Its key.
    pub key: Key,
    /// Its manifest.
    pub manifest: ImageManifest,
}

/// Passes bytes on while hashing, counting and writing them.
struct Tee<'a, R> {
    input: R,
    hash: Sha512,
    out: BufWriter<&'a mut File>,
    count: u64,
    limit: u64,
}

/// What [`Tee`] fails of that is not its input's fault, since `io::Error` is all a reader can return.
#[derive(Debug, thiserror::Error)]
enum TeeError {
    #[error("too big")]
    TooBig,
    #[error("cannot write")]
    Write(#[source] io::Error),
}

impl TeeError {
    fn write(error: io::Error) -> io::Error {
        io::Error::other(TeeError::Write(error))
    }
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buf)?;
        self.count += got as u64;
        if self.count > self.limit {
            return Err(io::Error::other(TeeError::TooBig));
        }
        self.hash.update(&buf[..got]);
        self.out.write_all(&buf[..got]).map_err(TeeError::write)?;
        Ok(got)
    }
}

/// What [`Store::stage`] made of an archive: complete, checked, and not yet visible to anybody.
#[derive(Debug)]
pub struct Staged {
    /// The key it will have.
    pub key: Key,
    /// Its manifest.
    pub manifest: ImageManifest,
    manifest_bytes: Vec<u8>,
    blob: Aside,
    size: u64,
}

impl Store {
    /// Reads an ACI in any supported compression into the store. `latest` says that it was asked for without a
    /// version.
    pub fn import(&self, input: impl Read, limits: Limits, latest: bool) -> Result<Imported, ImportError> {
        let staged = self.stage(input, limits)?;
        Ok(self.publish(staged, &[], latest)?)
    }

    /// First half of [`import`](Self::import): reads and checks in one pass.
    pub fn stage(&self, input: impl Read, limits: Limits) -> Result<Staged, ImportError> {
        let tmp = self.dirs.tmp();
        let mut blob = Aside::new(&tmp).map_err(StoreError::io("make a file in", &tmp))?;
        let decoder = Decoder::new(input).map_err(ImportError::Read)?;
        let (manifest_bytes, key, size) =
            copy(decoder, blob.file(), limits).map_err(|error| by_its_cause(error, limits, &tmp))?;
        let manifest =
            ImageManifest::from_slice(&manifest_bytes).map_err(|e| ImportError::Manifest(Box::new(e)))?;
        Ok(Staged { key, manifest, manifest_bytes, blob, size })
    }

    /// Second half: makes the image visible. `layers` are the OCI layers below it, lowest first; they must be in
    /// the store, and the caller holds the prepare lock if there are any.
    pub fn publish(
        &self,
        staged: Staged,
        layers: &[LayerInfo],
        latest: bool,
    ) -> Result<Imported, StoreError> {
        let Staged { key, manifest, manifest_bytes, blob, size } = staged;
        let _lock = self.prepare_lock()?;
        let path = self.dirs.blob(&key);
        self.dirs.make_fan_out(&path)?;
        blob.publish(&path).map_err(StoreError::io("write", &path))?;
        let path = self.dirs.manifest(&key);
        self.dirs.make_fan_out(&path)?;
        let tmp = self.dirs.tmp();
        let mut aside = Aside::new(&tmp).map_err(StoreError::io("make a file in", &tmp))?;
        aside.file().write_all(&manifest_bytes).map_err(StoreError::io("write", &path))?;
        aside.publish(&path).map_err(StoreError::io("write", &path))?;
        let now = index::now();
        let info = ImageInfo {
            key: key.clone(),
            name: manifest.name.to_string(),
            version: manifest.labels.get("version").map(str::to_owned),
            import_time: now,
            last_used: now,
            latest,
            size: size + layers.iter().map(|l| l.size).sum::<u64>(),
            tree_size: 0,
        };
        self.index().add_image(&info, layers)?;
        self.index().keep_reserve();
        Ok(Imported { key, manifest })
    }
}

/// Checks that `input` is an ACI that would be taken, and returns its manifest.
pub fn check_aci(input: impl Read, limits: Limits) -> Result<ImageManifest, ImportError> {
    let decoder = Decoder::new(input).map_err(ImportError::Read)?;
    let manifest = check(&mut decoder.take(limits.bytes), limits)?;
    ImageManifest::from_slice(&manifest).map_err(|e| ImportError::Manifest(Box::new(e)))
}

/// Copies a whole archive to `out` and returns its manifest, key and length.
fn copy(input: impl Read, out: &mut File, limits: Limits) -> Result<(Vec<u8>, Key, u64), ImportError> {
    let out = BufWriter::with_capacity(1 << 20, out);
    let mut tee = Tee { input, hash: Sha512::new(), out, count: 0, limit: limits.bytes };
    let manifest = check(&mut tee, limits)?;
    // What follows the archive's end is part of what is hashed.
    io::copy(&mut tee, &mut io::sink()).map_err(ImportError::Read)?;
    tee.out.flush().map_err(TeeError::write).map_err(ImportError::Read)?;
    Ok((manifest, Key::from_hasher(tee.hash), tee.count))
}

/// The error without the reader that it came through: a full disk is no bad image.
fn by_its_cause(error: ImportError, limits: Limits, dir: &Path) -> ImportError {
    let (error, again): (_, fn(io::Error) -> ImportError) = match error {
        ImportError::Read(error) => (error, ImportError::Read),
        ImportError::Tar(TarError::Read(error)) => (error, |error| TarError::Read(error).into()),
        other => return other,
    };
    match error.downcast::<TeeError>() {
        Ok(TeeError::TooBig) => ImportError::TooBig(limits.bytes),
        Ok(TeeError::Write(error)) => StoreError::io("write to", dir)(error).into(),
        Err(error) => again(error),
    }
}

/// Reads the whole archive, checks the shape of an ACI (appc spec, "Image Layout") and returns the manifest.
fn check(input: &mut impl Read, limits: Limits) -> Result<Vec<u8>, ImportError> {
    let mut reader = TarReader::new(input, limits.entries);
    let mut manifest = None;
    let mut rootfs = false;
    while let Some(entry) = reader.next_entry()? {
        let path = RelPath::parse(&entry.name)?;
        if path.is_root() {
            continue;
        }
        if path.strip(b"rootfs").is_some() {
            rootfs = true;
            continue;
        }
        if path.as_bytes() != b"manifest" {
            return Err(ImportError::Entry(path.to_string()));
        }
        if entry.kind != Kind::File {
            return Err(ImportError::Shape("a manifest that is not a file"));
        }
        if entry.size > MAX_MANIFEST {
            return Err(ImportError::ManifestSize(entry.size));
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(ImportError::Read)?;
        if manifest.replace(bytes).is_some() {
            return Err(ImportError::Shape("several manifests"));
        }
    }
    if !rootfs {
        return Err(ImportError::Shape("no rootfs"));
    }
    manifest.ok_or(ImportError::Shape("no manifest"))
}
