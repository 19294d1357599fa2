//! What a guest remembers of a volume, without the guest.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use virtiofsd::{
    filesystem::FsOptions,
    fuse::{ROOT_ID, SetattrIn},
};

use super::*;
use crate::virtio::fs::{CachePolicy, ShareConfig, pool::own_file_system_context};

/// Runs a guest with a volume on a thread that may change its umask.
fn with_volume(cache: CachePolicy, work: impl FnOnce(&Share, &Path) + Send + 'static) {
    let run = move || {
        own_file_system_context();
        let directory = tempfile::tempdir().unwrap();
        let config = ShareConfig { files: 100_000, ..ShareConfig::of(directory.path(), cache) };
        let share = Share::new(&config, None).unwrap();
        share.may_be_emptied(true);
        share.init(FsOptions::all()).unwrap();
        work(&share, directory.path());
    };
    thread::spawn(run).join().unwrap();
}

fn file(share: &Share, directory: &Path, name: &str) -> u64 {
    fs::write(directory.join(name), "content").unwrap();
    share.lookup(own(), ROOT_ID, &std::ffi::CString::new(name).unwrap()).unwrap().inode
}

/// When it is time to look again, later with every call.
fn later() -> Instant {
    static TURN: AtomicU32 = AtomicU32::new(0);
    Instant::now() + 2 * PERIOD * (1 + TURN.fetch_add(1, Ordering::SeqCst))
}

/// The files of this process that lie below a directory and have been deleted.
fn held(directory: &Path) -> usize {
    let deleted = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        target.starts_with(directory) && target.to_string_lossy().ends_with(" (deleted)")
    };
    fs::read_dir("/proc/self/fd").unwrap().flatten().map(deleted).filter(|deleted| *deleted).count()
}

#[test]
fn what_the_host_deletes_is_let_go_of() {
    with_volume(CachePolicy::Volume, |share, directory| {
        let (gone, stays) = (file(share, directory, "gone"), file(share, directory, "stays"));
        fs::remove_file(directory.join("gone")).unwrap();
        share.let_go_of_departed(Instant::now());
        assert_eq!(held(directory), 1, "it was not time yet");
        share.let_go_of_departed(later());
        assert_eq!(held(directory), 0);
        let stale =
            |answer: io::Result<()>| assert_eq!(answer.unwrap_err().raw_os_error(), Some(libc::ESTALE));
        stale(share.getattr(own(), gone, None).map(drop));
        stale(share.open(own(), gone, false, libc::O_RDONLY as u32).map(drop));
        let mode = virtiofsd::filesystem::SetattrValid::MODE;
        stale(share.setattr(own(), gone, SetattrIn::default(), None, mode).map(drop));
        // As often as it was told of it, the guest forgets it now.
        share.forget(own(), gone, 1);
        assert!(share.getattr(own(), stays, None).is_ok());
        let again = file(share, directory, "gone");
        assert_ne!(again, gone);
    });
}

#[test]
fn what_the_guest_has_open_stays() {
    with_volume(CachePolicy::Volume, |share, directory| {
        let known = file(share, directory, "known");
        let read = libc::O_RDONLY as u32;
        let handles = [0, 1].map(|_| share.open(own(), known, false, read).unwrap().0.unwrap());
        fs::remove_file(directory.join("known")).unwrap();
        let attributes = || share.getattr(own(), known, None);
        for handle in handles {
            share.let_go_of_departed(later());
            assert_eq!(attributes().unwrap().0.nlink, 0);
            share.release(own(), known, read, handle, false, false, None).unwrap();
            // What was closed already is not closed again.
            share.release(own(), known, read, handle, false, false, None).unwrap_err();
        }
        share.let_go_of_departed(later());
        attributes().unwrap_err();

        let write = libc::O_RDWR as u32;
        let created = share.create(own(), ROOT_ID, c"new", 0o600, false, write, 0, Default::default());
        let (entry, handle, _) = created.unwrap();
        share.unlink(own(), ROOT_ID, c"new").unwrap();
        share.let_go_of_departed(later());
        assert!(share.getattr(own(), entry.inode, None).is_ok());
        share.release(own(), entry.inode, write, handle.unwrap(), false, false, None).unwrap();
        share.let_go_of_departed(later());
        assert!(share.getattr(own(), entry.inode, None).is_err());
        assert_eq!(held(directory), 0);
    });
}

#[test]
fn other_names_keep_a_file_and_directories_stay() {
    with_volume(CachePolicy::Volume, |share, directory| {
        let linked = file(share, directory, "linked");
        fs::create_dir(directory.join("directory")).unwrap();
        let below = share.lookup(own(), ROOT_ID, c"directory").unwrap().inode;
        fs::hard_link(directory.join("linked"), directory.join("other")).unwrap();
        fs::remove_file(directory.join("linked")).unwrap();
        fs::remove_dir(directory.join("directory")).unwrap();
        share.let_go_of_departed(later());
        assert!(share.getattr(own(), linked, None).is_ok());
        // It may be where a process of the guest is.
        assert!(share.getattr(own(), below, None).is_ok());
    });
}

#[test]
fn many_files_take_several_turns_and_none_is_left_out() {
    with_volume(CachePolicy::Volume, |share, directory| {
        let departed = share.departed.as_ref().unwrap();
        let count = 2 * AT_ONCE + 5;
        for inode in 0..count as u64 {
            let attr = virtiofsd::fuse::Attr { mode: libc::S_IFREG, ..Default::default() };
            let (entry_timeout, attr_timeout) = (Duration::ZERO, Duration::ZERO);
            departed.told(&Entry { inode: 100 + inode, generation: 0, attr, attr_timeout, entry_timeout });
        }
        let mut now = later();
        let turns: Vec<usize> = (0..4)
            .map(|_| {
                now += PERIOD;
                departed.next(now).len()
            })
            .collect();
        assert_eq!(turns, [AT_ONCE, AT_ONCE, 5, AT_ONCE]);
        assert_eq!(departed.until_due(now), Some(PERIOD));
        // None of them is known to the file server.
        for _ in 0..4 {
            now += PERIOD;
            share.let_go_of_departed(now);
        }
        assert_eq!(departed.until_due(now), None);
        let real = file(share, directory, "real");
        assert!(share.until_departed(Instant::now()).is_some());
        share.destroy();
        assert_eq!(share.until_departed(Instant::now()), None);
        share.getattr(own(), real, None).unwrap_err();
    });
}

#[test]
fn a_share_of_the_pods_own_has_none() {
    with_volume(CachePolicy::Pod, |share, directory| {
        let gone = file(share, directory, "gone");
        fs::remove_file(directory.join("gone")).unwrap();
        assert_eq!(share.until_departed(Instant::now()), None);
        share.let_go_of_departed(later());
        assert!(share.getattr(own(), gone, None).is_ok());
    });
}
