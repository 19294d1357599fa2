//! Commands whose time, CPU time and memory are wanted.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// How often memory is looked at; its high-water mark is the kernel's.
const POLL: Duration = Duration::from_millis(5);

/// What a command took.
#[derive(Debug)]
pub struct Done {
    pub wall: Duration,
    /// Of its first thread.
    pub cpu: Duration,
    pub peak_kib: u64,
}

/// Runs a command to its end.
pub fn watch(mut command: Command) -> Result<Done> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("No process id")?;
    let mut peak_kib = 0;
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while waitid(WaitId::Pid(pid), ended)?.is_none() {
        peak_kib = peak_kib.max(high_water_mark(pid));
        thread::sleep(POLL);
    }
    let wall = start.elapsed();
    // Not waited for yet: its times are still there.
    let cpu = cpu_time(pid)?;
    let status = child.wait()?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(Done { wall, cpu, peak_kib })
}

/// `VmHWM` of proc_pid_status(5), in KiB; 0 once the process has ended.
fn high_water_mark(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

/// The first number of `/proc/PID/schedstat` is nanoseconds on the CPU.
fn cpu_time(pid: Pid) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).context("Cannot read schedstat")?;
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.context("schedstat has no number")?))
}
