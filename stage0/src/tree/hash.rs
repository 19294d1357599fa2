//! A digest over everything a tree holds, to find out later whether it is still what was rendered.

use super::stack::{Found, Stack};
use super::{ROOTFS, RenderError, content_error};
use crate::archive::tar::{Entry, Kind};
use sha2::{Digest, Sha256, Sha512};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;

/// File beside a tree's rootfs: digest and size.
const HASH: &str = "hash";

/// Digest and size of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeSum {
    /// SHA-512 over all names, attributes and contents, in hexadecimal digits.
    pub digest: String,
    /// Bytes of the files, each inode counted once.
    pub size: u64,
}

/// Sums up the directory `dir`, whiteouts included.
pub fn sum(dir: &Path) -> Result<TreeSum, RenderError> {
    let stack = Stack::raw(dir).map_err(RenderError::io("open directory", dir))?;
    let mut hash = Sha512::new();
    let mut size = 0;
    // Inodes with several names: hashed under each, counted once.
    let mut linked = BTreeSet::new();
    stack.walk(|found| -> Result<(), RenderError> {
        let Some(entry) = found.entry(b"")? else { return Ok(()) };
        if found.stat.st_nlink == 1 || entry.kind != Kind::File || linked.insert(found.stat.st_ino) {
            size += entry.size;
        }
        add(&mut hash, &found, &entry)
    })?;
    Ok(TreeSum { digest: hex::encode(hash.finalize()), size })
}

/// Each field is preceded by its length, so that no two trees give the same bytes.
fn add(hash: &mut Sha512, found: &Found<'_>, entry: &Entry) -> Result<(), RenderError> {
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(&entry.name);
    field(&[entry.kind as u8]);
    for number in [entry.mode, entry.uid, entry.gid, entry.device.0, entry.device.1] {
        field(&number.to_le_bytes());
    }
    field(&entry.mtime.0.to_le_bytes());
    field(&entry.mtime.1.to_le_bytes());
    field(&entry.link);
    field(&(entry.xattrs.len() as u64).to_le_bytes());
    for (name, value) in &entry.xattrs {
        field(name);
        field(value);
    }
    if entry.kind == Kind::File {
        field(&content(found).map_err(content_error("read", &found.path))?);
    }
    Ok(())
}

fn content(found: &Found<'_>) -> io::Result<[u8; 32]> {
    let mut file = found.open().map_err(io::Error::other)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            got => hash.update(&buffer[..got]),
        }
    }
}

/// Sums up the rootfs of the tree in `dir` and writes the result beside it.
pub fn record(dir: &Path) -> Result<TreeSum, RenderError> {
    let sum = sum(&dir.join(ROOTFS))?;
    let path = dir.join(HASH);
    let text = format!("{} {}\n", sum.digest, sum.size);
    std::fs::write(&path, text).map_err(RenderError::io("write", &path))?;
    Ok(sum)
}

/// What [`record`] wrote.
pub fn recorded(dir: &Path) -> Result<TreeSum, RenderError> {
    let path = dir.join(HASH);
    let text = std::fs::read_to_string(&path).map_err(RenderError::io("read", &path))?;
    let parsed =
        text.trim_end().split_once(' ').and_then(|(digest, size)| Some((digest, size.parse().ok()?)));
    let (digest, size) =
        parsed.ok_or_else(|| RenderError::io("read", &path)(io::ErrorKind::InvalidData.into()))?;
    Ok(TreeSum { digest: digest.to_owned(), size })
}
