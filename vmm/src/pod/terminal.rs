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
const DEFAULT_SIZE: WindowSize = WindowSize { rows: 24, columns: 80 };

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
    let mut saved = saved();
    let before = match saved.take() {
        Some(before) => before,
        None => tcgetattr(stdin())?,
    };
    let mut raw = before.clone();
    raw.make_raw();
    *saved = Some(before);
    tcsetattr(stdin(), OptionalActions::Now, &raw)?;
    RAW.store(true, Ordering::Relaxed);
    Ok(())
}

/// Puts the terminal back as it was; nothing happens if it was never changed. [`enter_raw_mode`] may follow.
pub fn restore() {
    let saved = saved();
    let Some(before) = saved.as_ref() else { return };
    // From the background the call would stop the process; whoever is in the foreground has set the terminal up.
    if RAW.swap(false, Ordering::Relaxed) && in_foreground(stdin()) {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(stdin(), OptionalActions::Now, before);
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
