//! Guests that do not become pods: one line that says so, rkt's own status, and nothing left that `rkt gc` cannot remove.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::{Finished, Rkt, aci, host, process, wait};

const LIMIT: Duration = Duration::from_secs(200);
/// How long the host waits for an agent before it gives up, and then some.
const BOOT_LIMIT: Duration = Duration::from_secs(150);

/// The real stage1 image with another initramfs: a shell script makes its `init`, in the current directory.
fn stage1(name: &str, make_init: &str) -> PathBuf {
    let path = host::data_dir().join(format!("stage1-{name}.aci"));
    let script = format!(
        r#"set -e -o pipefail; mkdir image initramfs; tar -C image -xf "$1"; cd initramfs; {make_init}
        find . | cpio -o -H newc --quiet >../image/rootfs/usr/lib/rkt/stage1/initramfs
        tar -C ../image -cf "$2" manifest rootfs"#
    );
    let directory = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    let mut command = Command::new("bash");
    command.current_dir(directory.path()).args(["-c", &script, "bash"]);
    process::run(
        {
            command.arg(host::path("RKT_STAGE1")).arg(&path);
            command
        },
        LIMIT,
    )
    .expect_success();
    path
}

fn run(rkt: &Rkt, stage1: &Path) -> process::Running {
    let choice = format!("--stage1-path={}", stage1.display());
    let image = aci::busybox().display().to_string();
    rkt.start(["run", "--net=none", &choice, &image, "--memory=64M", "--cpu=1", "--exec", "/bin/true"])
}

/// Checks that a pod failed with rkt's own status and one line, and that nothing of it stays.
#[track_caller]
fn failed(rkt: &Rkt, finished: Finished, words: &[&str]) {
    let finished = finished.expect_status(254);
    let said = finished.stderr_text();
    assert!(said.lines().count() == 1 && words.iter().all(|word| said.contains(word)), "{said}");
    assert_eq!(finished.stdout_text(), "");
    collected(rkt);
}

#[track_caller]
fn collected(rkt: &Rkt) {
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    assert_eq!(rkt.run(["list", "--no-legend"]).expect_success().stdout_text(), "");
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(!mounts.contains(&rkt.dir().display().to_string()), "{mounts}");
}

#[test]
fn a_guest_kernel_that_panics_ends_the_pod() {
    let rkt = Rkt::new().limit(LIMIT);
    // There is no init, and nothing else that could be one.
    failed(&rkt, run(&rkt, &stage1("no-init", "mkdir dev")).finish(), &["Guest kernel crashed", "--debug"]);
    // An agent that ends takes its kernel with it.
    let ends = "cp /bin/busybox busybox; printf '#!/busybox sh\nexit 3\n' >init; chmod 755 init";
    failed(&rkt, run(&rkt, &stage1("init-ends", ends)).finish(), &["Guest kernel crashed", "--debug"]);
}

#[test]
fn a_guest_that_never_answers_is_not_waited_for() {
    let rkt = Rkt::new().limit(LIMIT);
    let silent =
        "cp /bin/busybox busybox; printf '#!/busybox sh\nexec /busybox sleep 100000\n' >init; chmod 755 init";
    let stage1 = stage1("silent", silent);
    let asked = run(&rkt, &stage1);
    wait::until("the pod", LIMIT, || rkt.run(["list", "--no-legend"]).stdout_text().contains("running"));
    asked.signal(15);
    asked.finish().expect_status(143);
    collected(&rkt);
    if std::env::var_os("RKT_ENDURANCE").is_some() {
        let alone = run(&rkt, &stage1).finish();
        assert!(alone.took < BOOT_LIMIT, "{:?}", alone.took);
        failed(&rkt, alone, &["Guest did not start within 120 s"]);
    }
}

#[test]
fn without_memory_for_the_guest_one_line_says_so() {
    let rkt = Rkt::new().limit(LIMIT);
    let image = aci::busybox().display().to_string();
    rkt.run(["fetch", &image]).expect_success();
    let words =
        ["run", "--net=none", "example.com/busybox:1.0.0", "--memory=64M", "--cpu=1", "--exec", "/bin/true"];
    let limited = rkt.command(words);
    let mut command = Command::new("prlimit");
    command.arg("--as=150000000").arg(limited.get_program()).args(limited.get_args());
    failed(&rkt, process::run(command, LIMIT), &["Cannot allocate memory"]);
    let absurd =
        rkt.run(["run", "--net=none", "example.com/busybox:1.0.0", "--memory=8192T", "--exec", "/bin/true"]);
    failed(&rkt, absurd, &["memory"]);
}

#[test]
fn a_file_that_may_not_grow_is_the_guests_error() {
    let rkt = Rkt::new().limit(LIMIT);
    let image = aci::busybox().display().to_string();
    rkt.run(["fetch", &image]).expect_success();
    let volume = tempfile::tempdir_in(host::data_dir()).expect("a directory");
    let volume = format!("--volume=v,kind=host,source={}", volume.path().display());
    let script = "dd if=/dev/zero of=/v/f bs=64k count=32 2>/dev/null; echo $?; stat -c %s /v/f";
    let words = ["run", "--net=none", &volume, "example.com/busybox:1.0.0", "--memory=64M", "--cpu=1"];
    let app = ["--mount=volume=v,target=/v", "--exec=/bin/sh", "--", "-c", script];
    let limited = rkt.command(words.iter().chain(&app));
    let mut command = Command::new("prlimit");
    command.arg("--fsize=1048576").arg(limited.get_program()).args(limited.get_args());
    let finished = process::run(command, LIMIT).expect_success();
    assert_eq!(finished.stdout_text(), "1\n1048576\n", "{finished:?}");
}
