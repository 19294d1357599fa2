//! What a guest finds that has broken out of its machine: a process with nothing around it and nothing it may do. What its
//! threads are refused, call by call, is tried in `vmm/src/jail/tests.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use tests::network::sh;
use tests::{Rkt, Running, aci, process};

const TERM: i32 = 15;
const NONE: &str = "0000000000000000";
/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, MKNOD, SETFCAP, SYS_ADMIN.
const FILE_SERVER: &str = "00000000882000db";
/// DAC_OVERRIDE.
const WATCHER: &str = "0000000000000002";

/// What a thread keeps.
fn capabilities(thread: &str) -> &'static str {
    match thread {
        "starter" => FILE_SERVER,
        "watcher" => WATCHER,
        thread if thread.starts_with("fs-") => FILE_SERVER,
        _ => NONE,
    }
}

/// A pod with a volume that says `ready` and goes on.
fn start(rkt: &Rkt, options: &[&str]) -> Running {
    let volume = rkt.dir().join("volume");
    fs::create_dir(&volume).expect("a volume");
    let volume = format!("--volume=v,kind=host,source={}", volume.display());
    let image = aci::busybox().display().to_string();
    let pod = ["run", "--net=none", &volume, &image, "--mount=volume=v,target=/v", "--memory=64M", "--cpu=1"];
    let app = ["--exec", "/bin/sh", "--", "-c", "echo ready >/v/file; cat /v/file; exec sleep 1000"];
    let mut running = rkt.start(options.iter().copied().chain(pod).chain(app));
    running.wait_for_stdout("ready");
    running
}

/// The directory in /proc of a pod's VMM, the only child of `rkt run`.
fn vmm(running: &Running) -> PathBuf {
    let keeper = running.pid();
    let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).expect("children");
    Path::new("/proc").join(children.trim())
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let found = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("no {name} in {status}")).trim()
}

/// Names and statuses of a process's threads.
fn threads(process: &Path) -> Vec<(String, String)> {
    let tasks = fs::read_dir(process.join("task")).expect("threads").flatten();
    tasks
        .map(|task| (read(&task.path().join("comm")).trim().to_owned(), read(&task.path().join("status"))))
        .collect()
}

fn assert_confined(vmm: &Path) {
    let threads = threads(vmm);
    for kind in ["vmm", "vcpu0", "fs-0", "starter", "watcher", "diagnostics", "stream"] {
        assert!(threads.iter().any(|(name, _)| name == kind), "no {kind} in {threads:?}");
    }
    for (name, status) in &threads {
        let capabilities = capabilities(name);
        for set in ["CapEff", "CapPrm"] {
            assert_eq!(field(status, set), capabilities, "{set} of {name}");
        }
        for set in ["CapInh", "CapBnd", "CapAmb"] {
            assert_eq!(field(status, set), NONE, "{set} of {name}");
        }
        assert_eq!((field(status, "NoNewPrivs"), field(status, "Seccomp")), ("1", "2"), "{name}");
    }
}

/// Nothing but what it serves and writes, wherever one looks.
fn assert_alone(vmm: &Path, keeper: &Path) {
    let own = read(&vmm.join("status"));
    assert_eq!(field(&own, "NSpid").split_whitespace().last(), Some("1"));
    for namespace in ["mnt", "pid", "ipc", "net"] {
        let of = |process: &Path| fs::read_link(process.join("ns").join(namespace)).expect("a namespace");
        assert_ne!(of(vmm), of(keeper), "{namespace}");
    }
    let root = vmm.join("root");
    let all = sh(&format!("cd {} && ls . stage1 stage1/rootfs", root.display()));
    assert_eq!(
        all.split_whitespace().collect::<Vec<_>>(),
        [".:", "logs", "stage1", "stage1:", "rootfs", "stage1/rootfs:", "opt", "rkt"]
    );
    let written = fs::write(root.join("new"), "").expect_err("the root is read-only");
    assert_eq!(written.raw_os_error(), Some(30));
    for line in read(&vmm.join("mountinfo")).lines() {
        let options = line.split(' ').nth(5).expect("options");
        assert!(
            ["nodev", "nosuid"].iter().all(|option| options.split(',').any(|set| set == *option)),
            "{line}"
        );
    }
    for line in read(&vmm.join("limits")).lines() {
        if ["Max core file size", "Max locked memory", "Max msgqueue size"]
            .iter()
            .any(|name| line.starts_with(name))
        {
            assert_eq!(line.split_whitespace().filter(|word| *word == "0").count(), 2, "{line}");
        }
    }
}

/// The directory of the cgroup of a process.
fn cgroup(process: &Path) -> PathBuf {
    let text = read(&process.join("cgroup"));
    Path::new("/sys/fs/cgroup").join(text.trim().strip_prefix("0::/").expect("cgroup v2"))
}

/// In a cgroup of its own below its caller's, which bounds its threads.
fn assert_limited(vmm: &Path, keeper: &Path) {
    let own = cgroup(vmm);
    assert!(own.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"rkt-")), "{own:?}");
    assert_eq!(own.parent(), Some(cgroup(keeper).as_path()));
    assert_eq!(process::in_cgroup(&own), [vmm]);
    if read(&own.join("cgroup.controllers")).contains("pids") {
        assert_eq!(read(&own.join("pids.max")), "4096\n");
    }
}

/// No way to the host among its descriptors.
fn assert_no_ways_out(vmm: &Path) {
    for descriptor in fs::read_dir(vmm.join("fd")).expect("descriptors").flatten() {
        let Ok(target) = fs::read_link(descriptor.path()) else { continue };
        let number: u32 = descriptor.file_name().to_string_lossy().parse().expect("a number");
        let text = target.to_string_lossy();
        let inside = ["/logs", "/stage1/rootfs/"].iter().any(|start| text.starts_with(start));
        let kernels =
            ["anon_inode:", "socket:", "pipe:", "/dev/kvm"].iter().any(|start| text.starts_with(start));
        // The root as a working directory, /proc/self/fd, mountinfo.
        let own = text == "/" || text.ends_with("/fd") || text.ends_with("/mountinfo");
        assert!(number <= 2 || inside || kernels || own, "descriptor {number} is {text}");
    }
}

#[test]
fn the_vmm_is_in_an_empty_room_and_its_death_is_the_pods() {
    let rkt = Rkt::new();
    let running = start(&rkt, &[]);
    let (vmm, keeper) = (vmm(&running), Path::new("/proc").join(running.pid().to_string()));
    assert_confined(&vmm);
    assert_alone(&vmm, &keeper);
    assert_no_ways_out(&vmm);
    assert_limited(&vmm, &keeper);
    let cgroup = cgroup(&vmm);
    fs::write(cgroup.join("cgroup.kill"), "1").expect("a cgroup that can be killed");
    let finished = running.finish().expect_status(254);
    let line = "stage1: Pod failed: The VMM died (signal: 9 (SIGKILL))\n";
    assert_eq!(finished.stderr_text(), line);
    assert!(!cgroup.exists(), "{cgroup:?} is left");
}

#[test]
fn what_is_given_up_is_said() {
    let rkt = Rkt::new();
    let running = start(&rkt, &["--insecure-options=image,jail"]);
    let open = vmm(&running);
    assert!(threads(&open).iter().all(|(_, status)| field(status, "Seccomp") == "0"));
    assert!(open.join("root/etc").exists());
    running.signal(TERM);
    let warning = running.finish().stderr_text();
    assert!(warning.contains("Warning: The VMM keeps all rights of root"), "{warning}");
    fs::remove_dir_all(rkt.dir().join("volume")).expect("the volume");
    let running = start(&rkt, &["--insecure-options=image,seccomp-vmm"]);
    for (name, status) in threads(&vmm(&running)) {
        let capabilities = capabilities(&name);
        assert_eq!((field(&status, "Seccomp"), field(&status, "CapEff")), ("0", capabilities), "{name}");
    }
    running.signal(TERM);
    let warning = running.finish().stderr_text();
    assert!(warning.contains("Warning: The VMM's system calls are not filtered"), "{warning}");
}
