//! How often the guest left guest mode, and what for.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// Why control came back to this process. Exits the kernel handles alone are not seen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// Read of an I/O port.
    PortIn,
    /// Write to an I/O port.
    PortOut,
    /// Read of a device register.
    MmioRead,
    /// Write to a device register.
    MmioWrite,
    /// A signal, or a retry the kernel asked for.
    Interrupted,
}

impl ExitReason {
    const ALL: [ExitReason; 5] = [
        ExitReason::PortIn,
        ExitReason::PortOut,
        ExitReason::MmioRead,
        ExitReason::MmioWrite,
        ExitReason::Interrupted,
    ];
}

/// Exits by reason, of all vCPUs together.
#[derive(Debug, Default)]
pub struct ExitCounts([AtomicU64; ExitReason::ALL.len()]);

impl ExitCounts {
    /// Counts one more.
    pub fn count(&self, reason: ExitReason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn of(&self, reason: ExitReason) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }
}

impl fmt::Display for ExitCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, reason) in ExitReason::ALL.into_iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{reason:?} {}", self.of(reason))?;
        }
        Ok(())
    }
}
