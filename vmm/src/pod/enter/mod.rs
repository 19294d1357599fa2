//! The `enter` entrypoint: runs a command in an app of a running pod, as if it ran here.
//!
//! The pod hands over the command's streams, and from then on bytes go between them and the standard streams of this
//! process. Signals that are meant for the command, and changes of the terminal's size, go over the pod's socket.

mod call;
mod relay;
#[cfg(test)]
mod tests;

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
};

use agent::protocol::{CommandSpec, Stdio};
use rustix::termios::isatty;

pub use self::call::{Answer, Call, ask};
use self::relay::Relay;
use super::{
    arguments::EnterArguments,
    clients::wire::{Reply, Request},
    directory::PodDirectory,
    error::PodError,
    signals::{Ending, Received, Signals},
    streams::HostStdio,
    terminal,
};

/// What a terminal is that does not say (`rkt-reference` §7).
const DEFAULT_TERMINAL: &str = "vt100";
/// How often one may ask a command to end before it is left alone.
const PATIENCE: u32 = 3;
/// The status when the user left: whoever ran the command has hung up.
const LEFT: i32 = 128 + libc::SIGHUP;

/// How a client is connected with a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It runs a command, whose streams and end are its own.
    Command,
    /// It shares the streams of an app, and may leave at any time.
    Attached {
        /// It may type.
        input: bool,
        /// It shows what the app writes.
        output: bool,
    },
}

/// Why a pod could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// Nobody holds its lock.
    #[error("Pod is not running")]
    NotRunning,
    /// It runs, but does not answer.
    #[error("Pod does not listen on \"{}\"", path.display())]
    NoSocket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The pod does not want it.
    #[error("{0}")]
    Refused(String),
    /// Its guest does nothing.
    #[error("Pod has not answered within {0} s")]
    NoAnswer(u64),
    /// The pod went away.
    #[error("Pod has ended")]
    PodEnded,
    /// The connection.
    #[error("Cannot talk with the pod")]
    Connection(#[source] io::Error),
    /// Signals, threads, the terminal.
    #[error("Cannot set up the streams of the command")]
    Streams(#[source] io::Error),
}

/// Runs a command in a pod and ends as the command does.
pub fn enter(arguments: EnterArguments) -> Result<Ending, PodError> {
    let has_terminal = terminal::is_terminal() && isatty(rustix::stdio::stdout());
    let signals = Signals::block(has_terminal).map_err(EnterError::Streams)?;
    let request = Request::Enter(Box::new(spec(arguments, has_terminal)));
    let directory = PodDirectory::current();
    let result = run(&directory, &request, Manner::Command, HostStdio::own(), &signals);
    terminal::restore();
    Ok(Ending::Status(result?))
}

fn spec(arguments: EnterArguments, has_terminal: bool) -> CommandSpec {
    let term = env::var("TERM").ok().filter(|term| !term.is_empty());
    let mut environment = vec![("TERM".to_owned(), term.unwrap_or_else(|| DEFAULT_TERMINAL.to_owned()))];
    environment.extend(arguments.environment);
    CommandSpec {
        app: arguments.app,
        exec: arguments.command,
        user: arguments.user,
        environment,
        working_directory: arguments.working_directory,
        stdio: if has_terminal { Stdio::Terminal { size: terminal::size() } } else { Stdio::Pipes },
    }
}

/// Asks for something and serves its streams until it has ended, or the user leaves; returns the status.
pub fn run(
    directory: &PodDirectory,
    request: &Request,
    manner: Manner,
    stdio: HostStdio,
    signals: &Signals,
) -> Result<i32, EnterError> {
    let mut call = Call::connect(directory)?;
    call.send(request).map_err(EnterError::Connection)?;
    let mut relay = Relay::new(stdio, manner).map_err(EnterError::Streams)?;
    let patience = if manner == Manner::Command { PATIENCE } else { 1 };
    let mut asked = 0;
    loop {
        let ready = call::wait(&call, signals, &relay).map_err(EnterError::Connection)?;
        if ready.signals {
            while let Some(received) = signals.next() {
                asked += u32::from(matches!(received, Received::Terminate(_)));
                match received {
                    Received::Terminate(number) if asked >= patience => return Ok(128 + number),
                    _ => {}
                }
                pass_on(received, &mut call).map_err(EnterError::Streams)?;
            }
        }
        if relay.was_left() {
            return Ok(if manner == Manner::Command { LEFT } else { 0 });
        }
        if !ready.call {
            continue;
        }
        for answer in call.receive().map_err(EnterError::Connection)? {
            match answer {
                Answer::Stream(stream, socket) => {
                    relay.start(stream, socket).map_err(EnterError::Streams)?;
                    if manner != Manner::Command && terminal::is_raw() {
                        // The app's terminal was made before anybody could say how large it is.
                        pass_on(Received::Resized, &mut call).map_err(EnterError::Streams)?;
                    }
                }
                Answer::Other(Reply::Ended { status, line }) => {
                    finish(relay, line);
                    return Ok(status);
                }
                Answer::Other(Reply::Refused { line }) => return Err(EnterError::Refused(line)),
                Answer::Other(_) => {}
                Answer::End => {
                    relay.finish();
                    return Err(EnterError::PodEnded);
                }
            }
        }
    }
}

/// What the command wrote comes before why it did not run.
fn finish(relay: Relay, line: Option<String>) {
    relay.finish();
    terminal::restore();
    if let Some(line) = line {
        // Nobody may be there to read it.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

fn pass_on(received: Received, call: &mut Call) -> io::Result<()> {
    let sent = match received {
        Received::Terminate(signal) => call.send(&Request::Signal { signal }),
        Received::Resized => call.send(&Request::Resize(terminal::size())),
        Received::Suspend => {
            let was_raw = terminal::is_raw();
            terminal::restore();
            super::signals::suspend();
            if was_raw {
                terminal::enter_raw_mode()?;
            }
            call.send(&Request::Resize(terminal::size()))
        }
        Received::Stop => Ok(()),
    };
    match sent {
        // A pod that has gone is noticed when its answer is read.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        sent => sent,
    }
}
