//! The merged view of stacked directories, as overlayfs shows it, without a mount.

mod descent;

pub(super) use descent::Descent;

use crate::archive::beneath::{Beneath, BeneathError, failed};
use crate::archive::extract::{OPAQUE_XATTR, is_whiteout};
use crate::archive::name::RelPath;
use crate::archive::tar::{Entry, Kind, Segment, Xattr};
use rustix::fs::{self, FileType, OFlags, Stat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Directories on top of each other, topmost first.
#[derive(Debug)]
pub struct Stack {
    layers: Vec<Beneath>,
    /// Whether whiteouts are shown as what they are instead of being obeyed.
    raw: bool,
}

/// Something in the merged view.
#[derive(Debug)]
pub struct Found<'a> {
    /// Its path.
    pub path: RelPath,
    /// Its status.
    pub stat: Stat,
    /// The directory it comes from.
    pub layer: &'a Beneath,
}

impl Stack {
    /// Opens the directories, topmost first.
    pub fn open<P: AsRef<Path>>(layers: &[P]) -> io::Result<Self> {
        let layers = layers.iter().map(|p| Beneath::open(p.as_ref())).collect::<io::Result<_>>()?;
        Ok(Stack { layers, raw: false })
    }

    /// A single directory with its whiteouts and opaque marks as files and attributes.
    pub fn raw(layer: &Path) -> io::Result<Self> {
        Ok(Stack { layers: vec![Beneath::open(layer)?], raw: true })
    }

    /// What the layers from number `from` down have at `path`, each with its number: the topmost first; one that
    /// is no directory, or opaque, is the last. Nothing above `from` is looked at.
    pub fn providers(&self, path: &RelPath, from: usize) -> Result<Vec<(usize, Stat)>, BeneathError> {
        Ok(Descent::new(self, from).providers(path)?.to_vec())
    }

    /// The same among some layers that nothing on the way to `path` hides.
    fn providers_among(&self, layers: &[usize], path: &RelPath) -> Result<Vec<(usize, Stat)>, BeneathError> {
        let mut found = Vec::new();
        for &number in layers {
            let Some(stat) = self.layers[number].stat(path)? else { continue };
            if !self.raw && is_whiteout(&stat) {
                break;
            }
            if is_dir(&stat) {
                found.push((number, stat));
                if !self.raw && is_opaque(&self.layers[number], path)? {
                    break;
                }
                continue;
            }
            // Below directories a file is hidden, and hides what is below it.
            if found.is_empty() {
                found.push((number, stat));
            }
            break;
        }
        Ok(found)
    }

    /// Whether a layer above number `below` has or deletes `path`, or a directory on the way.
    pub fn hidden_above(&self, path: &RelPath, below: usize) -> Result<bool, BeneathError> {
        let mut walked = RelPath::default();
        for name in path.components() {
            walked = walked.join(name);
            for layer in &self.layers[..below] {
                let Some(stat) = layer.stat(&walked)? else { continue };
                if walked == *path || !is_dir(&stat) || is_opaque(layer, &walked)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What the merged view has at `path`.
    pub fn find(&self, path: &RelPath) -> Result<Option<Found<'_>>, BeneathError> {
        let shown = self.providers(path, 0)?;
        Ok(shown.first().map(|(number, stat)| Found {
            path: path.clone(),
            stat: *stat,
            layer: &self.layers[*number],
        }))
    }

    /// The layer with this number, 0 being the topmost.
    pub fn layer(&self, number: usize) -> &Beneath {
        &self.layers[number]
    }

    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Calls `visit` for everything, the root first, directories before what is in them, names in order.
    pub fn walk<E: From<BeneathError>>(
        &self,
        mut visit: impl FnMut(Found<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let all: Vec<usize> = (0..self.layers.len()).collect();
        // The depth of an image's directories is bounded only by the length of names: no recursion.
        let mut pending = vec![(RelPath::default(), all)];
        while let Some((path, within)) = pending.pop() {
            let found = self.providers_among(&within, &path)?;
            let Some(&(number, stat)) = found.first() else { continue };
            let layer = &self.layers[number];
            let directory = is_dir(&stat);
            visit(Found { path: path.clone(), stat, layer })?;
            if !directory {
                continue;
            }
            let below: Vec<usize> = found.iter().map(|(number, _)| *number).collect();
            for name in self.names(&below, &path)?.into_keys().rev() {
                pending.push((path.join(&name), below.clone()));
            }
        }
        Ok(())
    }

    fn names(&self, layers: &[usize], path: &RelPath) -> Result<BTreeMap<OsString, ()>, BeneathError> {
        let mut names = BTreeMap::new();
        for &number in layers {
            names.extend(self.layers[number].list(path)?.into_iter().map(|(name, _)| (name, ())));
        }
        Ok(names)
    }
}

/// Whether it is a directory.
pub(super) fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Whether a directory hides those of its name below. The root of a layer may be opaque as well.
fn is_opaque(layer: &Beneath, path: &RelPath) -> Result<bool, BeneathError> {
    let fd = layer.read_dir(path).map_err(failed("open directory", path))?;
    let mut value = [0u8; 2];
    match fs::fgetxattr(fd, OPAQUE_XATTR, &mut value[..]) {
        Ok(len) => Ok(&value[..len] == b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE | Errno::PERM) => Ok(false),
        Err(e) => Err(failed("read extended attribute of", path)(e)),
    }
}

impl Found<'_> {
    /// Opens a regular file for reading.
    pub fn open(&self) -> Result<File, BeneathError> {
        let fd = self.layer.open_at(&self.path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK);
        fd.map(File::from).map_err(failed("open", &self.path))
    }

    /// As an archive's entry named `prefix` + path; `None` for sockets, which archives cannot hold.
    pub fn entry(&self, prefix: &[u8]) -> Result<Option<Entry>, BeneathError> {
        let kind = match FileType::from_raw_mode(self.stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::Char,
            FileType::BlockDevice => Kind::Block,
            FileType::Fifo => Kind::Fifo,
            _ => return Ok(None),
        };
        let size = if kind == Kind::File { self.stat.st_size.unsigned_abs() } else { 0 };
        let mut name = prefix.to_vec();
        if !self.path.is_root() {
            if !name.is_empty() {
                name.push(b'/');
            }
            name.extend_from_slice(self.path.as_bytes());
        }
        Ok(Some(Entry {
            name,
            kind,
            mode: self.stat.st_mode & 0o7777,
            uid: self.stat.st_uid,
            gid: self.stat.st_gid,
            mtime: (self.stat.st_mtime, self.stat.st_mtime_nsec as u32),
            size,
            link: if kind == Kind::Symlink { self.link_target()? } else { Vec::new() },
            xattrs: if matches!(kind, Kind::File | Kind::Directory) { self.xattrs()? } else { Vec::new() },
            device: (fs::major(self.stat.st_rdev), fs::minor(self.stat.st_rdev)),
            segments: vec![Segment { offset: 0, len: size }],
        }))
    }

    fn link_target(&self) -> Result<Vec<u8>, BeneathError> {
        let Some((dir, leaf)) = self.path.split() else { return Ok(Vec::new()) };
        let fd = self.layer.open_dir(&dir).map_err(failed("open directory", &dir))?;
        let target = fs::readlinkat(fd, leaf, Vec::new()).map_err(failed("read link", &self.path))?;
        Ok(target.into_bytes())
    }

    /// The extended attributes an image may have, in order of their names.
    fn xattrs(&self) -> Result<Vec<Xattr>, BeneathError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = self.layer.open_at(&self.path, flags).map_err(failed("open", &self.path))?;
        let failed = || failed("read extended attributes of", &self.path);
        let mut list = vec![0u8; 64 << 10];
        let len = match fs::flistxattr(fd.as_fd(), &mut list[..]) {
            Ok(len) => len,
            Err(Errno::OPNOTSUPP) => 0,
            Err(e) => return Err(failed()(e)),
        };
        let mut names: Vec<&[u8]> = list[..len].split(|b| *b == 0).filter(|n| !n.is_empty()).collect();
        names.retain(|n| n.starts_with(b"user.") || *n == b"security.capability");
        names.sort_unstable();
        let mut out = Vec::new();
        for name in names {
            let mut value = vec![0u8; 64 << 10];
            let len = fs::fgetxattr(fd.as_fd(), OsStr::from_bytes(name), &mut value[..]).map_err(failed())?;
            value.truncate(len);
            out.push((name.to_vec(), value));
        }
        Ok(out)
    }
}
