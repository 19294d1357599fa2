//! Pods that are ended from outside.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tests::{Rkt, Running, aci, wait};

const TERM: i32 = 15;
const KILL: i32 = 9;
const LIMIT: Duration = Duration::from_secs(60);
/// A signal sooner after the first is no second one.
const ECHO: Duration = Duration::from_millis(500);

/// Starts a pod with a shell script, and waits until that says `ready`.
fn start(rkt: &Rkt, script: &str) -> (Running, String) {
    let image = aci::busybox();
    let saved = rkt.dir().join("uuid");
    let save = format!("--uuid-file-save={}", saved.display());
    let image = image.to_str().expect("a UTF-8 path");
    let mut running = rkt.start(["run", "--net=none", &save, image, "--exec", "/bin/sh", "--", "-c", script]);
    running.wait_for_stdout("ready");
    (running, fs::read_to_string(saved).expect("the pod's UUID"))
}

fn state(rkt: &Rkt, uuid: &str) -> String {
    let status = rkt.run(["status", uuid]).expect_success().stdout_text();
    status.lines().next().expect("a line").to_owned()
}

#[test]
fn sigterm_reaches_the_apps_and_their_statuses_count() {
    let rkt = Rkt::new();
    let (running, uuid) =
        start(&rkt, "trap 'echo cleaned; exit 5' TERM; echo ready; while :; do sleep 0.1; done");
    running.signal(TERM);
    let finished = running.finish().expect_status(5);
    assert_eq!(finished.stdout_text(), "ready\ncleaned\n");
    assert_eq!(state(&rkt, &uuid), "state=exited");
}

#[test]
fn an_app_that_dies_of_sigterm_lets_rkt_die_of_it() {
    let rkt = Rkt::new();
    let (running, uuid) = start(&rkt, "echo ready; exec sleep 1000");
    running.signal(TERM);
    let finished = running.finish().expect_status(143);
    assert_eq!(finished.stderr_text(), "");
    let status = rkt.run(["status", &uuid]).expect_success().stdout_text();
    assert!(status.contains("=143"), "{status}");
}

#[test]
fn apps_that_ignore_sigterm_are_killed_after_their_grace() {
    let rkt = Rkt::new();
    let (running, _) = start(&rkt, "trap '' TERM; echo ready; while :; do sleep 1; done");
    let asked = Instant::now();
    // timeout(1) signals a process, and then its group.
    running.signal(TERM);
    std::thread::sleep(Duration::from_millis(50));
    running.signal(TERM);
    running.finish().expect_status(137);
    assert!(asked.elapsed() >= Duration::from_secs(9), "{:?}", asked.elapsed());
}

#[test]
fn a_second_signal_kills_at_once() {
    let rkt = Rkt::new();
    let (running, _) = start(&rkt, "trap 'echo asked' TERM; echo ready; while :; do sleep 0.1; done");
    running.signal(TERM);
    let asked = Instant::now();
    wait::until("the app's answer", LIMIT, || {
        String::from_utf8_lossy(&running.stdout_so_far()).contains("asked")
    });
    std::thread::sleep(ECHO);
    running.signal(TERM);
    running.finish().expect_status(137);
    assert!(asked.elapsed() < Duration::from_secs(9), "{:?}", asked.elapsed());
}

#[test]
fn stop_is_no_failure() {
    let rkt = Rkt::new();
    let (running, uuid) = start(&rkt, "echo ready; exec sleep 1000");
    let stopped = rkt.run(["stop", &uuid]).expect_success();
    assert!(stopped.stdout_text().contains(&uuid), "{}", stopped.stdout_text());
    running.finish().expect_success();
    assert_eq!(state(&rkt, &uuid), "state=exited");
}

#[test]
fn stop_with_force_kills() {
    let rkt = Rkt::new();
    let (running, uuid) = start(&rkt, "trap '' TERM; echo ready; while :; do sleep 1; done");
    rkt.run(["stop", "--force", &uuid]).expect_success();
    running.finish().expect_status(137);
    assert_eq!(state(&rkt, &uuid), "state=exited");
}

#[test]
fn sigkill_leaves_no_process_and_gc_removes_the_rest() {
    let rkt = Rkt::new();
    let (running, uuid) = start(&rkt, "echo ready; exec sleep 1000");
    let pid = running.pid();
    running.signal(KILL);
    running.finish().expect_status(137);
    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
    assert_eq!(processes_that_name(&uuid), Vec::<String>::new());
    assert_eq!(state(&rkt, &uuid), "state=exited");
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(!mounts.contains(&uuid), "{mounts}");
    let left: Vec<_> = ["run", "exited-garbage", "garbage"]
        .map(|state| rkt.dir().join("pods").join(state).join(&uuid))
        .into_iter()
        .filter(|path| path.exists())
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// Command lines of processes that name the pod.
fn processes_that_name(uuid: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let lines = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(uuid)).collect()
}
