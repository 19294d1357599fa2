//! A guest kernel that attacks: `tests/hostile-kernel`, under the real and jailed VMM. What it got for an answer it says itself; what
//! became of the host is looked at from outside. An attack that did not reach its device fails the test.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::network::sh;
use tests::{Rkt, Running, endurance, hostile, wait};

const TERM: i32 = 15;
const LIMIT: Duration = Duration::from_secs(240);
/// How long the VMM may take to see what has happened.
const SOON: Duration = Duration::from_secs(20);
/// What a VMM may have had at most, in KiB, with a guest that hoards files and connections. Its guest touches less than 8 MiB, which
/// the host gives in pieces of 2 MiB.
const MOST_MEMORY: u64 = 40 << 10;
/// How much more it may have after a while of flood, in KiB: a piece or two of the guest's memory.
const MOST_GROWTH: u64 = 5 << 10;
/// Threads of this VMM: event loop, diagnostics, starter, a vCPU, and four for each of two shares.
const THREADS: u64 = 12;
/// How long CPU time is measured, and a flood goes on, in seconds.
const WHILE: u64 = 2;
/// Ticks of a second (`USER_HZ`).
const TICKS: u64 = 100;

/// What no guest may see (`tests/hostile-kernel/src/machine/share.rs`).
const CANARY: &str = "not the guest's to read";

/// Attacks, in order, with what must come of them.
const ATTACKS: &[(&str, &str)] = &[
    ("sound-request", "used 512"),
    ("queue-in-registers", "0"),
    ("queue-outside-memory", "0"),
    ("queue-of-odd-size", "none accepted"),
    ("start-without-queues", "status 0x4f"),
    ("move-active-queue", "used 512"),
    ("descriptor-loop", "used 8192"),
    ("next-out-of-range", "used 512"),
    ("head-out-of-range", "used 512"),
    ("index-jump", "silence"),
    ("buffer-of-4g", "used 65536"),
    ("buffer-at-the-end-of-all", "used 0"),
    ("buffer-in-registers", "used 0"),
    ("buffer-over-rings", "used 512"),
    ("notifications", "used 512"),
    ("any-port", "used 512"),
    ("resets", "used 512"),
    ("any-register", "used 512"),
    ("balloon-any-page", "used 0"),
    ("balloon-too-many-pages", "used 0"),
    ("balloon-ranges-of-4g", "used 0"),
    ("balloon-gives-back", "that page alone"),
    ("balloon-configuration", "as it should be"),
    ("fs-parent-of-root", "errno 22"),
    ("fs-root-itself", "errno 22"),
    ("fs-empty-name", "errno 22"),
    ("fs-absolute-name", "errno 22"),
    ("fs-path-as-name", "errno 22"),
    ("fs-long-name", "errno 36"),
    ("fs-name-without-end", "errno 22"),
    ("fs-create-outside", "refused"),
    ("fs-rename-outside", "refused"),
    ("fs-through-link", "errno 20"),
    ("fs-open-link", "errno 9"),
    ("fs-create-at-link", "refused"),
    ("fs-truncate-link", "refused"),
    ("fs-link-race", "both seen"),
    ("fs-open-fifo", "errno 9"),
    ("fs-open-device", "errno 9"),
    ("fs-open-made-device", "errno 9"),
    ("fs-write-read-only", "read-only"),
    ("fs-rename-between-volumes", "errno 18"),
    ("fs-link-between-volumes", "errno 18"),
    ("fs-sound-read", "seen"),
    ("fs-node-never-given", "errno 9"),
    ("fs-node-of-other-share", "errno 9"),
    ("fs-handle-never-given", "errno 9"),
    ("fs-opens-of-unknown-nodes", "0 through, 3000 refused"),
    ("fs-lengths-of-4g", "24"),
    ("fs-header-lengths", "0 through, 56 refused"),
    ("fs-huge-offsets", "0"),
    ("fs-forget-root", "back when mounted"),
    ("fs-forget-billions", "errno 116"),
    ("fs-indirect-in-registers", "used 0"),
    ("fs-indirect-in-indirect", "used 0"),
    ("fs-answer-over-request", "returned"),
    ("fs-init-of-a-stranger", "errno 71"),
    ("fs-init-in-between", "errno 9"),
    ("fs-never-forget", "3000 through, 0 refused"),
    ("fs-never-release", "3000 through, 0 refused"),
    ("fs-any-request", "all returned"),
    ("fs-sound-request", "errno 0"),
    ("fs-leaks", "nothing"),
    ("vsock-wrong-addresses", "0 through, 8 refused"),
    ("vsock-lengths", "9"),
    ("vsock-any-packet", "accepted"),
    ("vsock-thousands-of-connections", "512 through, 4488 refused"),
    ("vsock-never-read", "5000"),
    ("vsock-sound-connection", "accepted"),
];

/// What lies beside the volumes, and must stay as it is.
struct Outside {
    directory: PathBuf,
    before: String,
}

impl Outside {
    /// Volumes `a` (to write, with links that lead out and special files), `b` (not to write) and `c`, and a canary beside them.
    fn make(rkt: &Rkt) -> Self {
        let directory = rkt.dir().join("outside");
        sh(&format!(
            "mkdir {0} && cd {0} && mkdir a b c && echo \"{CANARY}\" >canary && touch -a -d 2001-01-01 canary
             echo inside | tee a/file b/file >c/other && ln -s {0} a/link && ln -s {0}/canary a/canary-link
             ln -s {0}/made a/dangling-link && touch a/swap-a && ln -s {0}/canary a/swap-b
             mkfifo a/fifo && mknod a/device c 1 3",
            directory.display()
        ));
        let before = Self::look(&directory);
        Self { directory, before }
    }

    /// Names beside the volumes, and all that is known of the canary.
    fn look(directory: &Path) -> String {
        let canary = directory.join("canary");
        let metadata = fs::metadata(&canary).expect("the canary");
        let times = (metadata.atime(), metadata.mtime(), metadata.ctime(), metadata.nlink());
        let names = sh(&format!("ls {}", directory.display()));
        format!("{names}{times:?} {}", metadata.len())
    }

    /// The options of `rkt run`.
    fn volumes(&self) -> [String; 3] {
        let volumes = [("a", ""), ("b", ",readOnly=true"), ("c", "")];
        let option = |(name, more)| {
            format!("--volume={name},kind=host,source={}/{name}{more}", self.directory.display())
        };
        volumes.map(option)
    }

    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(Self::look(&self.directory), self.before);
        assert_eq!(fs::read_to_string(self.directory.join("canary")).expect("the canary").trim(), CANARY);
    }
}

/// A number that the kernel says of a process, as `VmHWM`, in its unit.
#[track_caller]
fn status(process: &Path, field: &str) -> u64 {
    let text = fs::read_to_string(process.join("status")).expect("the VMM");
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).expect("a number")
}

/// Ticks that each thread of a process has had the CPU, and its name.
fn ticks(process: &Path) -> BTreeMap<u64, (String, u64)> {
    let tasks = fs::read_dir(process.join("task")).expect("threads").flatten();
    let thread = |path: PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some((path.file_name()?.to_str()?.parse().ok()?, (name.to_owned(), ticks)))
    };
    tasks.filter_map(|task| thread(task.path())).collect()
}

/// Ticks of each thread, by name, for so long.
fn busy(process: &Path, seconds: u64) -> BTreeMap<String, u64> {
    let before = ticks(process);
    std::thread::sleep(Duration::from_secs(seconds));
    let mut busy = BTreeMap::new();
    for (number, (name, ticks)) in ticks(process) {
        *busy.entry(name).or_default() += ticks - before.get(&number).map_or(0, |(_, before)| *before);
    }
    busy
}

/// Waits until the guest has said this of itself; it must not end before.
#[track_caller]
fn wait_for(pod: &Running, attack: &str) {
    wait::until(attack, LIMIT, || {
        let runs = hostile::vmm(pod).is_some();
        let said = String::from_utf8_lossy(&pod.stderr_so_far()).into_owned();
        let heard = hostile::outcome(&said, attack).is_some();
        assert!(heard || runs || !said.contains("hostile hello"), "the VMM has ended: {said}");
        heard
    });
}

#[track_caller]
fn assert_nothing_left(rkt: &Rkt) {
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    assert_eq!(rkt.run(["list", "--no-legend"]).expect_success().stdout_text(), "");
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(!mounts.contains(&rkt.dir().display().to_string()), "{mounts}");
}

#[test]
fn nothing_it_asks_of_a_device_leads_anywhere() {
    let rkt = Rkt::new().limit(LIMIT);
    let outside = Outside::make(&rkt);
    let volumes = outside.volumes();
    let options: Vec<_> = ["--net=none"].into_iter().chain(volumes.iter().map(String::as_str)).collect();
    let names: Vec<_> = ATTACKS.iter().map(|(name, _)| *name).chain(["halt"]).collect();
    let mounts = ["a", "b", "c"].map(|name| format!("--mount=volume={name},target=/{name}"));
    let pod = hostile::start(&rkt, &names, &options, &mounts.each_ref().map(String::as_str));
    wait_for(&pod, "halt");
    let vmm = hostile::vmm(&pod).expect("the VMM");
    let (memory, threads) = (status(&vmm, "VmHWM"), status(&vmm, "Threads"));
    let idle = busy(&vmm, WHILE);
    eprintln!("VmHWM {memory} KiB, {threads} threads, ticks while halted {idle:?}");
    pod.signal(TERM);
    let finished = pod.finish().expect_status(128 + TERM);
    let said = finished.stderr_text();
    eprintln!("{said}");
    let wrong: Vec<_> = ATTACKS
        .iter()
        .map(|(name, expected)| (name, expected, hostile::outcome(&said, name)))
        .filter(|(_, expected, outcome)| outcome.as_deref() != Some(**expected))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let strange: Vec<_> = said.lines().filter(|line| !line.starts_with("hostile ")).collect();
    assert!(strange.iter().all(|line| line.starts_with("image: using image from")), "{strange:?}");
    assert!(memory < MOST_MEMORY && threads == THREADS, "{memory} KiB, {threads} threads");
    // A guest that sleeps costs nothing, whatever it has left behind in its queues.
    assert!(idle.values().sum::<u64>() < TICKS / 10, "{idle:?}");
    outside.assert_untouched();
    assert_nothing_left(&rkt);
}

#[test]
fn packets_of_any_shape_stop_nothing_but_themselves() {
    const NET: [&str; 6] =
        ["net-sound-packet", "net-lengths", "net-buffers", "net-any-header", "net-index-jump", "halt"];
    let rkt = Rkt::new().limit(LIMIT);
    let pod = hostile::start(&rkt, &NET, &["--net=default"], &[]);
    wait_for(&pod, "halt");
    let vmm = hostile::vmm(&pod).expect("the VMM");
    let (memory, idle) = (status(&vmm, "VmHWM"), busy(&vmm, WHILE));
    eprintln!("VmHWM {memory} KiB, ticks while halted {idle:?}");
    pod.signal(TERM);
    let said = pod.finish().expect_status(128 + TERM).stderr_text();
    eprintln!("{said}");
    for attack in &NET[..5] {
        assert_eq!(hostile::outcome(&said, attack).as_deref(), Some("used 0"), "{attack}: {said}");
    }
    assert!(memory < MOST_MEMORY && idle.values().sum::<u64>() < TICKS / 10, "{memory} KiB, {idle:?}");
    assert_nothing_left(&rkt);
}

#[test]
fn full_volumes_and_races_lead_nowhere_either() {
    const RACED: &str = "over";
    const RACES: &[(&str, &str)] = &[
        ("fs-quota", "as much each time"),
        ("net-lengths", "used 0"),
        ("net-buffers", "used 0"),
        ("net-any-header", "used 0"),
        ("net-index-jump", "used 0"),
        ("race-rings", RACED),
        ("race-resets", RACED),
        ("race-registers", RACED),
        ("net-sound-packet", "used 0"),
        ("sound-request", "used 512"),
        ("vsock-sound-connection", "accepted"),
        ("fs-sound-request", "errno 0"),
    ];
    let rkt = Rkt::new().limit(LIMIT);
    let outside = Outside::make(&rkt);
    // A volume that is soon full, of files as of bytes.
    let small = outside.directory.join("a").display().to_string();
    sh(&format!("mount -t tmpfs -o size=256k,nr_inodes=24 small {small}"));
    let volumes = outside.volumes();
    let options: Vec<_> = ["--net=default"].into_iter().chain(volumes.iter().map(String::as_str)).collect();
    let names: Vec<_> = RACES.iter().map(|(name, _)| *name).chain(["halt"]).collect();
    let mounts = ["a", "b", "c"].map(|name| format!("--mount=volume={name},target=/{name}"));
    let mounts = mounts.each_ref().map(String::as_str);
    let pod = hostile::start_without_vhost(&rkt, &names, &options, &mounts, 2);
    wait_for(&pod, "halt");
    let vmm = hostile::vmm(&pod).expect("the VMM");
    let (memory, threads, idle) = (status(&vmm, "VmHWM"), status(&vmm, "Threads"), busy(&vmm, WHILE));
    eprintln!("VmHWM {memory} KiB, {threads} threads, ticks while halted {idle:?}");
    pod.signal(TERM);
    let said = pod.finish().expect_status(128 + TERM).stderr_text();
    eprintln!("{said}");
    assert!(said.contains("in user space"), "{said}");
    for (attack, outcome) in RACES {
        assert_eq!(hostile::outcome(&said, attack).as_deref(), Some(*outcome), "{attack}");
    }
    assert!(memory < MOST_MEMORY && idle.values().sum::<u64>() < TICKS / 10, "{memory} KiB, {idle:?}");
    outside.assert_untouched();
    assert_eq!(sh(&format!("ls -A {small}; umount {small}")), "");
    assert_nothing_left(&rkt);
}

#[test]
fn a_flood_takes_no_more_than_the_threads_of_its_devices() {
    let rkt = Rkt::new().limit(LIMIT);
    let pod = hostile::start(&rkt, &["flood"], &["--net=none"], &[]);
    wait_for(&pod, "flood");
    let vmm = hostile::vmm(&pod).expect("the VMM");
    let (memory, threads) = (status(&vmm, "VmRSS"), status(&vmm, "Threads"));
    let busy = busy(&vmm, WHILE * endurance());
    let (memory_then, threads_then) = (status(&vmm, "VmRSS"), status(&vmm, "Threads"));
    eprintln!("VmRSS {memory} to {memory_then} KiB, {threads} to {threads_then} threads, ticks {busy:?}");
    assert!(memory_then < memory + MOST_GROWTH && threads_then == threads);
    let known = |name: &str| name == "vmm" || name == "vcpu0" || name.starts_with("fs-");
    assert!(busy.iter().all(|(name, ticks)| known(name) || *ticks < TICKS / 20), "{busy:?}");
    assert!(busy["vcpu0"] > 0 && busy["vmm"] > 0, "{busy:?}");
    // Its owner is heard all the same.
    let asked = std::time::Instant::now();
    pod.signal(TERM);
    pod.finish().expect_status(128 + TERM);
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    assert_nothing_left(&rkt);
}

#[test]
fn what_breaks_the_rules_of_the_agent_ends_the_pod() {
    let rkt = Rkt::new().limit(LIMIT);
    for (attacks, line) in [
        (&["agent-two-controls", "halt"][..], "Guest opened a second control connection"),
        (&["agent-frame-of-4g", "halt"], "Agent of the guest does not speak the protocol"),
        (&["agent-stream-of-nobody", "halt"], "Pod failed"),
        (&["agent-streams", "halt"], "Pod failed"),
        (&["crash"], "Guest kernel crashed"),
        (&["sound-request"], "Guest reset the machine"),
    ] {
        let finished = hostile::start(&rkt, attacks, &["--net=none"], &[]).finish().expect_status(254);
        let said = finished.stderr_text();
        eprintln!("{said}");
        let told = said.lines().filter(|told| told.contains(line)).count();
        assert!(told == 1 && !said.contains("panicked"), "{attacks:?}: {said}");
    }
    assert_nothing_left(&rkt);
}
