//! The topmost directory of an OCI image's stack: what its layers, each unpacked for itself, cannot say alone.
//!
//! A layer is unpacked once for all images, without knowing what will be below it. Two things depend on that: a
//! directory its archive has no entry for must look like the one below, and a hard link's target may be a file
//! of a layer below. Both are settled per image, here.

use super::copy::write_found;
use super::layer;
use super::stack::{Descent, Found, Stack, is_dir};
use super::{RenderError, open_root};
use crate::archive::extract::{Extracted, OPAQUE_XATTR};
use crate::archive::name::RelPath;
use crate::archive::tar::{Entry, Kind};
use crate::archive::{ExtractError, Extractor, Limits, Whiteouts};
use crate::store::{LayerInfo, Store};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Links that converted images get (appc-schema 8).
const DEV_LINKS: [(&str, &str); 4] = [
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/dev/console"),
    ("dev/stderr", "/dev/console"),
    ("dev/fd", "/proc/self/fd"),
];

/// The rootfs directories of rendered layers, topmost first. `layers` are lowest first. Layers below one whose
/// root is opaque are left out, since overlayfs does not look at a root's mark.
pub fn layer_dirs(store: &Store, layers: &[LayerInfo]) -> Result<Vec<PathBuf>, RenderError> {
    let mut out = Vec::new();
    for info in layers.iter().rev() {
        let dir = store.dirs().trees().join(layer::tree_id(&info.diff_id)).join(super::ROOTFS);
        let root = open_root(&dir)?;
        // The same layer twice in one image: the lower one adds nothing, and overlayfs takes no directory twice.
        if !out.contains(&dir) {
            out.push(dir);
        }
        let mut value = [0u8; 2];
        if rustix::fs::fgetxattr(&root, OPAQUE_XATTR, &mut value[..]).is_ok() {
            break;
        }
    }
    Ok(out)
}

/// Fills `top`, an empty directory, for the stack of `dirs` (topmost first) with these layers (lowest first).
pub fn compose(store: &Store, layers: &[LayerInfo], dirs: &[PathBuf], top: &Path) -> Result<(), RenderError> {
    let stack = Stack::open(dirs).map_err(RenderError::io("open layers for", top))?;
    let mut open = Vec::new();
    for dir in dirs {
        let info =
            layers.iter().find(|l| dir.parent().is_some_and(|d| d.ends_with(layer::tree_id(&l.diff_id))));
        open.push(match info {
            Some(info) => layer::extracted(store, &info.diff_id)?,
            None => Extracted::default(),
        });
    }
    let limits = Limits::from_env();
    let top = Extractor::new(open_root(top)?, limits, Whiteouts::AsFiles);
    let descent = Descent::new(&stack, 0);
    let mut composer = Composer { stack: &stack, descent, open: &open, top, made: BTreeSet::new() };
    composer.mirror(&RelPath::default())?;
    composer.implied_directories()?;
    composer.foreign_links()?;
    composer.dev_links()?;
    composer.top.finish()?;
    Ok(())
}

struct Composer<'a> {
    stack: &'a Stack,
    descent: Descent<'a>,
    /// Per layer of the stack.
    open: &'a [Extracted],
    top: Extractor,
    /// Directories already in `top`.
    made: BTreeSet<RelPath>,
}

impl Composer<'_> {
    /// Gives directories without an entry of their own the looks of the next directory below that has one.
    fn implied_directories(&mut self) -> Result<(), RenderError> {
        for (number, extracted) in self.open.iter().enumerate() {
            let mut implied: Vec<_> = extracted.implied.iter().collect();
            // What is in one directory together: the order of bytes puts "a-b" before "a/b".
            implied.sort_by(|a, b| a.components().cmp(b.components()));
            for path in implied {
                let shown = self.descent.providers(path)?;
                let below = shown.iter().any(|(layer, _)| !self.open[*layer].implied.contains(path));
                if shown.first().is_some_and(|(layer, _)| *layer == number) && below {
                    self.mirror(path)?;
                }
            }
        }
        Ok(())
    }

    /// Copies the targets of hard links that are in lower layers.
    fn foreign_links(&mut self) -> Result<(), RenderError> {
        for (number, extracted) in self.open.iter().enumerate() {
            for (link, target) in &extracted.foreign_links {
                if self.stack.hidden_above(link, number)? {
                    continue;
                }
                let found = self.stack.providers(target, number + 1)?;
                let Some((layer, stat)) = found.first().filter(|(_, stat)| !is_dir(stat)) else {
                    let (path, target) = (link.to_string(), target.to_string());
                    return Err(ExtractError::LinkTarget { path, target }.into());
                };
                if let Some((dir, _)) = link.split() {
                    self.mirror(&dir)?;
                }
                let found = Found { path: target.clone(), stat: *stat, layer: self.stack.layer(*layer) };
                write_found(&mut self.top, link, &found)?;
            }
        }
        Ok(())
    }

    /// Adds the links converted images get where the image has nothing at their place.
    fn dev_links(&mut self) -> Result<(), RenderError> {
        for (path, target) in DEV_LINKS {
            let path = RelPath::parse(path.as_bytes())?;
            let Some((dir, _)) = path.split() else { continue };
            let usable = self.stack.providers(&dir, 0)?.first().is_none_or(|(_, stat)| is_dir(stat));
            if usable && self.stack.providers(&path, 0)?.is_empty() {
                self.mirror(&dir)?;
                self.top.write(&path, &symlink(target), None, &mut std::io::empty())?;
            }
        }
        Ok(())
    }

    /// Makes `path` and the directories on the way in `top`, looking as the layers say.
    fn mirror(&mut self, path: &RelPath) -> Result<(), RenderError> {
        let mut missing = Vec::new();
        let mut next = Some(path.clone());
        while let Some(path) = next.filter(|path| !self.made.contains(path)) {
            next = path.split().map(|(dir, _)| dir);
            missing.push(path);
        }
        missing.iter().rev().try_for_each(|path| self.mirror_one(path))
    }

    fn mirror_one(&mut self, path: &RelPath) -> Result<(), RenderError> {
        self.made.insert(path.clone());
        let shown = self.descent.providers(path)?;
        let own = shown.iter().find(|(layer, _)| !self.open[*layer].implied.contains(path));
        match own.or(shown.first()) {
            Some((layer, stat)) if is_dir(stat) => {
                let found = Found { path: path.clone(), stat: *stat, layer: self.stack.layer(*layer) };
                write_found(&mut self.top, path, &found)
            }
            _ => Ok(self.top.write(
                path,
                &Entry::new(b"", Kind::Directory, 0o755),
                None,
                &mut std::io::empty(),
            )?),
        }
    }
}

fn symlink(target: &str) -> Entry {
    Entry::new(b"", Kind::Symlink, 0o777).linked(target.as_bytes())
}
