//! Apps that take all they can get. Each hurts its own pod and no other, and the pod can still be stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::{Aci, Pod, Rkt, Running, footprint, host, network::sh, process, wait};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hog");
const LIMIT: Duration = Duration::from_secs(240);
/// How long anything may take beside a hog that takes a moment without one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Busybox and the hogs.
fn image() -> String {
    let image = Aci::with_busybox("example.com/hogs", &["/bin/sh"])
        .program("bin/hog", Path::new(PROGRAM))
        .directory("mnt", 0o755)
        .write(&host::data_dir().join("hogs.aci"));
    image.display().to_string()
}

/// Starts a pod of one app per entry: its name, flags and command. What they write is in the pod's logs and nowhere else: one
/// of them writes without end.
fn start(rkt: &Rkt, flags: &[&str], apps: &[(&str, &[&str], &[&str])]) -> (Running, String) {
    let (image, saved) = (image(), rkt.dir().join("uuid"));
    let mut words = vec!["run".to_owned(), "--net=none".to_owned()];
    words.push(format!("--uuid-file-save={}", saved.display()));
    words.extend(flags.iter().map(|flag| (*flag).to_owned()));
    for (name, flags, exec) in apps {
        words.extend([image.clone(), format!("--name={name}"), format!("--exec={}", exec[0])]);
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        words.push("--".to_owned());
        words.extend(exec[1..].iter().map(|word| (*word).to_owned()));
        words.push("---".to_owned());
    }
    let rkt = rkt.command(words);
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" >/dev/null", "sh"]).arg(rkt.get_program()).args(rkt.get_args());
    let running = Running::start(command, LIMIT);
    wait::until("the UUID", PATIENCE, || fs::read_to_string(&saved).is_ok_and(|uuid| !uuid.is_empty()));
    let uuid = fs::read_to_string(saved).expect("the UUID");
    (running, uuid)
}

/// Whether an app's log has a line; those of one that floods it may be in older files.
fn said(rkt: &Rkt, uuid: &str, app: &str) -> bool {
    let logs = rkt.dir().join("pods/run").join(uuid).join("logs");
    sh(&format!("cat {}/{app}.log* 2>/dev/null | head -n 1000 | grep -c ready || true", logs.display()))
        != "0\n"
}

/// Asks the pod to end, politely, and waits until it has.
fn stop(rkt: &Rkt, uuid: &str, pod: Running) -> process::Finished {
    rkt.run(["stop", uuid]).expect_success();
    pod.finish()
}

/// A number that the kernel says of a process.
fn status(pid: u32, field: &str) -> u64 {
    footprint::status(pid, field).expect("the pod's process")
}

#[test]
fn processes_memory_mounts_descriptors_and_logs() {
    let rkt = Rkt::new().limit(LIMIT);
    let neighbour = Pod::start(&rkt, "neighbour", &["--net=none"], "echo ready; exec sleep 600");
    let hog = ["/bin/hog", "guard"];
    let (pod, uuid) = start(
        &rkt,
        &[],
        &[
            ("forks", &["--memory=48M"], &[hog[0], hog[1], "forks"]),
            ("memory", &["--memory=48M"], &[hog[0], hog[1], "memory"]),
            ("mounts", &["--memory=48M", "--caps-retain=CAP_SYS_ADMIN"], &[hog[0], hog[1], "mounts", "/mnt"]),
            ("descriptors", &["--memory=48M"], &[hog[0], hog[1], "descriptors"]),
            ("log", &["--memory=48M"], &[hog[0], "log"]),
            ("quiet", &["--memory=32M"], &["/bin/sleep", "600"]),
        ],
    );
    // The log first: of what floods it only the last files are kept.
    for app in ["log", "forks", "memory", "mounts", "descriptors"] {
        wait::until(app, LIMIT, || said(&rkt, &uuid, app));
    }
    let killed = || rkt.run(["status", &uuid]).stdout_text().contains("\noom-killed-memory=");
    wait::until("a kill", PATIENCE, killed);
    // The others have not starved, in this pod and in another.
    let greet = ["--app=quiet", &uuid, "/bin/echo", "here"];
    assert_eq!(rkt.run(["enter"].iter().chain(&greet)).expect_success().stdout_text(), "here\n");
    let greeted = rkt.run(["enter", &neighbour.uuid, "/bin/echo", "there"]).expect_success();
    assert!(greeted.took < PATIENCE && greeted.stdout_text() == "there\n", "{greeted:?}");
    // What the host gives is the machine's size, and bounded besides.
    let (most, threads) = (status(pod.pid(), "VmHWM"), status(pod.pid(), "Threads"));
    assert!(most < 600 << 10 && threads < 64, "{most} KiB, {threads} threads");
    let logs = rkt.dir().join("pods/run").join(&uuid).join("logs");
    let kept: u64 = fs::read_dir(logs)
        .expect("logs")
        .flatten()
        .map(|file| file.metadata().map_or(0, |it| it.len()))
        .sum();
    assert!(kept < 60 << 20, "{kept} bytes of logs");
    let finished = stop(&rkt, &uuid, pod).expect_success();
    let told = finished.stderr_text();
    assert!(told.contains("App memory ran out of memory, processes killed: 1\n"), "{told}");
    neighbour.end();
}

/// A file system of little space and few inodes, with a file on it.
fn small_disk() -> PathBuf {
    let (image, directory) = (host::data_dir().join("small.ext4"), host::data_dir().join("small"));
    sh(&format!(
        "truncate -s 48M {0} && mkfs.ext4 -q -N 128 {0} && mkdir {1} && mount -o loop {0} {1} && touch {1}/disk",
        image.display(),
        directory.display()
    ));
    directory
}

#[test]
fn blocks_and_inodes_of_the_disk() {
    let small = small_disk();
    let rkt = Rkt::new().limit(LIMIT);
    let neighbour = Pod::start(&rkt, "neighbour", &["--net=none"], "echo ready; exec sleep 600");
    let volume = format!("--volume=small,kind=host,source={}", small.display());
    let mount = "--mount=volume=small,target=/mnt";
    let apps: [(&str, &[&str], &[&str]); 2] = [
        ("inodes", &[mount], &["/bin/hog", "inodes", "/mnt"]),
        ("disk", &[mount], &["/bin/hog", "disk", "/mnt"]),
    ];
    let (pod, uuid) = start(&rkt, &[&volume], &apps);
    for app in ["inodes", "disk"] {
        wait::until(app, LIMIT, || said(&rkt, &uuid, app));
    }
    let greet =
        ["enter", "--app=disk", &uuid, "/bin/sh", "-c", "echo here; touch /root/elsewhere && echo there"];
    assert_eq!(rkt.run(greet).expect_success().stdout_text(), "here\nthere\n");
    rkt.run(["enter", &neighbour.uuid, "/bin/touch", "/root/file"]).expect_success();
    stop(&rkt, &uuid, pod).expect_success();
    neighbour.end();
    rkt.run(["gc", "--grace-period=0s"]).expect_success();
    sh(&format!("umount {0} && rmdir {0}", small.display()));
}
