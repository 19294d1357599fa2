//! Several apps in one pod, and the machine they are given.

use tests::{Finished, Rkt, aci};

/// Runs a pod of two busybox apps, `one` and `two`, with these scripts.
#[track_caller]
fn run_two(one: &str, two: &str) -> Finished {
    let image = aci::busybox();
    let image = image.to_str().expect("a UTF-8 path");
    let mut words = vec!["run", "--net=none"];
    for (name, script) in [("--name=one", one), ("--name=two", two)] {
        words.extend([image, name, "--exec", "/bin/sh", "--", "-c", script, "---"]);
    }
    Rkt::new().run(words)
}

#[test]
fn apps_see_each_others_processes() {
    // By the program's name: the other app's shell has the command in its own arguments.
    let wait = "until killall sleep 2>/dev/null; do sleep 0.1; done; echo seen";
    let finished = run_two("sleep 4321; echo ended", wait).expect_success();
    let text = finished.stdout_text();
    assert!(text.contains("seen") && text.contains("ended"), "{text}");
}

#[test]
fn apps_share_loopback() {
    let client = "until echo hello | nc 127.0.0.1 8000 2>/dev/null; do sleep 0.1; done";
    let finished = run_two("nc -l -p 8000", client).expect_success();
    assert_eq!(finished.stdout_text(), "hello\n");
}

#[test]
fn apps_have_their_own_file_systems() {
    let write = "echo mine > /tmp/file; while [ ! -e /dev/shm/done ]; do sleep 0.1; done";
    let look = "sleep 1; [ -e /tmp/file ] && echo shared; touch /dev/shm/done; sleep 1";
    assert_eq!(run_two(write, look).expect_success().stdout_text(), "");
}

#[test]
fn the_pod_ends_when_both_have() {
    let finished = run_two("exit 0", "sleep 3; echo late").expect_success();
    assert_eq!(finished.stdout_text(), "late\n");
}

#[test]
fn the_first_failure_wins() {
    // The other one is asked to end.
    let other = "trap 'echo asked; exit 4' TERM; touch /dev/shm/up; while :; do sleep 0.1; done";
    let finished = run_two(other, "until [ -e /dev/shm/up ]; do sleep 0.1; done; exit 3").expect_status(3);
    assert_eq!(finished.stdout_text(), "asked\n");
}

#[test]
fn limits_size_the_machine() {
    let image = aci::busybox();
    let image = image.to_str().expect("a UTF-8 path");
    let script = "nproc; awk '/MemTotal/ {print $2}' /proc/meminfo";
    let rkt = Rkt::new();
    let limited =
        ["run", "--net=none", image, "--memory=192M", "--cpu=2", "--exec", "/bin/sh", "--", "-c", script];
    let text = rkt.run(limited).expect_success().stdout_text();
    let numbers: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
    let [cpus, memory_kib] = numbers[..] else { panic!("{text}") };
    assert_eq!(cpus, 2);
    // 192 MB and 128 MiB of overhead, less what the kernel keeps for itself.
    let given_kib = 192_000_000 / 1024 + 128 * 1024;
    assert!(
        (given_kib - 48 * 1024..=given_kib + 1024).contains(&memory_kib),
        "{memory_kib} of {given_kib} KiB"
    );
}

#[test]
fn an_app_cannot_have_more_than_its_limit() {
    let image = aci::busybox();
    let image = image.to_str().expect("a UTF-8 path");
    let script = "dd if=/dev/zero of=/dev/shm/small bs=1M count=64 2>/dev/null && echo small; \
                  dd if=/dev/zero of=/dev/shm/large bs=1M count=160 2>/dev/null && echo large";
    let limited = ["run", "--net=none", image, "--memory=128Mi", "--exec", "/bin/sh", "--", "-c", script];
    let finished = Rkt::new().run(limited);
    assert_ne!(finished.status, 0);
    assert_eq!(finished.stdout_text(), "small\n");
}
