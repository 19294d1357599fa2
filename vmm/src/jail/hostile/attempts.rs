//! What is tried. Each leaves the thread able to go on, even where it succeeds.

use std::ffi::CStr;

use libc::*;

use super::{call, files, made, text};

/// A way out.
pub struct Attempt {
    /// For the test that knows what must come of it.
    pub name: &'static str,
    /// The number of the system call that matters.
    pub call: c_long,
    /// Tries it: 0, or the error's number.
    pub run: fn() -> i32,
}

const fn attempt(name: &'static str, call: c_long, run: fn() -> i32) -> Attempt {
    Attempt { name, call, run }
}

/// All of them; what gives the thread another view of the world comes last.
pub const ATTEMPTS: &[Attempt] = &[
    attempt("open-absolute", SYS_openat, files::absolute),
    attempt("open-parents", SYS_openat, files::parents),
    attempt("open-parents-of-descriptors", SYS_openat, files::parents_of_descriptors),
    attempt("open-root-of-init", SYS_openat, files::root_of_init),
    attempt("open-own-process", SYS_openat, files::own_process),
    attempt("open-memory", SYS_openat, files::memory),
    attempt("open-device", SYS_openat, files::device),
    attempt("open-by-handle", SYS_open_by_handle_at, files::by_handle),
    attempt("write-root", SYS_openat, files::write_root),
    attempt("make-device", SYS_mknodat, files::make_device),
    attempt("make-device-in-root", SYS_mknodat, files::make_device_in_root),
    attempt("execute", SYS_execve, files::execute),
    attempt("trace-init", SYS_ptrace, || call(SYS_ptrace, [PTRACE_SEIZE.into(), 1, 0, 0, 0])),
    attempt("trace-parent", SYS_ptrace, || call(SYS_ptrace, [PTRACE_SEIZE.into(), parent(), 0, 0, 0])),
    attempt("read-parent", SYS_process_vm_readv, read_parent),
    attempt("signal-everybody", SYS_kill, || call(SYS_kill, [-1, SIGCONT.into(), 0, 0, 0])),
    attempt("signal-parent", SYS_tgkill, || call(SYS_tgkill, [parent(), parent(), SIGKILL.into(), 0, 0])),
    attempt("signal-by-descriptor", SYS_pidfd_send_signal, files::signal_by_descriptor),
    attempt("pidfd-of-parent", SYS_pidfd_open, || call(SYS_pidfd_open, [parent(), 0, 0, 0, 0])),
    attempt("connect-tcp", SYS_socket, || connect(AF_INET, &internet(), size_of::<sockaddr_in>())),
    attempt("connect-abstract", SYS_socket, || connect_unix(c"", c"rkt-hostile-hook")),
    attempt("connect-path", SYS_socket, || connect_unix(c"/run/rkt-hostile-hook", c"")),
    attempt("socket-packet", SYS_socket, || socket(AF_PACKET, SOCK_RAW).map_or_else(|errno| errno, |_| 0)),
    attempt("chroot", SYS_chroot, || call(SYS_chroot, [text(c"/stage1"), 0, 0, 0, 0])),
    attempt("setns", SYS_setns, files::enter_namespace),
    attempt("unshare-user", SYS_unshare, || call(SYS_unshare, [CLONE_NEWUSER.into(), 0, 0, 0, 0])),
    attempt("capabilities", SYS_capset, capabilities),
    attempt("init-module", SYS_init_module, || call(SYS_init_module, [0; 5])),
    attempt("finit-module", SYS_finit_module, || call(SYS_finit_module, [-1, 0, 0, 0, 0])),
    attempt("kexec", SYS_kexec_load, || call(SYS_kexec_load, [0; 5])),
    attempt("reboot", SYS_reboot, reboot),
    attempt("clock", SYS_settimeofday, || call(SYS_settimeofday, [0; 5])),
    attempt("ports", SYS_iopl, || call(SYS_iopl, [3, 0, 0, 0, 0])),
    attempt("realtime", SYS_sched_setscheduler, realtime),
    attempt("mount", SYS_mount, || {
        call(SYS_mount, [text(c"none"), text(c"/stage1"), text(c"no-such-thing"), 0, 0])
    }),
    attempt("umount", SYS_umount2, || call(SYS_umount2, [text(c"/stage1"), 0, 0, 0, 0])),
    attempt("fsopen", SYS_fsopen, || opened(SYS_fsopen, [text(c"proc"), 1, 0, 0, 0])),
    attempt("pivot-root", SYS_pivot_root, || {
        call(SYS_pivot_root, [text(c"/stage1"), text(c"/stage1"), 0, 0, 0])
    }),
    attempt("bpf", SYS_bpf, bpf),
    attempt("perf", SYS_perf_event_open, perf),
    attempt("unshare-mounts", SYS_unshare, || call(SYS_unshare, [CLONE_NEWNS.into(), 0, 0, 0, 0])),
];

/// A parent in no namespace of ours has the number 0, which calls take for this process or its group.
fn parent() -> c_long {
    // SAFETY: asks only.
    match unsafe { getppid() } {
        0 => c_long::from(i32::MAX),
        parent => parent.into(),
    }
}

/// A word of the parent's memory.
fn read_parent() -> i32 {
    let mut word = [0_u8; size_of::<c_long>()];
    let vector = iovec { iov_base: word.as_mut_ptr().cast(), iov_len: word.len() };
    let at = &raw const vector as c_long;
    call(SYS_process_vm_readv, [parent(), at, 1, at, 1])
}

fn opened(number: c_long, arguments: [c_long; 5]) -> i32 {
    made(number, arguments).map_or_else(|errno| errno, |descriptor| call(SYS_close, [descriptor, 0, 0, 0, 0]))
}

fn socket(family: c_int, kind: c_int) -> Result<c_long, i32> {
    made(SYS_socket, [family.into(), (kind | SOCK_CLOEXEC).into(), 0, 0, 0])
}

fn connect<T>(family: c_int, address: &T, length: usize) -> i32 {
    match socket(family, SOCK_STREAM) {
        Ok(socket) => {
            // Packets may just vanish: then it ends with EINPROGRESS.
            let limit = timeval { tv_sec: 1, tv_usec: 0 };
            let (at, size) = (&raw const limit as c_long, size_of::<timeval>() as c_long);
            call(SYS_setsockopt, [socket, SOL_SOCKET.into(), SO_SNDTIMEO.into(), at, size]);
            let connected =
                call(SYS_connect, [socket, &raw const *address as c_long, length as c_long, 0, 0]);
            call(SYS_close, [socket, 0, 0, 0, 0]);
            connected
        }
        Err(errno) => errno,
    }
}

/// A port of the host's loopback, on which a test listens.
fn internet() -> sockaddr_in {
    sockaddr_in {
        sin_family: AF_INET as sa_family_t,
        sin_port: 48_151_u16.to_be(),
        sin_addr: in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    }
}

/// A socket of the host, by its path or by its abstract name.
fn connect_unix(path: &CStr, name: &CStr) -> i32 {
    let mut address = sockaddr_un { sun_family: AF_UNIX as sa_family_t, sun_path: [0; 108] };
    // Abstract names begin with a NUL.
    let bytes = if path.is_empty() { [&[0], name.to_bytes()] } else { [path.to_bytes(), &[0]] };
    let bytes = bytes.into_iter().flatten();
    let mut length = size_of::<sa_family_t>();
    for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
        *place = *byte as c_char;
        length += 1;
    }
    connect(AF_UNIX, &address, length)
}

/// All there are, for this thread.
fn capabilities() -> i32 {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let sets = [u32::MAX, u32::MAX, 0, 0x1ff, 0x1ff, 0];
    call(SYS_capset, [header.as_ptr() as c_long, sets.as_ptr() as c_long, 0, 0, 0])
}

/// Asks for the key combination to be a signal, which is the least that takes this right.
fn reboot() -> i32 {
    let magic = [LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF];
    let [first, second, command] = magic.map(|number| c_long::from(number as u32));
    call(SYS_reboot, [first, second, command, 0, 0])
}

fn realtime() -> i32 {
    let priority = sched_param { sched_priority: 1 };
    call(SYS_sched_setscheduler, [0, SCHED_FIFO.into(), &raw const priority as c_long, 0, 0])
}

/// An array with one entry.
fn bpf() -> i32 {
    const MAP_CREATE: c_long = 0;
    const ARRAY: u32 = 2;
    let attributes: [u32; 32] = std::array::from_fn(|index| match index {
        0 => ARRAY,
        1 | 2 => 4,
        3 => 1,
        _ => 0,
    });
    let length = size_of_val(&attributes) as c_long;
    opened(SYS_bpf, [MAP_CREATE, attributes.as_ptr() as c_long, length, 0, 0])
}

/// The first processor's switches of context, whoever runs there.
fn perf() -> i32 {
    const SOFTWARE: u32 = 1;
    const CONTEXT_SWITCHES: u32 = 3;
    let attributes: [u32; 28] = std::array::from_fn(|index| match index {
        0 => SOFTWARE,
        1 => 112,
        2 => CONTEXT_SWITCHES,
        _ => 0,
    });
    opened(SYS_perf_event_open, [attributes.as_ptr() as c_long, -1, 0, -1, 0])
}
