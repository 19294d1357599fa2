//! Writing the entries of an archive below a directory.

mod attributes;
mod whiteout;

use super::beneath::{Beneath, BeneathError, failed};
use super::limits::Limits;
use super::name::{NameError, RelPath};
use super::tar::{Entry, Kind, TarError};
use attributes::Attributes;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use whiteout::Marker;
pub use whiteout::{OPAQUE_XATTR, is_whiteout};

/// Memory for what is only known or done at an archive's end: directory times, links into other layers.
const MAX_REMEMBERED: usize = 256 << 20;
/// What a remembered thing costs beside its names.
const REMEMBERED_OVERHEAD: usize = 128;

/// What names starting with `.wh.` mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteouts {
    /// Nothing: they are files (ACIs know no whiteouts).
    AsFiles,
    /// They delete from the layers below and are written in overlayfs' form: this directory will be a lower one.
    Overlay,
}

/// Why an entry was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The archive itself is bad.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The entry's name or link target cannot be used.
    #[error("Unacceptable entry in archive")]
    Name(#[from] NameError),
    /// The entry's place cannot be reached or written.
    #[error("Cannot write entry of archive")]
    Path(#[from] BeneathError),
    /// Content could not be copied from the archive to the file.
    #[error("Cannot write {path:?}")]
    Content {
        /// The file.
        path: String,
        /// The failure of reading or writing.
        source: io::Error,
    },
    /// A hard link to something that is not there.
    #[error("Hard link {path:?} has no target {target:?}")]
    LinkTarget {
        /// The link.
        path: String,
        /// What it names.
        target: String,
    },
    /// A whiteout whose name deletes nothing sensible.
    #[error("Bad whiteout {0:?}")]
    Whiteout(String),
    /// More content than allowed.
    #[error("Archive holds more than {0} bytes of files (raise RKT_IMAGE_MAX_SIZE to allow them)")]
    TooBig(u64),
    /// Too many directories or links to other layers to keep track of.
    #[error("Archive has too many directories with too long names")]
    Memory,
    /// The root directory would become something else.
    #[error("Archive replaces its root with something that is not a directory")]
    Root,
    /// Owner 0xffffffff means "unchanged" to the kernel.
    #[error("Entry {0:?} has an owner that does not exist")]
    Owner(String),
}

/// What remains to be said about an extracted archive.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Extracted {
    /// Bytes of file content written.
    pub bytes: u64,
    /// Directories that had to be made without an entry of their own. Stacked on other layers they must not
    /// change how the directory below looks.
    pub implied: BTreeSet<RelPath>,
    /// Hard links whose target must be in a layer below: link and target. Only with [`Whiteouts::Overlay`].
    pub foreign_links: Vec<(RelPath, RelPath)>,
}

/// Writes entries below one directory. Names, links and types come from strangers; nothing outside of the
/// directory is reached.
#[derive(Debug)]
pub struct Extractor {
    root: Beneath,
    limits: Limits,
    whiteouts: Whiteouts,
    /// Directory modes and times are set last: writing into a directory changes its time, and may need a mode the
    /// archive does not give.
    directories: BTreeMap<RelPath, Attributes>,
    /// The directory written to last; entries come sorted by directory.
    parent: Option<(RelPath, OwnedFd)>,
    done: Extracted,
    /// Memory held until the end, in bytes.
    remembered: usize,
}

impl Extractor {
    /// Extracts below `root`, an existing directory.
    pub fn new(root: Beneath, limits: Limits, whiteouts: Whiteouts) -> Self {
        // Until an entry says more, the root looks like any directory without an entry.
        let directories = BTreeMap::from([(RelPath::default(), Attributes::implied())]);
        Extractor {
            root,
            limits,
            whiteouts,
            directories,
            parent: None,
            done: Extracted::default(),
            remembered: 0,
        }
    }

    /// Writes one entry at `path`; `link` is the hard link's target if it is one. `data` yields the stored bytes.
    pub fn write(
        &mut self,
        path: &RelPath,
        entry: &Entry,
        link: Option<&RelPath>,
        data: &mut impl Read,
    ) -> Result<(), ExtractError> {
        let Some((dir, leaf)) = path.split() else {
            return match entry.kind {
                Kind::Directory => self.directory_attributes(path.clone(), entry),
                _ => Err(ExtractError::Root),
            };
        };
        if self.whiteouts == Whiteouts::Overlay
            && let Some(marker) =
                Marker::parse(leaf).map_err(|()| ExtractError::Whiteout(path.to_string()))?
        {
            return self.whiteout(dir, marker);
        }
        let (dir, fd) = self.parent(dir)?;
        let path = &dir.join(leaf);
        let result = match entry.kind {
            Kind::Directory => self.directory(fd.as_fd(), leaf, path, entry),
            Kind::Hardlink => self.hardlink(fd.as_fd(), leaf, path, link),
            _ => self.leaf(fd.as_fd(), leaf, path, entry, data),
        };
        // Kept only now: what was just replaced may have been on the way to the remembered directory.
        if self.parent.is_none() {
            self.parent = Some((dir, fd));
        }
        result
    }

    /// Sets directory modes and times and returns what was done.
    pub fn finish(mut self) -> Result<Extracted, ExtractError> {
        // Deepest first: making a directory unsearchable must come after its children.
        for (path, attributes) in std::mem::take(&mut self.directories).into_iter().rev() {
            match self.root.read_dir(&path) {
                Ok(fd) => attributes.apply(fd.as_fd(), &path)?,
                // Replaced or removed by a later entry.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(e) => return Err(failed("open directory", &path)(e).into()),
            }
        }
        Ok(self.done)
    }

    /// The directory `dir` with symbolic links followed, made if missing. Takes the remembered descriptor out;
    /// the caller puts it back.
    fn parent(&mut self, dir: RelPath) -> Result<(RelPath, OwnedFd), ExtractError> {
        if let Some((known, fd)) = self.parent.take()
            && known == dir
        {
            return Ok((known, fd));
        }
        match self.root.open_dir(&dir) {
            Ok(fd) => Ok((dir, fd)),
            // Not a directory: perhaps a whiteout, which a directory may take the place of.
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {
                let dir = self.root.canonical(&dir)?;
                self.make_missing(&dir)?;
                let fd = self.root.open_dir(&dir).map_err(failed("open directory", &dir))?;
                Ok((dir, fd))
            }
            Err(e) => Err(failed("open directory", &dir)(e).into()),
        }
    }

    /// Makes `dir` and what is missing above it, as root's with mode 0755 and no time of their own.
    fn make_missing(&mut self, dir: &RelPath) -> Result<(), ExtractError> {
        let mut path = RelPath::default();
        for name in dir.components() {
            let fd = self.root.open_dir(&path).map_err(failed("open directory", &path))?;
            path = path.join(name);
            match fs::mkdirat(&fd, name, Mode::RWXU) {
                Ok(()) => {}
                Err(Errno::EXIST) if self.replace_whiteout(&fd, name, &path)? => {}
                Err(Errno::EXIST) => continue,
                Err(e) => return Err(failed("make directory", &path)(e).into()),
            }
            self.remember(path.clone(), Attributes::implied())?;
            self.done.implied.insert(path.clone());
        }
        Ok(())
    }

    fn directory(
        &mut self,
        dir: impl AsFd,
        leaf: &OsStr,
        path: &RelPath,
        entry: &Entry,
    ) -> Result<(), ExtractError> {
        match fs::mkdirat(&dir, leaf, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let old =
                    fs::statat(&dir, leaf, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("examine", path))?;
                let directory = FileType::from_raw_mode(old.st_mode) == FileType::Directory;
                if !directory && !self.replace_whiteout(&dir, leaf, path)? {
                    fs::unlinkat(&dir, leaf, AtFlags::empty()).map_err(failed("replace", path))?;
                    fs::mkdirat(&dir, leaf, Mode::RWXU).map_err(failed("make directory", path))?;
                }
            }
            Err(e) => return Err(failed("make directory", path)(e).into()),
        }
        self.directory_attributes(path.clone(), entry)
    }

    fn directory_attributes(&mut self, path: RelPath, entry: &Entry) -> Result<(), ExtractError> {
        self.done.implied.remove(&path);
        let attributes = Attributes::of(entry).map_err(|()| ExtractError::Owner(path.to_string()))?;
        self.remember(path, attributes)
    }

    /// Keeps a directory's attributes for the end, within bounds.
    fn remember(&mut self, path: RelPath, attributes: Attributes) -> Result<(), ExtractError> {
        self.charge(path.as_bytes().len() + attributes.heap())?;
        self.directories.insert(path, attributes);
        Ok(())
    }

    /// Accounts for something that has to be remembered until the end of the archive.
    fn charge(&mut self, bytes: usize) -> Result<(), ExtractError> {
        self.remembered += bytes + REMEMBERED_OVERHEAD;
        if self.remembered > MAX_REMEMBERED { Err(ExtractError::Memory) } else { Ok(()) }
    }

    fn hardlink(
        &mut self,
        dir: impl AsFd,
        leaf: &OsStr,
        path: &RelPath,
        target: Option<&RelPath>,
    ) -> Result<(), ExtractError> {
        let missing = |target: &RelPath| ExtractError::LinkTarget {
            path: path.to_string(),
            target: target.to_string(),
        };
        let target = target.cloned().unwrap_or_default();
        let (target_dir, target_leaf) = target.split().ok_or_else(|| missing(&target))?;
        let target_dir = self.root.canonical(&target_dir)?;
        let resolved = target_dir.join(target_leaf);
        if resolved == *path {
            return Ok(());
        }
        match self.root.stat(&resolved)? {
            Some(old) if FileType::from_raw_mode(old.st_mode) == FileType::Directory => Err(missing(&target)),
            Some(_) => {
                self.clear(&dir, leaf, path)?;
                let from = self.root.open_dir(&target_dir).map_err(failed("open directory", &target_dir))?;
                fs::linkat(from, target_leaf, dir, leaf, AtFlags::empty()).map_err(failed("link", path))?;
                Ok(())
            }
            None if self.whiteouts == Whiteouts::Overlay => {
                self.charge(path.as_bytes().len() + resolved.as_bytes().len())?;
                self.done.foreign_links.push((path.clone(), resolved));
                Ok(())
            }
            None => Err(missing(&target)),
        }
    }

    /// Removes what is at the place of a new entry that is not a directory.
    fn clear(&mut self, dir: impl AsFd, leaf: &OsStr, path: &RelPath) -> Result<(), ExtractError> {
        match fs::unlinkat(dir, leaf, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => {
                self.done.implied.retain(|p| p.strip(path.as_bytes()).is_none());
                Ok(self.root.remove_all(path)?)
            }
            Err(e) => Err(failed("replace", path)(e).into()),
        }
    }

    /// Writes a file, symbolic link, device or pipe.
    fn leaf(
        &mut self,
        dir: impl AsFd,
        leaf: &OsStr,
        path: &RelPath,
        entry: &Entry,
        data: &mut impl Read,
    ) -> Result<(), ExtractError> {
        let attributes = Attributes::of(entry).map_err(|()| ExtractError::Owner(path.to_string()))?;
        if entry.kind == Kind::File {
            let file = self.create(&dir, leaf, path)?;
            self.copy(&file, path, entry, data)?;
            return Ok(attributes.apply(file.as_fd(), path)?);
        }
        self.clear(&dir, leaf, path)?;
        let mode = Mode::from_raw_mode(entry.mode);
        let device = fs::makedev(entry.device.0, entry.device.1);
        match entry.kind {
            Kind::Symlink => fs::symlinkat(OsStr::from_bytes(&entry.link), &dir, leaf),
            Kind::Char => fs::mknodat(&dir, leaf, FileType::CharacterDevice, mode, device),
            Kind::Block => fs::mknodat(&dir, leaf, FileType::BlockDevice, mode, device),
            _ => fs::mknodat(&dir, leaf, FileType::Fifo, mode, 0),
        }
        .map_err(failed("make", path))?;
        Ok(attributes.apply_at(dir.as_fd(), leaf, path, entry.kind == Kind::Symlink)?)
    }

    fn create(&mut self, dir: impl AsFd, leaf: &OsStr, path: &RelPath) -> Result<File, ExtractError> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::openat(&dir, leaf, flags, Mode::RUSR | Mode::WUSR) {
            Err(Errno::EXIST) => {
                self.clear(&dir, leaf, path)?;
                fs::openat(&dir, leaf, flags, Mode::RUSR | Mode::WUSR)
            }
            result => result,
        }
        .map(File::from)
        .map_err(|e| failed("create", path)(e).into())
    }

    fn copy(
        &mut self,
        file: &File,
        path: &RelPath,
        entry: &Entry,
        data: &mut impl Read,
    ) -> Result<(), ExtractError> {
        let stored: u64 = entry.segments.iter().map(|s| s.len).sum();
        self.done.bytes = self.done.bytes.saturating_add(stored);
        if self.done.bytes > self.limits.bytes || entry.size > self.limits.bytes {
            return Err(ExtractError::TooBig(self.limits.bytes));
        }
        let content = |source| ExtractError::Content { path: path.to_string(), source };
        let mut buffer = [0u8; 64 << 10];
        for segment in &entry.segments {
            let (mut offset, mut left) = (segment.offset, segment.len);
            while left > 0 {
                let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let got = match data.read(&mut buffer[..want]) {
                    Ok(0) => return Err(content(io::ErrorKind::UnexpectedEof.into())),
                    Ok(got) => got,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Err(e) => return Err(content(e)),
                };
                file.write_all_at(&buffer[..got], offset).map_err(content)?;
                offset += got as u64;
                left -= got as u64;
            }
        }
        let end = entry.segments.last().map_or(0, |s| s.offset + s.len);
        if end < entry.size {
            file.set_len(entry.size).map_err(content)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
