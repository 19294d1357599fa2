//! The standard streams of an app or a command: what it holds, and the connections that carry them to the host.

mod pump;
mod terminal;

use std::fs::File;
use std::io;
use std::os::fd::{OwnedFd, RawFd};

use agent::protocol::{
    COMMAND_PORT, CommandHeader, STREAM_PORT, Stdio, StreamHeader, StreamKind, WindowSize, write_frame,
};
use nix::fcntl::OFlag;
use nix::libc::pollfd;
use nix::unistd::pipe2;

use crate::host::Dial;
pub use pump::{Pump, Sink, set_nonblocking};
pub use terminal::Terminal;

/// Why an app's streams cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The host cannot be reached.
    #[error("Cannot connect {0:?} to the host")]
    Connect(StreamKind, #[source] io::Error),
    /// A pipe, a terminal or `/dev/null`.
    #[error("Cannot make the app's standard streams")]
    Make(#[from] io::Error),
}

/// Whose streams they are.
#[derive(Debug, Clone, Copy)]
pub enum Owner<'a> {
    /// The app of this name.
    App(&'a str),
    /// The command the host named so.
    Command(u32),
}

/// The descriptors an app starts with.
#[derive(Debug)]
pub struct AppEnds {
    /// Standard input.
    pub stdin: OwnedFd,
    /// Standard output.
    pub stdout: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
}

/// An app's streams, seen from the agent.
///
/// The agent keeps the app's ends, so that a stream lives as long as the app and its handlers do, whatever they close.
#[derive(Debug)]
pub struct Streams {
    ends: Option<AppEnds>,
    terminal: Option<Terminal>,
    input: Vec<Pump>,
    output: Vec<Pump>,
}

impl Streams {
    /// Makes the streams of `owner` and starts connecting them; `terminal` makes its terminal, if it has one.
    pub fn open(
        owner: Owner<'_>,
        stdio: Stdio,
        terminal: impl FnOnce(WindowSize) -> io::Result<Terminal>,
        host: &dyn Dial,
    ) -> Result<Self, StreamError> {
        match stdio {
            Stdio::Terminal { size } => Self::with_terminal(owner, terminal(size)?, host),
            Stdio::Output => Self::with_pipes(owner, false, host),
            Stdio::Pipes => Self::with_pipes(owner, true, host),
        }
    }

    fn with_pipes(owner: Owner<'_>, interactive: bool, host: &dyn Dial) -> Result<Self, StreamError> {
        let mut input = Vec::new();
        let stdin = if interactive {
            let (app, agent) = pipe2(OFlag::O_CLOEXEC).map_err(io::Error::from)?;
            set_nonblocking(&agent)?;
            let (socket, greeting) = connect(owner, StreamKind::Stdin, host)?;
            input.push(Pump::greeting(socket.try_clone()?, greeting));
            input.push(Pump::new(socket, Sink::File(agent), Vec::new()));
            app
        } else {
            File::open("/dev/null")?.into()
        };
        let mut output = Vec::new();
        let mut make = |kind| -> Result<OwnedFd, StreamError> {
            let (agent, app) = pipe2(OFlag::O_CLOEXEC).map_err(io::Error::from)?;
            set_nonblocking(&agent)?;
            let (socket, greeting) = connect(owner, kind, host)?;
            output.push(Pump::new(agent, Sink::Socket(socket), greeting));
            Ok(app)
        };
        let (stdout, stderr) = (make(StreamKind::Stdout)?, make(StreamKind::Stderr)?);
        Ok(Self { ends: Some(AppEnds { stdin, stdout, stderr }), terminal: None, input, output })
    }

    fn with_terminal(owner: Owner<'_>, terminal: Terminal, host: &dyn Dial) -> Result<Self, StreamError> {
        let (socket, greeting) = connect(owner, StreamKind::Tty, host)?;
        let (keyboard, screen) =
            (terminal.master().try_clone_to_owned()?, terminal.master().try_clone_to_owned()?);
        let input = vec![Pump::new(socket.try_clone()?, Sink::File(keyboard), Vec::new())];
        let output = vec![Pump::new(screen, Sink::Socket(socket), greeting)];
        let device = terminal.open_device()?;
        let ends = AppEnds { stdin: device.try_clone()?, stdout: device.try_clone()?, stderr: device };
        Ok(Self { ends: Some(ends), terminal: Some(terminal), input, output })
    }

    /// The descriptors an app or one of its handlers starts with.
    pub fn app_ends(&self) -> Option<&AppEnds> {
        self.ends.as_ref()
    }

    /// The terminal, if the app has one.
    pub fn terminal(&self) -> Option<&Terminal> {
        self.terminal.as_ref()
    }

    /// No process of the app is left: what has been written is all there is to be carried.
    pub fn finish(&mut self) {
        self.ends = None;
        self.input.clear();
        self.output.iter_mut().for_each(Pump::read_only_the_rest);
    }

    /// Nobody listens any more: whoever still writes finds its pipe broken, its terminal hung up.
    pub fn close(&mut self) {
        self.ends = None;
        self.terminal = None;
        self.input.clear();
        self.output.clear();
    }

    /// Whether all output has been delivered, or cannot be.
    pub fn is_delivered(&self) -> bool {
        self.output.iter().all(Pump::is_ended)
    }

    /// The descriptors the streams wait for.
    pub fn interest(&self) -> impl Iterator<Item = pollfd> {
        self.pumps().filter_map(Pump::interest)
    }

    /// Moves what can be moved from and to descriptors that are ready.
    pub fn advance(&mut self, ready: &[RawFd]) {
        for pump in self.input.iter_mut().chain(&mut self.output) {
            if pump.interest().is_some_and(|interest| ready.contains(&interest.fd)) {
                pump.advance();
            }
        }
        self.input.retain(|pump| !pump.is_ended());
    }

    fn pumps(&self) -> impl Iterator<Item = &Pump> {
        self.input.iter().chain(&self.output)
    }
}

/// A connection for a stream, and the frame that has to be sent over it first.
fn connect(owner: Owner<'_>, stream: StreamKind, host: &dyn Dial) -> Result<(OwnedFd, Vec<u8>), StreamError> {
    let mut greeting = Vec::new();
    let (port, written) = match owner {
        Owner::App(app) => {
            (STREAM_PORT, write_frame(&mut greeting, &StreamHeader { app: app.to_owned(), stream }))
        }
        Owner::Command(command) => {
            (COMMAND_PORT, write_frame(&mut greeting, &CommandHeader { command, stream }))
        }
    };
    let failed = |error| StreamError::Connect(stream, error);
    written.map_err(|error| failed(io::Error::other(error)))?;
    Ok((host.dial(port).map_err(failed)?, greeting))
}
