//! A terminal with a program in it, as a user would sit before it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::wait;

/// A program that has a terminal of its own as its controlling one; dropping it kills the program.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    /// What the user types goes in here.
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    limit: Instant,
}

impl Terminal {
    /// Starts `command` in a terminal of so many rows and columns.
    ///
    /// # Panics
    /// When it cannot start.
    #[track_caller]
    pub fn start(command: &Command, (rows, columns): (u16, u16), limit: Duration) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&keyboard).and_then(|()| unlockpt(&keyboard)).expect("an unlocked terminal");
        set_size(&keyboard, rows, columns);
        let inside: File = ioctl_tiocgptpeer(&keyboard, OpenptFlags::RDWR | OpenptFlags::NOCTTY)
            .expect("its other end")
            .into();
        let keyboard = File::from(keyboard);
        let duplicate = || inside.try_clone().expect("a second descriptor");
        // It is no leader of a process group, so that setsid becomes the command without a fork.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(duplicate())
            .stdout(duplicate())
            .stderr(duplicate())
            .spawn()
            .unwrap_or_else(|error| panic!("Cannot start {command:?}: {error}"));
        let screen = Arc::new(Mutex::new(Vec::new()));
        watch(keyboard.try_clone().expect("a second descriptor"), Arc::clone(&screen));
        Self { child, keyboard, screen, limit: Instant::now() + limit }
    }

    /// What has been shown so far.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().expect("the screen")).into_owned()
    }

    /// Waits until `text` has been shown.
    ///
    /// # Panics
    /// When its time is over before that.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        while !self.screen().contains(text) {
            assert!(Instant::now() < self.limit, "\"{text}\" never came:\n{}", self.screen());
            std::thread::sleep(wait::STEP);
        }
    }

    /// Types.
    ///
    /// # Panics
    /// When nobody has the terminal open any more.
    #[track_caller]
    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("type");
    }

    /// Changes the terminal's size.
    ///
    /// # Panics
    /// When that is refused.
    pub fn resize(&self, rows: u16, columns: u16) {
        set_size(&self.keyboard, rows, columns);
    }

    /// How the terminal is set up.
    ///
    /// # Panics
    /// When it does not tell.
    pub fn modes(&self) -> Termios {
        tcgetattr(&self.keyboard).expect("the terminal's modes")
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the program's end: its exit status, 128 + N when signal N killed it.
    ///
    /// # Panics
    /// When its time is over before that.
    #[track_caller]
    pub fn finish(&mut self) -> i32 {
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for a child") {
                return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            }
            assert!(Instant::now() < self.limit, "Not ended in time:\n{}", self.screen());
            std::thread::sleep(wait::STEP);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects what is shown, until the last program has closed the terminal.
fn watch(mut terminal: File, screen: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = terminal.read(&mut buffer) {
            screen.lock().expect("the screen").extend_from_slice(&buffer[..length]);
        }
    });
}

fn set_size(terminal: impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("set the terminal's size");
}
