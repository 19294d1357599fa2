//! The tree store: images rendered once as directories, the lower layers of all pods that run them.

mod collect;
mod compose;
mod copy;
mod deps;
mod export;
pub mod hash;
pub mod layer;
mod render;
mod stack;
mod verify;
mod whitelist;

pub use collect::Used;
pub use export::ExportError;
pub use stack::{Found, Stack};
pub use verify::Verdict;

use crate::archive::beneath::{self, Beneath, BeneathError};
use crate::archive::name::{NameError, RelPath};
use crate::archive::{Entry, ExtractError, Kind, TarError};
use crate::store::{Dirs, Key, Store, StoreError};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Directory of the files in a tree.
pub const ROOTFS: &str = "rootfs";
/// The image's manifest in a tree.
pub const MANIFEST: &str = "manifest";
/// The key of the image a tree was rendered of.
const IMAGE: &str = "image";
/// The layer trees beneath, topmost first, one id per line; absent in trees of ACIs.
const LAYERS: &str = "layers";
/// Marks a complete tree; written after everything else is on disk.
const RENDERED: &str = "rendered";

/// Why a tree cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file operation failed.
    #[error("Cannot {action} {path:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The archive cannot be read.
    #[error("Cannot read image archive")]
    Read(#[source] io::Error),
    /// The archive is bad.
    #[error("Cannot unpack image")]
    Tar(#[from] TarError),
    /// A name in the archive is bad.
    #[error("Cannot unpack image")]
    Name(#[from] NameError),
    /// An entry cannot be written.
    #[error("Cannot unpack image")]
    Extract(#[from] ExtractError),
    /// Something in a tree cannot be reached.
    #[error(transparent)]
    Path(#[from] BeneathError),
    /// A hard link names something that is not in the rootfs.
    #[error("Hard link to {0:?}, which is outside of rootfs")]
    LinkOutside(String),
    /// The archive in the store is not what its key says.
    #[error("Image {0} is damaged in the store: fetch it again")]
    Damaged(Key),
    /// A layer is not what the image's configuration says.
    #[error("Layer is sha256:{found}, expected sha256:{expected}")]
    DiffId {
        /// The configuration's digest.
        expected: String,
        /// The layer's.
        found: String,
    },
    /// A dependency is not in the store.
    #[error("Dependency {dependency:?} of image {image:?} is not in the store")]
    Dependency {
        /// The image.
        image: String,
        /// What it needs.
        dependency: String,
    },
    /// Dependencies of dependencies without end.
    #[error("Dependencies of image {0} are nested too deep")]
    TooDeep(Key),
    /// Too many images in one rendering.
    #[error("Image has more than {0} dependencies")]
    TooManyParts(usize),
    /// The tree was removed while it was being rendered.
    #[error("Tree {0} vanished while it was rendered")]
    Vanished(String),
    /// The image was removed before its layers were unpacked.
    #[error(
        "Layer sha256:{0} is not in the store any more: its image was removed meanwhile (fetch it again)"
    )]
    LayerRemoved(String),
}

/// Says through an `io::Error` that an archive is longer than allowed.
#[derive(Debug, thiserror::Error)]
#[error("Archive is larger than allowed (raise RKT_IMAGE_MAX_SIZE to allow it)")]
pub(crate) struct TooBig;

impl RenderError {
    /// Whether the image can never be rendered, because of what is in its archive.
    pub fn blames_image(&self) -> bool {
        match self {
            RenderError::Tar(TarError::Read(_)) => false,
            RenderError::Tar(_) | RenderError::Name(_) | RenderError::LinkOutside(_) => true,
            RenderError::Extract(ExtractError::Path(error)) | RenderError::Path(error) => error.blames_path(),
            RenderError::Extract(error) => {
                !matches!(error, ExtractError::Content { .. } | ExtractError::Tar(TarError::Read(_)))
            }
            RenderError::TooDeep(_) | RenderError::TooManyParts(_) => true,
            _ => false,
        }
    }

    /// For `map_err` on I/O results.
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| RenderError::Io { action, path, source }
    }
}

/// As [`RenderError::io`] for a path inside of a tree.
fn content_error(action: &'static str, path: &RelPath) -> impl FnOnce(io::Error) -> RenderError {
    RenderError::io(action, Path::new(path.as_os()))
}

/// A rendered tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    id: String,
    dir: PathBuf,
    lowers: Vec<PathBuf>,
}

impl Tree {
    /// The tree with this id if it is rendered completely. Needs no index, so it works where nothing can be written.
    pub fn find(dirs: &Dirs, id: &str) -> Result<Option<Self>, RenderError> {
        if !dirs.trees().join(id).join(RENDERED).exists() {
            return Ok(None);
        }
        let tree = Tree::open(dirs, id)?;
        // Its layers may have been removed under it by hand; then it is rendered anew.
        Ok(tree.lowers.iter().skip(1).all(|l| l.with_file_name(RENDERED).exists()).then_some(tree))
    }

    fn open(dirs: &Dirs, id: &str) -> Result<Self, RenderError> {
        let dir = dirs.trees().join(id);
        let mut lowers = vec![dir.join(ROOTFS)];
        let list = dir.join(LAYERS);
        match std::fs::read_to_string(&list) {
            Ok(ids) => lowers.extend(ids.lines().map(|id| dirs.trees().join(id).join(ROOTFS))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(RenderError::io("read", &list)(e)),
        }
        Ok(Tree { id: id.to_owned(), dir, lowers })
    }

    /// Its id, `deps-sha512-…`: the name of its directory in the tree store, kept by pods.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The lower directories of an overlay that shows the image, topmost first. The first one is the tree's own
    /// `rootfs`; the root directory's owner and mode are taken from it. Trees of ACIs have no other.
    pub fn lowers(&self) -> &[PathBuf] {
        &self.lowers
    }

    /// The image's manifest.
    pub fn manifest(&self) -> PathBuf {
        self.dir.join(MANIFEST)
    }

    /// The image it was rendered of.
    pub fn image(&self) -> Result<Key, RenderError> {
        let path = self.dir.join(IMAGE);
        let text = std::fs::read_to_string(&path).map_err(RenderError::io("read", &path))?;
        text.trim().parse().map_err(|e| RenderError::io("read", &path)(io::Error::other(e)))
    }
}

/// The target of a hard link in an ACI, below rootfs; `None` for entries of other kinds.
fn link_target(entry: &Entry) -> Result<Option<RelPath>, RenderError> {
    if entry.kind != Kind::Hardlink {
        return Ok(None);
    }
    let target = RelPath::parse(&entry.link)?;
    match target.strip(ROOTFS.as_bytes()) {
        Some(below) => Ok(Some(below)),
        None => Err(RenderError::LinkOutside(target.to_string())),
    }
}

fn open_root(dir: &Path) -> Result<Beneath, RenderError> {
    Beneath::open(dir).map_err(RenderError::io("open directory", dir))
}

/// Puts everything written to the tree store's file system on disk.
fn sync(store: &Store) -> Result<(), RenderError> {
    let dir = store.dirs().trees();
    let file = File::open(&dir).map_err(RenderError::io("open directory", &dir))?;
    rustix::fs::syncfs(file).map_err(|e| RenderError::io("sync", &dir)(e.into()))
}

/// Removes a tree, its mark of completeness first.
fn remove_tree(store: &Store, id: &str) -> Result<(), RenderError> {
    let marker = store.dirs().trees().join(id).join(RENDERED);
    match std::fs::remove_file(&marker) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(RenderError::io("remove", &marker)(e)),
        _ => {}
    }
    Ok(beneath::remove_tree(&store.dirs().trees(), OsStr::new(id))?)
}

#[cfg(test)]
mod tests;
