//! Decoding of one 512-byte header.

use super::{BLOCK, Kind, TarError};

/// A header whose checksum is right.
pub(super) struct Raw<'a> {
    pub header: &'a tar::Header,
    pub at: u64,
}

/// Whether the header's checksum field matches its bytes, summed unsigned (POSIX) or signed (historic).
fn checksum_matches(block: &[u8; BLOCK], wanted: u32) -> bool {
    let counted = |i: usize, b: u8| if (148..156).contains(&i) { b' ' } else { b };
    let unsigned: u32 = block.iter().enumerate().map(|(i, b)| u32::from(counted(i, *b))).sum();
    let signed: i32 = block.iter().enumerate().map(|(i, b)| i32::from(counted(i, *b) as i8)).sum();
    unsigned == wanted || i64::from(signed) == i64::from(wanted)
}

impl<'a> Raw<'a> {
    pub fn new(block: &'a [u8; BLOCK], at: u64) -> Result<Self, TarError> {
        let header = tar::Header::from_byte_slice(block);
        match header.cksum() {
            Ok(sum) if checksum_matches(block, sum) => Ok(Raw { header, at }),
            _ => Err(TarError::Checksum(at)),
        }
    }

    /// A decoded number; a field of nothing but blanks and NULs is zero.
    fn number<T: Default, E>(
        &self,
        value: Result<T, E>,
        raw: &[u8],
        field: &'static str,
    ) -> Result<T, TarError> {
        match value {
            Ok(value) => Ok(value),
            Err(_) if raw.iter().all(|b| matches!(b, 0 | b' ')) => Ok(T::default()),
            Err(_) => Err(TarError::Field { at: self.at, field }),
        }
    }

    pub fn type_flag(&self) -> u8 {
        self.header.as_old().linkflag[0]
    }

    /// Declared size of the stored data.
    pub fn size(&self) -> Result<u64, TarError> {
        let size = self.number(self.header.entry_size(), &self.header.as_old().size, "size")?;
        // Base-256 fields hold values no file has; stay clear of overflow in offsets.
        if size > i64::MAX as u64 / 2 {
            Err(TarError::Field { at: self.at, field: "size" })
        } else {
            Ok(size)
        }
    }

    pub fn mode(&self) -> Result<u32, TarError> {
        Ok(self.number(self.header.mode(), &self.header.as_old().mode, "mode")? & 0o7777)
    }

    pub fn owner(&self) -> Result<(u32, u32), TarError> {
        let old = self.header.as_old();
        let uid = self.number(self.header.uid(), &old.uid, "uid")?;
        let gid = self.number(self.header.gid(), &old.gid, "gid")?;
        let id = |v: u64, field| u32::try_from(v).map_err(|_| TarError::Field { at: self.at, field });
        Ok((id(uid, "uid")?, id(gid, "gid")?))
    }

    pub fn mtime(&self) -> Result<i64, TarError> {
        // Two's complement in base-256 fields: times before the epoch.
        Ok(self.number(self.header.mtime(), &self.header.as_old().mtime, "mtime")? as i64)
    }

    pub fn device(&self) -> Result<(u32, u32), TarError> {
        let raw = &self.header.as_bytes()[329..345];
        let major = self.number(self.header.device_major(), &raw[..8], "device major")?;
        let minor = self.number(self.header.device_minor(), &raw[8..], "device minor")?;
        Ok((major.unwrap_or(0), minor.unwrap_or(0)))
    }

    /// The kind of entry, or `None` for extension headers.
    pub fn kind(&self) -> Result<Kind, TarError> {
        Ok(match self.type_flag() {
            b'0' | 0 | b'7' | b'S' => Kind::File,
            b'1' => Kind::Hardlink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Char,
            b'4' => Kind::Block,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            kind => return Err(TarError::Type { at: self.at, kind }),
        })
    }
}
