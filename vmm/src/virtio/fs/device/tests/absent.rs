//! Names that stand for nothing.

use super::*;

/// Not what the host may add: apps, which only the agent looks for, and anything in volumes.
#[test]
fn what_is_not_there_is_remembered_where_nobody_else_writes() {
    for (cache, remembered) in [(CachePolicy::Pod, true), (CachePolicy::Volume, false)] {
        let directory = TempDir::new().unwrap();
        fs::create_dir_all(directory.path().join("app/rootfs")).unwrap();
        let mut guest = Guest::new(&ShareConfig { cache, ..share(directory.path()) });
        let app = guest.lookup(ROOT, "app").unwrap().nodeid;
        guest.process = 7;
        assert_eq!(guest.lookup(ROOT, "other").map(|_| ()), Err(libc::ENOENT));
        let absent = guest.lookup(app, "absent").map(|entry| (entry.nodeid, entry.entry_valid));
        assert_eq!(absent, if remembered { Ok((0, 10)) } else { Err(libc::ENOENT) });
        guest.process = 1;
        assert_eq!(guest.lookup(app, "absent").map(|_| ()), Err(libc::ENOENT));
        // It can be made all the same.
        assert!(guest.create(app, "absent", 0o644, libc::O_RDWR).unwrap().0.nodeid > 1);
        assert!(guest.lookup(app, "absent").unwrap().nodeid > 1);
    }
}
