//! Copying merged trees to other places.

use super::stack::{Found, Stack};
use super::{RenderError, Tree, content_error, open_root};
use crate::archive::beneath::BeneathError;
use crate::archive::name::RelPath;
use crate::archive::tar::{Entry, Kind};
use crate::archive::{ExtractError, Extractor, Limits, Whiteouts};
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

/// Writes what was found to `path` with all its attributes.
pub(super) fn write_found(to: &mut Extractor, path: &RelPath, found: &Found<'_>) -> Result<(), RenderError> {
    match found.entry(b"")? {
        Some(entry) => write_entry(to, path, &entry, found),
        None => Ok(()),
    }
}

fn write_entry(
    to: &mut Extractor,
    path: &RelPath,
    entry: &Entry,
    found: &Found<'_>,
) -> Result<(), RenderError> {
    let mut content: Box<dyn Read> = match entry.kind {
        Kind::File => Box::new(found.open()?),
        _ => Box::new(io::empty()),
    };
    Ok(to.write(path, entry, None, &mut content)?)
}

impl Stack {
    /// Calls `visit` for everything in the merged view: the entry (its name below `prefix`) and, for files, their
    /// content. Further names of a file already seen come as hard links.
    pub fn visit<E>(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&RelPath, &Entry, Option<&RelPath>, &mut dyn Read) -> Result<(), E>,
    ) -> Result<(), E>
    where
        E: From<BeneathError>,
    {
        let mut seen: HashMap<(u64, u64), RelPath> = HashMap::new();
        self.walk(|found| {
            let Some(mut entry) = found.entry(prefix)? else { return Ok(()) };
            if entry.kind == Kind::File && found.stat.st_nlink > 1 {
                let inode = (found.stat.st_dev, found.stat.st_ino);
                if let Some(first) = seen.get(&inode) {
                    entry.kind = Kind::Hardlink;
                    entry.link = match prefix {
                        b"" => first.as_bytes().to_vec(),
                        prefix => [prefix, b"/", first.as_bytes()].concat(),
                    };
                    entry.size = 0;
                    entry.segments.clear();
                    return visit(&found.path, &entry, Some(first), &mut io::empty());
                }
                seen.insert(inode, found.path.clone());
            }
            match entry.kind {
                Kind::File => {
                    let mut file = found.open()?;
                    visit(&found.path, &entry, None, &mut file)
                }
                _ => visit(&found.path, &entry, None, &mut io::empty()),
            }
        })
    }
}

impl Tree {
    /// The merged view of the tree's directories.
    pub fn stack(&self) -> Result<Stack, RenderError> {
        Stack::open(self.lowers()).map_err(RenderError::io("open tree", self.dir()))
    }

    /// [`Stack::visit`] of the tree's merged view.
    pub fn visit<E>(
        &self,
        prefix: &[u8],
        visit: impl FnMut(&RelPath, &Entry, Option<&RelPath>, &mut dyn Read) -> Result<(), E>,
    ) -> Result<(), E>
    where
        E: From<RenderError> + From<BeneathError>,
    {
        self.stack()?.visit(prefix, visit)
    }

    /// Copies the merged tree into the existing directory `to`.
    pub fn copy_to(&self, to: &Path) -> Result<(), RenderError> {
        let limits = Limits { bytes: u64::MAX, entries: u64::MAX };
        let mut extractor = Extractor::new(open_root(to)?, limits, Whiteouts::AsFiles);
        self.visit(b"", |path, entry, link, mut content| -> Result<(), RenderError> {
            match extractor.write(path, entry, link, &mut content) {
                Err(ExtractError::Content { source, .. }) => Err(content_error("copy", path)(source)),
                result => Ok(result?),
            }
        })?;
        extractor.finish()?;
        Ok(())
    }
}
