//! The entrypoints `top` and `stats`: what a running pod is doing, as JSON on standard output.
//!
//! The guest tells of processes and cgroups. What the pod costs the host is read here, from outside of the pod's process.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use agent::protocol::{Process, Question, Sight, Usage};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::{
    clients::wire::{Reply, Request},
    directory::{DirectoryError, PodDirectory},
    enter::{self, EnterError},
    error::PodError,
    signals::Ending,
};

/// How many microseconds a tick of `/proc/PID/stat` is (`USER_HZ`).
const TICK_US: u64 = 10_000;

/// Why nothing could be told.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The pod does not answer.
    #[error(transparent)]
    Call(#[from] EnterError),
    /// Its process.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// It has not said which process it is.
    #[error("Pod has not written its pid yet, try again")]
    NoPid,
    /// The guest answers something else.
    #[error("Agent of the guest did not answer what it was asked")]
    Mismatch,
    /// Nobody reads it.
    #[error("Cannot write the answer")]
    Write(#[source] io::Error),
}

#[derive(Debug, Serialize)]
struct Top {
    processes: Vec<Process>,
    more: u32,
}

#[derive(Debug, Serialize)]
struct Stats {
    host: HostUsage,
    guest: Usage,
}

/// What the pod's process uses of the host. All counts are since its start.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct HostUsage {
    /// When this was, by a clock that never jumps, in microseconds.
    at_us: u64,
    /// CPU time, the guest's included, in microseconds.
    cpu_us: u64,
    /// Memory in RAM, the guest's included, in bytes.
    memory: u64,
    /// Bytes read from disks.
    read: u64,
    /// Bytes written to disks.
    written: u64,
}

/// Tells which processes there are.
pub fn top() -> Result<Ending, PodError> {
    match look(Question::Processes)? {
        Sight::Processes { processes, more } => tell(&Top { processes, more }),
        Sight::Usage(_) => Err(LookError::Mismatch.into()),
    }
}

/// Tells what the pod and its apps use.
pub fn stats() -> Result<Ending, PodError> {
    let Sight::Usage(guest) = look(Question::Usage)? else { return Err(LookError::Mismatch.into()) };
    let pid = PodDirectory::current().pid().map_err(LookError::from)?.ok_or(LookError::NoPid)?;
    tell(&Stats { host: HostUsage::of_pod(&PathBuf::from(format!("/proc/{pid}"))), guest })
}

fn look(question: Question) -> Result<Sight, LookError> {
    match enter::ask(&PodDirectory::current(), &Request::Look { question })? {
        Reply::Seen { sight } => Ok(sight),
        _ => Err(LookError::Mismatch),
    }
}

fn tell(answer: &impl Serialize) -> Result<Ending, PodError> {
    let mut out = io::stdout().lock();
    let written = serde_json::to_writer(&mut out, answer).map_err(io::Error::from);
    written.and_then(|()| writeln!(out)).map_err(LookError::Write)?;
    Ok(Ending::Status(0))
}

impl HostUsage {
    /// That of both processes of a pod: its keeper, and the VMM, which is the keeper's child.
    fn of_pod(keeper: &Path) -> Self {
        let tasks = fs::read_dir(keeper.join("task")).into_iter().flatten().flatten();
        let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
        let children: String = children.collect();
        let processes = children.split_whitespace().map(|child| keeper.with_file_name(child));
        processes.fold(Self::of(keeper), |sum, process| sum.plus(Self::of(&process)))
    }

    fn plus(self, other: Self) -> Self {
        HostUsage {
            at_us: self.at_us,
            cpu_us: self.cpu_us.saturating_add(other.cpu_us),
            memory: self.memory.saturating_add(other.memory),
            read: self.read.saturating_add(other.read),
            written: self.written.saturating_add(other.written),
        }
    }

    /// Reads what the kernel tells of a process (proc(5)); what it does not is 0.
    fn of(process: &Path) -> Self {
        let read = |name: &str| fs::read_to_string(process.join(name)).unwrap_or_default();
        let field = |text: &str, name: &str| -> Option<u64> {
            text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
        };
        let (status, io) = (read("status"), read("io"));
        let now = clock_gettime(ClockId::Monotonic);
        HostUsage {
            at_us: now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000,
            cpu_us: cpu_us(&read("stat")).unwrap_or(0),
            memory: field(&status, "VmRSS:").unwrap_or(0).saturating_mul(1024),
            read: field(&io, "read_bytes:").unwrap_or(0),
            written: field(&io, "write_bytes:").unwrap_or(0),
        }
    }
}

/// Fields 14 and 15, user and system time, after a name that may hold anything.
fn cpu_us(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let mut time = || times.next()?.parse::<u64>().ok();
    Some(time()?.saturating_add(time()?).saturating_mul(TICK_US))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_measured_from_outside() {
        let usage = HostUsage::of(Path::new("/proc/self"));
        assert!(usage.memory > 100 << 10 && usage.at_us > 0, "{usage:?}");
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 90 0 0 0 12 30 0 0 20 0 1";
        assert_eq!(cpu_us(stat), Some(420_000));
        let gone = HostUsage::of(Path::new("/proc/self/not-there"));
        assert_eq!(HostUsage { at_us: 0, ..gone }, HostUsage::default());
    }
}
