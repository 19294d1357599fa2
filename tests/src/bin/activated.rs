//! An app that a service manager activates (sd_listen_fds(3)): it says what it was started with, and answers each line
//! of each connection.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd};

fn main() {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    assert_eq!(variable("LISTEN_PID"), std::process::id().to_string(), "meant for another process");
    println!("sockets: {} {}", variable("LISTEN_FDS"), variable("LISTEN_FDNAMES"));
    // SAFETY: the first socket that was passed; nothing else in this process uses it.
    let listener = TcpListener::from(unsafe { OwnedFd::from_raw_fd(3) });
    for (number, connection) in (1..).zip(listener.incoming()) {
        let connection = connection.expect("a connection");
        for line in BufReader::new(&connection).lines() {
            writeln!(&connection, "{number}: {}", line.expect("a line")).expect("a client");
        }
    }
}
