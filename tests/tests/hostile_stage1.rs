//! A VMM that attacks: each kind of its threads, in the middle of its work in a running pod, tries to get at the host
//! (`vmm/src/jail/hostile`). Without the filters, what is left of the jail must do; with them, one call is the end.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use libc::*;
use tests::hostile_hook::{self, ALL};
use tests::network::sh;
use tests::{Rkt, Running, aci, hostile, wait};

const TERM: i32 = 15;
const LIMIT: Duration = Duration::from_secs(240);
/// What the attempts are about (`vmm/src/jail/hostile`).
const PORT: u16 = 48_151;
const NAME: &str = "rkt-hostile-hook";
const SOCKET: &str = "/run/rkt-hostile-hook";
const WRITTEN: &str = "/rkt-hostile-hook";

const SUCCESS: i32 = 0;
/// One of each kind.
const THREADS: [&str; 8] = ["vmm", "vcpu0", "fs-0", "watcher", "net-0", "stream", "diagnostics", "starter"];
/// Those with the file server's capabilities.
const SERVERS: &[&str] = &["fs-0", "starter"];

/// What must come of each attempt without the filters. Where there are two, the second is Landlock's, on threads that it binds.
const REFUSED: &[(&str, &[i32])] = &[
    ("open-absolute", &[ENOENT]),
    ("open-parents", &[ENOENT]),
    ("open-parents-of-descriptors", &[ENOENT]),
    ("open-root-of-init", &[ENOENT]),
    ("open-own-process", &[ENOENT]),
    ("open-memory", &[ENOENT]),
    ("open-device", &[EACCES]),
    ("open-by-handle", &[EPERM]),
    ("write-root", &[EROFS]),
    ("make-device", &[EPERM, EACCES]),
    ("make-device-in-root", &[EROFS]),
    ("execute", &[EACCES]),
    ("trace-init", &[EPERM]),
    ("trace-parent", &[ESRCH]),
    ("read-parent", &[ESRCH]),
    ("signal-everybody", &[ESRCH]),
    ("signal-parent", &[ESRCH]),
    ("signal-by-descriptor", &[EBADF]),
    ("pidfd-of-parent", &[ESRCH]),
    // Its network has another loopback, or none; what leaves the pod for this address is dropped.
    ("connect-tcp", &[EINPROGRESS, ENETUNREACH, ECONNREFUSED, EACCES]),
    ("connect-abstract", &[ECONNREFUSED]),
    ("connect-path", &[ENOENT]),
    ("socket-packet", &[EPERM]),
    ("chroot", &[EPERM]),
    ("setns", &[EINVAL]),
    ("unshare-user", &[EINVAL]),
    ("capabilities", &[EPERM]),
    ("init-module", &[EPERM]),
    ("finit-module", &[EPERM]),
    ("kexec", &[EPERM]),
    ("reboot", &[EPERM]),
    ("clock", &[EPERM]),
    ("ports", &[EPERM]),
    ("realtime", &[EPERM]),
    ("mount", &[EPERM]),
    ("umount", &[EPERM]),
    ("fsopen", &[EPERM]),
    ("pivot-root", &[EPERM]),
    ("bpf", &[EPERM]),
    ("perf", &[EACCES, EPERM]),
    ("unshare-mounts", &[EPERM]),
];

/// What is otherwise for some, by their capabilities.
const EXCEPTIONS: &[(&str, &[&str], i32)] = &[
    // MKNOD: it is made, as a guest may in its volume, and opens nothing.
    ("make-device", SERVERS, EACCES),
    // SYS_ADMIN, for attributes `trusted.*`. Landlock lets them mount nothing all the same; it is the filter that keeps the rest from them,
    // which is tried below.
    ("umount", SERVERS, EINVAL),
    ("fsopen", SERVERS, SUCCESS),
    ("bpf", SERVERS, SUCCESS),
    ("perf", SERVERS, SUCCESS),
    ("unshare-mounts", SERVERS, SUCCESS),
];

/// With the filters, a call that ends the pod, for one thread of each kind.
const FORBIDDEN: &[(&str, c_long, &str)] = &[
    ("vmm", SYS_socket, "socket"),
    ("vcpu0", SYS_openat, "openat"),
    ("fs-0", SYS_mount, "mount"),
    ("watcher", SYS_bpf, "bpf"),
    ("net-0", SYS_ptrace, "ptrace"),
    ("stream", SYS_execve, "execve"),
    ("diagnostics", SYS_kill, "kill"),
    ("starter", SYS_unshare, "unshare"),
];

/// A pod with a volume, in which somebody has left a device, whose app is up.
fn start(rkt: &Rkt, insecure: &str, network: &str) -> Running {
    let volume = rkt.dir().join("volume").display().to_string();
    sh(&format!("mkdir -p {volume} && cd {volume} && rm -f device file && mknod device c 1 5"));
    let run = rkt.command([
        insecure,
        "run",
        &format!("--stage1-path={}", hostile_hook::stage1().display()),
        &format!("--net={network}"),
        &format!("--volume=v,kind=host,source={volume}"),
        &aci::busybox().display().to_string(),
        "--mount=volume=v,target=/v",
        "--memory=64M",
        "--cpu=1",
        "--exec=/bin/sh",
        "--",
        "-c",
        "echo ready >/v/file; cat /v/file; exec sleep 1000",
    ]);
    // Without vhost-net, so that there is a thread for the packets.
    let script = "mount --bind /dev/null /dev/vhost-net; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "slave", "bash", "-c", script, "bash"]);
    command.arg(run.get_program()).args(run.get_args()).stdin(Stdio::piped());
    let mut pod = Running::start(command, LIMIT);
    pod.wait_for_stdout("ready");
    pod
}

/// Has a thread try, and tells what came of each attempt.
#[track_caller]
fn outcomes(pod: &Running, vmm: &Path, thread: &str, call: c_long) -> BTreeMap<String, i32> {
    let before = pod.stderr_so_far().len();
    let said = || String::from_utf8_lossy(&pod.stderr_so_far()[before..]).into_owned();
    hostile_hook::attack(vmm, hostile_hook::thread(vmm, thread), call);
    let end = format!("hook {thread} done\n");
    wait::until(thread, LIMIT, || {
        assert!(vmm.exists(), "{thread} ended the VMM: {}", said());
        said().contains(&end)
    });
    let prefix = format!("hook {thread} ");
    let said = said();
    let lines = said.lines().filter_map(|line| line.strip_prefix(&prefix)?.split_once(": "));
    lines.map(|(attempt, errno)| (attempt.to_owned(), errno.parse().expect("a number"))).collect()
}

fn expected(thread: &str, attempt: &str, refusals: &'static [i32]) -> Vec<i32> {
    let exception =
        EXCEPTIONS.iter().find(|(name, threads, _)| *name == attempt && threads.contains(&thread));
    exception.map_or_else(|| refusals.to_vec(), |(_, _, errno)| vec![*errno])
}

/// What is on the host for the attempts to find.
fn prey() -> (TcpListener, UnixListener, UnixListener) {
    assert!(Path::new("/etc/passwd").exists() && !Path::new(WRITTEN).exists());
    let _ = fs::remove_file(SOCKET);
    let name = SocketAddr::from_abstract_name(NAME).expect("a name");
    (
        TcpListener::bind(("127.0.0.1", PORT)).expect("a port"),
        UnixListener::bind_addr(&name).expect("an abstract socket"),
        UnixListener::bind(SOCKET).expect("a socket"),
    )
}

#[test]
fn no_thread_finds_a_way_to_the_host_without_filters_either() {
    let rkt = Rkt::new().limit(LIMIT);
    let prey = prey();
    let pod = start(&rkt, "--insecure-options=image,seccomp-vmm", "default");
    let vmm = hostile::vmm(&pod).expect("the VMM");
    let mut wrong = Vec::new();
    for thread in THREADS {
        let outcomes = outcomes(&pod, &vmm, thread, ALL);
        for (attempt, refusals) in REFUSED {
            let outcome = outcomes.get(*attempt);
            let expected = expected(thread, attempt, refusals);
            if !outcome.is_some_and(|errno| expected.contains(errno)) {
                wrong.push((thread, *attempt, outcome.copied(), expected));
            }
        }
        let unknown: Vec<_> =
            outcomes.keys().filter(|name| REFUSED.iter().all(|(known, _)| known != name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
    assert!(wrong.is_empty(), "thread, attempt, error, expected: {wrong:#?}");
    drop(prey);
    // After all of it the pod is what it was.
    assert_eq!(sh(&format!("ls {}", rkt.dir().join("volume").display())), "device\nfile\n");
    pod.signal(TERM);
    pod.finish().expect_status(128 + TERM);
}

/// Else the refusals above would say nothing: what is tried is there, and would be got.
#[test]
fn without_the_jail_they_all_do() {
    const LEAD_OUT: &[(c_long, &[&str])] = &[
        (
            SYS_openat,
            &["open-absolute", "open-parents", "open-root-of-init", "open-own-process", "write-root"],
        ),
        (SYS_open_by_handle_at, &["open-by-handle"]),
        (SYS_socket, &["connect-tcp", "connect-abstract", "connect-path", "socket-packet"]),
        (SYS_bpf, &["bpf"]),
        (SYS_perf_event_open, &["perf"]),
        (SYS_fsopen, &["fsopen"]),
        (SYS_iopl, &["ports"]),
    ];
    let rkt = Rkt::new().limit(LIMIT);
    let _prey = prey();
    let pod = start(&rkt, "--insecure-options=image,jail", "none");
    let vmm = hostile::vmm(&pod).expect("the VMM");
    let mut wrong = Vec::new();
    for thread in ["vmm", "diagnostics"] {
        for (call, attempts) in LEAD_OUT {
            let outcomes = outcomes(&pod, &vmm, thread, *call);
            let refused = attempts.iter().filter(|attempt| outcomes.get(**attempt) != Some(&SUCCESS));
            wrong.extend(refused.map(|attempt| (thread, *attempt, outcomes.get(*attempt).copied())));
        }
        fs::remove_file(WRITTEN).expect("what was written");
    }
    assert!(wrong.is_empty(), "thread, attempt, error: {wrong:#?}");
}

#[test]
fn one_forbidden_call_of_any_thread_is_the_end() {
    let rkt = Rkt::new().limit(LIMIT);
    for (thread, number, name) in FORBIDDEN {
        let network = if *thread == "net-0" { "default" } else { "none" };
        let pod = start(&rkt, "--insecure-options=image", network);
        let vmm = hostile::vmm(&pod).expect("the VMM");
        hostile_hook::attack(&vmm, hostile_hook::thread(&vmm, thread), *number);
        let finished = pod.finish().expect_status(254);
        let line = format!(
            "stage1: Pod failed: Thread \"{thread}\" of the VMM called {name} ({number}), which it may not"
        );
        let said = finished.stderr_text();
        eprintln!("{said}");
        assert!(said.lines().any(|told| told == line), "{thread}: {said}");
        assert!(!said.contains("hook "), "{thread}: {said}");
    }
}
