//! The files of local images, in a directory or in an archive.

use super::LayoutError;
use crate::archive::beneath::Beneath;
use crate::archive::limits::MAX_MANIFEST;
use crate::archive::name::RelPath;
use crate::archive::tar::{Kind, TarReader};
use crate::fetch::FetchError;
use crate::registry::Digest;
use crate::store::ImportError;
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Links in archives of old `docker save` point to other layers; so many are followed.
const MAX_LINKS: usize = 8;
/// Memory for the names in an archive: an honest one has some hundred short ones.
const MAX_NAMES: usize = 64 << 20;
/// What a remembered name costs beside itself.
const NAME_OVERHEAD: usize = 128;
/// Longest target of a link that can lead anywhere (`PATH_MAX`).
const MAX_TARGET: usize = 4095;

/// Files of a layout, by name.
pub(super) enum Files {
    Directory(Beneath),
    Archive(Archive),
}

/// An uncompressed archive with the places of its files.
pub(super) struct Archive {
    file: File,
    files: HashMap<RelPath, (u64, u64)>,
    links: HashMap<RelPath, RelPath>,
}

/// A layout or archive.
pub(super) struct Layout {
    /// Where it is, for messages.
    pub path: PathBuf,
    /// What it holds.
    pub files: Files,
}

impl Layout {
    /// A file's content and length.
    pub fn open(&self, name: &str) -> Result<(Box<dyn Read + '_>, u64), LayoutError> {
        let failed = |source| LayoutError::Read { name: name.to_owned(), path: self.path.clone(), source };
        let path = RelPath::parse(name.as_bytes()).map_err(|e| failed(io::Error::other(e)))?;
        match &self.files {
            Files::Directory(dir) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
                let file = dir.open_at(&path, flags).map(File::from).map_err(|e| failed(e.into()))?;
                let len = file.metadata().map_err(failed)?.len();
                Ok((Box::new(file), len))
            }
            Files::Archive(archive) => {
                let (offset, len) =
                    archive.find(&path).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
                Ok((Box::new(Part { file: &archive.file, offset, left: len }), len))
            }
        }
    }

    /// A small file.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, LayoutError> {
        let failed = |source| LayoutError::Read { name: name.to_owned(), path: self.path.clone(), source };
        let (reader, len) = self.open(name)?;
        if len > MAX_MANIFEST {
            return Err(failed(io::Error::other(format!("{len} bytes are more than {MAX_MANIFEST}"))));
        }
        let mut bytes = Vec::new();
        reader.take(MAX_MANIFEST).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// A small blob, checked.
    pub fn blob(&self, digest: &Digest) -> Result<Vec<u8>, FetchError> {
        let name = blob_name(digest);
        let bytes = self.read(&name)?;
        let found = Digest::of(&bytes);
        if found != *digest {
            let (size, len) = (bytes.len() as u64, bytes.len() as u64);
            return Err(FetchError::Blob { name, expected: digest.clone(), size, found, len });
        }
        Ok(bytes)
    }

    /// An error about which image is meant.
    pub fn choice(&self, problem: String) -> FetchError {
        LayoutError::Choice { path: self.path.clone(), problem }.into()
    }
}

/// Where an OCI layout has a blob.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A part of a file, read without moving anybody else's position.
struct Part<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let got = self.file.read_at(&mut buf[..want], self.offset)?;
        self.offset += got as u64;
        self.left -= got as u64;
        Ok(got)
    }
}

impl Archive {
    /// Finds the files of an uncompressed archive.
    pub fn scan(mut file: File, max_entries: u64) -> Result<Self, FetchError> {
        file.seek(SeekFrom::Start(0)).map_err(|e| FetchError::Import(ImportError::Read(e)))?;
        let (mut files, mut links) = (HashMap::new(), HashMap::new());
        let mut reader = TarReader::new(io::BufReader::new(&file), max_entries);
        let mut memory = 0;
        while let Some(entry) = reader.next_entry().map_err(ImportError::from)? {
            let path = RelPath::parse(&entry.name).map_err(ImportError::from)?;
            memory += path.as_bytes().len() + entry.link.len() + NAME_OVERHEAD;
            if memory > MAX_NAMES {
                let error = io::Error::other("Archive has too many files with too long names");
                return Err(FetchError::Import(ImportError::Read(error)));
            }
            match entry.kind {
                Kind::File => drop(files.insert(path, (reader.position(), entry.size))),
                Kind::Symlink => {
                    // Only links that stay beside or below are of use here, others lead nowhere.
                    let dir = path.split().map(|(dir, _)| dir).unwrap_or_default();
                    links.extend(resolve(&dir, &entry.link).map(|target| (path, target)));
                }
                _ => {}
            }
        }
        Ok(Archive { file, files, links })
    }

    fn find(&self, path: &RelPath) -> Option<(u64, u64)> {
        let mut path = path;
        for _ in 0..MAX_LINKS {
            if let Some(place) = self.files.get(path) {
                return Some(*place);
            }
            path = self.links.get(path)?;
        }
        None
    }
}

/// A link's target as a path of the archive; `None` if it leaves it.
fn resolve(dir: &RelPath, target: &[u8]) -> Option<RelPath> {
    if target.starts_with(b"/") || target.len() > MAX_TARGET {
        return None;
    }
    let mut path = dir.clone();
    for part in target.split(|b| *b == b'/') {
        path = match part {
            b"" | b"." => path,
            b".." => path.split()?.0,
            name => path.join(OsStr::from_bytes(name)),
        };
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::forge::Forge;

    #[test]
    fn links_stay_in_the_archive() {
        let path = |s: &str| RelPath::parse(s.as_bytes()).unwrap();
        assert_eq!(resolve(&path("a"), b"../b/layer.tar"), Some(path("b/layer.tar")));
        assert_eq!(resolve(&path(""), b"x/./y"), Some(path("x/y")));
        assert_eq!(resolve(&path("a"), b"../../etc"), None);
        assert_eq!(resolve(&path("a"), "b/".repeat(500_000).as_bytes()), None);
    }

    #[test]
    fn names_are_remembered_up_to_a_bound() {
        let mut forge = Forge::new();
        for number in 0..17_000 {
            forge = forge.file(&format!("{number}-{}", "n".repeat(4000)), b"");
        }
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &forge.finish()).unwrap();
        let error = Archive::scan(file, 100_000).err().unwrap();
        assert!(format!("{:?}", anyhow::Error::new(error)).contains("too many files"));
    }
}
