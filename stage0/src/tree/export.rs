//! Images out of the store: as an archive or as directories.

use super::{MANIFEST, ROOTFS, RenderError, open_root};
use crate::archive::beneath::BeneathError;
use crate::archive::limits::Limits;
use crate::archive::name::RelPath;
use crate::archive::tar::{Entry, Kind, TarReader, TarWriter};
use crate::archive::{Extractor, Whiteouts};
use crate::store::{Key, Store, StoreError};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

/// Why an image cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The image cannot be rendered or read.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The output cannot be written.
    #[error("Cannot write image archive")]
    Write(#[from] io::Error),
}

impl From<BeneathError> for ExportError {
    fn from(error: BeneathError) -> Self {
        ExportError::Render(error.into())
    }
}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        ExportError::Render(error.into())
    }
}

impl Store {
    /// Writes the image as an uncompressed ACI. One that was fetched as an ACI comes out as it went in; the layers
    /// of a converted one are merged, which needs root.
    pub fn export(&self, key: &Key, out: impl Write) -> Result<(), ExportError> {
        let mut out = BufWriter::with_capacity(1 << 20, out);
        if self.index().layers(key)?.is_empty() {
            let path = self.dirs().blob(key);
            let mut blob = File::open(&path).map_err(StoreError::io("open", &path))?;
            io::copy(&mut blob, &mut out)?;
            return Ok(out.flush()?);
        }
        let manifest = self.manifest_bytes(key)?;
        let mut writer = TarWriter::new(out);
        let entry = Entry::new(MANIFEST.as_bytes(), Kind::File, 0o644).sized(manifest.len() as u64);
        writer.entry(&entry, &mut &manifest[..])?;
        let tree = self.render(key)?;
        tree.visit(ROOTFS.as_bytes(), |_, entry, _, content| -> Result<(), ExportError> {
            Ok(writer.entry(entry, content)?)
        })?;
        writer.finish()?;
        Ok(())
    }

    /// Writes what the image itself holds, without its dependencies, into the directory `to`: manifest and rootfs, or
    /// with `rootfs_only` the content of rootfs.
    pub fn extract_to(&self, key: &Key, to: &Path, rootfs_only: bool) -> Result<(), RenderError> {
        if !self.index().layers(key)?.is_empty() {
            return self.render_to(key, to, rootfs_only);
        }
        let rootfs = self.prepare(key, to, rootfs_only)?;
        let limits = Limits::from_env();
        let path = self.dirs().blob(key);
        let blob = File::open(&path).map_err(RenderError::io("open image", &path))?;
        let mut reader = TarReader::new(BufReader::with_capacity(1 << 20, blob), limits.entries);
        let mut extractor = Extractor::new(open_root(&rootfs)?, limits, Whiteouts::AsFiles);
        while let Some(entry) = reader.next_entry()? {
            let Some(path) = RelPath::parse(&entry.name)?.strip(ROOTFS.as_bytes()) else { continue };
            let link = super::link_target(&entry)?;
            extractor.write(&path, &entry, link.as_ref(), &mut reader)?;
        }
        extractor.finish()?;
        Ok(())
    }

    /// Writes the image with everything beneath it into the directory `to`. Needs root.
    pub fn render_to(&self, key: &Key, to: &Path, rootfs_only: bool) -> Result<(), RenderError> {
        let tree = self.render(key)?;
        let rootfs = self.prepare(key, to, rootfs_only)?;
        tree.copy_to(&rootfs)
    }

    /// Makes `to` ready and returns the directory the files go to.
    fn prepare(&self, key: &Key, to: &Path, rootfs_only: bool) -> Result<std::path::PathBuf, RenderError> {
        let rootfs = if rootfs_only { to.to_path_buf() } else { to.join(ROOTFS) };
        std::fs::create_dir_all(&rootfs).map_err(RenderError::io("make directory", &rootfs))?;
        if !rootfs_only {
            let path = to.join(MANIFEST);
            std::fs::write(&path, self.manifest_bytes(key)?).map_err(RenderError::io("write", &path))?;
        }
        Ok(rootfs)
    }
}
