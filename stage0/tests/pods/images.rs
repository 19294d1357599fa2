//! Images in pods: overlays above shared trees, or copies.

use std::os::unix::fs::MetadataExt;

use crate::bed::{Bed, finish, lines};

const ROOTFS: &str = "stage1/rootfs/opt/stage2/a/rootfs";

#[test]
fn apps_are_overlays_above_trees() {
    let bed = Bed::new();
    let done = bed
        .run_doing(&format!("cat {ROOTFS}/bin/hello; echo new >{ROOTFS}/file; rm {ROOTFS}/name"), &["a.aci"]);
    assert_eq!((done.status, done.stdout.as_str()), (0, "hello"), "{}", done.stderr);
    let pod = bed.pod("run");
    assert_eq!(bed.mounts().len(), 2);
    assert!(pod.join("stage1/rootfs/opt/stage2/a/manifest").is_file());
    assert!(pod.join("overlay-prepared").exists());
    let tree = lines(&pod.join("appsinfo/a/treeStoreID"))[0].clone();
    assert_eq!(lines(&pod.join("overlay").join(&tree).join("upper/a/file")), ["new"]);
    let shared = bed.data().join("cas/tree").join(&tree).join("rootfs");
    assert!(shared.join("name").exists() && !shared.join("file").exists());
    // A second pod starts from a fresh image.
    let done = bed.run_doing(&format!("cat {ROOTFS}/name; ls {ROOTFS}"), &["a.aci"]);
    assert!(done.stdout.starts_with("a") && !done.stdout.contains("file"), "{}", done.stdout);
}

/// Every file and directory of the store but the index, which notes when images were used.
fn store(bed: &Bed) -> Vec<(std::path::PathBuf, u64, u64, i64, i64)> {
    let mut pending = vec![bed.data().join("cas")];
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() && !path.ends_with("cas/db") {
            pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        if !path.starts_with(bed.data().join("cas/db")) {
            found.push((path, metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_second_pod_writes_nothing_to_the_store() {
    let bed = Bed::new();
    // Not through files: those are imported again to see whether they changed.
    assert_eq!(bed.run(&["a.aci"]).status, 0);
    let (stage1, name) = ("--stage1-name=example.com/stage1-v6:1", "example.com/a");
    let before = store(&bed);
    let run = ["--insecure-options=image", "run", stage1, name];
    let done = finish(bed.command(&run).env("FAKE_RUN", format!("echo x >{ROOTFS}/new; rm {ROOTFS}/name")));
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert_eq!(bed.pods("run").len(), 2);
    assert_eq!(store(&bed), before);
}

#[test]
fn overlays_unmount_by_hand() {
    let bed = Bed::new();
    assert_eq!(bed.run(&["a.aci"]).status, 0);
    let pod = bed.pod("run");
    for dir in [ROOTFS, "stage1/rootfs"] {
        rustix::mount::unmount(pod.join(dir), rustix::mount::UnmountFlags::empty()).unwrap();
    }
    assert!(bed.mounts().is_empty());
}

#[test]
fn the_root_directory_keeps_its_mode() {
    let bed = Bed::new();
    let done = bed.run_doing(&format!("stat -c %a {ROOTFS} stage1/rootfs"), &["a.aci"]);
    assert_eq!(done.stdout, "755\n755\n");
}

#[test]
fn without_overlay_images_are_copied() {
    let bed = Bed::new();
    let done =
        bed.run_doing(&format!("cat {ROOTFS}/bin/hello; stat -c %a {ROOTFS}"), &["--no-overlay", "a.aci"]);
    assert_eq!((done.status, done.stdout.as_str()), (0, "hello755\n"), "{}", done.stderr);
    let pod = bed.pod("run");
    assert!(bed.mounts().is_empty() && !pod.join("overlay-prepared").exists());
    assert!(pod.join(ROOTFS).join("../manifest").is_file());
    assert_eq!(pod.join(ROOTFS).join("bin/hello").metadata().unwrap().mode() & 0o777, 0o755);
    assert!(pod.join("stage1TreeStoreID").exists() && !pod.join("appsinfo/a/treeStoreID").exists());
}

#[test]
fn several_apps_may_share_an_image() {
    let bed = Bed::new();
    bed.app("b");
    let done = bed.run_doing(
        "cat stage1/rootfs/opt/stage2/*/rootfs/name; touch stage1/rootfs/opt/stage2/x/rootfs/mine; ls stage1/rootfs/opt/stage2/*/rootfs",
        &["a.aci", "--name=x", "a.aci", "--name=y", "b.aci"],
    );
    assert!(done.stdout.starts_with("baa"), "{} {}", done.stdout, done.stderr);
    assert_eq!(done.stdout.matches("mine").count(), 1);
}

#[test]
fn images_of_other_systems_are_refused() {
    let bed = Bed::new();
    for (labels, message) in [
        ("", "missing os label in the image manifest"),
        (r#"{"name":"os","value":"linux"}"#, "missing arch label in the image manifest"),
        (r#"{"name":"os","value":"freebsd"},{"name":"arch","value":"amd64"}"#, "bad os \"freebsd\""),
    ] {
        let manifest = format!(
            r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/x","labels":[{labels}],
                "app":{{"exec":["/x"],"user":"0","group":"0"}}}}"#
        );
        bed.image("x.aci", &manifest, &[]);
        let done = bed.run(&["x.aci"]);
        assert_eq!(done.status, 254);
        assert!(done.stderr.contains(message), "{}", done.stderr);
    }
    assert_eq!(bed.pods("prepare").len(), 3);
    assert_eq!(bed.rkt(&["gc"]).status, 0);
    assert!(bed.pods("prepare").is_empty() && bed.pods("garbage").is_empty());
}
