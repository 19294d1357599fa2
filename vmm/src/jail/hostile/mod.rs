//! A VMM whose threads turn on their host when a test tells them to: only with the feature `hostile-hook`, never in a build that
//! is installed.
//!
//! Whoever breaks out of a guest has one of these threads, in the middle of its work, with the jail closed around it. So has a
//! signal handler. The signal comes with the number of the system calls to try, or 0 for [all of them](attempts::ATTEMPTS), and
//! what came of each is a line on stderr: `hook THREAD ATTEMPT: ERRNO`, 0 for one that succeeded, and at the end `hook THREAD done`.
//! As in any handler, nothing here allocates or waits for a lock.

mod attempts;
mod files;

use std::{ffi::CStr, io, io::Write as _};

/// The number of the signal; below it is that which calls a vCPU, and above it what `rkt stop` sends.
fn signal() -> libc::c_int {
    libc::SIGRTMIN() + 1
}

/// Bytes of a thread's name with the NUL (`TASK_COMM_LEN`).
const NAME: usize = 16;
/// The longest line.
const LINE: usize = 128;

/// From here on the threads of this process listen. To be called while the host can still be seen, by the process's only thread.
pub fn listen() -> io::Result<()> {
    files::remember();
    // SAFETY: all zeroes is a valid `sigaction`, whose fields are set as sigaction(2) wants them for a handler with three
    // arguments; the handler calls nothing that is not safe in one.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigaction(signal(), &raw const action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn on_signal(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `info`, and who sends this signal queues it with a value. The place of `errno` is this
    // thread's, which goes on with what it finds there.
    let (wanted, errno) =
        unsafe { ((*info).si_value().sival_ptr as libc::c_long, *libc::__errno_location()) };
    let mut name = [0_u8; NAME];
    // SAFETY: the buffer is as long as prctl(2) wants it.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    let name = CStr::from_bytes_until_nul(&name).ok().and_then(|name| name.to_str().ok()).unwrap_or_default();
    for attempt in attempts::ATTEMPTS.iter().filter(|attempt| wanted == 0 || attempt.call == wanted) {
        say(format_args!("hook {name} {}: {}\n", attempt.name, (attempt.run)()));
    }
    say(format_args!("hook {name} done\n"));
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

fn say(line: std::fmt::Arguments<'_>) {
    let mut buffer = [0_u8; LINE];
    let mut rest = &mut buffer[..];
    // What does not fit is left out.
    let _ = rest.write_fmt(line);
    let length = LINE - rest.len();
    // SAFETY: so many bytes of the buffer are written to.
    unsafe { libc::write(libc::STDERR_FILENO, buffer.as_ptr().cast(), length) };
}

/// A system call by number; what came of it: 0, or the error's number.
fn call(number: libc::c_long, arguments: [libc::c_long; 5]) -> i32 {
    match made(number, arguments) {
        Ok(_) => 0,
        Err(errno) => errno,
    }
}

/// The sixth argument: flags, where there is one.
const NONE: libc::c_long = 0;

/// A system call by number; what it gave.
fn made(number: libc::c_long, arguments: [libc::c_long; 5]) -> Result<libc::c_long, i32> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: those who call this point to what the system call may read or write, if to anything, and want what it does.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, NONE) };
    // SAFETY: this thread's own.
    if result < 0 { Err(unsafe { *libc::__errno_location() }) } else { Ok(result) }
}

fn text(text: &'static CStr) -> libc::c_long {
    text.as_ptr() as libc::c_long
}
