//! A streaming tar reader for hostile input: ustar, GNU and PAX, with every length checked before it is believed.
//!
//! Header fields are decoded by the `tar` crate; iteration, extension headers and sparse maps are ours, because
//! that crate reads extension headers of any length into memory and knows no PAX sparse files.

mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

pub use reader::TarReader;
pub use sparse::Segment;
pub use writer::TarWriter;

/// Block size of tar (POSIX.1-2017, pax, "ustar Interchange Format").
pub const BLOCK: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Regular file with content.
    File,
    /// Directory.
    Directory,
    /// Symbolic link to [`Entry::link`].
    Symlink,
    /// Hard link to the entry named by [`Entry::link`].
    Hardlink,
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// Named pipe.
    Fifo,
}

/// An extended attribute: name and value.
pub type Xattr = (Vec<u8>, Vec<u8>);

/// One entry with everything its headers said; the content is read from the [`TarReader`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Raw name.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time: seconds since the epoch and nanoseconds.
    pub mtime: (i64, u32),
    /// Size of the file in bytes, holes included.
    pub size: u64,
    /// Raw link target.
    pub link: Vec<u8>,
    /// Extended attributes (`SCHILY.xattr.*`), names without that prefix.
    pub xattrs: Vec<Xattr>,
    /// Device number (major, minor).
    pub device: (u32, u32),
    /// Where the stored bytes belong; one segment for ordinary files.
    pub segments: Vec<Segment>,
}

/// Why a stream is not an acceptable tar archive.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The underlying stream failed or could not be decompressed.
    #[error("Cannot read archive")]
    Read(#[from] std::io::Error),
    /// The stream ends inside an entry or without its end marker.
    #[error("Archive is truncated at byte {0}")]
    Truncated(u64),
    /// The header's checksum is wrong: not a tar archive, or a damaged one.
    #[error("No valid tar header at byte {0}")]
    Checksum(u64),
    /// A header field has no acceptable value.
    #[error("Tar header at byte {at}: bad {field}")]
    Field {
        /// Position of the header.
        at: u64,
        /// Name of the field.
        field: &'static str,
    },
    /// An entry type this reader does not know.
    #[error("Tar header at byte {at}: unknown entry type {kind:#04x}")]
    Type {
        /// Position of the header.
        at: u64,
        /// The type flag.
        kind: u8,
    },
    /// An extension header is longer than allowed.
    #[error("Tar extension header at byte {at} of {len} bytes is longer than {max}")]
    LongExtension {
        /// Position of the header.
        at: u64,
        /// Declared length.
        len: u64,
        /// Longest allowed.
        max: u64,
    },
    /// A PAX record cannot be parsed.
    #[error("Bad PAX record in the header at byte {0}")]
    Pax(u64),
    /// A sparse map overlaps, leaves the file, or does not match the stored bytes.
    #[error("Bad sparse map in the entry at byte {0}")]
    Sparse(u64),
    /// More entries than allowed.
    #[error("Archive has more than {0} entries (raise RKT_IMAGE_MAX_ENTRIES to allow them)")]
    TooManyEntries(u64),
}

#[cfg(test)]
mod tests;
