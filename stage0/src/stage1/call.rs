//! Calling an entrypoint of stage1: in place of this process, or as a child.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::{Entrypoint, InterfaceError, Stage1};
use crate::pod::layers::STAGE1_ROOTFS;
use crate::pod::{LockedPod, PodError};

/// The variable that names the descriptor of the pod's lock.
const LOCK_FD: &str = "RKT_LOCK_FD";

/// Why an entrypoint could not be called, or failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// stage1 does not offer it.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The pod's lock cannot be handed over.
    #[error(transparent)]
    Pod(#[from] PodError),
    /// The program does not start.
    #[error("Cannot execute stage1's \"{}\"", program.display())]
    Exec {
        /// The program.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The program failed.
    #[error("stage1's {} entrypoint failed: {status}", entrypoint.name())]
    Failed {
        /// What was called.
        entrypoint: Entrypoint,
        /// How it ended.
        status: ExitStatus,
    },
}

/// The program of an entrypoint in the pod directory `pod`.
fn program(pod: &Path, entrypoint: Entrypoint) -> Result<PathBuf, InterfaceError> {
    Ok(pod.join(STAGE1_ROOTFS).join(Stage1::of_pod(pod)?.entrypoint(entrypoint)?))
}

/// Replaces this process by stage1's `run` entrypoint, which keeps the pod's lock. Returns only if that fails.
pub fn exec(pod: &LockedPod, arguments: &[String]) -> CallError {
    let dir = pod.path();
    let prepare = || -> Result<(PathBuf, i32), CallError> {
        Ok((program(&dir, Entrypoint::Run)?, pod.keep_across_exec()?))
    };
    match prepare() {
        Ok((program, lock)) => {
            let source = Command::new(&program)
                .args(arguments)
                .current_dir(&dir)
                .env(LOCK_FD, lock.to_string())
                .exec();
            CallError::Exec { program, source }
        }
        Err(error) => error,
    }
}

/// Replaces this process by `program`, an `enter` or `attach` entrypoint, in the pod directory `dir`. Returns only if that fails.
pub fn enter_program(program: PathBuf, dir: &Path, arguments: &[String]) -> CallError {
    let source = Command::new(&program).args(arguments).current_dir(dir).exec();
    CallError::Exec { program, source }
}

/// Runs `program`, an entrypoint that answers a question about the running pod in directory `dir`, and returns what it
/// writes. Its stderr is ours.
pub fn ask(
    program: PathBuf,
    dir: &Path,
    entrypoint: Entrypoint,
    arguments: &[String],
) -> Result<Vec<u8>, CallError> {
    let result = Command::new(&program)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = result.map_err(|source| CallError::Exec { program, source })?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(CallError::Failed { entrypoint, status: output.status }),
    }
}

/// Runs `program`, an entrypoint about `app` of the running pod in directory `dir`, and waits for it. Its output is ours.
///
/// Stage1s that run their apps in namespaces of this host cross over by `enter`, their own program, into process `pid`
/// (reference §3.2).
pub fn call_for_app(
    program: PathBuf,
    enter: &Path,
    pid: i32,
    (dir, app): (&Path, &str),
    arguments: &[String],
) -> Result<ExitStatus, CallError> {
    let result = Command::new(&program)
        .args(arguments)
        .current_dir(dir)
        .env("RKT_STAGE1_ENTERCMD", enter)
        .env("RKT_STAGE1_ENTERPID", pid.to_string())
        .env("RKT_STAGE1_ENTERAPP", app)
        .stdin(Stdio::null())
        .status();
    result.map_err(|source| CallError::Exec { program, source })
}

/// Runs an entrypoint in the pod directory `dir` and waits for it. Its stderr is ours, its stdout only if
/// `stdout` says so.
pub fn call(dir: &Path, entrypoint: Entrypoint, arguments: &[String], stdout: bool) -> Result<(), CallError> {
    let program = program(dir, entrypoint)?;
    let stdout = if stdout { Stdio::inherit() } else { Stdio::null() };
    let result =
        Command::new(&program).args(arguments).current_dir(dir).stdin(Stdio::null()).stdout(stdout).status();
    let status = result.map_err(|source| CallError::Exec { program, source })?;
    if status.success() { Ok(()) } else { Err(CallError::Failed { entrypoint, status }) }
}
