//! The `attach` entrypoint: connects the standard streams of a running app with those of this process.

use std::io::{self, Write};

use agent::protocol::StreamKind;
use rustix::termios::isatty;

use super::{
    arguments::{AttachArguments, AttachMode},
    clients::wire::{Reply, Request},
    directory::PodDirectory,
    enter::{self, EnterError, Manner},
    error::PodError,
    signals::{Ending, Signals},
    streams::HostStdio,
    terminal,
};

/// Attaches to an app until it ends or the user leaves; or lists what one could attach to.
pub fn attach(arguments: &AttachArguments) -> Result<Ending, PodError> {
    let directory = PodDirectory::current();
    let streams = streams(&directory, &arguments.app)?;
    let wanted = match &arguments.mode {
        AttachMode::List => {
            for name in streams.iter().flat_map(|stream| names(*stream)) {
                // Nobody may be there to read it.
                let _ = writeln!(io::stdout(), "{name}");
            }
            return Ok(Ending::Status(0));
        }
        AttachMode::Auto => streams,
        AttachMode::Custom(wanted) => wanted.streams(),
    };
    let has_tty = wanted.contains(&StreamKind::Tty);
    let manner = match &arguments.mode {
        AttachMode::Custom(wanted) => Manner::Attached {
            input: wanted.tty_in || wanted.stdin,
            output: wanted.tty_out || wanted.stdout || wanted.stderr,
        },
        _ => Manner::Attached { input: true, output: true },
    };
    let follows_terminal = has_tty && terminal::is_terminal() && isatty(rustix::stdio::stdout());
    let signals = Signals::block(follows_terminal).map_err(EnterError::Streams)?;
    let request = Request::Attach { app: arguments.app.clone(), streams: wanted };
    let result = enter::run(&directory, &request, manner, HostStdio::own(), &signals);
    terminal::restore();
    Ok(Ending::Status(result?))
}

/// What there is to attach to.
fn streams(directory: &PodDirectory, app: &str) -> Result<Vec<StreamKind>, EnterError> {
    match enter::ask(directory, &Request::Streams { app: app.to_owned() })? {
        Reply::Streams { streams } => Ok(streams),
        _ => Err(EnterError::PodEnded),
    }
}

/// The modes by which a stream can be attached to.
fn names(stream: StreamKind) -> &'static [&'static str] {
    match stream {
        StreamKind::Stdin => &["stdin"],
        StreamKind::Stdout => &["stdout"],
        StreamKind::Stderr => &["stderr"],
        StreamKind::Tty => &["tty-in", "tty-out"],
    }
}
