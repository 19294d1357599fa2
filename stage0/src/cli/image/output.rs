//! Where images are written to.

use std::io;
use std::path::{Path, PathBuf};

use super::find;
use crate::cli::GlobalFlags;
use crate::store::{Key, Store};
use crate::tree::RenderError;

/// Flags of commands that write an image to a directory.
#[derive(Debug, clap::Args)]
pub struct ToDirectory {
    /// Write the content of rootfs only
    #[arg(long)]
    rootfs_only: bool,

    /// Replace the directory if it exists
    #[arg(long)]
    overwrite: bool,

    /// The image: its hash, or name
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Where it goes
    #[arg(value_name = "DIR")]
    target: PathBuf,
}

impl ToDirectory {
    /// Makes room and lets `write` write the image; its last argument says whether only rootfs is wanted.
    pub fn write(
        &self,
        global: &GlobalFlags,
        write: impl FnOnce(&Store, &Key, &Path, bool) -> Result<(), RenderError>,
    ) -> anyhow::Result<u8> {
        let store = Store::open(&global.data_dir()?)?;
        let key = find(&store, &self.image)?;
        clear_directory(&self.target, self.overwrite)?;
        let _lock = store.prepare_lock()?;
        write(&store, &key, &self.target, self.rootfs_only)?;
        Ok(0)
    }
}

/// Makes room for an image at `path`: nothing may be there, or it is removed if `overwrite` says so.
pub fn clear_directory(path: &Path, overwrite: bool) -> anyhow::Result<()> {
    let path = std::path::absolute(path)?;
    if path.canonicalize().is_ok_and(|real| real == Path::new("/")) {
        anyhow::bail!("refusing to write an image to the root directory \"/\"");
    }
    match std::fs::symlink_metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e.into()),
        Ok(_) if !overwrite => anyhow::bail!("output directory exists (try --overwrite)"),
        Ok(_) => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
            Ok(crate::archive::beneath::remove_tree(parent, name)?)
        }
    }
}
