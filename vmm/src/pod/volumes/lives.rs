//! Mounts of apps that are added to a running pod, under names that no earlier mount had.
//!
//! Linux keeps the names that a FUSE server has vouched for. An app that is removed and added again must not find the files of
//! its earlier life by them, so what the guest sees of each life is `NAME@LIFE`: neither apps nor volumes have an `@` in
//! their names.

use std::{fs, io, path::Path};

use super::{share, tree};
use crate::pod::{clock::now_ns, directory::PodDirectory};

/// The name of something in this life.
pub fn name(of: &str) -> String {
    format!("{of}@{}", now_ns())
}

/// Shows the guest the root file system of an app; returns its name in the share.
pub fn show_rootfs(app: &str, directory: &PodDirectory) -> io::Result<String> {
    hide_rootfs(app, directory)?;
    let name = name(app);
    share::attach(&directory.apps().join(&name), &tree::clone_alone(&directory.app_rootfs(app))?)?;
    Ok(name)
}

/// Takes it away again.
pub fn hide_rootfs(app: &str, directory: &PodDirectory) -> io::Result<()> {
    detach_lives(&directory.apps(), app)
}

/// Takes away what was attached in `directory` under a name of [`name`], in whatever life.
pub fn detach_lives(directory: &Path, of: &str) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().and_then(|name| name.rsplit_once('@')).is_some_and(|(name, _)| name == of) {
            share::detach(&entry.path())?;
        }
    }
    Ok(())
}
