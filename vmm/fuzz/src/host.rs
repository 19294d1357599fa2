//! Another process of the host, which changes a directory: what this one does is the guest's own.

use std::{
    ffi::CString,
    io::{Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::Path,
};

use arbitrary::Arbitrary;

/// Names in the directory, and one outside.
const NAMES: [&str; 9] = ["a", "b", "d", "e", "d/a", "d/b", "d/e", "d/e/a", "../out"];

/// Something that the host does.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Act {
    what: What,
    name: u8,
    other: u8,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
#[repr(u8)]
enum What {
    Write,
    Chmod,
    Mkdir,
    Unlink,
    Rmdir,
    Rename,
    Exchange,
    Link,
    Symlink,
    Fifo,
    Truncate,
}

const ALL: [What; 11] = [
    What::Write,
    What::Chmod,
    What::Mkdir,
    What::Unlink,
    What::Rmdir,
    What::Rename,
    What::Exchange,
    What::Link,
    What::Symlink,
    What::Fifo,
    What::Truncate,
];

/// The process.
pub struct Host(UnixStream);

impl Host {
    /// One that works in a directory, and ends with this process.
    pub fn new(directory: &Path) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let directory = CString::new(directory.as_os_str().as_encoded_bytes()).expect("a path");
        let names = NAMES.map(|name| CString::new(name).expect("a name"));
        // SAFETY: what the child does until it ends are system calls on what has been made before.
        match unsafe { libc::fork() } {
            -1 => panic!("{}", std::io::Error::last_os_error()),
            0 => run(&directory, &names, theirs.as_raw_fd(), ours.as_raw_fd()),
            _ => Host(ours),
        }
    }

    /// Has it do something; it may fail.
    pub fn act(&mut self, act: Act) {
        let words = [act.what as u8, act.name % NAMES.len() as u8, act.other % NAMES.len() as u8];
        self.0.write_all(&words).expect("the host's process");
        self.0.read_exact(&mut [0]).expect("the host's process");
    }
}

fn run(directory: &CString, names: &[CString; NAMES.len()], orders: i32, others: i32) -> ! {
    // SAFETY: descriptors of this process, which nothing here owns, and paths that live as long as it.
    unsafe {
        libc::close(others);
        if libc::chdir(directory.as_ptr()) != 0 {
            libc::_exit(1);
        }
        let mut order = [0u8; 3];
        while libc::read(orders, order.as_mut_ptr().cast(), order.len()) == order.len() as isize {
            obey(ALL[usize::from(order[0])], &names[usize::from(order[1])], &names[usize::from(order[2])]);
            libc::write(orders, order.as_ptr().cast(), 1);
        }
        libc::_exit(0)
    }
}

fn obey(what: What, name: &CString, other: &CString) {
    let (here, name, other) = (libc::AT_FDCWD, name.as_ptr(), other.as_ptr());
    // SAFETY: live strings; a descriptor is closed by whom it was opened. That it fails is as good.
    let _ = unsafe {
        match what {
            What::Write => write(name),
            What::Chmod => libc::chmod(name, 0o755),
            What::Mkdir => libc::mkdir(name, 0o755),
            What::Unlink => libc::unlink(name),
            What::Rmdir => libc::rmdir(name),
            What::Rename => libc::rename(name, other),
            What::Exchange => libc::renameat2(here, name, here, other, libc::RENAME_EXCHANGE),
            What::Link => libc::link(name, other),
            What::Symlink => libc::symlink(c"a".as_ptr(), name),
            What::Fifo => libc::mkfifo(name, 0o644),
            What::Truncate => libc::truncate(name, 0),
        }
    };
}

/// # Safety
///
/// The name is a live string.
unsafe fn write(name: *const libc::c_char) -> i32 {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_NONBLOCK | libc::O_NOFOLLOW;
    // SAFETY: as the caller promises; the descriptor belongs to nobody else.
    unsafe {
        let file = libc::open(name, flags, 0o644);
        if file >= 0 {
            libc::write(file, c"x".as_ptr().cast(), 1);
            libc::close(file);
        }
        file
    }
}
