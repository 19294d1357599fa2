//! Archives with valid checksums and everything else as the fuzzer thinks of it: few names, so that they collide.

use arbitrary::Arbitrary;

/// One entry.
#[derive(Debug, Arbitrary)]
pub struct Forged {
    kind: u8,
    name: Path,
    link: Path,
    mode: u16,
    owner: u8,
    data: u8,
    extension: Extension,
}

/// A name of up to four parts.
#[derive(Debug, Arbitrary)]
struct Path {
    parts: [u8; 4],
    length: u8,
}

/// What comes before the entry.
#[derive(Debug, Arbitrary)]
enum Extension {
    Nothing,
    LongName(Path, u8),
    LongLink(Path),
    Records(Vec<(u8, Vec<u8>)>),
}

const PARTS: [&str; 16] = [
    "a",
    "b",
    "c",
    "..",
    ".",
    "",
    ".wh.a",
    ".wh.b",
    ".wh..wh..opq",
    "dev",
    "stdin",
    "rootfs",
    ".wh.",
    ".wh..wh.x",
    "secret",
    "a\u{fffd}",
];
const KINDS: &[u8] = b"0123456755521170SxgLKV";
const KEYS: [&str; 12] = [
    "path",
    "linkpath",
    "size",
    "uid",
    "gid",
    "mtime",
    "GNU.sparse.major",
    "GNU.sparse.map",
    "GNU.sparse.realsize",
    "GNU.sparse.name",
    "SCHILY.xattr.user.a",
    "SCHILY.xattr.trusted.overlay.opaque",
];

impl Path {
    fn text(&self) -> String {
        let parts = self.parts.iter().map(|part| PARTS[usize::from(*part) % PARTS.len()]);
        parts.take(usize::from(self.length % 4) + 1).collect::<Vec<_>>().join("/")
    }
}

/// The archive of these entries.
pub fn archive(entries: &[Forged]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        match &entry.extension {
            Extension::Nothing => {}
            Extension::LongName(path, times) => {
                block(
                    &mut out,
                    b'L',
                    "././@LongLink",
                    "",
                    0,
                    0,
                    path.text().repeat(usize::from(*times)).as_bytes(),
                );
            }
            Extension::LongLink(path) => {
                block(&mut out, b'K', "././@LongLink", "", 0, 0, path.text().as_bytes())
            }
            Extension::Records(list) => block(&mut out, b'x', "PaxHeaders", "", 0, 0, &records(list)),
        }
        let kind = KINDS[usize::from(entry.kind) % KINDS.len()];
        let data = vec![
            entry.data;
            if matches!(kind, b'0' | b'7' | b'S') { usize::from(entry.data) * 3 } else { 0 }
        ];
        let mode = u32::from(entry.mode);
        block(&mut out, kind, &entry.name.text(), &entry.link.text(), mode, u64::from(entry.owner), &data);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn block(out: &mut Vec<u8>, kind: u8, name: &str, link: &str, mode: u32, owner: u64, data: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::new(kind));
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(1);
    header.set_size(data.len() as u64);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(512), 0);
}

/// PAX records whose lengths are right.
fn records(list: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in list {
        let key = KEYS[usize::from(*key) % KEYS.len()];
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        out.extend_from_slice(format!("{length} {key}=").as_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}
