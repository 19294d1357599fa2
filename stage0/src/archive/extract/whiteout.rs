//! Whiteouts of OCI layers (image-spec, layer.md "Whiteouts") in the form overlayfs understands.

use super::{ExtractError, Extractor, Whiteouts, failed};
use crate::archive::name::RelPath;
use rustix::fs::{self, AtFlags, FileType, Mode, XattrFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

/// Marks a directory that hides the directories of the same name below (kernel, overlayfs.rst).
pub const OPAQUE_XATTR: &str = "trusted.overlay.opaque";

/// A name starting with `.wh.`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// `.wh.NAME`: NAME is deleted.
    Delete(OsString),
    /// `.wh..wh..opq`: everything in this directory is deleted.
    Opaque,
    /// Bookkeeping of AUFS (`.wh..wh.plnk` and so on): not content.
    Ignored,
}

impl Marker {
    /// The marker a name is, `None` for ordinary names, `Err` for one that cannot name anything.
    pub fn parse(leaf: &OsStr) -> Result<Option<Self>, ()> {
        let Some(rest) = leaf.as_bytes().strip_prefix(b".wh.") else { return Ok(None) };
        match rest {
            b".wh..opq" => Ok(Some(Marker::Opaque)),
            b"" | b"." | b".." => Err(()),
            _ if rest.starts_with(b".wh.") => Ok(Some(Marker::Ignored)),
            _ => Ok(Some(Marker::Delete(OsStr::from_bytes(rest).to_owned()))),
        }
    }
}

/// Whether a file is an overlayfs whiteout: a character device 0:0.
pub fn is_whiteout(stat: &fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

impl Extractor {
    pub(super) fn whiteout(&mut self, dir: RelPath, marker: Marker) -> Result<(), ExtractError> {
        if marker == Marker::Ignored {
            return Ok(());
        }
        let (dir, fd) = self.parent(dir)?;
        if let Marker::Delete(name) = marker {
            let path = dir.join(&name);
            match fs::mknodat(&fd, &name, FileType::CharacterDevice, Mode::empty(), 0) {
                Ok(()) => {}
                // The layer brings the name as well: that hides a file below anyway, but a directory has to say so.
                Err(Errno::EXIST) => {
                    let own = fs::statat(&fd, &name, AtFlags::SYMLINK_NOFOLLOW)
                        .map_err(failed("examine", &path))?;
                    if FileType::from_raw_mode(own.st_mode) == FileType::Directory {
                        self.make_opaque(&path)?;
                    }
                }
                Err(e) => return Err(failed("make whiteout", &path)(e).into()),
            }
        } else {
            self.make_opaque(&dir)?;
        }
        self.parent = Some((dir, fd));
        Ok(())
    }

    /// Puts an opaque directory in the place of a whiteout: deleted and made anew is not merged with what was there.
    /// False if there is no whiteout.
    pub(super) fn replace_whiteout(
        &self,
        dir: impl AsFd,
        leaf: &OsStr,
        path: &RelPath,
    ) -> Result<bool, ExtractError> {
        if self.whiteouts != Whiteouts::Overlay {
            return Ok(false);
        }
        let old = fs::statat(&dir, leaf, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("examine", path))?;
        if !is_whiteout(&old) {
            return Ok(false);
        }
        fs::unlinkat(&dir, leaf, AtFlags::empty()).map_err(failed("replace", path))?;
        fs::mkdirat(&dir, leaf, Mode::RWXU).map_err(failed("make directory", path))?;
        self.make_opaque(path)?;
        Ok(true)
    }

    pub(super) fn make_opaque(&self, path: &RelPath) -> Result<(), ExtractError> {
        let fd = self.root.read_dir(path).map_err(failed("open directory", path))?;
        fs::fsetxattr(fd, OPAQUE_XATTR, b"y", XattrFlags::empty()).map_err(failed("make opaque", path))?;
        Ok(())
    }
}
