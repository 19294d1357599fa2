use super::*;

fn create_nameless(guest: &mut Guest, flags: i32) -> (EntryOut, u64) {
    let flags = (libc::O_RDWR | libc::O_TMPFILE | flags) as u32;
    let create = CreateIn { flags, mode: 0o100640, umask: 0, open_flags: 0 };
    let answer = guest.request(Opcode::TmpFile, ROOT, &bytes(&[create.as_slice(), b"/\0"]), 256).unwrap();
    (object(&answer), object::<OpenOut>(&answer[size_of::<EntryOut>()..]).fh)
}

fn link(guest: &mut Guest, node: u64, name: &str) -> Result<EntryOut, i32> {
    let link = LinkIn { oldnodeid: node };
    let body = bytes(&[link.as_slice(), name.as_bytes(), b"\0"]);
    guest.request(Opcode::Link, ROOT, &body, 256).map(|answer| object(&answer))
}

fn links(guest: &mut Guest, node: u64) -> u32 {
    let getattr = GetattrIn::default();
    let answer = guest.request(Opcode::Getattr, node, getattr.as_slice(), 128).unwrap();
    object::<AttrOut>(&answer).attr.nlink
}

fn names(guest: &mut Guest) -> Vec<u8> {
    let open = OpenIn::default();
    let answer = guest.request(Opcode::Opendir, ROOT, open.as_slice(), 16).unwrap();
    let read = ReadIn { fh: object::<OpenOut>(&answer).fh, size: 4096, ..ReadIn::default() };
    guest.request(Opcode::Readdir, ROOT, read.as_slice(), 4096).unwrap()
}

fn entries(directory: &TempDir) -> usize {
    fs::read_dir(directory.path()).unwrap().count()
}

#[test]
pub fn a_nameless_file_gets_a_name() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    let (entry, fh) = create_nameless(&mut guest, 0);
    assert_eq!((entry.attr.nlink, entry.attr.mode), (0, 0o100640));
    guest.write(entry.nodeid, fh, 0, b"content").unwrap();
    assert_eq!(links(&mut guest, entry.nodeid), 0);
    assert_eq!(entries(&directory), 1);
    assert!(!names(&mut guest).windows(5).any(|window| window == b".rkt-"));
    let hidden = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().file_name();
    assert_eq!(guest.lookup(ROOT, hidden.to_str().unwrap()).map(|_| ()), Err(libc::ENOENT));

    let named = link(&mut guest, entry.nodeid, "named").unwrap();
    assert_eq!((named.nodeid, named.attr.nlink), (entry.nodeid, 1));
    assert_eq!(links(&mut guest, entry.nodeid), 1);
    assert_eq!(fs::read(directory.path().join("named")).unwrap(), b"content");
    assert_eq!(entries(&directory), 1);
    guest.write(entry.nodeid, fh, 0, b"CONTENT").unwrap();
    assert_eq!(fs::read(directory.path().join("named")).unwrap(), b"CONTENT");
}

#[test]
pub fn a_nameless_file_leaves_nothing_behind() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    let (entry, _) = create_nameless(&mut guest, 0);
    let forget = ForgetIn { nlookup: 1 };
    let header = InHeader {
        len: (IN_HEADER_LEN + size_of::<ForgetIn>()) as u32,
        opcode: Opcode::Forget as u32,
        nodeid: entry.nodeid,
        ..InHeader::default()
    };
    assert!(guest.send(&bytes(&[header.as_slice(), forget.as_slice()]), &[]).is_empty());
    assert_eq!(entries(&directory), 0, "After it was forgotten");
    create_nameless(&mut guest, 0);
    guest.driver.reset();
    assert_eq!(entries(&directory), 0, "After a reset");
    guest.driver.start();
    guest.init();
    create_nameless(&mut guest, 0);
    drop(guest);
    assert_eq!(entries(&directory), 0, "After the end of the machine");
}

#[test]
fn an_exclusive_nameless_file_never_has_a_name() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    let (entry, fh) = create_nameless(&mut guest, libc::O_EXCL);
    assert_eq!(entries(&directory), 0);
    guest.write(entry.nodeid, fh, 0, b"content").unwrap();
    assert_eq!(guest.read(entry.nodeid, fh, 0, &[100]).unwrap(), b"content");
    assert_eq!(link(&mut guest, entry.nodeid, "named").map(|_| ()), Err(libc::ENOENT));
}

#[test]
fn a_directory_with_a_nameless_file_can_be_removed() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    let mkdir = MkdirIn { mode: 0o755, umask: 0 };
    let answer = guest.request(Opcode::Mkdir, ROOT, &bytes(&[mkdir.as_slice(), b"sub\0"]), 256);
    let sub = object::<EntryOut>(&answer.unwrap()).nodeid;
    let create = CreateIn {
        flags: libc::O_RDWR as u32 | libc::O_TMPFILE as u32,
        mode: 0o100600,
        ..CreateIn::default()
    };
    let body = bytes(&[create.as_slice(), b"/\0"]);
    guest.request(Opcode::TmpFile, sub, &body, 256).unwrap();
    assert_eq!(guest.request(Opcode::Rmdir, ROOT, b"sub\0", 0), Ok(vec![]));
    guest.request(Opcode::Mkdir, ROOT, &bytes(&[mkdir.as_slice(), b"full\0"]), 256).unwrap();
    fs::write(directory.path().join("full/file"), "x").unwrap();
    assert_eq!(guest.request(Opcode::Rmdir, ROOT, b"full\0", 0), Err(libc::ENOTEMPTY));
}
