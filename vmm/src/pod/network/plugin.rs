//! Plugins: finding and calling them (CNI specification, "Execution protocol").

#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            fs::PermissionsExt,
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, memfd_create, seek},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, set_parent_process_death_signal},
};
use serde_json::Value;

use crate::pod::{diagnostics::sanitized, signals::Signals, stopping::Cause};

/// How long one call of a plugin may take; leases by DHCP are the slow ones.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The most a plugin may print on each of its streams, in bytes.
const MAX_OUTPUT: usize = 1 << 20;
/// How much is read at once, in bytes.
const CHUNK: usize = 16 << 10;
/// Directories of administrators' programs.
const ADMINISTRATORS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// What a plugin is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Join the network.
    Add,
    /// Leave it.
    Del,
}

/// Where plugins are looked for, and how long one may take.
#[derive(Debug, Clone)]
pub struct Plugins {
    /// Directories, the first that has a plugin wins.
    pub directories: Vec<PathBuf>,
    /// How long one call may take.
    pub limit: Duration,
}

/// What a call is about, beside the configuration: the variables of the protocol.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// ADD or DEL.
    pub command: Action,
    /// The pod's UUID.
    pub container: &'a str,
    /// The pod's network namespace; none when it is gone.
    pub namespace: Option<&'a Path>,
    /// The interface in it.
    pub interface: &'a str,
    /// `K=V;K=V`.
    pub arguments: &'a str,
    /// Whoever wants the pod ended ends the plugin, if there are any.
    pub signals: Option<&'a Signals>,
}

/// Why a plugin did not do what it was called for.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// There is none of that name.
    #[error(
        "Cannot find CNI plugin {name:?} in {} (install the Debian package containernetworking-plugins, or run with \
         --net=none)",
        list(directories)
    )]
    Missing {
        /// Its name.
        name: String,
        /// Where it was looked for.
        directories: Vec<PathBuf>,
    },
    /// It does not start.
    #[error("Cannot execute CNI plugin {}", path.display())]
    Execute {
        /// The program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It takes too long.
    #[error("CNI plugin {name:?} has not ended after {seconds} s and was killed")]
    Hangs {
        /// Its name.
        name: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Nobody wants the pod any more.
    #[error("CNI plugin {0:?} was killed, because the pod is to end")]
    Stopped(String, Cause),
    /// It prints without end.
    #[error("CNI plugin {0:?} printed more than {MAX_OUTPUT} bytes and was killed")]
    Chatters(String),
    /// It says why it failed.
    #[error("CNI plugin {name:?} failed: {message} (code {code})")]
    Failed {
        /// Its name.
        name: String,
        /// Its words.
        message: String,
        /// Its error code.
        code: i64,
    },
    /// It fails without saying why as the protocol wants.
    #[error("CNI plugin {name:?} failed with {status}: {output:?}")]
    Mute {
        /// Its name.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
    /// What it printed is no result.
    #[error("CNI plugin {name:?} printed no CNI result: {output:?}")]
    Rubbish {
        /// Its name.
        name: String,
        /// What it printed.
        output: String,
    },
}

fn list(directories: &[PathBuf]) -> String {
    directories.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

impl Plugins {
    /// Finds a plugin.
    pub fn find(&self, name: &str) -> Result<PathBuf, PluginError> {
        let candidates = self.directories.iter().map(|directory| directory.join(name));
        let is_program = |path: &PathBuf| {
            path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        };
        candidates.into_iter().find(is_program).ok_or_else(|| PluginError::Missing {
            name: name.to_owned(),
            directories: self.directories.clone(),
        })
    }

    /// Joins a network; what comes back is the plugin's result.
    pub fn add(&self, name: &str, config: &Value, call: &Call<'_>) -> Result<Value, PluginError> {
        let output = self.call(name, config, call)?;
        match serde_json::from_slice(&output) {
            Ok(Value::Object(result)) => Ok(Value::Object(result)),
            _ => Err(PluginError::Rubbish { name: name.to_owned(), output: shown(&output) }),
        }
    }

    /// Leaves a network.
    pub fn del(&self, name: &str, config: &Value, call: &Call<'_>) -> Result<(), PluginError> {
        self.call(name, config, call).map(drop)
    }

    fn call(&self, name: &str, config: &Value, call: &Call<'_>) -> Result<Vec<u8>, PluginError> {
        let path = self.find(name)?;
        let failed = |source| PluginError::Execute { path: path.clone(), source };
        let child = self.spawn(&path, config, call).map_err(failed)?;
        let heard = hear(child, self.limit, call.signals).map_err(failed)?;
        match heard.end {
            End::Stopped(cause) => Err(PluginError::Stopped(name.to_owned(), cause)),
            End::Late => Err(PluginError::Hangs { name: name.to_owned(), seconds: self.limit.as_secs() }),
            End::Loud => Err(PluginError::Chatters(name.to_owned())),
            End::Exited(status) if status.success() => Ok(heard.stdout),
            End::Exited(status) => Err(failure(name, status, &heard)),
        }
    }

    fn spawn(&self, path: &Path, config: &Value, call: &Call<'_>) -> io::Result<Child> {
        let mut command = Command::new(path);
        command
            .env("CNI_COMMAND", if call.command == Action::Add { "ADD" } else { "DEL" })
            .env("CNI_CONTAINERID", call.container)
            .env("CNI_NETNS", call.namespace.map(OsString::from).unwrap_or_default())
            .env("CNI_IFNAME", call.interface)
            .env("CNI_ARGS", arguments(call.arguments))
            .env("CNI_PATH", std::env::join_paths(&self.directories).map_err(io::Error::other)?)
            .env("PATH", search_path(std::env::var_os("PATH")))
            .stdin(config_file(config)?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for the pod, which ends plugins and undoes what they did half way.
            .process_group(0);
        // Half a join can be undone by `gc`, which must not come while it goes on. Half a leave cannot: what a plugin
        // needs to know for the other half may be gone.
        if call.command == Action::Add {
            // SAFETY: between fork and exec the closure makes one system call and touches no memory.
            unsafe {
                command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
            }
        }
        command.spawn()
    }
}

/// Where plugins find `iptables`: cron, for one, passes on a path without administrators' programs.
fn search_path(given: Option<OsString>) -> OsString {
    let mut path = given.unwrap_or_default();
    for directory in ADMINISTRATORS {
        if !std::env::split_paths(&path).any(|known| known == Path::new(directory)) {
            path.push(if path.is_empty() { "" } else { ":" });
            path.push(directory);
        }
    }
    path
}

/// Plugins refuse arguments they do not know unless told otherwise; each one in a chain gets all of them.
fn arguments(arguments: &str) -> String {
    match arguments {
        "" => String::new(),
        _ => format!("IgnoreUnknown=1;{arguments}"),
    }
}

/// The configuration as a file: unlike a pipe it needs nobody who writes while the plugin reads.
fn config_file(config: &Value) -> io::Result<File> {
    let mut file = File::from(memfd_create("cni-config", MemfdFlags::CLOEXEC)?);
    file.write_all(config.to_string().as_bytes())?;
    seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}

/// The error a plugin printed, or whatever it said instead.
fn failure(name: &str, status: ExitStatus, heard: &Heard) -> PluginError {
    let name = name.to_owned();
    let error: Option<Value> = serde_json::from_slice(&heard.stdout).ok();
    let field = |key| error.as_ref().and_then(|error| error.get(key));
    let words = |key| field(key).and_then(Value::as_str).filter(|words| !words.is_empty());
    match words("msg") {
        Some(message) => PluginError::Failed {
            name,
            message: sanitized(&match words("details") {
                Some(details) => format!("{message}; {details}"),
                None => message.to_owned(),
            }),
            code: field("code").and_then(Value::as_i64).unwrap_or_default(),
        },
        None => {
            let output = if heard.stderr.is_empty() { &heard.stdout } else { &heard.stderr };
            PluginError::Mute { name, status, output: shown(output) }
        }
    }
}

fn shown(output: &[u8]) -> String {
    String::from_utf8_lossy(&output[..output.len().min(CHUNK)]).trim().chars().take(200).collect()
}

/// How a plugin ended.
enum End {
    Exited(ExitStatus),
    Late,
    Loud,
    Stopped(Cause),
}

struct Heard {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    end: End,
}

/// Reads what a child prints until it ends; kills it when it takes too long or prints too much, or when a signal asks for
/// the pod's end.
fn hear(mut child: Child, limit: Duration, signals: Option<&Signals>) -> io::Result<Heard> {
    let pid = Pid::from_child(&child);
    let outcome = listen(&mut child, pid, limit, signals);
    if !matches!(outcome, Ok((_, _, None))) {
        // Its helpers too; that they are gone already is no failure.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let status = child.wait()?;
    let (stdout, stderr, end) = outcome?;
    Ok(Heard { stdout, stderr, end: end.unwrap_or(End::Exited(ExitStatus::from_raw(status.into_raw()))) })
}

fn listen(
    child: &mut Child,
    pid: Pid,
    limit: Duration,
    signals: Option<&Signals>,
) -> io::Result<(Vec<u8>, Vec<u8>, Option<End>)> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut streams = [
        Stream::new(child.stdout.take().map(OwnedFd::from)),
        Stream::new(child.stderr.take().map(OwnedFd::from)),
    ];
    let deadline = Instant::now() + limit;
    let end = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break Some(End::Late);
        }
        // What was printed before the end is in the pipes when the end is seen.
        let ended = wait(&process, &streams, signals, left)?;
        for stream in &mut streams {
            stream.drain()?;
        }
        if streams.iter().any(|stream| stream.text.len() > MAX_OUTPUT) {
            break Some(End::Loud);
        }
        if ended {
            break None;
        }
        if let Some(cause) = signals.and_then(Cause::waiting) {
            break Some(End::Stopped(cause));
        }
    };
    let [stdout, stderr] = streams;
    Ok((stdout.text, stderr.text, end))
}

/// Waits for output, a signal, or the end; true at the end.
fn wait(
    process: &OwnedFd,
    streams: &[Stream],
    signals: Option<&Signals>,
    limit: Duration,
) -> io::Result<bool> {
    let mut watched = vec![PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    let open = streams.iter().filter_map(|stream| stream.pipe.as_ref());
    watched.extend(open.map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)));
    watched.extend(signals.map(|signals| PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)));
    let timeout = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
    match poll(&mut watched, Some(&timeout)) {
        Ok(_) => Ok(!watched[0].revents().is_empty()),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// One output stream of a child.
struct Stream {
    pipe: Option<OwnedFd>,
    text: Vec<u8>,
}

impl Stream {
    fn new(pipe: Option<OwnedFd>) -> Self {
        Stream { pipe, text: Vec::new() }
    }

    /// Reads what is there, without waiting, a little more than the most there may be.
    fn drain(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        while let Some(pipe) = &self.pipe {
            let mut ready = [PollFd::new(pipe, PollFlags::IN)];
            if poll(&mut ready, Some(&Timespec::default()))? == 0 || self.text.len() > MAX_OUTPUT {
                break;
            }
            match rustix::io::read(pipe, &mut chunk)? {
                0 => self.pipe = None,
                length => self.text.extend(&chunk[..length]),
            }
        }
        Ok(())
    }
}
