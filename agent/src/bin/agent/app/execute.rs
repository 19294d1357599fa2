//! The last steps of a process before it becomes a program, and what it says if it cannot.

use std::convert::Infallible;
use std::error::Error;
use std::ffi::{CString, NulError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use appc::Environment;
use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{Gid, Uid, chdir, execve, setgroups, setresgid, setresuid};

use super::environment::{DEFAULT_PATH, variables};
use super::plan::{Privileges, ProcessPlan};
use super::program;
use super::sockets;
use super::users::{Credentials, UserError};
use crate::failure;
use crate::root::RootError;

/// What a process that did not become a program leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its exit status.
    pub status: i32,
    /// A line for the user.
    pub line: String,
}

/// Why a process could not become a program.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program itself.
    #[error("{line}")]
    Execute {
        /// The whole line, since its form is fixed.
        line: String,
        /// Whether there is a program, only not one that can be executed.
        found: bool,
    },
    /// A string of the manifest cannot be given to a program.
    #[error("Argument or variable holds a zero byte")]
    ZeroByte(#[from] NulError),
    /// The working directory.
    #[error("Unable to enter working directory \"{path}\"")]
    WorkingDirectory {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// User or group.
    #[error(transparent)]
    User(#[from] UserError),
    /// The root file system.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Something of the process that the kernel refuses.
    #[error("Unable to set {what} of the process")]
    Set {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The handler before the app.
    #[error("pre-start handler failed with status {0}")]
    PreStart(i32),
    /// The handler before the app could not be executed; its own line.
    #[error("pre-start handler failed: {0}")]
    PreStartExecute(String),
}

impl LaunchError {
    /// For a step that has no error of its own.
    pub fn set(what: &'static str) -> impl Fn(Errno) -> Self {
        move |error| Self::Set { what, source: error.into() }
    }

    /// The exit status that tells what failed (systemd.exec(5), "Process Exit Codes").
    fn status(&self) -> i32 {
        match self {
            Self::Execute { .. } | Self::ZeroByte(_) => 203,
            Self::WorkingDirectory { .. } => 200,
            Self::User(UserError::Group(_)) => 216,
            Self::User(_) => 217,
            Self::Root(_) => 226,
            Self::Set { .. } => 1,
            Self::PreStart(status) => *status,
            Self::PreStartExecute(_) => 203,
        }
    }

    /// The exit status of a command that a user gave: what shells say (POSIX, "Exit Status for Commands").
    fn command_status(&self) -> i32 {
        match self {
            Self::Execute { found: false, .. } => 127,
            _ => 126,
        }
    }

    /// What is left of a process of the app's own.
    pub fn failure(&self) -> Failure {
        Failure { status: self.status(), line: self.line() }
    }

    /// What is left of a command.
    pub fn command_failure(&self) -> Failure {
        Failure { status: self.command_status(), line: self.line() }
    }

    fn line(&self) -> String {
        let line = failure::line(self);
        if self.source().is_none() && line.starts_with("Error: ") { line } else { format!("Error: {line}") }
    }
}

/// Turns the calling process into the program `exec`, run by `user` but with the environment of `owner`.
pub fn execute(
    plan: &ProcessPlan,
    exec: &[String],
    user: &Credentials,
    owner: &Credentials,
) -> Result<Infallible, LaunchError> {
    let mut environment = variables(&plan.app, owner, plan.notify, &plan.environment);
    for (name, value) in sockets::variables(&plan.sockets) {
        environment.set(name, &value);
    }
    let arguments = exec.iter().map(|word| CString::new(word.as_str())).collect::<Result<Vec<_>, _>>()?;
    let block = environment_block(&environment)?;
    enter(&plan.working_directory, plan.make_directory)
        .map_err(|source| LaunchError::WorkingDirectory { path: plan.working_directory.clone(), source })?;
    restrict(&plan.privileges, user)?;
    let command = exec.first().map_or("", String::as_str);
    let path = environment.get("PATH").unwrap_or(DEFAULT_PATH);
    if let Some(filter) = &plan.privileges.seccomp {
        // A strict filter may not let the process find out later.
        if let Some(line) = filter.is_strict().then(|| program::foresee(command, path)).flatten() {
            return Err(LaunchError::Execute { line, found: false });
        }
        let installed = filter.program().install();
        installed.map_err(|source| LaunchError::Set { what: "seccomp filter", source })?;
    }
    Err(run(command, path, &arguments, &block))
}

fn enter(directory: &str, make: bool) -> io::Result<()> {
    match chdir(directory) {
        Err(Errno::ENOENT) if make => {
            fs::create_dir_all(directory)?;
            Ok(chdir(directory)?)
        }
        entered => Ok(entered?),
    }
}

fn environment_block(environment: &Environment) -> Result<Vec<CString>, NulError> {
    environment.iter().map(|variable| CString::new(format!("{}={}", variable.name, variable.value))).collect()
}

/// Gives up what the process shall not have. The bounding set first, while that is still allowed.
fn restrict(privileges: &Privileges, user: &Credentials) -> Result<(), LaunchError> {
    if let Some(score) = privileges.oom_score_adj {
        fs::write("/proc/self/oom_score_adj", score.to_string())
            .map_err(|source| LaunchError::Set { what: "oom_score_adj", source })?;
    }
    for capability in privileges.bounding.absent() {
        match drop_from_bounding_set(capability) {
            // A capability the kernel does not know cannot be had either.
            Ok(()) | Err(Errno::EINVAL) => {}
            Err(error) => return Err(LaunchError::set("capabilities")(error)),
        }
    }
    let groups: Vec<Gid> = user.groups.iter().map(|id| Gid::from_raw(*id)).collect();
    setgroups(&groups).map_err(LaunchError::set("groups"))?;
    let gid = Gid::from_raw(user.gid);
    setresgid(gid, gid, gid).map_err(LaunchError::set("group"))?;
    let uid = Uid::from_raw(user.uid);
    setresuid(uid, uid, uid).map_err(LaunchError::set("user"))?;
    // Without the right to administrate, a filter is taken only from processes that cannot gain rights.
    if privileges.no_new_privileges || (privileges.seccomp.is_some() && user.uid != 0) {
        set_no_new_privs().map_err(LaunchError::set("no_new_privs"))?;
    }
    Ok(())
}

fn drop_from_bounding_set(capability: u32) -> nix::Result<()> {
    // SAFETY: prctl takes no pointers here.
    Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) })
        .map(drop)
}

/// Executes the first file that `command` names; returns what was wrong with the best one.
fn run(command: &str, path: &str, arguments: &[CString], environment: &[CString]) -> LaunchError {
    let mut best: Option<(PathBuf, io::Error)> = None;
    for file in program::candidates(command, path) {
        let error = attempt(&file, arguments, environment);
        let absent = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        if !absent || command.contains('/') || fs::metadata(&file).is_ok() {
            let denied = error.kind() == io::ErrorKind::PermissionDenied;
            best = Some((file, error));
            if !denied {
                break;
            }
        }
    }
    let (file, error) = match &best {
        Some((file, error)) => (Some(file.as_path()), error),
        None => (None::<&Path>, &io::Error::from_raw_os_error(libc::ENOENT)),
    };
    let absent = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    LaunchError::Execute { line: program::explain(command, file, error), found: !absent }
}

fn attempt(file: &Path, arguments: &[CString], environment: &[CString]) -> io::Error {
    use std::os::unix::ffi::OsStrExt;
    let file = match CString::new(file.as_os_str().as_bytes()) {
        Ok(file) => file,
        Err(error) => return error.into(),
    };
    match execve(&file, arguments, environment) {
        Ok(never) => match never {},
        Err(error) => error.into(),
    }
}
