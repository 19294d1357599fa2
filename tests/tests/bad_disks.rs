//! Data directories that are full or cannot be written: one line that says so, what was there can be looked at, and collecting
//! makes room.

use tests::machine::{Disk, Machine};
use tests::{Finished, Rkt, aci};

const NAME: &str = "example.com/busybox:1.0.0";

fn run(machine: &Machine<'_>, script: &str) -> Finished {
    let save = "--uuid-file-save=/tmp/uuid";
    let size = ["--memory=64M", "--cpu=1", "--exec=/bin/sh", "--", "-c", script];
    machine.rkt(&[&["run", "--net=none", save, "--pull-policy=never", NAME], &size[..]].concat())
}

/// A pod that cannot be, for one reason.
#[track_caller]
fn refused(machine: &Machine<'_>, reason: &str) {
    let said = run(machine, "true").expect_status(254).stderr_text();
    assert!(said.lines().count() == 1 && said.contains(reason), "{said}");
}

/// What can be seen of the only pod that came to something.
#[track_caller]
fn seen(machine: &Machine<'_>, uuid: &str, status: &str) {
    let list = machine.rkt(&["list", "--no-legend", "--full"]).expect_success();
    let exited = |line: &&str| line.starts_with(uuid) && line.contains("\texited\t");
    assert_eq!(list.stdout_text().lines().filter(exited).count(), 1, "{list:?}");
    let shown = machine.rkt(&["status", uuid]).expect_success().stdout_text();
    assert!(shown.contains(&format!("\n{status}\n")), "{shown}");
}

#[test]
fn full_and_read_only_ones_are_named_and_can_be_cleaned() {
    let rkt = Rkt::new();
    let disk = Disk::new(112);
    let machine = Machine::boot(&rkt, &disk);
    machine.rkt(&["fetch", &aci::busybox().display().to_string()]).expect_success();
    // The app meets the end of the disk, and rkt none of it.
    let fill = "dd if=/dev/zero of=/big bs=64k count=1600 conv=fsync 2>&1 | grep -o 'No space.*'; exit 5";
    let filled = run(&machine, fill).expect_status(5);
    assert_eq!(filled.stdout_text(), "No space left on device\n", "{filled:?}");
    let said = filled.stderr_text();
    assert!(said.lines().all(|line| line.contains("No space left on device")), "{said}");
    let uuid = machine.sh("cat /tmp/uuid");
    let rest = disk.path().join("rest");
    machine.sh(&format!("dd if=/dev/zero of={} bs=1k 2>/dev/null || true", rest.display()));
    refused(&machine, "No space left on device");
    // There may have been no room for the app's status.
    seen(&machine, &uuid, "exited=true");
    machine.rkt(&["gc", "--grace-period=0s"]).expect_success();
    assert_eq!(machine.rkt(&["list", "--no-legend"]).expect_success().stdout_text(), "");
    run(&machine, "exit 6").expect_status(6);

    let uuid = machine.sh("cat /tmp/uuid");
    let mount = |flag: &str| machine.sh(&format!("mount -o remount,bind,{flag} {}", rkt.dir().display()));
    mount("ro");
    refused(&machine, "Read-only file system");
    seen(&machine, &uuid, "app-busybox=6");
    let said = machine.rkt(&["gc", "--grace-period=0s"]).stderr_text();
    assert!(said.contains("Read-only file system"), "{said}");
    mount("rw");
    machine.rkt(&["rm", &uuid]).expect_success();
    assert_eq!(machine.rkt(&["list", "--no-legend"]).expect_success().stdout_text(), "");
    let left =
        format!("find {0}/pods -mindepth 2; grep ' {0}/' /proc/self/mounts || true", rkt.dir().display());
    assert_eq!(machine.sh(&left), "");

    // Not even a note that the image has gone has room.
    for block in ["64k", "1"] {
        machine.sh(&format!("dd if=/dev/zero of={}-{block} bs={block} 2>/dev/null || true", rest.display()));
    }
    assert!(machine.rkt(&["image", "list"]).expect_success().stdout_text().contains("example.com/busybox"));
    machine.rkt(&["image", "rm", NAME]).expect_success();
    let list = machine.rkt(&["image", "list", "--no-legend"]).expect_success().stdout_text();
    assert!(!list.contains("example.com/busybox"), "{list}");
}
