//! What threads of each kind are refused, tried for real: every attempt is made by a thread of a VMM of its own, a child
//! of this process.

use std::{
    ffi::{CStr, c_long},
    fs,
    os::fd::{AsRawFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
    thread::{Builder, park},
    time::{Duration, Instant},
};

use libc::*;
use rustix::{
    net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair},
    process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid},
};
use serde_json::{Value, json};

use super::{Kind, Settings, close, close_all_but, prepare, threads};

const KINDS: [Kind; 8] = [
    Kind::EventLoop,
    Kind::Vcpu,
    Kind::FileServer,
    Kind::Watcher,
    Kind::Packets,
    Kind::Stream,
    Kind::Diagnostics,
    Kind::Starter,
];

/// Children are those of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// A VMM whose only business is a script.
struct Child {
    pid: Pid,
    socket: OwnedFd,
}

impl Child {
    fn start(script: impl FnOnce()) -> Self {
        Self::start_with(Settings { filters: true }, script)
    }

    fn start_with(settings: Settings, script: impl FnOnce()) -> Self {
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        // SAFETY: the child has this thread alone, and glibc makes its allocator usable there.
        if let Some(pid) = Pid::from_raw(unsafe { fork() }) {
            return Child { pid, socket };
        }
        drop(socket);
        set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
        prepare(settings, theirs.as_raw_fd()).unwrap();
        let done = catch_unwind(AssertUnwindSafe(script));
        // SAFETY: ends the child without running what belongs to the test process.
        unsafe { _exit(i32::from(done.is_err())) }
    }

    /// What it told its keeper, and its exit status.
    fn end(self) -> (Option<Value>, i32) {
        let mut packet = [0; 256];
        let (length, _) = recv(&self.socket, &mut packet, RecvFlags::empty()).unwrap();
        let status = waitpid(Some(self.pid), WaitOptions::empty()).unwrap().unwrap().1;
        (serde_json::from_slice(&packet[..length]).ok(), status.as_raw())
    }
}

/// Does something in a VMM of its own; what it told its keeper, and its exit status.
pub fn in_child(script: impl FnOnce()) -> (Option<Value>, i32) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Child::start(script).end()
}

/// The same with threads confined that it starts, and not the one it runs on.
pub fn with_threads_confined(script: impl FnOnce()) -> (Option<Value>, i32) {
    in_child(|| {
        threads::start_starter().unwrap();
        script();
    })
}

/// Does something on a thread of a kind, in a closed jail.
fn on_thread(kind: Kind, work: fn()) {
    close(&[]).unwrap();
    match kind {
        Kind::EventLoop => work(),
        _ => threads::spawn(kind, Builder::new().name("hostile".into()), work).unwrap().join().unwrap(),
    }
}

/// A system call by number; what it is given makes sense, or would do no harm.
fn call(number: c_long, arguments: [c_long; 4]) {
    let [a, b, c, d] = arguments;
    // SAFETY: refused before anything happens; where it is not, nothing is pointed to that the kernel could write.
    unsafe { syscall(number, a, b, c, d) };
}

fn text(text: &'static CStr) -> c_long {
    text.as_ptr() as c_long
}

/// What nobody may, as a function without context and the call it is about.
const ATTEMPTS: &[(c_long, fn())] = &[
    (SYS_execve, || call(SYS_execve, [text(c"/bin/true"), 0, 0, 0])),
    (SYS_execveat, || call(SYS_execveat, [AT_FDCWD.into(), text(c"/bin/true"), 0, 0])),
    (SYS_fork, || call(SYS_fork, [0; 4])),
    (SYS_ptrace, || call(SYS_ptrace, [PTRACE_ATTACH.into(), 1, 0, 0])),
    (SYS_process_vm_writev, || call(SYS_process_vm_writev, [1, 0, 0, 0])),
    (SYS_kill, || call(SYS_kill, [1, 0, 0, 0])),
    (SYS_tgkill, || call(SYS_tgkill, [1, 1, SIGKILL.into(), 0])),
    (SYS_pidfd_open, || call(SYS_pidfd_open, [1, 0, 0, 0])),
    (SYS_rt_sigqueueinfo, || call(SYS_rt_sigqueueinfo, [1, 0, 0, 0])),
    (SYS_rt_sigaction, || call(SYS_rt_sigaction, [SIGSYS.into(), 0, 0, 8])),
    (SYS_socket, || call(SYS_socket, [AF_INET.into(), SOCK_STREAM.into(), 0, 0])),
    (SYS_socket, || call(SYS_socket, [AF_NETLINK.into(), SOCK_RAW.into(), 0, 0])),
    (SYS_connect, || call(SYS_connect, [0, 0, 0, 0])),
    (SYS_bind, || call(SYS_bind, [0, 0, 0, 0])),
    (SYS_listen, || call(SYS_listen, [0, 0, 0, 0])),
    (SYS_mount, || call(SYS_mount, [text(c"none"), text(c"/"), text(c"tmpfs"), 0])),
    (SYS_umount2, || call(SYS_umount2, [text(c"/nowhere"), 0, 0, 0])),
    (SYS_open_tree, || call(SYS_open_tree, [AT_FDCWD.into(), text(c"/"), 1, 0])),
    (SYS_move_mount, || call(SYS_move_mount, [-1, 0, -1, 0])),
    (SYS_pivot_root, || call(SYS_pivot_root, [text(c"/"), text(c"/"), 0, 0])),
    (SYS_chroot, || call(SYS_chroot, [text(c"/"), 0, 0, 0])),
    (SYS_setns, || call(SYS_setns, [0, 0, 0, 0])),
    (SYS_unshare, || call(SYS_unshare, [CLONE_NEWUSER.into(), 0, 0, 0])),
    (SYS_bpf, || call(SYS_bpf, [0, 0, 0, 0])),
    (SYS_perf_event_open, || call(SYS_perf_event_open, [0, 0, -1, -1])),
    (SYS_io_uring_setup, || call(SYS_io_uring_setup, [1, 0, 0, 0])),
    (SYS_userfaultfd, || call(SYS_userfaultfd, [0; 4])),
    (SYS_keyctl, || call(SYS_keyctl, [0; 4])),
    (SYS_init_module, || call(SYS_init_module, [0; 4])),
    (SYS_finit_module, || call(SYS_finit_module, [-1, 0, 0, 0])),
    (SYS_kexec_load, || call(SYS_kexec_load, [0; 4])),
    (SYS_reboot, || call(SYS_reboot, [0; 4])),
    (SYS_sethostname, || call(SYS_sethostname, [0; 4])),
    (SYS_settimeofday, || call(SYS_settimeofday, [0; 4])),
    (SYS_setrlimit, || call(SYS_setrlimit, [RLIMIT_CORE.into(), 0, 0, 0])),
    (SYS_prlimit64, || call(SYS_prlimit64, [1, 0, 0, 0])),
    (SYS_personality, || call(SYS_personality, [0; 4])),
    (SYS_shmget, || call(SYS_shmget, [0; 4])),
    (SYS_prctl, || call(SYS_prctl, [PR_SET_DUMPABLE.into(), 1, 0, 0])),
    (SYS_prctl, || call(SYS_prctl, [PR_SET_MM.into(), 0, 0, 0])),
    (SYS_ioctl, || call(SYS_ioctl, [0, TIOCSTI as c_long, 0, 0])),
    (SYS_open_by_handle_at, || call(SYS_open_by_handle_at, [-1, 0, 0, 0])),
    (SYS_fanotify_mark, || call(SYS_fanotify_mark, [0, (FAN_MARK_ADD | FAN_MARK_FILESYSTEM).into(), 0, 0])),
    (SYS_fanotify_init, || call(SYS_fanotify_init, [FAN_CLASS_CONTENT.into(), 0, 0, 0])),
    (SYS_mmap, || call(SYS_mmap, [0, 4096, (PROT_READ | PROT_EXEC).into(), 0])),
    (SYS_mprotect, || call(SYS_mprotect, [0, 4096, (PROT_WRITE | PROT_EXEC).into(), 0])),
];

/// What only threads that serve files may, or only they and the one that starts them.
const FILES: &[(c_long, fn())] = &[
    (SYS_mknodat, || call(SYS_mknodat, [AT_FDCWD.into(), text(c"/dev/mem2"), 0, 0])),
    (SYS_linkat, || call(SYS_linkat, [AT_FDCWD.into(), text(c"/a"), AT_FDCWD.into(), text(c"/b")])),
    (SYS_fchownat, || call(SYS_fchownat, [-1, 0, 0, 0])),
    (SYS_setresuid, || call(SYS_setresuid, [-1, 0, -1, 0])),
    (SYS_fchdir, || call(SYS_fchdir, [-1, 0, 0, 0])),
];

/// Who needs no file at all.
const FILELESS: [Kind; 3] = [Kind::Vcpu, Kind::Packets, Kind::Diagnostics];
const OPENING: (c_long, fn()) = (SYS_openat, || {
    call(SYS_openat, [AT_FDCWD.into(), text(c"/etc/shadow"), O_RDONLY.into(), 0]);
});

fn expect_violation(kind: Kind, (number, attempt): (c_long, fn())) {
    let (told, status) = Child::start(|| on_thread(kind, attempt)).end();
    let told = told.unwrap_or_else(|| panic!("{kind:?} may call {number} (status {status})"));
    let violation = &told["Violation"];
    assert_eq!(violation["syscall"], json!(number), "{kind:?}");
    if kind != Kind::EventLoop {
        assert_eq!(violation["thread"], json!("hostile"));
    }
    assert_eq!(status, 1 << 8, "{kind:?} {number}");
}

#[test]
fn hostile_calls_are_refused_to_every_kind_of_thread() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for kind in KINDS {
        ATTEMPTS.iter().for_each(|attempt| expect_violation(kind, *attempt));
        if !matches!(kind, Kind::FileServer | Kind::Starter) {
            FILES.iter().for_each(|attempt| expect_violation(kind, *attempt));
        }
        if FILELESS.contains(&kind) {
            expect_violation(kind, OPENING);
        }
        if kind != Kind::Starter {
            expect_violation(kind, (SYS_clone3, || call(SYS_clone3, [0; 4])));
        }
    }
}

#[test]
fn who_watches_may_begin_and_begin_anew() {
    let watch = || {
        on_thread(Kind::Watcher, || {
            let names = FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_FID | FAN_REPORT_DFID_NAME;
            for flags in [names, names | FAN_REPORT_TARGET_FID] {
                call(SYS_fanotify_init, [flags.into(), 0, 0, 0]);
            }
            call(SYS_fanotify_mark, [-1, FAN_MARK_FLUSH.into(), 0, 0]);
        });
    };
    assert_eq!(in_child(watch), (None, 0));
}

/// Fields of `/proc/PID/task/TID/status`, by the thread's name.
fn statuses(pid: Pid) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
    let read = |path: std::path::PathBuf| fs::read_to_string(path).unwrap_or_default();
    tasks
        .flatten()
        .map(|task| (read(task.path().join("comm")).trim().to_owned(), read(task.path().join("status"))))
        .collect()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

#[test]
fn threads_keep_the_capabilities_of_their_kind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let child = Child::start(|| {
        close(&[]).unwrap();
        for kind in KINDS {
            threads::spawn(kind, Builder::new().name(format!("{kind:?}")), park).unwrap();
        }
        park();
    });
    let limit = Instant::now() + Duration::from_secs(20);
    let expected = |name: &str| match name {
        "FileServer" | "Starter" | "starter" => "00000000882000db",
        "Watcher" => "0000000000000002",
        _ => "0000000000000000",
    };
    // A thread begins with the starter's rights, and gives up its own share.
    let confined = |statuses: &[(String, String)]| {
        statuses.len() == KINDS.len() + 2
            && statuses.iter().all(|(name, status)| field(status, "CapEff:") == expected(name))
    };
    let mut seen = statuses(child.pid);
    while !confined(&seen) {
        assert!(Instant::now() < limit, "{seen:?}");
        seen = statuses(child.pid);
    }
    for (name, status) in seen {
        assert_eq!(field(&status, "CapPrm:"), expected(&name), "{name}");
        for none in ["CapInh:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(&status, none), "0000000000000000", "{name}");
        }
        assert_eq!((field(&status, "NoNewPrivs:"), field(&status, "Seccomp:")), ("1", "2"), "{name}");
    }
    kill_process(child.pid, Signal::KILL).unwrap();
    child.end();
}

#[test]
fn descriptors_that_nobody_needs_are_closed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let child = Child::start(|| {
        // SAFETY: plain numbers.
        let opened = [(); 3].map(|()| unsafe { open(c"/dev/null".as_ptr(), O_RDONLY) });
        close_all_but([opened[1], 0]).unwrap();
        // SAFETY: asks only.
        let open: Vec<i32> = (3..256).filter(|fd| unsafe { fcntl(*fd, F_GETFD) } >= 0).collect();
        // SAFETY: ends the child.
        unsafe { _exit(i32::from(open != [opened[1]])) }
    });
    assert_eq!(child.end(), (None, 0));
}

/// Of the kernel; less than 1 if it has none.
fn landlock_version() -> c_long {
    // SAFETY: asks for the version.
    unsafe { syscall(SYS_landlock_create_ruleset, 0, 0, 1) }
}

#[test]
fn writers_open_what_they_write_and_nothing_else() {
    if landlock_version() < 1 {
        eprintln!("this kernel has no Landlock");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let seen = in_child(|| {
        close(&[directory.path()]).unwrap();
        let (own, renamed) = (directory.path().join("own"), directory.path().join("renamed"));
        let look = move || {
            fs::write(&own, "written").unwrap();
            fs::rename(&own, &renamed).unwrap();
            assert_eq!(fs::read(&renamed).unwrap(), b"written");
            let refused = fs::read("/proc/self/environ").unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(EACCES));
        };
        look();
        threads::spawn(Kind::FileServer, Builder::new(), || drop(fs::read("/proc/self/environ").unwrap()))
            .unwrap()
            .join()
            .unwrap();
    });
    assert_eq!(seen, (None, 0));
}

/// From its second version on, which knows how files move, Landlock binds them, too.
#[test]
fn who_serves_files_moves_them_and_mounts_nothing() {
    if landlock_version() < 2 {
        eprintln!("this kernel's Landlock knows no moving");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let served = || {
        close(&[]).unwrap();
        let place = directory.path().to_owned();
        let serve = move || {
            for name in ["a", "b"] {
                fs::create_dir(place.join(name)).unwrap();
            }
            fs::write(place.join("a/file"), "").unwrap();
            fs::rename(place.join("a/file"), place.join("b/file")).unwrap();
            fs::hard_link(place.join("b/file"), place.join("a/link")).unwrap();
            let mounted = rustix::mount::mount_bind(&place, place.join("a"));
            assert_eq!(mounted, Err(rustix::io::Errno::PERM));
        };
        threads::spawn(Kind::FileServer, Builder::new(), serve).unwrap().join().unwrap();
    };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(Child::start_with(Settings { filters: false }, served).end(), (None, 0));
}
