//! Images in pods: overlays above shared trees, or copies.

use std::os::unix::fs::MetadataExt;

use crate::bed::{Bed, lines};

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
