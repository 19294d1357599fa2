//! The host's terminal, while it belongs to an app.

use std::{
    io, panic,
    sync::{
        Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use agent::protocol::WindowSize;
use rustix::{
    fd::BorrowedFd,
    process::getpgrp,
    stdio::stdin,
    termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr},
};

/// What a terminal that does not know its size is taken for.
pub const DEFAULT_SIZE: WindowSize = WindowSize { rows: 24, columns: 80 };

/// How the terminal was before. Global, since a panic on any thread must find it.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);
static RAW: AtomicBool = AtomicBool::new(false);
static RESTORE_ON_PANIC: Once = Once::new();

/// Whether standard input is a terminal.
pub fn is_terminal() -> bool {
    isatty(stdin())
}

/// Whether the terminal is in raw mode.
pub fn is_raw() -> bool {
    RAW.load(Ordering::Relaxed)
}

/// The size of the terminal.
pub fn size() -> WindowSize {
    match tcgetwinsize(stdin()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            WindowSize { rows: size.ws_row, columns: size.ws_col }
        }
        _ => DEFAULT_SIZE,
    }
}

/// Passes every key on as it is typed: the app's terminal in the guest echoes, edits, and makes signals.
pub fn enter_raw_mode() -> io::Result<()> {
    RESTORE_ON_PANIC.call_once(restore_on_panic);
    enter(stdin())
}

/// Puts the terminal back as it was; nothing happens if it was never changed. [`enter_raw_mode`] may follow.
pub fn restore() {
    leave(stdin());
}

/// Notes how the terminal is, for a process that leaves it to another one.
pub fn remember() {
    if let Ok(before) = tcgetattr(stdin()) {
        *saved() = Some(before);
    }
}

/// Puts the terminal back as [`remember`] found it: the process that had it is gone.
pub fn put_back() {
    if saved().is_some() {
        RAW.store(true, Ordering::Relaxed);
        restore();
    }
}

fn enter(terminal: BorrowedFd<'_>) -> io::Result<()> {
    let mut saved = saved();
    let before = match saved.take() {
        Some(before) => before,
        None => tcgetattr(terminal)?,
    };
    let mut raw = before.clone();
    raw.make_raw();
    *saved = Some(before);
    tcsetattr(terminal, OptionalActions::Now, &raw)?;
    RAW.store(true, Ordering::Relaxed);
    Ok(())
}

fn leave(terminal: BorrowedFd<'_>) {
    let saved = saved();
    let Some(before) = saved.as_ref() else { return };
    // From the background the call would stop the process; whoever is in the foreground has set the terminal up.
    if RAW.swap(false, Ordering::Relaxed) && in_foreground(terminal) {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(terminal, OptionalActions::Now, before);
    }
}

fn in_foreground(terminal: BorrowedFd<'_>) -> bool {
    // A terminal that is not the controlling one knows no background.
    tcgetpgrp(terminal).map_or(true, |group| group == getpgrp())
}

fn restore_on_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        restore();
        report(info);
    }));
}

fn saved() -> MutexGuard<'static, Option<Termios>> {
    SAVED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, FromRawFd, OwnedFd};

    use rustix::termios::LocalModes;

    use super::*;

    fn open_terminal() -> (OwnedFd, OwnedFd) {
        let (mut ours, mut theirs) = (-1, -1);
        let null = std::ptr::null_mut();
        // SAFETY: both numbers are written on success, the rest is optional.
        assert_eq!(unsafe { libc::openpty(&mut ours, &mut theirs, null, null.cast(), null.cast()) }, 0);
        // SAFETY: just opened, and nobody else's.
        unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
    }

    #[test]
    fn raw_and_back_and_again() {
        let (_ours, terminal) = open_terminal();
        let modes = || tcgetattr(&terminal).unwrap().local_modes;
        let before = modes();
        assert!(before.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
        leave(terminal.as_fd());
        assert_eq!(modes(), before);
        for _ in 0..2 {
            enter(terminal.as_fd()).unwrap();
            assert!(is_raw());
            assert!(!modes().intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
            // Entering twice must not take raw mode for what was there before.
            enter(terminal.as_fd()).unwrap();
            leave(terminal.as_fd());
            assert!(!is_raw());
            assert_eq!(modes(), before);
        }
    }
}
