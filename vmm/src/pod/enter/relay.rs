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

use super::Manner;
use crate::pod::{
    streams::{HostStdio, Progress, pump_in, pump_out, pump_typed},
    terminal,
};

/// The threads of a command's streams.
#[derive(Debug)]
pub struct Relay {
    stdio: HostStdio,
    /// Whether this side may type, and shows what comes.
    input: bool,
    output: bool,
    started: Vec<StreamKind>,
    outputs: Vec<JoinHandle<()>>,
    left: Arc<Left>,
}

/// Whether the user wants out.
#[derive(Debug)]
struct Left {
    wanted: AtomicBool,
    event: OwnedFd,
}

impl Left {
    fn set(&self) {
        self.wanted.store(true, Ordering::Release);
        // The counter is far from full.
        let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
    }
}

impl Relay {
    /// No stream yet.
    pub fn new(stdio: HostStdio, manner: Manner) -> io::Result<Self> {
        let (input, output) = match manner {
            Manner::Command => (true, true),
            Manner::Attached { input, output } => (input, output),
        };
        let left = Left {
            wanted: AtomicBool::new(false),
            event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        };
        Ok(Relay { stdio, input, output, started: Vec::new(), outputs: Vec::new(), left: Arc::new(left) })
    }

    /// Whether the user typed the escape: he wants out, whatever the command does. Or typed all there is to type, and
    /// waits for nothing else. [`Relay`]'s descriptor is readable then.
    pub fn was_left(&self) -> bool {
        self.left.wanted.load(Ordering::Acquire)
    }

    /// Connects a stream of the command; each kind once.
    pub fn start(&mut self, kind: StreamKind, socket: UnixStream) -> io::Result<()> {
        if self.started.contains(&kind) {
            return Ok(());
        }
        self.started.push(kind);
        match kind {
            StreamKind::Stdin => self.start_input(socket),
            StreamKind::Stdout => self.start_output(socket, self.stdio.stdout),
            StreamKind::Stderr => self.start_output(socket, self.stdio.stderr),
            StreamKind::Tty => {
                if self.input && terminal::is_terminal() {
                    terminal::enter_raw_mode()?;
                    self.start_typing(socket.try_clone()?)?;
                } else if self.input {
                    self.start_input(socket.try_clone()?)?;
                }
                if self.output { self.start_output(socket, self.stdio.stdout) } else { Ok(()) }
            }
        }
    }

    /// It ends with the process: the user's input may never.
    fn start_input(&mut self, socket: UnixStream) -> io::Result<()> {
        let Some(stdin) = self.stdio.stdin else { return Ok(()) };
        let (output, left) = (self.output, self.left.clone());
        let pump = move || {
            pump_in(stdin, &socket);
            if !output {
                left.set();
            }
        };
        thread::Builder::new().spawn(pump).map(drop)
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
        let Some(stdin) = self.stdio.stdin else { return Ok(()) };
        let left = self.left.clone();
        let pump = move || {
            if pump_typed(stdin, &socket) {
                left.set();
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
