//! Requests to a file server (Linux, include/uapi/linux/fuse.h, version 7.38).

/// Bytes of `struct fuse_in_header`.
pub const IN_HEADER: usize = 40;
/// Bytes of `struct fuse_out_header`.
pub const OUT_HEADER: usize = 16;
/// The node of a share's root.
pub const ROOT: u64 = 1;
/// The longest body of a request here.
const BODY: usize = 1024;

/// Operations.
pub mod op {
    #![expect(missing_docs, reason = "named as in linux/fuse.h")]
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const SETATTR: u32 = 4;
    pub const READLINK: u32 = 5;
    pub const SYMLINK: u32 = 6;
    pub const MKNOD: u32 = 8;
    pub const MKDIR: u32 = 9;
    pub const UNLINK: u32 = 10;
    pub const RENAME: u32 = 12;
    pub const LINK: u32 = 13;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const WRITE: u32 = 16;
    pub const RELEASE: u32 = 18;
    pub const SETXATTR: u32 = 21;
    pub const GETXATTR: u32 = 22;
    pub const LISTXATTR: u32 = 23;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const CREATE: u32 = 35;
    pub const DESTROY: u32 = 38;
    pub const BATCH_FORGET: u32 = 42;
    pub const FALLOCATE: u32 = 43;
    pub const READDIRPLUS: u32 = 44;
    pub const RENAME2: u32 = 45;
}

/// What follows a request's header.
#[derive(Debug, Clone)]
pub struct Body {
    bytes: [u8; BODY],
    length: usize,
}

impl Default for Body {
    fn default() -> Self {
        Body { bytes: [0; BODY], length: 0 }
    }
}

impl Body {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With bytes more, as far as there is room.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let room = &mut self.bytes[self.length..];
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.length += count;
        self
    }

    /// With a number of 32 bits more.
    #[must_use]
    pub fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// With a number of 64 bits more.
    #[must_use]
    pub fn u64(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// With a name more, and the zero that ends it.
    #[must_use]
    pub fn name(self, name: &[u8]) -> Self {
        self.bytes(name).bytes(&[0])
    }

    /// All of it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// `struct fuse_in_header` of a request by root.
#[must_use]
pub fn header(length: u32, operation: u32, unique: u64, node: u64) -> [u8; IN_HEADER] {
    let mut bytes = [0; IN_HEADER];
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..8].copy_from_slice(&operation.to_le_bytes());
    bytes[8..16].copy_from_slice(&unique.to_le_bytes());
    bytes[16..24].copy_from_slice(&node.to_le_bytes());
    bytes
}

/// The error number in a `struct fuse_out_header`, positive.
#[must_use]
pub fn errno(bytes: &[u8; OUT_HEADER]) -> i32 {
    i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]).wrapping_neg()
}

/// What a client must know to be served (`FUSE_SUBMOUNTS`).
pub const SUBMOUNTS: u32 = 1 << 27;
/// What it may know besides, here: ASYNC_READ, BIG_WRITES, DO_READDIRPLUS.
pub const USUAL: u32 = 1 | 1 << 5 | 1 << 13;

/// `struct fuse_init_in` of a client that knows this.
#[must_use]
pub fn init(flags: u32) -> Body {
    Body::new().u32(7).u32(38).u32(1 << 20).u32(flags).bytes(&[0; 48])
}

/// `struct fuse_open_in`.
#[must_use]
pub fn open(flags: u32) -> Body {
    Body::new().u32(flags).u32(0)
}

/// `struct fuse_read_in`, for READ and READDIR.
#[must_use]
pub fn read(handle: u64, offset: u64, size: u32) -> Body {
    Body::new().u64(handle).u64(offset).u32(size).u32(0).u64(0).u32(0).u32(0)
}

/// `struct fuse_write_in`, and what is written.
#[must_use]
pub fn write(handle: u64, offset: u64, size: u32, data: &[u8]) -> Body {
    Body::new().u64(handle).u64(offset).u32(size).u32(0).u64(0).u32(0).u32(0).bytes(data)
}

/// `struct fuse_create_in` and a name.
#[must_use]
pub fn create(flags: u32, name: &[u8]) -> Body {
    Body::new().u32(flags).u32(0o100_644).u32(0).u32(0).name(name)
}

/// `struct fuse_setattr_in` that sets the size.
#[must_use]
pub fn truncate(size: u64) -> Body {
    Body::new().u32(1 << 3).u32(0).u64(0).u64(size).bytes(&[0; 64])
}

/// `struct fuse_rename_in` and two names.
#[must_use]
pub fn rename(new_parent: u64, old: &[u8], new: &[u8]) -> Body {
    Body::new().u64(new_parent).name(old).name(new)
}

/// `struct fuse_mknod_in` and a name.
#[must_use]
pub fn mknod(mode: u32, device: u32, name: &[u8]) -> Body {
    Body::new().u32(mode).u32(device).u32(0).u32(0).name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_laid_out_as_linux_does() {
        let header = header(0x0102, op::LOOKUP, 7, ROOT);
        assert_eq!(header[..8], [2, 1, 0, 0, 1, 0, 0, 0]);
        assert_eq!((header[8], header[16]), (7, 1));
        assert_eq!(init(SUBMOUNTS).as_bytes().len(), 64);
        assert_eq!(read(1, 2, 3).as_bytes().len(), 40);
        assert_eq!(write(1, 2, 3, b"").as_bytes().len(), 40);
        assert_eq!(truncate(1).as_bytes().len(), 88);
        assert_eq!(rename(5, b"a", b"b").as_bytes(), [5, 0, 0, 0, 0, 0, 0, 0, b'a', 0, b'b', 0]);
    }

    #[test]
    fn bodies_have_an_end() {
        let body = Body::new().bytes(&[1; 1000]).bytes(&[2; 1000]);
        assert_eq!(body.as_bytes().len(), BODY);
        assert_eq!(errno(&[16, 0, 0, 0, 0xea, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]), 22);
    }
}
