//! The pseudo-terminals of interactive apps, each in a devpts that becomes the app's own, and of commands in apps.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use agent::protocol::WindowSize;
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{fstat, makedev};
use nix::unistd::Pid;

use super::set_nonblocking;
use crate::layout::TERMINALS;
use crate::root::{DEVPTS, Root, through};

nix::ioctl_write_ptr_bad!(set_window_size, libc::TIOCSWINSZ, libc::winsize);
nix::ioctl_write_ptr_bad!(set_lock, libc::TIOCSPTLCK, libc::c_int);
nix::ioctl_read_bad!(get_number, libc::TIOCGPTN, libc::c_uint);
nix::ioctl_write_int_bad!(open_peer, libc::TIOCGPTPEER);

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
        let master = open_terminal(&devpts.join("ptmx"))?;
        Self::set_up(master, devpts, size)
    }

    /// Makes a terminal in the devpts of a running app, where its programs can find it by name. What the app has made
    /// of its `/dev` is not trusted: whatever is found there need not be a terminal.
    pub fn within(app: Pid, size: WindowSize) -> io::Result<Self> {
        let root = Root::open(Path::new(&format!("/proc/{app}/root/.")))?;
        let found = root.find("/dev/pts/ptmx")?;
        if fstat(&found)?.st_rdev != makedev(5, 2) {
            return Err(Errno::ENOTTY.into());
        }
        let master = open_terminal(&through(&found))?;
        Self::set_up(master, "/dev/pts".into(), size)
    }

    fn set_up(master: OwnedFd, devpts: PathBuf, size: WindowSize) -> io::Result<Self> {
        let mut number = 0;
        // SAFETY: the descriptor is an open ptmx, the pointers those of live values of the ioctls' types.
        unsafe {
            set_lock(master.as_raw_fd(), &0)?;
            get_number(master.as_raw_fd(), &mut number)?;
        }
        set_nonblocking(&master)?;
        let device = devpts.join(number.to_string());
        let terminal = Self { master, devpts, device };
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

    /// The mounted devpts, a path of the agent's or of the app it was found in.
    pub fn devpts(&self) -> &Path {
        &self.devpts
    }

    /// The app's side.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// Opens the app's side without making it the controlling terminal of the agent.
    pub fn open_device(&self) -> io::Result<OwnedFd> {
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        // SAFETY: the descriptor is a terminal's master, the argument a number.
        let device = unsafe { open_peer(self.master.as_raw_fd(), flags) }?;
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(unsafe { OwnedFd::from_raw_fd(device) })
    }
}

fn open_terminal(path: &Path) -> io::Result<OwnedFd> {
    Ok(OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path)?.into())
}
