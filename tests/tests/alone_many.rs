//! Many pods, at once and in a row. Each of these tests has the host for itself. `RKT_ENDURANCE=100` has a hundred at once.

use std::fs;
use std::time::Duration;

use tests::remains::Remains;
use tests::{Rkt, Running, aci, endurance, footprint};

const TERM: i32 = 15;
/// Of a pod, from its start to its end: the last of a hundred is started long after the first.
const LIMIT: Duration = Duration::from_secs(1400);

/// What the app of each pod may have, in MiB. Its machine has more.
const MEMORY: u64 = 64;
/// How many are started at once.
const AT_ONCE: usize = 10;
/// What a pod may have of the host beside its guest's RAM, in KiB: 5 MiB.
const MOST_MEMORY: u64 = 5 << 10;
/// How long idle pods are watched, and what all their processes may have of one CPU meanwhile for each pod, in ticks: 2 %, where an
/// emulated host, in which a guest's every exit is dear, takes 0.5 %.
const WHILE: Duration = Duration::from_secs(10);
const MOST_TICKS: u64 = 20;

/// Pods that say they run and then do nothing; told to end, each does so with its number.
fn start(rkt: &Rkt, image: &str, numbers: &[i32]) -> Vec<(i32, Running)> {
    let start = |number: &i32| {
        let save = format!("--uuid-file-save={}", uuid_file(rkt, *number));
        let script = format!("trap 'exit {number}' TERM; echo pod {number}; sleep 10000 & wait");
        let size = [format!("--memory={MEMORY}M"), "--cpu=1".into()];
        let run = ["run", "--net=none", &save, image, &size[0], &size[1], "--exec", "/bin/sh", "--", "-c"];
        (*number, rkt.start(run.into_iter().chain([script.as_str()])))
    };
    let mut pods: Vec<_> = numbers.iter().map(start).collect();
    for (number, pod) in &mut pods {
        pod.wait_for_stdout(&format!("pod {number}\n"));
    }
    pods
}

fn uuid_file(rkt: &Rkt, number: i32) -> String {
    rkt.dir().join(format!("uuid-{number}")).display().to_string()
}

/// Ticks that all of them have had so far.
fn ticks(pods: &[(i32, Running)]) -> u64 {
    pods.iter().map(|(_, pod)| footprint::ticks(pod.pid()).expect("a pod that runs")).sum()
}

#[test]
fn many_at_once() {
    let rkt = Rkt::new().limit(LIMIT);
    let image = aci::busybox();
    let image = image.to_str().expect("a UTF-8 path");
    rkt.run(["fetch", image]).expect_success();
    rkt.run_script("true").expect_success();
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    let before = Remains::look();
    let numbers: Vec<i32> = (1..=endurance().clamp(10, 100) as i32).collect();
    let pods: Vec<_> = numbers.chunks(AT_ONCE).flat_map(|chunk| start(&rkt, image, chunk)).collect();
    for number in &numbers {
        let uuid = fs::read_to_string(uuid_file(&rkt, *number)).expect("the pod's UUID");
        let entered = rkt.run(["enter", uuid.trim(), "/bin/echo", "in"]);
        assert_eq!(entered.expect_success().stdout_text(), "in\n");
    }
    let count = pods.len() as u64;
    let memory =
        pods.iter().map(|(_, pod)| footprint::beside_ram(pod.pid(), MEMORY).expect("a pod that runs"));
    let memory = memory.sum::<u64>() / count;
    let ticks_before = ticks(&pods);
    std::thread::sleep(WHILE);
    let ticks = ticks(&pods) - ticks_before;
    eprintln!("{count} idle pods: {memory} KiB beside RAM each; {ticks} ticks of all in {WHILE:?}");
    assert!(memory < MOST_MEMORY, "{memory} KiB");
    assert!(ticks <= MOST_TICKS * count, "{ticks} ticks");
    assert_eq!(rkt.run(["list", "--no-legend"]).stdout_text().matches("running").count(), pods.len());
    pods.iter().for_each(|(_, pod)| pod.signal(TERM));
    for (number, pod) in pods {
        let finished = pod.finish().expect_status(number);
        assert_eq!(finished.stdout_text(), format!("pod {number}\n"));
    }
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    assert_eq!(Remains::look(), before);
}

/// How many files the whole host has open.
fn open_files() -> i64 {
    let text = fs::read_to_string("/proc/sys/fs/file-nr").expect("file-nr");
    text.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn fifty_in_a_row_leave_nothing() {
    let rkt = Rkt::new();
    // The first also fills the store.
    rkt.run_script("true").expect_success();
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    let (before, files_before) = (Remains::look(), open_files());
    for number in 0..50 {
        let status = number % 3;
        rkt.run_script(&format!("exit {status}")).expect_status(status);
    }
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    assert_eq!(Remains::look(), before);
    assert!(open_files() < files_before + 256, "{files_before} open files became {}", open_files());
    assert_eq!(rkt.run(["list", "--no-legend"]).expect_success().stdout_text(), "");
}
