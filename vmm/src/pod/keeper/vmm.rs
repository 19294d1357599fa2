//! The VMM as its keeper sees it: a child that is in the guest's reach.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::ExitStatus,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{MemfdFlags, memfd_create, seek},
    io::Errno,
    net::{RecvFlags, SendFlags, recv},
    process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid},
};

use super::wire::{self, MAX_PACKET, Order, Word};
use crate::pod::{
    diagnostics,
    network::{GuestNetwork, Port},
    notify::notify,
    signals::{self, Ending, Signals},
};

/// The process that runs the pod's machine. Dropped, it is killed, and gone.
#[derive(Debug)]
pub struct Vmm {
    pid: Pid,
    process: OwnedFd,
    socket: OwnedFd,
    reaped: bool,
}

/// Why the VMM did not end as a pod does.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// One of its threads did what none of that kind does.
    #[error("Thread \"{thread}\" of the VMM called {syscall}, which it may not")]
    Violation {
        /// The thread's name.
        thread: String,
        /// Name and number of the system call.
        syscall: String,
    },
    /// It is gone.
    #[error("The VMM died ({0})")]
    Died(ExitStatus),
    /// It says what no VMM does.
    #[error("The VMM said what it never does, and was killed")]
    Nonsense,
    /// The system.
    #[error("Cannot watch the VMM")]
    Watch(#[source] io::Error),
}

/// What has been heard from the VMM.
#[derive(Debug, Default)]
struct Heard {
    ready: bool,
    stopping: bool,
    /// There will be no more.
    closed: bool,
    ending: Option<Ending>,
    violation: Option<KeeperError>,
}

impl Vmm {
    pub(super) fn new(pid: Pid, socket: OwnedFd) -> io::Result<Self> {
        Ok(Vmm { pid, process: pidfd_open(pid, PidfdFlags::empty())?, socket, reaped: false })
    }

    /// Hands the pod's networks over.
    pub fn connect(&self, ports: Vec<Port>, network: &GuestNetwork) -> io::Result<()> {
        for port in ports {
            let device = port.device;
            let order = Order::Port { tap: device.tap.name().to_owned(), mac: device.mac, mtu: device.mtu };
            let queues: Vec<BorrowedFd<'_>> = device.tap.queues().iter().map(File::as_fd).collect();
            wire::send(&self.socket, &order, &queues, SendFlags::empty())?;
        }
        let mut file = File::from(memfd_create("network", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(network)?)?;
        seek(&file, rustix::fs::SeekFrom::Start(0))?;
        wire::send(&self.socket, &Order::Network, &[file.as_fd()], SendFlags::empty())
    }

    /// Passes signals on until the VMM has ended.
    pub fn watch(mut self, signals: &Signals) -> Result<Ending, KeeperError> {
        let mut heard = Heard::default();
        loop {
            let mut ready = [
                PollFd::new(&self.process, PollFlags::IN),
                PollFd::new(signals, PollFlags::IN),
                PollFd::new(&self.socket, PollFlags::IN),
            ];
            let watched = if heard.closed { 2 } else { 3 };
            match poll(&mut ready[..watched], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(KeeperError::Watch(error.into())),
            }
            let ended = !ready[0].revents().is_empty();
            while let Some(received) = signals.next() {
                self.forward(received.number());
            }
            self.listen(&mut heard)?;
            if ended {
                return self.reap(heard);
            }
        }
    }

    /// Passes a signal on.
    pub(super) fn forward(&self, number: i32) {
        // It may just have ended; one that has not heard a hundred others will not hear this one.
        let _ = wire::send(&self.socket, &Order::Signal(number), &[], SendFlags::DONTWAIT);
    }

    fn listen(&self, heard: &mut Heard) -> Result<(), KeeperError> {
        let mut packet = [0; MAX_PACKET];
        loop {
            let length = match recv(&self.socket, &mut packet, RecvFlags::DONTWAIT) {
                Ok((0, _)) | Err(Errno::CONNRESET) => {
                    heard.closed = true;
                    return Ok(());
                }
                Ok((length, _)) => length,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(KeeperError::Watch(error.into())),
            };
            match serde_json::from_slice(&packet[..length]) {
                Ok(word) => self.obey(word, heard),
                Err(_) => return Err(KeeperError::Nonsense),
            }
        }
    }

    fn obey(&self, word: Word, heard: &mut Heard) {
        match word {
            Word::Ready if !std::mem::replace(&mut heard.ready, true) => tell_service_manager("READY=1"),
            Word::Stopping if !std::mem::replace(&mut heard.stopping, true) => {
                tell_service_manager("STOPPING=1");
            }
            // Once is all there is to say.
            Word::Ready | Word::Stopping => {}
            Word::Suspend => self.suspend(),
            Word::Ended(ending) => heard.ending = Some(ending),
            Word::Violation { thread, syscall } => {
                let thread = diagnostics::sanitized(&thread);
                heard.violation = Some(KeeperError::Violation { thread, syscall: named(syscall) });
            }
        }
    }

    /// Stops the VMM, and then this process; both go on together.
    fn suspend(&self) {
        // Each fails only if the VMM has just ended.
        let _ = kill_process(self.pid, Signal::STOP);
        signals::suspend();
        let _ = kill_process(self.pid, Signal::CONT);
        let _ = wire::send(&self.socket, &Order::Resumed, &[], SendFlags::DONTWAIT);
    }

    fn reap(&mut self, heard: Heard) -> Result<Ending, KeeperError> {
        let status = self.wait().map_err(KeeperError::Watch)?;
        match (heard.violation, heard.ending) {
            (Some(violation), _) => Err(violation),
            (None, Some(ending)) if status.success() => Ok(ending),
            (None, _) => Err(KeeperError::Died(status)),
        }
    }

    fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Err(Errno::INTR) | Ok(None) => {}
                Err(error) => return Err(error.into()),
                Ok(Some((_, status))) => {
                    self.reaped = true;
                    return Ok(std::os::unix::process::ExitStatusExt::from_raw(status.as_raw()));
                }
            }
        }
    }
}

impl Drop for Vmm {
    fn drop(&mut self) {
        if !self.reaped {
            // Not reaped, so the id is still its own; and SIGKILL needs no more than that.
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = self.wait();
        }
    }
}

fn tell_service_manager(state: &str) {
    if let Err(error) = notify(state) {
        diagnostics::print_line(&format!("stage1: Cannot notify the service manager: {error}"));
    }
}

/// A system call as people know it.
fn named(syscall: i32) -> String {
    let name = usize::try_from(syscall).ok().and_then(syscalls::Sysno::new);
    format!("{} ({syscall})", name.map_or("an unknown system call", |name| name.name()))
}
