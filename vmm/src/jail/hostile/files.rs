//! Ways to files of the host.

use std::{ffi::CStr, sync::OnceLock};

use libc::*;

use super::{call, made, text};

/// Descriptors that are tried, whatever they are.
const DESCRIPTORS: c_long = 256;
/// The largest handle there is (`MAX_HANDLE_SZ`).
const HANDLE: usize = 128;
/// A file of the pod that is in no share, on the file system of its data directory.
const OUTSIDE: &CStr = c"pod";
/// Up from anywhere.
const UP: &CStr = c"../../../../../../../../../../../../etc/passwd";
/// Made by a test in the volume with this index.
const DEVICE: &CStr = c"/stage1/rootfs/rkt/volumes/0/device";
/// The program of an app.
const PROGRAM: &CStr = c"/stage1/rootfs/opt/stage2/busybox/rootfs/bin/busybox";

/// `struct file_handle` (open_by_handle_at(2)).
#[repr(C)]
struct Handle {
    bytes: c_uint,
    kind: c_int,
    handle: [u8; HANDLE],
}

static HANDLE_OUTSIDE: OnceLock<Handle> = OnceLock::new();

/// Remembers what could as well be guessed: handles are made of small numbers.
pub fn remember() {
    let mut handle = Handle { bytes: HANDLE as c_uint, kind: 0, handle: [0; HANDLE] };
    let mut mount: c_int = 0;
    let at = (&raw mut handle as c_long, &raw mut mount as c_long);
    if call(SYS_name_to_handle_at, [AT_FDCWD.into(), text(OUTSIDE), at.0, at.1, 0]) == 0 {
        let _ = HANDLE_OUTSIDE.set(handle);
    }
}

/// Opens and closes again.
fn open_at(directory: c_long, path: &'static CStr, flags: c_int) -> i32 {
    close(made(SYS_openat, [directory, text(path), (flags | O_CLOEXEC | O_NONBLOCK).into(), 0o600, 0]))
}

fn close(opened: Result<c_long, i32>) -> i32 {
    match opened {
        Ok(descriptor) => call(SYS_close, [descriptor, 0, 0, 0, 0]),
        Err(errno) => errno,
    }
}

/// The path of a file of the host.
pub fn absolute() -> i32 {
    open_at(AT_FDCWD.into(), c"/etc/passwd", O_RDONLY)
}

/// From the working directory upwards.
pub fn parents() -> i32 {
    open_at(AT_FDCWD.into(), UP, O_RDONLY)
}

/// From every directory upwards that is open.
pub fn parents_of_descriptors() -> i32 {
    of_descriptors(|descriptor| open_at(descriptor, UP, O_RDONLY))
}

/// Through the root of the first process.
pub fn root_of_init() -> i32 {
    open_at(AT_FDCWD.into(), c"/proc/1/root/etc/passwd", O_RDONLY)
}

/// The process's own files in /proc.
pub fn own_process() -> i32 {
    open_at(AT_FDCWD.into(), c"/proc/self/mem", O_RDWR)
}

/// Memory of the host.
pub fn memory() -> i32 {
    open_at(AT_FDCWD.into(), c"/dev/mem", O_RDWR)
}

/// A file in the root.
pub fn write_root() -> i32 {
    open_at(AT_FDCWD.into(), c"/rkt-hostile-hook", O_WRONLY | O_CREAT)
}

/// A device that somebody left in a volume.
pub fn device() -> i32 {
    open_at(AT_FDCWD.into(), DEVICE, O_RDWR)
}

/// A device in the volume, and opening it: what became of the one and, if it was made, of the other.
pub fn make_device() -> i32 {
    make_device_at(c"/stage1/rootfs/rkt/volumes/0/made")
}

/// The same in the root.
pub fn make_device_in_root() -> i32 {
    make_device_at(c"/made")
}

fn make_device_at(path: &'static CStr) -> i32 {
    let kernel_memory = makedev(1, 1) as c_long;
    let mode: c_long = (S_IFCHR | 0o600).into();
    match call(SYS_mknodat, [AT_FDCWD.into(), text(path), mode, kernel_memory, 0]) {
        0 => {
            let opened = open_at(AT_FDCWD.into(), path, O_RDWR);
            call(SYS_unlinkat, [AT_FDCWD.into(), text(path), 0, 0, 0]);
            opened
        }
        errno => errno,
    }
}

/// By its handle, on the file system of whatever is open.
pub fn by_handle() -> i32 {
    let Some(handle) = HANDLE_OUTSIDE.get() else { return ENODATA };
    let handle = &raw const *handle as c_long;
    of_descriptors(|descriptor| {
        let flags = (O_RDONLY | O_CLOEXEC).into();
        close(made(SYS_open_by_handle_at, [descriptor, handle, flags, 0, 0]))
    })
}

/// A namespace that a descriptor leads to.
pub fn enter_namespace() -> i32 {
    of_descriptors(|descriptor| call(SYS_setns, [descriptor, 0, 0, 0, 0]))
}

/// A process that a descriptor stands for.
pub fn signal_by_descriptor() -> i32 {
    of_descriptors(|descriptor| call(SYS_pidfd_send_signal, [descriptor, 0, 0, 0, 0]))
}

/// 0 if one leads there; else the refusal that says most.
fn of_descriptors(attempt: impl Fn(c_long) -> i32) -> i32 {
    let mut worst = EBADF;
    for descriptor in 0..DESCRIPTORS {
        match attempt(descriptor) {
            0 => return 0,
            EBADF | ENOTDIR => {}
            EPERM => worst = EPERM,
            errno if worst == EBADF => worst = errno,
            _ => {}
        }
    }
    worst
}

/// A program of an app.
pub fn execute() -> i32 {
    let program = text(PROGRAM);
    let arguments = [program, 0];
    call(SYS_execve, [program, arguments.as_ptr() as c_long, 0, 0, 0])
}
