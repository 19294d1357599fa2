//! Sockets an app starts with (sd_listen_fds(3)): the host carries to them what connects to its own.

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use agent::protocol::{SocketFamily, SocketSpec};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

/// The first descriptor of an app's sockets (sd_listen_fds(3), `SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;
/// Where the agent keeps what a child needs while it puts sockets in their places.
const ASIDE: RawFd = 64;
/// The most sockets an app can start with: all places below [`ASIDE`].
const MOST: usize = (ASIDE - FIRST) as usize;

/// How long a connection within the machine may take to be made: it is made at once, or the app accepts none.
const CONNECT_LIMIT: Duration = Duration::from_millis(200);

/// The listening sockets of an app.
#[derive(Debug)]
pub struct Sockets(Vec<Socket>);

#[derive(Debug)]
struct Socket {
    listener: OwnedFd,
    address: Address,
}

#[derive(Debug)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Sockets {
    /// Makes the sockets of an app; those of the file system are in `directory`.
    pub fn open(directory: &Path, app: &str, specs: &[SocketSpec]) -> io::Result<Self> {
        if specs.len() > MOST {
            return Err(io::Error::other(format!("an app cannot start with more than {MOST} sockets")));
        }
        let open = |(index, spec): (usize, &SocketSpec)| match spec.family {
            SocketFamily::Tcp => tcp(),
            SocketFamily::Unix => unix(directory.join(format!("{app}.{index}"))),
        };
        specs.iter().enumerate().map(open).collect::<io::Result<_>>().map(Self)
    }

    /// Puts the sockets where the calling process's program expects them.
    pub fn place(&self) -> nix::Result<()> {
        for (place, socket) in (FIRST..).zip(&self.0) {
            // SAFETY: the process is about to become another program; what was at that place is not used any more.
            Errno::result(unsafe { libc::dup2(socket.listener.as_raw_fd(), place) })?;
        }
        Ok(())
    }

    /// Starts a connection to one of the sockets.
    pub fn connect(&self, index: u32) -> io::Result<OwnedFd> {
        let wanted = usize::try_from(index).ok().and_then(|index| self.0.get(index));
        match &wanted.ok_or(io::ErrorKind::NotFound)?.address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, CONNECT_LIMIT)?;
                stream.set_nonblocking(true)?;
                Ok(stream.into())
            }
            Address::Unix(path) => {
                let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
                let client = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
                connect(client.as_raw_fd(), &UnixAddr::new(path)?)?;
                Ok(client)
            }
        }
    }
}

fn tcp() -> io::Result<Socket> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = Address::Tcp(listener.local_addr()?);
    Ok(Socket { listener: aside(listener)?, address })
}

fn unix(path: PathBuf) -> io::Result<Socket> {
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    Ok(Socket { listener: aside(listener)?, address: Address::Unix(path) })
}

/// Moves a descriptor to where no socket of an app will be put.
pub fn aside(descriptor: impl Into<OwnedFd>) -> io::Result<OwnedFd> {
    let number = fcntl(descriptor.into(), FcntlArg::F_DUPFD_CLOEXEC(ASIDE))?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// What tells the calling process's program of sockets of these names.
pub fn variables(names: &[String]) -> Vec<(&'static str, String)> {
    if names.is_empty() {
        return Vec::new();
    }
    vec![
        ("LISTEN_PID", process::id().to_string()),
        ("LISTEN_FDS", names.len().to_string()),
        ("LISTEN_FDNAMES", names.join(":")),
    ]
}
