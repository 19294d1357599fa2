//! What an app may use, and what happens when it wants more.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Finished, Rkt, aci, inside, inside::Look};

/// The limits of an app's own group.
const LIMITS: &[Look<'_>] = &[
    ("memory", "cat /sys/fs/cgroup/memory.max"),
    ("cpu", "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu.weight"),
    ("pids", "cat /sys/fs/cgroup/pids.max"),
    ("files", "ulimit -n; ulimit -Hn"),
];

/// Runs a pod of one app per entry: its name, flags and script.
fn run(rkt: &Rkt, apps: &[(&str, &[&str], String)]) -> Finished {
    let image = aci::busybox();
    let image = image.to_str().expect("UTF-8");
    let mut words: Vec<String> = ["run", "--net=none"].map(str::to_owned).into();
    for (name, flags, script) in apps {
        words.extend([image.to_owned(), format!("--name={name}")]);
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        words.extend(["--exec=/bin/sh", "--", "-c", script, "---"].map(str::to_owned));
    }
    rkt.run(words)
}

#[test]
fn limits_are_each_apps_own() {
    let limited = ["--memory=128Mi", "--cpu=500m", "--cpu-shares=512", "--pids=77"];
    let apps: [(&str, &[&str], String); 2] = [
        ("limited", &limited, inside::script("limited", LIMITS)),
        ("free", &[], inside::script("free", LIMITS)),
    ];
    let finished = run(&Rkt::new(), &apps).expect_success();
    let files = "files: 1024 524288";
    inside::expect(&finished, "limited", &["memory: 134217728", "cpu: 50000 100000 50", "pids: 77", files]);
    inside::expect(&finished, "free", &["memory: max", "cpu: max 100000 100", "pids: max", files]);
}

#[test]
fn io_has_its_limits_and_they_do_not_keep_the_pod() {
    // Seconds, from what a look says it took.
    let took = |finished: &Finished, look: &str| -> f64 {
        let text = finished.stdout_text();
        let line = text.lines().find_map(|line| line.strip_prefix(look));
        line.and_then(|line| line.trim().parse().ok()).unwrap_or_else(|| panic!("{look}: {finished:?}"))
    };
    let timed = |name: &str, command: &str| {
        format!(
            "read from _ </proc/uptime; {command}; read to _ </proc/uptime; \
             echo \"{name} $(awk \"BEGIN {{ print $to - $from }}\")\""
        )
    };
    let rkt = Rkt::new();
    let volume = rkt.dir().join("volume");
    fs::create_dir(&volume).expect("a directory");
    fs::write(volume.join("file"), vec![1; 3 << 20]).expect("a file");
    let volume = format!("--volume=data,kind=host,source={}", volume.display());
    let write =
        |mib: u32| format!("dd if=/dev/zero of=/new bs=64k count={} conv=fsync 2>/dev/null", mib * 16);
    // The last write would take a minute.
    let slow = [
        timed("written", &write(4)),
        timed("read", "cat /data/file >/dev/null"),
        format!("echo rea''dy; {}", write(64)),
    ];
    let few = timed("made", "for i in $(seq 100); do : >/tmp/$i; done");
    let free = timed("free", &write(48));
    let image = aci::busybox();
    let image = image.to_str().expect("UTF-8");
    let shell = ["--exec=/bin/sh", "--", "-c"];
    let (slow, idle) = (slow.join("\n"), "exec sleep 600");
    let (few, free) = (format!("{few}; {idle}"), format!("{free}; {idle}"));
    let mut words = vec!["run", "--net=none", &volume];
    words.extend([image, "--name=slow", "--io-bandwidth=1M", "--mount=volume=data,target=/data"]);
    words.extend(shell.iter().chain(&[slow.as_str(), "---", image, "--name=few", "--iops=50"]));
    words.extend(shell.iter().chain(&[few.as_str(), "---", image, "--name=free"]).chain(&shell));
    words.push(&free);
    let mut running = rkt.start(words);
    for said in ["free", "made", "ready"] {
        running.wait_for_stdout(said);
    }
    // Enough of the last write waits by then.
    thread::sleep(Duration::from_secs(3));
    running.signal(15);
    let asked = Instant::now();
    let finished = running.finish();
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    for (look, least) in [("written", 2.5), ("read", 1.5), ("made", 1.5)] {
        assert!(took(&finished, look) > least, "{look}: {finished:?}");
    }
    assert!(took(&finished, "free") < 40.0, "{finished:?}");
}

#[test]
fn file_systems_in_memory_have_a_size_and_count_for_their_app() {
    let fill = [
        (
            "own",
            "stat -c '%a' /fill; dd if=/dev/zero of=/fill/x bs=64k count=256 2>&1 | head -n 1; stat -c %s /fill/x",
        ),
        (
            "shm",
            "dd if=/dev/zero of=/dev/shm/x bs=64k count=128 2>&1 | head -n 1; stat -c %s /dev/shm/x; stat -c %a /dev/shm",
        ),
        ("counted", "awk '$1 == \"shmem\" { print ($2 >= 12582912) }' /sys/fs/cgroup/memory.stat"),
        ("shared", "echo both > /shared/x && echo ok"),
    ];
    let wait = "for i in $(seq 600); do [ -e /shared/x ] && break; sleep 0.1; done";
    let look = [
        ("shared", "cat /shared/x; df -k /shared | awk 'NR == 2 { print $2 }'"),
        ("shm", "ls -A /dev/shm; echo mine > /dev/shm/y && cat /dev/shm/y"),
        ("counted", "awk '$1 == \"shmem\" { print ($2 < 1048576) }' /sys/fs/cgroup/memory.stat"),
    ];
    let own = ["--memory=64Mi", "--tmpfs=/fill:size=8Mi,mode=700", "--shm-size=4Mi"];
    let image = aci::busybox();
    let image = image.to_str().expect("UTF-8");
    let looker = format!("{wait}; {}", inside::script("other", &look));
    let filler = inside::script("filler", &fill);
    let mut words = vec!["run", "--net=none", "--volume=cache,kind=empty,medium=memory,size=64Ki,mode=1777"];
    words.extend(["--mount=volume=cache,target=/shared", image, "--name=filler", "--exec=/bin/sh"]);
    words.extend(own);
    words.extend(["--", "-c", &filler, "---", image, "--name=other", "--exec=/bin/sh", "--", "-c", &looker]);
    let finished = Rkt::new().run(words).expect_success();
    let full = "No space left on device";
    let own = format!("own: 700 dd: error writing '/fill/x': {full} 8388608");
    let shm = format!("shm: dd: error writing '/dev/shm/x': {full} 4194304 1777");
    inside::expect(&finished, "filler", &[&own, &shm, "counted: 1", "shared: ok"]);
    inside::expect(&finished, "other", &["shared: both 64", "shm: mine", "counted: 1"]);
}

#[test]
fn an_app_that_forks_too_much_hurts_only_itself() {
    let bomb = "i=0; while [ $i -lt 100 ]; do sleep 600 & i=$((i + 1)); done";
    let other = "until [ -e /dev/shm/bombed ]; do sleep 0.1; done; for i in 1 2 3; do ls / >/dev/null; done; echo well";
    let rkt = Rkt::new();
    let bomb = format!("({bomb}); touch /dev/shm/bombed; sleep 2; exit 7");
    let apps: [(&str, &[&str], String); 2] =
        [("bomb", &["--pids=32"], bomb), ("other", &[], other.to_owned())];
    let finished = run(&rkt, &apps).expect_status(7);
    assert!(finished.stdout_text().contains("well"), "{finished:?}");
    assert!(finished.stderr_text().contains("can't fork"), "{finished:?}");
}

#[test]
fn an_app_that_runs_out_of_memory_is_told_of() {
    let rkt = Rkt::new();
    let apps: [(&str, &[&str], String); 1] = [("hog", &["--memory=96Mi"], "exec tail /dev/zero".to_owned())];
    let finished = run(&rkt, &apps).expect_status(137);
    let line = "App hog ran out of memory, processes killed: 1";
    assert!(finished.stderr_text().lines().any(|found| found == line), "{finished:?}");
    let pods: Value = serde_json::from_slice(&rkt.run(["list", "--format=json"]).stdout).expect("JSON");
    let app = &pods[0]["apps"][0];
    assert_eq!((&app["exit_code"], &app["oom_kills"]), (&json!(137), &json!(1)));
    let status =
        rkt.run(["status", pods[0]["name"].as_str().expect("a UUID")]).expect_success().stdout_text();
    assert!(status.ends_with("\noom-killed-hog=1\napp-hog=137\n"), "{status}");
}

#[test]
fn a_pods_kernel_parameters_are_its_own() {
    let rkt = Rkt::new();
    let image = aci::busybox();
    let id = rkt.run(["fetch", "--full", image.to_str().expect("UTF-8")]).expect_success().stdout_text();
    let run = |parameter: &str| {
        let manifest = json!({
            "acVersion": "0.8.11", "acKind": "PodManifest",
            "isolators": [{"name": "os/unix/sysctl", "value": {parameter: "777"}}],
            "apps": [{"name": "look", "image": {"id": id.trim()}, "app": {
                "exec": ["/bin/cat", "/proc/sys/kernel/msgmni"], "user": "0", "group": "0"}}],
        });
        let path = rkt.dir().join("pod.json");
        std::fs::write(&path, manifest.to_string()).expect("write the manifest");
        rkt.run(["run", "--net=none", &format!("--pod-manifest={}", path.display())])
    };
    assert_eq!(run("kernel.msgmni").expect_success().stdout_text(), "777\n");
    let refused = run("kernel.foo-not-there").expect_status(254).stderr_text();
    assert!(refused.contains("Cannot set kernel parameter \"kernel.foo-not-there\" to \"777\""), "{refused}");
}
