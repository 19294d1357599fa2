//! Many pods at once: what is shown of them is right, and nobody waits for ever.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::bed::{Bed, eventually, finish};

const PREPARED: usize = 200;
const RUNNING: usize = 20;
/// A list of 1,000 pods may take this much time of a CPU.
const LIST_LIMIT: Duration = Duration::from_millis(100);
/// What it may take a build for debugging, where there is no other.
const DEBUG_LIMIT: Duration = Duration::from_secs(1);

/// The states `rkt list` shows, by pod.
fn listed(bed: &Bed) -> HashMap<String, String> {
    let done = bed.rkt(&["list", "--format=json"]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    let pods: Option<Vec<serde_json::Value>> = serde_json::from_str(&done.stdout).unwrap();
    let text = |pod: &serde_json::Value, field: &str| pod[field].as_str().unwrap().to_owned();
    pods.unwrap_or_default().iter().map(|pod| (text(pod, "name"), text(pod, "state"))).collect()
}

/// Starts a pod that runs until it is killed, and returns its UUID when it is ready.
fn running(bed: &Bed, number: usize) -> (Child, String) {
    let save = format!("--uuid-file-save=uuid{number}");
    let mut command = bed.pod_command("run", &[&save, "--pull-policy=never", "example.com/a:1"]);
    command.env("FAKE_RUN", "ln -s ready stage1/rootfs/rkt/supervisor-status; exec sleep 1000");
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let file = bed.path(&format!("uuid{number}"));
    eventually("the pod's directory", || file.metadata().is_ok_and(|file| file.len() > 0));
    let uuid = std::fs::read_to_string(&file).unwrap();
    let done = bed.rkt(&["status", "--wait-ready=60s", &uuid]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    (child, uuid)
}

#[test]
fn states_are_right_while_pods_come_and_go() {
    let bed = Bed::new();
    finish(&mut bed.pod_command("prepare", &["a.aci"]));
    // What everybody must agree on from the moment it is entered.
    let known = Mutex::new(HashMap::new());
    let (over, next, lists) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let prepare = || {
        while next.fetch_add(1, Ordering::Relaxed) < PREPARED {
            let done = finish(&mut bed.pod_command("prepare", &["--pull-policy=never", "example.com/a:1"]));
            assert_eq!(done.status, 0, "{}", done.stderr);
            known.lock().unwrap().insert(done.stdout.trim().to_owned(), "prepared");
        }
    };
    std::thread::scope(|scope| {
        let preparing: Vec<_> = (0..3).map(|_| scope.spawn(prepare)).collect();
        let ran = scope.spawn(|| {
            let mut pods: Vec<_> = (0..RUNNING).map(|number| running(&bed, number)).collect();
            known.lock().unwrap().extend(pods.iter().map(|(_, uuid)| (uuid.clone(), "running")));
            while next.load(Ordering::Relaxed) < PREPARED {
                std::thread::sleep(Duration::from_millis(10));
            }
            for (pod, uuid) in &mut pods {
                known.lock().unwrap().remove(uuid);
                pod.kill().unwrap();
                pod.wait().unwrap();
            }
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let done = bed.rkt(&["gc", "--grace-period=0"]);
                assert_eq!(done.status, 0, "{}", done.stderr);
                assert!(!done.stderr.contains("problem"), "{}", done.stderr);
            }
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let expected = known.lock().unwrap().clone();
                let found = listed(&bed);
                // One that is being killed has been taken off the list meanwhile.
                let still = known.lock().unwrap().clone();
                for (uuid, state) in expected.into_iter().filter(|(uuid, _)| still.contains_key(uuid)) {
                    assert_eq!(found.get(&uuid).map(String::as_str), Some(state), "{uuid}");
                }
                lists.fetch_add(1, Ordering::Relaxed);
            }
        });
        let ended = preparing.into_iter().chain([ran]).map(|thread| thread.join()).collect::<Vec<_>>();
        over.store(true, Ordering::Relaxed);
        assert!(ended.into_iter().all(|result| result.is_ok()));
    });
    assert!(lists.load(Ordering::Relaxed) > 3);
    assert_eq!(bed.rkt(&["gc", "--grace-period=0", "--expire-prepared=0"]).status, 0);
    assert_eq!(listed(&bed), HashMap::new());
    assert!(bed.mounts().is_empty(), "{:?}", bed.mounts());
}

#[test]
fn a_thousand_ended_pods_are_listed_at_once() {
    let bed = Bed::new();
    assert_eq!(bed.run_doing("echo 3 >stage1/rootfs/rkt/status/a", &["a.aci"]).status, 0);
    let ended = bed.pod("run");
    stage0::pod::mounts::unmount_below(&bed.data()).unwrap();
    for _ in 1..1000 {
        let copy = ended.with_file_name(uuid::Uuid::new_v4().to_string());
        let copied = std::process::Command::new("cp").arg("-a").arg(&ended).arg(&copy).status().unwrap();
        assert!(copied.success());
    }
    let built = Path::new(env!("CARGO_BIN_EXE_rkt"));
    // The build that users have is beside this one after "make".
    let released = built.with_file_name("../release/rkt");
    let (rkt, limit) = if released.exists() { (&*released, LIST_LIMIT) } else { (built, DEBUG_LIMIT) };
    // What others do to the caches of the CPU is not its: one time in which they let it be is enough.
    let within = (0..40)
        .map(|_| listing(&bed, rkt))
        .inspect(|used| println!("list: {used:?} of CPU"))
        .find(|used| *used < limit);
    assert!(within.is_some(), "never below {limit:?}");
}

/// What a list of 1,000 ended pods by `rkt` uses of the CPUs.
fn listing(bed: &Bed, rkt: &Path) -> Duration {
    let command = bed.command(&["list", "--full", "--no-legend"]);
    let mut child = Command::new(rkt).args(command.get_args()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = String::new();
    std::io::Read::read_to_string(child.stdout.as_mut().unwrap(), &mut out).unwrap();
    let used = cpu_time(&child);
    assert!(child.wait().unwrap().success());
    assert_eq!(out.lines().filter(|line| line.contains("\texited\t")).count(), 1000);
    used
}

/// What a child that has ended, and has not been waited for, used of the CPUs.
fn cpu_time(child: &Child) -> Duration {
    let (pid, options) = (Pid::from_child(child), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    waitid(WaitId::Pid(pid), options).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    // Fields 14 and 15 (proc(5)), counted after the name; in hundredths of a second.
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
