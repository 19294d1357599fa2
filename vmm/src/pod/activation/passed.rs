//! Sockets that a service manager passed to this process (sd_listen_fds(3)).

use std::{
    env, fmt, io,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    process,
};

use agent::protocol::SocketFamily;
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
    net::{AddressFamily, SocketAddrAny, SocketType, getsockname, sockopt},
};

/// The first descriptor that is passed (sd_listen_fds(3), `SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;
/// The most sockets a pod takes: as many as the agent can give to one app.
const MOST: i32 = 61;
/// The name of a socket that was given none (sd_listen_fds(3)).
const UNNAMED: &str = "unknown";

/// A listening socket.
#[derive(Debug)]
pub struct Passed {
    /// The socket, non-blocking and not inherited.
    pub listener: OwnedFd,
    /// Its name in `LISTEN_FDNAMES`.
    pub name: String,
    /// What it is.
    pub family: SocketFamily,
    /// Its TCP port.
    pub port: Option<u16>,
}

/// Why passed sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PassedError {
    /// A variable says what no service manager says.
    #[error("LISTEN_FDS is {0:?}, which is no number of sockets from 0 to {MOST}")]
    Number(String),
    /// A descriptor is not there.
    #[error("Descriptor {number} was to be passed by the service manager")]
    Missing {
        /// The descriptor.
        number: RawFd,
        /// Why it cannot be used.
        source: io::Error,
    },
    /// Something else than connections come over it.
    #[error(
        "Socket \"{0}\" does not listen for streams, and no other socket can be passed into a pod (one of Accept=yes \
         can: StandardInput=socket and --interactive)"
    )]
    Kind(String),
    /// Nobody to give it to.
    #[error(
        "Socket {0} is for none of the pod's apps: give it the name of an app's port (FileDescriptorName=)"
    )]
    NoApp(String),
}

/// Takes the sockets, if this process is the one they were passed to.
pub fn take() -> Result<Vec<Passed>, PassedError> {
    let variable = |name: &str| env::var(name).ok();
    if variable("LISTEN_PID").and_then(|pid| pid.parse().ok()) != Some(process::id()) {
        return Ok(Vec::new());
    }
    let Some(text) = variable("LISTEN_FDS") else { return Ok(Vec::new()) };
    let number = text.parse().ok().filter(|number| (0..=MOST).contains(number));
    let number: i32 = number.ok_or(PassedError::Number(text))?;
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    (FIRST..FIRST + number).map(|place| take_one(place, names.next().unwrap_or(UNNAMED))).collect()
}

fn take_one(number: RawFd, name: &str) -> Result<Passed, PassedError> {
    let missing = |error: rustix::io::Errno| PassedError::Missing { number, source: error.into() };
    // SAFETY: only looked at, which fails if nothing is there.
    fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) }).map_err(missing)?;
    // SAFETY: the descriptor is there, and was passed to this process to be its own.
    let listener = unsafe { OwnedFd::from_raw_fd(number) };
    look(listener, name).map_err(missing)?.ok_or_else(|| PassedError::Kind(name.to_owned()))
}

/// What kind of socket it is; none if no connections can be accepted from it.
pub(super) fn look(listener: OwnedFd, name: &str) -> rustix::io::Result<Option<Passed>> {
    fcntl_setfd(&listener, FdFlags::CLOEXEC)?;
    let family = match sockopt::socket_domain(listener.as_fd())? {
        AddressFamily::INET | AddressFamily::INET6 => SocketFamily::Tcp,
        AddressFamily::UNIX => SocketFamily::Unix,
        _ => return Ok(None),
    };
    if sockopt::socket_type(&listener)? != SocketType::STREAM || !sockopt::socket_acceptconn(&listener)? {
        return Ok(None);
    }
    // A connection that was given up before it is accepted must not stop the pod.
    fcntl_setfl(&listener, fcntl_getfl(&listener)? | OFlags::NONBLOCK)?;
    let port = port(&getsockname(&listener)?);
    Ok(Some(Passed { listener, name: name.to_owned(), family, port }))
}

fn port(address: &SocketAddrAny) -> Option<u16> {
    std::net::SocketAddr::try_from(address.clone()).ok().map(|address| address.port())
}

impl fmt::Display for Passed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(formatter, "\"{}\" (port {port})", self.name),
            None => write!(formatter, "\"{}\"", self.name),
        }
    }
}
