//! Layers of OCI images: each is unpacked once, whatever number of images has it, into a tree of its own that
//! overlayfs stacks.

use super::{RENDERED, ROOTFS, RenderError, hash, open_root};
use crate::archive::extract::Extracted;
use crate::archive::name::RelPath;
use crate::archive::tar::{Kind, TarReader};
use crate::archive::{Decoder, Extractor, Limits, Whiteouts};
use crate::store::{FileLock, Store, StoreError};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// File beside a layer's rootfs: what its archive left open ([`Extracted`]).
const EXTRACTED: &str = "extracted";

/// Name of a layer's tree. `diff_id` is the SHA-256 of its uncompressed archive in hexadecimal digits.
pub fn tree_id(diff_id: &str) -> String {
    format!("layer-{diff_id}")
}

/// Exclusive use of a layer, in the tree store and among the kept archives. An image's layers are locked in the
/// order of their ids, so that two processes never wait for each other.
#[derive(Debug)]
pub struct LayerLock {
    diff_id: String,
    dir: PathBuf,
    _lock: FileLock,
}

impl LayerLock {
    /// Waits for the layer.
    pub fn new(store: &Store, diff_id: &str) -> Result<Self, StoreError> {
        let id = tree_id(diff_id);
        let path = store.dirs().tree_lock(&id);
        let _lock = FileLock::exclusive(&path).map_err(StoreError::io("lock", &path))?;
        Ok(LayerLock { diff_id: diff_id.to_owned(), dir: store.dirs().trees().join(id), _lock })
    }

    /// The layer.
    pub fn diff_id(&self) -> &str {
        &self.diff_id
    }

    /// Whether it is unpacked.
    pub fn is_rendered(&self) -> bool {
        self.dir.join(RENDERED).exists()
    }

    /// Unpacks the layer from `input` (in any compression) and checks that it is the layer it should be. It
    /// counts as rendered only after [`finish`].
    pub fn unpack(&self, store: &Store, input: impl Read, limits: Limits) -> Result<(), RenderError> {
        self.discard(store)?;
        let rootfs = self.dir.join(ROOTFS);
        std::fs::create_dir_all(&rootfs).map_err(RenderError::io("make directory", &rootfs))?;
        let mut hasher = Hashing {
            input: Decoder::new(input).map_err(RenderError::Read)?,
            hash: Sha256::new(),
            left: limits.bytes,
        };
        let extracted =
            extract(&mut hasher, Extractor::new(open_root(&rootfs)?, limits, Whiteouts::Overlay), limits)?;
        io::copy(&mut hasher, &mut io::sink()).map_err(RenderError::Read)?;
        let found = hex::encode(hasher.hash.finalize());
        if found != self.diff_id {
            return Err(RenderError::DiffId { expected: self.diff_id.clone(), found });
        }
        let path = self.dir.join(EXTRACTED);
        let text = serde_json::to_vec(&extracted).map_err(|e| RenderError::Read(e.into()))?;
        std::fs::write(&path, text).map_err(RenderError::io("write", &path))?;
        hash::record(&self.dir).map(drop)
    }

    /// Removes what is unpacked, complete or not.
    pub fn discard(&self, store: &Store) -> Result<(), RenderError> {
        super::remove_tree(store, &tree_id(&self.diff_id))
    }
}

/// Declares layers unpacked, after all that was written is on disk: one sync for all of them.
pub fn finish(store: &Store, layers: &[&LayerLock]) -> Result<(), RenderError> {
    if layers.is_empty() {
        return Ok(());
    }
    super::sync(store)?;
    for layer in layers {
        let path = layer.dir.join(RENDERED);
        File::create(&path).map_err(RenderError::io("write", &path))?;
    }
    super::sync(store)
}

/// What a layer's archive left open.
pub(super) fn extracted(store: &Store, diff_id: &str) -> Result<Extracted, RenderError> {
    let path = store.dirs().trees().join(tree_id(diff_id)).join(EXTRACTED);
    let text = std::fs::read(&path).map_err(RenderError::io("read", &path))?;
    serde_json::from_slice(&text).map_err(|e| RenderError::io("read", &path)(e.into()))
}

/// Bytes of a rendered layer's files.
pub(super) fn recorded_size(store: &Store, diff_id: &str) -> Result<u64, RenderError> {
    Ok(hash::recorded(&store.dirs().trees().join(tree_id(diff_id)))?.size)
}

fn extract(
    input: &mut impl Read,
    mut extractor: Extractor,
    limits: Limits,
) -> Result<Extracted, RenderError> {
    let mut reader = TarReader::new(input, limits.entries).open_ended();
    while let Some(entry) = reader.next_entry()? {
        let path = RelPath::parse(&entry.name)?;
        let link = match entry.kind {
            Kind::Hardlink => Some(RelPath::parse(&entry.link)?),
            _ => None,
        };
        extractor.write(&path, &entry, link.as_ref(), &mut reader)?;
    }
    Ok(extractor.finish()?)
}

struct Hashing<R> {
    input: R,
    hash: Sha256,
    left: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buf)?;
        self.left = self.left.checked_sub(got as u64).ok_or_else(|| io::Error::other(super::TooBig))?;
        self.hash.update(&buf[..got]);
        Ok(got)
    }
}
