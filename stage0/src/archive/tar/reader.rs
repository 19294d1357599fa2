//! Iteration over the entries of a stream.

use super::header::Raw;
use super::pax::Overrides;
use super::sparse::{self, Segment};
use super::{BLOCK, Entry, Kind, TarError};
use std::io::{self, Read};

/// Longest extension header (long name, PAX records) held in memory.
const MAX_EXTENSION: u64 = 1 << 20;

/// Reads entries one after another. After [`next_entry`](Self::next_entry) the entry's stored bytes are read
/// from the reader itself (`Read`); what is left of them is skipped by the next call.
#[derive(Debug)]
pub struct TarReader<R> {
    input: R,
    /// Bytes taken from the input so far.
    at: u64,
    /// Stored bytes of the current entry not yet read.
    left: u64,
    /// Padding after them.
    padding: u64,
    entries: u64,
    max_entries: u64,
    done: bool,
    /// Whether the stream may just end where an entry's content does.
    open_end: bool,
}

impl<R: Read> TarReader<R> {
    /// Reads the archive in `input`, refusing more than `max_entries` entries.
    pub fn new(input: R, max_entries: u64) -> Self {
        TarReader { input, at: 0, left: 0, padding: 0, entries: 0, max_entries, done: false, open_end: false }
    }

    /// Takes an archive without its end marker, and without the padding of its last entry, for complete: some tools
    /// write layers so. Only for streams whose digest says that they are complete.
    pub fn open_ended(mut self) -> Self {
        self.open_end = true;
        self
    }

    /// Where in the stream the next byte is: right after [`next_entry`](Self::next_entry), the content's beginning.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next entry, or `None` after the end marker.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut long_name = None;
        let mut long_link = None;
        let mut pax = Overrides::default();
        loop {
            let mut block = [0u8; BLOCK];
            if self.done || !self.next_header(&mut block)? {
                self.done = true;
                return Ok(None);
            }
            self.entries += 1;
            if self.entries > self.max_entries {
                return Err(TarError::TooManyEntries(self.max_entries));
            }
            let raw = Raw::new(&block, self.at - BLOCK as u64)?;
            match raw.type_flag() {
                b'L' => long_name = Some(self.extension_text(&raw)?),
                b'K' => long_link = Some(self.extension_text(&raw)?),
                b'x' => {
                    let (at, data) = (raw.at, self.extension(&raw)?);
                    pax = Overrides::parse(&data, at)?;
                }
                // Defaults for all entries: nothing writes anything in them but comments.
                b'g' => drop(self.extension(&raw)?),
                _ => return self.entry(&raw, long_name, long_link, pax).map(Some),
            }
        }
    }

    /// Skips the current entry's rest and reads the next header; false at the end of the archive.
    fn next_header(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, TarError> {
        let rest = self.left + self.padding;
        let skipped = io::copy(&mut self.input.by_ref().take(rest), &mut io::sink())?;
        self.at += skipped;
        if skipped != rest {
            return if self.open_end && skipped >= self.left {
                Ok(false)
            } else {
                Err(TarError::Truncated(self.at))
            };
        }
        (self.left, self.padding) = (0, 0);
        let got = self.input.by_ref().take(1).read(&mut block[..1])?;
        if got == 0 {
            return if self.open_end { Ok(false) } else { Err(TarError::Truncated(self.at)) };
        }
        self.at += 1;
        self.fill(&mut block[1..])?;
        Ok(block.iter().any(|b| *b != 0))
    }

    fn fill(&mut self, buf: &mut [u8]) -> Result<(), TarError> {
        match self.input.read_exact(buf) {
            Ok(()) => {
                self.at += buf.len() as u64;
                Ok(())
            }
            // Decoders report their own truncation with a text; a bare end of file carries none.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && e.get_ref().is_none() => {
                Err(TarError::Truncated(self.at))
            }
            Err(e) => Err(TarError::Read(e)),
        }
    }

    /// The body of an extension header.
    fn extension(&mut self, raw: &Raw<'_>) -> Result<Vec<u8>, TarError> {
        let len = raw.size()?;
        if len > MAX_EXTENSION {
            return Err(TarError::LongExtension { at: raw.at, len, max: MAX_EXTENSION });
        }
        let mut data = vec![0; len as usize];
        self.fill(&mut data)?;
        self.padding = padding(len);
        Ok(data)
    }

    /// The body of a GNU long name, without the NUL that ends it.
    fn extension_text(&mut self, raw: &Raw<'_>) -> Result<Vec<u8>, TarError> {
        let mut text = self.extension(raw)?;
        if let Some(end) = text.iter().position(|b| *b == 0) {
            text.truncate(end);
        }
        Ok(text)
    }

    fn entry(
        &mut self,
        raw: &Raw<'_>,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        pax: Overrides,
    ) -> Result<Entry, TarError> {
        let mut kind = raw.kind()?;
        let name = pax
            .sparse_name
            .clone()
            .or(pax.path.clone())
            .or(long_name)
            .unwrap_or(raw.header.path_bytes().into());
        // Before ustar a directory was a file whose name ends in a slash.
        if kind == Kind::File && raw.type_flag() != b'7' && name.last() == Some(&b'/') {
            kind = Kind::Directory;
        }
        let link = pax.link.clone().or(long_link);
        let link = link.or_else(|| raw.header.link_name_bytes().map(Into::into)).unwrap_or_default();
        let (uid, gid) = match (pax.uid, pax.gid) {
            (Some(uid), Some(gid)) => (uid, gid),
            (uid, gid) => {
                let owner = raw.owner()?;
                (uid.unwrap_or(owner.0), gid.unwrap_or(owner.1))
            }
        };
        let mtime = match pax.mtime {
            Some(time) => time,
            None => (raw.mtime()?, 0),
        };
        let device = match kind {
            Kind::Char | Kind::Block => raw.device()?,
            _ => (0, 0),
        };
        let (size, segments) = self.content(raw, kind, &pax)?;
        let mode = raw.mode()?;
        Ok(Entry { name, kind, mode, uid, gid, mtime, size, link, xattrs: pax.xattrs, device, segments })
    }

    /// Sets up the entry's data and returns the file's size and where the data belongs.
    fn content(
        &mut self,
        raw: &Raw<'_>,
        kind: Kind,
        pax: &Overrides,
    ) -> Result<(u64, Vec<Segment>), TarError> {
        // Links, directories and devices have no data whatever their size field says.
        if kind != Kind::File {
            return Ok((0, Vec::new()));
        }
        let stored = match pax.size {
            Some(size) if size <= i64::MAX as u64 / 2 => size,
            Some(_) => return Err(TarError::Field { at: raw.at, field: "size" }),
            None => raw.size()?,
        };
        (self.left, self.padding) = (stored, padding(stored));
        let at = raw.at;
        if raw.type_flag() == b'S' {
            return self.gnu_sparse(raw);
        }
        let map = if pax.sparse_in_data {
            let (map, taken) = sparse::from_data(self, at)?;
            debug_assert_eq!(self.left, stored.saturating_sub(taken));
            map
        } else if let Some(numbers) = &pax.sparse_map {
            sparse::from_numbers(numbers, at)?
        } else {
            return Ok((stored, vec![Segment { offset: 0, len: stored }]));
        };
        let size = pax.sparse_size.filter(|s| *s <= i64::MAX as u64).ok_or(TarError::Sparse(at))?;
        Ok((size, sparse::check(map, size, self.left, at)?))
    }

    /// The old GNU format: four runs in the header, more in following blocks of 21.
    fn gnu_sparse(&mut self, raw: &Raw<'_>) -> Result<(u64, Vec<Segment>), TarError> {
        let at = raw.at;
        let bad = |_| TarError::Sparse(at);
        let gnu = raw.header.as_gnu().ok_or(TarError::Sparse(at))?;
        let size = gnu.real_size().map_err(bad)?;
        let mut map = Vec::new();
        let mut push = |runs: &[tar::GnuSparseHeader]| {
            for run in runs.iter().filter(|run| !run.is_empty()) {
                map.push(Segment { offset: run.offset().map_err(bad)?, len: run.length().map_err(bad)? });
            }
            if map.len() > sparse::MAX_SEGMENTS { Err(TarError::Sparse(at)) } else { Ok(()) }
        };
        push(&gnu.sparse)?;
        let mut more = gnu.is_extended();
        while more {
            let mut extension = tar::GnuExtSparseHeader::new();
            self.fill(extension.as_mut_bytes())?;
            push(&extension.sparse)?;
            more = extension.is_extended();
        }
        Ok((size, sparse::check(map, size, self.left, at)?))
    }
}

fn padding(len: u64) -> u64 {
    len.next_multiple_of(BLOCK as u64) - len
}

impl<R: Read> Read for TarReader<R> {
    /// Reads stored bytes of the current entry; zero at their end.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let got = self.input.read(&mut buf[..want])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += got as u64;
        self.left -= got as u64;
        Ok(got)
    }
}
