//! What overlayfs in the guest keeps on a root file system.

use rustix::fs::{XattrFlags, getxattr, setxattr};

use super::*;

const NODE: u32 = libc::S_IFCHR | 0o600;

fn make(guest: &mut Guest, name: &str, mode: u32, rdev: u32) -> Result<EntryOut, i32> {
    let node = MknodIn { mode, rdev, umask: 0, padding: 0 };
    let body = bytes(&[node.as_slice(), name.as_bytes(), b"\0"]);
    guest.request(Opcode::Mknod, ROOT, &body, 256).map(|answer| object(&answer))
}

fn rename(guest: &mut Guest, from: &str, to: &str, flags: u32) -> Result<(), i32> {
    let rename = Rename2In { newdir: ROOT, flags, padding: 0 };
    let body = bytes(&[rename.as_slice(), from.as_bytes(), b"\0", to.as_bytes(), b"\0"]);
    guest.request(Opcode::Rename2, ROOT, &body, 0).map(drop)
}

fn set_attribute(guest: &mut Guest, name: &str) -> Result<(), i32> {
    // What clients send that know nothing of the flags of SETXATTR_EXT.
    let set = SetxattrInCompat { size: 1, flags: 0 };
    let body = bytes(&[set.as_slice(), name.as_bytes(), b"\0y"]);
    guest.request(Opcode::Setxattr, ROOT, &body, 0).map(drop)
}

fn device(directory: &TempDir, name: &str) -> (u32, u32) {
    let device = fs::symlink_metadata(directory.path().join(name)).unwrap().rdev();
    (rustix::fs::major(device), rustix::fs::minor(device))
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
pub fn whiteouts_are_kept_as_another_device() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    for user in [0, 1000] {
        guest.user = user;
        let name = format!("of-{user}");
        let made = make(&mut guest, &name, libc::S_IFCHR, 0).unwrap();
        assert_eq!((made.attr.mode, made.attr.rdev, made.attr.uid), (libc::S_IFCHR, 0, user.into()));
        assert_eq!(device(&directory, &name), (0, 0xfffff));
        assert_eq!(guest.lookup(ROOT, &name).unwrap().attr.rdev, 0);
        let answer =
            guest.request(Opcode::Getattr, made.nodeid, GetattrIn::default().as_slice(), 128).unwrap();
        assert_eq!(object::<AttrOut>(&answer).attr.rdev, 0);
    }
    make(&mut guest, "null", NODE, 0x103).unwrap();
    assert_eq!(device(&directory, "null"), (1, 3));
    // Block devices of that number are none.
    make(&mut guest, "block", libc::S_IFBLK | 0o600, 0).unwrap();
    assert_eq!(device(&directory, "block"), (0, 0));
}

#[test]
fn what_is_renamed_leaves_a_whiteout_where_that_is_asked_for() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    for name in ["a", "b", "c"] {
        fs::write(directory.path().join(name), name).unwrap();
    }
    rename(&mut guest, "a", "new", libc::RENAME_WHITEOUT).unwrap();
    assert_eq!(device(&directory, "a"), (0, 0xfffff));
    assert_eq!(fs::read(directory.path().join("new")).unwrap(), b"a");
    rename(&mut guest, "b", "new", libc::RENAME_WHITEOUT).unwrap();
    assert_eq!(fs::read(directory.path().join("new")).unwrap(), b"b");
    let refused = rename(&mut guest, "c", "new", libc::RENAME_WHITEOUT | libc::RENAME_NOREPLACE);
    assert_eq!(refused, Err(libc::EEXIST));
    assert_eq!(fs::read(directory.path().join("c")).unwrap(), b"c");
    assert_eq!(
        rename(&mut guest, "none", "new", libc::RENAME_WHITEOUT | libc::RENAME_NOREPLACE),
        Err(libc::ENOENT)
    );
    assert_eq!(
        rename(&mut guest, "c", "new", libc::RENAME_WHITEOUT | libc::RENAME_EXCHANGE),
        Err(libc::EINVAL)
    );
    assert_eq!(names(&directory), ["a", "b", "c", "new"]);
    assert_eq!(guest.lookup(ROOT, "b").unwrap().attr.rdev, 0);
}

#[test]
fn attributes_of_overlays_have_other_names() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    let mut value = [0; 8];
    set_attribute(&mut guest, "trusted.overlay.opaque").unwrap();
    assert_eq!(getxattr(directory.path(), "trusted.rkt.trusted.overlay.opaque", &mut value[..]), Ok(1));
    set_attribute(&mut guest, "trusted.other").unwrap();
    setxattr(directory.path(), "user.x", b"x", XattrFlags::empty()).unwrap();
    let get = GetxattrIn { size: 100, padding: 0 };
    let body = bytes(&[get.as_slice(), b"trusted.overlay.opaque\0"]);
    assert_eq!(guest.request(Opcode::Getxattr, ROOT, &body, 100).unwrap(), b"y");
    let list = guest.request(Opcode::Listxattr, ROOT, get.as_slice(), 100).unwrap();
    let mut listed: Vec<_> = list.split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    listed.sort();
    let expected: [&[u8]; 3] = [b"trusted.other", b"trusted.overlay.opaque", b"user.x"];
    assert_eq!(listed, expected);
}
