//! In a mount namespace of their own, as stage1 has one.

use std::{
    fs::{read_to_string, write},
    os::unix::fs::FileTypeExt,
    path::PathBuf,
    process::Command,
    sync::Barrier,
    thread,
};

use rustix::{
    mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount},
    thread::{UnshareFlags, unshare_unsafe},
};

use super::*;
use crate::pod::{
    directory::PodDirectory,
    volumes::{
        hide_rootfs, lives, show_rootfs,
        tree::{Access, clone_tree},
    },
};

/// Runs `body` on a thread with mounts of its own; a shared tmpfs at its argument is what the host has.
fn on_a_host(body: impl FnOnce(&Path) + Send) {
    thread::scope(|scope| {
        let test = scope.spawn(|| {
            // SAFETY: concerns neither descriptors nor memory.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
            let directory = tempfile::tempdir().unwrap();
            mount_file_system("tmpfs", directory.path(), "tmpfs", MountFlags::empty(), None).unwrap();
            mount_change(directory.path(), MountPropagationFlags::SHARED).unwrap();
            body(directory.path());
            unmount(directory.path(), UnmountFlags::DETACH).unwrap();
        });
        test.join().unwrap();
    });
}

fn tmpfs(path: PathBuf, file: &str) {
    fs::create_dir_all(&path).unwrap();
    mount_file_system("tmpfs", &path, "tmpfs", MountFlags::empty(), None).unwrap();
    write(path.join(file), file).unwrap();
}

/// A volume with a mount below it, shared with this access; the share's path of it.
fn shared(host: &Path, writable: bool, recursive: bool) -> PathBuf {
    let source = host.join("source");
    fs::create_dir(&source).unwrap();
    tmpfs(source.join("below"), "file");
    let volume = clone_tree(&source, Access { writable, recursive }).unwrap();
    let at = host.join("share");
    mount(&at, &[volume]).unwrap();
    at.join("0")
}

fn is_read_only(directory: &Path) -> bool {
    match write(directory.join("new"), "") {
        Ok(()) => false,
        Err(error) => error.kind() == io::ErrorKind::ReadOnlyFilesystem,
    }
}

#[test]
fn a_writable_volume_has_all_mounts_below_it() {
    on_a_host(|host| {
        let volume = shared(host, true, true);
        assert_eq!(read_to_string(volume.join("below/file")).unwrap(), "file");
        assert!(!is_read_only(&volume) && !is_read_only(&volume.join("below")));
        assert!(host.join("source/new").exists());
        tmpfs(host.join("source/later"), "file");
        assert!(volume.join("later/file").exists(), "mounts come along later too");
    });
}

#[test]
fn a_read_only_volume_is_so_throughout_and_for_good() {
    on_a_host(|host| {
        let volume = shared(host, false, true);
        assert!(volume.join("below/file").exists());
        assert!(is_read_only(&volume) && is_read_only(&volume.join("below")));
        tmpfs(host.join("source/below/later"), "file");
        assert!(!volume.join("below/later/file").exists(), "a later mount would be writable");
        write(host.join("source/fresh"), "").unwrap();
        assert!(volume.join("fresh").exists());
    });
}

#[test]
fn without_recursion_mounts_stay_away() {
    for writable in [false, true] {
        on_a_host(|host| {
            let volume = shared(host, writable, false);
            assert!(volume.join("below").is_dir() && !volume.join("below/file").exists());
            tmpfs(host.join("source/later"), "file");
            assert!(!volume.join("later/file").exists());
            assert_eq!(is_read_only(&volume), !writable);
        });
    }
}

#[test]
fn files_and_fifos_can_be_volumes_and_the_directory_of_them_is_read_only() {
    on_a_host(|host| {
        write(host.join("file"), "content").unwrap();
        assert!(Command::new("mkfifo").arg(host.join("fifo")).status().unwrap().success());
        let access = Access { writable: true, recursive: true };
        let volumes = ["file", "fifo"].map(|name| clone_tree(&host.join(name), access).unwrap());
        let at = host.join("deep/share");
        mount(&at, &volumes).unwrap();
        assert_eq!(read_to_string(at.join("0")).unwrap(), "content");
        write(at.join("0"), "changed").unwrap();
        assert_eq!(read_to_string(host.join("file")).unwrap(), "changed");
        assert!(at.join("1").symlink_metadata().unwrap().file_type().is_fifo());
        assert!(is_read_only(&at));
    });
}

#[test]
fn device_files_do_not_open() {
    on_a_host(|host| {
        let access = Access { writable: true, recursive: true };
        fs::create_dir(host.join("source")).unwrap();
        let made = Command::new("mknod").arg(host.join("source/null")).args(["c", "1", "3"]).status();
        assert!(made.unwrap().success());
        let at = host.join("share");
        mount(&at, &[clone_tree(&host.join("source"), access).unwrap()]).unwrap();
        assert!(File::open(host.join("source/null")).is_ok());
        assert_eq!(File::open(at.join("0/null")).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    });
}

#[test]
fn what_is_not_there_cannot_be_shared() {
    let error =
        clone_tree(Path::new("/foo-not-there"), Access { writable: true, recursive: true }).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn what_is_added_later_reaches_the_pods_namespace_under_a_new_name_each_time() {
    on_a_host(|host| {
        let directory = PodDirectory::at(&host.join("pod"));
        fs::create_dir_all(directory.app_rootfs("web")).unwrap();
        tmpfs(directory.app_rootfs("web"), "file");
        fs::create_dir_all(directory.app_rootfs("web-2")).unwrap();
        let (steps, pod) = (Barrier::new(2), directory.clone());
        thread::scope(|scope| {
            let of_pod = scope.spawn(|| {
                // SAFETY: concerns neither descriptors nor memory.
                unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
                mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC).unwrap();
                mount_growing(&pod.volumes()).unwrap();
                steps.wait();
                steps.wait();
                let names = |directory: PathBuf, file: &str| {
                    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
                    entries.filter(|entry| entry.join(file).exists()).count()
                };
                // The root file system itself, and as the guest is told of it.
                assert_eq!(names(pod.apps(), "file"), 1);
                assert_eq!(names(pod.apps(), "rootfs/file"), 1);
                assert_eq!(names(pod.volumes(), "below/file"), 1);
                assert!(is_read_only(&pod.volumes()));
                steps.wait();
                steps.wait();
                assert_eq!((names(pod.apps(), "file"), names(pod.volumes(), "")), (0, 0));
            });
            steps.wait();
            let first = show_rootfs("web", &directory).unwrap();
            assert_ne!(show_rootfs("web", &directory).unwrap(), first);
            let source = host.join("source");
            tmpfs(source.join("below"), "file");
            let volume = clone_tree(&source, Access { writable: true, recursive: true }).unwrap();
            let name = lives::name("web.0.data");
            attach(&directory.volumes().join(&name), &volume).unwrap();
            drop(volume);
            steps.wait();
            steps.wait();
            hide_rootfs("web", &directory).unwrap();
            lives::detach_lives(&directory.volumes(), "web.0.data").unwrap();
            assert!(source.join("below/file").exists(), "what is the host's stays mounted");
            assert!(directory.app_rootfs("web").join("file").exists());
            steps.wait();
            of_pod.join().unwrap();
        });
    });
}
