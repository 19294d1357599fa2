//! A guest that watches, without its kernel.

mod bounds;

use std::{
    ffi::{CStr, CString},
    fs,
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use agent::protocol::{BACKSTAGE, Change, Place, Touch, WatchNews, WatchRequest, read_frame, write_frame};
use virtiofsd::{
    filesystem::{Context, Entry, Extensions, FileSystem, FsOptions, SetattrValid},
    fuse::{InHeader, ROOT_ID, SetattrIn},
};

use super::*;
use crate::virtio::fs::{CachePolicy, ShareConfig};

const ACTOR: u32 = 77;

/// A share, and the guest's end of the connection.
struct Guest {
    directory: tempfile::TempDir,
    share: Share,
    stream: UnixStream,
}

/// Runs a guest on a thread that may change its umask.
fn with_guest(work: impl FnOnce(&mut Guest) + Send + 'static) {
    let run = move || {
        own_file_system_context();
        let directory = tempfile::tempdir().unwrap();
        let watches = Watches::default();
        let config = ShareConfig {
            files: 100_000,
            watches: watches.clone(),
            ..ShareConfig::of(directory.path(), CachePolicy::Volume)
        };
        let share = Share::new(&config, None).unwrap();
        share.may_be_emptied(true);
        share.init(FsOptions::all()).unwrap();
        let (stream, theirs) = UnixStream::pair().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        watches.serve(theirs, |line| panic!("{line}")).unwrap();
        let mut guest = Guest { directory, share, stream };
        guest.say(&WatchRequest::Actor { thread: ACTOR });
        // When that is answered the one before has been heard.
        guest.say(&WatchRequest::Forget { node: 0 });
        assert_eq!(guest.hear(), WatchNews::Forgotten { node: 0 });
        work(&mut guest);
    };
    thread::spawn(run).join().unwrap();
}

fn app() -> Context {
    Context::from(InHeader { pid: 9, ..InHeader::default() })
}

fn actor() -> Context {
    Context::from(InHeader { pid: ACTOR, ..InHeader::default() })
}

fn place(node: u64, name: &str) -> Place {
    Place { node, name: name.as_bytes().to_owned() }
}

impl Guest {
    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn say(&mut self, request: &WatchRequest) {
        write_frame(&mut self.stream, request).unwrap();
    }

    fn hear(&mut self) -> WatchNews {
        read_frame(&mut self.stream).unwrap().unwrap()
    }

    fn watch(&mut self, node: u64) {
        self.say(&WatchRequest::Watch { node });
        assert_eq!(self.hear(), WatchNews::Watched { node });
    }

    fn node(&self, parent: u64, name: &CStr) -> u64 {
        self.share.lookup(app(), parent, name).unwrap().inode
    }

    /// Has another process do something in the share.
    fn host(&self, script: &str) {
        let status = Command::new("sh").args(["-c", script]).current_dir(self.path()).status().unwrap();
        assert!(status.success(), "{script}");
    }

    fn next_change(&mut self) -> Change {
        match self.hear() {
            WatchNews::Changed(change) => change,
            other => panic!("{other:?}"),
        }
    }

    /// The next changes, each of which is done at once.
    fn changes(&mut self, count: usize) -> Vec<Change> {
        let next = |_| {
            let change = self.next_change();
            self.say(&WatchRequest::Done);
            change
        };
        (0..count).map(next).collect()
    }

    fn make_node(&self, ctx: Context, parent: u64, name: &CStr) -> std::io::Result<Entry> {
        self.share.mknod(ctx, parent, name, libc::S_IFREG | 0o600, 0, 0, Extensions::default())
    }

    fn listing(&self) -> String {
        let output = Command::new("find").arg(self.path()).args(["-printf", "%P %s %m %T@ %C@\n"]).output();
        let mut lines: Vec<_> =
            String::from_utf8(output.unwrap().stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines.join("\n")
    }
}

#[test]
fn what_others_change_is_told_and_what_the_guest_changes_is_not() {
    with_guest(|guest| {
        guest.host("mkdir -p one/two; echo > one/two/file");
        let one = guest.node(ROOT_ID, c"one");
        let two = guest.node(one, c"two");
        guest.watch(two);
        guest.make_node(app(), two, c"own").unwrap();
        guest.share.unlink(app(), two, c"own").unwrap();
        // The guest lets go of the names on the way.
        guest.share.forget(app(), one, 1);
        guest.host("mkdir one/two/sub; : > one/two/new; mv one/two/new one/two/newer; mv one/two/newer one; rm one/two/file");
        let at = |name| place(two, name);
        let expected = [
            Change::Created { at: at("sub"), directory: true },
            Change::Created { at: at("new"), directory: false },
            Change::Touched { at: at("new"), directory: false, how: Touch::Closed },
            Change::Moved { from: Some(at("new")), to: Some(at("newer")), directory: false },
            Change::Moved { from: Some(at("newer")), to: None, directory: false },
            Change::Deleted { at: at("file"), directory: false },
        ];
        assert_eq!(guest.changes(expected.len()), expected);
        let below = guest.node(two, c"sub");
        guest.watch(below);
        guest.host(": > one/two/sub/last; rm -r one/two/sub; mkdir one/two/sub");
        let last = || place(below, "last");
        assert_eq!(guest.changes(1), [Change::Created { at: last(), directory: false }]);
        let mut rest = Vec::new();
        while rest.last() != Some(&Change::Created { at: at("sub"), directory: true }) {
            let change = guest.next_change();
            if change == (Change::Deleted { at: last(), directory: false }) {
                // The directory has gone, too, but the change can be made.
                assert_eq!(guest.share.getattr(app(), below, None).unwrap().0.nlink, 0);
                assert!(guest.share.getattr(actor(), below, None).unwrap().0.nlink > 0);
                assert!(guest.share.lookup(actor(), below, c"last").is_ok());
                guest.share.unlink(actor(), below, c"last").unwrap();
            }
            guest.say(&WatchRequest::Done);
            rest.push(change);
        }
        assert!(rest.contains(&Change::Deleted { at: last(), directory: false }), "{rest:?}");
        guest.say(&WatchRequest::Forget { node: two });
        assert_eq!(guest.hear(), WatchNews::Forgotten { node: two });
        guest.host(": > one/two/unwatched");
        let sub = guest.node(two, c"sub");
        guest.watch(sub);
        guest.host("rmdir one/two/sub");
        let attributes = Change::TouchedItself { node: sub, how: Touch::Attributes };
        let gone = Change::DeletedItself { node: sub, directory: true };
        let first = guest.changes(1);
        if first == [attributes] {
            assert_eq!(guest.changes(1), [gone]);
        } else {
            assert_eq!(first, [gone]);
        }
    });
}

#[test]
fn a_file_that_is_watched_itself() {
    with_guest(|guest| {
        guest.host("echo > file");
        let file = guest.node(ROOT_ID, c"file");
        guest.watch(file);
        guest.host("echo more >> file; chmod 600 file; mv file elsewhere");
        let touched = |how| Change::TouchedItself { node: file, how };
        let expected = [
            touched(Touch::Content),
            touched(Touch::Closed),
            touched(Touch::Attributes),
            Change::MovedItself { node: file, directory: false },
        ];
        let seen = guest.changes(expected.len());
        // The first ones may have become one event, which has no order.
        assert!(expected.iter().all(|change| seen.contains(change)), "{seen:?}");
        guest.watch(ROOT_ID);
        guest.host("mv elsewhere again; rm again");
        let gone = [
            Change::DeletedItself { node: file, directory: false },
            Change::Deleted { at: place(ROOT_ID, "again"), directory: false },
        ];
        let mut seen = Vec::new();
        while !gone.iter().all(|change| seen.contains(change)) {
            seen.extend(guest.changes(1));
        }
        let moved = Change::Moved {
            from: Some(place(ROOT_ID, "elsewhere")),
            to: Some(place(ROOT_ID, "again")),
            directory: false,
        };
        assert_eq!(seen[0], moved);
        assert!(!seen.contains(&Change::MovedItself { node: file, directory: false }), "{seen:?}");
    });
}

#[test]
fn the_actor_changes_nothing_whatever_it_asks_for() {
    with_guest(|guest| {
        guest.host("mkdir directory; echo content > file; ln -s file link");
        let before = guest.listing();
        let (file, ctx) = (guest.node(ROOT_ID, c"file"), actor());
        let share = guest.share.clone();
        let times = SetattrIn { size: 0, mode: 0o777, ..SetattrIn::default() };
        share.setattr(ctx, file, times, None, SetattrValid::SIZE | SetattrValid::MODE).unwrap();
        let refused: Vec<std::io::Error> = [
            guest.make_node(ctx, ROOT_ID, c"new").err(),
            share.mkdir(ctx, ROOT_ID, c"new", 0o700, 0, Extensions::default()).err(),
            share.symlink(ctx, c"x", ROOT_ID, c"new", Extensions::default()).err(),
            share.link(ctx, file, ROOT_ID, c"new").err(),
            share.unlink(ctx, ROOT_ID, c"file").err(),
            share.rmdir(ctx, ROOT_ID, c"directory").err(),
            share.rename(ctx, ROOT_ID, c"file", ROOT_ID, c"new", 0).err(),
            share.open(ctx, file, false, libc::O_WRONLY as u32).err(),
            share.open(ctx, file, false, (libc::O_RDWR | libc::O_TRUNC) as u32).err(),
            share
                .create(ctx, ROOT_ID, c"new", 0o600, false, libc::O_RDWR as u32, 0, Extensions::default())
                .err(),
            share
                .setxattr(ctx, file, c"user.x", b"x", 0, virtiofsd::filesystem::SetxattrFlags::empty())
                .err(),
            share.removexattr(ctx, file, c"user.x").err(),
            share.fallocate(ctx, file, 0, 0, 0, 10).err(),
        ]
        .into_iter()
        .map(Option::unwrap)
        .collect();
        assert!(refused.iter().all(|error| error.raw_os_error() == Some(libc::EPERM)), "{refused:?}");
        assert_eq!(guest.listing(), before);
    });
}

#[test]
fn only_the_change_that_is_told_of_is_shown() {
    with_guest(|guest| {
        guest.host("echo content > gone");
        guest.watch(ROOT_ID);
        guest.host(": > new");
        let created = Change::Created { at: place(ROOT_ID, "new"), directory: false };
        assert_eq!(guest.next_change(), created);
        let before = guest.listing();
        assert!(guest.share.lookup(actor(), ROOT_ID, c"new").is_err());
        assert!(guest.share.lookup(app(), ROOT_ID, c"new").is_ok());
        assert!(guest.make_node(actor(), ROOT_ID, c"newer").is_err());
        assert!(guest.share.unlink(actor(), ROOT_ID, c"gone").is_err());
        let made = guest.make_node(actor(), ROOT_ID, c"new").unwrap();
        assert_eq!((made.entry_timeout, made.attr.mode & libc::S_IFMT), (Duration::ZERO, libc::S_IFREG));
        assert!(guest.share.getattr(actor(), made.inode, None).is_ok());
        assert!(guest.share.getattr(app(), made.inode, None).is_err());
        guest.share.forget(app(), made.inode, 1);
        guest.say(&WatchRequest::Done);
        assert_eq!(
            guest.changes(1),
            [Change::Touched { at: place(ROOT_ID, "new"), directory: false, how: Touch::Closed }]
        );

        let backstage = CString::new(BACKSTAGE).unwrap();
        assert!(guest.share.lookup(app(), ROOT_ID, &backstage).is_err());
        let stage = guest.share.lookup(actor(), ROOT_ID, &backstage).unwrap().inode;
        assert!(guest.make_node(app(), stage, c"x").is_err());
        guest.host("mv gone ..; rm ../gone");
        let moved = Change::Moved { from: Some(place(ROOT_ID, "gone")), to: None, directory: false };
        assert_eq!(guest.next_change(), moved);
        assert!(guest.share.lookup(actor(), ROOT_ID, c"gone").is_ok());
        guest.share.rename(actor(), ROOT_ID, c"gone", stage, c"exit", 0).unwrap();
        assert!(guest.share.rename(app(), ROOT_ID, c"new", stage, c"exit", 0).is_err());
        guest.say(&WatchRequest::Done);
        // When that is answered the one before has been heard.
        guest.watch(ROOT_ID);
        assert!(guest.share.rename(actor(), ROOT_ID, c"gone", stage, c"exit", 0).is_err());
        fs::write(guest.path().join("gone"), "content").unwrap();
        let names = |listing: &str| {
            listing.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&guest.listing()), names(&before));
    });
}
