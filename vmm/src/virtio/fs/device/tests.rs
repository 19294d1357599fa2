mod absent;
mod guest;
mod limits;
mod nameless;
mod overlay;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tempfile::TempDir;
use virtiofsd::fuse::*;
use vm_memory::{ByteValued, Bytes, GuestAddress};

use super::super::CachePolicy;
use super::*;
use crate::{
    jail,
    virtio::conformance::{Buffer, suite},
};
use guest::*;

/// Shares an empty directory that lives as long as the test process.
fn scratch() -> Fs {
    let directory = TempDir::new().unwrap().keep();
    Fs::new(&share(&directory), 2).unwrap()
}

suite!(scratch());

#[test]
fn the_configuration_space_says_tag_and_queues() {
    let directory = TempDir::new().unwrap();
    for (cpus, queues) in [(0, 1), (1, 1), (3, 3), (64, 4)] {
        let device = Fs::new(&share(directory.path()), cpus).unwrap();
        let config = device.config_space();
        assert_eq!(&config[..8], b"rootfs\0\0");
        assert_eq!(config[36..40], [queues, 0, 0, 0]);
        assert_eq!(config.len(), 40);
        assert_eq!(device.queue_sizes().len(), 1 + queues as usize);
    }
}

#[test]
fn init_agrees_on_what_pods_need() {
    let directory = TempDir::new().unwrap();
    let answer = Guest::unintroduced(&share(directory.path())).init();
    let flags = FsOptions::from_bits_truncate(u64::from(answer.flags2) << 32 | u64::from(answer.flags));
    for needed in [
        FsOptions::WRITEBACK_CACHE,
        FsOptions::SUBMOUNTS,
        FsOptions::HANDLE_KILLPRIV_V2,
        FsOptions::MAX_PAGES,
        FsOptions::PARALLEL_DIROPS,
        FsOptions::DO_READDIRPLUS,
    ] {
        assert!(flags.contains(needed), "{needed:?}");
    }
    assert!(!flags.intersects(FsOptions::POSIX_LOCKS | FsOptions::FLOCK_LOCKS));
    assert_eq!((answer.major, answer.max_write, answer.max_pages), (7, 1 << 20, 256));

    let config = ShareConfig { cache: CachePolicy::Volume, ..share(directory.path()) };
    let answer = Guest::unintroduced(&config).init();
    assert_eq!(answer.flags & FsOptions::WRITEBACK_CACHE.bits() as u32, 0);
}

#[test]
fn a_client_without_submounts_is_refused() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::unintroduced(&share(directory.path()));
    let flags = (FsOptions::all() - FsOptions::SUBMOUNTS - FsOptions::INIT_EXT).bits() as u32;
    let init = InitInCompat { major: 7, minor: 38, max_readahead: 1 << 20, flags };
    assert_eq!(guest.request(Opcode::Init, 0, init.as_slice(), 256), Err(libc::EPROTO));
    guest.init();
}

#[test]
fn files_are_created_written_and_read() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    let (entry, fh) = guest.create(ROOT, "file", 0o100640, libc::O_WRONLY).unwrap();
    assert_eq!(entry.entry_valid, 86_400);
    let data: Vec<u8> = (0..1 << 20).map(|i: u32| (i / 3) as u8).collect();
    assert_eq!(guest.write(entry.nodeid, fh, 0, &data), Ok(1 << 20));
    assert!(fs::read(directory.path().join("file")).unwrap() == data);
    let mode = fs::metadata(directory.path().join("file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    // Written back pages may need the rest of theirs, though the file was opened for writing.
    assert!(guest.read(entry.nodeid, fh, 0, &[4096; 256]).unwrap() == data);
    assert!(guest.read(entry.nodeid, fh, 1000, &[1, 4000, 95]).unwrap() == data[1000..5096]);
    assert_eq!(guest.read(entry.nodeid, fh, 1 << 20, &[100]), Ok(vec![]));
    let again = guest.lookup(ROOT, "file").unwrap();
    assert_eq!((again.nodeid, again.attr.size), (entry.nodeid, 1 << 20));
}

#[test]
fn files_belong_to_their_creator() {
    // Nobody but root may write there, but whether the creator may the guest's kernel has seen.
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    for user in [1000, 0, 4_000_000_000] {
        guest.user = user;
        guest.create(ROOT, &format!("of-{user}"), 0o104666, libc::O_RDWR).unwrap();
        let metadata = fs::metadata(directory.path().join(format!("of-{user}"))).unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode()), (user, user, 0o104666));
    }
}

#[test]
fn this_process_keeps_its_umask_and_directory() {
    let before = (rustix::process::umask(0o077.into()), std::env::current_dir().unwrap());
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    std::os::unix::fs::symlink("target", directory.path().join("link")).unwrap();
    let link = guest.lookup(ROOT, "link").unwrap();
    let list = GetxattrIn { size: 100, padding: 0 };
    // Done by changing to /proc/self/fd.
    assert_eq!(guest.request(Opcode::Listxattr, link.nodeid, list.as_slice(), 100), Ok(vec![]));
    let after = (rustix::process::umask(before.0), std::env::current_dir().unwrap());
    assert_eq!(after, (0o077.into(), before.1));
}

#[test]
fn only_files_that_others_write_are_flushed() {
    for (cache, expected) in [(CachePolicy::Pod, Err(libc::ENOSYS)), (CachePolicy::Volume, Ok(Vec::new()))] {
        let directory = TempDir::new().unwrap();
        let mut guest = Guest::new(&ShareConfig { cache, ..share(directory.path()) });
        let (entry, fh) = guest.create(ROOT, "file", 0o644, libc::O_RDWR).unwrap();
        let flush = FlushIn { fh, ..FlushIn::default() };
        assert_eq!(guest.request(Opcode::Flush, entry.nodeid, flush.as_slice(), 0), expected);
    }
}

#[test]
fn names_cannot_lead_out_of_the_share() {
    let outside = TempDir::new().unwrap();
    let directory = outside.path().join("share");
    fs::create_dir(&directory).unwrap();
    fs::write(outside.path().join("secret"), "x").unwrap();
    let mut guest = Guest::new(&share(&directory));
    for name in ["..", ".", "", "../secret", "/etc/passwd", "a/b", "./a"] {
        assert_eq!(guest.lookup(ROOT, name).map(|_| ()), Err(libc::EINVAL), "{name}");
        let mkdir = MkdirIn { mode: 0o755, umask: 0 };
        let body = bytes(&[mkdir.as_slice(), name.as_bytes(), b"\0"]);
        assert_eq!(guest.request(Opcode::Mkdir, ROOT, &body, 256), Err(libc::EINVAL), "{name}");
        let name = bytes(&[name.as_bytes(), b"\0"]);
        assert_eq!(guest.request(Opcode::Unlink, ROOT, &name, 0), Err(libc::EINVAL));
        assert_eq!(guest.request(Opcode::Rmdir, ROOT, &name, 0), Err(libc::EINVAL));
        let symlink = bytes(&[&name, b"target\0"]);
        assert_eq!(guest.request(Opcode::Symlink, ROOT, &symlink, 256), Err(libc::EINVAL));
        let rename = Rename2In { newdir: ROOT, flags: 0, padding: 0 };
        for names in [bytes(&[&name, b"ok\0"]), bytes(&[b"ok\0", &name])] {
            let body = bytes(&[rename.as_slice(), &names]);
            assert_eq!(guest.request(Opcode::Rename2, ROOT, &body, 0), Err(libc::EINVAL));
        }
    }
    // The target of a link is for the guest to follow.
    let symlink = b"link\0../secret\0";
    guest.request(Opcode::Symlink, ROOT, symlink, 256).unwrap();
    let link = guest.lookup(ROOT, "link").unwrap();
    assert!(guest.open(link.nodeid, libc::O_RDONLY).is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2);
}

#[test]
fn a_read_only_share_is_not_changed() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("file"), "content").unwrap();
    let mut guest = Guest::new(&ShareConfig { read_only: true, ..share(directory.path()) });
    let file = guest.lookup(ROOT, "file").unwrap().nodeid;
    let fh = guest.open(file, libc::O_RDONLY).unwrap();
    assert_eq!(guest.read(file, fh, 0, &[100]).unwrap(), b"content");
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_RDONLY | libc::O_TRUNC] {
        assert_eq!(guest.open(file, flags), Err(libc::EROFS));
    }
    assert_eq!(guest.create(ROOT, "new", 0o644, libc::O_RDWR).map(|_| ()), Err(libc::EROFS));
    assert_eq!(guest.write(file, fh, 0, b"x"), Err(libc::EROFS));
    assert_eq!(guest.request(Opcode::Unlink, ROOT, b"file\0", 0), Err(libc::EROFS));
    let truncate = SetattrIn { valid: SetattrValid::SIZE.bits(), ..SetattrIn::default() };
    assert_eq!(guest.request(Opcode::Setattr, file, truncate.as_slice(), 128), Err(libc::EROFS));
    assert_eq!(fs::read(directory.path().join("file")).unwrap(), b"content");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    let (entry, fh) = guest.create(ROOT, "file", 0o644, libc::O_RDWR).unwrap();
    let node = entry.nodeid;
    // Offsets and sizes the host's types do not hold.
    assert_eq!(guest.read(node, fh, u64::MAX, &[100]), Err(libc::EINVAL));
    assert_eq!(guest.read(node, fh, 1 << 63, &[100]), Err(libc::EINVAL));
    assert_eq!(guest.write(node, fh, 1 << 63, b"x"), Err(libc::EINVAL));
    assert!(guest.read(node, fh, (1 << 63) - 1, &[100]).is_err());
    // Handles and nodes that do not exist.
    assert_eq!(guest.read(node, 99, 0, &[100]), Err(libc::EBADF));
    assert_eq!(guest.read(99, fh, 0, &[100]), Err(libc::EBADF));
    // Less than the operation needs, in the request and for the answer.
    assert_eq!(guest.request(Opcode::Create, ROOT, b"abc", 256), Err(libc::EINVAL));
    assert_eq!(guest.request(Opcode::Lookup, ROOT, b"no-zero", 128), Err(libc::EINVAL));
    assert_eq!(guest.request(Opcode::Lookup, ROOT, b"file\0", 10), Err(libc::EINVAL));
    for op in [Opcode::Read, Opcode::Readdir, Opcode::Readdirplus] {
        let read = ReadIn { fh, ..ReadIn::default() };
        let header = InHeader {
            len: (IN_HEADER_LEN + size_of::<ReadIn>()) as u32,
            opcode: op as u32,
            nodeid: node,
            ..InHeader::default()
        };
        let request = bytes(&[header.as_slice(), read.as_slice()]);
        guest.driver.memory.write_slice(&request, GuestAddress(REQUEST)).unwrap();
        let buffers = [Buffer::readable(REQUEST, request.len() as u32), Buffer::writable(ANSWER, 15)];
        guest.driver.add(REQUEST_QUEUE, &buffers);
        assert_eq!(guest.driver.wait_used(REQUEST_QUEUE).1, 0);
    }
    // Operations that do not exist, that the server does not have, and that come twice.
    let unknown = InHeader { len: IN_HEADER_LEN as u32, opcode: 4096, unique: 7, ..InHeader::default() };
    let answer: OutHeader = object(&guest.send(unknown.as_slice(), &[]));
    assert_eq!((answer.error, answer.unique), (-libc::ENOSYS, 7));
    assert_eq!(guest.request(Opcode::SetupMapping, ROOT, &[0; 64], 64), Err(libc::ENOSYS));
    guest.init();
    assert_eq!(guest.read(node, fh, 0, &[100]), Err(libc::EBADF));
    assert!(guest.lookup(ROOT, "file").is_ok());
}

/// A guest that changes a request while the device reads it gets what it deserves, and nothing else breaks.
#[test]
fn a_request_that_changes_meanwhile_is_survived() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    let opcode = GuestAddress(REQUEST + std::mem::offset_of!(InHeader, opcode) as u64);
    let header = InHeader { len: IN_HEADER_LEN as u32 + 64, nodeid: ROOT, unique: 1, ..InHeader::default() };
    let body = [0; 64];
    guest.driver.memory.write_slice(&bytes(&[header.as_slice(), &body]), GuestAddress(REQUEST)).unwrap();
    let memory = guest.driver.memory.clone();
    // Gone when the requests have been sent, or the test has failed.
    let going_on = std::sync::Arc::new(());
    let seen = std::sync::Arc::downgrade(&going_on);
    std::thread::scope(|scope| {
        let _going_on = going_on;
        scope.spawn(move || {
            // Without an answer, and with one that takes more room than there is.
            let opcodes = [Opcode::Forget, Opcode::Read, Opcode::Destroy, Opcode::Readdir, Opcode::Init];
            for op in opcodes.into_iter().cycle().take_while(|_| seen.strong_count() > 0) {
                memory.write_obj(op as u32, opcode).unwrap();
            }
        });
        for _ in 0..20_000 {
            let request = Buffer::readable(REQUEST, header.len);
            guest.driver.add(REQUEST_QUEUE, &[request]);
            guest.driver.wait_used(REQUEST_QUEUE);
        }
    });
    guest.init();
    assert!(guest.create(ROOT, "alive", 0o644, libc::O_RDWR).is_ok());
}

#[test]
fn a_slow_request_holds_up_no_other() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    // As many requests at once as there are workers, and more, on every queue.
    let header = |unique| InHeader {
        len: (IN_HEADER_LEN + 8) as u32,
        opcode: Opcode::Lookup as u32,
        unique,
        nodeid: ROOT,
        ..InHeader::default()
    };
    for round in 0..50_u64 {
        for slot in 0..20 {
            let request = bytes(&[header(round * 100 + slot).as_slice(), b"nothere\0"]);
            let (from, to) = (REQUEST + slot * 4096, ANSWER + slot * 4096);
            guest.driver.memory.write_slice(&request, GuestAddress(from)).unwrap();
            let buffers = [Buffer::readable(from, 48), Buffer::writable(to, 144)];
            guest.driver.add(1 + (slot as usize % 2), &buffers);
        }
        for queue in [1, 2] {
            for _ in 0..10 {
                assert_eq!(guest.driver.wait_used(queue).1 as usize, OUT_HEADER_LEN);
            }
        }
        for slot in 0..20 {
            let answer: OutHeader = guest.driver.memory.read_obj(GuestAddress(ANSWER + slot * 4096)).unwrap();
            assert_eq!((answer.unique, answer.error), (round * 100 + slot, -libc::ENOENT));
        }
    }
}

#[test]
fn a_reset_closes_the_guests_files() {
    let directory = TempDir::new().unwrap();
    let mut guest = Guest::new(&share(directory.path()));
    let path = directory.path().join("file");
    guest.create(ROOT, "file", 0o644, libc::O_RDWR).unwrap();
    let open = || {
        fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter(|fd| fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|target| target == path))
            .count()
    };
    assert_eq!(open(), 2, "The file, and what its name stands for");
    guest.driver.reset();
    assert_eq!(open(), 0);
    guest.driver.start();
    guest.init();
    assert!(guest.lookup(ROOT, "file").is_ok());
}

/// Opens a file without a name in the root.
/// One request of a guest that knows what requests look like.
fn any_request() -> impl Strategy<Value = (u32, u64, Vec<u8>, usize)> {
    let word = prop_oneof![
        4 => 0..6_u64,
        1 => prop_oneof![Just(4096), Just(1 << 63), Just(u64::MAX), Just(i64::MAX as u64)],
        1 => Just(u64::from(u32::from_le_bytes(*b"ab\0c"))),
        1 => any::<u32>().prop_map(u64::from),
    ];
    let words = prop::collection::vec(word, 0..10);
    let name = prop_oneof!["[ab]{1,2}", "\\.\\./[a-c]", "/[a-c]", "user\\.[ab]"];
    let names = prop::collection::vec(name, 0..3);
    let body = (words, names).prop_map(|(words, names)| {
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        words.chain(names.iter().flat_map(|name| [name.as_bytes(), b"\0"].concat())).collect()
    });
    let room = prop_oneof![Just(0_usize), 1..40_usize, Just(128), Just(4096)];
    (0..60_u32, 0..5_u64, body, room)
}

/// Whatever a guest asks, the server lives, answers in form, and stays in its directory.
#[test]
fn any_requests_are_survived() {
    let outside = TempDir::new().unwrap();
    let directory = outside.path().join("share");
    fs::create_dir(&directory).unwrap();
    let mut guest = Guest::new(&share(&directory));
    let strategy = prop::collection::vec(any_request(), 1..30);
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let guest = std::cell::RefCell::new(&mut guest);
    let outcome = runner.run(&strategy, |requests| {
        let mut guest = guest.borrow_mut();
        guest.init();
        guest.create(ROOT, "a", 0o644, libc::O_RDWR).ok();
        for (opcode, nodeid, body, room) in requests {
            let len = (IN_HEADER_LEN + body.len()) as u32;
            let header = InHeader { len, opcode, unique: 77, nodeid, ..InHeader::default() };
            let answer = guest.send(&bytes(&[header.as_slice(), &body]), &[room]);
            if answer.len() >= OUT_HEADER_LEN {
                let out: OutHeader = object(&answer);
                prop_assert_eq!((out.unique, out.len as usize), (77, answer.len()));
            } else {
                prop_assert!(answer.is_empty());
            }
        }
        prop_assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn the_file_server_can_do_all_this_in_jail() {
    let tests: &[(&str, fn())] = &[
        ("files", files_are_created_written_and_read),
        ("owners", files_belong_to_their_creator),
        ("names", names_cannot_lead_out_of_the_share),
        ("nameless", nameless::a_nameless_file_gets_a_name),
        ("gone", nameless::a_nameless_file_leaves_nothing_behind),
        ("whiteouts", overlay::whiteouts_are_kept_as_another_device),
        ("limits", limits::others_are_served_while_one_waits_and_all_once_limits_are_lifted),
        ("reset", a_reset_closes_the_guests_files),
        ("anything", any_requests_are_survived),
    ];
    for (name, test) in tests {
        assert_eq!(jail::tests::with_threads_confined(test), (None, 0), "{name}");
    }
}
