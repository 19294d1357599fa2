//! Processes with a time limit: what they wrote, how they ended.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::wait;

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    /// What was run, for messages.
    pub command: String,
    /// Its exit status; 128 + N when signal N killed it, as a shell would say.
    pub status: i32,
    /// All it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// All it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// From start to end.
    pub took: Duration,
}

/// A process under way, the leader of its own process group; dropping it kills the whole group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    command: String,
    started: Instant,
    limit: Duration,
    // Files and not pipes: nobody has to read them for the process to go on, and they can be looked at meanwhile.
    stdout: File,
    stderr: File,
}

impl Finished {
    /// Standard output as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Itself, if it ended with `status`.
    ///
    /// # Panics
    /// When it ended otherwise, with everything it said.
    #[track_caller]
    pub fn expect_status(self, status: i32) -> Self {
        assert!(
            self.status == status,
            "Expected status {status}, got {} after {:.1} s\n  command: {}\n  stdout: {}\n  stderr: {}",
            self.status,
            self.took.as_secs_f64(),
            self.command,
            self.stdout_text(),
            self.stderr_text(),
        );
        self
    }

    /// Itself, if it succeeded.
    ///
    /// # Panics
    /// When it failed.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        self.expect_status(0)
    }
}

impl Running {
    /// Starts `command`; standard input is what the caller set on it, or nothing.
    ///
    /// # Panics
    /// When it cannot start.
    #[track_caller]
    pub fn start(mut command: Command, limit: Duration) -> Self {
        let shown = format!("{command:?}");
        let (stdout, stderr) = (capture(), capture());
        command.stdout(duplicate(&stdout)).stderr(duplicate(&stderr)).process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("Cannot start {shown}: {error}"));
        Self { child, command: shown, started: Instant::now(), limit, stdout, stderr }
    }

    /// Its process id, and its group's.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output so far.
    pub fn stdout_so_far(&self) -> Vec<u8> {
        contents(&self.stdout)
    }

    /// What it has written to standard error so far.
    pub fn stderr_so_far(&self) -> Vec<u8> {
        contents(&self.stderr)
    }

    /// Waits until `text` is in its standard output.
    ///
    /// # Panics
    /// When the process ends or its time is over before that.
    #[track_caller]
    pub fn wait_for_stdout(&mut self, text: &str) {
        let seen = |output: Vec<u8>| String::from_utf8_lossy(&output).contains(text);
        while !seen(self.stdout_so_far()) {
            let ended = self.child.try_wait().expect("wait for a child");
            // It may have written the text just before it ended.
            if ended.is_some() && seen(self.stdout_so_far()) {
                return;
            }
            assert!(
                ended.is_none() && self.started.elapsed() < self.limit,
                "\"{text}\" never came (ended: {ended:?})\n  command: {}\n  stdout: {}\n  stderr: {}",
                self.command,
                String::from_utf8_lossy(&self.stdout_so_far()),
                String::from_utf8_lossy(&self.stderr_so_far()),
            );
            std::thread::sleep(wait::STEP);
        }
    }

    /// Sends signal number `signal` to the process alone.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn signal(&self, signal: i32) {
        let sent = kill(signal, i64::from(self.pid()));
        assert!(sent, "Cannot send signal {signal} to {}", self.command);
    }

    /// Its standard input, if the caller had it piped; once taken and dropped, the process sees its end.
    pub fn stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    /// Writes `bytes` to its piped standard input and closes that.
    ///
    /// # Panics
    /// When standard input is not piped, or the process does not read it.
    #[track_caller]
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut stdin = self.stdin().expect("standard input is piped");
        stdin.write_all(bytes).unwrap_or_else(|error| panic!("Cannot feed {}: {error}", self.command));
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When its time is over: the whole group is killed, and what it said shown.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        drop(self.child.stdin.take());
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait for a child") {
                break status;
            }
            assert!(
                self.started.elapsed() < self.limit,
                "Not ended within {} s\n  command: {}\n  stdout: {}\n  stderr: {}",
                self.limit.as_secs(),
                self.command,
                String::from_utf8_lossy(&self.stdout_so_far()),
                String::from_utf8_lossy(&self.stderr_so_far()),
            );
            std::thread::sleep(wait::STEP);
        };
        Finished {
            command: self.command.clone(),
            status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: self.stdout_so_far(),
            stderr: self.stderr_so_far(),
            took: self.started.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            kill(9, -i64::from(self.pid()));
            let _ = self.child.wait();
        }
    }
}

/// Runs `command` to its end.
///
/// # Panics
/// When it cannot start or takes longer than `limit`.
#[track_caller]
pub fn run(mut command: Command, limit: Duration) -> Finished {
    command.stdin(Stdio::null());
    Running::start(command, limit).finish()
}

/// The directories in /proc of the processes in a cgroup, without those of the kernel's, of which KVM makes one for each VM.
///
/// # Panics
/// When there is no such cgroup.
pub fn in_cgroup(cgroup: &Path) -> Vec<PathBuf> {
    let processes = fs::read_to_string(cgroup.join("cgroup.procs")).expect("a cgroup");
    let found = processes.lines().map(|pid| Path::new("/proc").join(pid));
    found.filter(|process| fs::read_link(process.join("exe")).is_ok()).collect()
}

/// Sends a signal to a process, or with a negative number to a process group; tells whether that worked.
fn kill(signal: i32, target: i64) -> bool {
    let status = Command::new("kill").args([&format!("-{signal}"), "--", &target.to_string()]).status();
    status.is_ok_and(|status| status.success())
}

fn capture() -> File {
    tempfile::tempfile().expect("a temporary file")
}

fn duplicate(file: &File) -> File {
    file.try_clone().expect("a second descriptor")
}

/// The file from its start; the writer's offset is shared with ours, so it is read through a new description.
fn contents(file: &File) -> Vec<u8> {
    use std::os::fd::AsRawFd;
    let mut reader = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("reopen a capture");
    let mut bytes = Vec::new();
    reader.rewind().and_then(|()| reader.read_to_end(&mut bytes)).expect("read a capture");
    bytes
}
