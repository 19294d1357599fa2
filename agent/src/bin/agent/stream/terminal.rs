//! The pseudo-terminal of an interactive app, in a devpts that becomes the app's own.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use agent::protocol::WindowSize;
use nix::libc;
use nix::mount::{MsFlags, mount};

use super::set_nonblocking;
use crate::layout::TERMINALS;
use crate::root::DEVPTS;

nix::ioctl_write_ptr_bad!(set_window_size, libc::TIOCSWINSZ, libc::winsize);
nix::ioctl_write_ptr_bad!(set_lock, libc::TIOCSPTLCK, libc::c_int);
nix::ioctl_read_bad!(get_number, libc::TIOCGPTN, libc::c_uint);

/// The agent's side of a terminal.
#[derive(Debug)]
pub struct Terminal {
    master: OwnedFd,
    devpts: PathBuf,
    device: PathBuf,
}

impl Terminal {
    /// Makes a terminal in a new devpts.
    pub fn open(app: &str, size: WindowSize) -> io::Result<Self> {
        let devpts = Path::new(TERMINALS).join(app);
        fs::create_dir(&devpts)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        mount(Some("devpts"), &devpts, Some("devpts"), flags, Some(DEVPTS))?;
        let master = File::from(open_terminal(&devpts.join("ptmx"))?);
        let mut number = 0;
        // SAFETY: the descriptor is an open ptmx, the pointers those of live values of the ioctls' types.
        unsafe {
            set_lock(master.as_raw_fd(), &0)?;
            get_number(master.as_raw_fd(), &mut number)?;
        }
        set_nonblocking(&master)?;
        let device = devpts.join(number.to_string());
        let terminal = Self { master: master.into(), devpts, device };
        terminal.resize(size)?;
        Ok(terminal)
    }

    /// Changes the size; the foreground process group gets SIGWINCH.
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is a terminal, the pointer that of a live winsize.
        unsafe { set_window_size(self.master.as_raw_fd(), &size)? };
        Ok(())
    }

    /// The master side.
    pub fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// The mounted devpts.
    pub fn devpts(&self) -> &Path {
        &self.devpts
    }

    /// The app's side.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// Opens the app's side without making it the controlling terminal of the agent.
    pub fn open_device(&self) -> io::Result<OwnedFd> {
        open_terminal(&self.device)
    }
}

fn open_terminal(path: &Path) -> io::Result<OwnedFd> {
    Ok(OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path)?.into())
}
