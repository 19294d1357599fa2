//! Child processes that may fail before they execute a program.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{ForkResult, Pid, fork, pipe2};

use super::execute::Failure;
use super::sockets::aside;
use crate::OPEN_FILES;
use crate::stream::set_nonblocking;

/// The longest line a child may report, in bytes.
const MAX_REPORT: usize = 8 << 10;

/// What a child says about its start: nothing if it executes its program, else a line.
#[derive(Debug)]
pub struct Report {
    pipe: Option<File>,
    line: Vec<u8>,
}

impl Report {
    /// The descriptor to wait for, until the report is complete.
    pub fn interest(&self) -> Option<RawFd> {
        self.pipe.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Reads what is there; whether the report is complete.
    pub fn advance(&mut self) -> bool {
        let Some(pipe) = &mut self.pipe else { return true };
        let mut chunk = [0; 1024];
        loop {
            match pipe.read(&mut chunk) {
                Ok(count) if count > 0 && self.line.len() < MAX_REPORT => {
                    self.line.extend(&chunk[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Ok(_) | Err(_) => break,
            }
        }
        self.pipe = None;
        true
    }

    /// Waits for the whole report.
    pub fn wait(mut self) -> Option<String> {
        let mut text = String::new();
        let pipe = self.pipe.take()?;
        let flags = nix::fcntl::FcntlArg::F_SETFL(OFlag::empty());
        let _ = nix::fcntl::fcntl(&pipe, flags);
        let _ = pipe.take(MAX_REPORT as u64).read_to_string(&mut text);
        Some(text).filter(|text| !text.is_empty())
    }

    /// The line, if there is one.
    pub fn line(&self) -> Option<String> {
        (!self.line.is_empty()).then(|| String::from_utf8_lossy(&self.line).into_owned())
    }
}

/// Forks a process that runs `child`, which returns only if it could not execute its program.
pub fn spawn(child: impl FnOnce() -> Failure) -> io::Result<(Pid, Report)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    set_nonblocking(&reader)?;
    let writer = aside(writer)?;
    // SAFETY: of locks, the agent's other threads take the allocator's alone, which fork(3) sees to.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok((child, Report { pipe: Some(reader.into()), line: Vec::new() })),
        ForkResult::Child => {
            drop(reader);
            // The agent itself may have more. Programs can live with fewer.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES.0, OPEN_FILES.1);
            let failure = child();
            let _ = File::from(writer).write_all(failure.line.as_bytes());
            // SAFETY: ends the process without running what belongs to the parent.
            unsafe { libc::_exit(failure.status) }
        }
    }
}
