//! The KVM host itself: what every other test here takes for granted.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::{Rkt, aci, host};

#[test]
fn has_kvm_and_the_devices_of_a_pod() {
    host::kind();
    for device in ["/dev/kvm", "/dev/net/tun", "/dev/fuse", "/dev/vhost-net"] {
        assert!(Path::new(device).exists(), "{device} is missing");
    }
}

#[test]
fn has_real_virtualization_behind_kvm() {
    host::kind();
    let backed = ["kvm_amd", "kvm_intel"].iter().any(|module| Path::new("/sys/module").join(module).exists());
    assert!(backed, "Neither kvm_amd nor kvm_intel is loaded");
}

#[test]
fn has_every_cgroup_v2_controller_a_pod_needs() {
    host::kind();
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").expect("cgroup v2 is mounted");
    for controller in ["memory", "cpu", "pids", "io"] {
        assert!(
            controllers.split_whitespace().any(|c| c == controller),
            "{controller} is not in {controllers}"
        );
    }
}

#[test]
fn data_directory_carries_overlays_and_user_xattrs() {
    let dir = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    for part in ["lower", "upper", "work", "merged"] {
        fs::create_dir(dir.path().join(part)).expect("create a directory");
    }
    fs::write(dir.path().join("lower/file"), "lower").expect("write a file");
    let script = r#"set -e; cd "$1"
        mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none merged
        echo upper >merged/file; setfattr -n user.test -v yes merged/file; getfattr -n user.test merged/file
        umount merged; grep upper upper/file; grep lower lower/file"#;
    let output = Command::new("bash").args(["-c", script, "-"]).arg(dir.path()).output().expect("bash runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn busybox_image_is_packed() {
    let listing = Command::new("tar").arg("tf").arg(aci::busybox()).output().expect("tar runs");
    let names = String::from_utf8_lossy(&listing.stdout).into_owned();
    assert!(names.starts_with("manifest\nrootfs"), "{names}");
    assert!(names.contains("rootfs/bin/sh\n"), "{names}");
}

#[test]
fn rkt_answers() {
    let version = Rkt::new().run(["version"]).expect_success();
    assert!(version.stdout_text().contains("rkt"), "{}", version.stdout_text());
}
