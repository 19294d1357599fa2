//! Hosts on which no pod can run: one line each, with the cause and what to do. No guest is started here: each host is
//! a mount namespace in which what is missing is missing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::{Rkt, aci, host, process};

const LIMIT: Duration = Duration::from_secs(120);

/// A host with AMD virtualization, and no device yet. The first argument is a directory for what it is made of.
const HOST: &str = r#"
    fake=$1; shift
    mkdir -p "$fake/module/kvm_amd"
    printf 'flags : fpu svm\n' >"$fake/cpuinfo"
    mount --bind "$fake/module" /sys/module
    mount --bind "$fake/cpuinfo" /proc/cpuinfo
    mkdir -p "$fake/dev"
    mount -t tmpfs -o mode=755,dev none "$fake/dev"
    for name in null zero random urandom tty full; do cp -a "/dev/$name" "$fake/dev/"; done
    ln -s /proc/self/fd "$fake/dev/fd"
    cp -a /dev/kvm "$fake/dev/kvm" 2>/dev/null || true
    mount --move "$fake/dev" /dev
"#;

/// The one line `rkt run` says on a host made by `HOST` and then `change`. Further arguments are for `rkt run`.
fn on_host(change: &str, arguments: &[&str]) -> String {
    let text = all_on_host(change, "exec", arguments);
    assert_eq!(text.lines().count(), 1, "More than one line: {text}");
    text
}

/// All that rkt says, started by `start`.
fn all_on_host(change: &str, start: &str, arguments: &[&str]) -> String {
    host::kind();
    let rkt = Rkt::new();
    let image = aci::busybox();
    let run = ["run", "--net=none"].into_iter().chain(arguments.iter().copied()).map(PathBuf::from);
    let rkt_run = rkt.command(run.chain([image]));
    let fake = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    let mut command = Command::new("unshare");
    let script = format!("set -e\n{HOST}\n{change}\n{start} \"$@\"");
    command.args(["--mount", "--propagation", "private", "bash", "-c", &script, "bash"]).arg(fake.path());
    command.arg(rkt_run.get_program()).args(rkt_run.get_args());
    let finished = process::run(command, LIMIT).expect_status(254);
    assert_eq!(finished.stdout_text(), "");
    finished.stderr_text()
}

#[track_caller]
fn expect(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "\"{part}\" is not in: {text}");
    }
}

#[test]
fn without_the_module_it_is_named() {
    let text = on_host("rm -f /dev/kvm", &[]);
    expect(&text, &["No /dev/kvm", "modprobe kvm_amd"]);
}

#[test]
fn without_virtualization_in_the_cpu_the_firmware_is_named() {
    let text = on_host("rm -f /dev/kvm; echo 'flags : fpu' >/proc/cpuinfo", &[]);
    expect(&text, &["No /dev/kvm", "no virtualization", "firmware"]);
}

#[test]
fn without_hardware_behind_the_device_the_firmware_is_named() {
    let text = on_host("rm -f /dev/kvm; mknod -m 666 /dev/kvm c 10 254", &[]);
    expect(&text, &["/dev/kvm has no hardware support", "firmware", "kvm_amd"]);
}

#[test]
fn without_permission_the_group_is_named() {
    // Root without the capability that overrides permissions.
    let change = "rm -f /dev/kvm; mknod -m 660 /dev/kvm c 10 232; chown nobody:disk /dev/kvm";
    let start = "exec setpriv --inh-caps=-dac_override --bounding-set=-dac_override";
    // Nor can it mount overlays then.
    let text = all_on_host(change, start, &["--no-overlay"]);
    assert_eq!(text.lines().count(), 1, "More than one line: {text}");
    expect(&text, &["No permission to open /dev/kvm", "group \"disk\""]);
}

#[test]
fn a_provider_that_cannot_run_kernels_is_named() {
    let text = on_host("rmdir /sys/module/kvm_amd; mkdir /sys/module/kvm_pvm", &[]);
    expect(&text, &["kvm_pvm", "hardware virtualization"]);
}

#[test]
fn something_else_in_the_devices_place_is_refused() {
    let text = on_host("rm -f /dev/kvm; cp -a /dev/null /dev/kvm", &[]);
    expect(&text, &["/dev/kvm", "version"]);
}

#[test]
fn without_overlayfs_its_module_is_named_and_images_are_copied() {
    let change = r#"printf 'nodev\ttmpfs\n' >"$fake/filesystems"; mount --bind "$fake/filesystems" /proc/filesystems
        rm -f /dev/kvm"#;
    let text = all_on_host(change, "exec", &[]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    expect(lines[0], &["no overlayfs", "modprobe overlay", "copied"]);
    // The pod came as far as the next thing that is missing.
    expect(lines[1], &["No /dev/kvm"]);
}

#[test]
fn without_stage1_its_file_is_named() {
    let text = on_host("", &["--stage1-path=/nonexistent/stage1.aci"]);
    expect(&text, &["/nonexistent/stage1.aci", "No such file"]);
}

/// A stage1 image like the real one, but for the guest kernel.
fn stage1_with_kernel(directory: &Path, kernel: Option<&str>) -> PathBuf {
    let path = directory.join("stage1.aci");
    let script = r#"set -e; mkdir x; tar -C x -xf "$1"; cd x; k=rootfs/usr/lib/rkt/stage1/vmlinux; rm $k
        if [ -n "$3" ]; then echo "$3" >$k; fi; tar -cf "$2" manifest rootfs; cd ..; rm -r x"#;
    let mut command = Command::new("bash");
    command.current_dir(directory).args(["-c", script, "bash"]).arg(host::path("RKT_STAGE1")).arg(&path);
    command.arg(kernel.unwrap_or_default());
    process::run(command, LIMIT).expect_success();
    path
}

#[test]
fn without_a_guest_kernel_its_file_is_named() {
    let directory = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    for (kernel, words) in [(None, "No such file"), (Some("something else"), "is no guest kernel")] {
        let stage1 = stage1_with_kernel(directory.path(), kernel);
        let text = on_host("", &[&format!("--stage1-path={}", stage1.display())]);
        expect(&text, &["vmlinux\"", words]);
    }
}
