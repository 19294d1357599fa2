//! Connections that the host accepted for apps, on their way to the apps' own sockets.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use agent::protocol::{ACCEPTED_PORT, AcceptedHeader, write_frame};
use nix::libc::pollfd;

use crate::app::App;
use crate::host::Dial;
use crate::stream::{Pump, Sink};

/// How long the last bytes of connections may take once every app has ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// Every connection of which there is something to carry.
#[derive(Debug, Default)]
pub struct Relays {
    pumps: Vec<Pump>,
    give_up_at: Option<Instant>,
}

impl Relays {
    /// Carries a connection to a socket of `app`; one that cannot be carried is closed.
    pub fn start(
        &mut self,
        connection: u32,
        app: Option<&App>,
        socket: u32,
        host: &dyn Dial,
    ) -> io::Result<()> {
        let mut greeting = Vec::new();
        write_frame(&mut greeting, &AcceptedHeader { connection }).map_err(io::Error::other)?;
        let from_host = host.dial(ACCEPTED_PORT)?;
        let app_end = app.ok_or(io::ErrorKind::NotFound.into()).and_then(|app| app.connect(socket));
        let Ok(to_app) = app_end else {
            let nothing = File::open("/dev/null")?.into();
            self.pumps.push(Pump::new(nothing, Sink::Socket(from_host), greeting));
            return Ok(());
        };
        let (there, back) = (from_host.try_clone()?, to_app.try_clone()?);
        self.pumps.push(Pump::new(back, Sink::Socket(from_host), greeting));
        self.pumps.push(Pump::new(there, Sink::Socket(to_app), Vec::new()));
        Ok(())
    }

    /// Whether everything has been carried, or waited for long enough. To be asked when no app is left.
    pub fn is_done(&mut self, now: Instant) -> bool {
        let give_up_at = *self.give_up_at.get_or_insert(now + PATIENCE);
        self.pumps.is_empty() || now >= give_up_at
    }

    /// When [`Relays::is_done`] has to be asked again, if that depends on time.
    pub fn deadline(&self) -> Option<Instant> {
        self.give_up_at
    }

    /// The descriptors the connections wait for.
    pub fn interest(&self) -> impl Iterator<Item = pollfd> {
        self.pumps.iter().filter_map(Pump::interest)
    }

    /// Moves what can be moved from and to descriptors that are ready.
    pub fn advance(&mut self, ready: &[RawFd]) {
        for pump in &mut self.pumps {
            if pump.interest().is_some_and(|interest| ready.contains(&interest.fd)) {
                pump.advance();
            }
        }
        self.pumps.retain(|pump| !pump.is_ended());
    }
}
