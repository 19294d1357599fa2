//! An app that says what fanotify(7) tells of files, each with a mark of its own: `marked PATH...` prints `ready`, then a line for each
//! event, as `NAME FLAG,FLAG…` of the file that was changed.

use std::env;
use std::ffi::CString;
use std::fs::{File, read_link};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};

const FLAGS: [(u64, &str); 2] = [(libc::FAN_MODIFY, "MODIFY"), (libc::FAN_CLOSE_WRITE, "CLOSE_WRITE")];
/// `struct fanotify_event_metadata`.
const METADATA: usize = 24;

fn main() -> io::Result<()> {
    // SAFETY: numbers only.
    let group = checked(unsafe { libc::fanotify_init(libc::FAN_CLASS_NOTIF, libc::O_RDONLY as u32) })?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let mut group = unsafe { File::from_raw_fd(group) };
    let mask = FLAGS.iter().fold(libc::FAN_EVENT_ON_CHILD, |all, (flag, _)| all | flag);
    for path in env::args().skip(1) {
        let path = CString::new(path)?;
        let (group, add) = (group.as_raw_fd(), libc::FAN_MARK_ADD);
        // SAFETY: the path is a live string.
        checked(unsafe { libc::fanotify_mark(group, add, mask, libc::AT_FDCWD, path.as_ptr()) })?;
    }
    println!("ready");
    let mut buffer = [0; 4 << 10];
    loop {
        let length = group.read(&mut buffer)?;
        buffer[..length].chunks_exact(METADATA).for_each(tell);
    }
}

fn tell(event: &[u8]) {
    let mask = u64::from_ne_bytes(*event[8..].first_chunk().expect("a mask"));
    let descriptor = i32::from_ne_bytes(*event[16..].first_chunk().expect("a descriptor"));
    // SAFETY: the event's descriptor, which nobody else knows.
    let file = unsafe { File::from_raw_fd(descriptor) };
    let path = read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("a path");
    let name = path.file_name().unwrap_or_default().display();
    let flags: Vec<&str> = FLAGS.iter().filter(|(flag, _)| mask & flag != 0).map(|(_, name)| *name).collect();
    println!("{name} {}", flags.join(","));
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
