//! Archives made by hand for tests, also such as no honest tool writes.

use tar::{EntryType, Header};

/// A tar archive under construction.
#[derive(Debug, Default, Clone)]
pub(crate) struct Forge {
    bytes: Vec<u8>,
}

impl Forge {
    pub fn new() -> Self {
        Self::default()
    }

    /// An entry with every field as given; the name is cut to 100 bytes.
    pub fn raw(
        mut self,
        kind: u8,
        name: &[u8],
        link: &[u8],
        data: &[u8],
        edit: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::new(kind));
        let old = header.as_old_mut();
        old.name[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        old.linkname[..link.len().min(100)].copy_from_slice(&link[..link.len().min(100)]);
        header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(data.len() as u64);
        edit(&mut header);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.data(data)
    }

    fn data(mut self, data: &[u8]) -> Self {
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// An entry whose name may be long.
    pub fn entry(self, kind: u8, name: &str, link: &str, data: &[u8]) -> Self {
        let mut this = self;
        if name.len() > 100 {
            this = this.raw(b'L', b"././@LongLink", b"", format!("{name}\0").as_bytes(), |_| {});
        }
        if link.len() > 100 {
            this = this.raw(b'K', b"././@LongLink", b"", format!("{link}\0").as_bytes(), |_| {});
        }
        this.raw(kind, name.as_bytes(), link.as_bytes(), data, |_| {})
    }

    pub fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(b'0', name, "", data)
    }

    pub fn dir(self, name: &str) -> Self {
        self.entry(b'5', name, "", b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name, target, b"")
    }

    pub fn hardlink(self, name: &str, target: &str) -> Self {
        self.entry(b'1', name, target, b"")
    }

    /// PAX records for the entry that follows.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut body = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut len = rest + 1;
            while len != rest + len.to_string().len() {
                len = rest + len.to_string().len();
            }
            body.extend_from_slice(format!("{len} {key}=").as_bytes());
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        self.raw(b'x', b"PaxHeaders", b"", &body, |_| {})
    }

    /// The archive with its end marker.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }
}
