//! Making images: a directory or another image, files over it, and a manifest.

mod oci;
mod recipe;

pub use recipe::{Copy, Output, Recipe, RecipeError, parse_mount_point, parse_port};

use crate::archive::beneath::{self, BeneathError};
use crate::archive::name::RelPath;
use crate::archive::tar::{Entry, Kind, TarWriter};
use crate::archive::{ExtractError, Extractor, Limits, Whiteouts};
use crate::convert::ConvertError;
use crate::store::{Key, Store, StoreError};
use crate::tree::{ExportError, MANIFEST, ROOTFS, RenderError, Stack};
use appc::ImageManifest;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Why an image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The base cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The recipe asks for something impossible.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A file cannot be read or written.
    #[error("Cannot {action} {path:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file cannot be laid into the image.
    #[error("Cannot lay {path:?} into the image")]
    Lay {
        /// What was to be copied.
        path: PathBuf,
        /// Why.
        source: Box<ExtractError>,
    },
    /// The archive cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Its documents cannot be written.
    #[error(transparent)]
    Convert(#[from] ConvertError),
}

impl From<BeneathError> for BuildError {
    fn from(error: BeneathError) -> Self {
        BuildError::Render(error.into())
    }
}

impl From<StoreError> for BuildError {
    fn from(error: StoreError) -> Self {
        BuildError::Render(error.into())
    }
}

impl BuildError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| BuildError::Io { action, path, source }
    }
}

/// A rootfs under construction in the store's scratch directory; it goes with the value.
struct Scratch {
    parent: PathBuf,
    name: String,
}

impl Scratch {
    fn new(store: &Store) -> Result<Self, BuildError> {
        let scratch =
            Scratch { parent: store.dirs().scratch(), name: format!("build-{}", uuid::Uuid::new_v4()) };
        let rootfs = scratch.rootfs();
        std::fs::create_dir_all(&rootfs).map_err(BuildError::io("make directory", &rootfs))?;
        Ok(scratch)
    }

    fn rootfs(&self) -> PathBuf {
        self.parent.join(&self.name).join(ROOTFS)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = beneath::remove_tree(&self.parent, self.name.as_ref()) {
            tracing::warn!(target: "image", "cannot remove {}: {error}", self.parent.join(&self.name).display());
        }
    }
}

/// Makes an image and writes it where the recipe says. `base` is the image it starts from.
pub fn build(store: &Store, recipe: &Recipe, base: Option<&Key>) -> Result<(), BuildError> {
    let manifest = match base {
        Some(key) => recipe.manifest(Some(&store.manifest(key)?))?,
        None => recipe.manifest(None)?,
    };
    let scratch = Scratch::new(store)?;
    if let Some(key) = base {
        store.render_to(key, &scratch.rootfs(), true)?;
    }
    for copy in &recipe.copies {
        lay(&scratch.rootfs(), copy)?;
    }
    match &recipe.output {
        Output::Aci(path) => write_aci(path, &manifest, &scratch.rootfs()),
        Output::OciLayout(dir) => oci::write(dir, &manifest, &scratch.rootfs()),
    }
}

/// Copies a file or a directory's content into the image, over what is there.
fn lay(rootfs: &Path, copy: &Copy) -> Result<(), BuildError> {
    let root = beneath::Beneath::open(rootfs).map_err(BuildError::io("open directory", rootfs))?;
    let limits = Limits { bytes: u64::MAX, entries: u64::MAX };
    let mut extractor = Extractor::new(root, limits, Whiteouts::AsFiles);
    let failed = |source| BuildError::Lay { path: copy.from.clone(), source: Box::new(source) };
    let meta = std::fs::metadata(&copy.from).map_err(BuildError::io("examine", &copy.from))?;
    // A file is found through its directory, like everything else.
    let (dir, only) = match meta.is_dir() {
        true => (copy.from.clone(), None),
        false => (copy.from.parent().map(Path::to_path_buf).unwrap_or_default(), copy.from.file_name()),
    };
    let dir = if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir };
    let stack = Stack::open(&[&dir]).map_err(BuildError::io("open directory", &dir))?;
    if let Some(name) = only {
        let found = stack.find(&RelPath::default().join(name))?;
        let found =
            found.ok_or_else(|| BuildError::io("open", &copy.from)(io::ErrorKind::NotFound.into()))?;
        if let Some(entry) = found.entry(b"")? {
            let mut content: Box<dyn io::Read> =
                if entry.kind == Kind::File { Box::new(found.open()?) } else { Box::new(io::empty()) };
            extractor.write(&copy.to, &entry, None, &mut content).map_err(failed)?;
        }
    } else {
        stack.visit(b"", |path, entry, link, mut content| -> Result<(), BuildError> {
            let to = path.below(&copy.to);
            let link = link.map(|link| link.below(&copy.to));
            extractor.write(&to, entry, link.as_ref(), &mut content).map_err(failed)
        })?;
    }
    extractor.finish().map_err(failed)?;
    Ok(())
}

fn write_aci(path: &Path, manifest: &ImageManifest, rootfs: &Path) -> Result<(), BuildError> {
    let json = manifest.to_vec().map_err(|e| ConvertError::Manifest(Box::new(e)))?;
    recipe::write_aside(path, |file: &mut File| {
        let gzip = flate2::write::GzEncoder::new(BufWriter::new(file), flate2::Compression::default());
        let mut writer = TarWriter::new(gzip);
        let entry = Entry::new(MANIFEST.as_bytes(), Kind::File, 0o644).sized(json.len() as u64);
        writer.entry(&entry, &mut &json[..]).map_err(ExportError::Write)?;
        let stack = Stack::open(&[rootfs]).map_err(ExportError::Write)?;
        stack.visit(ROOTFS.as_bytes(), |_, entry, _, content| -> Result<(), ExportError> {
            Ok(writer.entry(entry, content)?)
        })?;
        let gzip = writer.finish().map_err(ExportError::Write)?;
        gzip.finish().and_then(|mut out| out.flush()).map_err(ExportError::Write)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests;
