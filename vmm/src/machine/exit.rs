//! Why a machine ended.

use std::{error::Error, io, iter::successors, sync::OnceLock};

use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::kvm::{Stop, VcpuError};

/// Why a machine ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Exit {
    /// The guest asked for a reset through the keyboard controller.
    #[error("Guest reset the machine")]
    Reset,
    /// Triple fault: also how a guest that panicked ends, with `reboot=t`.
    #[error("Guest kernel crashed (run with --debug to see its messages)")]
    Crash,
    /// KVM cannot go on with a vCPU.
    #[error("vCPU {cpu} failed")]
    Vcpu {
        /// Number of the vCPU.
        cpu: u32,
        /// Why.
        source: VcpuError,
    },
}

impl Exit {
    /// The reason with its causes, as one line for the user.
    pub fn line(&self) -> String {
        let chain = successors(Some(self as &dyn Error), |&error| error.source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

/// Where vCPUs say that the machine has ended. The first reason is kept.
#[derive(Debug)]
pub(super) struct ExitSignal {
    pub reason: OnceLock<Exit>,
    pub event: EventFd,
}

impl ExitSignal {
    pub fn new() -> io::Result<Self> {
        Ok(ExitSignal { reason: OnceLock::new(), event: EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)? })
    }

    /// A vCPU stopped.
    pub fn stopped(&self, cpu: u32, stop: Stop) {
        let exit = match stop {
            Stop::Kicked => return,
            Stop::Reset => Exit::Reset,
            Stop::Crash => Exit::Crash,
            Stop::Error(source) => Exit::Vcpu { cpu, source },
        };
        // Another vCPU may have been first.
        let _ = self.reason.set(exit);
        // Fails only when the counter is at its limit: the event is readable already.
        let _ = self.event.write(1);
    }
}
