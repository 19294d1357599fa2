//! The `stop` entrypoint: ends a running pod from outside.

#[cfg(test)]
mod tests;

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{
    arguments::StopArguments,
    directory::{DirectoryError, PodDirectory},
    error::PodError,
    lock::is_locked,
    signals::stop_signal,
    stopping::GRACE,
};

/// How long beyond the apps' grace a pod may take to end.
const MARGIN: Duration = Duration::from_secs(20);
/// How long a pod that has just been started may take to write its `pid`.
const PID_LIMIT: Duration = Duration::from_secs(5);
/// How often that is looked for.
const PID_INTERVAL: Duration = Duration::from_millis(50);

/// Why a pod could not be stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// Nobody holds its lock.
    #[error("Pod is not running")]
    NotRunning,
    /// It runs, but nobody knows where.
    #[error("Pod has not written its pid yet, try again")]
    NoPid,
    /// `pid` names a process that has nothing to do with the pod.
    #[error("Process {0}, named by file pid, does not hold the pod's lock")]
    NotThePod(i32),
    /// Asking the system.
    #[error("Cannot look at process {pid}")]
    Process {
        /// Its id.
        pid: i32,
        /// Why.
        source: io::Error,
    },
    /// The lock.
    #[error("Cannot look at the pod's lock")]
    Lock(#[source] io::Error),
    /// It ignores us.
    #[error("Pod has not ended after {0} s, try --force")]
    StillRunning(u64),
    /// The directory.
    #[error("Cannot use the pod's directory")]
    Directory(#[from] DirectoryError),
}

/// Ends the pod of the current directory and waits until it has ended.
pub fn stop(arguments: &StopArguments) -> Result<(), PodError> {
    let signal = if arguments.force { libc::SIGKILL } else { stop_signal() };
    Ok(stop_pod(&PodDirectory::current(), signal, GRACE + MARGIN)?)
}

fn stop_pod(directory: &PodDirectory, signal: i32, limit: Duration) -> Result<(), StopError> {
    if !is_locked(directory).map_err(StopError::Lock)? {
        return Err(StopError::NotRunning);
    }
    let pid = wait_for_pid(directory)?;
    let failed = |source: io::Error| StopError::Process { pid, source };
    let process = match Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
        Some(Ok(process)) => process,
        Some(Err(Errno::SRCH)) | None => return Err(StopError::NotRunning),
        Some(Err(error)) => return Err(failed(error.into())),
    };
    // From here on the descriptor is the process, even if its id is used again.
    match holds_lock(directory, pid) {
        Ok(true) => {}
        Ok(false) => return Err(StopError::NotThePod(pid)),
        // It ended meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    match send_signal(&process, signal) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
        result => result.map_err(failed)?,
    }
    match wait_for_end(&process, limit).map_err(failed)? {
        true => Ok(()),
        false => Err(StopError::StillRunning(limit.as_secs())),
    }
}

fn wait_for_pid(directory: &PodDirectory) -> Result<i32, StopError> {
    let limit = Instant::now() + PID_LIMIT;
    loop {
        match directory.pid()? {
            Some(pid) => return Ok(pid),
            None if !is_locked(directory).map_err(StopError::Lock)? => return Err(StopError::NotRunning),
            None if Instant::now() >= limit => return Err(StopError::NoPid),
            None => std::thread::sleep(PID_INTERVAL),
        }
    }
}

/// Whether the process has the pod's directory open with a lock on it: an id may have been given to another process
/// since it was written.
fn holds_lock(directory: &PodDirectory, pid: i32) -> io::Result<bool> {
    let pod = fs::metadata(directory.root())?;
    let process = PathBuf::from(format!("/proc/{pid}"));
    for entry in fs::read_dir(process.join("fd"))? {
        let entry = entry?;
        // Descriptors come and go while they are listed.
        let Ok(target) = fs::metadata(entry.path()) else { continue };
        if (target.dev(), target.ino()) != (pod.dev(), pod.ino()) {
            continue;
        }
        let information = fs::read_to_string(process.join("fdinfo").join(entry.file_name()));
        if information.is_ok_and(|text| text.lines().any(|line| line.starts_with("lock:"))) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn send_signal(process: &OwnedFd, signal: i32) -> io::Result<()> {
    // SAFETY: the call takes numbers and a null pointer, which stands for the usual information.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits until the process has ended; false if it has not within the limit.
fn wait_for_end(process: &OwnedFd, limit: Duration) -> io::Result<bool> {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
