//! What happens when a thread calls what it may not: the keeper is told, and the VMM ends.

use std::{
    io,
    os::fd::RawFd,
    sync::atomic::{AtomicI32, Ordering},
};

/// Where the keeper listens.
static KEEPER: AtomicI32 = AtomicI32::new(-1);

/// The exit status; the keeper knows by what it was told.
const STATUS: i32 = 1;
/// Bytes of a thread's name with the NUL (`TASK_COMM_LEN`).
const NAME: usize = 16;

/// Handles SIGSYS, which the kernel sends for a call that a filter refuses.
pub fn handle(keeper: RawFd) -> io::Result<()> {
    KEEPER.store(keeper, Ordering::SeqCst);
    // SAFETY: all zeroes is a valid `sigaction`, whose fields are set as sigaction(2) wants them for a handler with three
    // arguments; the handler calls nothing that is not safe in one.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_violation as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn on_violation(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let mut name = [0_u8; NAME];
    // SAFETY: the kernel passes a valid `info`, whose part for SIGSYS it has filled; the name's buffer is as long as
    // prctl(2) wants it. Memory and descriptors of the thread that was interrupted stay as they are.
    unsafe {
        let syscall = (*info.cast::<SysInfo>()).syscall;
        libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr());
        let mut word = Word::default();
        word.compose(&name, syscall);
        libc::write(KEEPER.load(Ordering::SeqCst), word.bytes.as_ptr().cast(), word.length);
        libc::_exit(STATUS);
    }
}

/// `siginfo_t` as far as SIGSYS fills it (sigaction(2)).
#[repr(C)]
struct SysInfo {
    signal: i32,
    error: i32,
    code: i32,
    padding: i32,
    address: usize,
    syscall: i32,
}

/// The keeper's `Word::Violation`, composed without allocating.
struct Word {
    bytes: [u8; 128],
    length: usize,
}

impl Default for Word {
    fn default() -> Self {
        Word { bytes: [0; 128], length: 0 }
    }
}

impl Word {
    fn compose(&mut self, name: &[u8], syscall: i32) {
        self.push(b"{\"Violation\":{\"thread\":\"");
        // Our names need no escaping; what else there may be is left out.
        for byte in name.iter().take_while(|byte| **byte != 0) {
            if byte.is_ascii_alphanumeric() || b"-_: ".contains(byte) {
                self.push(&[*byte]);
            }
        }
        self.push(b"\",\"syscall\":");
        self.push_number(syscall);
        self.push(b"}}");
    }

    fn push_number(&mut self, number: i32) {
        let mut digits = [0; 11];
        let mut rest = number.unsigned_abs();
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            self.push(b"-");
        }
        self.push(&digits[at..]);
    }

    fn push(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keeper_understands_it() {
        for (name, syscall, expected) in [("fs-0\0\0", 41, "fs-0"), ("a\"\\\n\0", i32::MIN, "a"), ("", 0, "")]
        {
            let mut word = Word::default();
            word.compose(name.as_bytes(), syscall);
            let value: serde_json::Value = serde_json::from_slice(&word.bytes[..word.length]).unwrap();
            assert_eq!(value, serde_json::json!({"Violation": {"thread": expected, "syscall": syscall}}));
        }
    }
}
