//! The host's clock, which the guest's follows: guests keep time by themselves until the host's clock jumps.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{
    io::{Errno, read},
    time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
        timerfd_create, timerfd_settime,
    },
};

/// How often guests are told the time even if nothing is known to have happened, in seconds: the host's clock may be
/// slewed, and theirs is not.
const INTERVAL: i64 = 3600;

/// Tells when the host's clock has jumped, because it was set or the host has slept (timerfd_create(2),
/// `TFD_TIMER_CANCEL_ON_SET`), and now and then otherwise. Costs nothing meanwhile.
#[derive(Debug)]
pub struct ClockWatch {
    timer: OwnedFd,
}

impl ClockWatch {
    /// Watches from now on.
    pub fn start() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let watch = ClockWatch { timer: timerfd_create(TimerfdClockId::Realtime, flags)? };
        watch.arm()?;
        Ok(watch)
    }

    fn arm(&self) -> io::Result<()> {
        let now = clock_gettime(ClockId::Realtime);
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: now.tv_sec.saturating_add(INTERVAL), tv_nsec: 0 };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&self.timer, flags, &Itimerspec { it_interval: never, it_value: value })?;
        Ok(())
    }

    /// Whether guests should be told the time; watches on.
    pub fn is_due(&self) -> io::Result<bool> {
        match read(&self.timer, &mut [0; 8]) {
            Ok(_) | Err(Errno::CANCELED) => self.arm().map(|()| true),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsRawFd for ClockWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.timer.as_raw_fd()
    }
}

/// The wall clock, in nanoseconds since the epoch.
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_clock_is_not_told() {
        let watch = ClockWatch::start().unwrap();
        assert!(!watch.is_due().unwrap());
    }

    #[test]
    fn an_elapsed_interval_is_told_once() {
        let watch = ClockWatch::start().unwrap();
        let soon = Timespec { tv_sec: 0, tv_nsec: 1 };
        let timer = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: soon };
        timerfd_settime(&watch.timer, TimerfdTimerFlags::empty(), &timer).unwrap();
        while !watch.is_due().unwrap() {}
        assert!(!watch.is_due().unwrap());
    }
}
