//! Rendering: from images in the store to a tree in the tree store.

use super::deps::{self, Part};
use super::layer::{self, LayerLock};
use super::{
    IMAGE, LAYERS, MANIFEST, RENDERED, ROOTFS, RenderError, TooBig, Tree, compose, hash, open_root,
    remove_tree, sync,
};
use crate::archive::name::RelPath;
use crate::archive::tar::{Kind, TarReader};
use crate::archive::{Extractor, Limits, Whiteouts};
use crate::store::{FileLock, Key, LayerInfo, Store, StoreError};
use sha2::{Digest, Sha512};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

impl Store {
    /// The rendered tree of an image with everything beneath it, rendered now if it is not yet. Needs root. The
    /// caller holds the prepare lock for as long as the tree must stay.
    pub fn render(&self, key: &Key) -> Result<Tree, RenderError> {
        let parts = deps::parts(self, key)?;
        let id = deps::tree_id(&parts);
        if let Some(tree) = self.rendered(&id)? {
            return Ok(tree);
        }
        let path = self.dirs().tree_lock(&id);
        let _lock = FileLock::exclusive(&path).map_err(StoreError::io("lock", &path))?;
        // Another process may have rendered it while we waited.
        if let Some(tree) = self.rendered(&id)? {
            return Ok(tree);
        }
        let size = match self.render_new(&id, &parts) {
            Ok(size) => size,
            Err(error) => {
                // What is there of it is of no use. That it cannot be removed says less than why it failed.
                let _ = remove_tree(self, &id);
                return Err(error);
            }
        };
        self.index().set_tree_size(key, size)?;
        self.rendered(&id)?.ok_or(RenderError::Vanished(id))
    }

    /// The tree with this id if it is rendered completely.
    pub fn rendered(&self, id: &str) -> Result<Option<Tree>, RenderError> {
        Tree::find(self.dirs(), id)
    }

    /// The id of the tree that rendering this image makes.
    pub fn tree_id(&self, key: &Key) -> Result<String, RenderError> {
        Ok(deps::tree_id(&deps::parts(self, key)?))
    }

    fn render_new(&self, id: &str, parts: &[Part]) -> Result<u64, RenderError> {
        remove_tree(self, id)?;
        let dir = self.dirs().trees().join(id);
        let rootfs = dir.join(ROOTFS);
        std::fs::create_dir_all(&rootfs).map_err(RenderError::io("make directory", &rootfs))?;
        let Some(image) = parts.last() else { return Err(RenderError::Vanished(id.to_owned())) };
        let layers = self.index().layers(&image.key)?;
        let mut size = 0;
        if parts.len() == 1 && !layers.is_empty() {
            size += self.render_layers(&layers)?;
            let dirs = compose::layer_dirs(self, &layers)?;
            compose::compose(self, &layers, &dirs, &rootfs)?;
            let ids: Vec<&str> = dirs.iter().filter_map(|d| d.parent()?.file_name()?.to_str()).collect();
            write(&dir, LAYERS, ids.join("\n").as_bytes())?;
        } else {
            self.render_parts(parts, &rootfs)?;
        }
        write(&dir, MANIFEST, &self.manifest_bytes(&image.key)?)?;
        write(&dir, IMAGE, image.key.as_str().as_bytes())?;
        size += hash::record(&dir)?.size;
        sync(self)?;
        let marker = dir.join(RENDERED);
        File::create(&marker).map_err(RenderError::io("write", &marker))?;
        sync(self)?;
        Ok(size)
    }

    /// Unpacks the layers that are not yet, and returns the size of all of them.
    fn render_layers(&self, layers: &[LayerInfo]) -> Result<u64, RenderError> {
        let limits = Limits::from_env();
        let mut ids: Vec<&LayerInfo> = layers.iter().collect();
        ids.sort_by(|a, b| a.diff_id.cmp(&b.diff_id));
        ids.dedup_by(|a, b| a.diff_id == b.diff_id);
        let mut unpacked = Vec::new();
        for info in &ids {
            let lock = LayerLock::new(self, &info.diff_id)?;
            if lock.is_rendered() {
                continue;
            }
            let path = self.layer_blob(&info.diff_id);
            let blob = match File::open(&path) {
                Ok(blob) => blob,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(RenderError::LayerRemoved(info.diff_id.clone()));
                }
                Err(error) => return Err(RenderError::io("open layer", &path)(error)),
            };
            if let Err(error) = lock.unpack(self, blob, limits) {
                let _ = lock.discard(self);
                return Err(error);
            }
            unpacked.push(lock);
        }
        layer::finish(self, &unpacked.iter().collect::<Vec<_>>())?;
        drop(unpacked);
        ids.iter().map(|info| layer::recorded_size(self, &info.diff_id)).sum()
    }

    /// Lays images over each other in one directory, lowest first.
    fn render_parts(&self, parts: &[Part], rootfs: &Path) -> Result<(), RenderError> {
        let limits = Limits::from_env();
        let mut extractor = Extractor::new(open_root(rootfs)?, limits, Whiteouts::AsFiles);
        for part in parts {
            if self.index().layers(&part.key)?.is_empty() {
                self.lay_archive(part, &mut extractor, limits)?;
            } else {
                self.lay_tree(part, &mut extractor)?;
            }
        }
        extractor.finish()?;
        Ok(())
    }

    fn lay_archive(&self, part: &Part, to: &mut Extractor, limits: Limits) -> Result<(), RenderError> {
        let path = self.dirs().blob(&part.key);
        let blob = File::open(&path).map_err(RenderError::io("open image", &path))?;
        let mut input = Hashing {
            input: BufReader::with_capacity(1 << 20, blob),
            hash: Sha512::new(),
            left: limits.bytes,
        };
        let mut reader = TarReader::new(&mut input, limits.entries);
        while let Some(entry) = reader.next_entry()? {
            let Some(path) = RelPath::parse(&entry.name)?.strip(ROOTFS.as_bytes()) else { continue };
            if !part.keeps(&path, entry.kind == Kind::Directory) {
                continue;
            }
            let link = super::link_target(&entry)?;
            to.write(&path, &entry, link.as_ref(), &mut reader)?;
        }
        io::copy(&mut input, &mut io::sink()).map_err(RenderError::Read)?;
        if Key::from_hasher(input.hash) != part.key {
            return Err(RenderError::Damaged(part.key.clone()));
        }
        Ok(())
    }

    /// An OCI image beneath an ACI: its merged tree is copied, since lists of paths can apply to it.
    fn lay_tree(&self, part: &Part, to: &mut Extractor) -> Result<(), RenderError> {
        let tree = self.render(&part.key)?;
        tree.visit(b"", |path, entry, link, mut content| -> Result<(), RenderError> {
            if part.keeps(path, entry.kind == Kind::Directory) {
                to.write(path, entry, link, &mut content)?;
            }
            Ok(())
        })
    }
}

fn write(dir: &Path, name: &str, content: &[u8]) -> Result<(), RenderError> {
    let path = dir.join(name);
    std::fs::write(&path, content).map_err(RenderError::io("write", &path))
}

struct Hashing<R> {
    input: R,
    hash: Sha512,
    left: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buf)?;
        self.left = self.left.checked_sub(got as u64).ok_or_else(|| io::Error::other(TooBig))?;
        self.hash.update(&buf[..got]);
        Ok(got)
    }
}
