//! Bytes between the standard streams of this process and those of the command, by a thread per direction.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use agent::protocol::StreamKind;
use rustix::event::{EventfdFlags, eventfd};

use crate::pod::{
    streams::{HostStdio, Progress, pump_in, pump_out, pump_typed},
    terminal,
};

/// The threads of a command's streams.
#[derive(Debug)]
pub struct Relay {
    stdio: HostStdio,
    started: Vec<StreamKind>,
    outputs: Vec<JoinHandle<()>>,
    left: Arc<Left>,
}

/// Whether the user typed the escape.
#[derive(Debug)]
struct Left {
    typed: AtomicBool,
    event: OwnedFd,
}

impl Relay {
    /// No stream yet.
    pub fn new(stdio: HostStdio) -> io::Result<Self> {
        let left = Left {
            typed: AtomicBool::new(false),
            event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        };
        Ok(Relay { stdio, started: Vec::new(), outputs: Vec::new(), left: Arc::new(left) })
    }

    /// Whether the user typed the escape: he wants out, whatever the command does. [`Relay`]'s descriptor is readable
    /// then.
    pub fn was_left(&self) -> bool {
        self.left.typed.load(Ordering::Acquire)
    }

    /// Connects a stream of the command; each kind once.
    pub fn start(&mut self, kind: StreamKind, socket: UnixStream) -> io::Result<()> {
        if self.started.contains(&kind) {
            return Ok(());
        }
        self.started.push(kind);
        match kind {
            StreamKind::Stdin => {
                let stdin = self.stdio.stdin;
                // It ends with the process: the user's input may never.
                thread::Builder::new().spawn(move || pump_in(stdin, &socket)).map(drop)
            }
            StreamKind::Stdout => self.start_output(socket, self.stdio.stdout),
            StreamKind::Stderr => self.start_output(socket, self.stdio.stderr),
            StreamKind::Tty => {
                terminal::enter_raw_mode()?;
                self.start_typing(socket.try_clone()?)?;
                self.start_output(socket, self.stdio.stdout)
            }
        }
    }

    fn start_output(&mut self, socket: UnixStream, to: BorrowedFd<'static>) -> io::Result<()> {
        let pump = move || {
            // The command has been told by the closed stream, and its status says what it made of that.
            let _ = pump_out(&socket, to, &Progress::default(), |_| {});
        };
        self.outputs.push(thread::Builder::new().spawn(pump)?);
        Ok(())
    }

    fn start_typing(&mut self, socket: UnixStream) -> io::Result<()> {
        let (stdin, left) = (self.stdio.stdin, self.left.clone());
        let pump = move || {
            if pump_typed(stdin, &socket) {
                left.typed.store(true, Ordering::Release);
                // The counter is far from full.
                let _ = rustix::io::write(&left.event, &1u64.to_ne_bytes());
            }
        };
        thread::Builder::new().spawn(pump).map(drop)
    }

    /// Waits until everything the command wrote has been passed on.
    pub fn finish(self) {
        for output in self.outputs {
            // A panic has been reported.
            let _ = output.join();
        }
    }
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.left.event.as_fd()
    }
}
