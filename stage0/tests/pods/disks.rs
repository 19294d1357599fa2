//! Data directories that cannot be written: one line that says why, and what was there can be looked at and collected.

use std::io::Write as _;

use rustix::mount::{MountFlags, mount, mount_bind, mount_remount};

use crate::bed::{Bed, Done};

/// Checks that a command failed with rkt's own status and one line.
#[track_caller]
fn failed(done: &Done, words: &str) {
    assert_eq!((done.status, done.stderr.lines().count()), (254, 1), "{}", done.stderr);
    assert!(done.stderr.contains(words), "{}", done.stderr);
}

#[test]
fn a_read_only_directory_can_be_looked_at() {
    let bed = Bed::new();
    assert_eq!(
        bed.run_doing("echo 3 >stage1/rootfs/rkt/status/a", &["--uuid-file-save=uuid", "a.aci"]).status,
        0
    );
    // Nothing is mounted in it then, and the whole of it is bound.
    stage0::pod::mounts::unmount_below(&bed.data()).unwrap();
    mount_bind(bed.data(), bed.data()).unwrap();
    mount_remount(bed.data(), MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
    let reason = "Read-only file system";
    failed(&bed.run(&["--pull-policy=never", "example.com/a:1"]), reason);
    failed(&bed.rkt(&["--insecure-options=image", "fetch", "a.aci"]), reason);
    assert!(bed.rkt(&["list"]).stdout.contains("\texited\t"));
    assert!(bed.rkt(&["status", "--uuid-file=uuid"]).stdout.contains("\napp-a=3\n"));
    let uuid = std::fs::read_to_string(bed.path("uuid")).unwrap();
    assert!(bed.rkt(&["gc", "--grace-period=0"]).stderr.contains(reason));
    mount_remount(bed.data(), MountFlags::BIND, "").unwrap();
    assert_eq!(bed.rkt(&["rm", &uuid]).stderr, "");
    assert_eq!(bed.run(&["--pull-policy=never", "example.com/a:1"]).status, 0);
}

#[test]
fn a_full_disk_is_named_and_gc_makes_room() {
    let bed = Bed::new();
    std::fs::create_dir_all(bed.data()).unwrap();
    mount("tmpfs", bed.data(), "tmpfs", MountFlags::empty(), Some(c"size=8m,mode=0755")).unwrap();
    let fill = "dd if=/dev/zero of=stage1/rootfs/opt/stage2/a/rootfs/big bs=64k 2>/dev/null; exit 5";
    assert_eq!(bed.run_doing(fill, &["a.aci"]).status, 5);
    // Not one page is left.
    let _ = std::fs::File::create(bed.data().join("rest")).and_then(|mut file| file.write_all(&[1; 1 << 16]));
    let reason = "No space left on device";
    let refused = bed.run(&["--pull-policy=never", "example.com/a:1"]);
    failed(&refused, reason);
    assert!(bed.rkt(&["list"]).stdout.contains("\texited\t"));
    let done = bed.rkt(&["gc", "--grace-period=0"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(bed.pods("run").is_empty() && bed.pods("exited-garbage").is_empty(), "{}", done.stderr);
    let done = bed.run(&["--pull-policy=never", "example.com/a:1"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
}

#[test]
fn images_can_be_removed_from_a_full_disk() {
    let bed = Bed::new();
    std::fs::create_dir_all(bed.data()).unwrap();
    mount("tmpfs", bed.data(), "tmpfs", MountFlags::empty(), Some(c"size=8m,mode=0755")).unwrap();
    assert_eq!(bed.rkt(&["--insecure-options=image", "fetch", "a.aci"]).status, 0);
    for size in [1 << 16, 1] {
        let mut rest = std::fs::File::create(bed.data().join(format!("rest-{size}"))).unwrap();
        while rest.write_all(&vec![1; size]).is_ok() {}
    }
    let refused = bed.rkt(&["--insecure-options=image", "fetch", "a.aci"]);
    failed(&refused, "No space left on device");
    assert!(!refused.stderr.contains("valid ACI"), "{}", refused.stderr);
    let removed = bed.rkt(&["image", "rm", "example.com/a:1"]);
    assert_eq!(removed.status, 0, "{}", removed.stderr);
    assert_eq!(bed.rkt(&["image", "list", "--no-legend"]).stdout, "");
}
