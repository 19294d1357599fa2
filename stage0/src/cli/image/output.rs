//! Where images are written to.

use std::io;
use std::path::Path;

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
