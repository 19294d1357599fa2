//! Hears of calls that begin to watch a file: a system call filter (seccomp_unotify(2)) that the agent's children inherit.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::{self, sock_filter, sock_fprog};

use super::call::Call;

/// `AUDIT_ARCH_X86_64` of `include/uapi/linux/audit.h`.
const ARCHITECTURE: u32 = 0xc000_003e;
/// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

/// Where calls are heard of.
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// Has calls that begin to watch a file wait until the listener lets them go on, in this thread and all it starts.
pub fn install() -> io::Result<OwnedFd> {
    let code = filter();
    let program = sock_fprog { len: code.len() as u16, filter: code.as_ptr().cast_mut() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: the pointers are those of a live program, which the kernel only reads.
    let listener =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    let listener = Errno::result(listener)?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(listener as i32) })
}

fn filter() -> [sock_filter; 7] {
    let instruction = |code: u32, k: u32, jt: u8, jf: u8| sock_filter { code: code as u16, jt, jf, k };
    let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    let unless = |value: u32, skip| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, 0, skip);
    let when = |value: u32, skip| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, skip, 0);
    let ret = |value| instruction(libc::BPF_RET | libc::BPF_K, value, 0, 0);
    [
        load(ARCHITECTURE_AT),
        unless(ARCHITECTURE, 3),
        load(NUMBER_AT),
        when(libc::SYS_inotify_add_watch as u32, 2),
        when(libc::SYS_fanotify_mark as u32, 1),
        ret(libc::SECCOMP_RET_ALLOW),
        ret(libc::SECCOMP_RET_USER_NOTIF),
    ]
}

impl Listener {
    /// Hears with what [`install`] made.
    pub fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// A call, when there is one.
    pub fn receive(&self) -> nix::Result<Call> {
        // SAFETY: all-zero bytes are a valid notification, and what the kernel asks for.
        let mut notification: libc::seccomp_notif = unsafe { zeroed() };
        // SAFETY: the kernel writes one notification.
        let result =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification) };
        Errno::result(result)?;
        Ok(Call {
            id: notification.id,
            thread: notification.pid,
            number: notification.data.nr.into(),
            arguments: notification.data.args,
        })
    }

    /// Lets a call go on. That the caller is gone is no error.
    pub fn resume(&self, id: u64) {
        let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        let mut response = libc::seccomp_notif_resp { id, val: 0, error: 0, flags };
        // SAFETY: the kernel reads one response.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the kernel would.
    fn outcome(architecture: u32, number: u32) -> u32 {
        let (code, mut at, mut word) = (filter(), 0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = code[at];
            at += 1;
            match u32::from(code) {
                0x20 => word = if k == NUMBER_AT { number } else { architecture },
                0x15 => at += usize::from(if word == k { jt } else { jf }),
                0x06 => return k,
                other => panic!("{other:#x}"),
            }
        }
    }

    #[test]
    fn two_calls_are_heard_of() {
        let heard: Vec<u32> =
            (0..600).filter(|number| outcome(ARCHITECTURE, *number) != libc::SECCOMP_RET_ALLOW).collect();
        assert_eq!(heard, [254, 301]);
        assert_eq!(outcome(ARCHITECTURE, 254), libc::SECCOMP_RET_USER_NOTIF);
        assert_eq!(outcome(0x4000_0003, 254), libc::SECCOMP_RET_ALLOW, "i386");
    }
}
