//! `rkt export`: what an app made of its image, as an image.

use crate::bed::{Bed, Done};

const ROOTFS: &str = "stage1/rootfs/opt/stage2/a/rootfs";
const CHANGE: &str = "cd stage1/rootfs/opt/stage2/a/rootfs; echo changed >name; rm bin/hello; mkdir -p d/e; \
    echo new >d/e/f; ln d/e/f d/e/g; ln -s /name link; chmod 4755 d/e/f; setfattr -n user.k -v x d; mkfifo p";

/// What the rootfs of an image holds.
fn content(bed: &Bed, file: &str) -> Vec<String> {
    let done = bed.rkt(&["--insecure-options=image", "fetch", file]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let to = bed.path("rendered").display().to_string();
    let done = bed.rkt(&["image", "render", "--rootfs-only", "--overwrite", done.stdout.trim(), &to]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let find = ["-C", &to, "--xattrs", "--sort=name", "--exclude=./stage1", "-cf", "-", "."];
    let tar = std::process::Command::new("tar").args(find).output().unwrap();
    let mut archive = tar::Archive::new(&tar.stdout[..]);
    let show = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        let xattrs = entry.pax_extensions().unwrap().map_or(0, |list| {
            list.flatten().filter(|record| record.key().is_ok_and(|key| key.contains("user.k"))).count()
        });
        let link = entry.link_name().unwrap().map(|link| link.display().to_string()).unwrap_or_default();
        let header = entry.header();
        let (kind, mode) = (header.entry_type().as_byte() as char, header.mode().unwrap());
        format!(
            "{} {kind} {mode:o} {}{link}{}",
            entry.path().unwrap().display(),
            text.trim(),
            "k".repeat(xattrs)
        )
    };
    archive.entries().unwrap().map(show).collect()
}

fn refused(done: &Done, message: &str) {
    assert_eq!(done.status, 254, "{}", done.stderr);
    assert!(done.stderr.contains(message), "{}", done.stderr);
}

const CHANGED: [&str; 9] = [
    "./ 5 755 ",
    "./bin/ 5 755 ",
    "./d/ 5 755 k",
    "./d/e/ 5 755 ",
    "./d/e/f 0 4755 new",
    "./d/e/g 1 4755 ./d/e/f",
    "./link 2 777 /name",
    "./name 0 755 changed",
    "./p 6 644 ",
];

#[test]
fn changes_of_an_app_are_in_its_image() {
    let bed = Bed::new();
    let done = bed.run_doing(CHANGE, &["--uuid-file-save=uuid", "a.aci"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let uuid = std::fs::read_to_string(bed.path("uuid")).unwrap();
    assert_eq!(bed.rkt(&["export", &uuid, "out.aci"]).status, 0);
    assert_eq!(content(&bed, "out.aci"), CHANGED);
    refused(&bed.rkt(&["export", &uuid, "out.aci"]), "target file exists (try --overwrite)");
    // After a reboot nothing is mounted.
    stage0::pod::mounts::unmount_below(&bed.data()).unwrap();
    assert_eq!(bed.rkt(&["export", "--overwrite", "--app=a", &uuid[..8], "out.aci"]).status, 0);
    assert_eq!(content(&bed, "out.aci"), CHANGED);
    // It is an image like any other, and the app is still what it was.
    let done = bed.run_doing(&format!("cat {ROOTFS}/d/e/f"), &["out.aci"]);
    assert_eq!((done.status, done.stdout.as_str()), (0, "new\n"), "{}", done.stderr);
    assert_eq!(bed.rkt(&["gc", "--grace-period=0"]).status, 0);
    refused(&bed.rkt(&["export", &uuid, "other.aci"]), "no matches found");
}

#[test]
fn copies_are_exported_too() {
    let bed = Bed::new();
    let done = bed.run_doing(CHANGE, &["--no-overlay", "--uuid-file-save=uuid", "a.aci"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let uuid = std::fs::read_to_string(bed.path("uuid")).unwrap();
    assert_eq!(bed.rkt(&["export", &uuid, "out.aci"]).status, 0);
    assert_eq!(content(&bed, "out.aci"), CHANGED);
    let inside = bed.pod("run").join(ROOTFS).join("d");
    let plain = rustix::mount::MountFlags::empty();
    rustix::mount::mount("tmpfs", &inside, "tmpfs", plain, None::<&std::ffi::CStr>).unwrap();
    let done = bed.rkt(&["export", "--overwrite", &uuid, "out.aci"]);
    refused(&done, &format!("\"{}\" is still mounted", inside.display()));
}

#[test]
fn only_apps_of_exited_pods_are_exported() {
    let bed = Bed::new();
    bed.app("b");
    let prepared = bed.prepare(&["a.aci"]);
    let message = "pod is not exited. Only exited pods can be exported";
    refused(&bed.rkt(&["export", &prepared, "x.aci"]), message);
    assert_eq!(bed.run(&["--uuid-file-save=uuid", "a.aci", "b.aci"]).status, 0);
    let uuid = std::fs::read_to_string(bed.path("uuid")).unwrap();
    refused(&bed.rkt(&["export", &uuid, "x.tar"]), "extension must be .aci (given \"x.tar\")");
    refused(&bed.rkt(&["export", &uuid, "x.aci"]), "specify app using \"rkt export --app= ...\"");
    refused(&bed.rkt(&["export", "--app=c", &uuid, "x.aci"]), "the pod has no app \"c\", only a, b");
    refused(&bed.rkt(&["export", "--app=a", &uuid, "/no/such/x.aci"]), "Cannot write \"/no/such/x.aci\"");
    assert!(!bed.path("x.aci").exists());
    assert_eq!(bed.rkt(&["export", "--app=b", &uuid, "x.aci"]).status, 0);
    assert!(content(&bed, "x.aci").contains(&"./name 0 755 b".to_owned()));
}
