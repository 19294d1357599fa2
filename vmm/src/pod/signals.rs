//! Signals to stage1, as events of the loop; and the ways it can end.

use std::{
    fmt, io,
    mem::{self, MaybeUninit, size_of},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    process, ptr,
};

use libc::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH, c_int, sigset_t};
use serde::{Deserialize, Serialize};

/// What `stop` sends: an end that is wanted, so that what the apps make of it is no failure.
/// The same signal asks a systemd in a container to halt (`systemd(1)`, SIGRTMIN+3).
pub fn stop_signal() -> c_int {
    libc::SIGRTMIN() + 3
}

/// A signal, as far as a pod cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// SIGTERM, SIGINT, SIGQUIT or SIGHUP, by number.
    Terminate(c_int),
    /// `stop` was called.
    Stop,
    /// The terminal changed its size.
    Resized,
    /// Somebody wants the process suspended while its terminal is in raw mode.
    Suspend,
}

impl Received {
    /// What a signal of this number means.
    pub fn of(number: c_int) -> Self {
        match number {
            SIGWINCH => Received::Resized,
            SIGTSTP => Received::Suspend,
            number if number == stop_signal() => Received::Stop,
            number => Received::Terminate(number),
        }
    }

    /// The signal's number.
    pub fn number(self) -> c_int {
        match self {
            Received::Terminate(number) => number,
            Received::Stop => stop_signal(),
            Received::Resized => SIGWINCH,
            Received::Suspend => SIGTSTP,
        }
    }
}

/// The signals the pod reacts to, blocked for all threads and read here.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
    blocked: SignalSet,
}

/// A set of signals.
#[derive(Clone, Copy)]
struct SignalSet(sigset_t);

impl fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignalSet")
    }
}

impl Signals {
    /// Blocks the signals. Must come before any thread is started, since threads inherit what is blocked.
    ///
    /// Signals that were ignored stay so: `nohup rkt run` survives its terminal. `terminal` adds what only
    /// matters to somebody who put a terminal in raw mode.
    pub fn block(terminal: bool) -> io::Result<Self> {
        let mut set = SignalSet::empty();
        let mut wanted = vec![SIGTERM, SIGINT, SIGQUIT, SIGHUP, stop_signal()];
        if terminal {
            wanted.extend([SIGWINCH, SIGTSTP]);
        }
        for signal in wanted {
            if !is_ignored(signal)? {
                set.add(signal);
            }
        }
        set.change_mask(libc::SIG_BLOCK)?;
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        let number = unsafe { libc::signalfd(-1, &set.0, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so the descriptor is ours.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        Ok(Signals { descriptor, blocked: set })
    }

    /// The next signal that waits, if any.
    pub fn next(&self) -> Option<Received> {
        let mut buffer = [0; size_of::<libc::signalfd_siginfo>()];
        let length = rustix::io::read(&self.descriptor, &mut buffer).ok()?;
        let number = buffer[..length].first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))?;
        Some(Received::of(number))
    }

    /// Leaves them blocked for good, and to others.
    pub fn give_up(self) {
        // Not closed: that is for who closes every descriptor that the process does not need.
        mem::forget(self);
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Signals {
    /// Signals do again what they do by default: once nobody listens, a stage1 that cannot end must be killable.
    fn drop(&mut self) {
        // The mask that was set can be unset.
        let _ = self.blocked.change_mask(libc::SIG_UNBLOCK);
    }
}

impl SignalSet {
    fn empty() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set and cannot fail on a valid pointer.
        SignalSet(unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            set.assume_init()
        })
    }

    fn add(&mut self, signal: c_int) {
        // SAFETY: the set is initialised; an invalid number would only be refused.
        unsafe { libc::sigaddset(&mut self.0, signal) };
    }

    /// Blocks or unblocks the signals for this thread and those it starts.
    fn change_mask(&self, how: c_int) -> io::Result<()> {
        // SAFETY: the set is initialised; the old mask is not asked for.
        match unsafe { libc::pthread_sigmask(how, &self.0, ptr::null_mut()) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// How stage1 ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// With an exit status, 0 to 255.
    Status(i32),
    /// By SIGTERM, as an ordinary program that received it would: to a shell the same as status 143, to systemd a
    /// clean end.
    Terminated,
}

impl Ending {
    /// Ends the process.
    pub fn end(self) -> ! {
        match self {
            Ending::Status(status) => process::exit(status),
            Ending::Terminated => die_of(SIGTERM),
        }
    }
}

/// Stops this process, as the terminal's suspend character would have; returns when it is continued.
pub fn suspend() {
    // SAFETY: raising a signal touches no memory of ours.
    unsafe { libc::raise(libc::SIGSTOP) };
}

fn die_of(signal: c_int) -> ! {
    // SAFETY: the number is valid; the default action ends the process, with nothing of ours running that would mind.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
    // Not reached unless the signal is blocked elsewhere.
    process::exit(128 + signal)
}

fn is_ignored(signal: c_int) -> io::Result<bool> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: only queries; the kernel fills `action` on success.
    let result = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: filled by the successful call.
    Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_signals_are_read() {
        let signals = Signals::block(true).unwrap();
        assert_eq!(signals.next(), None);
        for (number, received) in [
            (SIGTERM, Received::Terminate(SIGTERM)),
            (SIGWINCH, Received::Resized),
            (SIGTSTP, Received::Suspend),
            (stop_signal(), Received::Stop),
        ] {
            // SAFETY: the signal is blocked in this thread, which it is raised for.
            unsafe { libc::raise(number) };
            assert_eq!(signals.next(), Some(received));
        }
        assert_eq!(signals.next(), None);
    }
}
