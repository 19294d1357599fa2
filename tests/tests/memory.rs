//! What a pod has of the host's memory: what its guest uses, and not what its machine could have.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tests::{Rkt, Running, aci, footprint, wait};

/// Of the machine, in MiB.
const MACHINE: u64 = 768;
/// What the app uses for a while, in MiB.
const USED: u64 = 300;
/// What that is of the host's, at least: the guest gives back other memory meanwhile.
const SEEN: u64 = USED * 9 / 10;
/// What a guest may need that has nothing to do, and what it may keep of what it has used, in MiB: it gives back blocks of 2 MiB, in
/// which no page is in use.
const IDLE: u64 = 120;
const KEPT: u64 = USED / 4;
/// The guest looks for free memory every two seconds; an emulated one needs time for that.
const LIMIT: Duration = Duration::from_secs(60);

fn resident(pod: &Running) -> u64 {
    footprint::resident(pod.pid()).expect("a pod that runs") >> 10
}

/// Tells the app to go on, and waits until it has.
fn go_on(volume: &Path, pod: &mut Running, word: &str) {
    fs::write(volume.join(word), "").expect("a file");
    pod.wait_for_stdout(&format!("{word}\n"));
}

#[test]
fn memory_is_the_hosts_until_it_is_used_and_when_it_is_free_again() {
    let rkt = Rkt::new();
    let volume = rkt.dir().join("volume");
    fs::create_dir(&volume).expect("a directory");
    let script = format!(
        "on() {{ until [ -e /v/$1 ]; do sleep 0.1; done; }}; echo idle; on tmpfs; head -c {USED}m /dev/zero >/dev/shm/x; echo tmpfs;
         on removed; rm /dev/shm/x; echo removed;
         on process; mkfifo /tmp/pipe; sleep 1000 </tmp/pipe & dd if=/dev/zero bs={USED}M count=1 >/tmp/pipe & echo process;
         on ended; kill $!; echo ended; sleep 1000"
    );
    let source = format!("--volume=v,kind=host,source={}", volume.display());
    let machine = format!("--memory={MACHINE}M");
    let image = aci::busybox().display().to_string();
    let words = ["run", "--net=none", &source, &image, "--mount=volume=v,target=/v", &machine, "--cpu=1"];
    let mut pod = rkt.start(words.into_iter().chain(["--exec=/bin/sh", "--", "-c", &script]));
    pod.wait_for_stdout("idle\n");
    let idle = resident(&pod);
    assert!(idle < IDLE, "{idle} MiB of {MACHINE}");
    go_on(&volume, &mut pod, "tmpfs");
    let used = resident(&pod);
    assert!(used >= idle + SEEN, "{idle} MiB became {used}");
    go_on(&volume, &mut pod, "removed");
    wait::until("the memory is the host's again", LIMIT, || resident(&pod) < idle + KEPT);
    go_on(&volume, &mut pod, "process");
    wait::until("the process has its memory", LIMIT, || resident(&pod) >= idle + SEEN);
    go_on(&volume, &mut pod, "ended");
    wait::until("the memory is the host's once more", LIMIT, || resident(&pod) < idle + KEPT);
}
