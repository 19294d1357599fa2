//! Writing archives: ustar with PAX records where ustar has no room. The same entries make the same bytes.

use super::{BLOCK, Entry, Kind, Segment};
use std::io::{self, Read, Write};

/// Largest number of a 7-digit octal field.
const MAX_ID: u32 = 0o7777777;
/// Largest number of an 11-digit octal field.
const MAX_SIZE: u64 = 0o77777777777;

/// Writes an archive.
#[derive(Debug)]
pub struct TarWriter<W> {
    out: W,
}

impl Entry {
    /// An entry of root's, without content, at the beginning of time.
    pub fn new(name: &[u8], kind: Kind, mode: u32) -> Self {
        Entry {
            name: name.to_vec(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            size: 0,
            link: Vec::new(),
            xattrs: Vec::new(),
            device: (0, 0),
            segments: Vec::new(),
        }
    }

    /// The same with `size` bytes of content.
    pub fn sized(mut self, size: u64) -> Self {
        self.size = size;
        self.segments = vec![Segment { offset: 0, len: size }];
        self
    }

    /// The same as a link to `target`.
    pub fn linked(mut self, target: &[u8]) -> Self {
        self.link = target.to_vec();
        self
    }
}

impl<W: Write> TarWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        TarWriter { out }
    }

    /// Writes one entry; `content` must yield exactly the entry's size. Holes are written as zeros.
    pub fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        let mut name = entry.name.clone();
        if entry.kind == Kind::Directory && name.last() != Some(&b'/') {
            name.push(b'/');
        }
        let records = records(entry, &name);
        if !records.is_empty() {
            let mut header = header(b'x', b"PaxHeaders/entry", records.len() as u64);
            header.set_mode(0o644);
            self.block(&mut header)?;
            self.out.write_all(&records)?;
            self.pad(records.len() as u64)?;
        }
        let kind = match entry.kind {
            Kind::File => b'0',
            Kind::Hardlink => b'1',
            Kind::Symlink => b'2',
            Kind::Char => b'3',
            Kind::Block => b'4',
            Kind::Directory => b'5',
            Kind::Fifo => b'6',
        };
        let size = if entry.kind == Kind::File { entry.size } else { 0 };
        let mut header = header(kind, &name, if size <= MAX_SIZE { size } else { 0 });
        let link = &mut header.as_old_mut().linkname;
        let len = entry.link.len().min(link.len());
        link[..len].copy_from_slice(&entry.link[..len]);
        header.set_mode(entry.mode);
        header.set_uid(entry.uid.min(MAX_ID).into());
        header.set_gid(entry.gid.min(MAX_ID).into());
        header.set_mtime(u64::try_from(entry.mtime.0).unwrap_or(0).min(MAX_SIZE));
        header.set_device_major(entry.device.0.min(MAX_ID))?;
        header.set_device_minor(entry.device.1.min(MAX_ID))?;
        self.block(&mut header)?;
        let copied = io::copy(&mut content.take(size), &mut self.out)?;
        if copied != size {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "File became shorter while it was archived",
            ));
        }
        self.pad(size)
    }

    /// Writes the end marker and returns the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn block(&mut self, header: &mut tar::Header) -> io::Result<()> {
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn pad(&mut self, len: u64) -> io::Result<()> {
        let rest = (len.next_multiple_of(BLOCK as u64) - len) as usize;
        self.out.write_all(&[0; BLOCK][..rest])
    }
}

fn header(kind: u8, name: &[u8], size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::new(kind));
    let field = &mut header.as_old_mut().name;
    let len = name.len().min(field.len());
    field[..len].copy_from_slice(&name[..len]);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// PAX records for what does not fit into the header.
fn records(entry: &Entry, name: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| {
        let rest = key.len() + value.len() + 3;
        // The length counts its own digits.
        let mut len = rest + rest.to_string().len();
        while len != rest + len.to_string().len() {
            len += 1;
        }
        out.extend_from_slice(format!("{len} ").as_bytes());
        out.extend_from_slice(key);
        out.push(b'=');
        out.extend_from_slice(value);
        out.push(b'\n');
    };
    if name.len() > 100 {
        add(b"path", name);
    }
    if entry.link.len() > 100 {
        add(b"linkpath", &entry.link);
    }
    if entry.size > MAX_SIZE {
        add(b"size", entry.size.to_string().as_bytes());
    }
    for (key, id) in [(b"uid", entry.uid), (b"gid", entry.gid)] {
        if id > MAX_ID {
            add(key, id.to_string().as_bytes());
        }
    }
    let (seconds, nanos) = entry.mtime;
    if nanos != 0 || seconds < 0 || seconds.unsigned_abs() > MAX_SIZE {
        add(b"mtime", time(seconds, nanos).as_bytes());
    }
    for (name, value) in &entry.xattrs {
        add(&[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    out
}

/// Seconds with a fraction; before the epoch the fraction counts backwards.
fn time(seconds: i64, nanos: u32) -> String {
    if seconds < 0 && nanos > 0 {
        return format!("-{}.{:09}", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanos);
    }
    format!("{seconds}.{nanos:09}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tar::TarReader;
    use proptest::prelude::*;

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::File),
            Just(Kind::Directory),
            Just(Kind::Symlink),
            Just(Kind::Hardlink),
            Just(Kind::Char),
            Just(Kind::Fifo)
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[a-z]{1,150}(/[a-z]{1,150}){0,2}",
            kind in kind(),
            (uid, gid, mode) in (0..u32::MAX, 0..u32::MAX, 0u32..0o10000),
            mtime in (-1_000_000i64..10_000_000_000, 0u32..1_000_000_000),
            content in proptest::collection::vec(any::<u8>(), 0..1500),
            xattr in proptest::collection::vec(any::<u8>(), 0..120),
        ) {
            let mut entry = Entry::new(name.as_bytes(), kind, mode);
            (entry.uid, entry.gid, entry.mtime) = (uid, gid, mtime);
            entry.xattrs = vec![(b"user.x".to_vec(), xattr)];
            if matches!(kind, Kind::Symlink | Kind::Hardlink) {
                entry = entry.linked(format!("t/{name}").as_bytes());
            }
            if kind == Kind::Char {
                entry.device = (4, 64);
            }
            let content = if kind == Kind::File { content } else { Vec::new() };
            if kind == Kind::File {
                entry = entry.sized(content.len() as u64);
            }
            let mut writer = TarWriter::new(Vec::new());
            writer.entry(&entry, &mut &content[..]).unwrap();
            let bytes = writer.finish().unwrap();
            let mut reader = TarReader::new(&bytes[..], 10);
            let mut read = reader.next_entry().unwrap().unwrap();
            let mut data = Vec::new();
            reader.read_to_end(&mut data).unwrap();
            prop_assert_eq!(data, content);
            if kind == Kind::Directory {
                prop_assert_eq!(read.name.pop(), Some(b'/'));
            }
            prop_assert_eq!(read, entry);
            prop_assert!(reader.next_entry().unwrap().is_none());
        }
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let entry = Entry::new(b"f", Kind::File, 0o644).sized(10);
        assert!(TarWriter::new(Vec::new()).entry(&entry, &mut &b"short"[..]).is_err());
    }
}
